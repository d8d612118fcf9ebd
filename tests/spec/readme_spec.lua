-- The examples of the README are run as they stand.

local load = loadstring or load

describe("the README's example", function()
  local file = assert(io.open("README.md"))
  local text = file:read("*a")
  file:close()
  local count = 0
  for code in text:gmatch("```lua\n(.-)```") do
    count = count + 1
    it(("number %d runs"):format(count), function()
      local printed, env = {}, setmetatable({}, { __index = _G })
      env.print = function(...)
        for i = 1, select("#", ...) do printed[#printed + 1] = tostring((select(i, ...))) end
      end
      local chunk = assert(load(code, "README.md", "t", env))
      if setfenv then setfenv(chunk, env) end
      chunk()
      assert.truthy(#printed > 0)
      local wanted = tonumber(code:match("close to (%d)"))
      if wanted then
        assert.truthy(math.abs(tonumber(printed[#printed]) - wanted) < 0.1)
      end
    end)
  end
  it("is there", function() assert.truthy(count >= 2) end)
end)
