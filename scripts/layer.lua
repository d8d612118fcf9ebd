-- Claim: a layer is nothing but inputs times weights plus bias. The same numbers
-- come out by hand, from mg.dense one sample at a time, and for all at once.
--
-- A dense layer is a row of neurons that all see the same inputs. Neuron j
-- answers  weight[j][1]*x[1] + weight[j][2]*x[2] + .. + bias[j].  The weights of
-- a layer make a matrix with one row a neuron. Several samples make a matrix
-- too, one row a sample: a batch. Then one matrix product answers for all
-- neurons and all samples together, which is what makes networks fast.

local common = dofile((arg[0]:match("^.*[/\\]") or "") .. "common.lua")
local mg = common.start("A layer three ways: by hand, as mg.dense, as a batch.",
  { { "epochs", 1, "accepted as everywhere; nothing is trained here" } })

local inputs = { -- three samples with four numbers each
  { 1, 2, 3, 2.5 },
  { 2, 5, -1, 2 },
  { -1.5, 2.5, 3.5, -1 },
}
local weight = { -- three neurons, with a weight for each of the four inputs
  { 0.2, 0.8, -0.5, 1 },
  { 0.5, -0.9, 0.3, -0.5 },
  { -0.3, -0.3, 0.2, 0.9 },
}
local bias = { 2, 3, 0.7 }

--- The layer in plain Lua, one multiplication after the other.
local function by_hand(x)
  local y = {}
  for j = 1, #weight do
    y[j] = bias[j]
    for i = 1, #x do y[j] = y[j] + weight[j][i] * x[i] end
  end
  return y
end

-- The same as a layer. It starts with random weights; ours are copied over them.
local layer = mg.sequential { 4, mg.dense(3) }
local parameters = layer:named()
parameters["0.weight"]:copy(mg.tensor(weight)) -- {3, 4}: neurons, inputs
parameters["0.bias"]:copy(mg.tensor(bias)) -- {3}

local batch = layer:predict(mg.tensor(inputs)) -- {3, 3}: samples, neurons

local worst = 0
print("  sample   neuron      by hand     mg.dense   in a batch")
for s, x in ipairs(inputs) do
  local hand = by_hand(x)
  local single = layer:predict(mg.tensor { x }) -- {1, 3}: a batch of one
  for j = 1, #bias do
    local one, all = single:get(1, j), batch:get(s, j)
    print(("  %6d   %6d   %10.4f   %10.4f   %10.4f"):format(s, j, hand[j], one, all))
    worst = math.max(worst, math.abs(one - hand[j]), math.abs(all - hand[j]))
  end
end

common.claim(worst < 1e-5, ("three ways agree to within %.1e"):format(worst))
