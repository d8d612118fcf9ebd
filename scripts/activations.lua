-- Claim: two layers without an activation between them are one layer; with one, a net
-- learns to tell the inside of a ring from the outside, and without one it cannot.
--
-- A layer multiplies and adds. Two of them, one behind the other, multiply and add too, and
-- a single layer with the right weights does the same: depth is for nothing. The
-- activation between them is any bend: relu cuts what is below 0, tanh and sigmoid flatten
-- both ends. Which bend is a matter of taste and speed; that there is one is not.

local common = dofile((arg[0]:match("^.*[/\\]") or "") .. "common.lua")
local mg, options = common.start("Activations, and why a net is nothing without them.", {
  pictures = true, { "epochs", 60, "passes over the 400 points, for each net" },
})

-- Part 1: W2 (W1 x + b1) + b2 = (W2 W1) x + (W2 b1 + b2)
local first, second = mg.dense(16, { inputs = 3 }), mg.dense(2, { inputs = 16 })
first:named().bias:copy(mg.randn(16))
local w1, b1 = first:named().weight, first:named().bias
local w2, b2 = second:named().weight, second:named().bias
local one = mg.dense(2, { inputs = 3 })
mg.no_grad(function()
  one:named().weight:copy(w2:matmul(w1))
  one:named().bias:copy(w2:matmul(b1) + b2)
end)
local x = mg.randn(100, 3)
local apart = (second:predict(first:predict(x)) - one:predict(x)):abs():max():item()
print(("Two layers of 16 and 2 neurons and one of 2: answers at most %.1e apart.\n")
  :format(apart))

local bends = { "sigmoid", "tanh", "relu", "gelu" }
local curves, at = {}, mg.linspace(-4, 4, 161)
for i, name in ipairs(bends) do
  curves[i] = { x = at, y = at[name](at), line = true, label = name }
end
common.show("curve", curves, { title = "Activations", xlabel = "sum", ylabel = "output",
                               low = -1.2, high = 3 })

-- Part 2: the inside of a ring
local points = mg.randn(400, 2)
local inside = points:square():sum(2, true):lt(1.2)

local function learn(act)
  local net = mg.sequential { 2, mg.dense(16), act or function(v) return v end, mg.dense(1),
                              "sigmoid" }
  local trainer = mg.trainer { net = net, loss = "bce", optimizer = mg.adam { lr = 0.03 },
                               metrics = { "accuracy" } }
  trainer:fit(options.epochs, { x = points, y = inside, batch = 20, shuffle = true })
  return net, trainer:evaluate { x = points, y = inside }.accuracy
end

print "\nInside or outside of a ring, 400 points, 16 hidden neurons:\n"
local _, plain = learn(nil)
print(("  no activation  %.3f named rightly"):format(plain))
local least, net = 1, nil
for _, name in ipairs(bends) do
  local accuracy
  net, accuracy = learn(name)
  least = math.min(least, accuracy)
  print(("  %-13s  %.3f"):format(name, accuracy))
end
print "\nA curve made of sixteen bent lines, the last net's:\n"
common.show("boundary", net, { x = points, y = inside },
  { title = "gelu", names = { "outside", "inside" }, hidden = false })

common.claim(apart < 1e-4 and plain < 0.8 and least > 0.93,
  ("two layers are one, and name %.2f of the points; with an activation at least %.2f")
  :format(plain, least))
