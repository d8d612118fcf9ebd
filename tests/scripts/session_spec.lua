-- scripts/SESSION.md, typed again: every line after "$ " in its console blocks, in one shell
-- each, in a folder where files may be left; what it shows must come out, in that order.

local read = require "tests.spec.helper".read
local exact = require "moongrad".info().isa:find "avx" -- others may round differently

local function run(command)
  local pipe = assert(io.popen(command .. " 2>&1"))
  local text = pipe:read "*a"
  pipe:close()
  return text
end

local folder = run("mktemp -d"):match "%S+"
run(("ln -s %s/* %s"):format(os.getenv "PWD", folder))
local config = read "README.md":match "From a shell\n.-\n\n(    local mg = .-\n    })\n"
local file = assert(io.open(folder .. "/xor.lua", "wb"))
file:write((config:gsub("    (.-\n)", "%1")))
file:close()

--- The lines that a shell prints for a block, with each command before its own.
local function typed(block)
  local lines = { "cd " .. folder, "export HOME=" .. folder, "PATH=$HOME/local/bin:$PATH",
                  "unset LUA_PATH LUA_CPATH LUA_PATH_5_4 LUA_CPATH_5_4" }
  for command in block:gmatch "%$ ([^\n]*)" do
    lines[#lines + 1] = ("echo '$ %s'\n%s"):format(command:gsub("'", "'\\''"), command)
  end
  local script = assert(io.open(folder .. "/typed", "wb"))
  script:write(table.concat(lines, "\n"), "\n")
  script:close()
  return run("sh " .. folder .. "/typed")
end

describe("the session of scripts/SESSION.md", function()
  teardown(function() os.execute("rm -rf " .. folder) end)
  local count = 0
  for block in read "scripts/SESSION.md":gmatch "```console\n(.-)```" do
    count = count + 1
    it(("goes as it is written down, block %d"):format(count), function()
      local text, at = "\n" .. typed(block), 1
      for line in block:gmatch "[^\n]+" do
        if line ~= ".." and (exact or line:find "^%$") then
          local _, last = text:find("\n" .. line:match "^(.-)%s*$", at, true)
          assert(last, ("%s\nis not in, or not in its place:\n%s"):format(line, text))
          at = last
        end
      end
    end)
  end
  it("left pictures behind", function()
    assert.is_true(count >= 4)
    for name in read "scripts/SESSION.md":gmatch "%-%-%l+ ([%w-]+%.png)" do
      if name ~= "x.png" then assert.equal("\137PNG", read(folder .. "/" .. name):sub(1, 4)) end
    end
  end)
end)
