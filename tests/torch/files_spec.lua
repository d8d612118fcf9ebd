-- Weight files go from PyTorch to here and back, no name changed.
local mg = require "moongrad"
local helper = require "tests.spec.helper"
local torch = require "tests.torch.common"

local nets = {
  dense = function() return mg.sequential { mg.dense(5), "tanh", mg.dense(2) } end,
  picture = function()
    return mg.sequential { mg.conv2d(4, 3, { padding = 1 }), mg.batchnorm(), "relu",
                           mg.maxpool2d(2), mg.flatten(), mg.dense(3) }
  end,
  norm = function()
    return mg.sequential { mg.dense(4), mg.layernorm(), mg.prelu(), mg.dense(4),
                           mg.groupnorm(2) }
  end,
  lstm = function() return mg.lstm(4, { layers = 2, bidirectional = true }) end,
  gru = function() return mg.gru(4) end,
  block = function() return mg.transformer_block(2, { hidden = 8, norm_first = false }) end,
}

describe("as PyTorch has it, weight files:", function()
  local python = torch.python()
  if not python then
    pending "skipped, there is no PyTorch (Debian: python3-torch)"
    return
  end
  local folder

  setup(function()
    folder = os.tmpname()
    os.remove(folder)
    os.execute("mkdir " .. folder)
    assert(os.execute(("%s tests/torch/files.py %s write"):format(python, folder)))
  end)
  teardown(function() os.execute("rm -r " .. folder) end)

  for name, make in pairs(nets) do
    it("those of PyTorch are loaded: " .. name, function()
      local file = folder .. "/" .. name
      local case, net = assert(mg.load(file .. "-case.safetensors")), make()
      net:predict(case.x) -- builds it
      assert(net:load_weights(file .. ".safetensors"))
      helper.near(case.y, (net:predict(case.x)), 1e-5)
    end)
  end

  it("those of here are loaded by PyTorch", function()
    for name, make in pairs(nets) do
      local file = folder .. "/" .. name
      local x = assert(mg.load(file .. "-case.safetensors")).x
      local net = make()
      local y = net:predict(x)
      assert(net:save(file .. "-back.safetensors"))
      assert(mg.save(file .. "-back-case.safetensors", { x = x, y = y }))
    end
    local pipe = io.popen(("%s tests/torch/files.py %s read"):format(python, folder))
    local count = 0
    for line in pipe:lines() do
      local name, difference = line:match "^(%S+) (%S+)$"
      count = count + 1
      assert.is_true(tonumber(difference) < 1e-5, name)
    end
    pipe:close()
    assert.equal(6, count)
  end)
end)
