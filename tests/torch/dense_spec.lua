local mg = require "moongrad"
local helper = require "tests.spec.helper"
local torch = require "tests.torch.common"

torch.compare("dense", function(case, act)
  local net = mg.sequential { 3, mg.dense(4), act }
  helper.set(net, case.weights)
  local x = helper.leaf(case.x)
  local y = net(x)
  helper.near(case.y, y)
  y:square():sum():backward()
  helper.near(case.dx, x.grad)
  for name, tensor in pairs(net:named()) do helper.near(case.grads[name], tensor.grad) end
end)
