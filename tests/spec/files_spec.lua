local mg = require "moongrad"
local helper = require "tests.spec.helper"
local core = mg.core

local folder

-- A file in a folder of its own, which is looked at afterwards.
local function path(name) return folder .. "/" .. (name or "net.safetensors") end

local function make_folder()
  folder = os.tmpname()
  os.remove(folder)
  os.execute("mkdir " .. folder)
end

local function remove_folder() os.execute("rm -r " .. folder) end

local function read(name)
  local f = io.open(name, "rb")
  local bytes = f and f:read "*a"
  if f then f:close() end
  return bytes
end

local function write(name, bytes)
  local f = assert(io.open(name, "wb"))
  f:write(bytes)
  f:close()
end

-- Saved and loaded again.
local function again(v, options)
  local bytes = mg.dump(v)
  return assert(mg.undump(bytes, options))
end

local Block = mg.module("spec.Block", {
  init = function(self, width, options)
    self.width, self.options = width, options
    self.inner = mg.dense(width, { act = options.act })
    self.scale = mg.tensor({ 2 }, { requires_grad = true })
    self.offset = mg.tensor { 1 }
  end,
  forward = function(self, x) return self.inner(x) * self.scale + self.offset end,
})

-- Nets of which each has something else to keep, with the shape of an input.
local nets = {
  ["dense layers"] = function()
    return mg.sequential { 3, mg.dense(4, { init = "orthogonal" }), "tanh",
      mg.dense(2, { act = "gelu", bias = false }) },
      { 2, 3 }
  end,
  ["pictures"] = function()
    local net = mg.sequential {
      { 2, 9, 8 }, mg.conv2d(3, { 3, 2 }, { padding = "same" }), mg.batchnorm { eps = 1 / 3 },
      "relu", mg.maxpool2d(2), mg.conv2d(4, 2, { groups = 1, stride = { 1, 2 } }),
      mg.dropout(0.25), mg.flatten(), mg.dense(3),
    }
    net(mg.randn(4, 2, 9, 8)) -- the running means are no longer what they were
    return net, { 2, 2, 9, 8 }
  end,
  ["sequences"] = function()
    return mg.sequential {
      { 4, 6 }, mg.lstm(4, { layers = 2, bidirectional = true }), mg.layernorm(),
      mg.attention(2, { causal = true }), mg.transformer_block { heads = 4, act = "gelu" },
      mg.gru(3, { return_sequence = false }), mg.reshape(3, 1),
      mg.rnn(2, { nonlinearity = "relu" }),
      mg.flatten(), mg.prelu(6),
    }, { 2, 4, 6 }
  end,
  ["layers in layers"] = function()
    return mg.sequential {
      5, mg.residual { mg.dense(5), "relu" }, mg.parallel { mg.dense(2), mg.dense(3) },
      mg.dense(2, { name = "head" }), name = "whole",
    }, { 3, 5 }
  end,
  ["a class"] = function()
    local block = Block(3, { act = "tanh", list = { 1, 2 }, none = {} })
    return mg.sequential { 4, block, mg.dense(1) }, { 2, 4 }
  end,
}

describe("a net in a file", function()
  setup(make_folder)
  teardown(remove_folder)
  before_each(function() mg.seed(1) end)

  for name, make in pairs(nets) do
    it("comes back as it was: " .. name, function()
      local net, size = make()
      assert.is_true(net:save(path()))
      local copy = assert(mg.load(path()))
      assert.equal(net:hash(), copy:hash())
      local x = mg.randn(size)
      helper.near(net:predict(x), copy:predict(x), 0)
      assert.same(helper.names(net), helper.names(copy))
      assert.equal(mg.dump(net), mg.dump(copy))
      assert.equal(net:num_parameters(), copy:num_parameters())
    end)
  end

  it("learns on as the first would", function()
    local net = mg.sequential { 3, mg.dense(4), "tanh", mg.dense(1) }
    local x, y = mg.randn(8, 3), mg.randn(8, 1)
    local copy = again(net)
    for _, n in ipairs { net, copy } do
      local trainer = mg.trainer { net = n, loss = "mse", optimizer = mg.adam { lr = 0.1 } }
      for _ = 1, 5 do trainer:step(x, y) end
    end
    assert.equal(net:hash(), copy:hash())
  end)

  it("keeps what is frozen, fixed and in eval mode", function()
    local net = mg.sequential { 2, mg.dense(3), mg.dense(4), mg.dense(5) }
    local parts = net:describe().parts
    parts[1].layer:freeze()
    parts[2].layer:named().bias.requires_grad = false
    parts[3].layer:eval()
    local copy, flags = again(net), {}
    for _, p in ipairs(copy:parameters()) do flags[p.name] = p.tensor.requires_grad end
    assert.same({ ["0.weight"] = false, ["0.bias"] = false, ["1.weight"] = true,
                  ["1.bias"] = false, ["2.weight"] = true, ["2.bias"] = true }, flags)
    local modes = {}
    for i, part in ipairs(copy:describe().parts) do modes[i] = part.layer:describe().training end
    assert.same({ true, true, false }, modes)
    assert.is_true(core.recipe(copy:describe().parts[1].layer).frozen)
  end)

  it("keeps shared parameters and layers shared", function()
    local e = mg.embedding(7, 3)
    local twice = mg.dense(3, { inputs = 3 })
    local net = mg.sequential { e, twice, twice, mg.dense(7, { weight = e:named().weight,
                                                               bias = false }) }
    net(mg.tensor { 1, 2 })
    local copy = again(net)
    assert.equal(#net:parameters(), #copy:parameters())
    local parts = copy:describe().parts
    assert.is_true(parts[2].layer == parts[3].layer)
    assert.is_true(parts[1].layer:named().weight == parts[4].layer:named().weight)
    helper.near(net:predict(mg.tensor { 3 }), copy:predict(mg.tensor { 3 }), 0)
  end)

  it("may be one that is not built yet", function()
    local copy = again(mg.sequential { mg.dense(3), "relu" })
    assert.equal(0, #copy:parameters())
    assert.same({ 2, 3 }, copy(mg.ones(2, 5)).shape)
  end)

  it("calls init of a class with the same arguments", function()
    local seen
    local Echo = mg.module("spec.Echo", {
      init = function(self, ...) seen = { n = select("#", ...), ... } self.n = 1 end,
      forward = function(_, x) return x end,
    })
    local values = { nil, 0.1, 1 / 3, -1 / 0, true, "a\"\\b", { 1, { x = {} } }, 2 ^ 53, nil }
    again(Echo(helper.unpack(values, 1, 9)))
    values.n = 9
    assert.same(values, seen)
  end)

  it("may have a class that takes layers", function()
    local Around = mg.module("spec.Around", {
      init = function(self, inner) self.inner = inner end,
      forward = function(self, x) return self.inner(x) + x end,
    })
    local net = Around(mg.sequential { mg.dense(3), "tanh", mg.dense(2) })
    local x = mg.randn(4, 2)
    local y = net(x)
    helper.near(y, again(net):predict(x), 0)
  end)

  it("of a class that has changed since is refused, or gets what it had", function()
    local function class(init)
      core.classes["spec.Changed"] = nil
      return mg.module("spec.Changed", { init = init, forward = function(_, x) return x end })
    end
    local bytes = mg.dump(class(function(self) self.w = mg.tensor { 1, 2 } end)())
    class(function(self) self.w = mg.tensor { 1 } end)
    helper.refuses('tensor "w" is {2}, expected {1}', mg.undump, bytes)
    class(function() end)
    helper.near({ 1, 2 }, assert(mg.undump(bytes)).w)
    bytes = mg.dump(class(function(self) self.inner = mg.dense(1, { inputs = 2 }) end)())
    class(function(self) self.inner = mg.gru(1) end)
    helper.refuses('layer "inner" is a dense, expected a gru', mg.undump, bytes)
  end)

  it("is whole or not there where memory is short", function()
    local output = helper.script [[
      local mg = require "moongrad"
      local bytes = mg.dump(mg.sequential { { 2, 4 }, mg.dense(4), mg.transformer_block(2) })
      local short, limit, net = 0, math.huge
      for room = 16000, 16, -16 do
        net = nil
        collectgarbage()
        limit = math.min(limit, mg.memory() + room) -- it can only be lowered
        mg.limit { memory = limit }
        local ok, value = pcall(mg.undump, bytes)
        if not ok or not value then short = short + 1 end
        assert(ok and value or tostring(value) == "not enough memory", value)
      end
      print(short > 10 and "fine")
    ]]
    assert.equal("fine\n", output)
  end)

  it("says which layer is a plain function", function()
    local net = mg.sequential { 2, mg.residual { mg.dense(2), function(x) return x end } }
    helper.fails('save: layer "0.1" is a Lua function', mg.dump, net)
    helper.fails('save: layer "0.1" is a Lua function', mg.save, path(), net)
  end)

  it("says which argument of a class a file cannot hold", function()
    local cyclic = {}
    cyclic[1] = cyclic
    for value, text in pairs { [print] = "is a function", [mg.ones(1)] = "is a tensor",
                               [cyclic] = "nests too deep",
                               [{ 1, a = 2 }] = "is a table that is neither" } do
      helper.fails('argument 2 of class "spec.Block" ' .. text, mg.dump,
        Block(2, { list = { value } }))
    end
  end)

  it("has weights that can be read where its class is unknown", function()
    local net = mg.module("spec.Gone", { init = function(self)
      self.w = mg.tensor({ 1, 2 }, { requires_grad = true })
    end, forward = function(_, x) return x end })()
    mg.save(path(), net)
    core.classes["spec.Gone"] = nil
    helper.refuses('class "spec.Gone".*weights_only', mg.load, path())
    local weights = mg.load(path(), { weights_only = true })
    helper.near({ 1, 2 }, weights.w)
  end)

  it("is written and read without lua-cjson only as tensors", function()
    local output = helper.script([[
      package.preload.cjson = function() error "none" end
      local mg = require "moongrad"
      local t = mg.undump(mg.dump { a = mg.ones(2) })
      print(t.a:sum():item())
      print(select(2, pcall(mg.dump, mg.dense(2))))
      local t = mg.trainer { net = mg.dense(1, { inputs = 1 }), loss = "mse", optimizer = "sgd" }
      print(select(2, pcall(t.save, t, "/nowhere/x")))
      package.loaded["moongrad.system"] = nil
      package.preload["moongrad.system"] = function() error "none" end
      print(select(2, pcall(mg.load, "x")))
    ]])
    assert.truthy(output:find "^2", output)
    local _, n = output:gsub("lua%-cjson is needed, which is not here", "")
    assert.equal(2, n)
    assert.truthy(output:find "this host has no moongrad%.system")
  end)
end)

describe("a table of tensors in a file", function()
  setup(make_folder)
  teardown(remove_folder)

  it("comes back with names, shapes and numbers", function()
    local values = { a = mg.randn(2, 3), ['b "\\ \195\188\n'] = mg.tensor(4),
                     ["x.y"] = mg.randn(5):reshape(5, 1) }
    mg.save(path(), values)
    local loaded = mg.load(path())
    for name, t in pairs(values) do
      assert.same(t.shape, loaded[name].shape)
      helper.near(t, loaded[name], 0)
      loaded[name] = nil
    end
    assert.is_nil(next(loaded))
  end)

  it("may have views and more numbers than go into a piece", function()
    local t = mg.randn(300, 200)
    local back = again { t = t, turned = t:transpose(1, 2), part = t:narrow(2, 3, 2) }
    helper.near(t, back.t, 0)
    helper.near(t:transpose(1, 2), back.turned, 0)
    helper.near(t:narrow(2, 3, 2), back.part, 0)
  end)

  it("may be empty", function() assert.same({}, again {}) end)

  it("is made of tensors with good names", function()
    helper.fails("dump: x is a number, expected a tensor", mg.dump, { x = 1 })
    helper.fails("dump: a key is a number, expected names", mg.dump, { mg.ones(1) })
    helper.fails("dump: value is a number", mg.dump, 3)
    helper.fails("1 to 255 bytes", mg.dump, { [("x"):rep(256)] = mg.ones(1) })
    helper.fails("1 to 255 bytes", mg.dump, { [""] = mg.ones(1) })
    helper.fails('the name "a%??" has a zero byte', mg.dump, { ["a\0"] = mg.ones(1) })
    helper.fails("UTF%-8", mg.dump, { ["\255"] = mg.ones(1) })
    local closed = mg.ones(1)
    closed:close()
    helper.fails("closed", mg.dump, { x = closed })
  end)

  it("says what system and path refuse", function()
    local value, message, code = mg.load(path "nothing")
    assert.is_nil(value)
    assert.truthy(message:find("nothing: No such file", 1, true))
    assert.equal(2, code)
    value, message, code = mg.save(path "no/where", { a = mg.ones(1) })
    assert.is_nil(value)
    assert.truthy(message:find("no/where: No such file", 1, true))
    assert.equal(2, code)
    helper.refuses("Is a directory", mg.save, folder, { a = mg.ones(1) })
    helper.refuses("Is a directory", mg.load, folder)
    helper.refuses("Invalid argument", mg.save, "/dev/null", { a = mg.ones(1) })
    helper.refuses("zero byte", mg.save, path "a\0b", { a = mg.ones(1) })
    helper.refuses("zero byte", mg.load, path "a\0b")
    helper.fails("path is a number", mg.save, 3, {})
    helper.fails('no option "weights"', mg.load, path(), { weights = true })
  end)

  it("replaces a file, permissions kept, and leaves nothing else", function()
    local name = path "kept"
    mg.save(name, { a = mg.ones(1) })
    os.execute("chmod 640 " .. name)
    write(name .. ".part", "of a process that is gone")
    assert.is_true(mg.save(name, { a = mg.zeros(1) }))
    local pipe = io.popen("stat -c %a " .. name)
    assert.equal("640", pipe:read "*l")
    pipe:close()
    assert.is_nil(read(name .. ".part"))
    helper.near({ 0 }, mg.load(name).a)
  end)

  it("goes where a symbolic link leads", function()
    mg.save(path "real", { a = mg.ones(1) })
    os.execute(("ln -s real %s"):format(path "link"))
    mg.save(path "link", { a = mg.zeros(1) })
    helper.near({ 0 }, mg.load(path "real").a)
    local pipe = io.popen("readlink " .. path "link")
    assert.equal("real", pipe:read "*l")
    pipe:close()
  end)
end)

describe("weights", function()
  local function make() return mg.sequential { 2, mg.dense(3), mg.batchnorm() } end
  local function weights()
    mg.seed(2)
    return make():named()
  end

  it("are copied by name", function()
    local net, from = make(), weights()
    assert.is_true(net:load_weights(from) == net)
    helper.near(from["0.weight"], net:named()["0.weight"], 0)
    from["0.weight"]:fill(7)
    assert.not_equal(7, net:named()["0.weight"]:get(1, 1))
  end)

  it("all fit or none is changed", function()
    local net, from = make(), weights()
    local before = net:hash()
    from["0.bias"], from.extra = nil, mg.ones(1)
    from["1.weight"] = mg.ones(4)
    helper.fails("load_weights: the weights do not fit; missing: 0%.bias; unexpected: extra;"
      .. " of another shape: 1%.weight {4}, expected {3}", net.load_weights, net, from)
    assert.equal(before, net:hash())
    helper.fails("expected a tensor", net.load_weights, net, { ["0.bias"] = 1 })
    local large = { 2 }
    for i = 1, 9 do large[i + 1] = mg.dense(i) end
    helper.fails("missing: 0%.bias, .*, and 11 more$", net.load_weights, mg.sequential(large), {})
  end)

  it("of a file that does not fit are refused", function()
    local name = os.tmpname()
    mg.save(name, { x = mg.ones(1) })
    local net = make()
    local before = net:hash()
    helper.refuses("missing: 0%.bias, .*unexpected: x", net.load_weights, net, name)
    helper.refuses("No such file", net.load_weights, net, name .. "?")
    mg.save(name, { ["a\nb"] = mg.ones(1) })
    helper.refuses("unexpected: a%?b$", net.load_weights, net, name)
    assert.equal(before, net:hash())
    os.remove(name)
  end)

  it("of foreign names are renamed by a table or a function", function()
    local from, foreign = weights(), { skipped = mg.ones(1) }
    for name, t in pairs(from) do foreign["model." .. name] = t end
    local net = make()
    net:load_weights(foreign, function(name) return name:match "^model%.(.*)" end)
    helper.near(from["0.weight"], net:named()["0.weight"], 0)
    from.bias, from["0.bias"] = from["0.bias"], nil
    from.other = mg.ones(1)
    net:load_weights(from, { bias = "0.bias", other = false })
    helper.fails("rename is a number", net.load_weights, net, from, 3)
    helper.fails('rename gives a number for "', net.load_weights, net, from,
      function() return 1 end)
  end)

  it("are refused while a gradient needs the old ones, all of them", function()
    local net = make()
    local y = net(mg.ones(2, 2)):sum()
    local before = net:hash()
    helper.fails("gradient", net.load_weights, net, weights())
    assert.equal(before, net:hash())
    y:backward()
    net:load_weights(weights())
  end)

  it("of a tied net may have both names", function()
    local function tied()
      local e = mg.embedding(4, 2)
      local net = mg.sequential { e, mg.dense(4, { weight = e:named().weight, bias = false }) }
      net(mg.tensor { 1 })
      return net
    end
    local net, w = tied(), mg.randn(4, 2)
    net:load_weights { ["0.weight"] = w, ["1.weight"] = w }
    helper.near(w, net:named()["0.weight"], 0)
    net:load_weights { ["1.weight"] = mg.ones(4, 2) }
    helper.near(mg.ones(4, 2), net:named()["0.weight"], 0)
  end)

  it("are read from every type of number", function()
    local values = { f32 = { 1.5, -2 }, f64 = { 0.1, 3 }, f16 = { 0.5, -65504 }, bf16 = { 1, -2 },
                     u8 = { 0, 255 }, i8 = { -128, 127 }, u16 = { 1, 65535 }, i16 = { -5, 5 },
                     u32 = { 0, 65536 }, i32 = { -7, 7 }, u64 = { 1, 2 }, i64 = { -9, 9 },
                     bool = { 0, 1 } }
    for kind, list in pairs(values) do
      local data = mg.tensor(list):to_string(kind)
      local header = ('{"a":{"dtype":"%s","shape":[2],"data_offsets":[0,%d]}}'):format(
        kind:upper(), #data)
      local bytes = string.char(#header, 0, 0, 0, 0, 0, 0, 0) .. header .. data
      helper.near(list, mg.undump(bytes).a, 1e-7)
    end
  end)
end)
