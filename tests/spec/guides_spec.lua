-- The examples of README and guides are run as they stand. Where one ends with
-- "close to N", the last number that it prints is. Other blocks of code name the file that
-- they are quoted from, after the language; tests/guides.lua tries the remaining ones.

local read = require "tests.spec.helper".read
local load = loadstring or load

--- Runs it with a print of its own; what that got.
local function printed_by(code, name)
  local printed, env = {}, setmetatable({}, { __index = _G })
  env.print = function(...)
    for i = 1, select("#", ...) do printed[#printed + 1] = tostring((select(i, ...))) end
  end
  local chunk = assert(load(code, name, "t", env))
  if setfenv then setfenv(chunk, env) end
  chunk()
  return printed
end

local function files()
  local pipe, list = io.popen("ls README.md bindings/guides/*.md"), {}
  for name in pipe:lines() do list[#list + 1] = name end
  pipe:close()
  return list
end

for _, name in ipairs(files()) do
  local text, count = read(name), 0
  describe("the example of " .. name, function()
    for code in text:gmatch("```lua\n(.-)```") do
      count = count + 1
      it(("number %d runs"):format(count), function()
        local printed = printed_by(code, name)
        assert.truthy(#printed > 0)
        local wanted = tonumber(code:match("close to (%d)"))
        if wanted then
          assert.truthy(math.abs(tonumber(printed[#printed]) - wanted) < 0.1)
        end
      end)
    end
    it("is there", function() assert.truthy(count >= 1) end)
    for path, code in text:gmatch("```%l+ ([%w_/.]+)\n(.-)```") do
      it(("is quoted from %s: %s"):format(path, code:match "[^\n]*"), function()
        assert.truthy(read(path):find(code, 1, true))
      end)
    end
  end)
end
