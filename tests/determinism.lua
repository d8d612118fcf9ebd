-- The same seed gives the same bits: five models trained from each of many seeds,
-- under every instruction set with fused multiply-add that this machine has. The
-- last line is a hash over everything, to compare between compilers.
--
--   lua5.4 tests/determinism.lua [--seeds 100]

local mg = require "moongrad"
local core = mg.core

local seeds = 100
for i = 1, #arg, 2 do
  assert(arg[i] == "--seeds", "unknown option " .. arg[i])
  seeds = assert(tonumber(arg[i + 1]), "--seeds needs a number")
end

local function labels(n, classes)
  local list = {}
  for i, v in ipairs((mg.rand(n) * classes):totable()) do list[i] = math.floor(v) + 1 end
  return mg.tensor(list)
end

--- name -> a function that makes a net, a loss, an optimizer and data.
local models = {
  { "xor", function()
    return mg.sequential { 2, mg.dense(8), "tanh", mg.dense(1), "sigmoid" }, "bce",
      mg.adam { lr = 0.05 }, mg.tensor { { 0, 0 }, { 0, 1 }, { 1, 0 }, { 1, 1 } },
      mg.tensor { 0, 1, 1, 0 }
  end },
  { "mlp", function()
    return mg.sequential { 30, mg.dense(40, "relu"), mg.dense(5) }, "cross_entropy",
      mg.sgd { lr = 0.1, momentum = 0.9 }, mg.randn(150, 30), labels(150, 5)
  end },
  { "deep with dropout", function()
    return mg.sequential { 19, mg.dense(33, "tanh"), mg.dropout(0.3), mg.dense(31, "gelu"),
      mg.residual { mg.dense(31, "silu") }, mg.dropout(0.1), mg.dense(17, "softplus"),
      mg.dense(4) }, "cross_entropy", mg.adamw { lr = 0.01 }, mg.randn(90, 19), labels(90, 4)
  end },
  { "normalised in Lua", function()
    local function normalise(x)
      return (x - x:mean(1, true)) / (x:var(1, true, { correction = 0 }) + 1e-5):sqrt()
    end
    return mg.sequential { 12, mg.dense(20), normalise, "elu", mg.dense(3) },
      "cross_entropy", mg.rmsprop { lr = 0.01 }, mg.randn(64, 12), labels(64, 3)
  end },
  { "regression", function()
    local x = mg.randn(100, 7)
    return mg.sequential { 7, mg.dense(25, "selu"), mg.dense(1) }, "huber",
      mg.adagrad { lr = 0.05, clip_norm = 1 }, x, (x * x):sum(2, true):sin()
  end },
}

local function train(model, seed)
  mg.seed(seed)
  local net, loss, optimizer, x, y = model()
  local trainer = mg.trainer { net = net, loss = loss, optimizer = optimizer }
  trainer:fit(3, { x = x, y = y, batch = 16, shuffle = true })
  return net, x
end

--- A batch gives what its rows give one by one.
local function same_rows(net, x)
  local all = net:predict(x)
  for i = 1, #x do
    local one = net:predict(x:narrow(1, i, 1))
    if one:to_string() ~= all:narrow(1, i, 1):to_string() then return false end
  end
  return true
end

local isas = {}
for _, isa in ipairs { "avx2", "avx512", "neon" } do
  if pcall(core.isa, isa) then isas[#isas + 1] = isa end
end
if #isas == 0 then isas[1] = core.isa() end

local passed, failed, all = 0, 0, {}
local function check(ok, text)
  if ok then passed = passed + 1 return end
  failed = failed + 1
  print("not ok - " .. text)
end

for _, model in ipairs(models) do
  for seed = 1, seeds do
    local first
    for _, isa in ipairs(isas) do
      core.isa(isa)
      local net, x = train(model[2], seed)
      local hash = net:hash()
      first = first or hash
      check(hash == first, ("%s, seed %d: %s under %s, %s under %s"):format(model[1], seed,
        first, isas[1], hash, isa))
      if seed <= 5 and not model[1]:find("normalised") then
        check(same_rows(net, x), ("%s, seed %d, %s: a batch differs from its rows"):format(
          model[1], seed, isa))
      end
    end
    all[#all + 1] = first
  end
end

-- one number for all of it
local sum = 0
for i, hash in ipairs(all) do
  for k = 1, 16, 4 do sum = (sum * 31 + tonumber(hash:sub(k, k + 3), 16) + i) % 4294967291 end
end
print(("determinism (%s): %d passed, %d failed"):format(table.concat(isas, ", "), passed, failed))
print(("hash of all: %010d"):format(sum))
os.exit(failed == 0 and 0 or 1)
