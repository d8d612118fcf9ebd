local mg = require "moongrad"
local helper = require "tests.spec.helper"
local each_net = require "tests.spec.export_nets"

local near, fails, refuses = helper.near, helper.fails, helper.refuses

-- All numbers of nested tables, in order.
local function flat(v, to)
  to = to or {}
  if type(v) == "number" then to[#to + 1] = v return to end
  for _, inner in ipairs(v) do flat(inner, to) end
  return to
end

-- Nested tables as Lua text.
local function text(v)
  if type(v) == "number" then return ("%.17g"):format(v) end
  local parts = {}
  for i, inner in ipairs(v) do parts[i] = text(inner) end
  return "{" .. table.concat(parts, ",") .. "}"
end

describe("export.lua", function()
  after_each(helper.remove_files)

  it("gives a function that answers as the net, for each kind of layer", function()
    local path = helper.file ""
    each_net(function(net, x, y, name, shape)
      assert(mg.export.lua(net, path, { input = shape }))
      local f = dofile(path)
      local ok, err = pcall(near, y, f(x:totable()), 1e-5)
      assert(ok, name .. ": " .. tostring(err))
      near(y[1], f(x[1]:totable()), 1e-5) -- one example alone
    end)
  end)

  for _, lua in ipairs { "lua5.1", "lua5.2", "lua5.3", "lua5.4", "luajit" } do
    local pipe = io.popen(lua .. " -e 'print(1)' 2>/dev/null")
    local there = pipe:read "*a" == "1\n"
    pipe:close()
    if not there then
      pending(("skipped, there is no %s"):format(lua))
    else
      it("runs without moongrad under " .. lua, function()
        local program, expected = {}, {}
        each_net(function(net, x, y, _, shape)
          local path = helper.file ""
          assert(mg.export.lua(net, path, { input = shape }))
          program[#program + 1] = ("show(dofile %q(%s))"):format(path, text(x:totable()))
          expected[#expected + 1] = y
        end)
        local main = helper.file([[
local function show(v)
  if type(v) == "number" then io.write(("%.9g "):format(v)) return end
  for i = 1, #v do show(v[i]) end
end
]] .. table.concat(program, "\n"))
        local run = io.popen(("LUA_INIT= LUA_PATH= LUA_CPATH= %s %s 2>&1"):format(lua, main))
        local output, at = run:read "*a", 0
        run:close()
        local numbers = {}
        for word in output:gmatch "%S+" do
          numbers[#numbers + 1] = tonumber(word) or error(output:sub(1, 300))
        end
        for _, y in ipairs(expected) do
          for _, v in ipairs(flat(y:totable())) do
            at = at + 1
            near(v, numbers[at], 1e-5)
          end
        end
        assert.equal(#numbers, at)
      end)
    end
  end

  it("holds more weights than one function has room for constants", function()
    local net, path = mg.sequential { 300, mg.dense(300) }, helper.file ""
    assert(mg.export.lua(net, path))
    local x = mg.randn(1, 300)
    near(net:predict(x), dofile(path)(x:totable()))
  end)

  it("knows the size of the input where the net has seen one", function()
    local path = helper.file ""
    local net = mg.sequential { mg.flatten(), mg.dense(2) }
    fails("export.lua: the size of one example is not known, expected { input = {sizes} }",
      mg.export.lua, net, path)
    net(mg.zeros(4, 2, 3))
    assert(mg.export.lua(net, path))
    near(net:predict(mg.ones(1, 2, 3))[1], dofile(path) { { 1, 1, 1 }, { 1, 1, 1 } })
    local loaded = mg.undump(mg.dump(mg.sequential { { 1, 4, 4 }, mg.conv2d(2, 3) }))
    assert(mg.export.lua(loaded, path))
  end)

  it("says which layer cannot be exported", function()
    local function export(net) mg.export.lua(net, "x") end
    fails('^[^:]*:%d*:? ?export.lua: layer "1.0" is of kind "function", which cannot be exported$',
      export, mg.sequential { 2, mg.dense(3), mg.residual { function(x) return x end } })
    fails('layer "0" is of kind "attention"', export, mg.sequential { { 3, 4 }, mg.attention(2) })
    local Own = mg.module("tanh", { forward = function(_, x) return x end })
    fails('layer "0" is of kind "tanh"', export, mg.sequential { 2, Own() })
    fails('layer "0" shares {5, 1} out as {2, 1}', export,
      mg.sequential { { 1, 5, 1 }, mg.adaptive_avgpool2d { 2, 1 } })
    fails('layer "0" scales by mode bilinear', export,
      mg.sequential { { 1, 5, 1 }, mg.upsample2d(2, "bilinear") })
  end)

  it("refuses weights that are no numbers", function()
    local net = mg.dense(2, { inputs = 2 })
    mg.no_grad(function() net:named().weight:fill(0 / 0) end)
    fails("export.lua: the net has a weight that is not finite, number 1", mg.export.lua, net, "x")
  end)

  it("gives the system's message where the file cannot be written", function()
    refuses("^/nowhere/x.lua: ", mg.export.lua, mg.dense(2, { inputs = 2 }), "/nowhere/x.lua")
  end)

  it("raises an error for wrong arguments", function()
    fails("export.lua: net is nil, expected a layer", mg.export.lua)
    fails("export.lua: path is nil, expected a string", mg.export.lua, mg.dense(2))
    fails("export.lua: input 1 is 0, expected an integer from 1", mg.export.lua, mg.dense(2), "x",
      { input = { 0 } })
    fails('export.lua: there is no option "size"', mg.export.lua, mg.dense(2), "x", { size = 1 })
    fails("dense: input is {1, 3}, expected {n, 2}", mg.export.lua, mg.dense(1, { inputs = 2 }),
      "x", { input = 3 })
  end)

  it("gives a function that refuses what is not of its shape", function()
    local path = helper.file ""
    mg.export.lua(mg.dense(2, { inputs = 3 }), path)
    local f = dofile(path)
    fails("not of the net's shape, 3", f, { 1, 2 })
    fails("not of the net's shape, 3", f, 1)
    fails("a string stands where a number should", f, { 1, 2, "3" })
  end)
end)
