-- w7: a whole process: start, train the AND gate until it is right, exit; in ms,
-- and the share of require alone.
local bench = require "tests.bench.bench"

local lua = arg[-1] or "lua5.4"
local program = [[local mg = require 'moongrad'
local net = mg.sequential { 2, mg.dense(1), 'sigmoid' }
local x, y = mg.tensor { {0,0}, {0,1}, {1,0}, {1,1} }, mg.tensor { {0}, {0}, {0}, {1} }
local t = mg.trainer { net = net, loss = 'mse', optimizer = mg.sgd { lr = 1 } }
repeat t:step(x, y) until (net:predict(x) - y):abs():max():item() < 0.3]]

local function milliseconds(code)
  local command = ("%s -e \"%s\""):format(lua, code)
  return 1e3 / bench.rate(function() os.execute(command) end)
end

local empty = milliseconds("")
bench.out("w7", "empty_lua_ms", empty)
bench.out("w7", "require_ms", milliseconds("require 'moongrad'") - empty)
bench.out("w7", "process_ms", milliseconds(program))
