local mg = require "moongrad"
local h = require "tests.spec.helper"
local near, fails, leaf = h.near, h.fails, h.leaf

describe("an optimizer whose net grows while it asks for groups", function()
  local x = mg.ones(4, 2)
  local function grow(net) -- at the next question
    local opt, ask = mg.adam { lr = 0.1 }, false
    opt:grouping(function()
      if ask then
        ask = false
        net:add(mg.dense(2))
        net:predict(x)
      end
      return 0
    end)
    return opt, function() ask = true end
  end
  it("refuses to attach to it, and attaches again", function()
    local net = mg.sequential { 2, mg.dense(3) }
    local opt, ask = grow(net)
    ask()
    fails("layers have changed", opt.attach, opt, net)
    opt:attach(net)
    net(x):sum():backward()
    opt:step()
    assert.equal(1, opt.steps)
  end)
  it("refuses to save its state or to step, and does so afterwards", function()
    for _, act in ipairs { "step", "save" } do
      local net = mg.sequential { 2, mg.dense(3) }
      local opt, ask = grow(net)
      local t = mg.trainer { net = net, loss = "mse", optimizer = opt }
      t:step(x, mg.ones(4, 3))
      net:add(mg.dense(3))
      net:predict(x)
      ask()
      local function run(outputs)
        if act == "step" then return t:step(x, mg.ones(4, outputs)) end
        return mg.core.state_out(t)
      end
      fails("layers have changed", run, 3)
      assert(run(2))
    end
  end)
end)

describe("groups", function()
  local function net()
    mg.seed(1)
    return mg.sequential { 2, mg.dense(3, "tanh"), mg.dense(1) }
  end
  local x, y = mg.tensor { { 1, 2 }, { 3, -1 } }, mg.tensor { { 1 }, { 2 } }
  local function train(opt, layer, steps)
    opt:attach(layer)
    for _ = 1, steps or 3 do
      layer:zero_grad()
      mg.mse(layer(x), y):backward()
      opt:step()
    end
    return h.weights(layer)
  end

  it("have options of their own, the first match counts", function()
    local plain = train(mg.sgd { lr = 0 }, net())
    local weights = train(mg.sgd { lr = 0.1, groups = { { match = "bias$", lr = 0 },
                                                        { match = "^1%.", lr = 0.2 } } }, net())
    assert.same(plain["0.bias"], weights["0.bias"])
    assert.same(plain["1.bias"], weights["1.bias"])
    assert.not_same(plain["0.weight"], weights["0.weight"])
    assert.not_same(train(mg.sgd { lr = 0.1 }, net())["1.weight"], weights["1.weight"])
  end)
  it("give the numbers of several optimizers", function()
    local a = train(mg.adam { lr = 0.1, groups = {
      { match = "weight", weight_decay = 0.3, beta1 = 0.5 } } }, net(), 5)
    local layer = net()
    local named = layer:named()
    local one = mg.adam { lr = 0.1 }:attach { named["0.bias"], named["1.bias"] }
    local two = mg.adam { lr = 0.1, weight_decay = 0.3, beta1 = 0.5 }:attach {
      named["0.weight"], named["1.weight"] }
    for _ = 1, 5 do
      layer:zero_grad()
      mg.mse(layer(x), y):backward()
      one:step()
      two:step()
    end
    assert.same(h.weights(layer), a)
  end)
  it("change nothing where their options are the others'", function()
    assert.same(train(mg.adam { lr = 0.1 }, net()),
      train(mg.adam { lr = 0.1, groups = { { match = "bias" } } }, net()))
  end)
  it("follow a change of the learning rate in proportion", function()
    local function weights(rate, first)
      local opt = mg.sgd { lr = first, groups = { { match = "bias", lr_scale = 0.5 } } }
      opt.lr = rate
      return train(opt, net())
    end
    assert.same(weights(0.2, 0.2), weights(0.2, 0.1))
  end)
  it("follow a schedule", function()
    assert.same(
      train(mg.sgd { lr = 0.1, groups = { { match = "bias", lr = 0.05 } } }, net()),
      train(mg.sgd { lr = function() return 0.1 end,
                     groups = { { match = "bias", lr_scale = 0.5 } } }, net()))
  end)
  it("spare biases and norms the decay", function()
    local b, w = leaf { 1 }, leaf { { 1 } }
    local opt = mg.adamw { lr = 0.1, weight_decay = 0.5, groups = { mg.no_decay } }
    opt:attach { b, w }
    local loss = (b * 0 + w * 0):sum()
    loss:backward()
    opt:step()
    near({ 1 }, b)
    near({ { 0.95 } }, w)
  end)
  it("take tensors attached by themselves under their numbers", function()
    local a, b = leaf(1), leaf(1)
    local opt = mg.sgd { lr = 0.1, groups = { { match = "^2$", lr = 0.3 } } }:attach { a, b }
    local loss = a + b
    loss:backward()
    opt:step()
    near(0.9, a)
    near(0.7, b)
  end)
  it("are clipped together", function()
    local a, b = leaf(0), leaf(0)
    local opt = mg.sgd { lr = 1, clip_norm = 1, groups = { { match = "2", lr = 0.5 } } }
    opt:attach { a, b }
    local loss = a * 3 + b * 4
    loss:backward()
    opt:step()
    near(-0.6, a)
    near(-0.4, b)
  end)
  it("work in a trainer, whose net is built later", function()
    mg.seed(1)
    local trainer = mg.trainer { net = mg.sequential { mg.dense(3), mg.dense(1) }, loss = "mse",
      optimizer = mg.adam { lr = 0.1, groups = { { match = "^0%.", lr = 0 } } } }
    local before
    for i = 1, 4 do
      trainer:step(x, y)
      local now = h.weights(trainer:parts().net)
      if before then
        assert.same(before["0.weight"], now["0.weight"])
        assert.not_same(before["1.weight"], now["1.weight"])
      end
      before = i > 0 and now
    end
  end)
  it("refuse what makes no sense, naming the group", function()
    local function refuses(pattern, g)
      fails(pattern, mg.adam, { lr = 0.1, groups = { { match = "x" }, g } })
    end
    refuses("adam: groups%[2%] has neither match nor ndim", { lr = 1 })
    refuses("adam: groups%[2%]%.match: malformed pattern", { match = "[" })
    refuses("adam: groups%[2%]%.match is a number", { match = 5 })
    refuses("adam: groups%[2%]%.clip_norm: .* together", { match = "x", clip_norm = 1 })
    refuses('adam: there is no option "momentum"', { match = "x", momentum = 1 })
    refuses("adam: lr is %-1", { match = "x", lr = -1 })
    refuses("adam: groups%[2%] is a number, expected a table", 3)
    refuses("adam: a group has to remember", { match = "x", amsgrad = true })
    fails("adam: groups is a number", mg.adam, { lr = 1, groups = 1 })
    fails("give lr_scale", mg.sgd, { lr = function() return 1 end,
                                     groups = { { match = "x", lr = 1 } } })
  end)
end)
