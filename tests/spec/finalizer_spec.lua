-- Finalizers and metamethods called by hand, in any order and on anything, for every kind
-- of object; and objects used when they are gone. An error or nothing, never a crash: made
-- for the sanitized build ("make asan").
local mg = require "moongrad"
local helper = require "tests.spec.helper"
local core, near = mg.core, helper.near

-- As in tests/fuzz/programs.lua: LuaJIT 2.1 itself hangs now and then when finalizers do
-- much while traces are recorded.
if jit then jit.off(true, true) end

local kinds = {
  tensor = function() return mg.tensor({ 1, 2 }, { requires_grad = true }) end,
  layer = function() return mg.sequential { 2, mg.dense(2) } end,
  optimizer = function() return mg.sgd { lr = 1 }:attach(mg.sequential { 2, mg.dense(2) }) end,
  dataset = function() return mg.data.tensors(mg.ones(4, 2), mg.ones(4, 2)) end,
  trainer = function()
    return mg.trainer { net = mg.sequential { 2, mg.dense(2) }, loss = "mse", optimizer = "sgd" }
  end,
  bytes = function() return core.bytes "abc" end,
}

local names = {}
for kind in pairs(kinds) do names[#names + 1] = kind end
table.sort(names)

local function methods(kind)
  return core[kind .. "_methods"] or { integer = core.bytes("abc").integer,
                                       close = core.bytes("abc").close }
end

local function metamethods(kind)
  local list = {}
  for name, f in pairs(debug.getmetatable(kinds[kind]())) do
    if type(f) == "function" then list[name] = f end
  end
  return list
end

local function collect() for _ = 1, 3 do collectgarbage() end end

-- Every function of a kind on these arguments; nothing but errors may come of it.
local function try_all(kind, ...)
  local count = 0
  for _, list in ipairs { methods(kind), metamethods(kind) } do
    for _, f in pairs(list) do
      pcall(f, ...)
      count = count + 1
    end
  end
  core.recording(true)
  assert.is_true(count > 3)
end

-- The library works afterwards.
local function works() near({ 3, 3 }, (mg.ones(2) + 2)) end

for _, kind in ipairs(names) do
  local gc = metamethods(kind).__gc

  describe("the finalizer of a " .. kind, function()
    it("called by hand closes it, once", function()
      local o = kinds[kind]()
      gc(o)
      gc(o)
      assert.is_false(core.open(o))
      o:close()
      try_all(kind, o, o, o)
      collect()
      works()
    end)

    it("does nothing to what is no " .. kind, function()
      local others = { 1, "a", true, {}, print, io.stdout, coroutine.create(function() end) }
      for _, other in ipairs(names) do others[#others + 1] = kinds[other]() end
      for i = 1, #others do pcall(gc, others[i]) end
      pcall(gc)
      try_all(kind)
      for i = 1, #others do try_all(kind, others[i], others[i]) end
      works()
    end)

    it("may run another one of its kind", function()
      local o, keep = kinds[kind](), kinds[kind]()
      local function finish() gc(keep) try_all(kind, keep, o) end
      helper.on_collection(finish)
      collect()
      assert.is_false(core.open(keep))
      gc(o)
      works()
    end)

    it("runs at the end of the state, with methods called from other finalizers", function()
      local output = helper.script(([[
        local mg = require "moongrad"
        local make = {
          tensor = function() return mg.ones(2) end,
          layer = function() return mg.sequential { 2, mg.dense(2) } end,
          optimizer = function() return mg.sgd { lr = 1 }:attach { mg.tensor({ 1 },
            { requires_grad = true }) } end,
          dataset = function() return mg.data.tensors(mg.ones(4, 2), mg.ones(4, 2)) end,
          trainer = function() return mg.trainer { net = mg.dense(2), loss = "mse",
            optimizer = "sgd" } end,
          bytes = function() return mg.core.bytes "abc" end,
        }
        local function guard(o, meta)
          return function()
            for _, f in pairs(mg.core[%q .. "_methods"] or {}) do pcall(f, o, o) end
            for _, f in pairs(meta) do if type(f) == "function" then pcall(f, o, o) end end
          end
        end
        for i = 1, 3 do
          local o = make[%q]()
          local f = guard(o, debug.getmetatable(o))
          if newproxy then
            local p = newproxy(true)
            getmetatable(p).__gc = f
            _G["keep" .. i] = p
          else
            _G["keep" .. i] = setmetatable({}, { __gc = f })
          end
          _G["object" .. i] = o
        end
        print "done"
      ]]):format(kind, kind))
      assert.equal("done\n", output)
    end)
  end)

  describe("a " .. kind .. " with the metatable of another kind", function()
    for _, other in ipairs(names) do
      it("is refused by the methods of a " .. other, function()
        local o = kinds[kind]()
        debug.setmetatable(o, debug.getmetatable(kinds[other]()))
        try_all(other, o, o, o)
        pcall(tostring, o)
        pcall(function() return o[1], o.x, #o, o + o, o == o, o(o) end)
        debug.setmetatable(o, nil)
        try_all(kind, o, o)
        debug.setmetatable(o, debug.getmetatable(kinds[kind]()))
        gc(o)
        works()
      end)
    end
  end)
end

describe("a finalizer called by hand inside of a callback", function()
  local function by_hand(o) metamethods(core.type(o)).__gc(o) end

  it("leaves a step its trainer, net, batch and optimizer", function()
    local x, y, net = mg.ones(2, 2), mg.ones(2, 1), mg.sequential { 2, mg.dense(1) }
    local o, t = mg.sgd { lr = 0.1 }, nil
    t = mg.trainer { net = net, optimizer = o, loss = function(p, q)
      for _, v in ipairs { x, y, net, o, t, p, q } do by_hand(v) end
      collect()
      return mg.mse(mg.ones(2, 1), mg.zeros(2, 1))
    end }
    pcall(t.step, t, x, y)
    assert.is_false(core.open(t))
    collect()
    works()
  end)

  it("leaves a net and its input to the function that runs", function()
    local x, net = mg.ones(2, 2), nil
    net = mg.sequential { mg.dense(2), function(v)
      for _, u in ipairs { x, net, v } do by_hand(u) end
      collect()
      return mg.ones(2, 2)
    end, mg.dense(1) }
    near({ 2, 1 }, net(x).shape)
    assert.is_false(core.open(net))
    collect()
    works()
  end)

  it("leaves a closure its optimizer", function()
    local w = mg.tensor({ 1 }, { requires_grad = true })
    local o = mg.lbfgs { max_iter = 2 }:attach { w }
    pcall(o.step, o, function()
      by_hand(o)
      by_hand(w)
      collect()
      error("enough", 0)
    end)
    collect()
    works()
  end)
end)

describe("a finalizer in lua_close, in the middle of a sweep", function()
  it("is refused a change without a collection, which would not end on 5.3", function()
    assert.equal("done\n", helper.script [[
      local mg = require "moongrad"
      local o = mg.sgd { lr = 1 }:attach { mg.tensor({ 1 }, { requires_grad = true }) }
      keep = {}
      for i = 1, 300 do keep[i] = setmetatable({}, { __gc = function() end }) end
      refused = setmetatable({}, { __gc = function() pcall(o.swap, o) end })
      collectgarbage()
      collectgarbage "stop"
      for i = 1, 30 do collectgarbage("step", 0) end
      print "done"
    ]])
  end)
end)

-- From 5.2 on a collection clears references to what it takes along before finalizers run.
describe("a finalizer of what is collected together with a trainer", function()
  it("calls its loss, or is told that it is gone", function()
    local said
    local function leave()
      local t = mg.trainer { net = mg.sequential { 2, mg.dense(1) }, optimizer = "sgd",
                             loss = function(p, y) return mg.mse(p, y) end }
      local x, y = mg.ones(4, 2), mg.ones(4, 1)
      helper.on_collection(function() said = { pcall(t.step, t, x, y) } end)
    end
    leave()
    collect()
    if said[1] then assert.is_number(said[2])
    else assert.matches("a function is gone, its owner is being collected", said[2]) end
    works()
  end)
end)
