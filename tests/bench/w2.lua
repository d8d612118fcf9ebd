-- w2: agent, MLP 16-64-64-4, tanh, batch 1; latency in us, and 1,000 at once.
local bench = require "tests.bench.bench"
local mg, net = bench.mg, require("tests.bench.models").w2()

local one, out, many = mg.rand(1, 16), mg.zeros(1, 4), mg.rand(1000, 16)
bench.out("w2", "lat_mean_us", 1e6 / (100 * bench.rate(function()
  for _ = 1, 100 do net:predict(one) end
end)))
bench.out("w2", "lat_into_us", 1e6 / (100 * bench.rate(function()
  for _ = 1, 100 do net:predict(one, out) end
end)))
bench.out("w2", "agents_1000_us", 1e6 / bench.rate(function() net:predict(many) end))
