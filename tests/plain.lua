-- Runs specs where there is no busted, for a Lua that Debian has no packages of: needs
-- luassert and say, which are Lua alone, of any version.
--
--   lua5.5 tests/plain.lua tests/spec/tensor_spec.lua ..
local luassert = require "luassert"
local unpack = table.unpack or unpack
local passed, failed, skipped = 0, 0, 0
local blocks = {} -- from the outermost: what runs before and after each fact

local function each(which, last)
  for i = last and #blocks or 1, last and 1 or #blocks, last and -1 or 1 do
    for _, f in ipairs(blocks[i][which]) do f() end
  end
end

local function run(name, f)
  local ok, message = xpcall(function()
    each "before_each"
    f()
  end, function(err)
    if type(err) == "table" then err = err.message or tostring(err) end
    return debug.traceback(tostring(err), 2)
  end)
  pcall(each, "after_each", true)
  if ok then
    passed = passed + 1
  elseif message:find "^skipped" then
    skipped = skipped + 1
  else
    failed = failed + 1
    local names = {}
    for i, block in ipairs(blocks) do names[i] = block.name end
    print("not ok - " .. table.concat(names, " ") .. " " .. name .. "\n" .. message)
  end
end

local spec = setmetatable({ assert = luassert, it = run }, { __index = _G })

function spec.describe(name, f)
  local block = { name = name, before_each = {}, after_each = {}, teardown = {} }
  blocks[#blocks + 1] = block
  local depth = #blocks
  local ok, message = pcall(f)
  while #blocks > depth do table.remove(blocks) end
  if not ok and message ~= "skipped" then error(message, 0) end
  for _, last in ipairs(block.teardown) do last() end
  blocks[#blocks] = nil
end

function spec.pending() error("skipped", 0) end
for _, which in ipairs { "before_each", "after_each", "teardown" } do
  spec[which] = function(f) table.insert(blocks[#blocks][which], f) end
end
function spec.setup(f) f() end

for _, path in ipairs(arg) do
  local chunk
  if setfenv then -- 5.1
    chunk = setfenv(assert(loadfile(path)), spec)
  else
    chunk = assert(loadfile(path, "t", spec))
  end
  spec.describe(path, function() chunk(unpack(arg, 1, 0)) end)
  collectgarbage()
end
print(("plain: %d passed, %d failed, %d skipped"):format(passed, failed, skipped))
os.exit(failed == 0 and 0 or 1, true)
