-- What surrounds the steps of a training: several batches an update, layers that do not
-- learn, when to stop, what to keep, where NaN came from.

local mg = require "moongrad"
local h = require "tests.spec.helper"
local near, fails = h.near, h.fails

local TINY = 1e-30

local function make(options)
  options = options or {}
  mg.seed(options.seed or 7)
  local net = mg.sequential { 3, mg.dense(5), "tanh", mg.dense(2) }
  options.net, options.loss = options.net or net, options.loss or "mse"
  options.optimizer = options.optimizer or mg.sgd { lr = 0.1, momentum = 0.9 }
  options.seed = nil
  local x, y = mg.randn(12, 3), mg.randn(12, 2)
  return mg.trainer(options), options.net, { x = x, y = y, batch = 3 }
end

local function allocations() return (select(4, mg.memory())) end

describe("batches that share an update", function()
  local function trained(batch, accumulate, how, epochs)
    local trainer, net, data = make { accumulate = how ~= "fit" and accumulate or nil }
    data.batch = batch
    if how == "fit" then
      trainer:fit(epochs or 2, data, { accumulate = accumulate })
    elseif how == "run" then
      repeat until trainer:run(data, { steps = 1, epochs = epochs or 2 }) == "done"
    else
      for _ in trainer:epochs(epochs or 2, data) do collectgarbage("step") end
    end
    return h.weights(net)
  end
  local function same(expected, found)
    for name, values in pairs(expected) do near(values, found[name], 1e-5) end
  end

  it("do what one large batch does", function()
    same(trained(6), trained(2, 3))
    same(trained(12), trained(3, 4, "fit"))
    same(trained(6), trained(3, 2, "run"))
  end)
  it("count by their examples where they differ, and end with the epoch", function()
    same(trained(12), trained(5, 3)) -- 5, 5 and 2
    same(trained(10), trained(5, 2)) -- 5 and 5; 2
  end)
  it("move no weight until the last of them", function()
    local trainer, net, data = make { accumulate = 3 }
    local before = net:hash()
    trainer:step(data.x, data.y)
    trainer:step(data.x, data.y)
    assert.equal(before, net:hash())
    trainer:step(data.x, data.y)
    assert.not_equal(before, net:hash())
  end)
  it("are not disturbed by gradients that the host computes between them", function()
    local function run(between)
      local trainer, net, data = make { accumulate = 2 }
      for _ = 1, 4 do
        trainer:step(data.x, data.y)
        if between then
          mg.mse(net(data.x * 3), data.y):backward()
        end
      end
      return net:hash()
    end
    assert.equal(run(false), run(true))
  end)
  it("give the same bits with and without plans, which allocate nothing", function()
    local function run(plan)
      local trainer, net, data = make { accumulate = 3, plan = plan }
      data.shuffle = true
      trainer:run(data, { steps = 12, epochs = 100 })
      local before = allocations()
      trainer:run(data, { steps = 36, epochs = 100 })
      return net:hash(), allocations() - before
    end
    local hash, more = run(true)
    assert.equal(0, more)
    assert.equal(hash, (run(false)))
  end)
  it("are dropped when one of them fails", function()
    local trainer, net, data = make { accumulate = 2 }
    local before = net:hash()
    trainer:step(data.x, data.y)
    fails("finite", trainer.step, trainer, data.x * (0 / 0), data.y)
    trainer:step(data.x, data.y)
    assert.equal(before, net:hash())
    trainer:step(data.x, data.y)
    assert.not_equal(before, net:hash())
  end)
  it("are a whole number, from 1", function()
    fails("accumulate is 0", make, { accumulate = 0 })
    fails("accumulate", make, { accumulate = "2" })
  end)
end)

describe("a frozen layer", function()
  local function layers(net)
    local list = {}
    for i, part in ipairs(net:describe().parts) do list[i] = part.layer end
    return list
  end

  it("does not learn, the others do", function()
    local trainer, net, data = make { optimizer = mg.adam { lr = 0.1, weight_decay = 0.1 } }
    local first = layers(net)[1]
    assert.equal(first, first:freeze())
    local before, last = first:hash(), layers(net)[3]:hash()
    trainer:fit(3, data)
    assert.equal(before, first:hash())
    assert.not_equal(last, layers(net)[3]:hash())
  end)
  it("learns again from the next step on, from a plan as well", function()
    local trainer, net, data = make()
    local first = layers(net)[1]
    for _ = 1, 3 do trainer:step(data.x, data.y) end
    first:freeze()
    local before = first:hash()
    for _ = 1, 3 do trainer:step(data.x, data.y) end
    assert.equal(before, first:hash())
    first:unfreeze()
    trainer:step(data.x, data.y)
    assert.not_equal(before, first:hash())
  end)
  it("gets no gradient, and neither does a tensor that requires none", function()
    local _, net, data = make()
    layers(net)[1]:freeze()
    net:named()["2.bias"].requires_grad = false
    mg.mse(net(data.x), data.y):backward()
    local found = {}
    for name, t in pairs(net:named()) do found[name] = t.grad ~= nil end
    assert.same({ ["0.weight"] = false, ["0.bias"] = false, ["2.weight"] = true,
                  ["2.bias"] = false }, found)
  end)
  it("is left alone by an optimizer that has an old gradient of it", function()
    local _, net, data = make()
    local opt = mg.sgd { lr = 0.1, momentum = 0.9 }:attach(net)
    local function step()
      mg.mse(net(data.x), data.y):backward()
      opt:step()
      opt:zero_grad()
    end
    step()
    layers(net)[1]:freeze()
    local before = layers(net)[1]:hash()
    step()
    assert.equal(before, layers(net)[1]:hash())
  end)
  it("keeps what its optimizer remembers", function()
    local function run(freeze)
      local trainer, net, data = make()
      trainer:step(data.x, data.y)
      if freeze then net:freeze():unfreeze() end
      trainer:step(data.x, data.y)
      return net:hash()
    end
    assert.equal(run(false), run(true))
  end)
  it("stays a layer with parameters: named, counted, copied", function()
    local _, net = make()
    net:freeze()
    assert.equal(3 * 5 + 5 + 5 * 2 + 2, net:num_parameters())
    local copy = net:clone()
    assert.equal(4, #copy:parameters())
    assert.is_false(copy:named()["0.weight"].requires_grad)
    copy:unfreeze()
    assert.is_true(copy:named()["0.weight"].requires_grad)
  end)
  it("may be frozen before it is built", function()
    local net = mg.sequential { mg.dense(4):freeze(), mg.dense(1) }
    net(mg.ones(2, 3))
    assert.is_false(net:named()["0.weight"].requires_grad)
    assert.is_true(net:named()["1.weight"].requires_grad)
  end)
  it("may be a layer of any kind, with and without a plan", function()
    local hashes = {}
    for i, plan in ipairs { true, false } do
      mg.seed(5)
      local net = mg.sequential { { 1, 6, 6 }, mg.conv2d(2, 3), mg.batchnorm(), "relu",
        mg.reshape(4, 8), mg.lstm(3), mg.flatten(), mg.dense(2) }
      local frozen = { net[1], net[2], net[5] }
      local before = {}
      for k, l in ipairs(frozen) do
        l:freeze()
        before[k] = h.weights(l).weight or h.weights(l).weight_ih_l0
      end
      local trainer = mg.trainer { net = net, loss = "mse", optimizer = "adam", plan = plan,
                                   accumulate = 2 }
      trainer:fit(3, { x = mg.randn(9, 1, 6, 6), y = mg.randn(9, 2), batch = 2 })
      for k, l in ipairs(frozen) do
        assert.is_table(before[k])
        assert.same(before[k], h.weights(l).weight or h.weights(l).weight_ih_l0)
      end
      hashes[i] = net:hash()
    end
    assert.equal(hashes[1], hashes[2])
  end)
  it("is counted as such in the summary", function()
    local _, net = make()
    layers(net)[1]:freeze()
    local text = net:summary()
    assert.truthy(text:find("total +32"), text)
    assert.truthy(text:find("trainable +12"), text)
    assert.truthy(text:find("frozen +20"), text)
  end)
end)

describe("the summary", function()
  it("has a row for parameters that lie beside layers", function()
    local scaled = mg.module("scaled", {
      init = function(self)
        self.scale = mg.tensor({ 1, 1, 1 }, { requires_grad = true })
        self.inner = mg.dense(3)
      end,
      forward = function(self, x) return self.inner(x * self.scale) end,
    })
    local net = mg.sequential { scaled() }
    local text = net:summary(2 + 1)
    assert.truthy(text:find("0  scaled +{n, 3} +3\n"), text)
    assert.truthy(text:find("0.inner  dense +{n, 3} +12\n"), text)
    assert.truthy(text:find("total +15"), text)
  end)
end)

-- Trains while a metric of the validation data takes the values that are given, epoch by
-- epoch. Returns the rows, the weights after each epoch, and those in the end.
local function scripted(values, options)
  local _, net, data = make()
  local weight, seen, at = net:named()["0.weight"], {}, 0
  local trainer = mg.trainer { net = net, loss = "mse", optimizer = mg.sgd { lr = 0.01 },
    metrics = { score = function(p)
      if p.shape[1] == 12 then at = at + 1 end -- the validation data, in one batch
      return values[math.max(at, 1)]
    end } }
  data.validation = { x = data.x, y = data.y, batch = 12 }
  options.monitor = "val_score"
  options.on_epoch = function(row) seen[row.epoch] = weight:totable() end
  return trainer:fit(#values, data, options), seen, weight:totable()
end

describe("stopping early", function()
  it("waits for so many epochs that are not better", function()
    local rows = scripted({ 5, 4, 4.5, 3, 3.5, 3.2, 2 }, { patience = 2 })
    assert.equal(6, #rows)
    assert.equal(4, rows.best)
  end)
  it("takes small steps for none with min_delta", function()
    local rows = scripted({ 5, 4.95, 4.9, 4.85, 4 }, { patience = 2, min_delta = 0.2 })
    assert.equal(3, #rows)
    assert.equal(1, rows.best)
  end)
  it("takes NaN for no better", function()
    assert.equal(3, #scripted({ 5, 0 / 0, 0 / 0, 1 }, { patience = 2 }))
  end)
  it("looks for more where that is better", function()
    assert.equal(2, scripted({ 5, 6, 4 }, { mode = "max" }).best)
    assert.equal(3, scripted({ 5, 6, 4 }, {}).best)
  end)
  it("knows of accuracy and its like that more is better", function()
    local trainer, _, data = make { metrics = { "r2" }, optimizer = mg.adam { lr = 0.05 } }
    local rows = trainer:fit(5, data, { monitor = "r2" })
    local best = 1
    for i, row in ipairs(rows) do
      if row.r2 > rows[best].r2 then best = i end
    end
    assert.is_true(best > 1)
    assert.equal(best, rows.best)
  end)
  it("restores the weights of the best epoch, whatever ended it", function()
    local _, seen, last = scripted({ 5, 3, 4, 4.5 }, { restore_best = true })
    assert.same(seen[2], last)
    assert.not_same(seen[2], seen[4])
    local rows, weights, restored = scripted({ 5, 3, 4, 4.5, 1 },
      { restore_best = true, patience = 1 })
    assert.equal(3, #rows)
    assert.same(weights[2], restored)
  end)
  it("keeps the last weights unless it is asked to restore", function()
    local _, seen, last = scripted({ 5, 3, 4 }, {})
    assert.same(seen[3], last)
  end)
  it("refuses what it cannot watch", function()
    local trainer, _, data = make()
    fails('monitor is "val_loss"', trainer.fit, trainer, 1, data, { monitor = "val_loss" })
    fails('mode is up, expected "min" or "max"', trainer.fit, trainer, 1, data, { mode = "up" })
    fails("patience is a string", trainer.fit, trainer, 1, data, { patience = "3" })
  end)
end)

describe("callbacks", function()
  it("see every batch, with the loss so far", function()
    local trainer, _, data = make { optimizer = mg.sgd { lr = TINY }, metrics = { "mae" } }
    local batches, last = {}, nil
    local rows = trainer:fit(2, data, { on_batch = function(b)
      batches[#batches + 1] = b.epoch .. "." .. b.batch .. "." .. b.examples
      last = b
    end })
    assert.same({ "1.1.3", "1.2.6", "1.3.9", "1.4.12", "2.1.3", "2.2.6", "2.3.9", "2.4.12" },
      batches)
    assert.equal(rows[2].loss, last.loss)
    assert.equal(rows[2].mae, last.mae)
  end)
  it("train the same weights as without them", function()
    local function run(on_batch)
      local trainer, net, data = make()
      data.shuffle = true
      trainer:fit(3, data, { on_batch = on_batch })
      return net:hash()
    end
    assert.equal(run(nil), run(function() return nil end))
  end)
  it("stop after the batch where on_batch says so", function()
    local trainer, net, data = make()
    local rows = trainer:fit(5, data, { on_batch = function(b)
      return not (b.epoch == 2 and b.batch == 3)
    end })
    assert.equal(2, #rows)
    assert.equal(9, rows[2].examples)
    local twin, expected, same = make()
    twin:run(same, { steps = 7, epochs = 5 })
    assert.equal(expected:hash(), net:hash())
  end)
  it("stop the loop over epochs as well", function()
    local trainer, _, data = make()
    local count = 0
    for _ in trainer:epochs(5, data, { on_batch = function(b) return b.batch < 2 end }) do
      count = count + 1
    end
    assert.equal(1, count)
  end)
  it("stop after the epoch where on_epoch says so", function()
    local trainer, _, data = make()
    assert.equal(3, #trainer:fit(9, data, { on_epoch = function(e) return e.epoch < 3 end }))
  end)
  it("hand on their errors, whole batches done", function()
    local trainer, net, data = make()
    local reason = {}
    local ok, err = pcall(trainer.fit, trainer, 2, data, { on_batch = function(b)
      if b.batch == 2 then error(reason) end
    end })
    assert.is_false(ok)
    assert.equal(reason, err)
    local twin, expected, same = make()
    twin:run(same, { steps = 2, epochs = 5 })
    assert.equal(expected:hash(), net:hash())
  end)
end)

describe("the log", function()
  it("has a line of JSON for each epoch, also of what JSON has no word for", function()
    local path = h.file("")
    local trainer, _, data = make { metrics = { "confusion", "mae" } }
    local nan = mg.trainer { net = mg.sequential { 3, mg.dense(2) }, loss = "mse",
      optimizer = mg.sgd { lr = TINY }, metrics = { odd = function() return 0 / 0 end } }
    assert.equal(3, #trainer:fit(3, data, { log = path }))
    nan:fit(1, data, { log = path })
    local lines = {}
    for line in io.lines(path) do lines[#lines + 1] = require("cjson").decode(line) end
    os.remove(path)
    assert.equal(4, #lines)
    assert.equal(3, lines[3].epoch)
    assert.equal(2, #lines[2].confusion)
    assert.equal(require("cjson").null, lines[4].odd)
  end)
  it("is refused where it cannot be written", function()
    local trainer, _, data = make()
    h.refuses("nowhere", trainer.fit, trainer, 1, data, { log = "/nowhere/at/all.jsonl" })
    h.refuses("^/dev/full: No space", trainer.fit, trainer, 1, data, { log = "/dev/full" })
  end)
end)

describe("a host without a clock", function()
  local function here(code)
    return h.script([[
      package.preload["moongrad.system"] = function() error("there is none", 0) end
      local mg = require "moongrad"
      local net = mg.sequential { 1, mg.dense(1) }
      local t = mg.trainer { net = net, loss = "mse", optimizer = "sgd" }
      local data = { x = { { 1 }, { 2 } }, y = { { 1 }, { 2 } }, batch = 1 }
      local write = io.write
      os = nil
    ]] .. code)
  end

  it("sees epochs end, in no time", function()
    assert.equal("2 epochs, 0 seconds", here [[
      local rows = t:fit(2, data)
      write(#rows, " epochs, ", ("%d"):format(rows[2].seconds), " seconds")
    ]])
  end)
  it("is told that milliseconds need one, and nothing is trained", function()
    assert.equal("run: ms needs a clock, and this host has none; give steps, true, more", here [[
      local before = t:parts().net:hash()
      local _, message = pcall(t.run, t, data, { ms = 2, epochs = 3 })
      write((message:gsub("^.-:%d+: ", "")), ", ", tostring(before == t:parts().net:hash()), ", ",
        (t:run(data, { steps = 1, epochs = 3 })))
    ]])
  end)
end)

describe("a number that is not finite", function()
  local function overflowing(options)
    local net = mg.sequential { h.dense({ { 1 } }, { 0 }), h.dense({ { options.big } }, { 0 }) }
    options.big = nil
    options.net, options.optimizer = net, mg.sgd { lr = 0.1 }
    return mg.trainer(options), net
  end

  it("in a gradient names the parameter and its layer", function()
    local trainer, net = overflowing { big = 0, loss = function(p) return p:sqrt():sum() end }
    local before = net:hash()
    for _ = 1, 2 do -- recorded, and whatever comes after that
      fails('the gradient of "0.weight" in dense %(layer 1 of sequential%) has NaN', trainer.step,
        trainer, mg.ones(1, 1), mg.ones(1, 1))
    end
    assert.equal(before, net:hash())
  end)
  it("in a gradient is found in every kind of run, before weights are touched", function()
    for _, call in ipairs {
      function(t, d) t:step(d.x, d.y) end,
      function(t, d) for _ in t:epochs(1, d) do collectgarbage("step") end end,
      function(t, d) t:fit(1, d) end,
      function(t, d) t:run(d, { steps = 1 }) end,
    } do
      for _, accumulate in ipairs { 1, 2 } do
        local trainer, net = overflowing { big = 0, accumulate = accumulate,
          loss = mg.pure(function(p) return p:sqrt():sum() end) }
        local before = net:hash()
        local data = { x = mg.ones(4, 1), y = mg.ones(4, 1), batch = 2 }
        fails("dense %(layer 1 of sequential%)", function()
          for _ = 1, 2 do call(trainer, data) end
        end)
        assert.equal(before, net:hash())
      end
    end
  end)
end)

describe("looking for anomalies", function()
  local function net_of(f) return mg.sequential { h.dense({ { 1 } }, { 0 }), f, "tanh" } end
  local function trainer_of(f, loss)
    local net = net_of(f)
    return mg.trainer { net = net, loss = loss or "mse", optimizer = mg.sgd { lr = 0.1 },
                        anomaly = true }, net
  end

  it("names the op and the layer that made the first NaN going forward", function()
    local trainer, net = trainer_of(function(x) return (x * 2 + 1):log() * 0 end)
    local before = net:hash()
    fails("function %(layer 2 of sequential%): log made 1 of the 2 numbers of its result NaN",
      trainer.step, trainer, mg.tensor { { -4 }, { 1 } }, mg.zeros(2, 1))
    assert.equal(before, net:hash())
  end)
  it("names both going backward", function()
    local trainer, net = trainer_of(function(x) return x:sqrt() end)
    local before = net:hash()
    fails("function %(layer 2 of sequential%): backward of sqrt made 1 of the 2 numbers of the" ..
      " gradient of its x NaN", trainer.step, trainer, mg.tensor { { 0 }, { 1 } },
      mg.ones(2, 1))
    assert.equal(before, net:hash())
  end)
  it("names an op of the loss without a layer", function()
    local trainer = trainer_of("tanh", function(p) return (p - p):log():mean() end)
    fails("^[^(]*log made 2 of the 2 numbers", trainer.step, trainer, mg.ones(2, 1),
      mg.ones(2, 1))
  end)
  it("gives the same bits where there is none", function()
    local function run(anomaly)
      local trainer, net, data = make { anomaly = anomaly }
      trainer:fit(2, data)
      return net:hash()
    end
    assert.equal(run(false), run(true))
  end)
  it("lets infinities pass that were there before, and what comes of them", function()
    mg.anomaly(true)
    local masked = mg.tensor { 1, 2, 3 } + mg.tensor { 0, -1 / 0, 0 }
    near({ 0.11920292, 0, 0.88079708 }, masked:softmax())
    fails("sub made 1 of the 3 numbers of its result NaN$", function() return masked - masked end)
    mg.anomaly(false)
  end)
  it("is off unless asked for, and says what it was", function()
    assert.is_false(mg.anomaly(true))
    fails("log made", function() return mg.tensor { -1 }:log() end)
    assert.is_true(mg.anomaly(false))
    assert.equal(1, #mg.tensor({ -1 }):log())
    fails("anomaly: on is nil, expected a boolean", mg.anomaly)
    trainer_of("tanh"):step(mg.ones(2, 1), mg.ones(2, 1))
    assert.is_false(mg.anomaly(false))
  end)
  it("finds them in mg.grad and backward by hand", function()
    local w = mg.tensor({ 0, 4 }, { requires_grad = true })
    local loss = w:sqrt():sum()
    mg.anomaly(true)
    fails("backward of sqrt made 1", function() loss:backward() end)
    fails("backward of sqrt made 1", mg.grad, loss, { w })
    mg.anomaly(false)
    w.grad = nil -- what the first one had found
    loss:backward()
    assert.equal(0.25, w.grad[2])
  end)
end)
