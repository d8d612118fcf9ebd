-- A step either happens whole or not at all: errors, closing and meddling in its middle,
-- NaN in any layer; and what is in use says so.
local mg = require "moongrad"
local helper = require "tests.spec.helper"
local near, fails = helper.near, helper.fails

local X, Y = mg.ones(4, 3), mg.ones(4, 1)
for i = 1, 4 do X[i] = { i / 4, 1 - i / 3, i % 2 } end

local function data() return { x = X, y = Y, batch = 2 } end

-- A net with buffers, whose function in the middle calls f.
local function net_with(f)
  mg.seed(5)
  return mg.sequential { 3, mg.dense(4), mg.batchnorm(), function(v) f() return v * 1 end,
                         "tanh", mg.dense(1) }
end

-- Where in a step something may go wrong: each makes a trainer that calls f there.
local places = {
  ["a layer"] = function(f, optimizer)
    return mg.trainer { net = net_with(f), loss = "mse", optimizer = optimizer {} }
  end,
  ["the loss"] = function(f, optimizer)
    return mg.trainer { net = net_with(function() end), optimizer = optimizer {},
                        loss = function(p, y) f() return mg.mse(p, y) end }
  end,
  ["a metric"] = function(f, optimizer)
    return mg.trainer { net = net_with(function() end), optimizer = optimizer {}, loss = "mse",
                        metrics = { function() f() return 1 end } }
  end,
  ["the schedule"] = function(f, optimizer)
    return mg.trainer { net = net_with(function() end), loss = "mse",
                        optimizer = optimizer { lr = function() f() return 0.01 end } }
  end,
}

local function train(t)
  return function() t:advance(1) end
end

for place, make in pairs(places) do
  for _, name in ipairs { "sgd", "adam" } do
    describe("an error in " .. place .. ", by " .. name, function()
      it("in the k-th step leaves the weights of the last whole one, for k to 200", function()
        local on = false
        local t = make(function() if on then error("stop", 0) end end, mg[name])
        local clean = make(function() end, mg[name])
        local net, other = t:parts().net, clean:parts().net
        t:begin(mg.data.dataset(data()), 2, 1000)
        clean:begin(mg.data.dataset(data()), 2, 1000)
        local step, same = train(t), train(clean)
        for k = 1, 200 do
          local before = net:hash()
          on = true
          fails("stop", step)
          on = false
          assert.equal(before, net:hash(), "step " .. k)
          step()
          same()
        end
        assert.equal(other:hash(), net:hash())
      end)
    end)
  end

  describe("closing everything in " .. place, function()
    it("lets the step end whole", function()
      for k = 1, 20 do
        local at, t = 0, nil
        t = make(function()
          at = at + 1
          if at < k then return end
          for _, o in pairs(t and mg.type(t) and at == k and t:parts() or {}) do
            if mg.type(o) then o:close() end
          end
          if t then t:close() end
          collectgarbage()
        end, mg.sgd)
        pcall(function() for _ = 1, 20 do t:step(X, Y) end end)
      end
      near({ 2 }, mg.ones(1) * 2)
    end)
  end)
end

describe("an error between batches", function()
  it("of on_batch leaves the weights of the last whole one", function()
    for k = 1, 20 do
      local function run(steps, f)
        local t = mg.trainer { net = net_with(function() end), loss = "mse", optimizer = "adam" }
        pcall(t.fit, t, 20, data(), { on_batch = function(row)
          steps = steps - 1
          if steps == 0 then return f(row) end
        end })
        return t:parts().net:hash()
      end
      assert.equal(run(k, function() return false end), run(k, function() error "stop" end))
    end
  end)
end)

describe("NaN", function()
  local function nets(i)
    mg.seed(2)
    local net = mg.sequential { 3, mg.dense(4), mg.dense(4), mg.dense(4), mg.dense(4), mg.dense(1) }
    return net, net:describe().parts[i].layer:parameters()[1].tensor
  end

  for _, value in ipairs { 0 / 0, 1 / 0, -1 / 0 } do
    it("or infinity (" .. value .. ") in any layer at any step is named, no weight is touched",
      function()
        for i = 1, 5 do
          for k = 1, 4 do -- recorded, and replayed
            local net, weight = nets(i)
            local t = mg.trainer { net = net, loss = "mse", optimizer = "adam" }
            for _ = 1, k do t:step(X, Y) end
            mg.no_grad(function() weight[1] = value end)
            local before = net:hash()
            fails(("layer %d of sequential"):format(i), t.step, t, X, Y)
            assert.equal(before, net:hash())
          end
        end
      end)

    it("or infinity (" .. value .. ") out of a function at any step names it", function()
      for k = 1, 6 do
        local at = 0
        local net = net_with(function() at = at + 1 end)
        net:add(mg.core.custom("spoiler", function(v) return at >= k and v * value or v end))
        local t = mg.trainer { net = net, loss = "mse", optimizer = "sgd" }
        local before
        local ok, err = pcall(function()
          for _ = 1, 6 do
            before = net:hash()
            t:step(X, Y)
          end
        end)
        assert.is_false(ok)
        assert.matches("spoiler %(layer 6 of sequential%)", err)
        assert.equal(before, net:hash())
      end
    end)
  end

  it("in a gradient alone names the parameter's layer", function()
    local net = mg.sequential { 3, mg.dense(2), function(v) return (v * 0):sqrt() end }
    local t = mg.trainer { net = net, loss = "mse", optimizer = "sgd" }
    local before = net:hash()
    fails("layer 1 of sequential.*NaN", t.step, t, X, mg.ones(4, 2))
    assert.equal(before, net:hash())
  end)
end)

describe("in the middle of a step", function()
  it("nothing trains with its optimizer", function()
    local o = mg.sgd { lr = 0.1 }
    local net = net_with(function() end)
    local t = mg.trainer { net = net, optimizer = o, loss = function(p, y)
      fails("sgd: is in use", o.step, o)
      fails("sgd: is in use", o.attach, o, net)
      return mg.mse(p, y)
    end }
    for _ = 1, 3 do t:step(X, Y) end
  end)

  it("no weight that its gradient needs is changed", function()
    local net = net_with(function() end)
    local t = mg.trainer { net = net, optimizer = "sgd", loss = function(p, y)
      fails("pending gradient needs this tensor", net.load_weights, net, net:clone():named())
      return mg.mse(p, y)
    end }
    t:step(X, Y)
  end)
end)

describe("a graph that reads a gradient", function()
  local function twice()
    local w = mg.tensor({ 2 }, { requires_grad = true })
    local v = mg.tensor({ 3 }, { requires_grad = true });
    (w * w):sum():backward()
    return w, v, (w.grad * v):sum()
  end

  it("keeps its numbers when more is added to it", function()
    local w, v, loss = twice();
    (w * w):sum():backward()
    near({ 8 }, w.grad)
    loss:backward()
    near({ 4 }, v.grad)
  end)

  it("keeps them when it is cleared", function()
    local w, v, loss = twice()
    mg.sgd { lr = 1 }:attach({ w }):zero_grad();
    (w * 5):sum():backward()
    loss:backward()
    near({ 4 }, v.grad)
    near({ 5 }, w.grad)
  end)

  it("keeps them when it is replaced, and the next step is right", function()
    local w, v, loss = twice()
    w.grad = mg.ones(1)
    mg.sgd { lr = 1 }:attach({ w }):step()
    near({ 1 }, w)
    loss:backward()
    near({ 4 }, v.grad)
  end)

  it("of its own leaf adds to another place than it reads", function()
    local w = mg.tensor({ { 1, 2 }, { 3, 4 } }, { requires_grad = true });
    (w * w):sum():backward() -- w.grad is 2w
    local g = w.grad:clone()
    w.grad:matmul(w):sum():backward()
    near(g + g:transpose(1, 2):matmul(mg.ones(2, 2)), w.grad)
  end)

  it("keeps them while a trainer replays its steps", function()
    local net = mg.sequential { 3, mg.dense(1) }
    local t = mg.trainer { net = net, loss = "mse", optimizer = mg.sgd { lr = 0.1 } }
    for _ = 1, 3 do t:step(X, Y) end
    local v = mg.tensor({ 1 }, { requires_grad = true })
    local g = net:parameters()[1].tensor.grad
    local before, loss = g:clone(), (g * v):sum()
    for _ = 1, 3 do t:step(X, Y) end
    loss:backward()
    near(before:sum():reshape(1), v.grad)
  end)
end)
