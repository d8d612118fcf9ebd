local mg = require "moongrad"
local h = require "tests.spec.helper"
local fails, text = h.fails, h.text

local function message(f, ...)
  local ok, err = pcall(f, ...)
  assert.is_false(ok)
  assert.is_string(err)
  return err
end

describe("a wrong shape inside a sequential", function()
  it("names the layer, its position, what came and what was expected", function()
    local net = mg.sequential {
      mg.dense(4, { inputs = 3 }), "relu", mg.dense(2, { inputs = 128 }),
    }
    fails("dense.*%(layer 3 of sequential%): input is {64, 4}, expected {n, 128}",
      net, mg.zeros(64, 3))
  end)
  it("names the first layer too", function()
    local net = mg.sequential { 784, mg.dense(4), mg.dense(2) }
    fails("dense.*%(layer 1 of sequential%): input is {64, 10}, expected {n, 784}",
      net, mg.zeros(64, 10))
  end)
  it("is found at construction when the input size is given", function()
    fails("dense.*%(layer 2 of sequential%): input is {1, 4}, expected {n, 5}", mg.sequential,
      { 3, mg.dense(4), mg.dense(2, { inputs = 5 }) })
  end)
  it("names the layer inside a container inside", function()
    local net = mg.sequential { "relu", mg.sequential { "tanh", mg.dense(2, { inputs = 5 }) } }
    fails("dense.*layer 2 of sequential.*input is {1, 3}, expected {n, 5}", net, mg.zeros(1, 3))
  end)
  it("is named the same by predict", function()
    local net = mg.sequential { 3, mg.dense(4) }
    fails("dense.*%(layer 1 of sequential%): input is {2, 5}, expected {n, 3}",
      net.predict, net, mg.zeros(2, 5))
  end)
  it("counts a single example as a batch of one", function()
    fails("expected {n, 3}", mg.sequential { 3, mg.dense(4) }, mg.zeros(5))
  end)
  it("in a custom layer names the part by its key", function()
    local Net = mg.module("Net", {
      init = function(self) self.fc1 = mg.dense(2, { inputs = 128 }) end,
      forward = function(self, x) return self.fc1(x) end,
    })
    fails('dense "fc1".*input is {64, 784}, expected {n, 128}', Net(), mg.zeros(64, 784))
  end)
  it("leaves the layer working", function()
    local net = mg.sequential { 3, mg.dense(4) }
    pcall(net, mg.zeros(2, 5))
    assert.same({ 2, 4 }, net(mg.zeros(2, 3)).shape)
  end)
end)

describe("a ragged table", function()
  it("is refused with its row named", function()
    local function row(n)
      local t = {}
      for i = 1, n do t[i] = 0.5 end
      return t
    end
    fails("tensor.*[ %[]3", mg.tensor, { row(20), row(20), row(10), row(20) })
  end)
  it("is refused when numbers and tables are mixed", function()
    fails("tensor.*2", mg.tensor, { 1, { 1 } })
    fails("tensor.*2", mg.tensor, { { 1 }, 1 })
  end)
end)

describe("a class label", function()
  local logits = mg.zeros(4, 10)
  it("of 0 is refused with its place and the range", function()
    fails(text "cross_entropy: target[3] is 0, expected a class from 1 to 10",
      mg.cross_entropy, logits, mg.tensor { 1, 10, 0, 5 })
  end)
  it("above the number of classes is refused", function()
    fails(text "cross_entropy: target[1] is 11, expected a class from 1 to 10",
      mg.cross_entropy, logits, mg.tensor { 11, 1, 1, 1 })
  end)
  it("that is no integer is refused", function()
    fails(text "cross_entropy: target[2] is 1.5, expected a class from 1 to 10",
      mg.cross_entropy, logits, mg.tensor { 1, 1.5, 1, 1 })
  end)
  it("is refused by nll in the same words", function()
    fails(text "nll: target[4] is -1, expected a class from 1 to 10",
      mg.nll, logits, mg.tensor { 1, 1, 1, -1 })
  end)
  it("missing for some rows is refused", function()
    fails("cross_entropy", mg.cross_entropy, logits, mg.tensor { 1, 2, 3 })
  end)
end)

describe("a closed tensor", function()
  local function closed()
    local t = mg.ones(2)
    t:close()
    return t
  end
  it("is refused as itself", function()
    local t = closed()
    for _, name in ipairs { "item", "totable", "sum", "exp", "size", "clone", "backward" } do
      fails("closed", t[name], t)
    end
  end)
  it("is refused as an operand", function()
    fails("closed", function() return mg.ones(2) + closed() end)
    fails("closed", function() return closed() * 2 end)
    fails("closed", mg.cat, { mg.ones(2), closed() }, 1)
    fails("closed", mg.mse, mg.ones(2), closed())
    fails("closed", mg.dense(1), closed())
  end)
end)

describe("an error text", function()
  local t, net = mg.ones(2, 2), mg.sequential { 2, mg.dense(1) }
  local misuses = {
    function() return t + mg.ones(3) end,
    function() return t:matmul(mg.ones(3, 3)) end,
    function() return t:reshape(5) end,
    function() return mg.zeros(-1) end,
    function() return mg.tensor("x") end,
    function() return mg.cross_entropy(t, mg.tensor { 3, 1 }) end,
    function() return net(mg.ones(2, 7)) end,
    function() return mg.trainer {} end,
    function() return mg.sgd { lr = "fast" } end,
    function() return t:backward() end,
  }
  for i, misuse in ipairs(misuses) do
    it("names no C file and is one line, case " .. i, function()
      local err = message(misuse)
      assert.is_nil(err:find("%.[ch]:"))
      assert.is_nil(err:find("\n"))
      assert.is_true(#err > 10)
    end)
  end
end)

describe("hostile arguments", function()
  local cyclic = {}
  cyclic[1] = cyclic
  local moody = setmetatable({}, {
    __index = function() error("moody") end, __len = function() error("moody") end,
  })
  local closed = mg.ones(1)
  closed:close()
  local values = {
    false, -1, 0, 2 ^ 53 + 2, 2 ^ 60, 0 / 0, 1 / 0, 1e300, "3", "", {}, cyclic, moody, closed,
    io.stdout, coroutine.create(function() end), function() end, mg.dense(1), mg.ones(2), n = 19,
  }
  local t = mg.ones(2, 2)
  -- A size is small, or too large for any machine: none that could be granted.
  local functions = {
    tensor = mg.tensor, full = function(v) return mg.full(v, 1) end, randperm = mg.randperm,
    cross_entropy = function(v) return mg.cross_entropy(t, v) end, seed = mg.seed,
    cat = function(v) return mg.cat(v, 1) end, one_hot = function(v) return mg.one_hot(v, 3) end,
    sum = function(v) return t:sum(v) end, narrow = function(v) return t:narrow(1, v, 1) end,
    permute = function(v) return t:permute(v, 1) end, get = function(v) return t:get(v, 1) end,
    matmul = function(v) return t:matmul(v) end, split = function(v) return t:split(v, 1) end,
    sequential = function(v) return mg.sequential { 2, v } end, trainer = mg.trainer,
    dropout = mg.dropout, adam = mg.adam, item = t.item, close = t.close,
    forward = function(v) return mg.dense(1)(v) end, grad = mg.grad, csv = mg.data.csv,
  }
  for name, f in pairs(functions) do
    it("give a result or an error from " .. name, function()
      for i = 0, values.n do -- values[0] is nil
        local ok, err = pcall(f, values[i])
        assert.is_true(ok or type(err) == "string")
      end
      assert.is_true(pcall(t.sum, mg.ones(2))) -- and all goes on
    end)
  end
end)
