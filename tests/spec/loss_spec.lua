local mg = require "moongrad"
local h = require "tests.spec.helper"
local near, fails, leaf, text = h.near, h.fails, h.leaf, h.text

local inf = 1 / 0

local function grad(loss, prediction, ...)
  local p = leaf(prediction)
  loss(p, ...):backward()
  return p.grad
end

describe("mse and mae", function()
  local p, y = mg.tensor { 1, 2, 3 }, mg.tensor { 1, 0, 0 }

  it("take the mean", function()
    near(13 / 3, mg.mse(p, y))
    near(5 / 3, mg.mae(p, y))
  end)
  it("give a 0-dim tensor", function() assert.equal(0, mg.mse(p, y):dim()) end)
  it("sum when told", function()
    near(13, mg.mse(p, y, { reduction = "sum" }))
    near(5, mg.mae(p, y, { reduction = "sum" }))
  end)
  it("give one loss an element when told", function()
    near({ 0, 4, 9 }, mg.mse(p, y, { reduction = "none" }))
    near({ 0, 2, 3 }, mg.mae(p, y, { reduction = "none" }))
  end)
  it("take the mean over all elements of a batch", function()
    near(2.5, mg.mse(mg.tensor { { 1, 2 }, { 3, 4 } }, mg.tensor { { 0, 2 }, { 0, 4 } }))
  end)
  it("have their gradients", function()
    near({ 0, 4 / 3, 2 }, grad(mg.mse, { 1, 2, 3 }, y))
    near({ 0, 1 / 3, 1 / 3 }, grad(mg.mae, { 1, 2, 3 }, y))
  end)
  it("do not broadcast", function()
    fails("mse", mg.mse, mg.zeros(2, 1), mg.zeros(2))
    fails("mse", mg.mse, mg.zeros(2, 2), mg.zeros(2))
    fails("mae", mg.mae, mg.zeros(2), mg.zeros(1))
    fails("{2, 1}", mg.mse, mg.zeros(2, 1), mg.zeros(2))
  end)
  it("refuse an unknown reduction", function()
    fails("reduction", mg.mse, p, y, { reduction = "median" })
  end)
  it("refuse what is no tensor", function()
    fails("mse", mg.mse, p)
    fails("mse", mg.mse, "x", y)
  end)
end)

describe("huber", function()
  it("is square near and straight far off", function()
    near({ 0.125, 1.5, 2.5 },
      mg.huber(mg.tensor { 0.5, 2, -3 }, mg.zeros(3), { reduction = "none" }))
  end)
  it("has a gradient of at most 1", function()
    near({ 0.5 / 3, 1 / 3, -1 / 3 }, grad(mg.huber, { 0.5, 2, -3 }, mg.zeros(3)))
  end)
end)

describe("bce", function()
  it("is the logarithm of the chance given to what happened", function()
    near({ 0.1053605, 0.2231436 },
      mg.bce(mg.tensor { 0.9, 0.2 }, mg.tensor { 1, 0 }, { reduction = "none" }))
    near(0.1642520, mg.bce(mg.tensor { 0.9, 0.2 }, mg.tensor { 1, 0 }))
  end)
  it("has its gradient", function()
    near({ -0.5 / 0.9, 0.5 / 0.8 }, grad(mg.bce, { 0.9, 0.2 }, mg.tensor { 1, 0 }))
  end)
  it("stays finite when a certainty was wrong", function()
    local loss = mg.bce(mg.tensor { 0, 1 }, mg.tensor { 1, 0 }):item()
    assert.is_true(loss > 10 and loss < inf)
    for _, g in ipairs(grad(mg.bce, { 0, 1 }, mg.tensor { 1, 0 }):totable()) do
      assert.is_true(math.abs(g) < inf)
    end
  end)
  it("is 0 when a certainty was right", function()
    near(0, mg.bce(mg.tensor { 0, 1 }, mg.tensor { 0, 1 }), 1e-6)
  end)
end)

describe("bce_with_logits", function()
  it("agrees with bce of a sigmoid", function()
    local z, y = mg.tensor { 2, 1, -3 }, mg.tensor { 1, 0, 0.25 }
    near({ 0.1269280, 1.3132617, 0.7985874 }, mg.bce_with_logits(z, y, { reduction = "none" }))
    near(mg.bce(z:sigmoid(), y), mg.bce_with_logits(z, y))
  end)
  it("is exact far from 0", function()
    local z = mg.tensor { 1000, 1000, -1000, -1000 }
    near({ 0, 1000, 0, 1000 },
      mg.bce_with_logits(z, mg.tensor { 1, 0, 0, 1 }, { reduction = "none" }))
  end)
  it("has the gradient sigmoid minus target", function()
    near({ (0.8807971 - 1) / 2, 0.7310586 / 2 },
      grad(mg.bce_with_logits, { 2, 1 }, mg.tensor { 1, 0 }))
    near({ 0.5 }, grad(mg.bce_with_logits, { 0 }, mg.tensor { 0 }))
  end)
end)

describe("cross_entropy", function()
  it("takes class weights as a table, too", function()
    local logits, labels = mg.tensor { { 1, 2, 3 }, { 3, 1, 2 } }, mg.tensor { 3, 2 }
    near(mg.cross_entropy(logits, labels, { weight = mg.tensor { 1, 2, 3 } }),
      mg.cross_entropy(logits, labels, { weight = { 1, 2, 3 } }), 0)
    fails("%[2%] is string, expected a number", mg.cross_entropy, logits, labels,
      { weight = { 1, "a", 3 } })
  end)

  local rows = { { 1, 2, 3 }, { 0, 0, 1 } }
  local z, y = mg.tensor(rows), mg.tensor { 3, 1 }

  it("takes logits and labels from 1", function()
    near({ 0.4076060, 1.5514447 }, mg.cross_entropy(z, y, { reduction = "none" }))
    near(0.9795253, mg.cross_entropy(z, y))
    near(1.9590507, mg.cross_entropy(z, y, { reduction = "sum" }))
  end)
  it("is the logarithm of the number of classes when nothing is known", function()
    near(math.log(10), mg.cross_entropy(mg.zeros(4, 10), mg.tensor { 1, 4, 7, 10 }))
  end)
  it("takes rows of probabilities", function()
    near(0.9295253, mg.cross_entropy(z, mg.tensor { { 0.2, 0.3, 0.5 }, { 0.1, 0.1, 0.8 } }))
  end)
  it("gives one-hot rows the loss of their labels", function()
    near(mg.cross_entropy(z, y), mg.cross_entropy(z, mg.one_hot(y, 3)))
  end)
  it("has the gradient softmax minus one-hot", function()
    near({ { 0.0450153, 0.1223642, -0.1673795 }, { -0.3940292, 0.1059708, 0.2880584 } },
      grad(mg.cross_entropy, rows, y))
    near(grad(mg.cross_entropy, rows, y), grad(mg.cross_entropy, rows, mg.one_hot(y, 3)))
  end)
  it("smooths labels", function()
    near(1.0128587, mg.cross_entropy(z, y, { label_smoothing = 0.1 }))
  end)
  it("weighs classes, and divides by the weights", function()
    local w = mg.tensor { 1, 2, 4 }
    near({ 1.6304239, 1.5514447 }, mg.cross_entropy(z, y, { weight = w, reduction = "none" }))
    near(0.6363737, mg.cross_entropy(z, y, { weight = w }))
  end)
  it("leaves out a label to be ignored", function()
    near(0.4076060, mg.cross_entropy(z, y, { ignore = 1 }))
    near({ { 0.0900306, 0.2447285, -0.3347590 }, { 0, 0, 0 } },
      grad(mg.cross_entropy, rows, y, { ignore = 1 }))
  end)
  it("is exact for huge logits", function()
    near({ 0, 2000 }, mg.cross_entropy(mg.tensor { { 1000, -1000 }, { 1000, -1000 } },
      mg.tensor { 1, 2 }, { reduction = "none" }))
  end)
  it("does not change when all logits of a row move together", function()
    near(mg.cross_entropy(z, y), mg.cross_entropy(z + 100, y))
  end)
  it("refuses labels outside, naming the first", function()
    fails(text "cross_entropy: target[2] is 4, expected a class from 1 to 3",
      mg.cross_entropy, z, mg.tensor { 1, 4 })
  end)
end)

describe("nll", function()
  it("of log_softmax is cross_entropy", function()
    local z, y = mg.tensor { { 1, 2, 3 }, { 0, 0, 1 } }, mg.tensor { 3, 1 }
    near(0.9795253, mg.nll(z:log_softmax(2), y))
  end)
  it("picks the negative number at the label", function()
    near({ 2, 0.5 }, mg.nll(mg.tensor { { -1, -2 }, { -0.5, -4 } }, mg.tensor { 2, 1 },
      { reduction = "none" }))
  end)
end)

describe("kl_div", function()
  local p = mg.tensor { { 0.4, 0.6 } }
  it("is 0 between equal distributions", function()
    near(0, mg.kl_div(p:log(), p, { reduction = "sum" }), 1e-6)
  end)
  it("takes logarithms as predictions, as PyTorch's", function()
    near(0.0201355, mg.kl_div(mg.tensor({ { 0.5, 0.5 } }):log(), p, { reduction = "sum" }), 1e-6)
  end)
  it("counts a target of 0 as nothing", function()
    near(math.log(2), mg.kl_div(mg.tensor({ { 0.5, 0.5 } }):log(), mg.tensor { { 1, 0 } },
      { reduction = "sum" }))
  end)
end)

describe("hinge", function()
  it("is 0 beyond the margin and straight before it", function()
    near({ 0.5, 0, 2, 4 }, mg.hinge(mg.tensor { 0.5, -2, -1, 3 }, mg.tensor { 1, -1, 1, -1 },
      { reduction = "none" }))
  end)
  it("has its gradient", function()
    near({ -1 / 3, 0, 1 / 3 }, grad(mg.hinge, { 0.5, 2, 3 }, mg.tensor { 1, 1, -1 }))
  end)
end)

describe("focal", function()
  local z, y = mg.tensor { 2, 1, -3 }, mg.tensor { 1, 0, 1 }
  it("is bce_with_logits where gamma is 0 and alpha below", function()
    near(mg.bce_with_logits(z, y), mg.focal(z, y, { gamma = 0, alpha = -1 }))
  end)
  it("hardly counts what is right already", function()
    local each = mg.focal(mg.tensor { 5, -5 }, mg.tensor { 1, 1 }, { reduction = "none" })
    assert.is_true(each[1] < 1e-6 and each[2] > 1)
  end)
  it("has no slope that is infinite", function()
    near({ 0, 0 }, grad(mg.focal, { 200, -200 }, mg.tensor { 1, 0 }, { gamma = 0.5 }))
  end)
  it("refuses targets that are no chances", function()
    fails(text "focal: target[2] is 2, expected a number from 0 to 1", mg.focal,
      mg.zeros(2), mg.tensor { 1, 2 })
  end)
  it("trains, and accuracy takes its predictions as logits", function()
    mg.seed(1)
    local x = mg.tensor { { 0, 0 }, { 0, 1 }, { 1, 0 }, { 1, 1 } }
    local data = { x = x, y = mg.tensor { 0, 0, 0, 1 }, batch = 4 }
    local trainer = mg.trainer { net = mg.sequential { 2, mg.dense(1) }, loss = mg.focal,
                                 optimizer = mg.adam { lr = 0.1 }, metrics = { "accuracy" } }
    for _ = 1, 300 do trainer:step(data.x, data.y) end
    assert.equal(1, trainer:evaluate(data).accuracy)
  end)
end)

describe("triplet", function()
  local a, p, n = mg.tensor { { 0, 0 } }, mg.tensor { { 3, 4 } }, mg.tensor { { 6, 8 } }
  it("is what the positive is too far away, compared with the negative", function()
    near(0, mg.triplet(a, p, n, { margin = 5, eps = 0 }))
    near(1.5, mg.triplet(a, p, n, { margin = 6.5, eps = 0 }))
    near(5, mg.triplet(a, n, p, { margin = 0, eps = 0 }))
  end)
  it("measures by the norm p", function()
    near(3, mg.triplet(a, p, n, { margin = 10, eps = 0, p = 1 }))
  end)
  it("takes the shorter way to the negative when told to swap", function()
    local q = mg.tensor { { 4, 4 } }
    near(5, mg.triplet(a, p, q, { margin = 1, eps = 0, swap = true }))
  end)
  it("names the operand that does not fit", function()
    fails(text "triplet: negative is {1, 3}, expected {1, 2} as anchor", mg.triplet, a, p,
      mg.zeros(1, 3))
    fails(text "triplet: anchor is {2}, expected {n, features}", mg.triplet, mg.zeros(2),
      mg.zeros(2), mg.zeros(2))
  end)
end)

describe("ctc", function()
  local half = mg.full({ 1, 2, 2 }, math.log(0.5)) -- blank or label 2, alike, two steps
  it("is minus the log of all ways to write the labels", function()
    near(-math.log(0.75), mg.ctc(half, mg.tensor { { 2 } })) -- 2 blank, blank 2, 2 2
    near(-math.log(0.25), mg.ctc(half, mg.tensor { { 2 } }, mg.tensor { 2 }, mg.tensor { 0 }))
  end)
  it("looks at the first of its steps and labels only", function()
    local x, y = mg.zeros(2, 5, 3):log_softmax(3), mg.tensor { { 2, 3 }, { 3, 77 } }
    local both = mg.ctc(x, y, mg.tensor { 5, 2 }, mg.tensor { 2, 1 }, { reduction = "none" })
    near(mg.ctc(x:narrow(1, 2, 1):narrow(2, 1, 2), mg.tensor { { 3 } }), both[2])
  end)
  it("is infinite where the labels do not fit into the time, or 0", function()
    local y = mg.tensor { { 2, 2 } } -- needs a blank between
    assert.equal(inf, mg.ctc(half, y):item())
    local x = leaf(half:totable())
    local loss = mg.ctc(x, y, { zero_infinity = true })
    loss:backward()
    near(0, loss)
    near({ { { 0, 0 }, { 0, 0 } } }, x.grad)
  end)
  it("is exact where a class is impossible", function()
    local x = leaf { { { -inf, 0 }, { 0, -inf } } }
    local loss = mg.ctc(x, mg.tensor { { 2 } })
    loss:backward()
    near(0, loss)
    near({ { { 0, -1 }, { -1, 0 } } }, x.grad)
  end)
  it("names what is wrong with labels and lengths", function()
    local x, y = mg.zeros(1, 4, 3), mg.tensor { { 2, 3 } }
    fails(text "ctc: target[1][2] is 1, which is the blank", mg.ctc, x, mg.tensor { { 2, 1 } })
    fails(text "ctc: target[1][1] is 4, expected a class from 1 to 3", mg.ctc, x,
      mg.tensor { { 4, 1 } })
    fails(text "ctc: blank is 4, expected a class from 1 to 3", mg.ctc, x, y, { blank = 4 })
    fails(text "ctc: input_lengths[1] is 5, expected an integer from 1 to 4", mg.ctc, x, y,
      mg.tensor { 5 })
    fails(text "ctc: target_lengths[1] is 0.5, expected an integer from 0 to 2", mg.ctc, x, y,
      mg.tensor { 4 }, mg.tensor { 0.5 })
    fails(text "ctc: target_lengths is {2}, expected {1}", mg.ctc, x, y, mg.tensor { 4 },
      mg.ones(2))
    fails(text "ctc: target is {2}, expected {1, most labels}", mg.ctc, x, mg.ones(2))
    fails(text "ctc: prediction is {4, 3}, expected {batch, time, classes}", mg.ctc,
      mg.zeros(4, 3), y)
  end)
  it("trains a net in a plan as it does op by op", function()
    local function losses(plan)
      mg.seed(1)
      local net = mg.sequential { 18, mg.dense(18), mg.reshape(6, 3), "log_softmax" }
      local trainer = mg.trainer { net = net, loss = "ctc", optimizer = mg.adam { lr = 0.1 },
                                   plan = plan }
      local x, y, list = mg.randn(4, 18), mg.tensor { { 2, 3 }, { 3, 3 }, { 2, 2 }, { 3, 2 } }, {}
      for i = 1, 20 do list[i] = trainer:step(x, y) end
      return list
    end
    local list = losses()
    assert.same(losses(false), list)
    assert.is_true(list[20] < list[1] / 10)
  end)
end)

describe("every loss of equal shapes", function()
  local p, y = mg.tensor { { 0.2, 0.7, 0.4 }, { 0.9, 0.1, 0.6 } }, mg.ones(2, 3)
  for _, name in ipairs { "mse", "mae", "huber", "bce", "bce_with_logits", "kl_div", "hinge" } do
    it(name .. " has its sum as that of its elements", function()
      local each = mg[name](p, y, { reduction = "none" })
      assert.same({ 2, 3 }, each.shape)
      near(each:sum(), mg[name](p, y, { reduction = "sum" }))
    end)
    it(name .. " does not broadcast", function()
      fails(name, mg[name], mg.ones(2, 1), mg.ones(2))
    end)
  end
  for _, name in ipairs { "mse", "mae", "huber", "bce", "bce_with_logits", "hinge" } do
    it(name .. " has its mean as that of its elements", function()
      near(mg[name](p, y, { reduction = "none" }):mean(), mg[name](p, y))
    end)
  end
end)
