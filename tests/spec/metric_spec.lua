local mg = require "moongrad"
local h = require "tests.spec.helper"
local near = h.near

local TINY = 1e-30 -- a learning rate that moves no weight

describe("accuracy", function()
  local function accuracy(net, loss, x, y)
    return mg.trainer {
      net = net, loss = loss, optimizer = mg.sgd { lr = TINY }, metrics = { "accuracy" },
    }:evaluate({ x = x, y = y, batch = 2 }).accuracy
  end
  it("counts the rows whose largest logit is at the label", function()
    local net = mg.sequential { h.dense { { 1, 0, 0 }, { 0, 1, 0 }, { 0, 0, 1 } } }
    near(0.6, accuracy(net, "cross_entropy",
      { { 3, 1, 2 }, { 0, 1, 0 }, { 1, 2, 3 }, { 5, 0, 0 }, { 0, 0, 1 } }, { 1, 2, 3, 2, 1 }))
  end)
  it("counts chances on the right side of one half for bce", function()
    local net = mg.sequential { h.dense({ { 4 } }), "sigmoid" }
    near(0.75, accuracy(net, "bce",
      { { 1 }, { -1 }, { 2 }, { -2 } }, { { 1 }, { 0 }, { 0 }, { 0 } }))
  end)
  it("is part of an epoch's report, for validation too", function()
    local net = mg.sequential { h.dense({ { 4 } }), "sigmoid" }
    local trainer = mg.trainer {
      net = net, loss = "bce", optimizer = mg.sgd { lr = TINY }, metrics = { "accuracy" },
    }
    for e in trainer:epochs(1, { x = { { 1 }, { -1 } }, y = { { 1 }, { 1 } }, batch = 2,
                                 validation = { x = { { 1 } }, y = { { 1 } } } }) do
      near(0.5, e.accuracy)
      near(1, e.val_accuracy)
    end
  end)
end)

describe("accuracy", function()
  it("counts a label that is no class, NaN or huge, as missed", function()
    local net = mg.sequential { 2, mg.dense(3) }
    local trainer = mg.trainer { net = net, optimizer = "sgd", metrics = { "accuracy" },
                                 loss = function(p) return p:mean() end }
    local y = mg.tensor { 0 / 0, 1e30, -1 / 0, 0.5 }
    assert.equal(0, trainer:evaluate({ x = mg.ones(4, 2), y = y }).accuracy)
  end)
end)

-- Evaluates predictions that are the inputs themselves, in batches of two.
local function measure(metrics, loss, p, y, options)
  local data = { x = p, y = y, batch = options and options.batch or 2 }
  local trainer = mg.trainer { net = mg.sequential { function(x) return x end, mg.module("bias", {
    init = function(self) self.b = mg.tensor(0, { requires_grad = true }) end,
    forward = function(self, x) return x + self.b end,
  })() }, loss = loss, optimizer = mg.sgd { lr = TINY }, metrics = metrics,
    class_weight = options and options.class_weight }
  return trainer:evaluate(data), trainer, data
end

-- Taken for 1 1 2 3 2 1 1; what they are is in CLASSES.
local LOGITS = { { 3, 1, 2, 0 }, { 5, 4, 1, 0 }, { 0, 1, 0.5, 0 }, { 1, 2, 3, 0 },
                 { 0, 2, 1, 0 }, { 2, 1, 0, 0 }, { 4, 0, 3, 1 } }
local CLASSES = { 1, 2, 2, 3, 3, 1, 3 }

describe("metrics over classes", function()
  -- class 1: 2 right of 4 guessed, 2 there; 2: 1 of 2, 2; 3: 1 of 1, 3; 4 is nowhere
  it("are macro means over the classes that there are", function()
    local e = measure({ "precision", "recall", "f1", "accuracy" }, "cross_entropy", LOGITS,
      CLASSES)
    near((2 / 4 + 1 / 2 + 1) / 3, e.precision)
    near((1 + 1 / 2 + 1 / 3) / 3, e.recall)
    near((2 * 2 / 6 + 2 * 1 / 4 + 2 * 1 / 4) / 3, e.f1)
    near(4 / 7, e.accuracy)
  end)
  it("are the same however the set is cut into batches", function()
    local metrics = { "precision", "recall", "f1", "confusion", "top_2" }
    local whole = measure(metrics, "cross_entropy", LOGITS, CLASSES, { batch = 7 })
    for batch = 1, 6 do
      local cut = measure(metrics, "cross_entropy", LOGITS, CLASSES, { batch = batch })
      for _, name in ipairs { "precision", "recall", "f1", "top_2" } do
        assert.equal(whole[name], cut[name])
      end
      assert.same(whole.confusion:totable(), cut.confusion:totable())
    end
  end)
  it("count in a table, a row for what is there, a column for what it is taken for", function()
    local e = measure({ "confusion" }, "cross_entropy", LOGITS, CLASSES)
    assert.same({ { 2, 0, 0, 0 }, { 1, 1, 0, 0 }, { 1, 1, 1, 0 }, { 0, 0, 0, 0 } },
      e.confusion:totable())
  end)
  it("take labels among the first k, written in three ways", function()
    for _, metrics in ipairs { { "top_2" }, { { top_k = 2 } }, { top_k = 2 } } do
      near(5 / 7, measure(metrics, "cross_entropy", LOGITS, { 1, 2, 2, 3, 3, 3, 2 }).top_2)
    end
    near(1, measure({ "top_k" }, "cross_entropy", LOGITS, CLASSES).top_k) -- 5 of 4
    near(4 / 7, measure({ "top_1" }, "cross_entropy", LOGITS, CLASSES).top_1)
  end)
  it("take the first of equals for the better one", function()
    local e = measure({ "top_3", "top_2" }, "cross_entropy", { { 2, 1, 0, 0 } }, { 4 })
    assert.same({ 0, 0 }, { e.top_3, e.top_2 })
    assert.equal(1, measure({ "top_3" }, "cross_entropy", { { 2, 1, 0, 0 } }, { 3 }).top_3)
  end)
  it("see pictures of labels", function()
    local logits = mg.tensor { { { 3, 0, 1 }, { 0, 3, 2 } } } -- {1, 2, 3}: taken for 1 2 2
    near(2 / 3, measure({ "accuracy" }, "cross_entropy", logits, { { 1, 2, 1 } }).accuracy)
  end)
  it("do not count a label that is no class as found", function()
    local e = measure({ "precision", "recall", "confusion", "top_4" },
      function(p) return p:mean() end, LOGITS, { 0 / 0, 9, 1.5, -1, 0, 2, 1 })
    near({ { 1, 0, 0, 0 }, { 1, 0, 0, 0 }, { 0, 0, 0, 0 }, { 0, 0, 0, 0 } }, e.confusion)
    near((1 / 4) / 3, e.precision)
    near(2 / 7, e.top_4)
  end)
  it("refuse shapes that they cannot judge, naming themselves", function()
    h.fails("top_k: prediction is {2, 1} and target {2, 1}, expected {n, classes} and labels",
      measure, { "top_2" }, "mse", { { 1 }, { 2 } }, { { 1 }, { 2 } })
    h.fails("mae: prediction is {2, 4} and target {2}, expected equal shapes",
      measure, { "mae" }, "cross_entropy", LOGITS, CLASSES)
  end)
end)

describe("metrics of yes and no", function()
  local p, y = { { 0.9 }, { 0.8 }, { 0.3 }, { 0.6 }, { 0.1 } }, { 1, 0, 1, 1, 0 }
  it("are those of yes", function()
    local e = measure({ "precision", "recall", "f1", "confusion" }, "bce", p, y)
    near(2 / 3, e.precision)
    near(2 / 3, e.recall)
    near(2 / 3, e.f1)
    assert.same({ { 1, 1 }, { 1, 2 } }, e.confusion:totable())
  end)
  it("part logits at 0", function()
    local e = measure({ "precision", "recall" }, "bce_with_logits",
      { { 0.2 }, { 0.1 }, { -3 }, { -2 } }, { 1, 0, 1, 0 })
    near(0.5, e.precision)
    near(0.5, e.recall)
  end)
  it("are 0 where nothing was found", function()
    local e = measure({ "precision", "recall", "f1" }, "bce", { { 0.1 }, { 0.2 } }, { 0, 0 })
    assert.same({ 0, 0, 0 }, { e.precision, e.recall, e.f1 })
  end)
end)

describe("metrics of numbers", function()
  local p, y = { { 1 }, { 2 }, { 4 } }, { 2, 2, 5 }
  it("are mae, mse and r2 over the whole set", function()
    local e = measure({ "mae", "mse", "r2" }, "huber", p, y)
    near(2 / 3, e.mae)
    near(2 / 3, e.mse)
    near(1 - 2 / 6, e.r2) -- not the mean over batches {2, 2} and {5}
  end)
  it("have the mean of r2 over columns", function()
    local e = measure({ "r2" }, "mse", { { 1, 3 }, { 2, 3 }, { 4, 5 } },
      { { 2, 1 }, { 2, 3 }, { 5, 5 } })
    near((1 - 2 / 6 + 1 - 4 / 8) / 2, e.r2)
  end)
  it("keep r2 right far away from 0", function()
    local e = measure({ "r2" }, "mse", { { 8388608 }, { 8388609 }, { 8388611 } },
      { 8388608, 8388610, 8388612 })
    near(1 - 2 / 8, e.r2, 1e-12)
  end)
  it("give r2 of equal targets as 1 where they were met, else 0", function()
    assert.equal(1, measure({ "r2" }, "mse", { { 3 }, { 3 } }, { 3, 3 }).r2)
    assert.equal(0, measure({ "r2" }, "mse", { { 3 }, { 2 } }, { 3, 3 }).r2)
  end)
end)

describe("metrics of an epoch", function()
  local function setup(metrics, n)
    local net = mg.sequential { 4, mg.dense(6, "tanh"), mg.dense(3) }
    local y = {}
    for i = 1, n do y[i] = i % 3 + 1 end
    return mg.trainer { net = net, loss = "cross_entropy", optimizer = mg.sgd { lr = TINY },
                        metrics = metrics }, { x = mg.randn(n, 4), y = mg.tensor(y), batch = 4 }
  end
  local all = { "accuracy", "top_2", "precision", "recall", "f1", "confusion" }

  it("are those of an evaluation where no weight moves, and begin anew", function()
    mg.seed(3)
    local trainer, data = setup(all, 10)
    data.shuffle = true
    local expected = trainer:evaluate(data)
    for e in trainer:epochs(3, data) do
      for _, name in ipairs { "accuracy", "top_2", "precision", "recall", "f1" } do
        assert.equal(expected[name], e[name])
      end
      assert.same(expected.confusion:totable(), e.confusion:totable())
    end
  end)
  it("allocate nothing once they have begun", function()
    local trainer, data = setup(all, 10)
    trainer:run(data, { steps = 6, epochs = 100 })
    local before = select(4, mg.memory())
    trainer:run(data, { steps = 30, epochs = 100 })
    assert.equal(before, (select(4, mg.memory())))
  end)
  it("forget a batch that failed", function()
    local trainer, data = setup({ "confusion", "accuracy" }, 10)
    data.y:set(6, 7)
    pcall(trainer.run, trainer, data, { epochs = 1 })
    data.y:set(6, 1)
    trainer:run(data, { epochs = 1, steps = 2 })
    assert.equal(10, trainer:table(1):sum():item())
  end)
  it("are not measured by single steps, whose metrics nobody sees", function()
    local calls = 0
    local trainer, data = setup({ mine = function() calls = calls + 1 return 0.25 end }, 8)
    trainer:step(data.x, data.y)
    trainer:step(data.x, data.y)
    assert.equal(0, calls)
    for e in trainer:epochs(1, data) do near(0.25, e.mine) end
    assert.equal(2, calls)
  end)
end)

describe("class weights", function()
  it("are those of cross_entropy", function()
    local weight = { 1, 5, 0.5, 2 }
    local expected = mg.cross_entropy(mg.tensor(LOGITS), mg.tensor(CLASSES),
      { weight = mg.tensor(weight) })
    near(expected, measure({}, "cross_entropy", LOGITS, CLASSES,
      { class_weight = weight, batch = 7 }).loss)
  end)
  it("of no and yes weigh each number of bce", function()
    local p, y = { { 0.9 }, { 0.8 }, { 0.3 } }, { 1, 0, 1 }
    near((-3 * math.log(0.9) - 0.5 * math.log(0.2) - 3 * math.log(0.3)) / 3,
      measure({}, "bce", p, y, { class_weight = { 0.5, 3 }, batch = 3 }).loss)
  end)
  it("are part of the plan", function()
    local function train(plan)
      mg.seed(4)
      local net = mg.sequential { 2, mg.dense(3, "tanh"), mg.dense(1) }
      local trainer = mg.trainer { net = net, loss = "bce_with_logits", plan = plan,
        optimizer = mg.sgd { lr = 0.1 }, class_weight = { 1, 4 } }
      local x, y = mg.randn(6, 2), mg.tensor { 1, 0, 0, 1, 0, 0 }
      for _ = 1, 3 do trainer:step(x, y) end
      local before = select(4, mg.memory())
      for _ = 1, 3 do trainer:step(x, y) end
      return net:hash(), select(4, mg.memory()) - before
    end
    local hash, allocations = train(true)
    assert.equal(0, allocations)
    assert.equal(hash, (train(false)))
  end)
  it("need a loss that knows classes, and as many of them", function()
    h.fails("class_weight needs the loss", measure, {}, "mse", { { 1 } }, { 1 },
      { class_weight = { 1, 2 } })
    h.fails("class_weight is {3}, expected {2}: of no and of yes", measure, {}, "bce",
      { { 1 } }, { 1 }, { class_weight = { 1, 2, 3 } })
    h.fails("weight is {3}, expected {4}", measure, {}, "cross_entropy", LOGITS, CLASSES,
      { class_weight = { 1, 2, 3 } })
    h.fails("class_weight is string, expected a tensor", measure, {}, "bce", { { 1 } }, { 1 },
      { class_weight = "balanced" })
  end)
end)

describe("a list of metrics", function()
  local function make(metrics)
    return mg.trainer { net = mg.sequential { 1, mg.dense(1) }, loss = "mse", optimizer = "sgd",
                        metrics = metrics }
  end
  it("refuses what it does not know, naming it", function()
    h.fails('unknown metric "top_0"', make, { "top_0" })
    h.fails('unknown metric "top_5x"', make, { "top_5x" })
    h.fails("metric {best = ..} is unknown", make, { { best = 5 } })
    h.fails('metric "top_k" is a number, expected a function', make, { top_k = 0 })
    h.fails("metric 1 is a boolean, expected a name or a function", make, { true })
  end)
end)
