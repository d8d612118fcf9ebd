-- Claim: a neuron's weight sets how steep its curve is (slope weight/4 at the
-- centre), its bias where the curve stands (centre at -bias/weight).
--
-- A neuron with one input computes sigmoid(weight*x + bias). The sigmoid turns
-- any number into one between 0 and 1: far below zero gives nearly 0, zero
-- gives one half, far above gives nearly 1. These two numbers, weight and bias,
-- are all that training ever changes.

local common = dofile((arg[0]:match("^.*[/\\]") or "") .. "common.lua")
local mg = common.start("What weight and bias do to a neuron's curve.",
  { pictures = true, { "epochs", 1, "accepted as everywhere; nothing is trained here" } })

local function neuron(x, weight, bias)
  return (x * weight + bias):sigmoid()
end

--- The curves of several neurons, each {weight, bias}, in one picture.
local function family(title, neurons)
  local x, curves = mg.linspace(-6, 6, 121), {}
  for i, n in ipairs(neurons) do
    curves[i] = { x = x, y = neuron(x, n[1], n[2]), line = true,
                  label = ("weight %g, bias %g"):format(n[1], n[2]) }
  end
  common.show("curve", curves, { title = title, ylabel = "output" })
end

print "The larger the weight, the steeper the curve; a small one makes it loose, and"
print "one below 0 turns it round.\n"
family("What the weight does", { { 0.5, 0 }, { 1, 0 }, { 4, 0 }, { -1, 0 } })
print "\nThe bias shifts the curve: a large one to the left, one below 0 to the right.\n"
family("What the bias does", { { 2, 6 }, { 2, 0 }, { 2, -6 } })

--- The neuron's output for one number, as a number.
local function output(at, weight, bias)
  return neuron(mg.tensor(at), weight, bias):item()
end

print("\n  weight   bias   centre   output there   slope there   weight/4")
local held, step = true, 0.01
for _, weight in ipairs { 0.5, 1, 2, 4, -1 } do
  for _, bias in ipairs { -3, 0, 3 } do
    local centre = 0 - bias / weight
    local middle = output(centre, weight, bias)
    -- The slope: how much the output changes over a small step around it.
    local rise = output(centre + step, weight, bias) - output(centre - step, weight, bias)
    local slope = rise / (2 * step)
    print(("  %6.1f %6.1f   %6.2f   %12.4f   %11.3f   %8.3f")
      :format(weight, bias, centre, middle, slope, weight / 4))
    held = held and math.abs(middle - 0.5) < 0.001 and math.abs(slope - weight / 4) < 0.01
  end
end

common.claim(held, "15 neurons have output 0.5 and slope weight/4 at -bias/weight")
