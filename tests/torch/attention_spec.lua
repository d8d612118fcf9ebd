local mg = require "moongrad"
local helper = require "tests.spec.helper"
local torch = require "tests.torch.common"
local json = require "cjson"

local function given(v) return v ~= nil and v ~= json.null end

torch.compare("attention", function(case)
  local net = mg[case.kind](case.options)
  local x, further = helper.leaf(case.x), {}
  if given(case.mask) then further.mask = mg.tensor(case.mask) end
  if given(case.context) then further.context = helper.leaf(case.context) end
  net(x, further)
  helper.set(net, case.weights)
  local y = net(x, further)
  helper.near(case.y, y, 1e-4)
  y:pow(3):sum():backward()
  helper.near(case.dx, x.grad, 2e-4)
  if further.context then helper.near(case.dcontext, further.context.grad, 2e-4) end
  for _, p in ipairs(net:parameters()) do helper.near(case.grads[p.name], p.tensor.grad, 2e-4) end
  local names = {}
  for name in pairs(case.weights) do names[#names + 1] = name end
  table.sort(names)
  local own = helper.names(net)
  table.sort(own)
  assert.same(names, own)
end)
