-- Saving a trainer and going on: from any batch, with any optimizer, on any number of
-- threads, as if it had never stopped.
local mg = require "moongrad"
local helper = require "tests.spec.helper"

local refuses, fails = helper.refuses, helper.fails

local EXAMPLES, BATCH = 22, 4 -- the last batch of an epoch is smaller

local function data(extra)
  mg.seed(99)
  local labels = {}
  for i = 1, EXAMPLES do labels[i] = i * 7 % 3 + 1 end
  local d = { x = mg.randn(EXAMPLES, 5), y = labels, batch = BATCH, shuffle = true }
  for name, v in pairs(extra or {}) do d[name] = v end
  return d
end

--- A trainer whose net has dropout and running means, made from an optimizer's options.
local function make(optimizer, options, extra)
  mg.seed(3)
  local net = mg.sequential { 5, mg.dense(6), mg.batchnorm(), "tanh", mg.dropout(0.2),
    mg.dense(3) }
  local o = { net = net, loss = "cross_entropy", optimizer = mg[optimizer](options or {}) }
  for name, v in pairs(extra or {}) do o[name] = v end
  return mg.trainer(o)
end

--- What must be equal in the end: all weights and buffers, and the next random number.
local function outcome(t) return t:parts().net:hash() .. " " .. mg.rand(1)[1] end

local function file() return helper.file "" end

--- Runs 'before', saves; and once more in a trainer made anew, in which 'after' goes on.
-- Returns the outcomes of both, and of going on without having stopped.
local function interrupted(new, before, after)
  local path = file()
  local t = new()
  before(t)
  assert(t:save(path))
  after(t)
  local whole = outcome(t)
  local fresh = new()
  mg.seed(12345) -- whatever else was done meanwhile
  mg.rand(7)
  assert(fresh:load(path))
  after(fresh)
  return whole, outcome(fresh)
end

local optimizers = {
  sgd = { { lr = 0.05 }, { lr = 0.05, momentum = 0.9, nesterov = true } },
  adam = { { lr = 0.01, ema = 0.9 }, { lr = 0.01, amsgrad = true, clip_norm = 0.5 } },
  rmsprop = { { lr = 0.01 }, { lr = 0.01, centered = true, momentum = 0.5 } },
  lbfgs = { { lr = 0.1, max_iter = 3, history = 2 } },
}
for name in pairs(mg.optimizers) do optimizers[name] = optimizers[name] or { {} } end

local schedules = {
  none = function() end,
  cosine = function() return mg.schedule.cosine { lr = 0.05, steps = 20 } end,
  plateau = function()
    return mg.schedule.plateau { lr = 0.05, patience = 0, factor = 0.5, threshold = 0.2,
      cooldown = 1 }
  end,
}

local function with_rate(options, rate)
  local own = { lr = rate }
  for name, v in pairs(options) do own[name] = own[name] or v end
  return own
end

describe("a trainer that was saved", function()
  after_each(function()
    helper.remove_files()
    mg.set_threads(1)
  end)

  for name, list in pairs(optimizers) do
    for i, options in ipairs(list) do
      it(("goes on as if it had never stopped: %s %d, each schedule, any batch"):format(name, i),
        function()
          local d = data()
          for kind, schedule in pairs(schedules) do
            for _, threads in ipairs { 1, 3 } do
              mg.set_threads(threads)
              for _, steps in ipairs(kind == "none" and { 1, 5, 6, 8 } or { 3, 9 }) do
                local function new() return make(name, with_rate(options, schedule())) end
                local whole, resumed = interrupted(new, function(t)
                  t:run(d, { epochs = 3, steps = steps })
                end, function(t)
                  while t:run(d, { epochs = 3, steps = 2 }) ~= "done" do end -- luacheck: ignore
                end)
                assert.equal(whole, resumed)
              end
            end
          end
        end)
    end
  end

  it("gives the same rows of epochs, mid-epoch and between, and moves its plateau on",
    function()
      local d = data { validation = { x = mg.ones(2, 5), y = { 1, 2 } } }
      for _, stop in ipairs { 1, 4, 6, 7, 12, 16 } do -- batches; an epoch has 6
        local path = file()
        local function new()
          return make("sgd", { lr = schedules.plateau(), momentum = 0.9 },
            { metrics = { "accuracy", "confusion", "f1" } })
        end
        local rows, batches, number = {}, {}, 0
        local t = new()
        for row in t:epochs(4, d, { on_batch = function(b)
          number = number + 1
          batches[number] = b
          if number == stop then assert(t:save(path)) end
        end }) do rows[row.epoch] = row end
        local whole, lr = outcome(t), t:parts().optimizer.lr
        local fresh, again = new(), stop
        assert(fresh:load(path))
        local seen = 0
        for row in fresh:epochs(4, d, { on_batch = function(b)
          again = again + 1
          assert.equal(batches[again].batch, b.batch)
          assert.equal(batches[again].loss, b.loss)
        end }) do
          local own = rows[row.epoch]
          for _, name in ipairs { "loss", "accuracy", "f1", "val_loss", "examples" } do
            assert.equal(own[name], row[name])
          end
          assert.same(own.confusion:totable(), row.confusion:totable())
          seen = seen + 1
        end
        assert.equal(number, again)
        assert.equal(4 - math.floor((stop - 1) / 6), seen)
        assert.equal(whole, outcome(fresh))
        assert.equal(lr, fresh:parts().optimizer.lr)
      end
    end)

  it("gathers the gradients of several batches on", function()
    local d = data { accumulate = 3 }
    for steps = 1, 7 do
      local whole, resumed = interrupted(function() return make "adam" end,
        function(t) t:run(d, { epochs = 2, steps = steps }) end,
        function(t) t:run(d, { epochs = 2 }) t:run(d, { epochs = 2, ms = 1000 }) end)
      assert.equal(whole, resumed)
    end
    local x, y = mg.ones(4, 5), mg.tensor { 1, 2, 3, 1 } -- without a run
    local function step(t) t:step(x, y) end
    assert.equal(interrupted(function() return make("sgd", nil, { accumulate = 2 }) end,
      step, step))
  end)

  it("changes pictures at random as before", function()
    mg.seed(4)
    local pictures = mg.data.dataset { x = mg.rand(10, 1, 6, 6), y = mg.rand(10, 2) }
      :augment { flip = true, shift = 1, noise = 0.1 }
    local function new()
      mg.seed(2)
      return mg.trainer { loss = "mse", optimizer = "adam",
        net = mg.sequential { { 1, 6, 6 }, mg.conv2d(2, 3), mg.flatten(), mg.dense(2) } }
    end
    local whole, resumed = interrupted(new,
      function(t) t:run(pictures, { epochs = 2, batch = 3, steps = 2 }) end,
      function(t) t:run(pictures, { epochs = 2, steps = 6 }) end)
    assert.equal(whole, resumed)
  end)

  it("builds a net whose sizes follow from its input", function()
    local d = data()
    local function new()
      return mg.trainer { loss = "cross_entropy", optimizer = "adam",
        net = mg.sequential { mg.dense(4), "relu", mg.dense(3) } }
    end
    local whole, resumed = interrupted(new, function(t) t:run(d, { epochs = 2, steps = 3 }) end,
      function(t) t:run(d, { epochs = 2, steps = 99 }) end)
    assert.equal(whole, resumed)
  end)

  it("goes on with groups of parameters, and with averaged weights", function()
    local d = data()
    local function new()
      return make("adam", { lr = 0.01, ema = 0.95, groups = { mg.no_decay,
        { match = "^4", lr_scale = 0.3 } }, weight_decay = 0.1 })
    end
    local path = file()
    local t = new()
    t:run(d, { epochs = 2, steps = 4 })
    t:parts().optimizer.lr = 0.02
    t:save(path)
    t:run(d, { epochs = 2, steps = 99 })
    local fresh = new()
    fresh:load(path)
    fresh:run(d, { epochs = 2, steps = 99 })
    local function averaged(one)
      return one:parts().optimizer:averaged(function() return one:parts().net:hash() end)
    end
    assert.equal(averaged(t), averaged(fresh))
    assert.equal(t:parts().net:hash(), fresh:parts().net:hash())
  end)

  it("keeps a rate that was set, and ends the schedule that this ended", function()
    local function new() return make("sgd", { lr = schedules.cosine() }) end
    local t, fresh, path = new(), new(), file()
    t:parts().optimizer.lr = 0.123
    t:save(path)
    assert(fresh:load(path))
    fresh:step(mg.ones(4, 5), mg.tensor { 1, 2, 3, 1 })
    assert.equal(0.123, fresh:parts().optimizer.lr)
  end)

  it("begins another run after one that was over, as it would have", function()
    local d = data()
    local function fit(t) t:fit(2, d) end
    assert.equal(interrupted(function() return make "adam" end, fit, fit))
    local function run(t) return t:run(d, { epochs = 1, steps = 99 }) end
    local loss
    assert.equal(interrupted(function() return make "adam" end, function(t)
      local _, v = run(t)
      loss = v
    end, function(t) assert.same({ "done", loss }, { run(t) }) end))
  end)

  it("may go on with another number of threads", function()
    local d = data()
    for _, name in ipairs { "adam", "lbfgs" } do
      local whole, resumed = interrupted(function() return make(name) end, function(t)
        t:run(d, { epochs = 2, steps = 4 })
      end, function(t)
        mg.set_threads(mg.info().threads % 3 + 1)
        t:run(d, { epochs = 2, steps = 99 })
      end)
      assert.equal(whole, resumed)
    end
  end)

  it("is plain tensors for others, and a net for mg.load", function()
    local t, path = make "adam", file()
    t:run(data(), { steps = 3 })
    t:save(path)
    local tensors = mg.load(path, { weights_only = true })
    assert.same(t:parts().net:named()["0.weight"]:totable(), tensors["0.weight"]:totable())
    assert.same({ 3, 6 }, tensors["optimizer/mean/4.weight"].shape)
    assert.equal(t:parts().net:hash(), mg.load(path):hash())
    local other = make "sgd":parts().net
    assert(other:load_weights(path))
    assert.equal(t:parts().net:hash(), other:hash())
  end)
end)

describe("fit with a checkpoint", function()
  after_each(helper.remove_files)

  local function rows_of(rows)
    local losses = {}
    for i, row in ipairs(rows) do losses[i] = row.val_loss end
    return losses
  end

  it("goes on with the epochs that are left, patience and the best one included", function()
    local d = data()
    d.validation = { x = mg.randn(6, 5), y = { 1, 2, 3, 1, 2, 3 } }
    local options = { patience = 3, restore_best = true, min_delta = 0.001 }
    local function new() return make("adam", { lr = 0.05 }) end
    local t = new()
    local whole = t:fit(30, d, options)
    local hash = t:parts().net:hash()
    assert.is_true(#whole > 4 and #whole < 30)
    for _, stop in ipairs { 1, whole.best, whole.best + 1, #whole - 1 } do
      local path = file()
      local crashed, own = new(), { checkpoint = path }
      for name, v in pairs(options) do own[name] = v end
      own.on_batch = function(b) if b.epoch > stop then error "power failure" end end
      fails("power failure", crashed.fit, crashed, 30, d, own)
      own.on_batch = nil
      local fresh = new()
      assert(fresh:load(path))
      local rest = fresh:fit(30, d, own)
      assert.equal(#whole - stop, #rest)
      assert.equal(whole.best, rest.best)
      assert.equal(hash, fresh:parts().net:hash())
      local losses = rows_of(whole)
      for i, v in ipairs(rows_of(rest)) do assert.equal(losses[stop + i], v) end
    end
  end)

  it("has nothing left to do when all epochs were saved", function()
    local d, path = data(), file()
    make "adam":fit(3, d, { checkpoint = path })
    local t = make "adam"
    assert(t:load(path))
    local hash = t:parts().net:hash()
    assert.same({}, { (#t:fit(3, d) > 0) or nil })
    assert.equal(hash, t:parts().net:hash())
  end)

  it("keeps the best epoch with checkpoint_best", function()
    local d, path, best, least = data(), file(), nil, math.huge
    d.validation = { x = mg.randn(6, 5), y = { 1, 2, 3, 1, 2, 3 } }
    local t = make("adam", { lr = 0.05 })
    t:fit(6, d, { checkpoint = path, checkpoint_best = true, on_epoch = function(row)
      if row.val_loss < least then least, best = row.val_loss, t:parts().net:hash() end
    end })
    assert.equal(best, mg.load(path):hash())
    assert.not_equal(best, t:parts().net:hash())
  end)

  it("says when the file cannot be written", function()
    refuses("^/nowhere/x: ", function()
      return make "sgd":fit(2, data(), { checkpoint = "/nowhere/x" })
    end)
  end)
end)

describe("a state that does not fit", function()
  after_each(helper.remove_files)

  --- Loading 'from' into 't' is refused with such a sentence, and changes nothing.
  local function rejects(pattern, t, path)
    mg.seed(8)
    local before = t:parts().net:hash()
    refuses(pattern, t.load, t, path)
    assert.equal(before, t:parts().net:hash())
    mg.seed(8)
    local number = mg.rand(1)[1]
    mg.seed(8)
    refuses(pattern, t.load, t, path)
    assert.equal(number, mg.rand(1)[1])
  end

  --- Such a file with something in it changed for something as long, and its checksum right.
  local function edited(path, from, to)
    local f = assert(io.open(path, "rb"))
    local bytes, n = f:read("*a"):gsub('"crc32":"%x+"', '"crc32":"00000000"', 1):gsub(from, to)
    f:close()
    assert(n > 0)
    local crc = ("%08x"):format(mg.core.crc32(0, bytes))
    return helper.file((bytes:gsub("00000000", crc, 1)))
  end

  it("is refused: another optimizer, other options, another net, other metrics", function()
    local path = file()
    local t = make("sgd", { momentum = 0.9 }, { metrics = { "accuracy" } })
    t:run(data(), { steps = 2 })
    t:save(path)
    rejects('the optimizer is "sgd", expected "adam"', make "adam", path)
    rejects('"optimizer/average/0.weight"', make("sgd", { ema = 0.9 }), path)
    rejects("metrics", make("sgd", { momentum = 0.9 }, { metrics = { "f1" } }), path)
    local net = mg.sequential { 5, mg.dense(7), mg.dense(3) }
    rejects('"0.weight" is {6, 5}, expected {7, 5}',
      mg.trainer { net = net, loss = "cross_entropy", optimizer = "sgd" }, path)
    net = mg.sequential { 5, mg.dense(6) }
    rejects("which is nothing here",
      mg.trainer { net = net, loss = "cross_entropy", optimizer = "sgd" }, path)
    rejects("plateau", make("sgd", { lr = schedules.plateau() }), path)
  end)

  it("is refused: a schedule that this optimizer has not got", function()
    local path = file()
    make("sgd", { lr = schedules.cosine() }):save(path)
    rejects("follows a schedule", make "sgd", path)
    make("sgd", { lr = schedules.plateau() }):save(path)
    rejects("waits for a plateau", make "sgd", path)
  end)

  it("is refused: other data, another batch; but the run can be left out", function()
    local path, t, d = file(), make "adam", data()
    t:run(d, { epochs = 2, steps = 2 })
    t:save(path)
    t = make "adam"
    assert(t:load(path))
    fails("have 4 examples, those of the run that was loaded had 22", t.fit, t, 2,
      { x = mg.ones(4, 5), y = { 1, 2, 3, 1 } })
    fails("batch is 5, but 4 in the run that was loaded", t.fit, t, 2,
      { x = d.x, y = d.y, batch = 5 })
    assert(t:load(path, { run = false }))
    assert.equal(2, #t:fit(2, { x = mg.ones(4, 5), y = { 1, 2, 3, 1 } }))
  end)

  it("is refused: a file of a net alone, no file, a damaged text", function()
    local path, t = file(), make "adam"
    mg.save(path, t:parts().net)
    rejects("holds no trainer", t, path)
    rejects("^/nowhere/x: ", t, "/nowhere/x")
    t:step(mg.ones(4, 5), { 1, 2, 3, 1 })
    t:save(path)
    local f = assert(io.open(path, "rb"))
    local bytes = f:read "*a"
    f:close()
    rejects("damaged", t, helper.file((bytes:gsub("optimizer", "optimiser", 1))))
    rejects('it has "a%?b"', t, edited(path, '"input(\\":%[\\")', '"a\\\\nb%1'))
    rejects("the state of the trainer is damaged", t, edited(path, '"{(\\"state)', '"[%1'))
    t:fit(1, data(), { restore_best = true })
    t:save(path)
    rejects("where its run stands makes no sense", t,
      edited(path, 'epochs(\\",\\"over)', "epochx%1"))
    rejects('"best/0.weighx" belongs to no weight', t, edited(path, '"best/0.weight"',
      '"best/0.weighx"'))
    t = make("adam", { lr = schedules.plateau() })
    t:save(path)
    rejects('"resting" of the plateau is missing', t, edited(path, "resting", "restinx"))
    rejects("a number of the trainer's state is damaged", t,
      edited(path, '(optimizer\\\\/weight\\":%[\\")0', "%1x"))
  end)

  it("is refused: what a net says that it is made of by functions", function()
    local path = file()
    local function new(f)
      return mg.trainer { loss = "mse", optimizer = "sgd", net = mg.sequential { mg.dense(2), f } }
    end
    local t = new(function(x) return x end)
    t:step(mg.ones(2, 3), mg.ones(2, 2))
    assert(t:save(path))
    assert(new(function(x) return x end):load(path))
    t = new(function() error("oops", 0) end)
    fails("^oops$", t.load, t, path)
  end)

  it("is not written where a parameter is called as one of its parts", function()
    local net = mg.module("spec.Accumulate", {
      init = function(self) self.accumulate = mg.tensor({ 1 }, { requires_grad = true }) end,
      forward = function(self, x) return x * self.accumulate end,
    })()
    local t = mg.trainer { net = net, loss = "mse", optimizer = "sgd" }
    fails('a parameter is called "accumulate"', t.save, t, file())
  end)

  it("is not written while a step, or a swap of averaged weights, is half done", function()
    local path, t = file()
    local said
    t = mg.trainer { net = mg.sequential { 2, mg.dense(1) }, optimizer = mg.sgd { ema = 0.5 },
      loss = function(p, y)
        said = select(2, pcall(t.save, t, path))
        return mg.mse(p, y)
      end }
    t:step(mg.ones(2, 2), mg.ones(2, 1))
    assert.matches("in use", said)
    t:parts().optimizer:averaged(function()
      fails("averaged weights are in the net", t.save, t, path)
    end)
    assert.is_true(t:save(path))
  end)

  it("loses nothing where memory is short: all of it is taken, or none", function()
    local path = file()
    local output = helper.script(([[
      local mg = require "moongrad"
      local function make()
        return mg.trainer { loss = "mse", optimizer = "adam", metrics = { "r2" },
                            net = mg.sequential { 3, mg.dense(4), mg.dense(2) } }
      end
      local t, u, data = make(), make(), { x = mg.rand(9, 3), y = mg.rand(9, 2), batch = 2 }
      t:run(data, { steps = 3 })
      u:run(data, { steps = 1 })
      assert(t:save(PATH))
      local whole, taken, refused = t:parts().net:hash(), 0, 0
      local net = u:parts().net
      local weight, limit = net:named()["0.weight"]:detach(), math.huge
      for room = 20000, 0, -50 do
        collectgarbage()
        weight:fill(room)
        local before = net:hash()
        limit = math.min(limit, mg.memory() + room) -- it can only be lowered
        mg.limit { memory = limit }
        local ok, done = pcall(u.load, u, PATH)
        if ok and done then taken = taken + 1 else refused = refused + 1 end
        assert(net:hash() == (ok and done and whole or before))
        assert(ok or tostring(done):find "not enough memory")
        ok, done = pcall(t.save, t, PATH)
        assert(ok and done or tostring(done):find "not enough memory")
      end
      print(taken > 10 and refused > 10 and "fine")
    ]]):gsub("PATH", function() return ("%q"):format(path) end), nil)
    assert.equal("fine\n", output)
    local t = mg.trainer { loss = "mse", optimizer = "adam", metrics = { "r2" },
                           net = mg.sequential { 3, mg.dense(4), mg.dense(2) } }
    assert.is_true(t:load(path)) -- what is there is a whole file
  end)

  it("is not taken for damaged, nor left without its net, where JSON has no memory", function()
    local path = file()
    assert.equal("fine", helper.script(([[
      local cjson, calls, last = require "cjson", 0, math.huge
      local function short(name)
        return function(...)
          calls = calls + 1
          if calls > last then error("not enough memory", 0) end
          return cjson[name](...)
        end
      end
      local json = { null = cjson.null, decode = short "decode", encode = short "encode" }
      function json.new() return json end
      package.loaded.cjson = json
      local mg = require "moongrad"
      local net = mg.sequential { 3, mg.dense(4) }
      local t = mg.trainer { loss = "mse", optimizer = "adam", net = net }
      for _, what in ipairs { "save", "load" } do
        calls, last = 0, math.huge
        assert(t[what](t, PATH) and calls > 0)
        for k = 0, calls - 1 do
          calls, last = 0, k
          local ok, message = pcall(t[what], t, PATH)
          assert(not ok and message == "not enough memory", what .. tostring(message))
        end
      end
      io.write "fine"
    ]]):gsub("PATH", function() return ("%q"):format(path) end), nil))
  end)
end)
