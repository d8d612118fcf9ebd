-- Every system call of a save and of a load failing in turn: no space, an error of the
-- disk, an interruption, a part of the bytes only. Never a wrong success, never a file
-- that is neither the old nor the new one, nothing left over.
--
--   LD_PRELOAD=build/fault.so lua tests/torture/faults.lua

local mg = require "moongrad"
local system = require("moongrad.system").files

local folder = os.tmpname()
os.remove(folder)
os.execute("mkdir " .. folder)
local path = folder .. "/net"

local codes = { [0] = "a part only", [4] = "EINTR", [5] = "EIO", [28] = "ENOSPC" }
local points, survived, failed = 0, 0, 0

local function check(fact, text, n, code)
  if fact then return end
  failed = failed + 1
  print(("not ok - %s, call %d, %s"):format(text, n, codes[code]))
end

-- Runs f with the n-th call failing; also how many calls there were.
local function with_fault(n, code, f)
  assert(system.remove(("//fault:%d:%d"):format(n, code)))
  local value, message = f()
  local _, _, calls = system.remove "//fault"
  return value, message, calls
end

local function entries()
  local pipe = io.popen("ls -A " .. folder)
  local text = pipe:read "*a"
  pipe:close()
  return text
end

local function net(seed)
  mg.seed(seed)
  return mg.sequential { 40, mg.dense(600), "tanh", mg.dense(3) }
end
local old, new = net(1), net(2)

for code in pairs(codes) do
  local n, calls = 0
  repeat
    n = n + 1
    assert(mg.save(path, old))
    local value, message, count = with_fault(n, code, function()
      return mg.save(path, new)
    end)
    calls = count
    local hash = assert(mg.load(path)):hash()
    check(value == true or (value == nil and type(message) == "string"), "save's results", n,
      code)
    check(not value or hash == new:hash(), "save says that it went well", n, code)
    -- when the folder is synced the new file is there
    check(value or hash == old:hash() or n > calls - 3, "the old file is lost", n, code)
    check(hash == old:hash() or hash == new:hash(), "the file is another one", n, code)
    check(entries() == "net\n", "left over: " .. entries(), n, code)
    points = points + 1
    if value then survived = survived + 1 end
  until n > calls
  n = 0
  repeat
    n = n + 1
    local value, message, count = with_fault(n, code, function() return mg.load(path) end)
    calls = count
    check(value and value:hash() == new:hash() or (value == nil and type(message) == "string"),
      "load's results", n, code)
    points = points + 1
    if value then survived = survived + 1 end
  until n > calls
end
os.execute("rm -r " .. folder)
print(("%d points, %d times it went well nevertheless"):format(points, survived))
print(("faults: %d passed, %d failed"):format(points, failed))
os.exit(failed == 0 and points > 100 and 0 or 1)
