-- What people write who come from PyTorch or Keras, or who mistype a name.
local mg = require "moongrad"
local h = require "tests.spec.helper"

local near, fails, text = h.near, h.fails, h.text

describe("a name that there is not", function()
  local net = mg.sequential { 2, mg.dense(1) }
  local x, y = mg.ones(4, 2), mg.ones(4, 1)
  local function trainer() return mg.trainer { net = net, loss = "mse", optimizer = "sgd" } end

  it("among the fields of data is told, with the nearest there is", function()
    local wrong = { x = x, y = y, bacth = 2 }
    local t = trainer()
    for name, call in pairs {
      fit = function() t:fit(1, wrong) end, epochs = function() t:epochs(1, wrong) end,
      run = function() t:run(wrong) end, evaluate = function() t:evaluate(wrong) end,
    } do
      fails(text(name .. ': there is no field of data "bacth", did you mean "batch"?'), call)
    end
    fails('there is no field of data "shufle", did you mean "shuffle"', t.fit, t, 1,
      { x = x, y = y, validation = { x = x, y = y, shufle = true } })
    fails("fit: an entry of data has no name, expected name = value", t.fit, t, 1, { x, y })
    fails('fit: there is no field of data "z"$', t.fit, t, 1, { z = x, y = y })
    fails('fit: there is no field of data "patience"$', t.fit, t, 1,
      { x = x, y = y, patience = 3 })
  end)

  it("among the options of a training is told", function()
    local t, data = trainer(), { x = x, y = y }
    fails(text 'fit: there is no option "patiense", did you mean "patience"?', t.fit, t, 1, data,
      { patiense = 3 })
    fails(text 'epochs: there is no option "bach", did you mean "batch"?', t.epochs, t, 1, data,
      { bach = 3 })
    fails(text 'evaluate: there is no option "btach", did you mean "batch"?', t.evaluate, t, data,
      { btach = 3 })
    fails(text 'run: there is no option "step", did you mean "steps"?', t.run, t, data,
      { step = 3 })
    fails(text 'trainer: there is no option "metric", did you mean "metrics"?', mg.trainer,
      { net = net, loss = "mse", optimizer = "sgd", metric = "mae" })
  end)

  it("among the options of an op, a layer, an optimizer or a group is told", function()
    fails(text 'sum: there is no option "keepdims", did you mean "keepdim"?', x.sum, x,
      { keepdims = true })
    fails(text 'conv2d: there is no option "pading", did you mean "padding"?', mg.conv2d, 3, 3,
      { pading = 1 })
    fails(text 'adam: there is no option "wieght_decay", did you mean "weight_decay"?', mg.adam,
      { wieght_decay = 1 })
    fails(text 'adam: there is no option "weigth_decay", did you mean "weight_decay"?', mg.adam,
      { groups = { { match = "bias", weigth_decay = 0 } } })
    fails('adam: there is no option "nothing_like_it"$', mg.adam, { nothing_like_it = 1 })
    fails(text 'sequential: there is no option "nmae", did you mean "name"?', mg.sequential,
      { 2, mg.dense(1), nmae = "x" })
    fails('residual: there is no option "stride"$', mg.residual, { "tanh", stride = 1 })
  end)
end)

describe("setting a number of a tensor that records", function()
  it("says what to do instead, which works", function()
    local w = h.leaf { 1, 2 }
    local says = "records what is done with it for gradients; set its numbers inside mg.no_grad"
    fails("assignment: the tensor " .. says, function() w[1] = 5 end)
    fails("set: the tensor " .. says, function() w:set(1, 5) end)
    fails("assignment: the tensor " .. says, function() (w * 2)[1] = 5 end)
    mg.no_grad(function() w[1] = 5 end)
    w:detach()[2] = 6
    near({ 5, 6 }, w)
    local m = h.leaf { { 1, 2 } }
    fails("as a view of one that records is", function() m[1]:fill(3) end)
  end)
end)

describe("norm", function()
  it("takes any p from 0 to infinity", function()
    local x = mg.tensor { 3, -4, 0 }
    near(4, x:norm { p = math.huge })
    near(2, x:norm { p = 0 })
    near((3 ^ 0.5 + 2) ^ 2, x:norm { p = 0.5 })
    near((27 + 64) ^ (1 / 3), x:norm { p = 3 })
    near(0, mg.zeros(3):norm { p = math.huge })
    near({ 3, 4 }, mg.tensor({ { 3, 1 }, { -2, -4 } }):norm { dim = 1, p = math.huge })
    fails("norm: p is %-1, expected a number from 0", x.norm, x, { p = -1 })
    fails("norm: p is %-?nan", x.norm, x, { p = 0 / 0 })
  end)

  it("shares its slope among the greatest", function()
    local x = h.leaf { 3, -3, 1 }
    x:norm({ p = math.huge }):backward()
    near({ 0.5, -0.5, 0 }, x.grad)
  end)
end)

describe("words of PyTorch and Keras", function()
  local c = mg.tensor { { { 1, 2, 4 } } }

  it("are upsample1d's linear, which is what bilinear is there", function()
    near({ { { 1, 1.25, 1.75, 2.5, 3.5, 4 } } }, mg.upsample1d(2, "linear")(c))
    assert.equal(mg.upsample1d(3, "bilinear")(c):to_string(),
      mg.upsample1d(3, "linear")(c):to_string())
  end)

  it("are padding = valid, for none, which a file keeps", function()
    local l = mg.conv2d(2, 3, { padding = "valid" })
    assert.same({ 1, 2, 3, 2 }, l(mg.ones(1, 1, 5, 4)).shape)
    assert.same({ 1, 2, 3 }, mg.conv1d(2, 3, { padding = "valid" })(mg.ones(1, 1, 5)).shape)
    local again = mg.undump(mg.dump(l))
    assert.equal(l(mg.ones(1, 1, 5, 4)):to_string(), again(mg.ones(1, 1, 5, 4)):to_string())
    fails('padding is "vaild", expected a number, {h, w} or same|valid', mg.conv2d, 2, 3,
      { padding = "vaild" })
  end)

  it("are the mode of padding in its place", function()
    near({ { { 2, 1, 2, 4, 2 } } }, mg.pad1d(1, "reflect")(c))
    near({ { { 1, 1, 2, 4, 4 } } }, c:pad(1, "replicate"))
    assert.same({ 1, 1, 4, 5 }, mg.pad2d(1, "reflect")(mg.ones(1, 1, 2, 3)).shape)
    near({ { { 0, 1, 2, 4 } } }, mg.pad1d(1, 0)(c))
    fails('pad1d: after is "reflected", expected', mg.pad1d, 1, "reflected")
  end)

  it("are betas of the adam family", function()
    for _, name in ipairs { "adam", "adamw", "nadam", "adamax", "lion" } do
      local function moved(options)
        local w = h.leaf { 1, -2 }
        local opt = mg[name](options):attach { w }
        for _ = 1, 3 do
          opt:zero_grad()
          local loss = (w * w):sum()
          loss:backward()
          opt:step()
        end
        return w:to_string()
      end
      assert.equal(moved { lr = 0.1, beta1 = 0.5, beta2 = 0.7 },
        moved { lr = 0.1, betas = { 0.5, 0.7 } })
      assert.equal(moved { lr = 0.1, beta1 = 0.5, beta2 = 0.7 },
        moved { lr = 0.1, groups = { { ndim = 1, betas = { 0.5, 0.7 } } } })
    end
    fails("adam: betas is a number, expected a table of two numbers", mg.adam, { betas = 0.9 })
    fails("adam: betas is a table of 1, expected a table of two numbers", mg.adam,
      { betas = { 0.9 } })
    fails('sgd: there is no option "betas"', mg.sgd, { betas = { 0.9, 0.99 } })
    fails("adam: beta2 is 2, expected", mg.adam, { betas = { 0.9, 2 } })
  end)

  it("are pos_weight, one or one for each class", function()
    local x, t = mg.tensor { { 0.5, -1 }, { 2, 0.3 } }, mg.tensor { { 1, 0 }, { 0.25, 1 } }
    local function sum(p1, p2)
      local total = 0
      for i, row in ipairs(x:totable()) do
        for j, v in ipairs(row) do
          local s, yes = 1 / (1 + math.exp(-v)), t:get(i, j)
          total = total - ((j == 1 and p1 or p2) * yes * math.log(s) + (1 - yes) * math.log(1 - s))
        end
      end
      return total
    end
    near(sum(3, 3) / 4, mg.bce_with_logits(x, t, { pos_weight = 3 }))
    near(sum(3, 0.5) / 4, mg.bce_with_logits(x, t, { pos_weight = { 3, 0.5 } }))
    near(sum(3, 0.5), mg.bce_with_logits(x, t, { pos_weight = mg.tensor { 3, 0.5 },
      reduction = "sum" }))
    near(mg.bce_with_logits(x, t), mg.bce_with_logits(x, t, { pos_weight = 1 }))
    fails("pos_weight is {3}, expected a number or the last sizes of the prediction, {2, 2}",
      mg.bce_with_logits, x, t, { pos_weight = { 1, 2, 3 } })
    near(1e30, mg.bce_with_logits(mg.tensor { -1e30 }, mg.tensor { 1 }, { pos_weight = 1 }), 1e24)
  end)

  it("are batchmean of kl_div", function()
    local p = mg.tensor({ { 0.5, 0.5 }, { 0.2, 0.8 } }):log()
    local t = mg.tensor { { 1, 0 }, { 0.5, 0.5 } }
    near(mg.kl_div(p, t, { reduction = "sum" }):item() / 2,
      mg.kl_div(p, t, { reduction = "batchmean" }))
    fails('reduction is "batchmean", expected one of mean|sum|none', mg.mse, p, t,
      { reduction = "batchmean" })
  end)

  it("are nesterov, which wants a momentum", function()
    fails("sgd: nesterov needs momentum above 0 and dampening 0$", mg.sgd, { nesterov = true })
    fails("sgd: nesterov needs", mg.sgd, { nesterov = true, momentum = 0.9, dampening = 0.1 })
    mg.sgd { nesterov = true, momentum = 0.9 }
  end)
end)
