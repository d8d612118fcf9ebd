-- Threads from Lua: the setting, its errors, the same bits, leaving in peace.
local mg = require "moongrad"
local h = require "tests.spec.helper"

describe("threads", function()
  after_each(function() mg.set_threads(1) end)

  it("are one at first, and as many as were set", function()
    assert.equal(1, mg.info().threads)
    mg.set_threads(3)
    assert.equal(3, mg.info().threads)
  end)

  it("refuse other numbers than 1 to 64", function()
    mg.set_threads(2)
    for _, n in ipairs { 0, -1, 65, 1.5, "2", math.huge } do
      assert.is_false(pcall(mg.set_threads, n))
    end
    assert.is_false(pcall(mg.set_threads))
    local ok, message = pcall(mg.set_threads, 65)
    assert.is_false(ok)
    assert.matches("threads is 65, expected 1 to 64", message, 1, true)
    assert.equal(2, mg.info().threads)
  end)

  local function trained(threads)
    mg.set_threads(threads)
    mg.seed(3)
    local net = mg.sequential { 200, mg.dense(160, "tanh"), mg.dense(160, "relu"), mg.dense(10) }
    local trainer = mg.trainer { net = net, loss = "cross_entropy", optimizer = mg.adam {} }
    local labels = {}
    for i = 1, 300 do labels[i] = i % 10 + 1 end
    trainer:fit(2, { x = mg.randn(300, 200), y = mg.tensor(labels), batch = 100,
                     shuffle = true })
    return net:hash() .. net:predict(mg.randn(250, 200)):sum():item()
  end

  it("change no bit of a training or a prediction", function()
    local one = trained(1)
    for _, n in ipairs { 2, 3, 4, 8 } do assert.equal(one, trained(n)) end
  end)

  it("may be set anew between two steps of a trainer", function()
    local function run(threads)
      mg.seed(4)
      local net = mg.sequential { 300, mg.dense(200, "tanh"), mg.dense(1) }
      local trainer = mg.trainer { net = net, loss = "mse", optimizer = mg.sgd { lr = 0.01 } }
      local x, y = mg.randn(100, 300), mg.randn(100, 1)
      for i = 1, 6 do
        mg.set_threads(threads[i % #threads + 1])
        trainer:step(x, y)
      end
      return net:hash()
    end
    assert.equal(run { 1 }, run { 1, 4, 2 })
  end)

  it("do not keep a process from leaving", function()
    for _, last in ipairs { "", "os.exit(0)", "os.exit(0, true)", "error('no')" } do
      local output = h.script(([[
        local mg = require "moongrad"
        mg.set_threads(4)
        local x = mg.randn(300, 300)
        print(x:matmul(x):dim())
        io.stdout:flush()
        %s]]):format(last))
      assert.matches("^2\n", output)
      assert.equal(last:find("error") ~= nil, output:find("no\n") ~= nil)
    end
  end)
end)
