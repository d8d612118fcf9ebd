-- What normalising layers keep between calls, and when they change it.

local mg = require "moongrad"
local h = require "tests.spec.helper"

local function statistics(net)
  local values = {}
  for name, t in pairs(net:named()) do
    if name:find "running" or name:find "tracked" then values[name] = h.plain(t) end
  end
  return values
end

describe("batchnorm", function()
  it("gives each channel mean 0 and variance 1 in training", function()
    mg.seed(1)
    local y = mg.batchnorm()(mg.randn(50, 3, 4) * 5 + 2)
    for c = 1, 3 do
      h.near(0, y:select(2, c):mean(), 1e-4)
      h.near(1, y:select(2, c):std(), 1e-2)
    end
  end)

  it("moves its statistics by momentum, with the unbiased variance", function()
    local l = mg.batchnorm { momentum = 0.5 }
    l(mg.tensor { { 1 }, { 3 } })
    h.near({ 1 }, l:named().running_mean)
    h.near({ 1.5 }, l:named().running_var)
    assert.equal(1, l:named().num_batches_tracked:item())
  end)

  it("uses them in eval mode and leaves them alone", function()
    local l = mg.batchnorm { eps = 0 }
    l:build(1, 2)
    h.set(l, { running_mean = { 1, 2 }, running_var = { 4, 9 } }):eval()
    h.near({ { 2, -1 } }, l(mg.tensor { { 5, -1 } }))
    h.near({ { 2, -1 } }, l:predict { { 5, -1 } })
    assert.same({ running_mean = { 1, 2 }, running_var = { 4, 9 }, num_batches_tracked = 0 },
      statistics(l))
  end)

  it("moves them without a graph as well, as PyTorch does", function()
    local l = mg.batchnorm()
    mg.no_grad(function() l(mg.randn(4, 2)) end)
    assert.equal(1, l:named().num_batches_tracked:item())
  end)

  it("counts one batch for a forward whose gradient is asked for twice", function()
    local l, x = mg.batchnorm(), mg.randn(6, 2)
    x.requires_grad = true
    local loss = (l(x) * mg.randn(6, 2)):sum()
    loss:backward { retain = true }
    local once = x.grad:clone()
    loss:backward()
    h.near(once * 2, x.grad)
    assert.equal(1, l:named().num_batches_tracked:item())
  end)

  it("has no gradient for its statistics", function()
    local l = mg.batchnorm()
    l(mg.randn(4, 2)):sum():backward()
    assert.is_nil(l:named().running_mean.grad)
    assert.same({ "weight", "bias" }, h.names(l))
  end)

  it("passes the gradient check in training", function()
    local l = mg.batchnorm()
    local x = mg.tensor { { 1, -2 }, { 0.5, 3 }, { 2, 1 } }
    assert.is_true(mg.gradcheck(function(v) return (l(v) * l(v) * v):sum() end, { x }) < 0.02)
  end)

  it("needs more than one number for a channel in training", function()
    local l = mg.batchnorm()
    h.fails("x is {1, 3}, expected more than one number for each channel", l, mg.randn(1, 3))
    l:eval()
    assert.same({ 1, 3 }, l(mg.randn(1, 3)).shape)
  end)

  it("names the channels it expects", function()
    h.fails("batchnorm.*: input is {2, 4}, expected {n, 3, ..}",
      mg.sequential { 3, mg.batchnorm() }, mg.randn(2, 4))
    h.fails("input is {3}, expected {n, channels, ..}", mg.batchnorm(), mg.randn(3))
  end)

  it("is copied with its statistics", function()
    local l = mg.batchnorm()
    l(mg.randn(8, 3))
    local copy = l:clone()
    assert.same(statistics(l), statistics(copy))
    l(mg.randn(8, 3))
    assert.equal(1, copy:named().num_batches_tracked:item())
  end)
end)

describe("a trainer of a net with batchnorm", function()
  local x, labels = mg.randn(12, 3), {}
  for i = 1, 12 do labels[i] = i % 2 + 1 end

  local function setup(plan, net)
    mg.seed(4)
    net = net or mg.sequential { mg.dense(5), mg.batchnorm(), "relu", mg.dense(2) }
    return net, mg.trainer { net = net, loss = "cross_entropy", plan = plan,
                             optimizer = mg.sgd { lr = 0.1 } }
  end

  for _, plan in ipairs { true, false } do
    local way = plan and " by a plan" or " op by op"

    it("counts one batch a step" .. way, function()
      local net, trainer = setup(plan)
      for i = 1, 5 do
        trainer:step(x, labels)
        assert.equal(i, net:named()["1.num_batches_tracked"]:item())
      end
      net:predict(x)
      trainer:evaluate { x = x, y = mg.tensor(labels) }
      assert.equal(5, net:named()["1.num_batches_tracked"]:item())
    end)

    local broken = x:clone()
    broken:set(1, 1, 0 / 0)
    for what, batch in pairs {
      ["a loss that is no number"] = { broken, labels, "loss is" },
      ["labels that are none"] = { x, { 1, 2, 9, 1, 1, 1, 1, 1, 1, 1, 1, 1 }, "9, expected" },
    } do
      it("takes a step back that ends with " .. what .. way, function()
        local net, trainer = setup(plan)
        for _ = 1, 3 do trainer:step(x, labels) end
        local before, hash = statistics(net), net:hash()
        h.fails(batch[3], trainer.step, trainer, batch[1], batch[2])
        assert.same(before, statistics(net))
        assert.equal(hash, net:hash())
        local other, beside = setup(plan)
        for _ = 1, 3 do beside:step(x, labels) end
        trainer:step(x, labels)
        beside:step(x, labels)
        assert.equal(other:hash(), net:hash())
      end)
    end
  end

  it("takes back the very first step too", function()
    local net, trainer = setup(true)
    h.fails("loss is", trainer.step, trainer, x * (0 / 0), labels)
    assert.same({ ["1.running_mean"] = { 0, 0, 0, 0, 0 }, ["1.running_var"] = { 1, 1, 1, 1, 1 },
                  ["1.num_batches_tracked"] = 0 }, statistics(net))
  end)

  it("takes a step back in which a function raised an error", function()
    local bad = false
    local net, trainer = setup(true, mg.sequential { mg.batchnorm(), mg.dense(2), function(y)
      if bad then error "not now" end
      return y
    end })
    trainer:step(x, labels)
    local before = statistics(net)
    bad = true
    h.fails("not now", trainer.step, trainer, x, labels)
    assert.same(before, statistics(net))
  end)

  it("allocates nothing once it knows the shape", function()
    local _, trainer = setup(true)
    local y = mg.tensor(labels)
    for _ = 1, 3 do trainer:step(x, y) end
    local before = select(4, mg.memory())
    for _ = 1, 10 do trainer:step(x, y) end
    assert.equal(before, (select(4, mg.memory())))
  end)
end)

describe("an operand that an op changes in place", function()
  local x = mg.tensor { { 1, 2 }, { 3, 6 } }

  it("may be a strided view", function()
    local both = mg.zeros(2, 2)
    x:batch_norm(nil, nil, both:select(2, 1), nil, nil, { momentum = 1 })
    h.near({ { 2, 0 }, { 4, 0 } }, both)
  end)

  it("cannot be one that the gradient needs", function()
    local w = mg.ones(2)
    h.fails("running_mean, which is changed in place, shares its numbers with weight",
      x.batch_norm, x, w, nil, w)
    local v = h.leaf { 1, 1 }
    local mean = mg.zeros(2)
    local pending = (v * mean):sum()
    h.fails("a pending gradient needs this tensor", x.batch_norm, x, nil, nil, mean)
    pending:backward()
    x:batch_norm(nil, nil, mean)
  end)

  it("must have a number for each channel", function()
    h.fails("running_var is {3}, expected {2} for x {2, 2}", x.batch_norm, x, nil, nil, nil,
      mg.ones(3))
    h.fails("mean is {3}, expected {2} for x {2, 2}", x.standardize, x, mg.ones(3), mg.ones(2))
  end)
end)

describe("layernorm", function()
  it("names the dimensions it was built for", function()
    h.fails("layernorm.*: input is {2, 4}, expected {3} as its last dimensions",
      mg.sequential { 3, mg.layernorm() }, mg.randn(2, 4))
    h.fails("input is {3}, expected 2 dimensions or more", mg.layernorm { dims = 2 }, mg.ones(3))
  end)

  it("does not depend on the other rows", function()
    local l, x = mg.layernorm(), mg.randn(5, 33)
    assert.same(l(x):totable()[4], l(x:narrow(1, 4, 1)):totable()[1])
  end)
end)

describe("groupnorm", function()
  it("needs channels that fall into its groups", function()
    h.fails("x is {2, 5}, its 5 channels do not fall into 2 groups", mg.groupnorm(2),
      mg.randn(2, 5))
  end)
end)
