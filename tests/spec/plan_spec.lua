-- Replaying a plan gives the same bits as running op by op, and allocates nothing.

local mg = require "moongrad"
local h = require "tests.spec.helper"

local nets = {
  ["a net with dropout"] = function()
    return mg.sequential { 6, mg.dense(9, "tanh"), mg.dropout(0.4), mg.dense(7, "gelu"),
      mg.dense(3) }
  end,
  ["a residual net"] = function()
    return mg.sequential { 6, mg.residual { mg.dense(6), "relu", mg.dense(6) }, mg.dense(3) }
  end,
  ["a parallel net"] = function()
    return mg.sequential { 6, mg.parallel { mg.dense(4, "elu"), mg.dense(2, "selu") },
      mg.dense(3, "softsign") }
  end,
  ["a net with batch statistics"] = function()
    return mg.sequential { 6, mg.dense(9), mg.batchnorm(), "relu", mg.dense(8),
      mg.groupnorm(2), mg.layernorm(), mg.rmsnorm(), mg.dense(3) }
  end,
  ["a transformer's block"] = function()
    return mg.sequential { 6, mg.dense(20), mg.reshape(5, 4),
      mg.transformer_block { heads = 2, causal = true, dropout = 0.2 }, mg.flatten(),
      mg.dense(3) }
  end,
  ["activations that become part of what is in front of them"] = function()
    return mg.sequential { 6, mg.reshape(1, 2, 3), mg.conv2d(5, 2, { padding = 1 }), "relu",
      mg.avgpool2d(2, { stride = 1 }), mg.conv2d(17, 2), "tanh", mg.flatten(), mg.dense(7),
      "sigmoid", mg.dense(3) }
  end,
  ["activations that stay by themselves"] = function()
    return mg.sequential { 6, mg.dense(6), mg.residual { "tanh" }, mg.dense(5),
      mg.pure(function(x) return x:leaky_relu(0.3) end), mg.dense(5), "gelu", mg.dense(3), "relu" }
  end,
  ["a net with shapes that change"] = function()
    return mg.sequential { 6, mg.reshape(2, 3), mg.dense(5, "silu"), mg.flatten(), mg.dense(3) }
  end,
}

local function train(make, plan, loss, y)
  mg.seed(11)
  local net, x = make(), mg.randn(20, 6)
  local trainer = mg.trainer { net = net, loss = loss, optimizer = mg.adam { lr = 0.02 },
                               metrics = { "accuracy" }, plan = plan }
  local rows = trainer:fit(4, { x = x, y = y, batch = 6, shuffle = true })
  return net:hash(), rows[4].loss, rows[4].accuracy
end

describe("a plan gives the bits of the tape for", function()
  local labels = {}
  for i = 1, 20 do labels[i] = i % 3 + 1 end
  for name, make in pairs(nets) do
    it(name .. " and cross_entropy", function()
      assert.same({ train(make, false, "cross_entropy", mg.tensor(labels)) },
        { train(make, true, "cross_entropy", mg.tensor(labels)) })
    end)
    it(name .. " and mse", function()
      mg.seed(5)
      local y = mg.randn(20, 3)
      assert.same({ train(make, false, "mse", y) }, { train(make, true, "mse", y) })
    end)
  end
  for name, make in pairs(nets) do
    it("predictions of " .. name, function()
      mg.seed(3)
      local net, first, second = make(), mg.randn(5, 6), mg.randn(5, 6)
      net:predict(first) -- builds it
      net:eval()
      net:predict(first) -- makes the plan
      assert.same(net(second):totable(), net:predict(second):totable())
    end)
  end
  it("a layer that is used twice", function()
    local function make()
      local shared = mg.dense(6, "tanh")
      return mg.sequential { 6, shared, shared, mg.dense(3) }
    end
    assert.same({ train(make, false, "cross_entropy", mg.tensor(labels)) },
      { train(make, true, "cross_entropy", mg.tensor(labels)) })
  end)
end)

describe("a plan", function()
  local function allocations() return (select(4, mg.memory())) end
  local function setup(options)
    options = options or {}
    local net = options.net or mg.sequential { 4, mg.dense(8, "tanh"), mg.dense(2) }
    local trainer = mg.trainer { net = net, loss = options.loss or "mse",
                                 optimizer = mg.sgd { lr = 0.1, momentum = 0.9 } }
    return net, trainer, mg.randn(16, 4), mg.randn(16, 2)
  end

  it("makes a steady step without an allocation", function()
    local _, trainer, x, y = setup()
    for _ = 1, 3 do trainer:step(x, y) end
    local before = allocations()
    for _ = 1, 100 do trainer:step(x, y) end
    assert.equal(before, allocations())
  end)
  it("makes a steady run without an allocation, the last smaller batch included", function()
    local _, trainer, x, y = setup()
    local data = { x = x, y = y, batch = 6, shuffle = true }
    trainer:run(data, { steps = 9, epochs = 100 })
    local before = allocations()
    trainer:run(data, { steps = 90, epochs = 100 })
    assert.equal(before, allocations())
  end)
  it("is made anew when a parameter is replaced", function()
    local net, trainer, x, y = setup()
    for _ = 1, 3 do trainer:step(x, y) end
    net:add(mg.dense(2))
    for _ = 1, 3 do trainer:step(x, y) end
    assert.equal(2, #net:predict(x).shape)
    assert.equal(4 * 8 + 8 + 8 * 2 + 2 + 2 * 2 + 2, net:num_parameters())
  end)
  it("runs a layer written in Lua at every step", function()
    local calls = 0
    local net = mg.sequential { 4, mg.dense(3), function(y)
      calls = calls + 1
      return y * 2
    end, mg.dense(2) }
    local _, trainer, x, y = setup { net = net }
    local before = calls
    for _ = 1, 5 do trainer:step(x, y) end
    assert.equal(before + 5, calls)
  end)
  it("checks labels in every step and leaves the weights alone", function()
    local net, trainer, x = setup { loss = "cross_entropy" }
    local y = mg.ones(16)
    for _ = 1, 3 do trainer:step(x, y) end
    local before = net:hash()
    y:set(5, 9)
    local ok, message = pcall(trainer.step, trainer, x, y)
    assert.is_false(ok)
    assert.truthy(message:find("target[5] is 9, expected a class from 1 to 2", 1, true))
    assert.equal(before, net:hash())
  end)
  it("stops at a number that is none, names the layer and leaves the weights alone", function()
    local net, trainer, x, y = setup()
    for _ = 1, 3 do trainer:step(x, y) end
    local before = net:hash()
    x:set(3, 2, 0 / 0)
    local ok, message = pcall(trainer.step, trainer, x, y)
    assert.is_false(ok)
    assert.truthy(message:find("dense (layer 1 of sequential)", 1, true), message)
    assert.equal(before, net:hash())
  end)
end)

describe("a trainer whose input has a history", function()
  it("sends the gradient there, whether it has a plan for the shape or not", function()
    local function run(plan)
      mg.seed(4)
      local net = mg.sequential { 3, mg.dense(2) }
      local trainer = mg.trainer { net = net, loss = "mse", plan = plan,
                                   optimizer = mg.sgd { lr = 0.1 } }
      local w = mg.tensor({ 1, 2, 3 }, { requires_grad = true })
      local x, y = mg.randn(4, 3), mg.randn(4, 2)
      for _ = 1, 3 do trainer:step(x, y) end
      for _ = 1, 2 do trainer:step(x * w, y) end
      return w.grad and w.grad:totable()
    end
    assert.equal(3, #run(false))
    assert.same(run(false), run(true))
  end)
end)

describe("predict from a plan", function()
  local net = mg.sequential { 3, mg.dense(3, "tanh"), mg.dense(3) }
  local x = mg.tensor { { 1, 2, 3 } }

  it("gives what the net gives", function()
    for _ = 1, 3 do assert.equal(net(x):to_string(), net:predict(x):to_string()) end
  end)
  it("sees weights that have changed", function()
    net:predict(x)
    net:named()["1.bias"]:fill(5)
    assert.equal(net(x):to_string(), net:predict(x):to_string())
  end)
  it("gives results of their own", function()
    local first = net:predict(x)
    local before = first:to_string()
    net:predict(x * 2)
    assert.equal(before, first:to_string())
  end)
  it("tells an input apart from a parameter in the same storage", function()
    local weight = net:named()["1.weight"]
    for _ = 1, 3 do assert.equal(net(weight):to_string(), net:predict(weight):to_string()) end
  end)
  it("follows train and eval", function()
    local dropping = mg.sequential { 3, mg.dropout(0.5) }
    for _ = 1, 3 do assert.equal(x:to_string(), dropping:predict(x):to_string()) end
    assert.equal(1, #dropping:train()(x))
    assert.equal(x:to_string(), dropping:predict(x):to_string())
  end)

  it("predict into a tensor of the caller's allocates nothing", function()
    local out = mg.zeros(3, 4)
    local wide = mg.sequential { 6, mg.dense(9, "tanh"), mg.dense(4) }
    local batch = mg.randn(3, 6)
    local first = wide:predict(batch)
    assert.equal(out, wide:predict(batch, out))
    assert.equal(first:to_string(), out:to_string())
    local function count() return (select(4, mg.memory())) end
    local before = count()
    for _ = 1, 10 do wide:predict(batch, out) end
    assert.equal(before, count())
    -- new weights are seen, and a layer that has no plan works the same way
    mg.no_grad(function() wide:named()["0.weight"]:fill(0.5) end)
    assert.equal(wide:predict(batch):to_string(), wide:predict(batch, out):to_string())
    local own = mg.sequential { wide, function(y) return y * 2 end }
    assert.equal(own:predict(batch):to_string(), own:predict(batch, out):to_string())
    h.fails("predict: out is {4}, expected {3, 4}", wide.predict, wide, batch, mg.zeros(4))
    h.fails("predict: out is a layer, expected a tensor", wide.predict, wide, batch, wide)
    local w = mg.zeros(3, 4)
    w.requires_grad = true
    h.fails("result of a recorded op", wide.predict, wide, batch, w * 2)
    assert.equal(out:to_string(), own:predict(batch):to_string())
  end)
end)

describe("functions that are promised to be pure", function()
  local function trained(wrap, options)
    local calls = { layer = 0, forward = 0, loss = 0 }
    local function counted(name, f)
      return wrap(function(...)
        calls[name] = calls[name] + 1
        return f(...)
      end)
    end
    mg.seed(5)
    local scaled = mg.module("scaled", {
      init = function(self)
        self.scale = mg.ones(1, 8)
        self.scale.requires_grad = true
      end,
      forward = counted("forward", function(self, x) return x * self.scale + 0.5 end),
    })
    local net = mg.sequential { 5, mg.dense(8), scaled(), mg.dropout(0.2),
      counted("layer", function(x) return (x:sin() + x * 2):narrow(2, 1, 7) end), mg.dense(2) }
    local trainer = mg.trainer { net = net, optimizer = mg.adam { lr = 0.01 },
      plan = options and options.plan,
      loss = counted("loss", function(p, y) return ((p - y) * (p - y)):mean() end) }
    local x, y = mg.randn(6, 5), mg.randn(6, 2)
    for _ = 1, 3 do trainer:step(x, y) end
    local before, called = select(4, mg.memory()), calls.layer
    for _ = 1, 5 do trainer:step(x, y) end
    local allocations, more = select(4, mg.memory()) - before, calls.layer - called
    return { hash = net:hash(), predicted = net:predict(x):to_string(), more = more,
             allocations = allocations, calls = calls, net = net, x = x }
  end

  local function as_it_is(f) return f end

  it("become part of the plan: the same bits, no call, no allocation", function()
    local tape, plan = trained(as_it_is, { plan = false }), trained(mg.pure)
    assert.equal(tape.hash, plan.hash)
    assert.equal(tape.predicted, plan.predicted)
    assert.equal(tape.hash, trained(as_it_is).hash)
    assert.equal(5, tape.more)
    assert.equal(0, plan.more)
    assert.is_true(tape.allocations > 0)
    local net, x, calls = plan.net, plan.x, plan.calls
    local out, seen = net:predict(x), calls.forward
    assert.equal(out:to_string(), net:predict(x):to_string())
    assert.equal(seen, calls.forward)
    assert.is_true(calls.loss <= 2)
  end)

  it("are called each time where they read numbers or make random ones", function()
    local function calls_of(f)
      local n = 0
      local net = mg.sequential { 3, mg.dense(3), mg.pure(function(x) n = n + 1 return f(x) end) }
      local trainer = mg.trainer { net = net, loss = "mse", optimizer = mg.sgd { lr = 0.1 } }
      local x, y = mg.randn(4, 3), mg.randn(4, 3)
      for _ = 1, 2 do trainer:step(x, y) end
      local before = n
      for _ = 1, 4 do trainer:step(x, y) end
      return n - before
    end
    assert.equal(0, calls_of(function(x) return x * 3 end))
    assert.equal(4, calls_of(function(x) return x * x:detach():max():item() end))
    assert.equal(4, calls_of(function(x) return x + mg.randn(4, 3) end))
  end)

  it("get the gradients of the tape around what is not recorded", function()
    local inner = mg.sequential { 3, mg.dense(3, "tanh") }
    local functions = {
      no_grad = function(x)
        return x + mg.no_grad(function() return (x * 2):sin() end)
      end,
      detach = function(x) return x + (x:sign() - x):detach() end,
      predict = function(x) return x + inner:predict(x) end,
    }
    for name, f in pairs(functions) do
      local function trained_by(plan)
        mg.seed(7)
        local net = mg.sequential { 3, mg.dense(3), mg.pure(f), mg.dense(2) }
        local trainer = mg.trainer { net = net, loss = "mse", plan = plan,
                                     optimizer = mg.sgd { lr = 0.01 } }
        local x, y = mg.randn(4, 3), mg.randn(4, 2)
        for _ = 1, 4 do trainer:step(x, y) end
        return net:hash()
      end
      assert.equal(trained_by(false), trained_by(true), name)
    end
  end)
  it("are not replayed where a gradient leads to a graph from outside", function()
    local w = mg.tensor({ 1, 2, 3 }, { requires_grad = true })
    local doubled = w * 2
    local net = mg.sequential { mg.dense(3), mg.pure(function(x) return x * doubled end) }
    local trainer = mg.trainer { net = net, loss = "mse", optimizer = mg.sgd { lr = 0.01 } }
    net(mg.randn(4, 3))
    local x, y = mg.randn(4, 3), mg.randn(4, 3)
    trainer:step(x, y)
    assert.equal(3, w.grad:numel())
    h.fails("backward: was called before on a part of this graph", trainer.step, trainer, x, y)
  end)
  it("refuse what is no function", function()
    h.fails("pure: f is nil, expected a function", mg.pure)
    h.fails("pure: f is a number, expected a function", mg.pure, 3)
  end)
end)

describe("an activation", function()
  local function each(f)
    for _, op in ipairs(mg.core.describe().ops) do
      if op.activation then f(op.name, mg.core.ops[op.name]) end
    end
  end
  local fronts = {
    dense = { 6, mg.dense(5) },
    conv2d = { 2, 4, 4, mg.conv2d(3, 2) }, conv1d = { 2, 4, mg.conv1d(3, 2) },
    conv_transpose2d = { 2, 4, 4, mg.conv_transpose2d(3, 2) },
  }

  for kind, front in pairs(fronts) do
    it("gives in a plan what it gives after " .. kind, function()
      local layer = table.remove(front)
      local x = mg.randn(4, (table.unpack or unpack)(front))
      each(function(name, apply)
        local expected, net = apply(layer(x)), mg.sequential { layer, name }
        for _ = 1, 3 do h.near(expected, net:predict(x), 1e-6) end
      end)
    end)
  end

  it("gives the same within a dense layer", function()
    local x, plain = mg.randn(4, 6), mg.dense(5)
    each(function(name, apply)
      local layer, expected = mg.dense(5, name), apply(plain(x))
      layer(x)
      layer:load_weights(plain:named())
      h.near(expected, layer(x), 1e-6)
    end)
  end)
end)
