-- Claim: weights that a PyTorch program has written make the same net here, with no name
-- changed.
--
-- moongrad names and lays out weights as PyTorch's state_dict does, and reads safetensors
-- files, which PyTorch users have a package for; the fifteen lines of Python below do
-- without it. Left is the same net in both languages, here one with a convolution, batch
-- normalisation and two dense layers, and one call: net:load_weights(path).

local common = dofile((arg[0]:match("^.*[/\\]") or "") .. "common.lua")
local mg, options = common.start("A net from PyTorch answers here as it does there.", {
  { "python", "/usr/bin/python3", "a Python that has PyTorch", "COMMAND" },
})

local PYTHON = [[
import json, struct, sys
import torch
from torch import nn

def save(path, state):
    header, data = {}, b""
    for name, t in state.items():
        raw = t.detach().float().contiguous().numpy().tobytes()
        header[name] = {"dtype": "F32", "shape": list(t.shape),
                        "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header).encode()
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text + data)

torch.manual_seed(int(sys.argv[2]))
net = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(),
                    nn.MaxPool2d(2), nn.Flatten(), nn.Linear(64, 16), nn.Tanh(),
                    nn.Linear(16, 3))
net(torch.randn(32, 1, 8, 8))  # for batch normalisation to have seen something
net.eval()
save(sys.argv[1], net.state_dict())
x = torch.arange(128).reshape(2, 1, 8, 8) / 128
print(*net(x).flatten().tolist())
]]

print("In Python:\n\n" .. PYTHON)
print([[
In Lua:

  local net = mg.sequential {
    { 1, 8, 8 }, mg.conv2d(4, 3, { padding = 1 }), mg.batchnorm(), "relu",
    mg.maxpool2d(2), mg.flatten(), mg.dense(16), "tanh", mg.dense(3),
  }
  assert(net:load_weights(path))
]])

local program, path = os.tmpname(), os.tmpname()
local file = assert(io.open(program, "wb"))
file:write(PYTHON)
file:close()
local pipe = assert(io.popen(("%s %s %s %d 2>&1"):format(options.python, program, path,
  options.seed)))
local said = pipe:read("*a")
pipe:close()
os.remove(program)

local expected = {}
for word in said:gmatch("%S+") do expected[#expected + 1] = tonumber(word) end
if #expected ~= 6 then
  os.remove(path)
  print(("%s has no PyTorch (Debian: apt install python3-torch): nothing to compare with.\n")
    :format(options.python) .. "It said: " .. (said:match("([^\n]*)%s*$") or ""))
  os.exit(0, true)
end

local net = mg.sequential {
  { 1, 8, 8 }, mg.conv2d(4, 3, { padding = 1 }), mg.batchnorm(), "relu",
  mg.maxpool2d(2), mg.flatten(), mg.dense(16), "tanh", mg.dense(3),
}
local loaded, message = net:load_weights(path)
os.remove(path)
assert(loaded, message)

local x = mg.arange(0, 127):reshape(2, 1, 8, 8) / 128
local answers, apart = common.numbers(net:predict(x)), 0
print("   PyTorch    moongrad")
for i, y in ipairs(answers) do
  print(("%10.6f  %10.6f"):format(expected[i], y))
  apart = math.max(apart, math.abs(y - expected[i]))
end

common.claim(apart < 1e-5, ("%d answers at most %.1e apart"):format(#answers, apart))
