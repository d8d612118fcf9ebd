-- Claim: for twelve kinds of layers the slopes that backpropagation works out are
-- those that one measures, to within 1 in 100; and a mistake does not go unseen.
--
-- The slope of a weight says how fast the loss grows when that weight grows. It
-- can be measured: make the weight a little larger, then a little smaller, and
-- see how far the loss moves. For each weight that takes two runs of the net.
-- Backpropagation finds all slopes in one run back through it, by rules that are
-- easily got wrong. So who writes such rules checks them, as we do here.

local common = dofile((arg[0]:match("^.*[/\\]") or "") .. "common.lua")
local mg, options = common.start("Backpropagation's slopes against measured ones.",
  { { "step", 0.01, "how far a weight is moved to measure its slope" } })

local x, y = mg.randn(6, 4), mg.randn(6, 3) -- six examples: four inputs, three targets

--- Measures the slope of each number of a tensor: (up - down) / (2 * step).
local function measure(tensor, loss)
  local numbers, slopes = tensor:detach():reshape(-1), {}
  for i = 1, #numbers do
    local before = numbers[i]
    numbers[i] = before + options.step
    local up = loss()
    numbers[i] = before - options.step
    slopes[i] = (up - loss()) / (2 * options.step)
    numbers[i] = before
  end
  return slopes
end

--- The distance between two lists of slopes, as a part of their length.
local function apart(a, b)
  local difference, length = 0, 0
  for i = 1, #a do
    difference, length = difference + (a[i] - b[i]) ^ 2, length + a[i] ^ 2
  end
  return math.sqrt(difference / length)
end

--- Both slopes of all weights of a net; prints the first one's, and how far all
-- of them are apart.
local function check(name, middle)
  local net = mg.sequential { 4, mg.dense(5), middle, mg.dense(3) }
  local function loss() return mg.mse(net:predict(x), y):item() end
  mg.mse(net(x), y):backward()
  local measured, found = {}, {}
  for _, p in ipairs(net:parameters()) do
    for _, v in ipairs(measure(p.tensor, loss)) do measured[#measured + 1] = v end
    for _, v in ipairs(common.numbers(p.tensor.grad)) do found[#found + 1] = v end
  end
  local distance = apart(measured, found)
  print(("%-20s %9d %10.5f %10.5f %10.6f"):format(name, #found, measured[1], found[1],
    distance))
  return distance
end

print("in the middle          weights   measured   backward      apart")
local worst = math.max(
  check("dense", mg.dense(5)),
  check("dense, tanh", mg.dense(5, "tanh")),
  check("sigmoid", "sigmoid"),
  check("gelu", "gelu"),
  check("softplus", "softplus"),
  check("residual", mg.residual { mg.dense(5, "tanh") }),
  check("parallel", mg.parallel { mg.dense(2, "silu"), mg.dense(3) }),
  check("layernorm", mg.layernorm()),
  check("conv1d", mg.sequential { mg.reshape(1, 5), mg.conv1d(2, 3), mg.flatten() }),
  check("lstm", mg.sequential { mg.reshape(5, 1), mg.lstm(3), mg.flatten() }),
  check("attention", mg.sequential { mg.reshape(5, 1), mg.attention(1), mg.flatten() }),
  check("our own: x * sin(x)", function(v) return v * v:sin() end))

-- detach() hides where a number came from, so half of the rule for v * v is lost.
print("\nThe same with a mistake in it:")
local mistake = check("our own: x * x", function(v) return v * v:detach() end)

common.claim(worst < 0.01 and mistake > 0.1,
  ("slopes at most %.4f apart, with a mistake %.2f"):format(worst, mistake))
