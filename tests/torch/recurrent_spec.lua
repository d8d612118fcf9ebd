local mg = require "moongrad"
local helper = require "tests.spec.helper"
local torch = require "tests.torch.common"
local near = helper.near

-- JSON's null is no nil.
local function given(v) return type(v) == "table" and v or nil end

torch.compare("recurrent", function(case)
  local options = {}
  for name, value in pairs(case.options) do options[name] = value end
  local net = mg[case.kind](4, options)
  net:build(3, 5, 2)
  assert.same(case.names, helper.names(net))
  helper.set(net, case.weights)
  local x, h, c = helper.leaf(case.x), nil, nil
  if case.states[1] then h = helper.leaf(case.states[1]) end
  if case.states[2] then c = helper.leaf(case.states[2]) end
  local results = { net(x, { h = h, c = c, lengths = given(case.lengths) }) }
  near(case.y, results[1])
  local loss = results[1]:square():sum()
  for k, state in ipairs(case.final) do
    near(state, results[k + 1])
    loss = loss + (results[k + 1] ^ 3):sum() * (k + 1)
  end
  assert.equal(1 + #case.final, #results)
  loss:backward()
  near(case.dx, x.grad)
  if h then near(case.dstates[1], h.grad) end
  if c then near(case.dstates[2], c.grad) end
  for name, tensor in pairs(net:named()) do near(case.grads[name], tensor.grad) end
end)
