-- Embeddings, places in time, further layers with weights, and weights that layers share.

local mg = require "moongrad"
local h = require "tests.spec.helper"

describe("embedding", function()
  it("gives a row of its weight for each id, in any shape", function()
    local e = h.set(mg.embedding(3, 2), { weight = { { 1, 2 }, { 3, 4 }, { 5, 6 } } })
    h.near({ 5, 6 }, e(mg.tensor(3)))
    h.near({ { { 3, 4 }, { 1, 2 } }, { { 5, 6 }, { 3, 4 } } }, e { { 2, 1 }, { 3, 2 } })
  end)

  it("adds the gradients of an id that comes more than once", function()
    local e = mg.embedding(3, 2)
    e({ 1, 3, 1 }):sum():backward()
    h.near({ { 2, 2 }, { 0, 0 }, { 1, 1 } }, e:named().weight.grad)
  end)

  it("keeps the row of padding at 0", function()
    local e = mg.embedding(4, 3, { padding = 2 })
    local opt = mg.adam { lr = 0.1, weight_decay = 0.1 }:attach(e)
    for _ = 1, 3 do
      (e { 1, 2, 4, 2 } + 1):square():sum():backward()
      opt:step()
      opt:zero_grad()
    end
    assert.same({ 0, 0, 0 }, e { 2 }:totable()[1])
  end)

  it("names an id that there is not", function()
    h.fails("ids%[2%] is 0, expected an id from 1 to 3", mg.embedding(3, 2), { 1, 0 })
    h.fails("ids%[1%] is 1.5, expected an id", mg.embedding(3, 2), { 1.5 })
    h.fails("padding is 4, expected an id from 1 to 3", mg.embedding, 3, 2, { padding = 4 })
  end)

  it("stands first in a net that is built from sizes", function()
    local net = mg.sequential { { 5 }, mg.embedding(9, 4), mg.flatten(), mg.dense(3) }
    assert.same({ 2, 3 }, net(mg.ones(2, 5)).shape)
    assert.truthy(net:summary { 5 }:find("{n, 5, 4}", 1, true))
  end)

  it("gives the same gradient with threads", function()
    local function gradient(threads)
      mg.seed(3)
      mg.set_threads(threads)
      local e, ids = mg.embedding(300, 64), {}
      for i = 1, 40 do
        ids[i] = {}
        for j = 1, 50 do ids[i][j] = (i * j) % 300 + 1 end
      end
      local y = e(ids) * mg.randn(40, 50, 64)
      y:sum():backward()
      mg.set_threads(1)
      return e:named().weight.grad:to_string()
    end
    assert.equal(gradient(1), gradient(3))
  end)
end)

describe("places in time", function()
  it("are waves from sin 0, cos 0 on", function()
    local y = mg.positional_encoding()(mg.zeros(2, 3, 4))
    h.near({ 0, 1, 0, 1 }, y[1][1])
    h.near({ math.sin(2), math.cos(2), math.sin(0.02), math.cos(0.02) }, y[2][3])
  end)

  it("are right far away", function()
    local y = mg.zeros(30000, 2):positional_encoding()
    h.near({ math.sin(29999), math.cos(29999) }, y[30000], 1e-6)
  end)

  it("may be learnt", function()
    local l = mg.positional_embedding(4)
    l(mg.zeros(2, 4, 3))
    local x = mg.randn(2, 3, 3)
    h.near(x + l:named().weight:narrow(1, 1, 3), l(x))
    h.fails("input is {2, 5, 3}, expected {.., time, 3} with at most 4 places in time", l,
      mg.zeros(2, 5, 3))
  end)
end)

describe("spatial_dropout", function()
  it("drops whole channels in training only", function()
    mg.seed(2)
    local l, dropped = mg.spatial_dropout(0.5), 0
    local y = l(mg.ones(20, 3, 4)):totable()
    for _, example in ipairs(y) do
      for _, channel in ipairs(example) do
        assert.is_true(channel[1] == 0 or channel[1] == 2)
        for _, v in ipairs(channel) do assert.equal(channel[1], v) end
        if channel[1] == 0 then dropped = dropped + 1 end
      end
    end
    assert.is_true(dropped > 15 and dropped < 45)
    assert.same(mg.ones(2, 3):totable(), l:eval()(mg.ones(2, 3)):totable())
  end)
end)

describe("bilinear", function()
  it("tells what it expects of its inputs", function()
    local l = mg.bilinear(2)
    l(mg.ones(3, 4), { other = mg.ones(3, 5) })
    h.fails("input is {3, 4} and other {2, 5}, expected {.., features} alike", l, mg.ones(3, 4),
      { other = mg.ones(2, 5) })
    h.fails("input is {3, 4} and other {3, 4}, expected {.., 4} and {.., 5}", l, mg.ones(3, 4))
  end)
end)

describe("a weight that two layers share", function()
  local function tied()
    local e = mg.embedding(7, 4, { init = "normal" })
    local net = mg.sequential { e, mg.dense(4, "tanh"),
      mg.dense(7, { weight = e:named().weight }) }
    net:build(1, 3)
    return net
  end

  it("counts once, under the name of its first place", function()
    local net = tied()
    assert.same({ "0.weight", "1.weight", "1.bias", "2.bias" }, h.names(net))
    assert.equal(7 * 4 + 4 * 4 + 4 + 7, net:num_parameters())
  end)

  it("collects the gradients of both", function()
    local net = tied()
    local x = mg.tensor { { 2, 5, 1 } }
    local w = net:named()["0.weight"]
    local own = mg.tensor(w:totable(), { requires_grad = true })
    local out = mg.tensor(w:totable(), { requires_grad = true })
    local hidden = x:embedding(own):linear(net:named()["1.weight"], net:named()["1.bias"]):tanh()
    hidden:linear(out, net:named()["2.bias"]):square():sum():backward()
    net:zero_grad()
    net(x):square():sum():backward()
    h.near(own.grad + out.grad, w.grad)
  end)

  it("stays one when the net is trained, op by op and by a plan", function()
    local function train(plan)
      mg.seed(6)
      local net = tied()
      local trainer = mg.trainer { net = net, plan = plan, optimizer = mg.adam { lr = 0.05 },
        loss = mg.pure(function(y, t)
          return mg.cross_entropy(y:reshape(-1, 7), t:reshape(-1))
        end) }
      local x, y = mg.tensor { { 1, 2, 3 }, { 4, 5, 6 } }, mg.tensor { { 2, 3, 4 }, { 5, 6, 7 } }
      local first, last = trainer:step(x, y)
      for _ = 1, 30 do last = trainer:step(x, y) end
      assert.is_true(last < first / 4)
      return net:hash()
    end
    assert.equal(train(false), train(true))
  end)

  it("is shared in a clone as well", function()
    local net = tied()
    local copy = net:clone()
    assert.same(h.names(net), h.names(copy))
    assert.equal(net:hash(), copy:hash())
    mg.no_grad(function() copy:named()["0.weight"]:fill(0) end)
    h.near(copy:named()["2.bias"], copy(mg.tensor { { 1 } })[1][1])
    assert.is_true(net:hash() ~= copy:hash())
  end)

  it("may be of a layer used twice, which is copied as one", function()
    local shared = mg.dense(3)
    local net = mg.sequential { 3, shared, "tanh", shared }
    assert.same({ "0.weight", "0.bias" }, h.names(net))
    assert.same({ "0.weight", "0.bias" }, h.names(net:clone()))
  end)

  it("may be one that stays as it is", function()
    local w = mg.tensor { { 1, 2 } }
    local l = mg.dense(1, { weight = w })
    h.near({ { 3 } }, l(mg.ones(1, 2)))
    assert.same({ "bias" }, h.names(l))
  end)

  it("must have the right name and shape", function()
    h.fails("its weight is given as {2, 3}, expected {4, 3}",
      mg.dense(4, { weight = mg.ones(2, 3) }), mg.ones(1, 3))
    local wrong = mg.dense(4, { wieght = mg.ones(4, 3) })
    h.fails('"wieght" was given, which is none of its parameters', wrong, mg.ones(1, 3))
    h.fails('relu: "weight" cannot be given to it, it has no parameters',
      mg.core.layers.activation, "relu", { weight = mg.ones(1) })
  end)

  it("is kept when a trial pass fails", function()
    local w = h.leaf { { 1, 2 } }
    local l = mg.dense(1, { weight = w })
    local net = mg.sequential { l, mg.dense(2, { inputs = 5 }) }
    h.fails("expected", net, mg.ones(1, 2))
    h.near({ { 3 } }, l(mg.ones(1, 2)))
    w = l:named().weight
    assert.same({ { 1, 2 } }, w:totable())
  end)
end)
