local mg = require "moongrad"
local h = require "tests.spec.helper"
local near, fails = h.near, h.fails

local inf = 1 / 0

describe("arithmetic", function()
  local a, b = mg.tensor { 1, -2, 3 }, mg.tensor { 4, 5, -6 }

  it("adds", function() near({ 5, 3, -3 }, a + b) end)
  it("subtracts", function() near({ -3, -7, 9 }, a - b) end)
  it("multiplies", function() near({ 4, -10, -18 }, a * b) end)
  it("divides", function() near({ 0.25, -0.4, -0.5 }, a / b) end)
  it("raises to a power", function()
    near({ 8, 9, 0.25 }, mg.tensor { 2, 3, 4 } ^ mg.tensor { 3, 2, -1 })
  end)
  it("negates", function() near({ -1, 2, -3 }, -a) end)

  it("takes a number on the right", function()
    near({ 3, 0, 5 }, a + 2)
    near({ -1, -4, 1 }, a - 2)
    near({ 2, -4, 6 }, a * 2)
    near({ 0.5, -1, 1.5 }, a / 2)
    near({ 1, 4, 9 }, a ^ 2)
  end)
  it("takes a number on the left", function()
    near({ 3, 0, 5 }, 2 + a)
    near({ 1, 4, -1 }, 2 - a)
    near({ 2, -4, 6 }, 2 * a)
    near({ 2, -1, 2 / 3 }, 2 / a)
    near({ 2, 0.25, 8 }, 2 ^ a)
  end)
  it("leaves its operands as they were", function()
    near({ 1, -2, 3 }, a)
    near({ 4, 5, -6 }, b)
  end)
  it("follows IEEE where there is no answer", function()
    local q = mg.tensor { 1, -1, 0 } / 0
    assert.equal(inf, q[1])
    assert.equal(-inf, q[2])
    assert.is_true(q[3] ~= q[3])
  end)
  it("refuses what is not a number or a tensor", function()
    fails("add", function() return a + {} end)
    fails("mul", function() return true * a end)
    fails("sub", function() return a - nil end)
  end)
  it("works on transposed views", function()
    local m = mg.tensor { { 1, 2 }, { 3, 4 } }
    near({ { 2, 5 }, { 5, 8 } }, m + m:transpose(1, 2))
  end)
end)

describe("comparisons give 0 and 1", function()
  local a, b = mg.tensor { 1, 2, 3 }, mg.tensor { 3, 2, 1 }
  local expected = {
    eq = { 0, 1, 0 }, ne = { 1, 0, 1 }, lt = { 1, 0, 0 },
    le = { 1, 1, 0 }, gt = { 0, 0, 1 }, ge = { 0, 1, 1 },
  }
  for name, values in pairs(expected) do
    it("for " .. name, function() near(values, a[name](a, b)) end)
  end
  it("against a number", function() near({ 0, 1, 1 }, a:ge(2)) end)
  it("never equal for NaN", function()
    local n = mg.tensor { 0 / 0 }
    near({ 0 }, n:eq(n))
    near({ 1 }, n:ne(n))
  end)
end)

describe("maths", function()
  local x = mg.tensor { 0.25, 1, 2, 9 }
  local s = mg.tensor { -1.5, 0, 2 }

  it("takes logarithms", function()
    near({ -1.3862944, 0, 0.6931472, 2.1972246 }, x:log())
  end)
  it("takes roots", function() near({ 0.5, 1, 1.4142136, 3 }, x:sqrt()) end)
  it("squares", function() near({ 0.0625, 1, 4, 81 }, x:square()) end)
  it("takes powers", function() near({ 0.015625, 1, 8, 729 }, x:pow(3)) end)
  it("takes absolute values", function() near({ 1.5, 0, 2 }, s:abs()) end)
  it("takes signs, 0 for 0", function() near({ -1, 0, 1 }, s:sign()) end)
  it("clamps", function() near({ -1, 0, 1.5 }, s:clamp(-1, 1.5)) end)
  it("takes the smaller of two", function()
    near({ -1.5, -1, 1 }, s:minimum(mg.tensor { 3, -1, 1 }))
  end)
  it("takes the larger of two", function()
    near({ 3, 0, 2 }, s:maximum(mg.tensor { 3, -1, 1 }))
  end)
  it("gives the limits of log and sqrt without an error", function()
    local l = mg.tensor({ 0, -1 }):log()
    assert.equal(-inf, l[1])
    assert.is_true(l[2] ~= l[2])
  end)
end)

-- Values at -2, -0.5, 0, 0.5, 2, computed with NumPy in double precision.
local functions = {
  exp = { 0.135335283, 0.60653066, 1, 1.648721271, 7.389056099 },
  sin = { -0.909297427, -0.479425539, 0, 0.479425539, 0.909297427 },
  cos = { -0.416146837, 0.877582562, 1, 0.877582562, -0.416146837 },
  sigmoid = { 0.119202922, 0.377540669, 0.5, 0.622459331, 0.880797078 },
  tanh = { -0.96402758, -0.462117157, 0, 0.462117157, 0.96402758 },
  relu = { 0, 0, 0, 0.5, 2 },
  elu = { -0.864664717, -0.39346934, 0, 0.5, 2 },
  selu = { -1.520166469, -0.691758188, 0, 0.525350494, 2.101401975 },
  silu = { -0.238405844, -0.188770334, 0, 0.311229666, 1.761594156 },
  softplus = { 0.126928011, 0.474076984, 0.693147181, 0.974076984, 2.126928011 },
  softsign = { -0.666666667, -0.333333333, 0, 0.333333333, 0.666666667 },
  hardtanh = { -1, -0.5, 0, 0.5, 1 },
}

describe("the function", function()
  for name, values in pairs(functions) do
    it(name .. " has the values of its definition", function()
      local x = mg.tensor { -2, -0.5, 0, 0.5, 2 }
      near(values, x[name](x), 1e-6)
    end)
  end
  it("leaky_relu takes its slope", function()
    near({ -0.2, 0, 2 }, mg.tensor({ -2, 0, 2 }):leaky_relu(0.1))
  end)
  it("gelu is near x times the normal distribution", function() -- exact or its tanh form
    near({ -0.0455003, -0.1542688, 0, 0.3457312, 1.9544997 },
      mg.tensor({ -2, -0.5, 0, 0.5, 2 }):gelu(), 5e-4)
  end)
  it("step is 0 below zero and 1 above", function()
    near({ 0, 0, 1, 1 }, mg.tensor({ -3, -0.1, 0.1, 3 }):step())
  end)
end)

describe("far from zero", function()
  local x = mg.tensor { -1000, 1000 }
  it("sigmoid saturates", function() near({ 0, 1 }, x:sigmoid()) end)
  it("tanh saturates", function() near({ -1, 1 }, x:tanh()) end)
  it("softplus is 0 or x", function() near({ 0, 1000 }, x:softplus()) end)
  it("silu is 0 or x", function() near({ 0, 1000 }, x:silu()) end)
  it("gelu is 0 or x", function() near({ 0, 1000 }, x:gelu()) end)
  it("elu is -1 or x", function() near({ -1, 1000 }, x:elu()) end)
  it("softmax picks the largest", function() near({ 0, 1 }, x:softmax(1)) end)
  it("log_softmax stays finite", function() near({ -2000, 0 }, x:log_softmax(1)) end)
end)

describe("softmax", function()
  local x = mg.tensor { { 1, 2, 3 }, { 0, 0, 1 } }
  it("normalises along the last dimension", function()
    near({ { 0.090030573, 0.244728471, 0.665240956 }, { 0.211941558, 0.211941558, 0.576116885 } },
      x:softmax(2))
  end)
  it("normalises along the first dimension", function()
    near({ { 0.731058579, 0.880797078, 0.880797078 }, { 0.268941421, 0.119202922, 0.119202922 } },
      x:softmax(1))
  end)
  it("takes a dimension from the end", function() near(x:softmax(2), x:softmax(-1)) end)
  it("has log_softmax as its logarithm", function()
    near({ { -2.407605964, -1.407605964, -0.407605964 },
      { -1.551444714, -1.551444714, -0.551444714 } }, x:log_softmax(2))
  end)
end)

describe("matmul", function()
  local a = mg.tensor { { 1, 2, 3 }, { 4, 5, 6 } }

  it("of two matrices", function()
    near({ { 4, 5 }, { 10, 11 } }, a:matmul(mg.tensor { { 1, 0 }, { 0, 1 }, { 1, 1 } }))
  end)
  it("of two vectors is a single number", function()
    local p = mg.tensor({ 1, 2, 3 }):matmul(mg.tensor { 4, -5, 6 })
    assert.equal(0, p:dim())
    near(12, p)
  end)
  it("of a matrix and a vector", function()
    near({ 14, 32 }, a:matmul(mg.tensor { 1, 2, 3 }))
  end)
  it("of a vector and a matrix", function()
    near({ 9, 12, 15 }, mg.tensor({ 1, 2 }):matmul(a))
  end)
  it("of transposed views", function()
    near({ { 17, 22, 27 }, { 22, 29, 36 }, { 27, 36, 45 } }, a:transpose(1, 2):matmul(a))
  end)
  it("of batches goes pair by pair", function()
    local x = mg.tensor { { { 1, 2 } }, { { 3, 4 } } }
    local y = mg.tensor { { { 1 }, { 1 } }, { { 10 }, { 1 } } }
    near({ { { 3 } }, { { 34 } } }, x:matmul(y))
  end)
  it("of a batch and one matrix uses the matrix for each", function()
    local x = mg.tensor { { { 1, 2 } }, { { 3, 4 } } }
    near({ { { 1, 4 } }, { { 3, 8 } } }, x:matmul(mg.tensor { { 1, 0 }, { 0, 2 } }))
  end)
  it("sums a long row without losing count", function()
    near({ { 4000 } }, mg.ones(1, 4000):matmul(mg.ones(4000, 1)))
  end)
  it("agrees with sums written out, at sizes that fill no tile", function()
    mg.seed(1)
    local x, y = mg.randn(37, 29), mg.randn(29, 41)
    local p = x:matmul(y)
    near((x:unsqueeze(3) * y:unsqueeze(1)):sum(2), p, 1e-4)
  end)
  it("refuses inner sizes that disagree, naming both shapes", function()
    local ok, err = pcall(a.matmul, a, a)
    assert.is_false(ok)
    assert.truthy(err:find("matmul", 1, true))
    assert.truthy(err:find("{2, 3}", 1, true))
  end)
  it("refuses a single number", function() fails("matmul", a.matmul, a, mg.tensor(1)) end)
end)

describe("where", function()
  it("takes from one or the other", function()
    local a, b = mg.tensor { 1, 2, 3 }, mg.tensor { 10, 20, 30 }
    near({ 1, 20, 3 }, mg.where(mg.tensor { 1, 0, 1 }, a, b))
  end)
  it("takes a comparison as its condition", function()
    local x = mg.tensor { -1, 2 }
    near({ 0, 2 }, mg.where(x:gt(0), x, mg.zeros(2)))
  end)
end)

describe("a missing or foreign argument", function()
  local t = mg.ones(2)
  it("is named with the function", function()
    fails("matmul", t.matmul, t)
    fails("matmul", t.matmul, t, "x")
    fails("clamp", t.clamp, t, 0, "x")
    fails("softmax", t.softmax, t, 3)
    fails("where", mg.where, t, t)
  end)
  it("is refused in place of the tensor itself", function()
    fails("exp", t.exp, 3)
    fails("exp", t.exp, io.stdout)
    fails("exp", t.exp)
  end)
end)
