-- w6: LSTM, vocabulary 64, hidden 128, length 50, batch 32; training sequences a second.
local bench = require "tests.bench.bench"
local models = require "tests.bench.models"
local mg = bench.mg

local BATCH, LENGTH, VOCABULARY = 32, 50, 64
mg.seed(2)
local ids = (mg.rand(BATCH, LENGTH + 1) * VOCABULARY):totable()
for _, row in ipairs(ids) do
  for i, v in ipairs(row) do row[i] = 1 + math.floor(v) end
end
ids = mg.tensor(ids)
local x, y = ids:narrow(2, 1, LENGTH):contiguous(), ids:narrow(2, 2, LENGTH):contiguous()

bench.each_threads(function()
  local trainer = models.w6()
  bench.out("w6", "seqs_s", BATCH * bench.rate(function() trainer:step(x, y) end, 3))
end)
