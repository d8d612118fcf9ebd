-- What a steady step allocates: nothing, in C and in Lua. The collector stands still
-- meanwhile, so that its count of bytes is that of all new Lua objects.
--
--   lua5.4 tests/torture/steady.lua

local mg = require "moongrad"

local STEPS, ROUNDS = 1000, 4 -- the last one counts: Lua's stack and its compiler settle first
local data = { x = mg.randn(24, 4), y = mg.ones(24, 1), batch = 8, shuffle = true }
local x, y = mg.randn(8, 4), mg.ones(8, 1)
local picture = mg.randn(2, 1, 6, 6)
local words = mg.tensor { { 1, 2, 3 }, { 3, 1, 2 } }

local function dense() return mg.sequential { 4, mg.dense(8, "tanh"), mg.dense(1) } end

local function trainer(net, optimizer)
  return mg.trainer { net = net, loss = "mse", optimizer = optimizer or mg.adam { lr = 1e-3 },
                      metrics = { "mae" } }
end

local function stepping(net, input, target)
  local t = trainer(net)
  return function() t:step(input, target) end
end

local works = {
  { "trainer:step", stepping(dense(), x, y) },
  { "trainer:step with dropout and batchnorm",
    stepping(mg.sequential { 4, mg.dense(8), mg.batchnorm(), mg.dropout(0.5), mg.dense(1) },
      x, y) },
  { "trainer:step of a convolution", stepping(mg.sequential { { 1, 6, 6 }, mg.conv2d(2, 3), "relu",
    mg.maxpool2d(2), mg.flatten(), mg.dense(1) }, picture, mg.ones(2, 1)) },
  { "trainer:step of an LSTM", stepping(mg.sequential { mg.embedding(3, 4),
    mg.lstm(4, { return_sequence = false }), mg.dense(1) }, words, mg.ones(2, 1)) },
  { "trainer:step of a transformer block", stepping(mg.sequential { mg.embedding(3, 4),
    mg.transformer_block { heads = 2 }, mg.flatten(), mg.dense(1) }, words, mg.ones(2, 1)) },
}

for _, name in ipairs { "sgd", "adamw", "rmsprop", "adagrad", "lion" } do
  local t = trainer(dense(), mg[name] { lr = 1e-3, clip_norm = 1 })
  works[#works + 1] = { "trainer:step with " .. name, function() t:step(x, y) end }
end

local running, options = trainer(dense()), { steps = 2, epochs = 1e6 }
works[#works + 1] = { "trainer:run", function() running:run(data, options) end }
local timed, budget = trainer(dense()), { ms = 0.01, epochs = 1e6 }
works[#works + 1] = { "trainer:run within milliseconds", function() timed:run(data, budget) end }
local wide, hurry = trainer(mg.sequential { 4, mg.dense(512), mg.batchnorm(), mg.dense(256),
  mg.dense(1) }), { ms = 0, epochs = 1e6 }
works[#works + 1] = { "trainer:run that stops within a batch",
                      function() wide:run(data, hurry) end }

local net = dense()
local opt = mg.adam { lr = 1e-3, clip_norm = 1 }:attach(net)
mg.mse(net(x), y):backward()
works[#works + 1] = { "opt:step", function() opt:step() end }
works[#works + 1] = { "opt:zero_grad", function() opt:zero_grad() end }

local out = mg.zeros(8, 1)
works[#works + 1] = { "net:predict(x, out)", function() net:predict(x, out) end }

local worst, failed = 0, 0
for _, work in ipairs(works) do
  local name, f = work[1], work[2]
  collectgarbage()
  collectgarbage "stop"
  local bytes, count
  for _ = 1, ROUNDS do
    local before, kb = select(4, mg.memory()), collectgarbage "count"
    for _ = 1, STEPS do f() end
    bytes = (collectgarbage "count" - kb) * 1024
    count = select(4, mg.memory()) - before
  end
  collectgarbage "restart"
  worst = math.max(worst, bytes, count)
  if bytes > 0 or count > 0 then
    failed = failed + 1
    print(("not ok - %s: %d allocations in C, %d bytes of Lua in %d steps"):format(name,
      count, bytes, STEPS))
  end
end
print(("steady: %d passed, %d failed"):format(#works - failed, failed))
print(("figure C6 allocations %d"):format(worst))
os.exit(failed == 0 and 0 or 1)
