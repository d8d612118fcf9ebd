-- Claim: a neuron with two inputs cuts their plane along one straight line; its weights
-- say how the line is turned, its bias how far it lies from the middle.
--
-- The neuron answers sigmoid(w1*x1 + w2*x2 + b). It is undecided, one half, where the sum is
-- 0, and those places make a line: w1*x1 + w2*x2 + b = 0. The weights, taken as an arrow,
-- stand upright on the line and point to the side of 1. The line passes (0, 0) at a
-- distance of |b| / |w|. Nothing is trained here; the numbers are ours.

local common = dofile((arg[0]:match("^.*[/\\]") or "") .. "common.lua")
local mg = common.start("One neuron, and the line that it draws.",
  { pictures = true, { "epochs", 1, "accepted as everywhere; nothing is trained here" } })

--- A neuron with given weights and bias.
local function neuron(w1, w2, b)
  local net = mg.sequential { 2, mg.dense(1), "sigmoid" }
  local parts = net:named()
  parts["0.weight"]:copy(mg.tensor { { w1, w2 } })
  parts["0.bias"]:copy(mg.tensor { b })
  return net
end

local points = mg.rand(1000, 2) * 4 - 2 -- from -2 to 2
local list = points:totable()

--- How many points the neuron names by the side of the line on which they lie.
local function by_side(w1, w2, b)
  local answers, right = common.numbers(neuron(w1, w2, b):predict(points)), 0
  for i, p in ipairs(list) do
    local above = w1 * p[1] + w2 * p[2] + b > 0
    if (answers[i] > 0.5) == above then right = right + 1 end
  end
  return right
end

print("  weights         bias   the arrow points   line from (0, 0)   right by side")
local least = 1000
local neurons = { { 2, 0, 0 }, { 2, 2, 0 }, { 0, 2, 0 }, { -2, 2, 0 }, { 2, 2, 2 },
                  { 2, 2, -2 }, { 6, 6, -6 } }
for _, n in ipairs(neurons) do
  local w1, w2, b = n[1], n[2], n[3]
  local right = by_side(w1, w2, b)
  least = math.min(least, right)
  local up, across = w2 > 0 and "up" or "", w1 > 0 and "right" or w1 < 0 and "left" or ""
  print(("%5.1f and %4.1f   %5.1f   %16s   %16.2f    %4d of 1000"):format(w1, w2, b,
    up .. (up ~= "" and across ~= "" and ", " or "") .. across,
    math.abs(b) / math.sqrt(w1 * w1 + w2 * w2), right))
end
print "\nLarger weights and bias in the same proportion, as in the last two rows, keep"
print "the line where it is: only the change from 0 to 1 becomes steeper.\n"

common.plane(neuron(2, 2, -2), { { -1, -1, 0 }, { 0, 0, 0 }, { 1, 1, 1 }, { 2, 0.5, 1 } },
  { title = "Weights 2 and 2, bias -2" })

common.claim(least >= 999, ("at least %d of 1000 points are named by their side")
  :format(least))
