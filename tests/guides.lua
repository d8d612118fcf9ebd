-- Follows the guides where that takes a compiler, in copies under a folder: what
-- adding_an_op.md adds is built and tried, and what embedding.md builds is run. Blocks that
-- begin with a + belong to such a copy: of C with the file that they are added to, of Lua to
-- be run with what was built. Prints TAP.
--
--   lua5.4 tests/guides.lua build/amalgamation     (after make amalgamation)

local amalgamation = assert(arg[1], "which folder?")
local pipe = io.popen "mktemp -d"
local folder, count, failed = pipe:read "*l", 0, 0
pipe:close()

local function read(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read "*a"
  file:close()
  return text
end

local function write(path, text)
  local file = assert(io.open(path, "wb"))
  file:write(text)
  file:close()
end

--- What a command of the shell prints in the folder, and whether it went well.
local function run(command)
  write(folder .. "/command", command)
  local out = io.popen(("cd %s && sh -e ./command 2>&1; echo \" status $?\""):format(folder))
  local text = out:read "*a"
  out:close()
  return text, text:find(" status 0%s*$") ~= nil
end

local function fact(name, holds, text)
  count = count + 1
  if not holds then failed = failed + 1 end
  print(("%s %d - %s"):format(holds and "ok" or "not ok", count, name))
  if not holds then print(text) end
end

local function here(path) return os.getenv "PWD" .. "/" .. path end

--- Calls f(where, code) for each block of a guide in that language.
local function blocks(guide, language, f)
  for where, code in read(guide):gmatch("```" .. language .. "([^\n]*)\n(.-)```") do
    f(where:match "^%s*%+?(.*)$", code, where:find("+", 1, true))
  end
end

--------------------------------------------------------------------- adding an op

local guide = "bindings/guides/adding_an_op.md"
run(("cp -r %s %s %s ."):format(here "core", here "bindings", here "tests"))

blocks(guide, "c", function(path, code)
  path = folder .. "/" .. path
  local text, tail = read(path), ""
  if path:find("%.def$") then text, tail = text:match("^(.-)(\n#ifdef.*)$") end -- above its end
  write(path, assert(text, path) .. "\n" .. code .. tail)
end)

local sources = "core/*.c core/ops/*.c core/layers/*.c core/kernels/*.c -lm -lpthread"
local compile = (os.getenv "CC" or "cc") .. " -w -Wno-psabi -O0 -std=c11 -ffp-contract=off "
  .. "-D_POSIX_C_SOURCE=200809L "
local text, fine = run(([[
%s -DMGRAD_REAL_DOUBLE tests/c/grad.c %s -o grad &
mkdir moongrad
binding="$(pkg-config --cflags lua5.4) bindings/[!p]*.c bindings/posix.c"
%s -fPIC -shared $binding %s -o moongrad/core.so
wait
./grad hardsigmoid]]):format(compile, sources, compile, sources))
fact("the op of the guide has the gradient that it says",
  fine and text:find("gradients: 2 passed, 0 failed", 1, true), text)

blocks(guide, "lua", function(_, code, built)
  if not built then return end
  write(folder .. "/try.lua", code)
  text, fine = run [[
export LUA_PATH_5_4='bindings/?.lua;bindings/?/init.lua;;' LUA_CPATH_5_4='./?.so'
lua5.4 try.lua]]
  local loss = tonumber(text:match("(%S+)%s+status"))
  fact("Lua knows it, with its help, as activation and in training",
    fine and text:find("{    0, 0.25,  0.5, 0.75,    1 }", 1, true) and loss and loss < 0.1
    and text:find("three straight lines", 1, true) and text:find("\ntrue\n", 1, true)
    and text:find(", hardsigmoid\n", 1, true), text)
end)

------------------------------------------------------------------------ embedding

run(("cp %s/*.[ch] %s ."):format(here(amalgamation), here "tests/hosts/*.c"))
blocks("bindings/guides/embedding.md", "sh", function(_, code)
  text, fine = run((code:gsub("%-O2", "-O0")))
  fact("as the guide says: " .. code:match("([^\n]*)\n[^\n]*$"), fine, text)
end)

os.execute("rm -rf " .. folder)
print("1.." .. count)
os.exit(failed == 0 and 0 or 1)
