-- Reads lines "R peer workload threads metric value" and prints one table: a row's
-- figure here, the best peer's, and the reference's (what hand-written C reaches).
-- Of repeated figures it takes the median.
--
--   lua5.4 tests/bench/table.lua build/bench.txt

--- Title, workload, metric, unit; what peers call the metric; is less better?
local rows = {
  { "w1 XOR, loop in C", "w1", "steps_s_run", "steps/s", "steps_s" },
  { "w1 XOR, loop in Lua", "w1", "steps_s_call", "steps/s", "steps_s" },
  { "w1 XOR, from C", "w1", "steps_s_core", "steps/s", "steps_s" },
  { "w2 agent, batch of 1", "w2", "lat_mean_us", "us", less = true },
  { "w2 into a tensor", "w2", "lat_into_us", "us", "lat_mean_us", less = true },
  { "w2 from C", "w2", "lat_core_us", "us", "lat_mean_us", less = true },
  { "w2 1,000 agents at once", "w2", "agents_1000_us", "us", less = true },
  { "w3 Fashion-MNIST, epoch", "w3", "epoch_s", "s", less = true },
  { "w4 the same, 1024-1024", "w4", "samples_s", "samples/s" },
  { "w5 LeNet-5, training", "w5", "train_samples_s", "samples/s" },
  { "w5 LeNet-5, inference", "w5", "infer_samples_s", "samples/s" },
  { "w6 LSTM, training", "w6", "seqs_s", "seqs/s" },
  { "w7 process, AND gate", "w7", "process_ms", "ms", less = true },
  { "w8 peak memory of w3", "w8", "peak_rss_mb", "MB", less = true },
}

--- figures[workload metric threads][peer] = list of values
local figures = {}
local function note(peer, workload, threads, metric, value)
  if metric == "peak_rss_mb" and workload == "w3" then workload = "w8" end
  local key = workload .. " " .. metric .. " " .. threads
  figures[key] = figures[key] or {}
  local list = figures[key][peer] or {}
  figures[key][peer] = list
  list[#list + 1] = value
end

for line in io.lines(arg[1]) do
  local peer, workload, threads, metric, value = line:match("^R\t(.-)\t(.-)\t(.-)\t(.-)\t(.-)$")
  if peer then note(peer, workload, threads, metric, assert(tonumber(value), line)) end
end

local function median(list)
  table.sort(list)
  local n = #list
  return n % 2 == 1 and list[(n + 1) / 2] or (list[n / 2] + list[n / 2 + 1]) / 2
end

--- The best figure among those peers that 'fits' accepts, and whose it is.
local function best(row, threads, metric, fits)
  local value, whose
  for peer, list in pairs(figures[row[2] .. " " .. metric .. " " .. threads] or {}) do
    local v = median(list)
    if fits(peer) and (not value or (row.less and v < value) or (not row.less and v > value)) then
      value, whose = v, peer
    end
  end
  return value, whose
end

local function is_ours(peer) return peer == "moongrad" end
local function is_reference(peer) return peer:find("^ref") end
local function is_peer(peer) return not is_ours(peer) and not is_reference(peer) end

local function number(v)
  if not v then return "-" end
  return v >= 1e4 and ("%.0f"):format(v) or ("%.4g"):format(v)
end

--- How many times better ours is; "-" with nothing beside it.
local function ratio(row, ours, theirs)
  if not (ours and theirs) then return "-" end
  return ("%.2f"):format(row.less and theirs / ours or ours / theirs)
end

local format = "%-24s %-9s %3s %10s %10s %-12s %10s %7s %7s"
print(format:format("", "", "thr", "ours", "best peer", "", "reference", "x peer", "x ref"))
for _, row in ipairs(rows) do
  for threads = 1, 2 do
    local theirs = row[5] or row[3]
    local ours = best(row, threads, row[3], is_ours)
    local peer, whose = best(row, threads, theirs, is_peer)
    local reference = best(row, threads, theirs, is_reference)
    if ours or threads == 1 then
      print(format:format(row[1], row[4], threads, ours and number(ours) or "not yet",
        number(peer), whose or "", number(reference), ratio(row, ours, peer),
        ratio(row, ours, reference)))
    end
  end
end
