local mg = require "moongrad"
local h = require "tests.spec.helper"
local near, fails = h.near, h.fails

-- The weight {out, in} that an initialiser gives a dense layer.
local function weight(init, out, inputs, seed)
  mg.seed(seed or 1)
  return mg.dense(out, { inputs = inputs, init = init }):named().weight:detach()
end

local function spread(t) return (t - t:mean()):square():mean():sqrt() end

describe("the initialiser", function()
  it("zeros gives zeros", function() near(mg.zeros(3, 2), weight("zeros", 3, 2)) end)
  it("ones gives ones", function() near(mg.ones(3, 2), weight("ones", 3, 2)) end)
  it("uniform gives numbers on both sides of 0", function()
    local w = weight("uniform", 50, 40)
    assert.is_true(w:min():item() < 0 and w:max():item() > 0)
    near(1, w:max() / -w:min(), 0.1)
  end)
  it("normal gives numbers on both sides of 0", function()
    local w = weight("normal", 50, 40)
    assert.is_true(w:min():item() < 0 and w:max():item() > 0)
    near(0, w:mean() / spread(w), 0.15)
  end)

  -- With 50 outputs and 100 inputs.
  local uniform = {
    xavier_uniform = math.sqrt(6 / 150),
    he_uniform = math.sqrt(6 / 100),
  }
  for name, limit in pairs(uniform) do
    it(name .. " is uniform up to the limit of its paper", function()
      local w = weight(name, 50, 100)
      assert.is_true(w:max():item() <= limit * 1.000001)
      assert.is_true(w:min():item() >= -limit * 1.000001)
      near(limit, w:max(), limit * 0.02)
      near(limit / math.sqrt(3), spread(w), limit * 0.03)
    end)
  end

  local normal = {
    xavier_normal = math.sqrt(2 / 150),
    he_normal = math.sqrt(2 / 100),
    lecun_normal = math.sqrt(1 / 100),
  }
  for name, deviation in pairs(normal) do
    it(name .. " has the standard deviation of its paper", function()
      local w = weight(name, 50, 100)
      near(deviation, spread(w), deviation * 0.06)
      near(0, w:mean(), deviation * 0.1)
    end)
  end

  it("orthogonal gives rows at right angles when there are fewer rows", function()
    local w = weight("orthogonal", 3, 7)
    near(mg.eye(3), w:matmul(w:transpose(1, 2)), 1e-4)
  end)
  it("orthogonal gives columns at right angles when there are fewer columns", function()
    local w = weight("orthogonal", 7, 3)
    near(mg.eye(3), w:transpose(1, 2):matmul(w), 1e-4)
  end)
  it("orthogonal gives a rotation when square", function()
    local w = weight("orthogonal", 6, 6)
    near(mg.eye(6), w:matmul(w:transpose(1, 2)), 1e-4)
  end)

  for _, name in ipairs {
    "uniform", "normal", "xavier_uniform", "xavier_normal", "he_uniform", "he_normal",
    "lecun_normal", "orthogonal",
  } do
    it(name .. " depends on the seed alone", function()
      assert.same(weight(name, 4, 4, 7):totable(), weight(name, 4, 4, 7):totable())
      assert.not_same(weight(name, 4, 4, 7):totable(), weight(name, 4, 4, 8):totable())
    end)
  end

  it("of an unknown name is refused by that name", function()
    fails("he_uniforn", mg.dense, 3, { inputs = 2, init = "he_uniforn" })
  end)
end)

describe("a new dense layer", function()
  it("starts with biases of 0", function()
    near(mg.zeros(5), mg.dense(5, { inputs = 3 }):named().bias)
  end)
  it("starts with biases of 0 whatever the weights' initialiser", function()
    near(mg.zeros(5), mg.dense(5, { inputs = 3, init = "ones" }):named().bias)
  end)
  it("starts with weights that differ from each other", function()
    local w = weight(nil, 3, 4):flatten():totable()
    table.sort(w)
    for i = 2, #w do assert.is_true(w[i - 1] < w[i]) end
  end)
  it("starts with smaller weights the more inputs it has", function()
    assert.is_true(spread(weight(nil, 50, 1000)):item() < spread(weight(nil, 50, 10)):item() / 2)
  end)
  it("keeps the size of numbers through ten layers", function()
    mg.seed(3)
    local layers = {}
    for i = 1, 10 do layers[i] = mg.dense(64, "relu") end
    local y = mg.sequential(layers):predict(mg.randn(32, 64))
    local size = y:square():mean():sqrt():item()
    assert.is_true(size > 1e-5 and size < 1e3)
  end)
  it("starts differently from its twin in the same net", function()
    local net = mg.sequential { 4, mg.dense(4), mg.dense(4) }
    assert.not_same(net:named()["0.weight"]:totable(), net:named()["1.weight"]:totable())
  end)
end)
