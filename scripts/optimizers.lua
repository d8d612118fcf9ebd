-- Claim: down a curved ravine momentum beats plain descent, and L-BFGS arrives while
-- plain descent has hardly begun. On pictures, in small batches, momentum and adam beat
-- plain descent again, but rprop gets lost.
--
-- All optimizers know the same: the slope where they stand. They differ in what they
-- make of it. Plain descent walks straight down, which in a ravine is from wall to
-- wall. Momentum rolls on. Adam and its kin make the steps of all weights about equally
-- long, however steep their slopes. L-BFGS compares slopes to learn how the ravine bends,
-- and rprop looks whether they turn: that needs the same loss each time. No two batches
-- are alike: most turns that rprop sees there mean nothing.

local common = dofile((arg[0]:match("^.*[/\\]") or "") .. "common.lua")
local mg, options = common.start("A race of optimizers, in a ravine and on pictures.", {
  { "steps", 1000, "evaluations of the loss in the ravine" },
  { "epochs", 3, "passes over 2,000 pictures" },
  { "data", false, "where the four idx files are", "FOLDER" },
})

--- Name, constructor, other options; each chooses the best of these learning rates.
local racers = {
  { "plain descent", "sgd", {} },
  { "momentum", "sgd", { momentum = 0.9 } },
  { "nesterov", "sgd", { momentum = 0.9, nesterov = true } },
  { "adagrad", "adagrad", {} }, { "adadelta", "adadelta", {} },
  { "rmsprop", "rmsprop", {} }, { "rprop", "rprop", {} },
  { "adam", "adam", {} }, { "nadam", "nadam", {} }, { "adamax", "adamax", {} },
  { "adamw", "adamw", {} }, { "lion", "lion", {} }, { "lbfgs", "lbfgs", {} },
}
local rates = { 1, 0.1, 0.03, 0.01, 0.003, 0.001 }

local function make(racer, lr)
  local all = { lr = lr }
  for name, value in pairs(racer[3]) do all[name] = value end
  return mg[racer[2]](all)
end

--- Runs f(lr) with each rate: the best of its results, by the number in 'last', and
-- that rate. A rate that is too high ends in an error, since the loss is no number.
local function best_of(f)
  local best, rate
  for _, lr in ipairs(rates) do
    local fine, result = pcall(f, lr)
    if fine and result.last == result.last and (not best or result.last < best.last) then
      best, rate = result, lr
    end
  end
  return best, rate
end

------------------------------------------------------------------- part 1: the ravine

-- Rosenbrock's: its floor is the parabola y = x^2, its lowest point (1, 1), where it is 0.
local start = mg.tensor { -1.2, 1 } + (mg.rand(2) - 0.5) * 0.4
local checks = { 10, 100, options.steps }

--- The lowest loss found so far, after so many evaluations.
local function ravine(racer, lr)
  local at = mg.tensor(start:totable(), { requires_grad = true })
  local opt, count, lowest, result = make(racer, lr):attach { at }, 0, math.huge, {}
  local function loss()
    opt:zero_grad()
    local x, y = at:narrow(1, 1, 1), at:narrow(1, 2, 1)
    local l = ((1 - x):square() + (y - x:square()):square() * 100):sum()
    l:backward()
    count, lowest = count + 1, math.min(lowest, l:item())
    for i, n in ipairs(checks) do
      if count <= n then result[i] = lowest end
    end
    return l
  end
  repeat
    local before = count
    opt:step(loss)
  until count >= options.steps or lowest < 1e-12 or before == count
  result.last = lowest
  for i = 1, #checks do result[i] = result[i] or lowest end
  return result
end

local function number(v) return v < 1e-9 and "0" or ("%.2g"):format(v) end

print(("Lowest loss in the ravine, from (%.2f, %.2f)\n"):format(start[1], start[2]))
print(("%-14s %7s   after %4d   %9d   %9d evaluations"):format("", "lr", checks[1], checks[2],
  checks[3]))
local down = {}
for _, racer in ipairs(racers) do
  local r, lr = best_of(function(lr) return ravine(racer, lr) end)
  down[racer[1]] = r
  print(("%-14s %7g   %10s   %9s   %9s"):format(racer[1], lr, number(r[1]), number(r[2]),
    number(r[3])))
end

------------------------------------------------------------------ part 2: the pictures

local train = common.fashion_mnist(mg, options.data):shuffle():range(1, 2000)

--- The loss on all pictures after each epoch, from the same weights in the same order.
local function learn(racer, lr)
  mg.seed(options.seed)
  local net = mg.sequential { { 1, 28, 28 }, mg.flatten(), mg.dense(32, "relu"), mg.dense(10) }
  local opt, result = make(racer, lr), {}
  local trainer = mg.trainer { net = net, loss = "cross_entropy", optimizer = opt }
  for _ in trainer:epochs(options.epochs, train, { batch = 32, shuffle = true }) do
    result[#result + 1] = trainer:evaluate(train).loss
  end
  result.last = result[#result]
  return result
end

print(("\nLoss on the pictures after each of %d passes, batches of 32\n"):format(options.epochs))
local learned = {}
for _, racer in ipairs(racers) do
  local r, lr = best_of(function(lr) return learn(racer, lr) end)
  learned[racer[1]] = r
  local text = {}
  for i, loss in ipairs(r) do text[i] = ("%8.3f"):format(loss) end
  print(("%-14s %7g   %s"):format(racer[1], lr, table.concat(text, " ")))
end

local plain, worst = down["plain descent"], 0
for name, r in pairs(learned) do
  if name ~= "rprop" then worst = math.max(worst, r.last) end
end
local last, adam = learned["plain descent"].last, learned.adam.last
common.claim(down.momentum[3] < plain[3] / 10 and down.lbfgs[2] < 1e-6 and plain[2] > 0.01 and
  learned.momentum.last < last and adam < last and learned.rprop.last > worst,
  ("after %d evaluations L-BFGS stands at %s, plain descent at %s; on pictures adam comes to"
   .. " %.2f, plain descent to %.2f, rprop to %.2f"):format(checks[2], number(down.lbfgs[2]),
   number(plain[2]), adam, last, learned.rprop.last))
