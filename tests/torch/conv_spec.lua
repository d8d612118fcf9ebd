local mg = require "moongrad"
local helper = require "tests.spec.helper"
local torch = require "tests.torch.common"

torch.compare("conv", function(case)
  local layer = mg[case.layer](helper.unpack(case.args))
  layer:predict(mg.tensor(case.x)) -- makes its parameters
  helper.set(layer, case.weights)
  local x = helper.leaf(case.x)
  local y = layer(x)
  helper.near(case.y, y)
  y:square():sum():backward()
  helper.near(case.dx, x.grad)
  for name, tensor in pairs(layer:named()) do helper.near(case.grads[name], tensor.grad) end
end)
