local mg = require "moongrad"
local helper = require "tests.spec.helper"
local torch = require "tests.torch.common"

local unpack, load = table.unpack or unpack, loadstring or load

-- The results of the line of Lua that names the case.
local function run(line, operands)
  local f = assert(load("local mg, a, b, c, d = ... return " .. line))
  return helper.list(f(mg, unpack(operands)))
end

-- backward of sum(slope * y), over all results that a gradient flows through.
local function back(case, ys)
  local loss
  for i, y in ipairs(ys) do
    if case.back[i] then
      local sum = (y * mg.tensor(case.slopes[i])):sum()
      loss = loss and loss + sum or sum
    end
  end
  if loss then loss:backward() end
end

torch.compare("ops", function(case, line)
  local operands = {}
  for i, x in ipairs(case.operands) do
    operands[i] = case.leaf[i] and helper.leaf(x) or mg.tensor(x)
  end
  local ys = run(line, operands)
  assert.equal(#case.y, #ys)
  for i, y in ipairs(ys) do helper.near(case.y[i], y) end
  back(case, ys)
  for i, grad in ipairs(case.grads) do
    if grad then helper.near(grad, operands[i].grad) end
  end
end)
