-- Claim: on its way back through twenty layers of sigmoid a gradient shrinks to less
-- than a millionth, through relu it does not; back through a hundred steps in time it
-- shrinks to less than 1/100,000 in a plain recurrent net, and in an LSTM whose forget
-- gate is open it does not.
--
-- On the way back each layer multiplies the gradient by its weights and by its slope.
-- The slope of the sigmoid is 1/4 at most; twenty of them, and nothing is left for the
-- first layers to learn from. relu has slope 1 or 0 (He et al., "Delving deep into
-- rectifiers", 2015, choose weights to match). A recurrent net is as deep as its
-- sequence is long (Bengio et al., "Learning long-term dependencies with gradient
-- descent is difficult", 1994). An LSTM hands its memory on times the forget gate alone:
-- half open, as it starts, that is 1/2 a step; with a bias of 3 it is 0.95.

local common = dofile((arg[0]:match("^.*[/\\]") or "") .. "common.lua")
local mg, options = common.start("Gradients vanish on their way back, or do not.", {
  pictures = true,
  { "layers", 20, "layers of the deep nets" },
  { "steps", 100, "steps of the recurrent nets" },
  { "forget", 3.0, "bias of the open forget gate" },
})
local WIDTH, BATCH = 32, 64
local LAYERS, STEPS = math.max(2, options.layers), math.max(2, options.steps)

--- The sizes of the gradients of each layer's weights, first layer first.
local function through_layers(act, init)
  local layers = { WIDTH }
  for _ = 1, LAYERS do layers[#layers + 1] = mg.dense(WIDTH, { act = act, init = init }) end
  layers[#layers + 1] = mg.dense(1)
  local net = mg.sequential(layers)
  mg.mse(net(mg.randn(BATCH, WIDTH)), mg.randn(BATCH, 1)):backward()
  local sizes, named = {}, net:named()
  for i = 1, LAYERS do sizes[i] = named[i - 1 .. ".weight"].grad:norm():item() end
  return sizes
end

--- How much the last step of a recurrent net feels of the input of each step.
local function through_time(layer, forget)
  layer:build(BATCH, STEPS, 4)
  if forget then -- the second of the four gates of an lstm
    mg.no_grad(function()
      layer:named().bias_ih_l0:narrow(1, WIDTH + 1, WIDTH):fill(forget)
    end)
  end
  local x = mg.tensor(mg.randn(BATCH, STEPS, 4):totable(), { requires_grad = true })
  layer(x):square():sum():backward()
  local sizes = {}
  for t = 1, STEPS do sizes[t] = x.grad:select(2, t):norm():item() end
  return sizes
end

--- Draws sizes, on an axis of powers of ten, over their places.
local function draw(title, place, entries)
  local curves = {}
  for i, entry in ipairs(entries) do
    local places, sizes = {}, entry[1]
    for k = 1, #sizes do places[k] = k end
    curves[i] = { x = places, y = sizes, line = true, label = entry[2] }
  end
  common.show("curve", curves, { log = true, title = title, xlabel = place, ylabel = "norm" })
  print()
  for _, entry in ipairs(entries) do
    local sizes = entry[1]
    print(("  %-27s first %7.1e   last %7.1e   first/last %7.1e"):format(entry[2], sizes[1],
      sizes[#sizes], sizes[1] / sizes[#sizes]))
  end
end

local LAST = { return_sequence = false }
print("What reaches the first layers of a deep net: with sigmoid nothing, relu all.\n")
local sigmoid = through_layers("sigmoid", "xavier_uniform")
local relu = through_layers("relu", "he_normal")
draw("The gradient of each layer's weights", "layer", { { sigmoid, "sigmoid" }, { relu, "relu" } })

print("\nHow much the last step of a recurrent net feels of each step's input.\n")
local rnn = through_time(mg.rnn(WIDTH, LAST))
local half = through_time(mg.lstm(WIDTH, LAST))
local open = through_time(mg.lstm(WIDTH, LAST), options.forget)
draw("The gradient of the last step for each step's input", "step",
  { { half, "lstm, forget gate half open" }, { rnn, "plain recurrent net" },
    { open, "lstm, forget gate open" } })

local function share(sizes) return sizes[1] / sizes[#sizes] end
common.claim(share(sigmoid) < 1e-6 and share(relu) > 1e-2 and
             share(rnn) < 1e-5 and share(open) > 1e-2,
  ("of the last gradient the first is %.0e (sigmoid), %.2f (relu), %.0e (rnn), %.2f (lstm)")
  :format(share(sigmoid), share(relu), share(rnn), share(open)))
