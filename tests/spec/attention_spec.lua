-- Attention: what masks mean, and that what is hidden never matters.

local mg = require "moongrad"
local h = require "tests.spec.helper"

--- A layer with all parameters drawn, biases too, for 'features'.
local function drawn(l, features)
  l:build(1, 2, features)
  for _, p in ipairs(l:parameters()) do
    mg.no_grad(function() p.tensor:copy(mg.randn(p.tensor.shape) * 0.5) end)
  end
  return l
end

local function gradients(l)
  local list = {}
  for i, p in ipairs(l:parameters()) do list[i] = p.tensor.grad:to_string() end
  return list
end

for kind, make in pairs {
  attention = function() return mg.attention(2) end,
  transformer_block = function() return mg.transformer_block { heads = 2 } end,
} do
  describe(kind .. ", of sequences that are padded,", function()
    local l, mask = drawn(make(), 6), mg.zeros(2, 30)
    mask:narrow(2, 1, 20):fill(1)
    local x = mg.randn(2, 30, 6)

    it("gives the bits that it gives without the padding", function()
      assert.equal(l(x:narrow(2, 1, 20)):to_string(),
        l(x, { mask = mask }):narrow(2, 1, 20):contiguous():to_string())
    end)

    it("does not depend on what the padding holds", function()
      local other = x:clone()
      other:narrow(2, 21, 10):fill(1e15)
      assert.equal(l(x, { mask = mask }):narrow(2, 1, 20):contiguous():to_string(),
        l(other, { mask = mask }):narrow(2, 1, 20):contiguous():to_string())
    end)

    it("gives the same gradients", function()
      local weight = mg.randn(2, 20, 6)
      local function after(v, further)
        v.requires_grad = true
        l:zero_grad()
        local y = l(v, further):narrow(2, 1, 20) * weight
        y:sum():backward()
        return v.grad, gradients(l)
      end
      local padded, all = after(x:clone(), { mask = mask })
      local short, same = after(x:narrow(2, 1, 20):contiguous())
      h.near(short, padded:narrow(2, 1, 20))
      h.near(mg.zeros(2, 10, 6), padded:narrow(2, 21, 10))
      for i = 1, #all do
        local size = { #all[i] / 4 }
        h.near(mg.from_string(all[i], size), mg.from_string(same[i], size), 1e-4)
      end
    end)
  end)
end

describe("attention", function()
  it("gives what its bias makes of zeros where nothing is seen, and no NaN", function()
    local l = drawn(mg.attention(2), 4)
    local x = mg.randn(2, 3, 4)
    x.requires_grad = true
    local y = l(x, { mask = mg.tensor { { 1, 1, 0 }, { 0, 0, 0 } } })
    for i = 1, 3 do h.near(l:named()["out_proj.bias"], y[2][i]) end
    y:sum():backward()
    h.near(mg.zeros(3, 4), x.grad[2])
    for _, v in ipairs(x.grad:flatten():totable()) do assert.equal(v, v) end
    for _, p in ipairs(l:parameters()) do
      local sum = p.tensor.grad:sum():item()
      assert.equal(sum, sum)
    end
  end)

  it("sees nothing of what comes later when it is causal", function()
    local l = drawn(mg.attention(2, { causal = true }), 4)
    local x = mg.randn(1, 80, 4)
    local y = l(x):narrow(2, 1, 70):contiguous():to_string()
    x:narrow(2, 71, 10):fill(3)
    assert.equal(y, l(x):narrow(2, 1, 70):contiguous():to_string())
    assert.equal(y, l(x:narrow(2, 1, 70)):to_string())
  end)

  it("is causal as a mask {time, keys} is", function()
    local l, m = drawn(mg.attention(2), 4), mg.zeros(5, 5)
    for i = 1, 5 do m:narrow(1, i, 1):narrow(2, 1, i):fill(1) end
    local causal, x = mg.attention(2, { causal = true }), mg.randn(3, 5, 4)
    causal(x)
    h.set(causal, h.weights(l))
    h.near(causal(x), l(x, { mask = m }))
    h.near(causal(x), l(x, { mask = m:reshape(1, 5, 5) }))
  end)

  it("passes NaN on where it is seen", function()
    local x = mg.randn(1, 3, 4)
    x:set(1, 2, 1, 0 / 0)
    local y = mg.attention(2)(x)
    assert.is_true(y:get(1, 1, 1) ~= y:get(1, 1, 1))
  end)

  it("refuses a mask that could mean two things", function()
    local l = mg.attention(2)
    h.fails("mask is {3, 3}, which may be {batch, keys} or {time, keys} here; give it as"
      .. " {3, 1, 3} or {1, 3, 3}", l, mg.randn(3, 3, 4), { mask = mg.ones(3, 3) })
    h.near(l(mg.ones(3, 3, 4)), l(mg.ones(3, 3, 4), { mask = mg.ones(3, 1, 3) }))
  end)

  it("tells what it expects", function()
    local l = mg.attention(2)
    h.fails("input is {2, 3, 5}, its 5 features do not fall into 2 heads", l, mg.ones(2, 3, 5))
    h.fails("input is {2, 4}, expected {batch, time, features}", l, mg.ones(2, 4))
    l(mg.ones(2, 3, 4))
    h.fails("input is {2, 3, 6}, expected {batch, time, 4}", l, mg.ones(2, 3, 6))
    h.fails("mask is {2, 5}, expected {2, 3} %(batch, keys%)", l, mg.ones(2, 3, 4),
      { mask = mg.ones(2, 5) })
    h.fails("mask%[2%] is %-1, expected 0 %(hidden%) or 1 %(seen%)", l, mg.ones(2, 3, 4),
      { mask = mg.tensor { { 1, -1, 1 }, { 1, 1, 1 } } })
    h.fails("context is {2, 5, 3}, expected {batch, time, 4}", l, mg.ones(2, 3, 4),
      { context = mg.ones(2, 5, 3) })
    h.fails("k is {3, 5, 8}, expected {2, keys, 8}", l, mg.ones(2, 3, 4),
      { context = mg.ones(3, 5, 4) })
  end)

  it("gives the same bits with threads", function()
    local function run(threads)
      mg.seed(8)
      mg.set_threads(threads)
      local l, x = mg.attention(4, { causal = true, dropout = 0.1 }), mg.randn(3, 100, 16)
      x.requires_grad = true
      local y = l(x)
      y:square():sum():backward()
      mg.set_threads(1)
      return y:to_string() .. x.grad:to_string() .. l:named().in_proj_weight.grad:to_string()
    end
    assert.equal(run(1), run(3))
  end)

  it("drops weights in training only, and draws nothing else", function()
    mg.seed(1)
    local l, x = mg.attention(1, { dropout = 0.5 }), mg.randn(2, 9, 4)
    local a, b = l(x), l(x)
    assert.is_true(a:to_string() ~= b:to_string())
    l:eval()
    mg.seed(2)
    assert.equal(l(x):to_string(), l:predict(x):to_string())
    local r = mg.rand(1):item()
    mg.seed(2)
    assert.equal(mg.rand(1):item(), r)
  end)

  it("adds up where queries, keys and values are one tensor", function()
    local x, apart = h.leaf { { { 1, 2 }, { -1, 0.5 }, { 0, 3 } } }, {}
    for i = 1, 3 do apart[i] = h.leaf(x:totable()) end
    x:dot_attention(x, x):square():sum():backward()
    apart[1]:dot_attention(apart[2], apart[3]):square():sum():backward()
    h.near(apart[1].grad + apart[2].grad + apart[3].grad, x.grad)
  end)
end)

describe("a transformer's block", function()
  it("is copied with its layers", function()
    local l = drawn(mg.transformer_block { heads = 2, hidden = 7, act = "gelu" }, 4)
    local copy, x = l:clone(), mg.randn(2, 3, 4)
    assert.equal(l:hash(), copy:hash())
    assert.equal(l(x):to_string(), copy(x):to_string())
    assert.same(h.names(l), h.names(copy))
  end)

  it("names the layer in which an error came up", function()
    h.fails('attention "self_attn" %(in transformer_block%): input is {1, 2, 5}, its 5',
      mg.transformer_block { heads = 2 }, mg.ones(1, 2, 5))
    h.fails("takes no layers", mg.transformer_block { heads = 2 }.add,
      mg.transformer_block { heads = 2 }, mg.dense(2))
  end)

  it("turns to eval mode whole", function()
    local l = mg.transformer_block { heads = 1, dropout = 0.5 }
    local x = mg.randn(2, 3, 4)
    l(x)
    l:eval()
    assert.equal(l(x):to_string(), l(x):to_string())
    assert.truthy(tostring(l):find "transformer_block")
    assert.truthy(l:summary { 3, 4 }:find("self_attn", 1, true))
  end)
end)
