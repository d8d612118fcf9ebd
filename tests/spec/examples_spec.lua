-- Every public name has an example in the reference, and each of them runs.

local mg = require "moongrad"
local reference = require "moongrad.reference"
local examples = dofile "bindings/reference/examples.lua"

local inner = {}
for _, section in ipairs(require "moongrad.functions") do
  for _, entry in ipairs(section) do inner[entry.name] = section.own end
end

describe("the example of", function()
  local all, there = reference.entries(), {}
  for _, kind in ipairs { "operation", "activation", "loss", "layer", "optimizer", "schedule",
                          "function" } do
    for _, entry in ipairs(all[kind]) do
      there[kind .. " " .. entry.name] = true
      if not inner[entry.name] then
        it(("the %s %s runs"):format(kind, entry.name), function()
          local code = assert(examples.code(entry), "there is none in bindings/reference")
          assert.truthy(#examples.run(mg, entry, code) > 0, "it prints nothing")
        end)
      end
    end
  end

  it("each is of something that there is", function()
    for title in pairs(examples.texts) do
      assert.truthy(there[title] or title:find("^any "), title)
    end
  end)
end)
