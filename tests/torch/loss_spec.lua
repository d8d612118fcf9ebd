local mg = require "moongrad"
local json = require "cjson"
local helper = require "tests.spec.helper"
local torch = require "tests.torch.common"

local function given(v) return v ~= json.null and v or nil end

-- As the Python program has weighed it.
local function backward(y)
  local n = y:numel()
  local weights = n > 1 and mg.linspace(0.5, 2, n):reshape(y.shape) or 0.5;
  (y * weights):sum():backward()
end

local function labelling(case)
  local x = helper.leaf(case.x)
  local y = mg.ctc(x:log_softmax(3), mg.tensor(case.target), mg.tensor(case.lengths),
    mg.tensor(case.counts), case.options)
  helper.near(case.y, y)
  backward(y)
  helper.near(case.dx, x.grad)
end

torch.compare("loss", function(case)
  if case.log then return labelling(case) end
  local operands = {}
  for i, value in ipairs(case.operands) do
    operands[i] = given(case.grads[i]) and helper.leaf(value) or mg.tensor(value)
  end
  operands[#operands + 1] = case.options
  local y = mg[case.loss](helper.unpack(operands))
  helper.near(case.y, y)
  backward(y)
  for i, grad in ipairs(case.grads) do
    if given(grad) then helper.near(grad, operands[i].grad) end
  end
end)
