-- One neuron learns a logic gate. train_and, train_or and train_nand differ
-- only in the truth table they hand over; everything they do is here.
--
-- A neuron multiplies each input by a weight, adds a bias, and squeezes the sum
-- into 0..1 with the sigmoid curve:  output = sigmoid(w1*x1 + w2*x2 + b).
-- Learning means: measure how wrong the outputs are (the loss), work out for
-- each weight in which direction the loss falls, go a little way there, repeat.

local common = dofile((arg[0]:match("^.*[/\\]") or "") .. "common.lua")
local gate = {}

--- Trains one neuron on four rows {x1, x2, target} and shows what it learned.
function gate.learn(name, rows)
  local mg, options = common.start("One neuron learns the " .. name .. " gate.",
    { pictures = true, { "epochs", 500, "passes over the four rows" } })

  local x, y = {}, {}
  for i, row in ipairs(rows) do
    x[i], y[i] = { row[1], row[2] }, { row[3] }
  end
  local inputs, targets = mg.tensor(x), mg.tensor(y) -- {4, 2} and {4, 1}

  -- Two inputs, one neuron, and the sigmoid behind it.
  local neuron = mg.sequential { 2, mg.dense(1), "sigmoid" }
  local trainer = mg.trainer { net = neuron, loss = "bce", optimizer = mg.sgd { lr = 1 } }

  local first, last
  for _ = 1, options.epochs do
    last = trainer:step(inputs, targets)
    first = first or last
  end
  print(("%s, %d epochs: the loss fell from %.3f to %.3f\n")
    :format(name, options.epochs, first, last))

  local right = common.truth_table(rows, neuron:predict(inputs))

  local weight = common.numbers(neuron:named()["0.weight"])
  local bias = common.numbers(neuron:named()["0.bias"])
  local w1, w2, b = weight[1], weight[2], bias[1]
  print(("\nweights %.2f and %.2f, bias %.2f"):format(w1, w2, b))
  print(("On one side of  %.2f*x1 %+.2f*x2 %+.2f = 0  it answers 1, on the other 0:\n")
    :format(w1, w2, b))
  common.plane(neuron, rows, { title = name })

  common.claim(right == 4, ("one neuron answers %d of 4 rows of %s"):format(right, name))
end

return gate
