-- Checks what a compiler does not: that includes go one way only, that the core
-- imports nothing a library must not use, and that the modules export nothing
-- but their entry points.
--
--   lua5.4 tests/lint.lua LIBRARY MODULE..

local passed, failed = 0, 0

--- One fact: it holds when the list of what speaks against it is empty.
local function fact(text, against)
  if #against == 0 then passed = passed + 1 return end
  failed = failed + 1
  print("not ok - " .. text .. ": " .. table.concat(against, ", "))
end

local function lines(command)
  local pipe, list = assert(io.popen(command)), {}
  for line in pipe:lines() do list[#list + 1] = line end
  pipe:close()
  return list
end

---------------------------------------------------------- include directions

-- What may be included from where: a file sees its own level and those below.
local levels = {
  { "base", "moongrad", "isa" },
  { "context", "code", "pool", "threads", "random", "shape" },
  { "tensor", "augment", "state", "kernels/" },
  { "op", "attrs", "init", "anomaly" },
  { "ops/", "tape", "plan", "record", "layout", "fuse", "layer", "call", "further", "params",
    "where" },
  { "layers/", "optimizer", "optimizers", "average", "gather", "minimise", "lbfgs", "recall",
    "dataset", "metric", "backup" },
  { "judge", "table" },
  { "trainer", "evaluate", "resume" },
}

local function level(path)
  local name = path:gsub("^core/", ""):gsub("%.[ch]$", "")
  for i, names in ipairs(levels) do
    for _, prefix in ipairs(names) do
      if name == prefix or (prefix:sub(-1) == "/" and name:sub(1, #prefix) == prefix) then
        return i
      end
    end
  end
end

local function includes(path)
  local list = {}
  for line in io.lines(path) do
    list[#list + 1] = line:match('^%s*#%s*include%s+"([^"]+)"')
  end
  return list
end

--- "core/ops/x.c" including "../op.h" gives "core/op.h".
local function resolve(from, to)
  local folder = from:match("^(.*)/")
  while to:sub(1, 3) == "../" do
    folder, to = folder:match("^(.*)/") or "", to:sub(4)
  end
  return folder .. "/" .. to
end

for _, path in ipairs(lines("find core -name '*.[ch]' | sort")) do
  local own, wrong = level(path), {}
  for _, name in ipairs(includes(path)) do
    local target = resolve(path, name)
    local other = level(target) or 99
    if not target:find("%.def$") and other > (own or 0) then wrong[#wrong + 1] = target end
  end
  fact(path .. " includes only what lies below it", own and wrong or { "it has no level here" })
end

for _, path in ipairs(lines("find bindings -maxdepth 1 -name '*.[ch]' | sort")) do
  local wrong = {}
  for _, name in ipairs(includes(path)) do
    local target = resolve(path, name)
    if target:find("^core/") and target ~= "core/moongrad.h" then wrong[#wrong + 1] = target end
  end
  fact(path .. " sees of the core only moongrad.h", wrong)
end

------------------------------------------------------------------ the header

-- Each function and type of moongrad.h has a comment on its line, or above it or above the
-- type of its callback.
do
  local bare, told = {}, false
  for line in io.lines("core/moongrad.h") do
    local declares = line:find("^MGRAD_API") or line:find("^typedef")
    if declares and not told and not line:find("/*", 1, true) then
      bare[#bare + 1] = line:match("(mgrad_[%w_]+)%(") or line
    end
    if line:find("*/%s*$") and not declares then
      told = not line:find("^ ") and not line:find("^/%* %-%-")
    elseif line:find("^MGRAD_API") or line == "" then
      told = false
    end
  end
  fact("moongrad.h says what each of its functions and types is", bare)
end

--------------------------------------------------------------------- symbols

-- All that the core may take from the C library. Of its functions of numbers only
-- those that IEEE 754 fixes: the others give other bits in another library.
local function names(text)
  local list = {}
  for name in text:gmatch("%S+") do list[name] = true end
  return list
end

local allowed = names [[
    realloc free memcpy memmove memset memcmp strlen strcmp strcspn strchr strncmp
    sqrt sqrtf fabs fabsf fma fmaf floor
    pthread_create pthread_join pthread_attr_init pthread_attr_setstacksize
    pthread_attr_destroy pthread_sigmask sigfillset getpid
    pthread_mutex_init pthread_mutex_lock pthread_mutex_unlock pthread_mutex_destroy
    pthread_cond_init pthread_cond_wait pthread_cond_signal pthread_cond_broadcast
    pthread_cond_destroy
    __stack_chk_fail _GLOBAL_OFFSET_TABLE_ __cpu_model ]]

-- What the modules may take besides, and Lua's own: none has a way to end the process, to
-- print or to change it; only system touches files, the clock and the terminal.
local of_module = {
  core = names [[ memchr strrchr strncpy floor ldexp frexp nearbyint nearbyintf ]],
  png = names [[ ]],
  system = names [[ strrchr __errno_location __xpg_strerror_r access clock_gettime close fchmod
    fchown flock fstat fsync ioctl isatty lstat open open64 read realpath rename stat unlink
    write ]],
}
local usual = names [[ __cxa_finalize __gmon_start__ _ITM_deregisterTMCloneTable
  _ITM_registerTMCloneTable __stack_chk_fail ]]

local library = arg[1]
local defined, foreign, mutable = {}, {}, {}
for _, line in ipairs(lines("nm --defined-only " .. library)) do
  local name = line:match("^%x+ %a (%S+)$")
  if name then defined[name] = true end
end
for _, line in ipairs(lines("nm -u " .. library)) do
  local name = line:match("^%s+U (%S+)$")
  if name and not defined[name] and not allowed[name] then foreign[#foreign + 1] = name end
end
fact("the core imports only what is allowed", foreign)

local strange = {}
for _, line in ipairs(lines("nm -g --defined-only " .. library)) do
  local name = line:match("^%x+ %a (%S+)$")
  if name and not name:find("^mgrad_") then strange[#strange + 1] = name end
end
fact("the core exports only names that begin with mgrad_", strange)

-- Written data that outlives a call would be state of the process.
for _, line in ipairs(lines("nm --format=sysv --defined-only " .. library)) do
  local name, section = line:match("^(%S+)%s*|.*|(%S+)$")
  if name and (section:find("^%.bss") or section == ".data" or
     section:find("^%.data%.[^r]") or section:find("^%.tbss") or section == "*COM*") then
    mutable[#mutable + 1] = name
  end
end
fact("the core has no mutable globals", mutable)

for i = 2, #arg do
  local exported = {}
  for _, line in ipairs(lines("nm -D --defined-only " .. arg[i])) do
    local name = line:match("^%x+ %a (%S+)$")
    if name and not name:find("^luaopen_moongrad_") then exported[#exported + 1] = name end
  end
  fact(arg[i] .. " exports only its entry point", exported)
  local own, others = of_module[arg[i]:match("(%w+)%.so$")], {}
  for _, line in ipairs(lines("nm -D -u " .. arg[i])) do
    local name = line:match("%s[Uw] ([%w_]+)")
    if name and not (own[name] or usual[name] or allowed[name] or name:find("^luaL?_")) then
      others[#others + 1] = name
    end
  end
  fact(arg[i] .. " imports only what is allowed", others)
end

print(("lint: %d passed, %d failed"):format(passed, failed))
os.exit(failed == 0 and 0 or 1)
