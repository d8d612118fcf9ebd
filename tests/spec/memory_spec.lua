local mg = require "moongrad"
local h = require "tests.spec.helper"
local near, fails = h.near, h.fails

local MB = 1048576

local function used()
  return (mg.memory())
end

describe("requiring moongrad", function()
  it("sets no global and prints nothing", function()
    assert.equal("nothing", h.script [[
      local before = {}
      for name in pairs(_G) do before[name] = true end
      require "moongrad"
      for name in pairs(_G) do
        if not before[name] then io.write("global ", name, "; ") end
      end
      io.write("nothing")
    ]])
  end)
  it("gives the same table twice", function()
    assert.equal("true", h.script [[io.write(tostring(require "moongrad" == require "moongrad"))]])
  end)
  it("ends cleanly with everything still alive", function()
    assert.equal("end", h.script [[
      local mg = require "moongrad"
      net = mg.sequential { 2, mg.dense(3), function(x) return x * 2 end, mg.dense(1) }
      loss = net(mg.ones(4, 2)):sum()
      trainer = mg.trainer { net = net, loss = "mse", optimizer = "adam" }
      trainer:step(mg.ones(4, 2), mg.ones(4, 1))
      io.write("end")
    ]])
  end)
end)

describe("memory", function()
  it("counts the bytes of tensors", function()
    collectgarbage()
    collectgarbage() -- what other specs have left
    local before = used()
    local t = mg.zeros(256, 1024)
    local more = used() - before
    assert.is_true(more >= MB and more < 3 * MB) -- twice that in a double build
    t:close()
  end)
  it("is given back by close at once", function()
    local before = used()
    local t = mg.zeros(256, 1024)
    t:close()
    assert.is_true(used() - before < MB / 4)
  end)
  it("is given back by the collector", function()
    collectgarbage()
    collectgarbage()
    local before = used()
    do local _ = mg.zeros(256, 1024) end
    collectgarbage()
    collectgarbage()
    assert.is_true(used() - before < MB / 4)
  end)
  it("of a graph is given back after backward", function()
    local x = h.leaf(mg.ones(64, 64):totable())
    collectgarbage()
    collectgarbage()
    local before = used()
    do
      local y = x
      for _ = 1, 200 do y = y * 1.01 end
      y:sum():backward()
    end
    collectgarbage()
    collectgarbage()
    assert.is_true(used() - before < MB / 4)
  end)
  it("of a graph that is dropped unused is given back", function()
    local x = h.leaf(mg.ones(64, 64):totable())
    collectgarbage()
    collectgarbage()
    local before = used()
    do
      local y = x
      for _ = 1, 200 do y = y * 1.01 end
    end
    collectgarbage()
    collectgarbage()
    assert.is_true(used() - before < MB / 4)
  end)
  it("of nets and trainers is given back", function()
    local function work()
      local net = mg.sequential {
        64, mg.dense(64, "relu"), function(x) return x end, mg.dense(1),
      }
      local trainer = mg.trainer {
        net = net, loss = function(p, y) return mg.mse(p, y) end, optimizer = "adam",
      }
      trainer:fit(2, { x = mg.ones(32, 64), y = mg.ones(32, 1), batch = 8 })
    end
    work()
    collectgarbage()
    collectgarbage()
    local before = used()
    for _ = 1, 30 do work() end
    collectgarbage()
    collectgarbage()
    assert.is_true(used() - before < MB / 8)
  end)
  local weight = h.leaf(mg.ones(256, 1024):totable())
  local dropped = {
    tensors = function() return mg.zeros(256, 1024) end,
    graphs = function() return weight:tanh():sum() end,
    nets = function() return mg.sequential { 512, mg.dense(256), function(x) return x end } end,
    trainers = function()
      local net = mg.sequential { 256, mg.dense(256), mg.dense(1) }
      local t = mg.trainer { net = net, loss = "mse", optimizer = "adam" }
      t:step(mg.ones(1, 256), mg.ones(1, 1))
    end,
  }
  for kind, make in pairs(dropped) do
    it("stays small while " .. kind .. " of 1 MB are dropped in a loop", function()
      collectgarbage()
      -- in a heap of this suite's size; dropped.lua in torture/ has one of its own
      local bound = 32 * MB + 2 * 1024 * collectgarbage "count"
      local most, before = 0, used()
      for _ = 1, 300 do
        make()
        most = math.max(most, used())
      end
      assert.is_true(most - before < bound)
    end)
  end
  it("leaves a collector alone that the host has stopped", function()
    assert.equal("still there", h.script [[
      local mg = require "moongrad"
      local canary = setmetatable({ {} }, { __mode = "v" })
      collectgarbage "stop"
      for _ = 1, 200 do
        mg.zeros(128, 256)
        mg.sequential { 64, mg.dense(64) }
      end
      io.write(canary[1] and "still there" or "collected")
    ]])
  end)
  it("that is wanting leaves it alone, too, where Lua tells whether it is stopped", function()
    local out = h.script [[
      local mg = require "moongrad"
      if rawget(_G, "jit") then jit.off() end -- which would leave the tables out
      local kept
      local function grows(count) -- by more than half of what is made?
        local before = collectgarbage "count"
        for i = 1, count do kept = { i } end
        return collectgarbage "count" - before > count * 32 / 1024 and kept ~= nil
      end
      mg.limit { memory = 200000 }
      local running = not grows(2e6)
      collectgarbage "stop"
      local ok = pcall(mg.zeros, 1000, 1000)
      local stopped = grows(2e5)
      collectgarbage "restart"
      io.write(("%s %s %s %s"):format(tostring(running), tostring(ok), tostring(stopped),
        tostring(not grows(2e6))))
    ]]
    local tells = _VERSION ~= "Lua 5.1" or rawget(_G, "jit") ~= nil -- 5.1 starts it
    assert.equal("true false " .. tostring(tells) .. " true", out)
  end)
end)

describe("a training loop", function()
  it("does not grow from step to step", function()
    local net = mg.sequential { 8, mg.dense(16, "tanh"), mg.dense(1) }
    local trainer = mg.trainer { net = net, loss = "mse", optimizer = mg.sgd { lr = 0.01 } }
    local x, y = mg.ones(16, 8), mg.ones(16, 1)
    for _ = 1, 50 do trainer:step(x, y) end
    collectgarbage()
    collectgarbage()
    local before = used()
    for _ = 1, 500 do trainer:step(x, y) end
    collectgarbage()
    collectgarbage()
    assert.is_true(used() - before < MB / 16)
  end)
end)

describe("close", function()
  it("leaves views of the same storage alive", function()
    local t = mg.tensor { { 1, 2 }, { 3, 4 } }
    local row = t[2]
    t:close()
    near({ 3, 4 }, row)
  end)
  it("of a view leaves the whole alive", function()
    local t = mg.tensor { { 1, 2 }, { 3, 4 } }
    t:transpose(1, 2):close()
    near({ { 1, 2 }, { 3, 4 } }, t)
  end)
  it("makes later use an error", function()
    local t = mg.ones(2)
    t:close()
    fails("closed", t.sum, t)
    fails("closed", function() return t[1] end)
  end)
  it("leaves a gradient to come whole", function()
    local x = h.leaf { 1, 2 }
    local y = x * x
    local loss = y:sum()
    y:close()
    loss:backward()
    near({ 2, 4 }, x.grad)
  end)
  it("leaves a result computed from the closed one alone", function()
    local t = mg.ones(3)
    local sum = t + 1
    t:close()
    near({ 2, 2, 2 }, sum)
  end)
  it("happens at the end of a block in Lua 5.4", function()
    local chunk = (loadstring or load)([[
      local mg = ...
      local kept
      do local t <close> = mg.ones(2); kept = t end
      return kept
    ]])
    if not chunk then return pending("this Lua has no <close>") end
    local kept = chunk(mg)
    fails("closed", kept.sum, kept)
  end)
end)

describe("a limit", function()
  it("is met by an error that says so, and life goes on", function()
    assert.equal("refused, then 6", h.script [[
      local mg = require "moongrad"
      mg.limit { memory = 4000000 }
      local ok, err = pcall(mg.zeros, 1000, 2000)
      assert(not ok and err:find("not enough memory"), err)
      io.write("refused, then ", mg.tensor({ 1, 2, 3 }):sum():item() == 6 and "6" or "?")
    ]])
  end)
  it("leaves room again when tensors are closed", function()
    assert.equal("ok", h.script [[
      local mg = require "moongrad"
      mg.limit { memory = 4000000 }
      for i = 1, 100 do mg.zeros(100, 5000):close() end
      io.write("ok")
    ]])
  end)
  for _, case in ipairs {
    { "elements = 100", "mg.zeros(10, 10) return mg.zeros(10, 11)",
      "zeros: shape is {10, 11}, this host allows 100 elements" },
    { "elements = 100", "return mg.zeros(10):reshape(10, 1):expand(10, 11)",
      "shape is {10, 11}, this host allows 100 elements" },
    { "tensors = 3", "kept = { mg.zeros(1), mg.zeros(1), mg.zeros(1) } return mg.zeros(1)",
      "zeros: there are 3 tensors, as many as this host allows" },
    { "graph = 4", "kept = mg.tensor(1, { requires_grad = true })\n" ..
      "for i = 1, 4 do kept = kept + 1 end return kept * 2",
      "mul: there are 4 recorded ops, as many as this host allows" },
    { "threads = 2", "mg.set_threads(2) return mg.set_threads(3)",
      "set_threads: threads is 3, this host allows 2" },
  } do
    it("of " .. case[1] .. " is met by an error that says so", function()
      assert.equal(case[3], h.script(([[
        local mg, kept = require "moongrad"
        mg.limit { %s }
        local ok, err = pcall(function() %s end)
        io.write(ok and "no error" or (err:gsub("^.-:%%d+: ", "")))
        kept = nil
        collectgarbage()
        assert(mg.tensor(1):item() == 1)
      ]]):format(case[1], case[2])))
    end)
  end
  it("of tensors counts none that are garbage", function()
    assert.equal("ok", h.script [[
      local mg = require "moongrad"
      mg.limit { tensors = 10 }
      for i = 1, 1000 do mg.zeros(2) end
      io.write("ok")
    ]])
  end)
  it("cannot be raised, nor lifted, from Lua", function()
    for _, most in ipairs { 101, 1e9, 0 } do
      assert.truthy(h.script(([[
        local mg = require "moongrad"
        mg.limit { tensors = 100, graph = 5 }
        mg.limit { tensors = 100, graph = 5 }
        local ok, err = pcall(mg.limit, { tensors = %d })
        io.write(ok and "no error" or err)
      ]]):format(most)):find("limit: tensors is " .. ("%d"):format(most), 1, true))
    end
  end)
  it("is set, raised and lifted by the host, by what it finds in the registry", function()
    assert.equal("10 30 none 20", h.script [[
      local mg = require "moongrad"
      local limit = debug.getregistry()["moongrad.limit"]
      local function most()
        for n = 10, 40, 10 do
          if not pcall(mg.zeros, n + 1) then return n end
        end
        return "none"
      end
      mg.limit { elements = 10 }
      local lowered = most()
      limit("elements", 30)
      local raised = most()
      limit("elements", 0)
      local lifted = most()
      mg.limit { elements = 20 }
      io.write(lowered, " ", raised, " ", lifted, " ", most())
    ]])
  end)
  it("anywhere in a training gives a result or not enough memory, and whole weights", function()
    assert.equal("ok", h.script [[
      local mg = require "moongrad"
      local data = { x = { { 0, 0 }, { 0, 1 }, { 1, 0 }, { 1, 1 } },
                     y = { { 0 }, { 1 }, { 1 }, { 0 } }, batch = 2 }
      local function work()
        local net = mg.sequential { 2, mg.dense(64, "tanh"), mg.dense(64), "tanh", mg.dense(1) }
        local t = mg.trainer { net = net, loss = "mse", optimizer = mg.adam { lr = 0.01 } }
        t:fit(2, data)
        return net:predict(data.x):sum():item()
      end
      work()
      local failures = 0
      for limit = 400000, 0, -2000 do
        collectgarbage()
        collectgarbage()
        if limit > 0 then mg.limit { memory = limit } end
        local ok, result = pcall(work)
        if not ok then
          assert(tostring(result):find("not enough memory"), tostring(result))
          failures = failures + 1
        else
          assert(result == result)
        end
      end
      io.write(failures > 0 and "ok" or "no limit was met")
    ]])
  end)
end)
