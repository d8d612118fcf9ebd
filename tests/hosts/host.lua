-- What a host is asked to show: that it trains a net to the same bits as plain Lua, loads
-- the net that plain Lua has saved, and answers as that does. Any Lua, no output.
--
--   lua5.4 tests/hosts/host.lua FOLDER     saves the net, and what to expect, into FOLDER

local host = {}

-- The plane of two numbers, inside and outside of a circle.
local function data(mg)
  mg.seed(11)
  local x = mg.rand(256, 2) * 2 - 1
  local y = x:square():sum(2, true):lt(0.5)
  return { x = x, y = y, batch = 32, shuffle = true }
end

--- The net, not trained yet.
function host.net(mg)
  mg.seed(7)
  return mg.sequential { 2, mg.dense(16), "tanh", mg.dense(1), "sigmoid" }
end

--- Its trainer, and data for trainer:run(data, { epochs = host.EPOCHS }).
function host.trainer(mg, net)
  local d = data(mg)
  return mg.trainer { net = net, loss = "bce", optimizer = mg.adam { lr = 0.02 } }, d
end

host.EPOCHS, host.LONG = 40, 3000 -- LONG: many frames of a game

local function trained(mg, epochs)
  local net = host.net(mg)
  local trainer, d = host.trainer(mg, net)
  repeat until trainer:run(d, { epochs = epochs, ms = 4 }) == "done"
  return net
end

--- What a net says of nine points, with all digits.
function host.answers(mg, net)
  local list = {}
  local points = mg.tensor { { 0, 0 }, { 0.5, 0 }, { 1, 0 }, { 0, -0.6 }, { 0.7, 0.7 },
                             { -1, -1 }, { -0.3, 0.4 }, { 0.1, 0.9 }, { -0.8, 0.2 } }
  for i, row in ipairs(net:predict(points):totable()) do list[i] = ("%.9g"):format(row[1]) end
  return table.concat(list, " ")
end

--- f() while there is no lua-cjson.
local function without_cjson(f)
  local loaded, preload = package.loaded.cjson, package.preload.cjson
  package.loaded.cjson, package.preload.cjson = nil, function() error("hidden", 0) end
  local ok, result = pcall(f)
  package.loaded.cjson, package.preload.cjson = loaded, preload
  if not ok then error(result, 0) end
  return result
end

--- A line of TAP without its number.
function host.line(ok, sentence) return (ok and "ok - " or "not ok - ") .. sentence end

--- The facts, as lines.
-- @tparam string folder  where plain Lua has left the file and what to expect, with "/"
function host.facts(mg, folder)
  local expected = dofile(folder .. "expected.lua")
  local file, lines = folder .. "net.safetensors", {}
  local function fact(sentence, f)
    local ok, result = pcall(f)
    if not ok then sentence = sentence .. ": " .. tostring(result):gsub("\n.*", "") end
    lines[#lines + 1] = host.line(ok and result, sentence)
  end
  fact("trains a net to the same bits as plain Lua", function()
    return trained(mg, host.EPOCHS):hash() == expected.hash
  end)
  fact("loads a saved net, which answers as plain Lua does", function()
    local net = assert(mg.load(file))
    return net:hash() == expected.hash and host.answers(mg, net) == expected.answers
  end)
  fact("takes saved weights where there is no lua-cjson", function()
    return without_cjson(function()
      local net = host.net(mg)
      assert(net:load_weights(file))
      return host.answers(mg, net) == expected.answers
    end)
  end)
  return table.concat(lines, "\n") .. "\n"
end

--- The same, into a file that is there all at once or not at all.
function host.report(mg, folder, name)
  local path = folder .. name
  local out = assert(io.open(path .. ".part", "w"))
  out:write(host.facts(mg, folder))
  out:close()
  assert(os.rename(path .. ".part", path))
end

if arg and arg[0] and arg[0]:find "hosts/host%.lua$" and arg[1] then
  local mg = require "moongrad"
  local net = trained(mg, host.EPOCHS)
  assert(net:save(arg[1] .. "net.safetensors"))
  local out = assert(io.open(arg[1] .. "expected.lua", "w"))
  out:write(("return { hash = %q, answers = %q, long = %q }\n"):format(net:hash(),
    host.answers(mg, net), trained(mg, host.LONG):hash()))
  out:close()
end

return host
