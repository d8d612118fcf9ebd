local mg = require "moongrad"
local helper = require "tests.spec.helper"
local nets = require "tests.spec.export_nets"

local near, fails, refuses = helper.near, helper.fails, helper.refuses

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
    nets.each(function(net, x, y, name, shape)
      assert(mg.export.lua(net, path, { input = shape }))
      local f = dofile(path)
      local ok, err = pcall(near, y, f(x:totable()), 1e-5)
      assert(ok, name .. ": " .. tostring(err))
      near(y[1], f(x[1]:totable()), 1e-5) -- one example alone
    end)
  end)

  for _, lua in ipairs { "lua5.1", "lua5.2", "lua5.3", "lua5.4", "luajit" } do
    if nets.output_of(lua .. " -e 'print(1)'") ~= "1\n" then
      pending(("skipped, there is no %s"):format(lua))
    else
      it("runs without moongrad under " .. lua, function()
        local program, expected = {}, {}
        nets.each(function(net, x, y, _, shape)
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
        local run = nets.output_of(("LUA_INIT= LUA_PATH= LUA_CPATH= %s %s"):format(lua, main))
        nets.compare(expected, run)
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

  it("is tried with every layer there is", function()
    local tried = {}
    local function look(l)
      tried[mg.core.recipe(l).layer or "none"] = true
      for _, part in ipairs(l:describe().parts) do if part.layer then look(part.layer) end end
    end
    nets.each(look)
    for _, layer in ipairs(mg.core.describe().layers) do
      assert(tried[layer.name], "export_nets.lua has no net with " .. layer.name)
    end
  end)

  it("writes a weight once that stands in several places", function()
    local e, path = mg.embedding(5, 3), helper.file ""
    local net = mg.sequential { e, mg.dense(5, { weight = e:named().weight }) }
    net(mg.ones(1, 4))
    for _, format in ipairs { "lua", "c" } do
      assert(mg.export[format](net, path, { input = 4, name = "tied" }))
      local file = io.open(path)
      local _, weights = file:read("*a"):gsub("/?[*-][*-]? 0.weight", "")
      file:close()
      assert.equal(1, weights)
    end
  end)

  it("says which layer cannot be exported", function()
    local function export(net) mg.export.lua(net, "x") end
    local function refused(what, f)
      fails("^[^:]*:%d*:? ?" .. helper.text('export.lua: layer "1.0" ' .. what), export,
        mg.sequential { 2, mg.dense(3), mg.residual { f } })
    end
    local ends = ", which cannot be exported"
    refused('is a function of Lua that uses "sum" of what it is given' .. ends,
      function(x) return x * x:sum() end)
    refused('is a function of Lua that uses "shape" of what it is given' .. ends,
      function(x) return x / x.shape[2] end)
    refused("is a function of Lua that does not make its result of what it is given" .. ends,
      function() return mg.ones(1, 3) end)
    refused("is a function of Lua that divides a number by what it is given" .. ends,
      function(x) return 1 / x end)
    refused("is a function of Lua that flattens more than each example" .. ends,
      function(x) return x:flatten():reshape(x.shape) end)
    refused("is a function of Lua that gives leaky_relu an option" .. ends,
      function(x) return x:leaky_relu(0.2) end)
    refused("is a function of Lua that gives softmax an option" .. ends,
      function(x) return x:softmax(1) end)
    refused("is a function of Lua that cannot be exported: ", function(x) return mg.exp(x) end)
    fails('layer "0" takes the examples of a batch {n, features} for steps in time', export,
      mg.sequential { 2, mg.positional_embedding(4) })
  end)

  it("says what a class does that cannot be exported", function()
    local function refused(what, forward)
      local Own = mg.module("tanh", { forward = forward, init = function(self)
        self.layer, self.thin, self.n = mg.lstm(2), mg.dense(1), 1
      end })
      fails('export.lua: layer "0" is a function of Lua that ' .. what, mg.export.lua,
        mg.sequential { { 4, 2 }, Own() }, "x")
    end
    refused('sets its field "n"', function(self, x) self.n = 1 return x end)
    refused('gives its layer "layer" something else than one tensor made of its input',
      function(self, x) return (self.layer(x, { h = mg.zeros(1, 1, 2) })) end)
    refused("takes the add of values that differ in shape",
      function(self, x) return x + self.thin(x) end)
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
