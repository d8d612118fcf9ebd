-- Runs the Python program of a topic and gives its cases, or nothing where there is no
-- PyTorch: the specs are skipped then.
local json = require "cjson"
local busted = require "busted"

local torch = {}

-- A Python that has PyTorch; Debian's comes before what a user may have put in PATH.
function torch.python()
  for _, name in ipairs { os.getenv "PYTHON" or "/usr/bin/python3", "python3" } do
    local pipe = io.popen(name .. " -c 'import torch; print(1)' 2>/dev/null")
    local found = pipe:read "*a" == "1\n"
    pipe:close()
    if found then return name end
  end
end

-- describe() of one topic: tests/torch/TOPIC.py prints {name = case}; 'check(case)'
-- is called in a test of its own for each, in the order of their names.
function torch.compare(topic, check)
  busted.describe("as PyTorch has it, " .. topic .. ":", function()
    local python = torch.python()
    if not python then
      busted.pending "skipped, there is no PyTorch (Debian: python3-torch)"
      return
    end
    local pipe = io.popen(("%s tests/torch/%s.py"):format(python, topic))
    local text = pipe:read "*a"
    pipe:close()
    local cases, names = json.decode(text), {}
    for name in pairs(cases) do names[#names + 1] = name end
    table.sort(names)
    assert(#names > 0, topic .. ".py prints no cases")
    for _, name in ipairs(names) do
      busted.it(name, function() check(cases[name], name) end)
    end
  end)
end

return torch
