-- Formulas are compared with PyTorch's in tests/torch/optimizer.py.
local mg = require "moongrad"
local h = require "tests.spec.helper"
local near, fails, leaf = h.near, h.fails, h.leaf

local function rates(schedule, n)
  local list = {}
  for i = 1, n do list[i] = schedule(i) end
  return list
end

describe("a schedule", function()
  it("is the learning rate of each step of an optimizer", function()
    local w = leaf(0)
    local opt = mg.sgd { lr = mg.schedule.exponential { lr = 1, gamma = 0.5 } }:attach { w }
    for _ = 1, 3 do
      opt:zero_grad()
      local loss = w * 1
      loss:backward()
      opt:step()
    end
    near(-1.75, w)
    assert.equal(0.25, opt.lr)
  end)
  it("keeps its last rate where PyTorch's comes to an end", function()
    near({ 1, 0.5, 0, 0, 0 }, rates(mg.schedule.cosine { lr = 1, steps = 2 }, 5))
    local cycle = mg.schedule.one_cycle { lr = 1, steps = 10 }
    assert.equal(cycle(10), cycle(50))
  end)
  it("is followed by another after its warmup, or by its rate", function()
    local after = mg.schedule.step { lr = 2, step_size = 1, gamma = 0.5 }
    near({ 0, 1, 2, 1, 0.5 }, rates(mg.schedule.linear_warmup {
      lr = 2, steps = 2, start_factor = 0, after = after }, 5))
    near({ 1, 1.5, 2, 2 }, rates(mg.schedule.linear_warmup { lr = 2, steps = 2,
                                                             start_factor = 0.5 }, 4))
  end)
  it("warms up and down in a cycle", function()
    local list = rates(mg.schedule.one_cycle { lr = 1, steps = 10, pct_start = 0.5 }, 10)
    near({ 0.04, 1 }, { list[1], list[5] })
    assert.is_true(list[10] < 1e-5)
  end)
  it("names the option that is wrong", function()
    fails("schedule.cosine: lr is missing", mg.schedule.cosine, { steps = 3 })
    fails("schedule.cosine: steps is 0, expected a number from 1", mg.schedule.cosine,
      { lr = 1, steps = 0 })
    fails("schedule.step: gamma is a string, expected a number", mg.schedule.step,
      { lr = 1, step_size = 2, gamma = "x" })
    fails('schedule.step: there is no option "gama"', mg.schedule.step, { lr = 1, gama = 2 })
    fails('schedule.one_cycle: anneal is "sin", expected one of cos linear',
      mg.schedule.one_cycle, { lr = 1, steps = 2, anneal = "sin" })
    fails("schedule.exponential: options is a number", mg.schedule.exponential, 3)
    fails("schedule.plateau: factor is %-?nan", mg.schedule.plateau, { lr = 1, factor = 0 / 0 })
  end)
end)

describe("where it is printed, a schedule", function()
  it("tells its kind and its numbers", function()
    local cosine = mg.schedule.cosine { lr = 0.1, steps = 1000 }
    assert.equal("cosine schedule (lr 0.1, steps 1000, min_lr 0)", tostring(cosine))
    assert.equal("linear_warmup schedule (lr 0.1, steps 5, start_factor 0.333333, after "
      .. tostring(cosine) .. ")", tostring(mg.schedule.linear_warmup { lr = 0.1, after = cosine }))
    assert.truthy(tostring(mg.schedule.plateau { lr = 0.1, mode = "max" })
      :find("^plateau schedule %(lr 0.1, factor 0.1, patience 10, mode max, "))
  end)
  it("does so on one line, of each kind", function()
    for name, new in pairs(mg.schedule) do
      local text = tostring(new { lr = 0.5, steps = name ~= "step" and name ~= "exponential"
        and name ~= "plateau" and 8 or nil, step_size = name == "step" and 2 or nil,
        gamma = name == "exponential" and 0.5 or nil })
      assert.truthy(text:find("^" .. name .. " schedule %(lr 0.5, [^\n]+%)$"), text)
    end
  end)
  it("is told by the rate of its optimizer, before the first step too", function()
    local opt = mg.adam { lr = mg.schedule.linear_warmup { lr = 0.3, steps = 4 } }
    assert.equal("adam (lr 0.1, 0 steps done)", tostring(opt))
  end)
  it("may be given to an optimizer later, as may any table that is called", function()
    local w = h.leaf { 1 }
    for _, rate in ipairs { mg.schedule.step { lr = 0.25, step_size = 1 },
                            setmetatable({}, { __call = function() return 0.25 end }) } do
      local opt = mg.sgd { lr = 1 }:schedule(rate):attach { w }
      w.grad = mg.ones(1)
      opt:step()
      assert.equal(0.25, opt.lr)
    end
    fails("schedule: lr is table, expected a function", function() mg.sgd {}:schedule {} end)
  end)
end)

describe("a plateau", function()
  it("lowers the rate when a number does not get better", function()
    local opt = mg.sgd { lr = mg.schedule.plateau { lr = 1, factor = 0.5, patience = 1 } }
    local seen = {}
    for i, loss in ipairs { 3, 2, 2, 2, 2, 2, 1 } do
      opt:observe(loss)
      seen[i] = opt.lr
    end
    assert.same({ 1, 1, 1, 0.5, 0.5, 0.25, 0.25 }, seen)
  end)
  it("lowers the rates of groups in proportion", function()
    local w = leaf(0)
    local opt = mg.sgd { lr = mg.schedule.plateau { lr = 1, patience = 0 },
                         groups = { { match = "1", lr = 0.5 } } }:attach { w }
    opt:observe(1)
    opt:observe(1)
    w:sum():backward()
    opt:step()
    near(-0.05, w)
  end)
  local function trainer(options)
    mg.seed(1)
    return mg.trainer { net = mg.sequential { 2, mg.dense(1) }, loss = "mse",
                        optimizer = mg.sgd { lr = mg.schedule.plateau(options) } }
  end
  local data = { x = mg.ones(4, 2), y = mg.tensor { 1, 2, 3, 4 }, batch = 4 }
  it("sees the epochs of a trainer: the loss", function()
    local t = trainer { lr = 0.1, patience = 1, threshold = 0.01 }
    t:fit(40, data) -- the loss cannot fall below 1.25
    local lr = t:parts().optimizer.lr
    assert.is_true(lr < 0.01)
    near(1.25, t:evaluate(data).loss, 1e-2)
  end)
  it("the loss of the validation data where there are any", function()
    local t = trainer { lr = 0.01, patience = 0 }
    local seen = {}
    for e in t:epochs(8, data, { validation = { x = -data.x, y = data.y } }) do
      seen[#seen + 1] = { e.val_loss, t:parts().optimizer.lr }
    end
    assert.is_true(seen[8][1] > seen[1][1]) -- what is learned is wrong there
    assert.is_true(seen[8][2] < 1e-6)
  end)
  it("or a metric of its own", function()
    local t = trainer { lr = 0.1, metric = "mae" }
    fails('observe: the report has no number "mae"', function() t:fit(1, data) end)
    local opt = mg.adam { lr = mg.schedule.plateau { lr = 1, patience = 0, mode = "max",
                                                     metric = "accuracy" } }
    opt:observe { accuracy = 0.5, loss = 3 }
    opt:observe { accuracy = 0.6, loss = 3 }
    assert.equal(1, opt.lr)
    opt:observe { accuracy = 0.6, loss = 1 }
    near(0.1, opt.lr)
  end)
  it("is no business of other optimizers", function()
    local opt = mg.sgd { lr = 0.5 }
    opt:observe(1)
    opt:observe { }
    assert.equal(0.5, opt.lr)
    local waiting = mg.sgd { lr = mg.schedule.plateau { lr = 1 } }
    fails("observe: report is a string, expected a number", waiting.observe, waiting, "x")
  end)
end)
