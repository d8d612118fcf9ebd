-- The table of reliability: runs the command of each row, reads its figure, and writes
-- build/reliability.md with what is promised, the figure and the command beside each other,
-- a row as soon as it is done.
--
--   make reliability [ROWS="C5 F2"] [QUICK=1]       ROWS=help: the rows, how long each takes
--
-- A row has a name, what it shows, the command (make is make -s; it must end well), a pattern
-- whose number is the figure, the promise (at "most", the worst figure counts; at "least",
-- their sum), how often the figure must come (5 where it says every Lua), and minutes of one
-- core. With QUICK=1 counts are a hundredth of what the row says, to see that it works; some
-- commands have no count.

local quick = os.getenv "QUICK" == "1"
local unpack = table.unpack or unpack

--- A count as text, or a hundredth of it, but no less than 'least'.
local function n(count, least)
  return ("%d"):format(quick and math.max(count / 100, least or 1) or count)
end

local function specs(...)
  local files = table.concat({ ... }, "_spec.lua tests/spec/")
  return "make asan-luas S='tests/plain.lua tests/spec/" .. files .. "_spec.lua'"
end

local FAILURES = "plain: %d+ passed, (%d+) failed"

local rows = {
  { "B1", "random programs under sanitizers, 200,000 on every Lua: failures",
    "make fuzz-asan-luas PROGRAMS=" .. n(200000), "campaign: .- passed, (%d+) failed", "most", 0,
    5, 100 },
  -- B2 to B5 in a sanitized build as well
  { "B2", "every function, argument and hostile value, on every Lua: violations",
    "make asan-luas S=tests/fuzz/hostile.lua", "hostile: .- passed, (%d+) failed", "most", 0,
    5, 3 },
  { "B3", "finalizers, swapped metatables, use after close, on every Lua: failures",
    specs("finalizer", "memory"), FAILURES, "most", 0, 5, 1 },
  { "B4", "callbacks that fail, close, recurse, yield; 1e5 coroutines, on every Lua: failures",
    specs("callback", "reentry"), FAILURES, "most", 0, 5, 2 },
  { "B5", "an error or a close in the k-th step, all k to 200, on every Lua: failures",
    specs("busy"), FAILURES, "most", 0, 5, 1 },
  { "C1", "allocations failing in turn, once, for good, to the very end: points that went well",
    "make torture-alloc" .. (quick and " EVERY=100" or ""), "figure C1 points (%d+)", "least",
    tonumber(n(100000)), 1, 25 },
  { "C3", "leaks and errors under valgrind, and under the address and leak sanitizers",
    "make valgrind leaks", "figure C3 errors (%d+)", "most", 0, 2, 10 },
  { "C4", "KB left by 10,000,000 tensors and 1,000,000 models",
    "make run S='tests/torture/drift.lua --scale " .. (quick and 0.01 or 1) .. "'",
    "figure C4 drift_kb (%-?%d+)", "most", 512, 1, 2 },
  { "C5", "MB at most of 4,000 dropped MB, nine kinds of objects, on every Lua",
    "make run-luas S='tests/torture/dropped.lua --count " .. n(4000) .. "'",
    "figure C5 peak_mb ([%d.]+)", "most", 32, 5, 5 },
  { "C6", "allocations in 1,000 steady steps, in C and in Lua, on every Lua",
    "make run-luas S=tests/torture/steady.lua", "figure C6 allocations (%d+)", "most", 0, 5, 1 },
  { "C7", "KB left by 10,000 states that open, train with 4 threads, close",
    "make states S='cycles " .. n(10000) .. "'", "figure C7 drift_kb (%-?%d+)", "most", 1024,
    1, 5 },
  { "E3", "relative error of any op at the borders of float",
    "make test-c", "extreme: largest relative error ([%d.e-]+)", "most", 4e-7, 1, 3 },
  { "E4", "NaN and infinity in each layer at each step, on every Lua: not seen, or not harmless",
    "make run-luas S=tests/torture/finite.lua", "finite: %d+ passed, (%d+) failed", "most", 0,
    5, 1 },
  { "E4-cost", "percent of the instructions of a step, of w1 and w3, that looking for them takes",
    "make count-checks", "figure E4 cost_percent (%-?[%d.]+)", "most", 1, 2, 2 },
  { "F1", "states that create, train, save and load at once under the thread sanitizer",
    "make tsan", "figure F1 states (%d+)", "least", 8, 1, 3 },
  { "F2", "children of 200 that trained, forked during and after training",
    "make states S='forks " .. n(100) .. "'", "figure F2 children (%d+)", "least",
    tonumber(n(200)), 1, 1 },
  { "F3", "things of the host process that have changed",
    "make states S=host", "figure F3 changed (%d+)", "most", 0, 1, 1 },
  { "F4", "ms of work that 99 of 100 of 1,000 Ctrl-C at random moments take",
    "make interrupts INTERRUPTS=" .. n(1000, 14), "within ([%d.]+) ms of work", "most", 20, 1, 8 },
  { "time", "ms that 99 of 100 calls of trainer:run go over their budget at most",
    "make run S='tests/torture/budget.lua --frames " .. n(1000) .. "'",
    "figure time p99_ms (%-?[%d.]+)", "most", 1, 1, 1 },
  { "G1", "frames of a game with faults, a tenth of 24 hours, that end as without them",
    "make states S='soak " .. n(518400) .. "'", "figure G1 frames (%d+)", "least",
    tonumber(n(518400)), 1, 2 },
  { "H2", "failures of lint: imported symbols, include directions, warnings",
    "make lint", "lint: %d+ passed, (%d+) failed", "most", 0, 1, 4 },
}

local folder = "build/reliability"

--- Runs a command; what it wrote, and whether it ended well.
local function run(name, command)
  local log = ("%s/%s.log"):format(folder, name)
  os.execute(("{ %s; echo status $?; } > %s 2>&1"):format(command:gsub("^make", "make -s"), log))
  local file = assert(io.open(log))
  local text = file:read("*a"):gsub("[^\r\n]*\r", "") -- without the progress of what runs long
  file:close()
  return text, text:match("status (%d+)%s*$") == "0"
end

--- The worst of all numbers that fit the pattern, or their sum; and how many there are.
local function figure(text, pattern, kind)
  local found, count
  count = 0
  for number in text:gmatch(pattern) do
    number, count = tonumber(number), count + 1
    if kind == "least" then found = (found or 0) + number
    else found = math.max(found or number, number) end
  end
  return found, count
end

--- Why a row does not hold, in a few words: a tool that is missing, else what failed first.
local function reason(text, within, count, times)
  for _, pattern in ipairs { "[^\n]*not found[^\n]*", "[^\n]*no valgrind[^\n]*",
                             "[^\n]*No such file[^\n]*", "not ok[^\n]*", "[^\n]*%*%*%*[^\n]*" } do
    local line = text:match(pattern)
    if line then return line:gsub("|", "/"):sub(1, 120) end
  end
  if count < times then return ("%d of %d figures came"):format(count, times) end
  return within and "the command failed" or "the figure"
end

local wanted = " " .. (arg[1] or "") .. " "
if wanted:find "help" then
  for _, row in ipairs(rows) do print(("%-8s %3d min  %s"):format(row[1], row[8], row[2])) end
  return
end
for name in wanted:gmatch "%S+" do
  local known
  for _, row in ipairs(rows) do known = known or row[1] == name end
  if not known then
    io.stderr:write(('reliability: no row "%s"; ROWS=help lists them\n'):format(name))
    os.exit(2)
  end
end
os.execute("mkdir -p " .. folder)
local lines, failed, done = {}, 0, 0
if quick then lines[1] = "Made with QUICK=1: counts are a hundredth of what the rows say.\n" end
lines[#lines + 1] = "| row | what | promise | figure | | command |\n|---|---|---|---|---|---|"

for _, row in ipairs(rows) do
  local name, what, command, pattern, kind, limit, times = unpack(row)
  if not wanted:find "%S" or wanted:find(" " .. name .. " ", 1, true) then
    local start = os.time()
    local text, well = run(name, command)
    local v, count = figure(text, pattern, kind)
    local within = v and count >= times and (kind == "most" and v <= limit or
                                             kind == "least" and v >= limit)
    local shown = v and ("%.10g"):format(v) or "none"
    local verdict = well and within and "held" or
      "NOT HELD: " .. reason(text, within, count, times)
    done, failed = done + 1, failed + (well and within and 0 or 1)
    lines[#lines + 1] = ("| %s | %s | at %s %.10g | %s | %s | `%s` |"):format(name, what, kind,
      limit, shown, verdict, command)
    print(("%-8s %10s  (at %s %.10g)  %s, %d s: %s"):format(name, shown, kind, limit, command,
      os.time() - start, verdict))
    io.stdout:flush()
    local file = assert(io.open("build/reliability.md", "w"))
    file:write(table.concat(lines, "\n"), "\n")
    file:close()
  end
end
print(("reliability: %d passed, %d failed"):format(done - failed, failed))
os.exit(failed == 0 and 0 or 1)
