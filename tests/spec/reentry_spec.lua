-- What Lua code may do while the library calls it, or while one of its calls
-- allocates: close, change, train, recurse. The library works on or refuses.
local mg = require "moongrad"
local helper = require "tests.spec.helper"
local core, fails, near = mg.core, helper.fails, helper.near
local on_collection = helper.on_collection

local function collect() for _ = 1, 3 do collectgarbage() end end

-- Runs f many times while a finalizer calls g over and over.
local function under_collector(g, f)
  local on = true
  local function arm() on_collection(function() if on then g() arm() end end) end
  arm()
  local pause = helper.pause(1)
  for _ = 1, 300 do
    pcall(f)
    collectgarbage("step")
  end
  on = false
  helper.pause(pause)
  collect()
end

local function data(n) return { x = mg.ones(n, 2), y = mg.ones(n, 1), batch = 2 } end
local function trainer(loss, optimizer)
  return mg.trainer { net = mg.sequential { 2, mg.dense(1) }, loss = loss,
                      optimizer = optimizer or mg.sgd { lr = 0.1 } }
end

describe("closing what is in use", function()
  it("lets a net finish that closes itself", function()
    local net
    net = mg.sequential { mg.dense(3), function(x) net:close() collect() return x end,
                          mg.dense(2) }
    near({ 2, 2 }, net(mg.ones(2, 2)).shape)
    fails("call: self is closed", net, mg.ones(2, 2))
  end)

  it("lets a layer finish whose function closes the input", function()
    local x = mg.ones(2, 2)
    local net = mg.residual { function(v) x:close() v:close() collect() return mg.ones(2, 2) end }
    near({ { 2, 2 }, { 2, 2 } }, net(x))
    fails("x is closed", x.sum, x)
  end)

  it("lets a trainer finish the step in which it is closed", function()
    local t
    t = trainer(function(p, y) t:close() collect() return mg.mse(p, y) end)
    assert.is_number(t:step(mg.ones(2, 2), mg.ones(2, 1)))
    fails("step: self is closed", t.step, t, mg.ones(2, 2), mg.ones(2, 1))
  end)

  it("lets an optimizer finish the step in which its schedule closes it", function()
    local w, o = mg.tensor({ 1 }, { requires_grad = true })
    o = mg.sgd { lr = function() o:close() collect() return 1 end }:attach { w }
    w:sum():backward()
    o:step()
    near({ 0 }, w)
  end)

  it("keeps the data of an evaluation that normalizes them", function()
    local set = mg.data.dataset(data(6))
    local t = trainer(function(p, y) set:normalize() collect() return mg.mse(p, y) end)
    assert.is_number(t:evaluate(set, { batch = 2 }).loss)
  end)

  it("frees at once outside of callbacks", function()
    collect()
    local before = mg.memory()
    local t = mg.zeros(1000, 1000)
    t:close()
    assert.is_true(mg.memory() - before < 1000)
  end)

  it("reads the options before the loss that they close", function()
    local loss = (mg.tensor({ 1, 2 }, { requires_grad = true }) * 2):sum()
    local closing = setmetatable({}, { __index = function() loss:close() end })
    fails("backward: loss is closed", loss.backward, loss, closing)
  end)

  it("names a closed result for what it is", function()
    fails("function: the result of its function is closed, expected a tensor",
      core.custom("function", function(x) x:close() return x end), mg.ones(1))
  end)
end)

describe("changing a net that runs", function()
  it("refuses layers for a container under way", function()
    for _, kind in ipairs { "sequential", "residual", "parallel" } do
      local net
      net = mg[kind] { function(x) net:add(mg.dense(2)) return x end }
      fails(kind .. ": is in use; its layers cannot change while it runs", net, mg.ones(2, 2))
    end
  end)

  it("lets a class drop the layer that runs", function()
    local make = mg.module("dropper", {
      init = function(self)
        self.f = core.custom("f", function(x) self.f = nil collect() return x + 1 end)
      end,
      forward = function(self, x) return self.f and self.f(x) or x end })
    local net = make()
    near({ 1, 1 }, net(mg.ones(2))) -- the second pass: the first one builds
    assert.is_nil(net.f)
  end)

  it("lets a class make its parts at the first call", function()
    local net = mg.module("lazy", { forward = function(self, x)
      self.fc = self.fc or mg.dense(3, { inputs = 2 })
      return self.fc(x)
    end })()
    near({ 1, 3 }, net(mg.ones(1, 2)).shape)
    assert.equal(9, net:num_parameters())
  end)

  it("forgets layers of a failed first pass that are gone already", function()
    local net = mg.sequential {
      function(x) local d = mg.dense(2) local y = d(x) d:close() collect() return y end,
      mg.dense(3), function() error("enough", 0) end }
    fails("enough", net, mg.ones(2, 2))
    assert.equal(0, net:num_parameters())
  end)

  it("keeps the functions of the others when a named layer is replaced", function()
    local s = core.layers.sequential {}
    s:add(core.custom("f", function(x) return x + 1 end), "p")
    s:add(core.custom("g", function(x) return x + 2 end), "q")
    s:add(core.custom("h", function(x) return x + 3 end), "p")
    collect()
    near({ 6 }, s(mg.ones(1)))
  end)

  it("finds NaN in a layer of parallel", function()
    local t = mg.trainer { loss = "mse", optimizer = "sgd", net = mg.sequential {
      2, mg.dense(2), mg.parallel { function(x) return x * 0 / 0 end, "relu" } } }
    fails("function %(layer 1 of parallel, layer 2 of sequential%): 4 of the 4 numbers",
      t.step, t, mg.ones(2, 2), mg.ones(2, 4))
  end)
end)

describe("trees of layers", function()
  it("refuses to nest deeper than 100 from the top down", function()
    local p = mg.sequential {}
    fails("nest deeper than 100 layers", function()
      for _ = 1, 1000 do
        local child = mg.sequential {}
        p:add(child)
        p = child
      end
    end)
  end)

  it("leaves a layer that was refused as it was", function()
    local root = mg.sequential {}
    local p = root
    for _ = 1, 90 do local c = mg.sequential {} p:add(c) p = c end
    local chain = mg.sequential { mg.sequential {} }
    for _ = 1, 12 do chain = mg.sequential { chain } end
    fails("nest deeper", p.add, p, chain)
    mg.sequential { mg.sequential { chain } }
  end)

  it("go through a layer that is shared once", function()
    local l = mg.dense(2)
    for _ = 1, 60 do l = mg.parallel { l, l } end
    assert.equal(0, l:num_parameters())
    l:train()
    assert.equal(16, #l:clone():hash())
  end)

  it("share in a copy what the original shares", function()
    local d = mg.dense(2, { inputs = 2 })
    local copy = mg.sequential { d, d }:clone()
    assert.equal(6, copy:num_parameters())
    assert.equal(copy:describe().parts[1].layer, copy:describe().parts[2].layer)
  end)
end)

describe("a trainer that is called by what it calls", function()
  it("refuses to train, and trains on", function()
    local t, tried
    local set = mg.data.dataset(data(4))
    t = trainer(function(p, y)
      tried = { pcall(t.step, t, mg.ones(2, 2), mg.ones(2, 1)) }
      fails("trainer: is in use", t.begin, t, set, 1, 1, true)
      fails("trainer: is in use", t.advance, t)
      return mg.mse(p, y)
    end)
    t:begin(set, 2, 1, false)
    t:advance()
    assert.is_false(tried[1])
    assert.matches("trainer: is in use", tried[2])
  end)

  it("may evaluate", function()
    local t, inside
    t = trainer(function(p, y)
      if not inside then
        inside = true
        assert.is_number(t:evaluate(data(4)).loss)
      end
      return mg.mse(p, y)
    end)
    t:step(mg.ones(2, 2), mg.ones(2, 1))
  end)

  it("ends a loop of epochs whose trainer was begun elsewhere", function()
    local t = trainer("mse")
    local function watch() t:begin(mg.data.dataset(data(2)), 1, 1) end
    local rounds = t:epochs(2, data(6), { watch = watch })
    local count = 0
    while rounds() do count = count + 1 end
    assert.truthy(count <= 2)
  end)

  it("keeps its functions whatever is done to parts()", function()
    local t = mg.trainer { net = mg.sequential { 2, mg.dense(1) }, optimizer = "sgd",
                           loss = function(p, y) return mg.mse(p, y) end, metrics = { "accuracy" } }
    local parts = t:parts()
    for name in pairs(parts) do parts[name] = nil end
    collect()
    assert.is_number(t:step(mg.ones(2, 2), mg.ones(2, 1)))
  end)

  it("refuses metrics that are no list", function()
    local o = { net = mg.dense(2), optimizer = mg.sgd { lr = 1 }, loss = "mse" }
    for _, v in ipairs { "abc", { "abc" }, { {} }, { { 5 } }, 3 } do
      o.metrics = v
      fails("^trainer: ", core.trainer, o)
    end
  end)

  it("refuses a time that is no number", function()
    local t = trainer("mse")
    fails("run: ms is %-?nan, expected 0 or more", t.run, t, data(2),
      { ms = 0 / 0, epochs = 2 ^ 50 })
  end)
end)

describe("recursion", function()
  it("through a net, a loss, a schedule or coroutines ends in an error", function()
    local net
    net = mg.sequential { function(x) return net(x) end }
    assert.is_false(pcall(net, mg.ones(1)))
    local function loss(p, y)
      trainer(loss):step(mg.ones(2, 2), mg.ones(2, 1))
      return mg.mse(p, y)
    end
    local t = trainer(loss)
    assert.is_false(pcall(t.step, t, mg.ones(2, 2), mg.ones(2, 1)))
    local w, o = mg.tensor({ 1 }, { requires_grad = true })
    o = mg.sgd { lr = function() o:step() return 1 end }:attach { w }
    w:sum():backward()
    assert.is_false(pcall(o.step, o))
    local function wrapped(x)
      return coroutine.wrap(function() return core.custom("f", wrapped)(x) end)()
    end
    assert.is_false(pcall(core.custom("f", wrapped), mg.ones(1)))
    near({ 2 }, core.custom("f", function(x) return x + 1 end)(mg.ones(1))) -- and all is well
  end)
end)

describe("expanded tensors", function()
  it("are not written to", function()
    local t = mg.zeros(1):expand(2 ^ 40)
    fails("fill: several elements of the expanded tensor are one number", t.fill, t, 1)
    fails("add_: several elements", t.add_, t, 1)
    fails("several elements", core.init, "normal", t)
  end)

  it("are no parameters and no data", function()
    local w = mg.zeros(1):expand(1000):detach()
    w.requires_grad = true
    local m = mg.module("m", { forward = function(_, x) return x end })()
    fails('m: tensor "w" is an expanded view, expected its contiguous', function() m.w = w end)
    fails("dataset: x is an expanded view", core.dataset, mg.zeros(1, 1):expand(2 ^ 40, 1), w)
  end)

  it("run out of memory rather than time in a product", function()
    local a, b = mg.zeros(1, 1):expand(1, 2 ^ 50), mg.zeros(1, 1):expand(2 ^ 50, 1)
    fails("not enough memory", a.matmul, a, b)
  end)

  it("are measured by metrics number by number", function()
    local function repeated(x) return x:narrow(1, 1, 1):expand(50, 3) end
    local net = mg.sequential { 2, mg.dense(3), repeated }
    local t = mg.trainer { net = net, optimizer = "sgd", metrics = { "accuracy" },
                           loss = function(p) return p:sum() end }
    local right = t:evaluate({ x = mg.ones(50, 2), y = mg.ones(50), batch = 50 }).accuracy
    assert.is_true(right == 0 or right == 1)
  end)
end)

describe("plans", function()
  it("take inputs that are parts of larger tensors", function()
    local function losses(x, y)
      mg.seed(1)
      local t = mg.trainer { net = mg.sequential { 4, mg.dense(3, "tanh"), mg.dense(1) },
                             loss = "mse", optimizer = mg.sgd { lr = 0.1 } }
      local list = {}
      for i = 1, 4 do list[i] = t:step(x, y) end
      return list
    end
    local x, y = mg.rand(100, 4), mg.rand(100, 1)
    local part_x, part_y = x:narrow(1, 50, 4), y:narrow(1, 50, 4)
    assert.same(losses(part_x:clone(), part_y:clone()), losses(part_x, part_y))
    local net = mg.sequential { 4, mg.dense(1) }
    for _ = 1, 3 do near(net(part_x), net:predict(part_x), 0) end
  end)

  it("do not outlive an input that collects a gradient", function()
    local t = mg.trainer { net = mg.sequential { 4, mg.dense(1) }, loss = "mse",
                           optimizer = "sgd" }
    local x = mg.tensor({ { 1, 2, 3, 4 } }, { requires_grad = true })
    for _ = 1, 2 do t:step(x, mg.ones(1, 1)) end
    x:close()
    collect()
    for _ = 1, 3 do t:step(mg.ones(1, 4), mg.ones(1, 1)) end
  end)
end)

describe("lists", function()
  it("with a length beyond their elements are refused", function()
    local holes = {}
    for k = 0, 52 do holes[2 ^ k] = mg.ones(1) end
    fails("^cat: ", mg.cat, holes)
    fails("^grad: ", mg.grad, mg.ones(1), holes)
    fails("attach: ", function() mg.sgd { lr = 1 }:attach(holes) end)
  end)
end)

describe("finalizers that run inside a call", function()
  it("may close its tensors", function()
    local t = mg.ones(3)
    under_collector(function() t:close() t = mg.ones(3) end, function()
      local u = t
      local _ = { u + 1, -u, u[1], u.shape, u.grad, u:detach(), u:totable(), u:to_string() }
      u[1] = 2
      u:set(1, 3)
      u:add_({ 1, 2, 3 })
      u:copy(u)
      u:relu_()
      mg.cat({ u, u }, 1)
      mg.grad((u * 2):sum(), { u, u })
    end)
  end)

  it("may close its data", function()
    local d = mg.data.tensors(mg.ones(3), mg.ones(3))
    under_collector(function() d:close() d = mg.data.tensors(mg.ones(3), mg.ones(3)) end, function()
      local e = d
      e:batch(1, 2)
      e:stats(true)
      e:affine({ 1 }, { 0 })
      e:range(1, 2)
      e:shuffle()
    end)
  end)

  it("may change the parts of its layer", function()
    local net = mg.module("m", { forward = function(_, x) return x end })()
    local k = 0
    under_collector(function()
      k = k + 1
      net["w" .. k % 3] = mg.tensor({ 1 }, { requires_grad = true })
      net["w" .. (k + 1) % 3] = nil
      net["l" .. k % 3] = mg.dense(2, { inputs = 2 })
      net["l" .. (k + 1) % 3] = nil
    end, function()
      net:parameters()
      net:named()
      net:describe()
      net:clone()
      net:hash()
      net(mg.ones(1))
    end)
    assert.is_table(net:parameters())
  end)

  it("may close its layer", function()
    local function made() return mg.gru(2, { name = "gates" }) end
    local l, x, h = made(), mg.ones(1, 1, 2), mg.zeros(1, 1, 2)
    under_collector(function() l:close() l = made() end, function()
      local k = l
      k:describe()
      k:describe()
      k { { { 1, 2 } } }
      k(x, { h = h })
      mg.core.recipe(k)
      pcall(function() k.field = 1 end)
    end)
  end)

  it("may give its optimizer other functions", function()
    local w, o = mg.tensor({ 1 }, { requires_grad = true }), mg.sgd { lr = 0.1 }
    local armed, inside = true, false
    local function none() return 0 end
    local function arm()
      on_collection(function()
        if inside then o:grouping(function(...) return none(...) end) end
        inside = false
        if armed then arm() end
      end)
    end
    arm()
    local pause = helper.pause(1)
    for _, method in ipairs { "schedule", "grouping" } do
      for _ = 1, 20000 do
        inside = true
        o[method](o, function() return 0 end)
        if not inside then -- one has come in between
          collect()
          o:attach { w } -- which asks for the group
        end
        inside = false
      end
    end
    armed = false
    helper.pause(pause)
  end)

  it("find the library closed at the end of the state", function()
    if newproxy then return end -- there the state's own box is finalized last
    local output = helper.script([[
      local mg
      keep = setmetatable({}, { __gc = function()
        for _, f in ipairs { mg.zeros, mg.dense, mg.relu, mg.seed } do
          print(select(2, pcall(f, 3)))
        end
      end })
      mg = require "moongrad"
    ]])
    assert.matches("moongrad: the Lua state is being closed", output)
  end)
end)
