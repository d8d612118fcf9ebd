--- The examples of the reference as code to run, and what they print.

local folder = debug.getinfo(1, "S").source:match("^@(.*[/\\])") or ""
local texts = dofile(folder .. "examples.lua")
local load = loadstring or load

local examples = {}

--- The code of an entry's example; nil where it has none.
function examples.code(entry)
  local own = texts[entry.kind] and texts[entry.kind][entry.name]
  local code = own or entry.kind == "optimizer" and texts.any_optimizer
  if not code and entry.call:match("^x:[%w_]+%(") then code = texts.unary end
  if not code then return nil end
  return (code:gsub("TINY\n", function() return texts.tiny end):gsub("NAME", entry.name))
end

--- Runs it; the lines that it prints.
function examples.run(mg, entry, code)
  local lines = {}
  local env = setmetatable({ mg = mg }, { __index = _G })
  function env.print(...)
    local words = {}
    for i = 1, select("#", ...) do words[i] = tostring((select(i, ...))) end
    for line in (table.concat(words, "  ") .. "\n"):gmatch("(.-)\n") do lines[#lines + 1] = line end
  end
  local chunk = assert(load(code, "=" .. entry.name, "t", env))
  if setfenv then setfenv(chunk, env) end
  mg.seed(1)
  chunk()
  return lines
end

return examples
