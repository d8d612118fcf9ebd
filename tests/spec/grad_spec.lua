local mg = require "moongrad"
local h = require "tests.spec.helper"
local near, fails, leaf, list = h.near, h.fails, h.leaf, h.list

describe("before backward", function()
  it("grad is nil", function() assert.is_nil(leaf(2).grad) end)
  it("recording an op changes no gradient", function()
    local x = leaf(2)
    local _ = x * x
    assert.is_nil(x.grad)
  end)
end)

describe("backward", function()
  it("fills the gradient of a leaf", function()
    local x = leaf(3);
    (x * x):backward()
    near(6, x.grad)
  end)
  it("adds to what is there", function()
    local x = leaf(3);
    (x * x):backward();
    (x * 2):backward()
    near(8, x.grad)
  end)
  it("adds up all paths to a leaf", function()
    local x = leaf(2)
    local y = x * 3;
    (y * y + x):backward() -- 9 x^2 + x
    near(37, x.grad)
  end)
  it("gives the gradient the leaf's shape", function()
    local x = leaf { { 1, 2 }, { 3, 4 } }
    x:square():sum():backward()
    near({ { 2, 4 }, { 6, 8 } }, x.grad)
  end)
  it("leaves alone what does not ask for a gradient", function()
    local x, c = leaf { 1, 2 }, mg.tensor { 3, 4 }
    local loss = (x * c):sum()
    loss:backward()
    near({ 3, 4 }, x.grad)
    assert.is_nil(c.grad)
  end)
  it("leaves alone a leaf the loss does not depend on", function()
    local x, y = leaf(1), leaf(1);
    (x * 2):backward()
    assert.is_nil(y.grad)
  end)
  it("starts only from a single number", function()
    local x = leaf { 1, 2 }
    local y = x * 2
    fails("backward.*{2}", y.backward, y)
    assert.is_nil(x.grad)
  end)
  it("refuses a second time", function()
    local x = leaf(3)
    local loss = x * x
    loss:backward()
    fails("backward", loss.backward, loss)
    near(6, x.grad)
  end)
  it("runs again after retain", function()
    local x = leaf(3)
    local loss = x * x
    loss:backward { retain = true }
    loss:backward()
    near(12, x.grad)
    fails("backward", loss.backward, loss)
  end)
  it("goes through a chain of 200,000 ops", function()
    local x = leaf(1)
    local y = x
    for _ = 1, 200000 do y = y + 1 end
    y:backward()
    near(1, x.grad)
  end)
  it("follows Lua's own control flow", function()
    local function f(v)
      local x = leaf(v)
      local y = x
      while y:item() < 100 do y = y * 2 end
      y:backward()
      return x.grad:item()
    end
    assert.equal(64, f(2))
    assert.equal(1, f(500))
  end)
  it("keeps intermediate results readable", function()
    local x = leaf(3)
    local y = x * x
    local loss = y + 1
    loss:backward()
    assert.equal(9, y:item())
    assert.equal(10, loss:item())
  end)
end)

describe("the gradient", function()
  it("can be cleared", function()
    local x = leaf(3);
    (x * x):backward()
    x.grad = nil
    assert.is_nil(x.grad);
    (x * 2):backward()
    near(2, x.grad)
  end)
  it("does not flow through detach", function()
    local x = leaf(3);
    (x:detach() * x):backward()
    near(3, x.grad)
  end)
end)

-- d f(x) / dx at x = 0.5, worked out by hand.
local slopes = {
  exp = 1.6487213, log = 2, sqrt = 0.7071068, square = 1, abs = 1, sin = 0.8775826,
  cos = -0.4794255, sigmoid = 0.2350037, tanh = 0.7864477, relu = 1, elu = 1,
  selu = 1.0507010, silu = 0.7399612, softplus = 0.6224593, softsign = 0.4444444,
  hardtanh = 1, step = 0, sign = 0,
}

describe("the slope at 1/2", function()
  for name, slope in pairs(slopes) do
    it("of " .. name .. " is right", function()
      local x = leaf { 0.5 }
      local y = x[name](x)
      y:sum():backward()
      near({ slope }, x.grad, 1e-5)
    end)
  end
  it("of both sides of a power is right", function()
    local a, b = leaf(2), leaf(3);
    (a ^ b):backward()
    near(12, a.grad)
    near(8 * math.log(2), b.grad)
  end)
  it("of clamp is 0 outside", function()
    local x = leaf { -2, 0.5, 2 }
    x:clamp(-1, 1):sum():backward()
    near({ 0, 1, 0 }, x.grad)
  end)
  it("of minimum and maximum goes to the one taken", function()
    local a, b = leaf { 1, 5 }, leaf { 2, 3 }
    local loss = (a:minimum(b) + a:maximum(b) * 10):sum()
    loss:backward()
    near({ 1, 10 }, a.grad)
    near({ 10, 1 }, b.grad)
  end)
  it("of softmax sums to 0 over the row", function()
    local x = leaf { 1, 2, 3 }
    x:softmax(1):select(1, 1):backward()
    near({ 0.0819251, -0.0220330, -0.0598920 }, x.grad)
  end)
end)

describe("the gradient of matmul", function()
  it("is right for both matrices", function()
    local a, b = leaf { { 1, 2 }, { 3, 4 } }, leaf { { 5, 6 }, { 7, 8 } }
    local loss = (a:matmul(b) * mg.tensor { { 1, 10 }, { 100, 1000 } }):sum()
    loss:backward()
    near({ { 65, 87 }, { 6500, 8700 } }, a.grad)
    near({ { 301, 3010 }, { 402, 4020 } }, b.grad)
  end)
  it("is right for two vectors", function()
    local a, b = leaf { 1, 2 }, leaf { 3, 4 }
    a:matmul(b):backward()
    near({ 3, 4 }, a.grad)
    near({ 1, 2 }, b.grad)
  end)
  it("is summed over a batch for a shared matrix", function()
    local a, b = mg.tensor { { { 1, 2 } }, { { 3, 4 } } }, leaf { { 1 }, { 1 } }
    a:matmul(b):sum():backward()
    near({ { 4 }, { 6 } }, b.grad)
  end)
end)

describe("no_grad", function()
  it("runs the function with its arguments and hands back its results", function()
    local a, b = mg.no_grad(function(x, y) return y, x end, 1, "two")
    assert.equal("two", a)
    assert.equal(1, b)
  end)
  it("records nothing", function()
    local x = leaf(3)
    local y = mg.no_grad(function() return x * x end)
    pcall(y.backward, y)
    assert.is_nil(x.grad)
  end)
  it("records again afterwards, also after an error inside", function()
    local x = leaf(3)
    local reason = {}
    local ok, err = pcall(mg.no_grad, function() error(reason) end)
    assert.is_false(ok)
    assert.equal(reason, err);
    (x * x):backward()
    near(6, x.grad)
  end)
  it("nests", function()
    local x = leaf(3)
    local y = mg.no_grad(function()
      mg.no_grad(function() end)
      return x * x
    end)
    pcall(y.backward, y)
    assert.is_nil(x.grad)
  end)
end)

describe("mg.grad", function()
  it("gives gradients without touching .grad", function()
    local a, b = leaf(2), leaf { 3, 4 }
    local grads = list(mg.grad((b * a):sum(), { a, b }))
    near(7, grads[1])
    near({ 2, 2 }, grads[2])
    assert.is_nil(a.grad)
    assert.is_nil(b.grad)
  end)
  it("does not add to a gradient that is there", function()
    local a = leaf(2);
    (a * a):backward()
    mg.grad(a * 3, { a })
    near(4, a.grad)
  end)
end)

describe("gradcheck", function()
  it("finds a right gradient right", function()
    local found = mg.gradcheck(function(x) return x:square():sum() end, { leaf { 1, -2, 3 } })
    assert.is_true(found >= 0 and found < 0.05)
  end)
  it("finds a wrong gradient wrong", function() -- detach hides half of it
    local found = mg.gradcheck(function(x) return (x * x:detach()):sum() end, { leaf { 1, 2 } })
    assert.is_true(found > 0.2)
  end)
  it("checks several inputs", function()
    local function f(x, y) return (x * y:detach() + y):sum() end -- right for x, wrong for y
    assert.is_true(mg.gradcheck(f, { leaf { 1, 2 }, leaf { 3, 4 } }) > 0.2)
  end)
end)

describe("in place", function()
  it("is refused on a tensor that a pending gradient needs", function()
    local x = leaf { 1, 2 }
    local y = x * x
    for _, change in ipairs {
      function() x:fill(0) end, function() x:mul_(2) end, function() x:copy(mg.zeros(2)) end,
      function() x:set(1, 9) end,
    } do
      fails("grad", mg.no_grad, change)
    end
    near({ 1, 2 }, x)
    y:sum():backward()
    near({ 2, 4 }, x.grad)
  end)
  it("is refused on a result that a pending gradient needs", function()
    local x = leaf { 0, 1 }
    local y = x:exp()
    fails("grad", mg.no_grad, function() y:add_(1) end)
    y:sum():backward()
    near({ 1, math.exp(1) }, x.grad)
  end)
  it("never makes a gradient wrong through another view of the storage", function()
    local x = leaf { 1, 2 }
    local loss = (x * x):sum()
    local written = pcall(function() x:detach():fill(5) end)
    local ran = pcall(loss.backward, loss)
    assert.is_false(written and ran)
    if ran then near({ 2, 4 }, x.grad) end
  end)
  it("is allowed once backward has run", function()
    local x = leaf { 1, 2 };
    (x * x):sum():backward()
    mg.no_grad(function() x:sub_(x.grad * 0.5) end)
    near({ 0, 0 }, x)
  end)
  it("is allowed once the graph has been collected", function()
    local x = leaf { 1, 2 }
    do local _ = x * x end
    collectgarbage()
    collectgarbage()
    mg.no_grad(function() x:fill(3) end)
    near({ 3, 3 }, x)
  end)
  it("gradient descent by hand reaches the minimum", function()
    local x = leaf(0)
    for _ = 1, 60 do
      local loss = (x - 3) ^ 2
      loss:backward()
      mg.no_grad(function() x:sub_(x.grad * 0.2) end)
      x.grad = nil
    end
    near(3, x, 1e-4)
  end)
end)
