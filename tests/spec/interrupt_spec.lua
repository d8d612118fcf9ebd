-- Training that stops in the middle: by break, error, yield, or a number that
-- is not finite. The model must be as it was after the last whole batch.
local mg = require "moongrad"
local h = require "tests.spec.helper"
local near, fails = h.near, h.fails

local LUA = jit and "luajit" or "lua" .. _VERSION:match("%d%.%d")
local helper_paths = ("package.path = %q\npackage.cpath = %q\n"):format(package.path, package.cpath)

-- A small net with a trainer, the same for the same seed. 'loss' may be given.
local function make(loss, ...)
  mg.seed(21)
  local net = mg.sequential { 2, mg.dense(4), "tanh", mg.dense(1), ... }
  local x, y = mg.randn(10, 2), mg.randn(10, 1)
  local data = { x = x, y = y, batch = 3, shuffle = true } -- 4 batches an epoch
  local trainer = mg.trainer {
    net = net, loss = loss or "mse", optimizer = mg.adam { lr = 0.05 },
  }
  mg.seed(22)
  return trainer, net, data
end

-- The weights after a number of whole batches of five epochs.
local function after(steps, loss)
  local trainer, net, data = make(loss)
  trainer:run(data, { steps = steps, epochs = 5 })
  return h.weights(net)
end

local function plain_mse(p, y) return (p - y):square():mean() end

-- plain_mse that acts at its k-th call.
local function acting(k, act)
  local calls = 0
  return function(p, y)
    calls = calls + 1
    if calls == k then
      local result = act(p, y)
      if result then return result end
    end
    return plain_mse(p, y)
  end
end

-- Trains one of five epochs and leaves the loop.
local function first_epoch(trainer, data)
  for e in trainer:epochs(5, data) do
    if e.epoch == 1 then break end
  end
end

describe("leaving the loop over epochs", function()
  it("by break keeps the epochs done", function()
    local trainer, net, data = make()
    for e in trainer:epochs(5, data) do
      if e.epoch == 2 then break end
    end
    assert.same(after(8), h.weights(net))
  end)
  it("by an error keeps the epochs done and hands on the error", function()
    local trainer, net, data = make()
    local reason = {}
    local ok, err = pcall(function()
      for e in trainer:epochs(5, data) do
        if e.epoch == 3 then error(reason) end
      end
    end)
    assert.is_false(ok)
    assert.equal(reason, err)
    assert.same(after(12), h.weights(net))
  end)
  it("by break lets a new loop begin", function()
    local trainer, _, data = make()
    first_epoch(trainer, data)
    local numbers = {}
    for e in trainer:epochs(2, data) do numbers[#numbers + 1] = e.epoch end
    assert.equal(2, #numbers)
  end)
  it("by break leaves a net that predicts and evaluates", function()
    local trainer, net, data = make()
    first_epoch(trainer, data)
    assert.same({ 10, 1 }, net:predict(data.x).shape)
    near(mg.mse(net:predict(data.x), data.y), trainer:evaluate(data).loss)
  end)
end)

describe("a yield in the loop over epochs", function()
  it("comes back where it was", function()
    local trainer, net, data = make()
    local co = coroutine.wrap(function()
      for e in trainer:epochs(3, data) do coroutine.yield(e.epoch) end
      return "end"
    end)
    assert.equal(1, co())
    assert.same(after(4), h.weights(net))
    net:predict(data.x) -- other work in between
    assert.equal(2, co())
    assert.equal(3, co())
    assert.equal("end", co())
    assert.same(after(12), h.weights(net))
  end)
  it("may never come back", function()
    local trainer, net, data = make()
    local co = coroutine.wrap(function()
      for e in trainer:epochs(3, data) do coroutine.yield(e.epoch) end
    end)
    co()
    co = nil -- luacheck: ignore
    collectgarbage()
    collectgarbage()
    assert.same(after(4), h.weights(net))
  end)
  it("lets two trainings take turns", function()
    local t1, n1, d1 = make()
    local t2, n2, d2 = make()
    local function training(trainer, data)
      data.shuffle = false
      return coroutine.wrap(function()
        for _ in trainer:epochs(3, data) do coroutine.yield() end
      end)
    end
    local a, b = training(t1, d1), training(t2, d2)
    for _ = 1, 3 do
      a()
      b()
    end
    assert.same(h.weights(n1), h.weights(n2))
  end)
end)

describe("an error inside a batch", function()
  for _, k in ipairs { 1, 2, 4, 5, 7 } do
    it(("leaves the weights of the %d batches before it"):format(k - 1), function()
      local reason = {}
      local trainer, net, data = make(acting(k, function() error(reason) end))
      local start = h.weights(net)
      local ok, err = pcall(function()
        for _ in trainer:epochs(5, data) do collectgarbage("step") end
      end)
      assert.is_false(ok)
      assert.equal(reason, err)
      assert.same(k == 1 and start or after(k - 1, plain_mse), h.weights(net))
    end)
  end
  it("leaves run to go on with the trainer", function()
    local trainer, _, data = make(acting(2, function() error("boom", 0) end))
    local ok, err = pcall(trainer.run, trainer, data, { steps = 4, epochs = 5 })
    assert.is_false(ok)
    assert.equal("boom", err)
    local before = trainer:evaluate(data).loss
    trainer:fit(20, data)
    assert.is_true(trainer:evaluate(data).loss < before)
  end)
  it("of a custom layer arrives unchanged from step, fit and evaluate", function()
    local reason = { code = 3 }
    local throw = false
    local trainer, net, data = make(nil, function(x)
      if throw then error(reason) end
      return x
    end)
    throw = true
    local start = h.weights(net)
    for _, call in ipairs {
      function() trainer:step(data.x, data.y) end,
      function() trainer:fit(1, data) end,
      function() trainer:run(data, { steps = 1, epochs = 1 }) end,
      function() trainer:evaluate(data) end,
    } do
      local ok, err = pcall(call)
      assert.is_false(ok)
      assert.equal(reason, err)
    end
    assert.same(start, h.weights(net))
  end)
  it("adds nothing to the next batch's gradient", function()
    local trainer, net, data = make(acting(1, function(p, y)
      plain_mse(p, y):backward() -- leaves gradients behind
      error("late", 0)
    end))
    pcall(trainer.step, trainer, data.x, data.y)
    trainer:step(data.x, data.y)
    local twin, expected = make(plain_mse)
    twin:step(data.x, data.y)
    local found = h.weights(net)
    for name, values in pairs(h.weights(expected)) do near(values, found[name], 1e-6) end
  end)
  it("may come from closing what is being used", function()
    local trainer, net, data = make(acting(2, function(p) p:close() end))
    fails("closed", trainer.fit, trainer, 1, data)
    assert.same(after(1, plain_mse), h.weights(net))
  end)
end)

describe("a number that is not finite", function()
  -- Weights 1, then 'big': the second layer overflows for inputs above 10.
  local function overflowing(big)
    local net = mg.sequential { h.dense({ { 1 } }, { 0 }), h.dense({ { big } }, { 0 }) }
    return mg.trainer { net = net, loss = "mse", optimizer = mg.sgd { lr = 0.1 } }, net
  end

  it("stops a step, names a layer, and leaves the weights", function()
    local trainer, net = overflowing(3e38)
    local start = h.weights(net)
    fails("dense", trainer.step, trainer, mg.full({ 2, 1 }, 100), mg.zeros(2, 1))
    assert.same(start, h.weights(net))
  end)
  it("stops a run and keeps the batches before it", function()
    local trainer, net = overflowing(1)
    local twin, expected = overflowing(1)
    local x = mg.tensor { { 0.1 }, { 0.2 }, { 1 / 0 }, { 0.3 } }
    local data = { x = x, y = mg.zeros(4, 1), batch = 1, shuffle = false }
    fails("finite", trainer.fit, trainer, 1, data)
    twin:step(mg.full({ 1, 1 }, 0.1), mg.zeros(1, 1))
    twin:step(mg.full({ 1, 1 }, 0.2), mg.zeros(1, 1))
    assert.same(h.weights(expected), h.weights(net))
  end)
  it("in the input is an error whichever call trains on it", function()
    for _, bad in ipairs { 0 / 0, 1 / 0, -1 / 0 } do
      local data = { x = mg.full({ 2, 1 }, bad), y = mg.zeros(2, 1), batch = 2 }
      for _, call in ipairs {
        function(t) t:step(data.x, data.y) end,
        function(t) for _ in t:epochs(1, data) do collectgarbage("step") end end,
        function(t) t:run(data, { steps = 1, epochs = 1 }) end,
      } do
        local trainer, net = overflowing(1)
        local start = h.weights(net)
        fails("finite", call, trainer)
        assert.same(start, h.weights(net))
      end
    end
  end)
  it("from a loss written in Lua is an error too", function()
    local trainer, net, data = make(acting(2, function(p) return (p * (1 / 0)):sum() end))
    fails("finite", trainer.fit, trainer, 1, data)
    assert.same(after(1, plain_mse), h.weights(net))
  end)
  it("in the gradient alone is an error too", function() -- as of sqrt at 0
    local net = mg.sequential { h.dense({ { 0 } }, { 0 }) }
    local trainer = mg.trainer {
      net = net, loss = function(p) return p:sqrt():sum() end, optimizer = mg.sgd { lr = 0.1 },
    }
    fails("finite", trainer.step, trainer, mg.ones(1, 1), mg.ones(1, 1))
    assert.same({ { 0 } }, h.weights(net)["0.weight"])
  end)
  it("does not end the trainer's life", function()
    local trainer, net = overflowing(1)
    pcall(trainer.step, trainer, mg.full({ 1, 1 }, 0 / 0), mg.zeros(1, 1))
    local loss = trainer:step(mg.ones(1, 1), mg.zeros(1, 1))
    assert.equal(1, loss)
    assert.not_same({ { 1 } }, h.weights(net)["1.weight"])
  end)
end)

describe("training to the end", function()
  it("learns AND with one neuron", function()
    mg.seed(1)
    local net = mg.sequential { 2, mg.dense(1), "sigmoid" }
    local trainer = mg.trainer { net = net, loss = "bce", optimizer = mg.adam { lr = 0.1 } }
    trainer:fit(300, { x = { { 0, 0 }, { 0, 1 }, { 1, 0 }, { 1, 1 } },
                       y = { { 0 }, { 0 }, { 0 }, { 1 } }, batch = 4 })
    near({ { 0 }, { 0 }, { 0 }, { 1 } },
      net:predict({ { 0, 0 }, { 0, 1 }, { 1, 0 }, { 1, 1 } }):gt(0.5))
  end)
  it("learns XOR with a hidden layer", function()
    mg.seed(1)
    local net = mg.sequential { 2, mg.dense(8), "tanh", mg.dense(1), "sigmoid" }
    local trainer = mg.trainer { net = net, loss = "bce", optimizer = mg.adam { lr = 0.05 } }
    local data = { x = { { 0, 0 }, { 0, 1 }, { 1, 0 }, { 1, 1 } },
                   y = { { 0 }, { 1 }, { 1 }, { 0 } }, batch = 4 }
    trainer:fit(500, data)
    assert.is_true(trainer:evaluate(data).loss < 0.05)
  end)
end)

describe("Ctrl-C during fit", function()
  -- A process that trains until it gets the signal; what it printed.
  local function interrupted(path, options)
    local code = helper_paths .. ([[
      local mg = require "moongrad"
      mg.seed(1)
      local t = mg.trainer { net = mg.sequential { 8, mg.dense(64, "tanh"), mg.dense(1) },
                             loss = "mse", optimizer = mg.adam { lr = 1e-3 } }
      local data = { x = mg.randn(8000, 8), y = mg.randn(8000, 1), batch = 4, shuffle = true }
      os.execute("{ sleep 0.3; kill -INT " .. os.getenv("OWN") .. "; } &")
      t:fit(100000, data, { checkpoint = %q, progress = true, %s })
    ]]):format(path, options or "")
    local script = h.file(code)
    local pipe = io.popen(("sh -c 'OWN=$$ exec %s %s' 2>&1"):format(LUA, script))
    local text = pipe:read("*a")
    pipe:close()
    return text
  end
  after_each(h.remove_files)

  it("saves where it is, says how to go on, and a later fit does", function()
    local path = h.file("") .. ".safetensors"
    local text = interrupted(path)
    assert.truthy(text:find("interrupted in epoch %d+; trainer:load"), text)
    local t = mg.trainer { net = mg.sequential { 8, mg.dense(64, "tanh"), mg.dense(1) },
                           loss = "mse", optimizer = mg.adam { lr = 1e-3 } }
    assert(t:load(path))
    local epoch, examples = t:position()
    os.remove(path)
    assert.is_true(epoch >= 1 and examples > 0)
    local rows = t:fit(epoch + 1, { x = mg.randn(8000, 8), y = mg.randn(8000, 1), batch = 4,
                                shuffle = true })
    assert.equal(epoch + 1, rows[#rows].epoch)
  end)
  it("leaves the file of the best epoch alone", function()
    local path = h.file("") .. ".safetensors"
    local text = interrupted(path, "checkpoint_best = true")
    os.remove(path)
    assert.truthy(text:find("interrupted in epoch %d+; the net is as it was"), text)
  end)
end)

-- The interpreter's Ctrl-C sets a hook of the main thread, which a coroutine does not run.
describe("Ctrl-C in a coroutine, between two calls,", function()
  local function run_with_hook(count)
    local main = coroutine.running()
    if not main then return pending "5.1 has no name for its main thread" end
    local trainer, _, data = make()
    local epochs, err
    local co = coroutine.create(function()
      debug.sethook(main, function() end, "", count)
      err = select(2, pcall(trainer.run, trainer, data, { epochs = 300 }))
      debug.sethook(main)
      epochs = trainer:position()
    end)
    assert(coroutine.resume(co))
    return epochs, err
  end
  it("stops the next one", function()
    local epochs, err = run_with_hook(1)
    assert.matches("interrupted", tostring(err))
    assert.is_true(epochs < 30)
  end)
  it("is not taken for a hook that counts more than one instruction", function()
    assert.equal(300, (run_with_hook(1000)))
  end)
end)

describe("a module that may be missing", function()
  local check = require "moongrad.check"

  it("is nil where it is, or where the host has taken it away", function()
    assert.is_nil(check.module(require, "moongrad.nothing"))
    assert.is_nil(check.module(function() error("not here") end, "cjson"))
  end)
  it("is not missing because of Ctrl-C while it is looked for, which passes on", function()
    local function stopped() error("interrupted!", 0) end
    fails("^interrupted!$", check.module, stopped, "moongrad.system")
  end)
end)

describe("a part whose loading is interrupted", function()
  it("is loaded at the next call, on Lua 5.1 too", function()
    assert.equal("saved", h.script [[
      local mg = require "moongrad"
      local net = mg.dense(2, { inputs = 2 })
      for n = 1, 100 do
        pcall(function()
          debug.sethook(function() debug.sethook() error("interrupted!", 0) end, "", n * 10)
          mg.dump(net)
          debug.sethook()
        end)
      end
      io.write(#mg.dump(net) > 0 and "saved")
    ]])
  end)
end)

describe("an interruption while fit puts the best weights back", function()
  -- The hash after three epochs of which the first counts as the best; 'count' instructions
  -- of Lua after the last one there is an error, as a hook's at Ctrl-C.
  local function hash_after(restore_best, count)
    local trainer, net, data = make()
    local function stop()
      debug.sethook()
      error("interrupted!", 0)
    end
    local function on_epoch(row)
      if row.epoch == 3 and count then debug.sethook(stop, "", count) end
    end
    pcall(function()
      trainer:fit(3, data, { restore_best = restore_best, mode = "max", on_epoch = on_epoch })
      debug.sethook()
    end)
    return net:hash()
  end

  it("leaves all of them or none", function()
    local last, best, seen = hash_after(false), hash_after(true), {}
    assert.not_equal(last, best)
    for count = 1, 700, 3 do
      local hash = hash_after(true, count)
      seen[hash] = true
      assert.is_true(hash == last or hash == best, "after " .. count .. " instructions")
    end
    assert.is_true(seen[last] and seen[best])
  end)
end)

describe("an error during fit", function()
  it("passes on unchanged, and is no reason to save", function()
    local reason, path = {}, h.file("") .. ".safetensors"
    local trainer, _, data = make(acting(3, function() error(reason, 0) end))
    local ok, err = pcall(trainer.fit, trainer, 5, data, { checkpoint = path })
    assert.is_false(ok)
    assert.equal(reason, err)
    assert.is_nil(io.open(path))
    h.remove_files()
  end)
end)
