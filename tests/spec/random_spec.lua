local mg = require "moongrad"
local h = require "tests.spec.helper"
local near, fails = h.near, h.fails

local function draw(seed)
  mg.seed(seed)
  return { mg.rand(7):totable(), mg.randn(7):totable(), mg.randperm(20):totable() }
end

describe("the generator", function()
  it("gives the same numbers for the same seed", function()
    assert.same(draw(7), draw(7))
  end)
  it("gives other numbers for another seed", function()
    local a, b = draw(7), draw(8)
    for i = 1, 3 do assert.not_same(a[i], b[i]) end
  end)
  it("goes on from call to call", function()
    mg.seed(7)
    assert.not_same(mg.rand(7):totable(), mg.rand(7):totable())
    assert.not_same(mg.randn(7):totable(), mg.randn(7):totable())
  end)
  it("gives the same numbers in another process", function()
    local here = draw(42)
    local there = h.script [[
      local mg = require "moongrad"
      mg.seed(42)
      local parts = { mg.rand(7), mg.randn(7), mg.randperm(20) }
      for _, t in ipairs(parts) do
        for i = 1, #t do io.write(("%.17g "):format(t[i])) end
      end
    ]]
    local expected = {}
    for _, numbers in ipairs(here) do
      for _, v in ipairs(numbers) do expected[#expected + 1] = ("%.17g "):format(v) end
    end
    assert.equal(table.concat(expected), there)
  end)
  it("leaves math.random alone", function()
    math.randomseed(5)
    local first = math.random(1e6)
    math.randomseed(5)
    mg.seed(99)
    mg.rand(100)
    assert.equal(first, math.random(1e6))
  end)
  it("is not moved by the collector or by other work", function()
    mg.seed(3)
    local a = mg.rand(5):totable()
    mg.seed(3)
    for _ = 1, 50 do mg.zeros(100):add_(1) end
    collectgarbage()
    assert.same(a, mg.rand(5):totable())
  end)
  it("seeds what a layer starts with", function()
    mg.seed(1)
    local a = h.weights(mg.dense(4, { inputs = 3 }))
    mg.seed(1)
    local b = h.weights(mg.dense(4, { inputs = 3 }))
    local c = h.weights(mg.dense(4, { inputs = 3 }))
    assert.same(a, b)
    assert.not_same(a, c)
  end)
  it("refuses a seed that is not a number", function()
    fails("seed", mg.seed, "seven")
    fails("seed", mg.seed, {})
  end)
end)

describe("rand", function()
  mg.seed(11)
  local t = mg.rand(100, 200)
  it("has the shape asked for", function() assert.same({ 100, 200 }, t.shape) end)
  it("takes the shape as one table", function()
    assert.same({ 2, 3 }, mg.rand({ 2, 3 }).shape)
  end)
  it("lies from 0 up to but not including 1", function()
    assert.is_true(t:min():item() >= 0)
    assert.is_true(t:max():item() < 1)
  end)
  it("reaches both ends", function()
    assert.is_true(t:min():item() < 0.001)
    assert.is_true(t:max():item() > 0.999)
  end)
  it("has mean 1/2 and variance 1/12", function() -- six standard errors
    near(0.5, t:mean(), 6 * 0.0021)
    near(1 / 12, t:var(), 6 * 0.0006)
  end)
  it("does not repeat itself", function()
    local seen, same = {}, 0
    for _, v in ipairs(mg.rand(1000):totable()) do
      if seen[v] then same = same + 1 end
      seen[v] = true
    end
    assert.is_true(same <= 5)
  end)
  it("has neighbours that do not know each other", function()
    local v = mg.rand(10000) - 0.5
    local product = (v:narrow(1, 1, 9999) * v:narrow(1, 2, 9999)):mean():item()
    near(0, product * 12, 0.06)
  end)
end)

describe("randn", function()
  mg.seed(12)
  local t = mg.randn(20000)
  it("has mean 0 and variance 1", function()
    near(0, t:mean(), 6 * 0.0071)
    near(1, t:var(), 6 * 0.01)
  end)
  it("is symmetric, with a normal's tails", function()
    near(0, (t ^ 3):mean(), 0.25)
    near(3, (t:square():square()):mean(), 0.15)
    near(0.3173, t:abs():gt(1):mean(), 0.02)
  end)
end)

describe("randperm", function()
  it("holds every number from 1 to n once", function()
    local p = mg.randperm(50):totable()
    table.sort(p)
    near(mg.arange(1, 50), p, 0)
  end)
  it("puts each number in each place about equally often", function()
    mg.seed(13)
    local counts = { { 0, 0, 0 }, { 0, 0, 0 }, { 0, 0, 0 } }
    for _ = 1, 3000 do
      local p = mg.randperm(3)
      for i = 1, 3 do counts[i][p[i]] = counts[i][p[i]] + 1 end
    end
    for i = 1, 3 do near({ 1, 1, 1 }, (mg.tensor(counts[i]) / 1000), 0.15) end
  end)
  it("of 1 is 1", function() near({ 1 }, mg.randperm(1)) end)
  it("of 0 is refused", function() fails("randperm", mg.randperm, 0) end)
end)
