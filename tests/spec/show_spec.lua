-- tostring of each kind of object, and what fit shows while it trains.
local mg = require "moongrad"
local h = require "tests.spec.helper"

local function net() return mg.sequential { 2, mg.dense(8), "tanh", mg.dense(1), "sigmoid" } end

describe("tostring of", function()
  it("a net names its layers, their sizes and the number of parameters", function()
    assert.equal("sequential { dense 8, tanh, dense 1, sigmoid } (33 parameters)",
      tostring(net()))
  end)
  it("a long net leaves out its middle", function()
    assert.equal("sequential { conv2d 6, relu, avgpool2d, .., relu, dense 10 } (61,706 parameters)",
      tostring(mg.sequential {
        { 1, 28, 28 }, mg.conv2d(6, 5, { padding = 2 }), "relu", mg.avgpool2d(2),
        mg.conv2d(16, 5), "relu", mg.avgpool2d(2), mg.flatten(), mg.dense(120), "relu",
        mg.dense(84), "relu", mg.dense(10) }))
  end)
  it("a layer tells its name, and whether it is built", function()
    assert.equal("dense (not built yet)", tostring(mg.dense(3)))
    assert.equal('dense "out" (6 parameters)', tostring(mg.dense(2, { name = "out", inputs = 2 })))
    assert.equal("dense (1 parameter)", tostring(mg.dense(1, { inputs = 1, bias = false })))
  end)
  it("every other object is one line that tells what it is of", function()
    local trainer = mg.trainer { net = net(), loss = "bce", optimizer = mg.adam { lr = 0.1 } }
    for text, object in pairs {
      ["adam (lr 0.1, 0 steps done)"] = trainer:parts().optimizer,
      ["trainer of sequential { dense 8, tanh, dense 1, sigmoid } (33 parameters) by adam (lr 0.1,"
        .. " 0 steps done)"] = trainer,
      ["dataset (x {4, 2}, y {4, 1})"] = mg.data.tensors(mg.ones(4, 2), mg.ones(4, 1)),
      ["tensor {} 3"] = mg.tensor(3),
    } do
      assert.equal(text, tostring(object))
    end
  end)
end)

describe("the bar of fit", function()
  -- What is drawn while four batches of 16 take a second each.
  local function drawn(before)
    return h.script(([[
      local mg, progress = require "moongrad", require "moongrad.progress"
      local now = 0
      require "moongrad.system".clock = function() return now end
      progress.isatty = function() return true end
      local function slow(x) now = now + 1 return x end
      local t = mg.trainer { net = mg.sequential { 2, mg.dense(1), slow }, loss = "mse",
                             optimizer = "sgd" }
      local data = { x = mg.ones(64, 2), y = mg.ones(64, 1), batch = 16 }
      %s
      t:fit(1, data, { progress = true, on_batch = function() end })
    ]]):format(before or ""))
  end
  it("counts the rate and the time left from the beginning of the epoch", function()
    local text = drawn()
    assert.truthy(text:find(" 25%%  16/s  0:03 left  loss %d"), text)
    assert.truthy(text:find(" 75%%  16/s  0:01 left  loss %d"), text)
    assert.truthy(text:find("epoch 1/1  loss [%d.]+  4.0 s"), text)
  end)
  it("leaves out what was done before a resumed epoch", function()
    local text = drawn [[
      local path = os.tmpname()
      t:fit(1, data, { on_batch = function(row)
        if row.batch == 2 then assert(t:save(path)) return false end
      end })
      assert(t:load(path))
      os.remove(path)
    ]]
    assert.truthy(text:find(" 75%%  16/s  0:01 left  loss %d"), text)
  end)
end)
