-- What the benchmarks share: the library of this tree, a clock, rates, one line
-- a figure in the form "R peer workload threads metric value", tab-separated.

local bench = { mg = require "moongrad" }

local system = require "moongrad.system"
bench.clock = system.clock

function bench.out(workload, metric, value, peer)
  print(("R\t%s\t%s\t%d\t%s\t%.6g"):format(peer or "moongrad", workload,
    bench.mg.info().threads, metric, value))
end

--- Calls f(n) with one thread in use, then with two where the library has threads.
function bench.each_threads(f)
  local set = bench.mg.set_threads
  for n = 1, set and 2 or 1 do
    if set then set(n) end
    f(n)
  end
end

--- Calls f until 'seconds' have gone by, after a warm-up; calls per second.
function bench.rate(f, seconds)
  local function spin(limit)
    local start, n = bench.clock(), 0
    local now
    repeat
      f()
      n, now = n + 1, bench.clock()
    until now - start >= limit
    return n / (now - start)
  end
  spin(0.3)
  return spin(seconds or 1)
end

--- Peak memory of this process in MB, where the system tells.
function bench.peak_mb()
  for line in io.lines("/proc/self/status") do
    local kb = line:match("^VmHWM:%s*(%d+)")
    if kb then return kb / 1024 end
  end
end

return bench
