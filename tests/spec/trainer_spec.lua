local mg = require "moongrad"
local h = require "tests.spec.helper"
local near, fails = h.near, h.fails

local TINY = 1e-30 -- a learning rate that moves no weight

-- n examples {i} with targets {i}, and a one-number net with a trainer.
local function count(n, options)
  local data = { x = mg.arange(1, n):reshape(n, 1), y = mg.arange(1, n):reshape(n, 1) }
  for k, v in pairs(options or {}) do data[k] = v end
  return data
end

local function line(options)
  options = options or {}
  local net = mg.sequential { h.dense({ { 0.5 } }, { 0 }) }
  return mg.trainer {
    net = net, loss = options.loss or "mse", metrics = options.metrics,
    optimizer = options.optimizer or mg.sgd { lr = options.lr or 0.001 },
  }, net
end

-- A loss that notes the targets of every batch it sees.
local function noting(batches)
  return function(p, y)
    batches[#batches + 1] = y:flatten():totable()
    return mg.mse(p, y:reshape(h.unpack(p.shape)))
  end
end

-- The order in which examples are seen in two shuffled epochs.
local function order(seed, n)
  local batches, seen = {}, {}
  local trainer = line { loss = noting(batches), lr = TINY }
  mg.seed(seed)
  for _ in trainer:epochs(2, count(n, { batch = 4, shuffle = true })) do
    collectgarbage("step")
  end
  for _, batch in ipairs(batches) do
    for _, v in ipairs(batch) do seen[#seen + 1] = v end
  end
  return seen
end

describe("trainer:step", function()
  it("returns the loss before the update as a number", function()
    local trainer, net = line { lr = 0.1 }
    assert.equal(1, trainer:step(mg.full({ 1, 1 }, 2), mg.full({ 1, 1 }, 2)))
    near({ { 0.9 } }, net:named()["0.weight"]) -- 0.5 - 0.1 * 2 * (1 - 2) * 2
    near({ 0.2 }, net:named()["0.bias"])
  end)
  it("does what forward, backward and an optimizer do by hand", function()
    mg.seed(4)
    local net = mg.sequential { 3, mg.dense(5), "tanh", mg.dense(2) }
    local twin = net:clone()
    local x, y = mg.randn(6, 3), mg.randn(6, 2)
    local trainer = mg.trainer { net = net, loss = "mse", optimizer = mg.adam { lr = 0.01 } }
    local opt = mg.adam { lr = 0.01 }:attach(twin)
    for _ = 1, 3 do
      local loss = mg.mse(twin(x), y)
      near(loss:item(), trainer:step(x, y), 1e-6)
      loss:backward()
      opt:step()
      opt:zero_grad()
    end
    local expected, found = h.weights(twin), h.weights(net)
    for name, values in pairs(expected) do near(values, found[name], 1e-5) end
  end)
  it("takes targets {n} for outputs {n, 1}", function()
    local trainer = line()
    near(1.25, trainer:step(mg.tensor { { 2 }, { 4 } }, mg.tensor { 2.5, 2.5 })) -- 1.5, 0.5 off
  end)
  it("takes class labels for cross_entropy", function()
    local net = mg.sequential { h.dense({ { 0 }, { 0 } }, { 0, 0 }) }
    local trainer = mg.trainer { net = net, loss = "cross_entropy", optimizer = mg.sgd { lr = 1 } }
    near(math.log(2), trainer:step(mg.ones(2, 1), mg.tensor { 2, 2 }))
    near({ { -0.5 }, { 0.5 } }, net:named()["0.weight"])
  end)
  it("takes the loss as a name, a loss or a Lua function alike", function()
    local x, y = mg.tensor { { 1 }, { 3 } }, mg.tensor { { 2 }, { -1 } }
    local function run(loss)
      local trainer, net = line { loss = loss, lr = 0.1 }
      return { trainer:step(x, y), h.weights(net) }
    end
    assert.same(run "mse", run(mg.mse))
    local by_hand = run(function(p, t) return (p - t):square():mean() end)
    near(run("mse")[1], by_hand[1])
    near(run("mse")[2]["0.weight"], by_hand[2]["0.weight"])
  end)
  it("takes the optimizer by name", function()
    local trainer, net = line { optimizer = "sgd" }
    trainer:step(mg.ones(1, 1), mg.ones(1, 1))
    assert.not_same({ { 0.5 } }, h.weights(net)["0.weight"])
  end)
  it("runs dropout as in training", function()
    mg.seed(2)
    local net = mg.sequential { mg.dropout(0.5), h.dense({ { 1 } }) }
    local trainer = mg.trainer { net = net, loss = "mse", optimizer = mg.sgd { lr = TINY } }
    local loss = trainer:step(mg.ones(400, 1), mg.zeros(400, 1)) -- 0 or 4, half each
    assert.is_true(loss > 1.4 and loss < 2.6)
  end)
  it("refuses a loss that is not a single number", function()
    local bad = { function() return 5 end, function(p) return p end, function() end }
    for i = 1, 3 do
      local trainer, net = line { loss = bad[i] }
      fails("loss", trainer.step, trainer, mg.ones(2, 1), mg.ones(2, 1))
      assert.same({ { 0.5 } }, h.weights(net)["0.weight"])
    end
  end)
  it("refuses batches whose sizes disagree", function()
    local trainer = line()
    assert.is_false((pcall(trainer.step, trainer, mg.ones(3, 1), mg.ones(2, 1))))
  end)
end)

describe("mg.trainer", function()
  it("refuses what it does not know, naming it", function()
    local net = mg.sequential { 1, mg.dense(1) }
    fails("net", mg.trainer, { loss = "mse", optimizer = "sgd" })
    fails("msee", mg.trainer, { net = net, loss = "msee", optimizer = "sgd" })
    fails("adamm", mg.trainer, { net = net, loss = "mse", optimizer = "adamm" })
    fails("acuracy", mg.trainer,
      { net = net, loss = "mse", optimizer = "sgd", metrics = { "acuracy" } })
  end)
end)

describe("an epoch", function()
  it("sees every example once, the last batch smaller", function()
    local batches = {}
    local trainer = line { loss = noting(batches) }
    trainer:fit(1, count(5, { batch = 2, shuffle = false }))
    assert.same({ { 1, 2 }, { 3, 4 }, { 5 } }, batches)
  end)
  it("reports its number, the mean loss over the examples, and seconds", function()
    local trainer = line { lr = TINY }
    local numbers = {}
    for e in trainer:epochs(3, count(5, { batch = 2, shuffle = false })) do
      numbers[#numbers + 1] = e.epoch
      near((1 + 4 + 9 + 16 + 25) / 4 / 5, e.loss)
      assert.is_true(e.seconds >= 0)
    end
    assert.same({ 1, 2, 3 }, numbers)
  end)
  it("reports validation when there is data for it", function()
    local trainer = line { lr = TINY }
    for e in trainer:epochs(1, count(5, { batch = 2, validation = count(1) })) do
      near(0.25, e.val_loss)
    end
  end)
  it("takes a dataset for validation", function()
    local trainer = line { lr = TINY }
    local set = mg.data.dataset(count(1))
    for e in trainer:epochs(1, count(5, { batch = 2, validation = set })) do
      near(0.25, e.val_loss)
    end
    assert.equal(0.25, trainer:fit(1, count(5), { validation = set })[1].val_loss)
  end)
  it("takes tables of numbers as data", function()
    local trainer = line { lr = TINY }
    local losses = {}
    for e in trainer:epochs(1, { x = { { 2 }, { 4 } }, y = { { 2 }, { 4 } }, batch = 2 }) do
      losses[#losses + 1] = e.loss
    end
    near({ 2.5 }, losses)
  end)
end)

describe("shuffling", function()
  it("shows every example once an epoch, in a new order each time", function()
    local seen = order(1, 30)
    assert.equal(60, #seen)
    local first, second = {}, {}
    for i = 1, 30 do first[i], second[i] = seen[i], seen[30 + i] end
    assert.not_same(first, second)
    table.sort(first)
    table.sort(second)
    near(mg.arange(1, 30), first, 0)
    near(mg.arange(1, 30), second, 0)
  end)
  it("depends on the seed", function() assert.not_same(order(1, 30), order(2, 30)) end)
  it("depends on nothing but the seed", function()
    math.randomseed(1)
    local first = order(1, 30)
    math.randomseed(2)
    collectgarbage()
    assert.same(first, order(1, 30))
  end)
  it("keeps targets with their inputs", function()
    local trainer = line { lr = TINY, loss = function(p, y) return (p * 2 - y):abs():sum() end }
    local losses = {}
    for e in trainer:epochs(2, count(30, { batch = 7, shuffle = true })) do
      losses[#losses + 1] = e.loss
    end
    near({ 0, 0 }, losses, 1e-4)
  end)
end)

describe("fit", function()
  it("trains for the epochs asked for and calls on_epoch after each", function()
    local trainer = line()
    local losses = {}
    trainer:fit(4, count(5, { batch = 2 }), { on_epoch = function(e) losses[e.epoch] = e.loss end })
    assert.equal(4, #losses)
    assert.is_true(losses[4] < losses[1])
  end)
  it("loses patience when nothing gets better", function()
    local trainer = line { lr = TINY }
    local calls = 0
    trainer:fit(50, count(5, { batch = 5, validation = count(3) }),
      { patience = 2, on_epoch = function() calls = calls + 1 end })
    assert.is_true(calls >= 2 and calls <= 5)
  end)
  it("hands on an error from on_epoch unchanged", function()
    local trainer = line()
    local reason = {}
    local ok, err = pcall(trainer.fit, trainer, 4, count(5, { batch = 2 }),
      { on_epoch = function() error(reason) end })
    assert.is_false(ok)
    assert.equal(reason, err)
  end)
end)

describe("run", function()
  it("says more until all epochs are over, then done", function()
    local trainer = line()
    local data = count(10, { batch = 4, shuffle = false }) -- 3 batches an epoch
    assert.equal("more", (trainer:run(data, { steps = 4, epochs = 2 })))
    assert.equal("done", (trainer:run(data, { steps = 4, epochs = 2 })))
  end)
  it("returns the mean loss too", function()
    local trainer = line { lr = TINY }
    local _, loss = trainer:run(count(2, { batch = 2 }), { steps = 5, epochs = 1 })
    near(0.625, loss)
  end)
  it("goes on where the last call stopped", function()
    local batches = {}
    local trainer = line { loss = noting(batches) }
    local data = count(5, { batch = 2, shuffle = false })
    for _ = 1, 4 do trainer:run(data, { steps = 1, epochs = 2 }) end
    assert.same({ { 1, 2 }, { 3, 4 }, { 5 }, { 1, 2 } }, batches)
  end)
  it("ends with the weights of epochs, bit for bit, however it is cut", function()
    local function train(body)
      mg.seed(9)
      local trainer, net = line { optimizer = mg.adam { lr = 0.05 } }
      body(trainer, count(10, { batch = 4, shuffle = true }))
      return h.weights(net)
    end
    local whole = train(function(trainer, data)
      for _ in trainer:epochs(3, data) do collectgarbage("step") end
    end)
    for _, steps in ipairs { 1, 2, 100 } do
      assert.same(whole, train(function(trainer, data)
        for _ = 1, 9 do
          if trainer:run(data, { steps = steps, epochs = 3 }) == "done" then break end
        end
      end))
    end
  end)
  it("bounded by time does at least one batch", function()
    local trainer, net = line()
    trainer:run(count(10, { batch = 1 }), { ms = 0.001, epochs = 1 })
    assert.not_same({ { 0.5 } }, h.weights(net)["0.weight"])
  end)
end)

describe("evaluate", function()
  it("gives the mean loss over all examples and changes nothing", function()
    local trainer, net = line()
    near((1 + 4 + 9 + 16 + 25) / 4 / 5, trainer:evaluate(count(5, { batch = 2 })).loss)
    assert.same({ { 0.5 } }, h.weights(net)["0.weight"])
    assert.is_nil(net:named()["0.weight"].grad)
  end)
  it("drops nothing, and training drops again afterwards", function()
    local net = mg.sequential { mg.dropout(0.5), h.dense { { 1 } } }
    local trainer = mg.trainer { net = net, loss = "mse", optimizer = mg.sgd { lr = TINY } }
    near(0, trainer:evaluate({ x = mg.ones(50, 1), y = mg.ones(50, 1) }).loss)
    assert.is_true(net(mg.ones(60, 1)):eq(0):sum():item() > 0)
  end)
end)
