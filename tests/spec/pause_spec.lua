-- A run with a budget of no time at all stops after each piece of work, so it leaves every
-- batch in its middle many times.

local mg = require "moongrad"
local h = require "tests.spec.helper"

local NO_TIME = { ms = 0, epochs = 3 }

local nets = {
  dense = function()
    return mg.sequential { 64, mg.dense(128, "relu"), mg.batchnorm(), mg.dropout(0.2),
                           mg.dense(96, "gelu"), mg.dense(4) }, { 64 }
  end,
  lenet = function()
    return mg.sequential { { 1, 16, 16 }, mg.conv2d(6, 5, { padding = 2 }), "relu",
      mg.avgpool2d(2), mg.conv2d(16, 5), "relu", mg.batchnorm(), mg.flatten(), mg.dense(40, "relu"),
      mg.dense(4) }, { 1, 16, 16 }
  end,
  lstm = function()
    return mg.sequential { { 20, 8 }, mg.lstm(48, { layers = 2, return_sequence = false }),
                           mg.dense(4) }, { 20, 8 }
  end,
  transformer = function()
    return mg.sequential { { 12, 32 },
      mg.transformer_block { heads = 4, causal = true, dropout = 0.1 }, mg.flatten(),
      mg.dense(4) }, { 12, 32 }
  end,
}

--- Net, trainer and data, the same each time.
local function make(kind, options)
  mg.seed(7)
  local net, shape = nets[kind or "dense"]()
  local labels = {}
  for i = 1, 80 do labels[i] = i % 4 + 1 end
  local data = { x = mg.randn { 80, shape[1], shape[2], shape[3] }, y = mg.tensor(labels),
                 batch = 32, shuffle = true }
  options = options or {}
  return mg.trainer { net = net, loss = "cross_entropy", metrics = { "accuracy" },
                      optimizer = options.optimizer or mg.adam { lr = 0.01, clip_norm = 1 },
                      accumulate = options.accumulate }, net, data
end

local function finish(t, data)
  while t:run(data, { steps = 1, epochs = 3 }) ~= "done" do collectgarbage "step" end
end

--- Runs until all is done, with no time; returns how many calls it took.
local function creep(t, data)
  local calls = 0
  repeat calls = calls + 1 until t:run(data, NO_TIME) == "done"
  return calls
end

local function whole(kind, options)
  local t, net, data = make(kind, options)
  finish(t, data)
  return net:hash()
end

describe("a run that has no time", function()
  for kind in pairs(nets) do
    it("trains a net like " .. kind .. " to the same bits, by 1 to 3 threads", function()
      local expected = whole(kind)
      for threads = 1, 3 do
        mg.set_threads(threads)
        local t, net, data = make(kind)
        assert.is_true(creep(t, data) > 25)
        assert.equal(expected, net:hash())
      end
      mg.set_threads(1)
    end)
  end
  it("gives the same bits where batches share an update", function()
    local t, net, data = make("dense", { accumulate = 2 })
    creep(t, data)
    assert.equal(whole("dense", { accumulate = 2 }), net:hash())
  end)
  it("does a batch of lbfgs, or one with a loss in Lua, in one go", function()
    local function batches(options)
      mg.seed(7)
      local net = mg.sequential { 64, mg.dense(256, "tanh"), mg.dense(64) }
      local x = mg.randn(64, 64)
      options.net, options.loss = net, options.loss or "mse"
      return creep(mg.trainer(options), { x = x, y = x, batch = 32 })
    end
    assert.equal(6, batches { optimizer = mg.lbfgs { max_iter = 2 } })
    assert.equal(6, batches { optimizer = mg.adam {}, loss = function(p, y)
      return (p - y):square():mean()
    end })
    assert.is_true(batches { optimizer = mg.adam {} } > 20)
  end)
  it("leaves the first batch of a shape in its middle as well, of a net that is not built too",
    function()
      local function train(ms)
        mg.seed(7)
        local net = mg.sequential { mg.dense(400, "relu"), mg.batchnorm(), mg.dropout(0.5),
                                    mg.dense(200, "tanh"), mg.dense(4) }
        local t = mg.trainer { net = net, loss = "cross_entropy", metrics = { "accuracy" },
                               optimizer = "sgd" }
        local data = { x = mg.randn(50, 40), y = mg.ones(50), batch = 40, shuffle = true }
        local first, calls = nil, 0
        repeat
          calls = calls + 1
          local done = t:run(data, { ms = ms, epochs = 2 }) == "done"
          first = first or { t:position() }
        until done
        return net:hash(), first, calls
      end
      local hash, first, calls = train(0)
      assert.same({ 1, 0 }, first)
      assert.is_true(calls > 20)
      assert.equal((train()), hash)
    end)
  it("says of a first batch what is wrong with it, as a run that has time", function()
    local function refused(pattern, parts, loss, y, options)
      local t = mg.trainer { net = mg.sequential(parts), loss = loss, optimizer = "sgd" }
      h.fails(pattern, function()
        for _ = 1, 40 do t:run({ x = mg.ones(6, 3), y = y }, options) end
      end)
    end
    for _, options in ipairs { { ms = 0 }, { steps = 1 } } do
      refused("target%[1%] is 9, expected a class from 1 to 4",
              { mg.dense(4), mg.batchnorm() }, "cross_entropy", mg.ones(6) * 9, options)
      refused("{6, 4}", { mg.dense(4) }, "mse", mg.ones(6, 5), options)
      refused("layer 2 of", { mg.dense(4), mg.conv2d(2, 3) }, "mse", mg.ones(6, 4), options)
      refused("the loss is", { mg.dense(4) }, "mse", mg.ones(6, 4) / 0, options)
    end
  end)
  it("tells the loss of the epoch before until a batch of this one is whole", function()
    local t, _, data = make()
    local _, last = t:run(data, { steps = 3, epochs = 3 })
    local state, loss = t:run(data, NO_TIME)
    assert.same({ "more", last, { 2, 0 } }, { state, loss, { t:position() } })
  end)
end)

local function another(net)
  return mg.trainer { net = net, loss = "cross_entropy", optimizer = mg.sgd { lr = 0.1 } }
end

--- Does f(t, net, data) in the middle of the batch after so many, wherever that is, and right
-- before it (of the first batch: where it has just begun): the nets must be equal in the end.
local function same_after(batches, f, options)
  local function train(pauses)
    local t, net, data = make("dense", options)
    if batches > 0 then t:run(data, { steps = batches, epochs = 3 }) end
    local grad = net:parameters()[1].tensor.grad
    for _ = 1, pauses do t:run(data, NO_TIME) end
    local _, examples = t:position()
    if examples > batches % 3 * 32 then return end
    local keep = {} -- what outlives f
    local result = f(t, net, data, grad, keep)
    finish(t, data)
    return net:hash(), result, keep
  end
  local first = batches == 0 and 1 or 0
  local expected, value = train(first)
  local places = 0
  for pauses = first + 1, 1000 do
    local hash, other = train(pauses)
    if not hash then break end
    places = pauses
    assert.equal(expected, hash)
    assert.same(value, other)
  end
  assert.is_true(places > 3)
end

local function same_between(f, options)
  same_after(4, f, options)
  same_after(0, f, options)
end

describe("in the middle of a batch", function()
  teardown(h.remove_files)
  it("the net, its buffers and the report are those of the batch before", function()
    same_between(function(t, net, data)
      local weights = {}
      for _, part in ipairs(net:parameters(true)) do
        weights[part.name] = part.tensor:to_string()
      end
      local examples, loss, metrics = t:progress()
      return { weights, { examples, loss, metrics[1] }, { t:position() },
               net:predict(data.x):to_string(), t:evaluate(data).loss }
    end)
  end)
  it("a trainer is saved as after the batch before, and another one goes on from there", function()
    local expected, path = whole(), h.file ""
    for pauses = 0, 12 do
      local t, _, data = make()
      t:run(data, { steps = 4, epochs = 3 })
      for _ = 1, pauses do t:run(data, NO_TIME) end
      assert(t:save(path))
      local other, net, same = make()
      mg.rand(pauses + 1)
      assert(other:load(path))
      creep(other, same)
      assert.equal(expected, net:hash())
    end
  end)
  it("a trainer that is dropped leaves nothing behind", function()
    local function round()
      local t, _, data = make()
      t:run(data, { steps = 4, epochs = 3 })
      for _ = 1, 5 do t:run(data, NO_TIME) end
    end
    local function collected()
      for _ = 1, 4 do collectgarbage() end
      return (mg.memory())
    end
    round()
    local before = collected()
    for _ = 1, 3 do round() end
    assert.equal(before, collected())
  end)
  it("parameters have the gradients of the last batch, or none", function()
    local t, net, data = make()
    local some, none = 0, 0
    t:run(data, { steps = 4, epochs = 3 })
    local last = net:parameters()[1].tensor.grad:to_string()
    for _ = 1, 100 do
      t:run(data, NO_TIME)
      if select(2, t:position()) > 32 then break end
      local grad = net:parameters()[1].tensor.grad
      if grad then assert.equal(last, grad:to_string()) end
      some, none = some + (grad and 1 or 0), none + (grad and 0 or 1)
    end
    assert.is_true(some > 0 and none > 0)
  end)
  for name, act in pairs {
    ["a step"] = function(t, _, data)
      return t:step(data.x:narrow(1, 1, 32), data.y:narrow(1, 1, 32))
    end,
    ["a step of another shape"] = function(t, _, data)
      return t:step(data.x:narrow(1, 1, 5), data.y:narrow(1, 1, 5))
    end,
    ["another trainer of the net"] = function(_, net, data)
      another(net):run(data, { epochs = 1 })
    end,
    ["another trainer of the net that pauses too"] = function(_, net, data)
      local other = another(net)
      other:run(data, { steps = 2, epochs = 1 })
      creep(other, data)
    end,
    ["a change of weights"] = function(_, net)
      net:parameters()[1].tensor:detach():mul_(0.5)
    end,
    ["a change of running statistics"] = function(_, net)
      net:named()["1.running_mean"]:fill(0.25)
    end,
    ["gradients of the user's own"] = function(_, net, data)
      mg.mse(net(data.x), mg.zeros(80, 4)):backward()
    end,
    ["gradients set by hand"] = function(_, net)
      local w = net:parameters()[1].tensor
      w.grad = mg.ones(w.shape)
    end,
    ["zero_grad"] = function(_, net) net:zero_grad() end,
    ["a gradient changed in place"] = function(_, _, _, grad)
      if grad then grad:fill(3) end -- there is none before the first batch
    end,
    ["a graph that reads a gradient"] = function(_, _, _, grad, keep)
      keep.graph = grad and (grad * h.leaf(mg.ones(grad.shape))):sum()
    end,
    ["anomaly"] = function(t, _, data)
      mg.anomaly(true)
      t:run(data, { steps = 1, epochs = 3 })
      mg.anomaly(false)
    end,
    ["drawing numbers"] = function() return mg.rand(3):totable() end,
    ["another seed"] = function() mg.seed(99) end,
    ["mg.grad"] = function(_, net, data)
      mg.grad(mg.mse(net(data.x), mg.zeros(80, 4)), { net:parameters()[1].tensor })
    end,
    ["a save and a load"] = function(t)
      local path = h.file ""
      assert(t:save(path))
      mg.rand(5)
      assert(t:load(path))
    end,
    ["a fit"] = function(t, _, data) t:fit(1, data) end,
    ["another learning rate"] = function(t) t:parts().optimizer.lr = 0.02 end,
    ["eval and train"] = function(_, net) net:eval() net:train() end,
    ["eval"] = function(_, net) net:eval() end,
    ["frozen weights"] = function(_, net) net:parameters()[1].tensor.requires_grad = false end,
    ["other threads"] = function() mg.set_threads(2) mg.set_threads(1) end,
    ["two threads"] = function() mg.set_threads(2) end,
    ["an error"] = function(t, _, data)
      return pcall(t.step, t, data.x, mg.full({ 80 }, 9))
    end,
    ["a loss that is no number"] = function(t, _, data)
      return pcall(t.step, t, mg.full({ 80, 64 }, 0 / 0), data.y)
    end,
    ["a predict without plan"] = function(_, net, data) return net(data.x):numel() end,
    ["a collection"] = function() collectgarbage() collectgarbage() end,
    ["a run of steps"] = function(t, _, data) t:run(data, { steps = 1, epochs = 3 }) end,
  } do
    it(name .. " is as between two batches", function()
      same_between(act)
      mg.set_threads(1)
    end)
  end
end)
