-- Claim: one neuron recovers the sigmoid curve behind noisy points, and a net
-- with a hidden layer learns a sine: nowhere off by more than 0.05 and 0.1.
--
-- The points of the first part were made by a neuron, sigmoid(2x - 1), and
-- blurred; another neuron finds weight and bias back. The sine of the second
-- goes up, down and up again, which no single neuron can. Sixteen of them can:
-- their curves, shifted, stretched and added, take its shape.

local common = dofile((arg[0]:match("^.*[/\\]") or "") .. "common.lua")
local mg, options = common.start("A neuron fits a sigmoid curve, a hidden layer a sine.",
  { pictures = true, { "epochs", 2000, "passes over the points" } })

--- Trains the net on points (x, y), both {n, 1}.
local function fit(net, x, y, lr)
  local trainer = mg.trainer { net = net, loss = "mse", optimizer = mg.adam { lr = lr } }
  for epoch = 1, options.epochs do
    local loss = trainer:step(x, y)
    if epoch == 1 or epoch % 500 == 0 then
      print(("  epoch %4d  loss %.5f"):format(epoch, loss))
    end
  end
end

--- Draws points and net, and returns how far the net is off the true curve.
local function compare(title, net, x, y, truth)
  common.show("curve", { { x = x, y = y, label = "points" }, { f = net, label = "net" } },
    { title = title })
  local at = mg.linspace(x:min():item(), x:max():item(), 128):reshape(128, 1)
  local off = (net:predict(at) - truth(at)):abs():max():item()
  print(("\nThe net is at most %.3f off the true curve.\n"):format(off))
  return off
end

print("Part 1: which neuron made these points?\n")
local function neuron_curve(x) return (x * 2 - 1):sigmoid() end
local x = mg.rand(300, 1) * 8 - 4
local y = neuron_curve(x) + mg.randn(300, 1) * 0.05
local neuron = mg.sequential { 1, mg.dense(1), "sigmoid" }
fit(neuron, x, y, 0.05)
print(("  weight %.2f, bias %.2f; the points were made with 2 and -1\n"):format(
  neuron:named()["0.weight"]:get(1, 1), neuron:named()["0.bias"][1]))
local neuron_off = compare("One neuron", neuron, x, y, neuron_curve)

print("Part 2: a sine, with a hidden layer of 16 neurons\n")
local angle = mg.linspace(-math.pi, math.pi, 100):reshape(100, 1)
local net = mg.sequential { 1, mg.dense(16), "tanh", mg.dense(1) }
fit(net, angle, angle:sin(), 0.01)
print()
local sine_off = compare("A sine by 16 neurons", net, angle, angle:sin(),
  function(v) return v:sin() end)

common.claim(neuron_off <= 0.05 and sine_off <= 0.1,
  ("off by at most %.3f on the sigmoid and %.3f on the sine")
  :format(neuron_off, sine_off))
