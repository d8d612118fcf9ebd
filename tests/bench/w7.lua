-- w7: a whole process: start, train the AND gate until it is right, exit; in ms,
-- and the share of require alone. With PEERS, theirs as well.
local bench = require "tests.bench.bench"

local lua = arg[-1] or "lua5.4"
local program = [[local mg = require 'moongrad'
local net = mg.sequential { 2, mg.dense(1), 'sigmoid' }
local x, y = mg.tensor { {0,0}, {0,1}, {1,0}, {1,1} }, mg.tensor { {0}, {0}, {0}, {1} }
local t = mg.trainer { net = net, loss = 'mse', optimizer = mg.sgd { lr = 1 } }
repeat t:step(x, y) until (net:predict(x) - y):abs():max():item() < 0.3]]

local function milliseconds(command)
  return 1e3 / bench.rate(function() os.execute(command) end)
end

local function script(code) return ("%s -e \"%s\""):format(lua, code) end

local empty = milliseconds(script(""))
bench.out("w7", "empty_lua_ms", empty)
bench.out("w7", "require_ms", milliseconds(script("require 'moongrad'")) - empty)
bench.out("w7", "process_ms", milliseconds(script(program)))

-- A process cannot time its own start: ask make what it would run, and time that.
local peers = os.getenv("PEERS")
if not peers or peers == "" then return end
for line in io.popen(("make -s -n -C '%s' run W=w7"):format(peers)):lines() do
  local name = line:match("(%S+) w7")
  if name then
    bench.out("w7", "process_ms", milliseconds(("cd '%s' && %s >/dev/null 2>&1"):format(
      peers, line)), (name:gsub("_peer%.py$", "")))
  end
end
