local mg = require "moongrad"
local helper = require "tests.spec.helper"
local torch = require "tests.torch.common"

-- The loss of optimizer.py.
local function loss_of(w, b, a)
  local bent = ((w:matmul(a:transpose(1, 2))):tanh() - 0.5):square():sum()
  return bent + (b * a[1]):sin():sum() + (w * b):square():sum() * 0.1
end

local losses = {}
function losses.rosenbrock(w)
  local n = #w
  local a, b = w:narrow(1, 1, n - 1), w:narrow(1, 2, n - 1)
  return (1 - a):square():sum() + (b - a:square()):square():sum() * 10
end
function losses.bent(w)
  return (w:exp() - w * mg.arange(1, #w)):sum() + w:square():sum() * 0.1
end

local function minimise(case)
  local w = helper.leaf(case.start)
  local optimizer, count = mg.lbfgs(case.options):attach { w }, 0
  local function closure()
    optimizer:zero_grad()
    local loss = losses[case.minimise](w)
    loss:backward()
    count = count + 1
    return loss
  end
  for i, expected in ipairs(case.path) do
    helper.near(case.losses[i], optimizer:step(closure), 1e-4)
    helper.near(expected, w, 1e-4)
  end
  if #case.path > 1 then assert.equal(case.evaluations, count) end
end

local function schedule(case)
  local lr = mg.schedule[case.schedule](case.options)
  if case.schedule ~= "plateau" then
    for i, expected in ipairs(case.rates) do helper.near(expected, lr(i), 1e-12) end
    return
  end
  local optimizer = mg.sgd { lr = lr }
  for i, expected in ipairs(case.rates) do
    helper.near(expected, optimizer.lr, 1e-12)
    optimizer:observe(case.loss[i])
  end
end

torch.compare("optimizer", function(case)
  if case.schedule then return schedule(case) end
  if case.minimise then return minimise(case) end
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
