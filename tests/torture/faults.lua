-- Every call of the system that a save or a load makes failing in turn, in every way it can:
-- no space, an error of the disk, an interruption, a part of the bytes, another process in
-- between. Never a wrong success, never a file that is neither the old nor the new one,
-- nothing left over.
--
--   LD_PRELOAD=build/fault.so lua tests/torture/faults.lua [quick]

local mg = require "moongrad"
local system = require("moongrad.system").files

local codes = {
  [0] = "a part only", [1] = "EPERM", [2] = "ENOENT", [4] = "EINTR", [5] = "EIO", [11] = "EAGAIN",
  [13] = "EACCES", [22] = "EINVAL", [28] = "ENOSPC", [95] = "ENOTSUP", [200] = "nothing written",
  [201] = "another file there", [202] = "a file of another device there",
}
if arg[1] == "quick" then -- a part, EINTR, EIO, ENOSPC
  for code in pairs(codes) do
    if not ({ [0] = 1, [4] = 1, [5] = 1, [28] = 1 })[code] then codes[code] = nil end
  end
end
local points, survived, failed = 0, 0, 0

local function check(fact, text, ...)
  if fact then return end
  failed = failed + 1
  if failed <= 10 then print(("not ok - %s, call %d, %s"):format(text, ...)) end
end

local function output(command)
  local pipe = io.popen(command)
  local text = pipe:read "*a"
  pipe:close()
  return text
end

-- In memory where there is such a folder: thousands of fsyncs.
local folder = output("mktemp -d -p /dev/shm 2>/dev/null || mktemp -d"):match "%S+"
local path = folder .. "/file"

-- All that the module calls must be in the shim, or be none of its business.
local known = output("nm -D --defined-only " .. os.getenv "LD_PRELOAD")
local module = package.searchpath and package.searchpath("moongrad.system", package.cpath)
local called = module and output("nm -D --undefined-only " .. module) or ""
local harmless = " clock_gettime ioctl isatty memcpy memmove memset strchr strlen strrchr "
-- what counts branches calls more
for name in (called:find " fopen" and "" or called):gmatch " [Uw] ([%w_]+)" do
  check(name:find "^_" or name:find "^luaL?_" or name:find "strerror" or known:find(name, 1, true)
    or harmless:find(" " .. name .. " ", 1, true), "the shim has no " .. name, 0, "")
end

-- Runs f with the n-th call failing, or all from -n on; also how many calls there were.
local function with_fault(n, code, f)
  assert(system.remove(("//fault:%d:%d"):format(n, code)))
  local value, message = f()
  local _, _, calls = system.remove "//fault"
  return value, message, calls
end

local function read(name)
  local file = io.open(name, "rb")
  local bytes = file and file:read "*a"
  if file then file:close() end
  return bytes
end

local function write(name, bytes)
  local file = assert(io.open(name, "wb"))
  file:write(bytes)
  file:close()
end

-- 'save' writes one of two values to a path, over the other one, with the n-th call failing.
local function save_once(what, save, files, leftover, n, code)
  write(path, files[1])
  if leftover then write(path .. ".part", "of a process that is gone") end
  local value, message, calls = with_fault(n, code, function() return save(path, 2) end)
  local now, last = read(path), n > calls - 3 -- the folder is synced, the new file is there
  check(value == nil and type(message) == "string" or value, what .. ": results", n, codes[code])
  check(not value or now == files[2], what .. ": no success", n, codes[code])
  check(value or now == files[1] or last and now == files[2], what .. ": the file", n, codes[code])
  if leftover and (not value or code == 11) or n < 0 then -- somebody seemed to hold it
    for i = 0, 9 do os.remove(path .. ".part" .. (i > 0 and i or "")) end
  end
  check(not read(path .. ".part") and not read(path .. ".part1"), what .. ": left over", n,
    codes[code])
  points = points + 1
  if value then survived = survived + 1 end
  return calls
end

local function save_all(what, save)
  local files = {}
  os.remove(path)
  for i = 1, 2 do
    assert(save(path, i))
    files[i] = read(path)
  end
  assert(files[1] ~= files[2])
  for code in pairs(codes) do
    for _, leftover in ipairs { false, true } do
      local n = 0
      repeat n = n + 1 until n > save_once(what, save, files, leftover, n, code)
    end
    save_once(what, save, files, false, -1, code)
  end
  write(path, files[1])
end

-- 'load' gives what 'same' is true for, or nil and a message.
local function load_all(what, load, same)
  for code in pairs(codes) do
    local n, calls = 0
    repeat
      n = n + 1
      local value, message, count = with_fault(n, code, function() return load(path) end)
      check(value and same(value) or value == nil and type(message) == "string",
        what .. ": results", n, codes[code])
      points, calls = points + 1, count
      if value then survived = survived + 1 end
    until n > calls
  end
end

local function net(seed, width)
  mg.seed(seed)
  return mg.sequential { 40, mg.dense(width or 5), "tanh", mg.dense(3) }
end
local large = { net(1, 500), net(2, 500) } -- more than is written at once
save_all("large", function(name, i) return mg.save(name, large[i]) end)
local nets, trainers = { net(1), net(2) }, {}
local data = { x = mg.rand(4, 40), y = mg.rand(4, 3), batch = 2 }
for i, one in ipairs(nets) do
  trainers[i] = mg.trainer { net = one, loss = "mse", optimizer = "adam" }
  trainers[i]:run(data, { epochs = 2, steps = i })
end
local hash = nets[1]:hash()

save_all("save", function(name, i) return mg.save(name, nets[i]) end)
load_all("load", mg.load, function(v) return v:hash() == hash end)
load_all("load_weights", function(name) return net(3):load_weights(name) end,
  function(v) return v:hash() == hash end)
save_all("trainer:save", function(name, i) return trainers[i]:save(name) end)
local other = mg.trainer { net = net(3), loss = "mse", optimizer = "adam" }
load_all("trainer:load", function(name) return other:load(name) end,
  function() return other:parts().net:hash() == hash end)

local arrays = { mg.rand(3, 4), mg.rand(3, 4) }
save_all("npy.write", function(name, i) return mg.npy.write(name, arrays[i]) end)
load_all("npy.read", mg.npy.read, function(t) return (t - arrays[1]):abs():max():item() == 0 end)
save_all("npz", function(name, i) return mg.npy.write(name, { a = arrays[i] }) end)
load_all("npz", mg.npy.read, function(t) return (t.a - arrays[1]):abs():max():item() == 0 end)
for _, format in ipairs { "lua", "c", "onnx" } do
  save_all("export." .. format, function(name, i) return mg.export[format](nets[i], name) end)
end
save_all("checkpoint", function(name, i)
  local t = mg.trainer { net = net(i), loss = "mse", optimizer = "sgd" }
  return t:fit(1, data, { checkpoint = name })
end)

os.execute("rm -r " .. folder)
print(("%d points, %d times it went well nevertheless"):format(points, survived))
print(("faults: %d passed, %d failed"):format(points, failed))
os.exit(failed == 0 and points > 100 and 0 or 1)
