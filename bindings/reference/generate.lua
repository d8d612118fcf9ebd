-- Writes what is made from the tables of the library: README.md beside this, the reference
-- with examples and what they print; and types.lua, LuaCATS annotations for editors.
--
--   lua5.4 bindings/reference/generate.lua           -- "make docs"
--   lua5.4 bindings/reference/generate.lua --check   -- status 1 where one of them is stale

local mg = require "moongrad"
local reference = require "moongrad.reference"

local folder = arg[0]:match("^(.*[/\\])") or ""
local examples = dofile(folder .. "examples.lua")
local types = dofile(folder .. "types_text.lua")

--- An entry's example in Markdown, what it prints behind it.
local function shown(entry)
  local code = examples.code(entry)
  if not code then return nil end
  local lines = examples.run(mg, entry, code)
  for i, line in ipairs(lines) do lines[i] = ("--> " .. line):gsub("%s+$", "") end
  return ("```lua\n%s\n%s\n```\n"):format(code, table.concat(lines, "\n"))
end

local function read(path)
  local file = io.open(path, "rb")
  if not file then return nil end
  local text = file:read("*a")
  file:close()
  return text
end

local stale = {}
for name, text in pairs { ["README.md"] = reference.text(shown),
                          ["types.lua"] = types(reference.entries()) } do
  if arg[1] == "--check" then
    if read(folder .. name) ~= text then stale[#stale + 1] = folder .. name end
  else
    local file = assert(io.open(folder .. name, "wb"))
    file:write(text)
    file:close()
  end
end
if #stale > 0 then
  io.stderr:write("stale, run \"make docs\": ", table.concat(stale, ", "), "\n")
  os.exit(1)
end
