local mg = require "moongrad"
local helper = require "tests.spec.helper"
local torch = require "tests.torch.common"
local json = require "cjson"

local function given(v) return v ~= nil and v ~= json.null end

torch.compare("parts", function(case)
  local net = mg[case.kind](helper.unpack(case.args))
  local x = given(case.dx) and helper.leaf(case.x) or mg.tensor(case.x)
  local other = given(case.other) and helper.leaf(case.other) or nil
  net(x, other and { other = other })
  helper.set(net, case.weights)
  local y = net(x, other and { other = other })
  helper.near(case.y, y)
  y:pow(3):sum():backward()
  for _, p in ipairs(net:parameters()) do helper.near(case.grads[p.name], p.tensor.grad, 1e-4) end
  if given(case.dx) then helper.near(case.dx[1], x.grad, 1e-4) end
  if other then helper.near(case.dx[2], other.grad, 1e-4) end
end)
