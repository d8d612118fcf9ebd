-- The table of reliability: runs the command of each row, reads its figure, and writes
-- build/reliability.md with what is promised, the figure and the command beside each other.
--
--   make reliability [ROWS="C5 F2"]
--
-- A row is one line: its name, what it shows, the command (make is make -s; it must end
-- well), a pattern whose number is the figure (at several places: the worst, or their sum
-- where the promise is at least), "most" or "least", and the promise.

local rows = {
  { "B1", "random programs of the API: failures in 1,000,000",
    "make run S='tests/fuzz/campaign.lua --programs 1000000'", "(%d+) failed", "most", 0 },
  { "B2", "every function, argument and hostile value: violations",
    "make run S=tests/fuzz/hostile.lua", "(%d+) failed", "most", 0 },
  { "B3 B4", "finalizers, callbacks that close, recurse, yield: failures, on every Lua",
    "make spec-luas S=tests/spec/reentry_spec.lua", "/ (%d+) failures", "most", 0 },
  { "B5", "an error in the k-th step, not enough memory in any: failures",
    "make spec-luas S=tests/spec/memory_spec.lua", "/ (%d+) failures", "most", 0 },
  { "C1", "allocations failing in turn, once, for good, to the very end: points that went well",
    "make torture-alloc", "figure C1 points (%d+)", "least", 100000 },
  { "C3", "leaks and errors under valgrind, and under the address and leak sanitizers",
    "make valgrind leaks", "figure C3 errors (%d+)", "most", 0 },
  { "C4", "KB left by 10,000,000 tensors and 1,000,000 models",
    "make run S=tests/torture/drift.lua", "figure C4 drift_kb (%-?%d+)", "most", 512 },
  { "C5", "MB at most of 4,000 dropped MB, nine kinds of objects, on every Lua",
    "make run-luas S=tests/torture/dropped.lua", "figure C5 peak_mb ([%d.]+)", "most", 32 },
  { "C6", "allocations in 1,000 steady steps, in C and in Lua, on every Lua",
    "make run-luas S=tests/torture/steady.lua", "figure C6 allocations (%d+)", "most", 0 },
  { "C7", "KB left by 10,000 states that open, train with 4 threads, close",
    "make states S='cycles 10000'", "figure C7 drift_kb (%-?%d+)", "most", 1024 },
  { "E3", "relative error of any op at the borders of float",
    "make test-c", "extreme: largest relative error ([%d.e-]+)", "most", 4e-7 },
  { "F1", "states that create, train, save and load at once under the thread sanitizer",
    "make tsan", "figure F1 states (%d+)", "least", 8 },
  { "F2", "children of 200 that trained, forked during and after training",
    "make states S='forks 100'", "figure F2 children (%d+)", "least", 200 },
  { "F3", "things of the host process that have changed",
    "make states S=host", "figure F3 changed (%d+)", "most", 0 },
  { "time", "ms that 99 of 100 calls of trainer:run go over their budget at most",
    "make run S=tests/torture/budget.lua", "figure time p99_ms (%-?[%d.]+)", "most", 1 },
  { "F4", "ms of work that 99 of 100 of 1,000 Ctrl-C at random moments take",
    "make interrupts", "within ([%d.]+) ms of work", "most", 20 },
  { "G1", "frames of a game with faults, a tenth of 24 hours, that end as without them",
    "make soak", "figure G1 frames (%d+)", "least", 518400 },
  { "H2", "failures of lint: imported symbols, include directions, warnings",
    "make lint", "lint: %d+ passed, (%d+) failed", "most", 0 },
}

local folder = "build/reliability"

--- Runs a command; what it wrote, and whether it ended well.
local function run(name, command)
  local log = ("%s/%s.log"):format(folder, name:gsub(" ", "-"))
  os.execute(("{ %s; echo status $?; } > %s 2>&1"):format(command:gsub("^make", "make -s"), log))
  local file = assert(io.open(log))
  local text = file:read("*a")
  file:close()
  return text, text:match("status (%d+)%s*$") == "0"
end

--- The worst of all numbers that fit the pattern, or their sum; nil where there is none.
local function figure(text, pattern, kind)
  local found
  for number in text:gmatch(pattern) do
    number = tonumber(number)
    if kind == "least" then found = (found or 0) + number
    else found = math.max(found or number, number) end
  end
  return found
end

os.execute("mkdir -p " .. folder)
local wanted, lines, failed, count = arg[1], {}, 0, 0
lines[1] = "| row | what | promise | figure | | command |\n|---|---|---|---|---|---|"
for _, row in ipairs(rows) do
  local name, what, command, pattern, kind, limit = (table.unpack or unpack)(row)
  if not wanted or wanted == "" or (" " .. wanted .. " "):find(" " .. name .. " ", 1, true) then
    local start = os.time()
    local text, well = run(name, command)
    local v = figure(text, pattern, kind)
    local within = v and (kind == "most" and v <= limit or kind == "least" and v >= limit)
    local held = well and within
    count, failed = count + 1, failed + (held and 0 or 1)
    lines[#lines + 1] = ("| %s | %s | at %s %g | %s | %s | `%s` |"):format(name, what, kind, limit,
      v and ("%g"):format(v) or "none", held and "held" or "NOT HELD", command)
    print(("%-6s %-8s %10s  (at %s %g)  %s, %d s"):format(name, held and "held" or "NOT HELD",
      v and ("%g"):format(v) or "none", kind, limit, command, os.time() - start))
    io.stdout:flush()
    local file = assert(io.open("build/reliability.md", "w"))
    file:write(table.concat(lines, "\n"), "\n")
    file:close()
  end
end
print(("reliability: %d passed, %d failed"):format(count - failed, failed))
os.exit(failed == 0 and 0 or 1)
