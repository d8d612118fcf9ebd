-- What somebody who knows Keras, PyTorch or Torch7 tries first, and what they are told.
local mg = require "moongrad"
local h = require "tests.spec.helper"
local near, fails = h.near, h.fails

local function leaf(v) return mg.tensor(v, { requires_grad = true }) end

-- f's error, called from here; its place in front, if it has one.
local function place(f)
  local ok, message = pcall(function()
    f()
    return nil
  end)
  assert.is_false(ok)
  return message
end

describe("sizes and counts", function()
  it("are integers where Lua has them", function()
    assert.equal("2", tostring(mg.zeros(2, 3):size(1)))
    assert.equal("3", tostring(mg.zeros(2, 3):size(-1)))
    for _, v in ipairs { mg.memory() } do assert.is_nil(tostring(v):find("%.")) end
  end)
  it("are written as integers in errors", function()
    fails("item: the tensor has 2 numbers, expected 1$", function() mg.zeros(2):item() end)
    fails("4 bytes, expected 8 for 2 numbers", function() mg.from_string("1234", { 2 }) end)
    fails("from 5 to 1 by 1,", function() mg.arange(5, 1) end)
  end)
  it("say from where on they are meant", function()
    fails("eye: n is 0, expected an integer from 1$", function() mg.eye(0) end)
    fails("randperm: n is 0, expected an integer from 1$", function() mg.randperm(0) end)
    fails("set_threads: threads is 0, expected 1 to 64$", function() mg.set_threads(0) end)
    fails("index is 0, expected an integer from 1 to 2 or %-2 to %-1$",
      function() return mg.zeros(2)[0] end)
  end)
end)

describe("tensor", function()
  it("says what it takes", function()
    fails("value is nil, expected a number, a table or a tensor", mg.tensor, nil)
    fails("value is string, expected a number, a table or a tensor", mg.tensor, "3")
    fails("row %[1%] is a tensor, expected a number", mg.tensor, { mg.zeros(2) })
  end)
  it("refuses options that it does not know", function()
    fails('tensor: there is no option "grad"', mg.tensor, { 1 }, { grad = true })
  end)
  it("shows NaN without a sign", function()
    assert.equal("tensor {} nan", tostring(mg.tensor(0 / 0)))
    assert.equal("tensor {} nan", tostring(mg.tensor(-(0 / 0))))
  end)
  it("of one number is set without indices", function()
    assert.equal(4, mg.zeros():set(4):item())
  end)
end)

describe("options by name", function()
  it("work for max and min as for sum", function()
    local t = mg.tensor { { 1, 5 }, { 7, 3 } }
    local v, at = t:max { dim = 2, keepdim = true }
    near({ { 5 }, { 7 } }, v)
    near({ { 2 }, { 1 } }, at)
    near({ 1, 3 }, (t:min { dim = 1 }))
    near(7, (t:max {}))
  end)
  it("without a name are refused", function()
    fails("sum: an option has no name, expected name = value", function()
      mg.zeros(2):sum { 1 }
    end)
  end)
  it("of backward and grad are known ones", function()
    fails('backward: there is no option "retain_graph"', function()
      leaf(3):backward { retain_graph = true }
    end)
    fails("backward: retain is number, expected true or false", function()
      leaf(3):backward { retain = 1 }
    end)
  end)
  it("say what else stands for a pair", function()
    fails('padding is "full", expected a number, {h, w} or same|valid', mg.conv2d, 2, 3,
      { padding = "full" })
  end)
  it("that are no table are reported where the call is", function()
    for _, f in ipairs { function() mg.limit() end, function() mg.trainer() end } do
      assert.matches("stranger_spec.lua:%d+: ", place(f))
    end
  end)
end)

describe("clamp", function()
  local t = mg.tensor { -2, 0, 2 }
  it("may have one end", function()
    near({ -1, 0, 2 }, t:clamp(-1))
    near({ -1, 0, 2 }, t:clamp { lo = -1 })
    near({ -2, 0, 1 }, t:clamp(nil, 1))
    near({ -2, 0, 1 }, t:clamp { hi = 1 })
  end)
  it("gives the upper end where that is below the lower one, as PyTorch", function()
    near({ -1, -1, -1 }, t:clamp(1, -1))
  end)
end)

describe("cat and stack", function()
  it("take tables and numbers", function()
    near({ { 1, 2 }, { 3, 4 } }, mg.cat({ { { 1, 2 } }, mg.tensor { { 3, 4 } } }, 1))
    near({ 1, 2 }, mg.stack { 1, mg.tensor(2) })
  end)
  it("name an element that is none", function()
    fails("cat: element 2 is string, expected a tensor", mg.cat, { mg.ones(2), "x" }, 1)
  end)
end)

describe("split", function()
  it("names itself where there is no such dimension", function()
    fails("split: dimension is 3, the tensor has 2", function() mg.zeros(2, 3):split(1, 3) end)
    fails("chunk: dimension is 3, the tensor has 2", function() mg.zeros(2, 3):chunk(1, 3) end)
  end)
end)

describe("gradcheck", function()
  it("takes tensors that require no gradient", function()
    assert.is_true(mg.gradcheck(mg.mse, { mg.tensor { 1, 2 }, mg.tensor { 3, 5 } }) < 1e-2)
  end)
  it("looks at strided tensors", function()
    local x = mg.tensor { { 1, 2, 3 }, { 4, 5, 6 } }:transpose(1, 2)
    x.requires_grad = true
    assert.is_true(mg.gradcheck(function(v) return (v * v):sum() end, { x }) < 1e-2)
    near({ { 1, 4 }, { 2, 5 }, { 3, 6 } }, x)
  end)
end)

describe("an optimizer", function()
  it("is attached to the parameters of a layer as they are listed", function()
    local net = mg.dense(1, { inputs = 2 })
    local before = net:hash()
    local opt = mg.sgd { lr = 0.1 }:attach(net:parameters())
    net(mg.ones(1, 2)):sum():backward()
    opt:step()
    assert.are_not.equal(before, net:hash())
  end)
  it("is attached to a single tensor", function()
    local w = leaf { 1 }
    local opt = mg.sgd { lr = 0.5 }:attach(w)
    w:sum():backward()
    opt:step()
    near({ 0.5 }, w)
  end)
  it("says which element is no tensor", function()
    fails("attach: element 2 is number, expected a tensor", function()
      mg.sgd {}:attach { leaf(1), 2 }
    end)
  end)
end)

describe("train and freeze", function()
  it("take false, as in PyTorch", function()
    local net = mg.sequential { mg.dropout(0.5) }
    near(mg.ones(64), net:train(false)(mg.ones(64)))
    assert.is_true(net:train(true)(mg.ones(64)):min():item() == 0)
    local d = mg.dense(1, { inputs = 2 })
    assert.is_true(d:freeze():freeze(false):parameters()[1].tensor.requires_grad)
  end)
  it("refuse what is no boolean", function()
    fails("train: on is number, expected true or false", function() mg.dense(1):train(0) end)
    fails("freeze: on is string, expected true or false", function()
      mg.dense(1):freeze "0.weight"
    end)
  end)
end)

describe("a layer's error", function()
  it("has its name once", function()
    local message = place(function() mg.embedding(3, 2)({ 4 }) end)
    assert.matches("embedding: ids%[1%] is 4", message)
    assert.is_nil(message:find("embedding: embedding"))
  end)
end)

describe("run", function()
  after_each(h.remove_files)
  local function trainer()
    return mg.trainer { net = mg.sequential { 1, mg.dense(1) }, loss = "mse",
                        optimizer = "sgd" }
  end
  it("goes on with data written anew in each call", function()
    local t, x, y, calls = trainer(), mg.ones(6, 1), mg.ones(6, 1), 0
    repeat
      calls = calls + 1
      local state = t:run({ x = x, y = y, batch = 2 }, { steps = 1, epochs = 2 })
    until state == "done" or calls > 20
    assert.equal(6, calls)
  end)
  it("goes on so after a load too", function()
    local t, x, path, calls = trainer(), mg.ones(6, 1), h.file "", 0
    t:run({ x = x, y = x, batch = 2 }, { steps = 1, epochs = 2 })
    assert(t:save(path))
    local again = trainer()
    assert(again:load(path))
    repeat
      calls = calls + 1
      local state = again:run({ x = x, y = x, batch = 2 }, { steps = 1, epochs = 2 })
    until state == "done" or calls > 20
    assert.equal(5, calls)
  end)
  it("begins anew with other data", function()
    local t = trainer()
    local x = mg.ones(2, 1)
    assert.equal("done", t:run({ x = x, y = x }, { steps = 2 }))
    assert.equal("more", t:run({ x = x, y = x, batch = 1 }, { steps = 1 }))
    assert.equal("more", t:run({ x = x, y = mg.zeros(2, 1), batch = 1 }, { steps = 1 }))
  end)
end)

describe("data", function()
  it("of a function that returns nothing says so", function()
    fails("function: f%(1%) is nil, expected x and y", mg.data.func, function() end, 2)
    fails("function: the y of f%(2%) is nil", mg.data.func,
      function(i) return i, i < 2 and 1 or nil end, 2)
  end)
  it("is not split at NaN", function()
    fails("split: share is nan", function() mg.data.tensors({ 1, 2 }, { 1, 2 }):split(0 / 0) end)
  end)
end)

describe("help", function()
  it("without a name lists them all", function()
    local text = mg.help()
    for _, name in ipairs { "conv2d", "softplus", "cross_entropy", "adam", "one_cycle",
                            "he_normal", "accuracy" } do
      assert.matches(name, text, 1, true)
    end
  end)
end)

describe("a summary", function()
  it("names itself where the size is none", function()
    local net = mg.sequential { mg.dense(2) }
    fails("summary: size is a string, expected a number or", net.summary, net, "x")
    fails("summary: .*{1, %-1}", net.summary, net, -1)
  end)
end)
