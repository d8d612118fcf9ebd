local mg = require "moongrad"
local helper = require "tests.spec.helper"
local torch = require "tests.torch.common"

-- The loss of optimizer.py.
local function loss_of(w, b, a)
  local bent = ((w:matmul(a:transpose(1, 2))):tanh() - 0.5):square():sum()
  return bent + (b * a[1]):sin():sum() + (w * b):square():sum() * 0.1
end

torch.compare("optimizer", function(case)
  local a = mg.tensor(case.a)
  local w, b = helper.leaf(case.start[1]), helper.leaf(case.start[2])
  local optimizer = mg[case.rule](case.options):attach { w, b }
  for _, expected in ipairs(case.path) do
    optimizer:zero_grad()
    loss_of(w, b, a):backward()
    optimizer:step()
    local function compare()
      helper.near(expected[1], w, 2e-5)
      helper.near(expected[2], b, 2e-5)
    end
    if case.averaged then optimizer:averaged(compare) else compare() end
  end
end)
