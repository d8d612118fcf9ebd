-- Claim: a hidden layer of two neurons moves the four rows of XOR to places where one
-- straight line separates them; where they stand at first, none does.
--
-- The last neuron of a net draws one straight line, as every neuron does. But it does not see
-- the inputs. It sees what the hidden neurons answer, and they have bent the plane: rows
-- that lay across from each other now lie together. The perceptron rule of
-- perceptron.lua is the judge: it finds a line if there is one, and else never rests.

local common = dofile((arg[0]:match("^.*[/\\]") or "") .. "common.lua")
local mg, options = common.start("A hidden layer bends the plane until a line is enough.", {
  pictures = true, { "epochs", 1000, "passes over the four rows, for each try" },
})

local rows = { { 0, 0, 0 }, { 0, 1, 1 }, { 1, 0, 1 }, { 1, 1, 0 } }
local inputs = mg.tensor { { 0, 0 }, { 0, 1 }, { 1, 0 }, { 1, 1 } }
local targets = mg.tensor { { 0 }, { 1 }, { 1 }, { 0 } }

--- Trains a net with two hidden neurons; nil where it got stuck, as so small a net may.
local function try()
  local net = mg.sequential { 2, mg.dense(2), "tanh", mg.dense(1), "sigmoid" }
  local trainer = mg.trainer { net = net, loss = "bce", optimizer = mg.adam { lr = 0.05 } }
  local loss
  for _ = 1, options.epochs do loss = trainer:step(inputs, targets) end
  return loss < 0.05 and net or nil
end

local net, tries = try(), 1
while not net and tries < 20 do net, tries = try(), tries + 1 end
if not net then common.claim(false, "no net learned XOR within 20 tries") end
print(("A net with two hidden neurons learned XOR at try %d.\n"):format(tries))

--- Does the perceptron rule find a line between points {x, y} of targets 0 and 1?
local function separable(points)
  local w1, w2, b = 0, 0, 0
  for _ = 1, 10000 do
    local mistakes = 0
    for i, p in ipairs(points) do
      local output = w1 * p[1] + w2 * p[2] + b > 0 and 1 or 0
      local err = rows[i][3] - output
      if err ~= 0 then mistakes = mistakes + 1 end
      w1, w2, b = w1 + err * p[1], w2 + err * p[2], b + err
    end
    if mistakes == 0 then return true end
  end
  return false
end

-- The first two layers alone: what the last neuron sees.
local x = inputs
for i, part in ipairs(net:describe().parts) do
  if i <= 2 then x = part.layer:predict(x) end
end
local moved = x:totable()
print("   inputs    target   what the last neuron sees")
for i, row in ipairs(rows) do
  print(("  %d and %d       %d       %6.2f and %5.2f"):format(row[1], row[2], row[3], moved[i][1],
    moved[i][2]))
end

local before, after = separable(inputs:totable()), separable(moved)
print(("\nOne line separates 0 from 1: at first %s, behind the hidden layer %s.\n")
  :format(before and "yes" or "no", after and "yes" or "no"))

-- The line of the last neuron among the moved points.
local weight, bias = net:named()["2.weight"], net:named()["2.bias"][1]
local w1, w2 = weight:get(1, 1), weight:get(1, 2)
local zero, one = { x = {}, y = {}, label = "0" }, { x = {}, y = {}, label = "1" }
for i, p in ipairs(moved) do
  local series = rows[i][3] == 1 and one or zero
  table.insert(series.x, p[1])
  table.insert(series.y, p[2])
end
common.plane(net, rows, { title = "The plane of the inputs" })
print "\nAnd the plane that the last neuron sees: two rows have moved together.\n"
common.show("curve", { zero, one,
    { f = function(v) return -(w1 * v + bias) / w2 end, label = "line of the last neuron" } },
  { from = -1.2, to = 1.2, low = -1.2, high = 1.2, title = "Behind the hidden layer",
    xlabel = "hidden neuron 1", ylabel = "hidden neuron 2" })

common.claim(not before and after,
  "a line separates the rows of XOR behind two hidden neurons, and not before")
