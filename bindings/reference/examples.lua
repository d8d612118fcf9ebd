--- The examples of the reference as code to run, and what they print.

local folder = debug.getinfo(1, "S").source:match("^@(.*[/\\])") or ""
local load = loadstring or load

local examples = { texts = {} } -- texts: by "kind name"

local title
for line in io.lines(folder .. "examples.txt") do
  title = line:match("^== (.*)") or title
  if line:find("^==") then examples.texts[title] = ""
  elseif title then examples.texts[title] = examples.texts[title] .. line .. "\n" end
end

--- The code of an entry's example; nil where it has none.
function examples.code(entry)
  local texts = examples.texts
  local code = texts[entry.kind .. " " .. entry.name] or texts["any " .. entry.kind]
  if not code and entry.call:match("^x:[%w_]+%(") then code = texts["any unary"] end
  if not code then return nil end
  code = code:gsub("TINY\n", function() return texts["any tiny"]:gsub("%s+$", "\n") end)
  return (code:gsub("NAME", entry.name):gsub("%s+$", ""))
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
