-- Claim: one neuron never answers more than 3 of the 4 rows of XOR, whichever
-- of 20 seeds it starts from; with a hidden layer all 4, from every one of them.
--
-- XOR is 1 when the inputs differ. A neuron draws one straight line across the
-- plane of its inputs, and no straight line has (0, 1) and (1, 0) on one side,
-- (0, 0) and (1, 1) on the other. A hidden layer is a row of neurons between
-- the inputs and the answer: each draws a line of its own, and the last neuron
-- combines them. Nobody says which lines; backpropagation finds them.

local common = dofile((arg[0]:match("^.*[/\\]") or "") .. "common.lua")
local mg, options = common.start("One neuron cannot learn XOR, a hidden layer can.",
  { pictures = true, { "epochs", 500, "passes over the four rows, for each seed" } })

local rows = {
  -- x1, x2, what the net should answer
  { 0, 0, 0 },
  { 0, 1, 1 },
  { 1, 0, 1 },
  { 1, 1, 0 },
}
local inputs = mg.tensor { { 0, 0 }, { 0, 1 }, { 1, 0 }, { 1, 1 } }
local targets = mg.tensor { { 0 }, { 1 }, { 1 }, { 0 } }

local function one_neuron()
  return mg.sequential { 2, mg.dense(1), "sigmoid" }
end

local function with_hidden_layer()
  return mg.sequential { 2, mg.dense(8), "tanh", mg.dense(1), "sigmoid" }
end

--- Trains 20 nets, one a seed. Returns how many rows the worst and the best of
-- them answer rightly, and the last net.
local function train(title, new_net)
  local scores, worst, best, net = {}, 4, 0, nil
  for i = 1, 20 do
    mg.seed(options.seed + i - 1)
    net = new_net()
    local trainer = mg.trainer { net = net, loss = "bce",
                                 optimizer = mg.adam { lr = 0.05 } }
    for _ = 1, options.epochs do trainer:step(inputs, targets) end
    scores[i] = common.truth_table(rows, net:predict(inputs), "quiet")
    worst, best = math.min(worst, scores[i]), math.max(best, scores[i])
  end
  print(("%s, rows right from seed %d on: %s"):format(title, options.seed,
    table.concat(scores, " ")))
  return worst, best, net
end

local _, best, neuron = train("one neuron  ", one_neuron)
local worst, _, net = train("hidden layer", with_hidden_layer)

print("\nThe last neuron, which settles for a shrug:\n")
common.truth_table(rows, neuron:predict(inputs))
print("\nThe last net with a hidden layer:\n")
common.truth_table(rows, net:predict(inputs))
print("\nWhere it answers 0 and 1; below, what each hidden neuron sees, a line.\n")
common.plane(net, rows, { title = "XOR" })

common.claim(best <= 3 and worst == 4,
  ("one neuron at best %d of 4, a hidden layer at worst %d of 4")
  :format(best, worst))
