local mg = require "moongrad"
local helper = require "tests.spec.helper"
local torch = require "tests.torch.common"

local function make(layer)
  if layer.value then return mg[layer.kind](layer.value, layer.options) end
  return mg[layer.kind](layer.options)
end

-- The sum of y^3, its gradients.
local function check_gradients(net, x, y, case)
  (y * y * y):sum():backward()
  helper.near(case.dx, x.grad, 1e-4)
  for _, p in ipairs(net:parameters()) do helper.near(case.grads[p.name], p.tensor.grad, 1e-4) end
end

torch.compare("norm", function(case)
  local net = make(case.layer)
  net:build(1, helper.unpack(case.size))
  helper.set(net, case.weights)
  local x, y
  for _, batch in ipairs(case.batches) do
    x = helper.leaf(batch.x)
    y = net(x)
    helper.near(batch.y, y, 1e-4)
  end
  check_gradients(net, x, y, case)
  for name, tensor in pairs(net:named()) do helper.near(case.after[name], tensor) end
  net:eval()
  net:zero_grad()
  x = helper.leaf(case.batches[3].x)
  y = net(x)
  helper.near(case.eval.y, y, 1e-4)
  check_gradients(net, x, y, case.eval)
  helper.near(case.eval.y, net:predict(x), 1e-4)
end)
