-- Convolution, pooling, padding and scaling as Lua users see them. What PyTorch
-- computes is in tests/torch/conv_spec.lua.
local mg = require "moongrad"
local h = require "tests.spec.helper"
local near, fails = h.near, h.fails

local function lenet5()
  return mg.sequential {
    { 1, 32, 32 },
    mg.conv2d(6, 5), "tanh", mg.avgpool2d(2),
    mg.conv2d(16, 5), "tanh", mg.avgpool2d(2), mg.flatten(),
    mg.dense(120, "tanh"), mg.dense(84, "tanh"), mg.dense(10),
  }
end

describe("conv2d", function()
  it("slides the window over each picture", function()
    local layer = mg.conv2d(1, { 1, 2 }, { bias = false })
    layer(mg.zeros(1, 1, 2, 3))
    h.set(layer, { weight = { { { { 1, -1 } } } } })
    near({ { { { -1, -2 }, { 3, 5 } } } },
      layer(mg.tensor { { { { 1, 2, 4 }, { 9, 6, 1 } } } }))
  end)

  it("gives LeNet-5 its 61,706 parameters", function()
    assert.equal(61706, lenet5():num_parameters())
  end)

  it("knows its shapes from the size at the front of a sequential", function()
    local text = lenet5():summary()
    assert.matches("{n, 6, 28, 28}", text, 1, true)
    assert.matches("{n, 16, 5, 5}", text, 1, true)
    assert.matches("{n, 400}", text, 1, true)
  end)

  it("keeps the size of a picture with padding = \"same\"", function()
    for _, kernel in ipairs { 1, 2, 3, 4, 5 } do
      local layer = mg.conv2d(4, kernel, { padding = "same" })
      assert.same({ 2, 4, 7, 6 }, layer(mg.ones(2, 3, 7, 6)).shape)
    end
    local strided = mg.conv2d(4, 3, { padding = "same", stride = 2 })
    assert.same({ 2, 4, 4, 3 }, strided(mg.ones(2, 3, 7, 6)).shape)
  end)

  it("takes numbers and pairs for kernel, stride, padding and dilation", function()
    local layer = mg.conv2d(2, { 3, 1 }, { stride = { 2, 1 }, padding = { 1, 0 }, dilation = 1 })
    assert.same({ 1, 2, 4, 5 }, layer(mg.ones(1, 1, 7, 5)).shape)
    assert.same({ 1, 2, 5, 5 }, mg.conv2d(2, { 3, 1 })(mg.ones(1, 1, 7, 5)).shape)
  end)

  it("takes an input without change and writes nothing beside its result", function()
    local x = mg.randn(2, 3, 5, 5)
    local before = x:clone()
    mg.conv2d(4, 3)(x)
    near(before, x, 0)
  end)

  it("says what input it expects, naming the layer", function()
    local net = mg.sequential { { 3, 8, 8 }, mg.conv2d(4, 3, { name = "edges" }) }
    fails('conv2d "edges" %(layer 1 of sequential%): input is {2, 1, 8, 8}, expected {n, 3, h, w}',
      net, mg.zeros(2, 1, 8, 8))
    fails("input is {3, 8}, expected {n, 3, h, w}", net, mg.zeros(3, 8))
    fails("conv2d: input is {4}, expected {n, c, h, w}", mg.conv2d(4, 3), mg.zeros(4))
  end)

  it("refuses windows larger than the padded picture", function()
    fails("too small for a window", mg.conv2d(1, 5), mg.zeros(1, 1, 4, 9))
    fails("too small for a window", mg.conv2d(1, 3, { dilation = 4 }), mg.zeros(1, 1, 8, 9))
  end)

  it("refuses options that cannot be, naming them", function()
    fails("conv2d: stride is 0, expected an integer from 1", mg.conv2d, 4, 3, { stride = 0 })
    fails("kernel is table, expected a number or {h, w}", mg.conv2d, 4, { 1, 2, 3 })
    fails("conv2d: kernel is missing", mg.conv2d, 4)
    fails('padding is "full", expected a number, {h, w} or same', mg.conv2d, 4, 3, { padding = "full" })
    fails("that groups = 2 divides", mg.conv2d(4, 1, { groups = 2 }), mg.zeros(1, 3, 2, 2))
    fails("that groups = 3 divides", mg.conv2d(4, 1, { groups = 3 }), mg.zeros(1, 3, 2, 2))
  end)

  it("asks for more memory than there is with an error", function()
    fails("", mg.conv2d(1, 1, { padding = 16777215 }), mg.ones(1, 1, 1, 1))
    assert.same({ 1, 1, 1, 1 }, mg.conv2d(1, 1, { stride = 16777215 })(mg.ones(1, 1, 9, 9)).shape)
  end)
end)

describe("the same bits come from a convolution", function()
  local function bits(f)
    mg.seed(5)
    local layer, x = mg.conv2d(19, 3, { stride = 2, padding = 1 }), mg.randn(24, 17, 15, 14)
    x.requires_grad = true
    local y = f(layer, x)
    y:square():sum():backward()
    return y:to_string() .. x.grad:to_string() .. layer:named().weight.grad:to_string()
      .. layer:named().bias.grad:to_string()
  end

  it("on any number of threads", function()
    local one = bits(function(l, x) return l(x) end)
    for _, n in ipairs { 2, 3, 5 } do
      mg.set_threads(n)
      assert.is_true(one == bits(function(l, x) return l(x) end))
    end
    mg.set_threads(1)
  end)

  it("for a picture alone and among others", function()
    mg.seed(6)
    local net, x = lenet5(), mg.randn(7, 1, 32, 32)
    local all = net:predict(x)
    for i = 1, 7 do
      assert.is_true(all:narrow(1, i, 1):to_string() == net:predict(x:narrow(1, i, 1)):to_string())
    end
  end)

  it("in a plan and on a tape", function()
    local function trained(watched)
      mg.seed(7)
      local net = mg.sequential { { 2, 9, 9 }, mg.conv2d(5, 3), "relu", mg.maxpool2d(2),
        mg.conv_transpose2d(3, 2), mg.global_avgpool2d(), mg.dense(2) }
      local loss = watched and function(y, t) y:sum():item() return mg.mse(y, t) end or "mse"
      local trainer = mg.trainer { net = net, loss = loss, optimizer = mg.adam {} }
      local x, y = mg.randn(8, 2, 9, 9), mg.randn(8, 2)
      for _ = 1, 5 do trainer:step(x, y) end
      return net:hash()
    end
    assert.equal(trained(true), trained(false))
  end)
end)

describe("conv_transpose2d", function()
  it("gives back the size that a convolution took", function()
    local x = mg.ones(2, 3, 11, 8)
    local small = mg.conv2d(5, 3, { stride = 2, padding = 1 })(x)
    local back = mg.conv_transpose2d(3, 3, { stride = 2, padding = 1, output_padding = { 0, 1 } })
    assert.same(x.shape, back(small).shape)
  end)

  it("refuses an output_padding that is not less than the stride", function()
    fails("output_padding is 2, expected less than stride or dilation",
      mg.conv_transpose2d(1, 3, { stride = 2, output_padding = 2 }), mg.ones(1, 1, 3, 3))
  end)
end)

describe("pooling", function()
  local x = mg.tensor { { { { 1, 5, 2 }, { 4, 3, 8 }, { 9, 6, 7 } } } }

  it("takes the mean or the greatest of each window", function()
    near({ { { { 3.25 } } } }, mg.avgpool2d(2)(x))
    near({ { { { 5, 8 }, { 9, 8 } } } }, mg.maxpool2d(2, { stride = 1 })(x))
    near({ { 5 } }, mg.global_avgpool2d()(x))
    near({ { 9 } }, mg.global_maxpool2d()(x))
  end)

  it("counts the zeros around a picture for a mean, not for the greatest", function()
    near({ { { { 0.25, 1.75 }, { 3.25, 6 } } } }, mg.avgpool2d(2, { padding = 1 })(x))
    near({ { { { -1 } } } }, mg.maxpool2d(2, { padding = 1 })(-mg.ones(1, 1, 1, 1)))
  end)

  it("gives the gradient to the first of equal numbers", function()
    local t = h.leaf { { { { 2, 2 }, { 2, 2 } } } }
    mg.maxpool2d(2)(t):sum():backward()
    near({ { { { 1, 0 }, { 0, 0 } } } }, t.grad)
  end)

  it("does not lose a NaN", function()
    local nan = mg.maxpool1d(3)(mg.tensor { { { 1, 0 / 0, 3 } } }):totable()[1][1][1]
    assert.is_true(nan ~= nan)
  end)

  it("shares a picture out among a given number of results", function()
    near({ { { { 3.25, 4.5 }, { 5.5, 6 } } } }, mg.adaptive_avgpool2d(2)(x))
  end)

  it("refuses padding of more than half a window", function()
    fails("padding is 2, expected at most half of kernel, 3",
      mg.maxpool2d(3, { padding = 2 }), x)
  end)
end)

describe("pad2d and upsample2d", function()
  local x = mg.tensor { { { { 1, 2 }, { 3, 4 } } } }

  it("write numbers around a picture", function()
    near({ { { { 0, 0, 0, 0 }, { 0, 1, 2, 0 }, { 0, 3, 4, 0 }, { 0, 0, 0, 0 } } } },
      mg.pad2d(1)(x))
    near({ { { { 4, 3, 4, 3 }, { 2, 1, 2, 1 }, { 4, 3, 4, 3 }, { 2, 1, 2, 1 } } } },
      mg.pad2d(1, { mode = "reflect" })(x))
    near({ { { { 1, 1, 2, 2 }, { 1, 1, 2, 2 }, { 3, 3, 4, 4 }, { 3, 3, 4, 4 } } } },
      mg.pad2d(1, { mode = "replicate" })(x))
  end)

  it("refuse to reflect more than there is", function()
    fails("too small to reflect 2 numbers", mg.pad2d(2, { mode = "reflect" }), x)
  end)

  it("repeat each number, or draw lines between them", function()
    near({ { { { 1, 1, 2, 2 }, { 1, 1, 2, 2 }, { 3, 3, 4, 4 }, { 3, 3, 4, 4 } } } },
      mg.upsample2d(2)(x))
    near({ { { { 1, 1.25, 1.75, 2 } } } },
      mg.upsample2d({ 1, 2 }, "bilinear")(mg.tensor { { { { 1, 2 } } } }))
  end)
end)
