-- Claim: in a net of 20 layers, weights that begin too small let the signal die,
-- weights that begin too large let it explode, and neither net learns; begun to
-- measure (he_normal) the signal arrives, and the net learns.
--
-- Each layer multiplies the numbers that come in by its weights and adds up: a
-- hundred products a neuron. If what comes out is half as large as what came in,
-- 20 layers leave a millionth of it. If it is twice as large, it is a million
-- times that. He's rule chooses the size of the first weights such that behind relu,
-- which loses half of the signal, it stays as it is.

local common = dofile((arg[0]:match("^.*[/\\]") or "") .. "common.lua")
local mg, options = common.start("How a deep net's first weights decide whether it learns.", {
  pictures = true,
  { "epochs", 10, "passes over 2,000 pictures" },
  { "data", false, "where the four idx files are", "FOLDER" },
})
local DEPTH, WIDTH = 20, 100

local train = common.fashion_mnist(mg, options.data):shuffle():range(1, 2000)
train:normalize() -- mean 0, deviation 1

--- A deep net by one initialiser, its weights 'factor' times what that gives.
local function new_net(init, factor)
  mg.seed(options.seed)
  local layers = { { 1, 28, 28 }, mg.flatten() }
  for _ = 1, DEPTH do
    layers[#layers + 1] = mg.dense(WIDTH, { act = "relu", init = init })
  end
  layers[#layers + 1] = mg.dense(10, { init = "xavier_normal" })
  local net = mg.sequential(layers)
  for name, p in pairs(net:named()) do
    if name ~= DEPTH + 1 .. ".weight" then p:detach():mul_(factor) end
  end
  return net
end

--- How large numbers are, the sign aside: the root of their mean square.
local function size(t) return t:square():mean():sqrt():item() end

--- The size of the signal behind some layers, and of the slopes of the first.
local function signal(net)
  local x, y = train:batch(1, 200)
  local sizes = {}
  mg.cross_entropy(net(x), y):backward()
  local slopes = size(net:named()["1.weight"].grad)
  for i, part in ipairs(net:describe().parts) do
    x = part.layer:predict(x)
    sizes[i - 1] = size(x) -- part 1 is flatten
  end
  return sizes, slopes
end

--- Trains the net; the share of training pictures that it then names rightly.
local function learn(net)
  local trainer = mg.trainer { net = net, loss = "cross_entropy", metrics = { "accuracy" },
                               optimizer = mg.sgd { lr = 0.01, momentum = 0.9 } }
  -- where a loss is infinite, fit stops with an error and leaves the net as it was
  pcall(trainer.fit, trainer, options.epochs, { data = train, batch = 50, shuffle = true })
  return trainer:evaluate(train).accuracy
end

local rows = {
  { "too small", "normal", 1 }, -- deviation 0.05
  { "too large", "normal", 8 }, -- deviation 0.4
  { "xavier", "xavier_normal", 1 },
  { "he", "he_normal", 1 },
}
print("                 signal behind layer                slopes of      named")
print("weights             1         7        14        20     layer 1    rightly")
local found, curves, places = {}, {}, {}
for i = 1, DEPTH + 1 do places[i] = i end
for _, row in ipairs(rows) do
  local net = new_net(row[2], row[3])
  local sizes, slopes = signal(net)
  local right = learn(net)
  curves[#curves + 1] = { x = places, y = sizes, line = true, label = row[1] }
  found[row[1]] = { last = sizes[DEPTH], ratio = sizes[DEPTH] / sizes[1], right = right }
  print(("%-11s %9.2g %9.2g %9.2g %9.2g   %9.2g %10.3f"):format(row[1], sizes[1], sizes[7],
    sizes[14], sizes[20], slopes, right))
end

print "\nThe size of the signal on its way: it dies, explodes, or arrives.\n"
common.show("curve", curves, { log = true, xlabel = "behind layer",
                               ylabel = "size of the signal" })

local small, large, he = found["too small"], found["too large"], found.he
common.claim(small.ratio < 1e-6 and large.ratio > 1e6 and he.ratio > 0.1 and he.ratio < 10 and
             small.right < 0.2 and large.right < 0.2 and he.right > 0.5,
  ("20 layers make %.0e, %.0e and %.1f of a signal; %.2f, %.2f and %.2f named rightly"):format(
    small.ratio, large.ratio, he.ratio, small.right, large.right, he.right))
