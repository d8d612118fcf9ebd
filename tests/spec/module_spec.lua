local mg = require "moongrad"
local h = require "tests.spec.helper"
local near, fails, leaf = h.near, h.fails, h.leaf

-- Two dense layers and a scale; fc1 doubles, fc2 triples when made by 'double'.
local Net = mg.module("Net", {
  init = function(self, hidden)
    self.fc1 = mg.dense(hidden)
    self.fc2 = mg.dense(1)
    self.scale = leaf(2)
    self.label = "not a part"
  end,
  forward = function(self, x)
    return self.fc2(self.fc1(x):relu()) * self.scale
  end,
})

local Double = mg.module("Double", {
  init = function(self) self.inner = h.dense { { 2 } } end,
  forward = function(self, x) return self.inner(x) end,
})

describe("a layer class written in Lua", function()
  it("makes layers that are called like any other", function()
    assert.same({ 5, 1 }, Net(3)(mg.ones(5, 2)).shape)
  end)
  it("hands the constructor's arguments to init", function()
    local got
    mg.module("Takes", {
      init = function(_, ...) got = { select("#", ...), ... } end,
      forward = function(_, x) return x end,
    })("a", nil, 3)
    assert.equal(3, got[1])
    assert.equal("a", got[2])
    assert.equal(3, got[4])
  end)
  it("needs no init", function()
    local Id = mg.module("Id", { forward = function(_, x) return x * 2 end })
    near({ { 4 } }, Id()(mg.full({ 1, 1 }, 2)))
  end)
  it("keeps plain values in self", function()
    local Scale = mg.module("Scale", {
      init = function(self, k) self.k = k end,
      forward = function(self, x) return x * self.k end,
    })
    local two, three = Scale(2), Scale(3)
    near({ { 2 } }, two(mg.ones(1, 1)))
    near({ { 3 } }, three(mg.ones(1, 1)))
  end)
  it("runs any Lua in forward", function()
    local Twice = mg.module("Twice", {
      init = function(self) self.step = h.dense { { 2 } } end,
      forward = function(self, x)
        while x:abs():max():item() < 100 do x = self.step(x) end
        return x
      end,
    })
    near({ { 128 } }, Twice()(mg.ones(1, 1)))
  end)
  it("refuses a class without forward", function()
    fails("forward", mg.module, "None", { init = function() end })
  end)
  it("refuses a forward that returns no tensor, naming the class", function()
    local Bad = mg.module("Bad", { forward = function() return "nothing" end })
    fails("Bad", Bad(), mg.ones(1, 1))
  end)
  it("runs into an error, not a crash, when it calls itself for ever", function()
    local Loop = mg.module("Loop", { forward = function(self, x) return self(x) end })
    assert.is_false((pcall(Loop(), mg.ones(1, 1))))
    near({ { 2 } }, Double()(mg.ones(1, 1))) -- and all goes on
  end)
end)

describe("the parts in self", function()
  it("are the layer's parameters, named by their keys", function()
    local net = Net(3)
    net(mg.ones(1, 2))
    local named = net:named()
    assert.same({ 3, 2 }, named["fc1.weight"].shape)
    assert.same({ 1, 3 }, named["fc2.weight"].shape)
    assert.same({ 1 }, named["fc2.bias"].shape)
    assert.same({}, named.scale.shape)
    assert.equal(6 + 3 + 3 + 1 + 1, net:num_parameters())
  end)
  it("come in the same order in every instance", function()
    local a, b = Net(3), Net(3)
    a(mg.ones(1, 2))
    b(mg.ones(1, 2))
    assert.same(h.names(a), h.names(b))
    assert.equal(5, #h.names(a))
  end)
  it("carry their full names inside a sequential", function()
    local net = mg.sequential { 2, mg.dense(2), Net(3) }
    assert.truthy(net:named()["1.fc1.weight"])
    assert.truthy(net:named()["1.scale"])
  end)
  it("go once they are replaced", function()
    local Swap = mg.module("Swap", {
      init = function(self)
        self.part = h.dense { { 2 } }
        self.part = h.dense { { 5, 6 } }
      end,
      forward = function(self, x) return self.part(x) end,
    })
    assert.same({ "part.weight" }, h.names(Swap()))
    near({ { 11 } }, Swap()(mg.ones(1, 2)))
  end)
  it("train with the layer", function()
    local net = mg.sequential { 2, Net(3) }
    local x, y = mg.ones(4, 2), mg.full({ 4, 1 }, 3)
    h.set(net, { ["0.fc2.bias"] = { 1 } })
    local before = h.weights(net)
    local opt = mg.sgd { lr = 0.01 }:attach(net)
    local first = mg.mse(net(x), y)
    first:backward()
    opt:step()
    assert.is_true(mg.mse(net(x), y):item() < first:item())
    assert.not_same(before["0.scale"], h.weights(net)["0.scale"])
    assert.not_same(before["0.fc2.bias"], h.weights(net)["0.fc2.bias"])
  end)
  it("follow eval and train", function()
    local Drop = mg.module("Drop", {
      init = function(self) self.drop = mg.dropout(0.5) end,
      forward = function(self, x) return self.drop(x) end,
    })
    local l = Drop()
    l:eval()
    near(mg.ones(60), l(mg.ones(60)))
    l:train()
    assert.is_true(l(mg.ones(60)):eq(0):sum():item() > 0)
  end)
  it("are copied by clone", function()
    local l = Double()
    local copy = l:clone()
    h.set(l, { ["inner.weight"] = { { 7 } } })
    near({ { 2 } }, copy(mg.ones(1, 1)))
    near({ { 7 } }, l(mg.ones(1, 1)))
  end)
end)

describe("an error raised inside a custom layer", function()
  local reason = { code = 7 }
  local Throw = mg.module("Throw", { forward = function() error(reason) end })
  local x = mg.ones(1, 2)

  local function caught(f, ...)
    local ok, err = pcall(f, ...)
    assert.is_false(ok)
    return err
  end

  it("arrives as the same value", function() assert.equal(reason, caught(Throw(), x)) end)
  it("arrives through containers", function()
    local net = mg.sequential { mg.residual { mg.parallel { Throw() } } }
    assert.equal(reason, caught(net, x))
  end)
  it("arrives through predict, and the layer stays in train mode", function()
    local hit = true
    local Sometimes = mg.module("Sometimes", {
      init = function(self) self.drop = mg.dropout(0.5) end,
      forward = function(self, v)
        if hit then error(reason) end
        return self.drop(v)
      end,
    })
    local net = mg.sequential { Sometimes() }
    assert.equal(reason, caught(net.predict, net, x))
    hit = false
    assert.is_true(net(mg.ones(1, 60)):eq(0):sum():item() > 0)
  end)
  it("arrives from a function used as a layer, as a string unchanged", function()
    local net = mg.sequential { function() error("boom", 0) end }
    assert.equal("boom", caught(net, x))
  end)
  it("arrives from the trial run at construction", function()
    assert.equal(reason, caught(mg.sequential, { 2, function() error(reason) end, mg.dense(1) }))
  end)
  it("arrives from init", function()
    local Class = mg.module("Class", {
      init = function() error(reason) end, forward = function(_, v) return v end,
    })
    assert.equal(reason, caught(Class))
  end)
  it("arrives from a coroutine", function()
    local co = coroutine.create(function() return Throw()(x) end)
    local ok, err = coroutine.resume(co)
    assert.is_false(ok)
    assert.equal(reason, err)
  end)
  it("leaves recording on", function()
    local net = mg.sequential { Throw() }
    caught(net.predict, net, x)
    local w = leaf(3);
    (w * w):backward()
    near(6, w.grad)
  end)
end)
