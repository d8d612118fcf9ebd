-- Every place where the library calls Lua: errors, yields, coroutines, recursion and
-- nested protected calls in it come out right, and the library works on.
local mg = require "moongrad"
local helper = require "tests.spec.helper"
local near, fails = helper.near, helper.fails

local function x() return mg.ones(2, 2) end
local function data() return { x = mg.ones(4, 2), y = mg.ones(4, 1), batch = 2 } end
local function weight() return mg.tensor({ 1 }, { requires_grad = true }) end
local function trainer(options)
  options.net = options.net or mg.sequential { 2, mg.dense(1) }
  options.loss = options.loss or "mse"
  options.optimizer = options.optimizer or mg.sgd { lr = 0.1 }
  return mg.trainer(options)
end
local function lowered(optimizer)
  local w = weight()
  optimizer:attach { w }
  w:sum():backward()
  return optimizer
end

-- Each calls f where the library would call a function of its user.
local sites = {
  ["a layer"] = function(f) mg.sequential { function(v) f() return v end }(x()) end,
  ["predict"] = function(f) mg.sequential { function(v) f() return v end }:predict(x()) end,
  ["the forward of a class"] = function(f)
    mg.module("m", { forward = function(_, v) f() return v end })()(x())
  end,
  ["the init of a class"] = function(f)
    mg.module("m", { init = f, forward = function(_, v) return v end })()
  end,
  ["a loss"] = function(f)
    trainer { loss = function(p, y) f() return mg.mse(p, y) end }:step(x(), mg.ones(2, 1))
  end,
  ["a metric"] = function(f)
    trainer { metrics = { function() f() return 1 end } }:evaluate(data())
  end,
  ["a schedule"] = function(f)
    lowered(mg.sgd { lr = function() f() return 0.1 end }):step()
  end,
  ["the closure of a step"] = function(f)
    local w = weight()
    mg.lbfgs { max_iter = 2 }:attach { w }:step(function()
      f()
      local loss = (w * w):sum()
      loss:backward()
      return loss
    end)
  end,
  ["the finder of groups"] = function(f)
    mg.sgd { lr = 1 }:grouping(function() f() return 0 end):attach { weight() }
  end,
  ["on_epoch"] = function(f) trainer {}:fit(1, data(), { on_epoch = function() f() end }) end,
  ["on_batch"] = function(f) trainer {}:fit(1, data(), { on_batch = function() f() end }) end,
  ["data of a function"] = function(f)
    mg.data.func(function() f() return { 1, 2 }, 1 end, 2)
  end,
  ["no_grad"] = function(f) mg.no_grad(f) end,
  ["averaged"] = function(f)
    local o = lowered(mg.sgd { lr = 0.1, ema = 0.5 })
    o:step()
    o:averaged(f)
  end,
  ["gradcheck"] = function(f)
    mg.gradcheck(function(v) f() return (v * v):sum() end, { weight() })
  end,
  ["rename"] = function(f)
    local net = mg.sequential { 2, mg.dense(1) }
    net:load_weights(net:named(), function(name) f() return name end)
  end,
  ["a file function"] = function(f)
    local before = mg.set_files {
      open = function() f() return nil, "no such file", 2 end, size = f, read = f, write = f,
      close = f, rename = f, remove = f }
    local ok, message = pcall(mg.load, "anywhere")
    mg.set_files(before)
    if not ok then error(message, 0) end
  end,
  ["a list's __index"] = function(f)
    local function handler() f() return 1 end
    local list = setmetatable({}, { __index = handler, __len = handler })
    pcall(mg.cat, list, 1)
    f()
  end,
}

local names = {}
for name in pairs(sites) do names[#names + 1] = name end
table.sort(names)

-- The bits of a training that nothing has touched.
local function reference()
  mg.seed(3)
  local t = trainer { net = mg.sequential { 2, mg.dense(3, "tanh"), mg.dense(1) } }
  return t:step(x(), mg.ones(2, 1)) + t:step(x(), mg.ones(2, 1))
end
local right = reference()

local function works()
  local y = weight() * 2
  y:sum():backward() -- recorded
  assert.equal(right, reference())
end

for _, name in ipairs(names) do
  local site = sites[name]

  describe("a function called by " .. name, function()
    after_each(function() mg.set_files(nil) end)

    it("is called", function()
      local calls = 0
      site(function() calls = calls + 1 end)
      assert.is_true(calls > 0)
      works()
    end)

    it("passes any value on as its error", function()
      for _, value in ipairs { {}, "text", 12, true, print } do
        local ok, err = pcall(site, function() error(value, 0) end)
        assert.is_false(ok)
        assert.equal(value, err)
      end
      local t = mg.ones(1)
      local _, err = pcall(site, function() error(t) end)
      assert.is_true(rawequal(t, err))
      works()
    end)

    it("passes an error on inside coroutines in coroutines", function()
      local value = {}
      local co = coroutine.create(function()
        local inner = coroutine.create(function() site(function() error(value) end) end)
        local ok, err = coroutine.resume(inner)
        assert(not ok)
        coroutine.yield(err)
        site(function() end)
        return "fine"
      end)
      assert.same({ true, value }, { coroutine.resume(co) })
      assert.same({ true, "fine" }, { coroutine.resume(co) })
      works()
    end)

    it("yields and goes on, or is told that it cannot", function()
      local co = coroutine.create(function() site(function() coroutine.yield() end) end)
      local ok, err = coroutine.resume(co)
      for _ = 1, 50 do
        if coroutine.status(co) == "dead" then break end
        works() -- while it waits
        ok, err = coroutine.resume(co)
      end
      assert.equal("dead", coroutine.status(co))
      if not ok then assert.matches("yield", tostring(err)) end
      works()
    end)

    it("may be left waiting in a coroutine for good", function()
      local co = coroutine.create(function() site(function() coroutine.yield() end) end)
      coroutine.resume(co)
      co = nil -- luacheck: ignore
      collectgarbage()
      collectgarbage()
      works()
    end)

    it("may resume coroutines that use the library", function()
      local sum = 0
      local co = coroutine.wrap(function()
        while true do
          sum = sum + mg.ones(3):sum():item()
          coroutine.yield()
        end
      end)
      site(co)
      assert.is_true(sum >= 3)
      works()
    end)

    it("catches the errors of its own calls", function()
      local caught
      site(function()
        local ok, err = pcall(function() site(function() error("inner", 0) end) end)
        caught = not ok and err
        pcall(mg.zeros, -1)
      end)
      assert.equal("inner", caught)
      works()
    end)

    it("recurses into an error, never a crash", function()
      local deepest, depth = 0, 0
      local function deeper()
        depth = depth + 1
        deepest = math.max(deepest, depth)
        local ok, err = pcall(site, deeper)
        depth = depth - 1
        if not ok then error(err, 0) end
        if depth == 0 then error("never too deep", 0) end
      end
      pcall(deeper)
      assert.is_true(deepest > 10)
      works()
    end)
  end)
end

describe("coroutines", function()
  it("have each a tensor, 1e5 of them", function()
    local list, sum = {}, 0
    for i = 1, 1e5 do
      list[i] = coroutine.wrap(function()
        local t = mg.full({ 1 }, i % 7)
        coroutine.yield()
        sum = sum + t:item()
      end)
      list[i]()
    end
    for i = 1, 1e5 do list[i]() end
    assert.equal(300000, sum) -- 14285 times 1 to 6, and 1 to 5
    list = nil -- luacheck: ignore
    collectgarbage()
    collectgarbage()
    works()
  end)
end)

describe("a yield", function()
  it("in no_grad is refused, and recording goes on", function()
    local co = coroutine.create(function() mg.no_grad(coroutine.yield) end)
    local ok, err = coroutine.resume(co)
    assert.is_false(ok)
    assert.matches("yield", tostring(err))
    assert.is_true((weight() * 2).requires_grad)
  end)

  it("in averaged is refused, and the weights are back", function()
    local w = weight()
    local o = mg.sgd { lr = 0.1, ema = 0.5 }:attach { w }
    for _ = 1, 2 do
      w:sum():backward()
      o:step()
    end
    local before = w[1]
    coroutine.resume(coroutine.create(function() o:averaged(coroutine.yield) end))
    assert.equal(before, w[1])
    o:step()
  end)
end)

describe("a function called by an optimizer", function()
  local function refused(make)
    local w, o = weight(), nil
    local function meddle()
      fails("is in use; a function called meanwhile cannot train with it", o.attach, o, { w })
      fails("is in use", o.attach, o, mg.dense(1, { inputs = 1 }))
      fails("is in use", o.group, o, { lr = 2 })
      fails("is in use", o.step, o)
      collectgarbage()
    end
    o = make(meddle)
    return o, w
  end

  it("cannot attach or group it while it looks for groups", function()
    local o, w = refused(function(meddle)
      return mg.sgd { lr = 1 }:grouping(function() meddle() return 0 end)
    end)
    o:attach { w }
    o:attach(mg.dense(1, { inputs = 1 }))
    works()
  end)

  it("cannot attach or step it while it asks for the learning rate", function()
    local o, w = refused(function(meddle)
      return mg.sgd { lr = function() meddle() return 0.5 end }
    end)
    o:attach { w }
    w:sum():backward()
    o:step()
    near({ 0.5 }, w)
  end)
end)
