-- Given to busted by --helper: notes which lines of these files run, and prints in the end
-- how many of all did, and which did not.
--
--   busted --helper=tests/lines.lua tests/spec/files_spec.lua

local names = { "files", "safetensors", "architecture", "model", "resume" }

local seen = {}
for _, name in ipairs(names) do seen[("@bindings/moongrad/%s.lua"):format(name)] = {} end

debug.sethook(function(_, line)
  local source = debug.getinfo(2, "S").source
  local lines = seen[source:match "@bindings/moongrad/%w+%.lua$" or source:gsub("^@.*/bindings/",
    "@bindings/")]
  if lines then lines[line] = true end
end, "l")

--- All lines of a file that have code, from the listing of the compiler.
local function lines_of(path)
  local pipe, lines = io.popen("luac5.4 -l -l -p " .. path), {}
  for text in pipe:lines() do
    local line, instruction = text:match "^%s*%d+%s+%[(%d+)%]%s+(%u+)"
    if line and instruction ~= "VARARGPREP" then lines[tonumber(line)] = true end
  end
  pipe:close()
  return lines
end

require("busted").subscribe({ "exit" }, function()
  debug.sethook()
  for _, name in ipairs(names) do
    local path = ("bindings/moongrad/%s.lua"):format(name)
    local all, run, missing = 0, 0, {}
    for line in pairs(lines_of(path)) do
      all = all + 1
      if seen["@" .. path][line] then run = run + 1 else missing[#missing + 1] = line end
    end
    table.sort(missing)
    print(("%-24s %6.2f %% of %d lines  %s"):format(name .. ".lua", 100 * run / all, all,
      table.concat(missing, " ")))
  end
end)
