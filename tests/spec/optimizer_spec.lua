local mg = require "moongrad"
local h = require "tests.spec.helper"
local near, fails, leaf = h.near, h.fails, h.leaf

-- Minimises w^2 from w = 1; the values of w after each step.
local function descend(opt, steps)
  local w, path = leaf(1), {}
  opt:attach { w }
  local function loss()
    opt:zero_grad()
    local l = w * w
    l:backward()
    return l
  end
  for i = 1, steps or 3 do
    if i % 2 == 0 or opt.kind == "lbfgs" then -- both ways to do the same
      opt:step(loss)
    else
      loss()
      opt:step()
    end
    path[i] = w:item()
  end
  return path
end

-- One step of 'opt' from w with the gradient g; the new w.
local function step(opt, w, g)
  w = leaf(w)
  local loss = (w * mg.tensor(g)):sum()
  opt:attach { w }
  loss:backward()
  opt:step()
  return w
end

-- Paths worked out from PyTorch's formulas in double precision.
describe("the update rule of", function()
  it("sgd", function() near({ 0.8, 0.64, 0.512 }, descend(mg.sgd { lr = 0.1 })) end)
  it("sgd with momentum", function()
    near({ 0.8, 0.46, 0.062 }, descend(mg.sgd { lr = 0.1, momentum = 0.9 }))
  end)
  it("sgd with Nesterov's momentum", function()
    near({ 0.62, 0.2224, -0.108352 },
      descend(mg.sgd { lr = 0.1, momentum = 0.9, nesterov = true }))
  end)
  it("sgd with weight decay", function()
    near({ 0.75, 0.5625, 0.421875 }, descend(mg.sgd { lr = 0.1, weight_decay = 0.5 }))
  end)
  it("adam", function()
    near({ 0.9, 0.80041223, 0.70158627 }, descend(mg.adam { lr = 0.1 }))
  end)
  it("adam at its default rate of 0.001", function()
    near({ 0.999, 0.99800003, 0.9970001 }, descend(mg.adam {}), 1e-6)
  end)
  it("adamw at its default decay of 0.01", function()
    near({ 0.899, 0.79851903, 0.69891118 }, descend(mg.adamw { lr = 0.1 }))
  end)
  it("adamw with more decay", function()
    near({ 0.85, 0.70824844, 0.57497393 }, descend(mg.adamw { lr = 0.1, weight_decay = 0.5 }))
  end)
  it("rmsprop at its default rate of 0.01", function()
    near({ 0.9, 0.83291797, 0.77998227 }, descend(mg.rmsprop {}))
  end)
  it("adagrad", function()
    near({ 0.9, 0.83310353, 0.78045618 }, descend(mg.adagrad { lr = 0.1 }))
  end)
  it("adagrad at its default rate of 0.01", function()
    near({ 0.99, 0.98296455, 0.97723794 }, descend(mg.adagrad {}))
  end)
end)

describe("lion", function()
  it("steps by the rate, whatever the gradient", function()
    near({ -0.1, 0.1, 0 }, step(mg.lion { lr = 0.1 }, { 0, 0, 0 }, { 1000, -0.001, 0 }))
  end)
end)

describe("rprop", function()
  it("takes longer steps downhill and shorter ones after a turn", function()
    near({ 0.7, 0.34, -0.092, -0.092, 0.124 }, descend(mg.rprop { lr = 0.3 }, 5))
  end)
end)

describe("adam", function()
  it("first steps by the rate, whatever the gradient's size", function()
    near({ -0.1, 0.1 }, step(mg.adam { lr = 0.1 }, { 0, 0 }, { 1000, -0.001 }), 1e-4)
  end)
  it("adds its weight decay to the gradient", function()
    near({ 0.9 }, step(mg.adam { lr = 0.1, weight_decay = 0.5 }, { 1 }, { 0 }))
  end)
end)

describe("every optimizer", function()
  for name in pairs(mg.optimizers) do
    local rate = name == "adadelta" and 1 or name == "lion" and 0.01 or 0.1
    it(name .. " brings a parabola to its minimum", function()
      local path = descend(mg[name] { lr = rate }, 400)
      assert.is_true(math.abs(path[400]) < 0.05)
    end)
    if name ~= "lbfgs" then it(name .. " treats each number by itself", function()
      local opt = mg[name] { lr = 0.1 }
      local both = step(opt, { 1, 5 }, { 2, -3 })
      near(step(mg[name] { lr = 0.1 }, { 1 }, { 2 }), both:narrow(1, 1, 1))
      near(step(mg[name] { lr = 0.1 }, { 5 }, { -3 }), both:narrow(1, 2, 1))
    end) end
    it(name .. " takes steady steps in a trainer without an allocation", function()
      local trainer = mg.trainer { net = mg.sequential { 3, mg.dense(4, "tanh"), mg.dense(1) },
                                   loss = "mse", optimizer = mg[name] { ema = 0.9 } }
      local x, y = mg.randn(8, 3), mg.randn(8, 1)
      for _ = 1, 4 do trainer:step(x, y) end
      local before = select(4, mg.memory())
      for _ = 1, 10 do trainer:step(x, y) end
      assert.equal(before, (select(4, mg.memory())))
    end)
    if name ~= "lbfgs" then
      it(name .. " sees one bad number among any number of them and touches nothing", function()
        for _, n in ipairs { 4, 7, 16, 33, 64, 65, 129, 40000 } do
          for threads = 1, n > 1000 and 2 or 1 do
            mg.set_threads(threads)
            local opt, w = mg[name] { ema = n % 2 == 0 and 0.9 or 0 }, leaf(mg.randn(n))
            opt:attach { w }
            for _, scale in ipairs { 1, (n < 40 and 0 / 0 or -1 / 0), 1 } do
              local g = mg.ones(n)
              g:set(n - n % 3, scale)
              local before = w:detach():clone()
              opt:zero_grad();
              (w * g):sum():backward()
              if scale == 1 then
                opt:step()
              else
                fails("finite", opt.step, opt)
                assert.equal(0, (w - before):abs():max():item())
              end
            end
          end
        end
        mg.set_threads(1)
      end)
    end
    it(name .. " refuses options that make no sense", function()
      fails(name, mg[name], { lr = "fast" })
      fails(name, mg[name], { lr = -1 })
      fails(name, mg[name], { lr = 0 / 0 })
      fails(name, mg[name], { lr = 0.1, clip_norm = -1 })
    end)
  end
end)

describe("attach", function()
  it("returns the optimizer", function()
    local opt = mg.sgd { lr = 0.1 }
    assert.equal(opt, opt:attach { leaf(1) })
  end)
  it("takes a layer", function()
    local net = h.dense({ { 1 } }, { 0 })
    local opt = mg.sgd { lr = 0.1 }:attach(net)
    local loss = mg.mse(net(mg.full({ 1, 1 }, 2)), mg.zeros(1, 1))
    loss:backward()
    opt:step()
    near({ { 0.2 } }, net:named().weight) -- 1 - 0.1 * 2 * 2 * 2
    near({ -0.4 }, net:named().bias)
  end)
  it("is needed before a step", function()
    local opt = mg.sgd { lr = 0.1 }
    fails("attach", opt.step, opt)
  end)
  it("refuses what has no parameters", function()
    local opt = mg.sgd { lr = 0.1 }
    fails("attach", opt.attach, opt, 5)
    fails("attach", opt.attach, opt, { "w" })
  end)
end)

describe("a step", function()
  it("leaves parameters without a gradient alone", function()
    local used, unused = leaf(1), leaf(1)
    local opt = mg.sgd { lr = 0.1, weight_decay = 0.5 }:attach { used, unused };
    (used * used):backward()
    opt:step()
    near(0.75, used)
    near(1, unused)
  end)
  it("uses gradients gathered from several backwards", function()
    local w = leaf(1)
    local opt = mg.sgd { lr = 0.1 }:attach { w }
    for _ = 1, 3 do
      local loss = w * 2
      loss:backward()
    end
    opt:step()
    near(0.4, w)
  end)
  it("keeps the gradient, for zero_grad is yours to call", function()
    local w = step(mg.sgd { lr = 0.1 }, { 1 }, { 2 })
    near({ 2 }, w.grad)
  end)
  it("refuses a gradient that is not finite and touches nothing", function()
    for _, bad in ipairs { 1 / 0, -1 / 0, 0 / 0 } do
      local a, b = leaf { 1, 2 }, leaf { 3 }
      local opt = mg.adam { lr = 0.1 }:attach { a, b }
      local loss = a:sum() + (b * bad):sum()
      loss:backward()
      fails("finite", opt.step, opt)
      near({ 1, 2 }, a)
      near({ 3 }, b)
    end
  end)
end)

describe("zero_grad", function()
  it("makes gradients zero and makes none", function()
    local used, unused = leaf { 1 }, leaf { 1 }
    local opt = mg.sgd { lr = 0.1 }:attach { used, unused }
    used:sum():backward()
    opt:zero_grad()
    near({ 0 }, used.grad)
    assert.is_nil(unused.grad)
  end)
end)

describe("clipping", function()
  it("shortens a gradient that is too long, keeping its direction", function()
    near({ -0.6, -0.8 }, step(mg.sgd { lr = 1, clip_norm = 1 }, { 0, 0 }, { 30, 40 }))
  end)
  it("leaves a short gradient as it is", function()
    near({ -0.3, -0.4 }, step(mg.sgd { lr = 1, clip_norm = 1 }, { 0, 0 }, { 0.3, 0.4 }))
  end)
  it("measures all parameters together", function()
    local a, b = leaf { 0 }, leaf { 0 }
    local opt = mg.sgd { lr = 1, clip_norm = 1 }:attach { a, b }
    local loss = (a * 3 + b * 4):sum()
    loss:backward()
    opt:step()
    near({ -0.6 }, a)
    near({ -0.8 }, b)
  end)
  it("by value cuts each number", function()
    near({ -0.5, 0.5, -0.2 },
      step(mg.sgd { lr = 1, clip_value = 0.5 }, { 0, 0, 0 }, { 30, -40, 0.2 }))
  end)
end)

describe("penalties", function()
  it("l1 pulls each number to 0 by the same amount", function()
    near({ 1.99, -2.99 }, step(mg.sgd { lr = 0.1, l1 = 0.1 }, { 2, -3 }, { 0, 0 }))
  end)
  it("l2 pulls each number to 0 in proportion", function() -- l2 or 2 l2 is the slope
    local w = step(mg.sgd { lr = 0.1, l2 = 0.1 }, { 2, -3 }, { 0, 0 })
    local pull = 2 - w[1]
    assert.is_true(math.abs(pull - 0.02) < 1e-5 or math.abs(pull - 0.04) < 1e-5)
    near(-3 / 2 * pull, -3 - w[2])
  end)
end)

describe("by hand", function()
  it("a line is found", function()
    mg.seed(1)
    local x = mg.linspace(-1, 1, 20):reshape(20, 1)
    local y = x * 3 - 1.5
    local net = mg.dense(1, { inputs = 1 })
    local opt = mg.sgd { lr = 0.3 }:attach(net)
    for _ = 1, 200 do
      local loss = mg.mse(net(x), y)
      loss:backward()
      opt:step()
      opt:zero_grad()
    end
    near({ { 3 } }, net:named().weight, 1e-4)
    near({ -1.5 }, net:named().bias, 1e-4)
  end)
end)

describe("an optimizer of a net that grows", function()
  it("trains a layer added after its first step, and goes on where it was with the others",
     function()
    local net = mg.sequential { 2, mg.dense(3) }
    local opt = mg.adam { lr = 0.1 }:attach(net)
    local x = mg.ones(4, 2)
    local function once()
      net:zero_grad()
      net(x):square():sum():backward()
      opt:step()
    end
    once()
    net:add(mg.dense(2))
    net(x)
    local before = net:named()["1.weight"]:to_string()
    once()
    assert.not_equal(before, net:named()["1.weight"]:to_string())
    assert.equal(2, opt.steps)
  end)
end)

describe("an average of the weights", function()
  local function walk(opt, w, steps)
    for _ = 1, steps do
      opt:zero_grad()
      local loss = w * w
      loss:backward()
      opt:step()
    end
  end
  it("moves a little towards them after each step, as PyTorch's AveragedModel", function()
    local w = leaf(1)
    local opt = mg.sgd { lr = 0.25, ema = 0.9 }:attach { w } -- w = 0.5, 0.25, 0.125
    walk(opt, w, 3)
    local average = 0.9 * (0.9 * 0.5 + 0.1 * 0.25) + 0.1 * 0.125
    near(average, opt:averaged(function() return w:item() end))
    near(0.125, w)
  end)
  it("does not change the training", function()
    local a, b = leaf(1), leaf(1)
    walk(mg.adam { lr = 0.1 }:attach { a }, a, 9)
    walk(mg.adam { lr = 0.1, ema = 0.99 }:attach { b }, b, 9)
    assert.equal(a:item(), b:item())
  end)
  it("goes back after an error, which passes through", function()
    local w = leaf(1)
    local opt = mg.sgd { lr = 0.25, ema = 0.5 }:attach { w }
    walk(opt, w, 2)
    local ok, message = pcall(opt.averaged, opt, function() error({ "mine" }) end)
    assert.is_false(ok)
    assert.same({ "mine" }, message)
    near(0.25, w)
  end)
  it("cannot be trained while it is in place", function()
    local w = leaf(1)
    local opt = mg.sgd { lr = 0.25, ema = 0.5 }:attach { w }
    walk(opt, w, 2)
    fails("swap them back", opt.averaged, opt, walk, opt, w, 1)
    fails("swap them back", opt.averaged, opt, opt.attach, opt, { w })
    walk(opt, w, 1)
    near(0.125, w)
  end)
  it("is only there when asked for, after a step", function()
    local w = leaf(1)
    local opt = mg.sgd { lr = 0.1 }:attach { w }
    walk(opt, w, 1)
    fails("sgd: there is no average of the weights", opt.averaged, opt, print)
    opt = mg.sgd { lr = 0.1, ema = 0.5 }:attach { w }
    fails("sgd: there is no average before the first step", opt.averaged, opt, print)
  end)
  it("is the same from plans and op by op, and is what the net then is", function()
    local function run(plan)
      mg.seed(3)
      local net = mg.sequential { 2, mg.dense(4, "tanh"), mg.dense(1) }
      local opt = mg.adam { lr = 0.1, ema = 0.8 }
      local trainer = mg.trainer { net = net, loss = "mse", optimizer = opt, plan = plan }
      local x, y = mg.randn(8, 2), mg.randn(8, 1)
      for _ = 1, 10 do trainer:step(x, y) end
      local plain = trainer:evaluate({ x = x, y = y }).loss
      local averaged = opt:averaged(trainer.evaluate, trainer, { x = x, y = y }).loss
      assert.not_equal(plain, averaged)
      trainer:step(x, y)
      return { plain, averaged, h.weights(net) }
    end
    assert.same(run(false), run())
  end)
  it("begins anew for parameters that come later", function()
    local net = mg.sequential { 2, mg.dense(2) }
    local opt = mg.sgd { lr = 0.1, ema = 0.5 }:attach(net)
    local x = mg.ones(1, 2)
    local function once()
      net:zero_grad()
      net(x):sum():backward()
      opt:step()
    end
    once()
    net:add(mg.dense(2, { init = "ones" }))
    net(x)
    once() -- weights 1 and 1 - 0.1 * its input
    local now = net:named()["1.weight"]:clone()
    local then_ = opt:averaged(function() return net:named()["1.weight"]:clone() end)
    near((now + 1) * 0.5, then_)
  end)
end)

describe("lbfgs", function()
  local function closure(opt, f)
    return function()
      opt:zero_grad()
      local loss = f()
      loss:backward()
      return loss
    end
  end

  it("brings a valley to its end in few steps", function()
    local w = leaf { -1.2, 1 }
    local opt = mg.lbfgs {}:attach { w }
    for _ = 1, 4 do
      opt:step(closure(opt, function()
        local a, b = w:narrow(1, 1, 1), w:narrow(1, 2, 1)
        return (1 - a):square():sum() + (b - a:square()):square():sum() * 100
      end))
    end
    near({ 1, 1 }, w, 1e-3)
    assert.equal(4, opt.steps)
  end)
  it("gives the loss before the step", function()
    local w = leaf(3)
    local opt = mg.lbfgs {}:attach { w }
    near(9, opt:step(closure(opt, function() return w * w end)))
    near(0, w)
  end)
  it("minimises what l1 and l2 add, too", function()
    local w = leaf { 1, 1 }
    local opt = mg.lbfgs { l2 = 2 }:attach { w }
    opt:step(closure(opt, function() return (w - 3):square():sum() end))
    near({ 1.5, 1.5 }, w, 1e-4) -- 2 (w - 3) + 2 w = 0
    w = leaf { 1, 1 }
    opt = mg.lbfgs { l1 = 2 }:attach { w }
    opt:step(closure(opt, function() return (w - 3):square():sum() end))
    near({ 2, 2 }, w, 1e-4)
  end)
  it("keeps an average of its steps", function()
    local w = leaf(1)
    local opt = mg.lbfgs { lr = 0.5, max_iter = 1, ema = 0.5 }:attach { w }
    local f = closure(opt, function() return w * w end)
    opt:step(f)
    local first = w:item()
    opt:step(f)
    near((first + w:item()) / 2, opt:averaged(function() return w:item() end))
  end)
  it("needs a function of the loss", function()
    local w = leaf(1)
    local opt = mg.lbfgs {}:attach { w }
    w:sum():backward()
    fails("lbfgs: step takes a function that computes the loss", opt.step, opt)
    fails("step: f is number", opt.step, opt, 5)
    fails("step: the result of the function is nil, expected a loss", opt.step, opt,
      function() end)
    near(1, w)
  end)
  it("has no groups", function()
    fails("lbfgs: has no groups", mg.lbfgs, { groups = { { match = "x" } } })
  end)
  it("leaves the weights as they were when the function fails, and can go on", function()
    local w = leaf { -1.2, 1 }
    local opt, count = mg.lbfgs {}:attach { w }, 0
    local f = closure(opt, function() return w:exp():sum() - w:sum() end)
    local ok, message = pcall(opt.step, opt, function()
      count = count + 1
      if count == 3 then error { "mine" } end
      return f()
    end)
    assert.is_false(ok)
    assert.same({ "mine" }, message)
    near({ -1.2, 1 }, w)
    opt:step(f)
    near({ 0, 0 }, w, 1e-3)
  end)
  it("refuses to be used by its own function", function()
    local w = leaf(1)
    local opt = mg.lbfgs {}:attach { w }
    local f, calls = closure(opt, function() return w * w end), 0
    fails("lbfgs: is in use", opt.step, opt, function()
      calls = calls + 1
      if calls > 1 then opt:step(f) end
      return f()
    end)
    calls = 0
    fails("lbfgs: is in use", opt.step, opt, function()
      calls = calls + 1
      if calls > 1 then opt:attach { w } end
      return f()
    end)
    near(1, w)
  end)
  it("turns back where the loss is no number", function()
    local w = leaf(1)
    local opt = mg.lbfgs { lr = 100 }:attach { w } -- log of what is below 0
    for _ = 1, 3 do
      opt:step(closure(opt, function() return w - w:log() * 0.5 end))
    end
    near(0.5, w, 1e-3)
  end)
  it("trains on a batch in plans as op by op, the same dropout each time", function()
    local function run(plan)
      mg.seed(2)
      local net = mg.sequential { 3, mg.dense(5, "tanh"), mg.dropout(0.2), mg.dense(1) }
      local trainer = mg.trainer { net = net, loss = "mse", optimizer = "lbfgs", plan = plan,
                                   metrics = { "accuracy" } }
      local x, y, losses = mg.randn(20, 3), mg.randn(20, 1), {}
      for i = 1, 5 do losses[i] = trainer:step(x, y) end
      return { losses, h.weights(net), mg.rand(1):item() }
    end
    local a = run()
    assert.same(run(false), a)
    assert.is_true(a[1][5] < a[1][1] / 2)
  end)
end)
