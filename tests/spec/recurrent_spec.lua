-- rnn, gru, lstm: shapes, states, padded sequences, further inputs and results.
local mg = require "moongrad"
local h = require "tests.spec.helper"
local near, fails = h.near, h.fails

local kinds = { "rnn", "gru", "lstm" }
local function each(f) for _, kind in ipairs(kinds) do f(kind, mg[kind]) end end

describe("a recurrent layer", function()
  before_each(function() mg.seed(3) end)

  it("turns {batch, time, features} into {batch, time, hidden}", function()
    each(function(_, make)
      assert.same({ 2, 5, 4 }, make(4)(mg.randn(2, 5, 3)).shape)
      assert.same({ 2, 5, 8 }, make(4, { bidirectional = true })(mg.randn(2, 5, 3)).shape)
      assert.same({ 2, 4 }, make(4, { return_sequence = false })(mg.randn(2, 5, 3)).shape)
    end)
  end)
  it("gets its sizes from the net it stands in", function()
    local net = mg.sequential { { 7, 3 }, mg.lstm(8, { layers = 2 }),
      mg.gru(4, { bidirectional = true, return_sequence = false }), mg.dense(2) }
    assert.same({ 2, 2 }, net(mg.ones(2, 7, 3)).shape)
    assert.same({ 32, 3 }, net:named()["0.weight_ih_l0"].shape)
    assert.same({ 32, 8 }, net:named()["0.weight_ih_l1"].shape)
    assert.same({ 12, 4 }, net:named()["1.weight_hh_l0_reverse"].shape)
    assert.matches("{n, 7, 8}", tostring(net:summary()), 1, true)
  end)
  it("names its parameters as PyTorch does, without biases where told so", function()
    local net = mg.rnn(2, { layers = 2, bias = false }):build(1, 1, 3)
    assert.same({ "weight_ih_l0", "weight_hh_l0", "weight_ih_l1", "weight_hh_l1" },
      h.names(net))
  end)
  it("starts with biases of 0 and weights that are not", function()
    each(function(_, make)
      local named = make(6):build(1, 1, 3):named()
      assert.equal(0, named.bias_ih_l0:abs():max():item())
      assert.equal(0, named.bias_hh_l0:abs():max():item())
      assert.is_true(named.weight_hh_l0:std():item() > 0.1)
    end)
  end)
  it("is what its formula says", function()
    local net = mg.rnn(1, { nonlinearity = "relu" }):build(1, 1, 1)
    h.set(net, { weight_ih_l0 = { { 2 } }, weight_hh_l0 = { { 0.5 } }, bias_ih_l0 = { 1 },
                 bias_hh_l0 = { -3 } })
    near({ { { 0 }, { 2 }, { 3 } } }, net { { { 1 }, { 2 }, { 2 } } })
  end)
  it("gives its last step without return_sequence, of each direction its own", function()
    each(function(_, make)
      local both = make(4, { bidirectional = true, return_sequence = false })
      local x = mg.randn(3, 5, 2)
      local last = both(x)
      local sequence = make(4, { bidirectional = true }):build(3, 5, 2)
      h.set(sequence, h.weights(both))
      local y = sequence(x)
      near(y:narrow(3, 1, 4):select(2, 5), last:narrow(2, 1, 4))
      near(y:narrow(3, 5, 4):select(2, 1), last:narrow(2, 5, 4))
    end)
  end)
  it("drops between its layers in training, and nowhere else", function()
    local net, x = mg.gru(6, { layers = 2, dropout = 0.5 }), mg.randn(2, 3, 4)
    net:build(2, 3, 4)
    assert.not_same(h.plain(net(x)), h.plain(net(x)))
    assert.same(net:predict(x):totable(), net:predict(x):totable())
    local one = mg.gru(6, { dropout = 0.5 })
    assert.same((one(x)):totable(), (one(x)):totable())
  end)
  it("gives a row the same bits in any batch", function()
    each(function(_, make)
      local net, x = make(20), mg.randn(37, 6, 5)
      local y = net:predict(x)
      for _, row in ipairs { 1, 17, 37 } do
        assert.same(y:narrow(1, row, 1):totable(),
          net:predict(x:narrow(1, row, 1):contiguous()):totable())
      end
    end)
  end)
  it("gives the same bits for an input of nearly all zeros, alone or among others", function()
    each(function(_, make)
      local net = make(5)
      local ids = mg.tensor { { 3, 9, 1, 7 }, { 2, 2, 16, 4 } }
      local thin = ids:one_hot(16)
      local both = mg.cat({ thin, mg.randn(1, 4, 16) }, 1)
      local function run(x)
        net:zero_grad()
        local y = net(x):narrow(1, 1, 2)
        y:square():sum():backward()
        local all = { y:totable() }
        for _, p in ipairs(net:parameters()) do all[#all + 1] = h.plain(p.tensor.grad) end
        return all
      end
      net:build(2, 4, 16)
      local expected = run(both)
      assert.same(expected[1], run(thin)[1])
      for i, grad in ipairs(run(thin)) do near(expected[i], grad, 1e-6) end
    end)
  end)
  it("refuses an input of another form", function()
    fails("lstm: input is {2, 3}, expected {batch, time, features}", mg.lstm(4), mg.ones(2, 3))
    local net = mg.lstm(4):build(1, 1, 3)
    fails("lstm: input is {2, 5, 2}, expected {batch, time, 3}", net, mg.ones(2, 5, 2))
  end)
end)

describe("states", function()
  before_each(function() mg.seed(4) end)

  it("come out behind the result, for each layer and direction", function()
    local x = mg.randn(3, 5, 2)
    local y, hidden, c = mg.lstm(4, { layers = 2, bidirectional = true })(x)
    assert.same({ 3, 5, 8 }, y.shape)
    assert.same({ 4, 3, 4 }, hidden.shape)
    assert.same({ 4, 3, 4 }, c.shape)
    assert.equal(2, select("#", mg.gru(4)(x)))
    near(y:narrow(3, 1, 4):select(2, 5), hidden:select(1, 3))
    near(y:narrow(3, 5, 4):select(2, 1), hidden:select(1, 4))
  end)
  it("go in by name: two halves make a whole", function()
    local x = mg.randn(3, 6, 2)
    local net = mg.lstm(4, { layers = 2 })
    local whole, hidden, c = net(x)
    local first, h1, c1 = net(x:narrow(2, 1, 4))
    local second, h2, c2 = net(x:narrow(2, 5, 2), { h = h1, c = c1 })
    near(whole, mg.cat({ first, second }, 2))
    near(hidden, h2)
    near(c, c2)
  end)
  it("may be given to predict, which then returns them too", function()
    local net, x = mg.gru(4), mg.randn(2, 5, 3)
    local y, hidden = net(x)
    assert.equal(1, select("#", net:predict(x)))
    local part, state = net:predict(x:narrow(2, 1, 2), {})
    local rest, last = net:predict(x:narrow(2, 3, 3), { h = state })
    near(y, mg.cat({ part, rest }, 2))
    near(hidden, last)
  end)
  it("may be tables of numbers", function()
    local net = mg.rnn(1):build(1, 1, 1)
    h.set(net, { weight_ih_l0 = { { 0 } }, weight_hh_l0 = { { 1 } } })
    near({ { { math.tanh and math.tanh(2) or 0.96402758 } } },
      (net({ { { 5 } } }, { h = { { { 2 } } } })))
  end)
  it("pass gradients on inside a class, in training by plan as by tape", function()
    local Decoder = mg.module("Decoder", {
      init = function(self)
        self.first, self.second = mg.lstm(3), mg.lstm(3)
        self.start = mg.tensor({ { { 0.1, 0.2, 0.3 } } }, { requires_grad = true })
      end,
      forward = mg.pure(function(self, x)
        local _, hidden, c = self.first(x, { h = self.start:expand(1, x:size(1), 3) })
        return (self.second(x, { h = hidden, c = c }))
      end),
    })
    local function train(plan)
      mg.seed(9)
      local net = Decoder()
      local trainer = mg.trainer { net = net, loss = "mse", optimizer = mg.adam {}, plan = plan }
      local x, y = mg.randn(4, 5, 2), mg.randn(4, 5, 3)
      local first = trainer:step(x, y)
      for _ = 1, 5 do trainer:step(x, y) end
      assert.is_true(trainer:step(x, y) < first)
      assert.not_equal(0.1, net.start:get(1, 1, 1))
      return net:hash()
    end
    assert.equal(train(false), train(true))
  end)
  it("are refused in another form", function()
    local net, x = mg.lstm(3, { layers = 2 }), mg.randn(4, 5, 2)
    fails("lstm: h is {1, 4, 3}, expected {2, batch, 3}", net, x, { h = mg.zeros(1, 4, 3) })
    fails("c is {4, 2}, expected {4, 3}", net, x, { c = mg.zeros(2, 4, 2) })
    fails("c is {3, 3}, expected {4, 3}", net, x, { c = mg.zeros(2, 3, 3) })
  end)
end)

describe("further inputs", function()
  it("of an unknown name are refused with the names of those there are", function()
    fails('lstm: there is no input "hx", expected one of h, c, lengths', mg.lstm(2),
      mg.ones(1, 2, 3), { hx = mg.ones(1, 1, 2) })
    fails('gru: there is no input "c", expected one of h, lengths', mg.gru(2),
      mg.ones(1, 2, 3), { c = mg.ones(1, 1, 2) })
    fails('dense: there is no input "h"; it takes x alone', mg.dense(2), mg.ones(1, 2),
      { h = mg.ones(1) })
  end)
  it("are a table of tensors by name", function()
    fails("lstm: what follows its input is number, expected a table", mg.lstm(2),
      mg.ones(1, 2, 3), 5)
    fails("lstm: the name of a further input is number, expected a string", mg.lstm(2),
      mg.ones(1, 2, 3), { mg.ones(1, 1, 2) })
    fails("lstm: h is string, expected a tensor", mg.lstm(2), mg.ones(1, 2, 3), { h = "no" })
    local closed = mg.ones(1, 1, 2)
    closed:close()
    fails("lstm: h is closed", mg.lstm(2), mg.ones(1, 2, 3), { h = closed })
  end)
  it("change nothing for a layer that takes none, if there are none", function()
    near({ { 2 } }, h.dense { { 2 } }(mg.ones(1, 1), {}))
  end)
end)

describe("lengths", function()
  before_each(function() mg.seed(5) end)
  local lengths = { 2, 5, 1 }

  -- x with other numbers behind the ends
  local function padded(x, with)
    local copy = x:clone()
    for row, n in ipairs(lengths) do
      if n < 5 then copy:select(1, row):narrow(1, n + 1, 5 - n):fill(with) end
    end
    return copy
  end
  local options = { { layers = 2 }, { bidirectional = true },
                    { bidirectional = true, layers = 2, return_sequence = false } }

  it("make padding count for nothing, whatever it holds, in results and gradients", function()
    each(function(_, make)
      for _, o in ipairs(options) do
        local net, x = make(4, o), mg.randn(3, 5, 2)
        local function run(with)
          local input = mg.tensor(padded(x, with):totable(), { requires_grad = true })
          net:zero_grad()
          local y, hidden, c = net(input, { lengths = lengths })
          local loss = y:square():sum() + hidden:sum()
          if c then loss = loss + c:sum() end
          loss:backward()
          local all = { y:totable(), hidden:totable(), input.grad:totable() }
          for _, p in ipairs(net:parameters()) do all[#all + 1] = h.plain(p.tensor.grad) end
          return all
        end
        local zeros = run(0)
        assert.same(zeros, run(1e6))
        assert.same(zeros, run(0 / 0))
        assert.same({ 0, 0 }, zeros[3][1][3]) -- no gradient behind the end
      end
    end)
  end)
  it("give what each sequence gives alone", function()
    each(function(_, make)
      local net, x = make(4, { bidirectional = true }), mg.randn(3, 5, 2)
      local y, hidden = net(x, { lengths = lengths })
      for row, n in ipairs(lengths) do
        local alone, state = net(x:narrow(1, row, 1):narrow(2, 1, n))
        near(alone, y:narrow(1, row, 1):narrow(2, 1, n))
        near(state, hidden:narrow(2, row, 1))
        if n < 5 then
          assert.equal(0, y:narrow(1, row, 1):narrow(2, n + 1, 5 - n):abs():max():item())
        end
      end
    end)
  end)
  it("are integers from 1 to the time there is", function()
    local net, x = mg.gru(2), mg.ones(2, 3, 1)
    fails("lengths%[2%] is 4, expected a length from 1 to 3", net, x, { lengths = { 3, 4 } })
    fails("lengths%[1%] is 0", net, x, { lengths = { 0, 1 } })
    fails("lengths is {3}, expected {2}", net, x, { lengths = { 3, 2, 1 } })
  end)
end)

describe("training a recurrent layer", function()
  local function train(kind, plan, threads)
    mg.set_threads(threads or 1)
    mg.seed(6)
    local net = mg.sequential { { 9, 12 },
      mg[kind](40, { layers = 2, bidirectional = true, dropout = 0.2 }),
      mg[kind](24, { return_sequence = false }), mg.dense(3) }
    local trainer = mg.trainer { net = net, loss = "mse", optimizer = mg.adam {}, plan = plan }
    local x, y = mg.randn(45, 9, 12), mg.randn(45, 3)
    for _ = 1, 4 do trainer:step(x, y) end
    mg.set_threads(1)
    return net:hash()
  end

  it("by a plan gives the bits of the tape", function()
    each(function(kind) assert.equal(train(kind, false), train(kind, true)) end)
  end)
  it("gives the same bits with any number of threads", function()
    each(function(kind)
      local one = train(kind, true)
      for _, n in ipairs { 2, 3, 8 } do assert.equal(one, train(kind, true, n)) end
    end)
  end)
  it("allocates nothing once it runs", function()
    local net = mg.sequential { { 5, 3 }, mg.lstm(4), mg.gru(4, { return_sequence = false }) }
    local trainer = mg.trainer { net = net, loss = "mse", optimizer = mg.sgd { lr = 0.1 } }
    local x, y = mg.randn(2, 5, 3), mg.randn(2, 4)
    for _ = 1, 3 do trainer:step(x, y) end
    local before = select(4, mg.memory())
    for _ = 1, 20 do trainer:step(x, y) end
    assert.equal(before, (select(4, mg.memory())))
  end)
end)
