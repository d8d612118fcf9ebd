-- A process that saves two nets in turn to one path is killed at a random moment: the file
-- is one of them, whole, and the next save goes well.
--
--   lua tests/torture/kill.lua [moments]

local mg = require "moongrad"
local moments = tonumber(arg[1]) or 1000

local folder = os.tmpname()
os.remove(folder)
os.execute("mkdir " .. folder)
local path = folder .. "/net"

local function net(seed)
  mg.seed(seed)
  return mg.sequential { 300, mg.dense(400), "tanh", mg.dense(3) }
end
local a, b = net(1):hash(), net(2):hash()

local child = folder .. "/child.lua"
local f = assert(io.open(child, "w"))
f:write(([[
  local mg = require "moongrad"
  local function net(seed)
    mg.seed(seed)
    return mg.sequential { 300, mg.dense(400), "tanh", mg.dense(3) }
  end
  local nets = { net(1), net(2) }
  for i = 1, 1e6 do assert(mg.save(%q, nets[i %% 2 + 1])) end
]]):format(path))
f:close()

local lua = jit and "luajit" or "lua" .. _VERSION:match "%d%.%d"
math.randomseed(os.time())
local failed, seen, parts = 0, { [a] = 0, [b] = 0 }, 0
for i = 1, moments do
  os.execute(("%s %s & p=$!; sleep %.4f; kill -9 $p; wait $p 2>/dev/null"):format(lua, child,
    0.02 + 0.03 * math.random()))
  local loaded, message = mg.load(path)
  local hash = loaded and loaded:hash()
  if seen[hash] then
    seen[hash] = seen[hash] + 1
  elseif loaded or not message:find "No such file" then
    failed = failed + 1
    print(("not ok - moment %d: %s"):format(i, message or "another net"))
  end
  local left = io.open(path .. ".part")
  if left then
    left:close()
    parts = parts + 1
  end
end
assert(mg.save(path, net(1)))
local pipe = io.popen("ls " .. folder)
local left = pipe:read "*a"
pipe:close()
if left ~= "child.lua\nnet\n" then
  failed = failed + 1
  print("not ok - left over: " .. left)
end
os.execute("rm -r " .. folder)
print(("%d kills: %d and %d times either net, %d in the middle of writing"):format(moments,
  seen[a], seen[b], parts))
print(("kill: %d passed, %d failed"):format(moments, failed))
os.exit(failed == 0 and 0 or 1)
