-- A script for wrk that compares each answer with the circle that the net has learned.
local wrong, n = 0, 0
local points = { { "0", "0", "inside" }, { "0.9", "-0.9", "outside" }, { "0.1", "0.2", "inside" },
                 { "-1", "0.7", "outside" } }
local threads = {}

function setup(thread)
  threads[#threads + 1] = thread
  thread:set("number", #threads)
end

-- All requests of a thread are the same: it is not told which one an answer belongs to.
local expected
function init()
  local point = points[number]
  wrk.path, expected = ("/?x=%s&y=%s"):format(point[1], point[2]), point[3]
end

function response(status, _, body)
  n = n + 1
  if status ~= 200 or body ~= expected then wrong = wrong + 1 end
  answers, mistakes = n, wrong
end

function done(summary, latency)
  local all, bad = 0, 0
  for _, t in ipairs(threads) do
    all, bad = all + (t:get "answers" or 0), bad + (t:get "mistakes" or 0)
  end
  local e = summary.errors
  local failed = bad + e.connect + e.read + e.write + e.status + e.timeout
  print(("requests %d, wrong %d, 99 of 100 within %.1f ms, all within %.1f ms"):format(all, failed,
    latency:percentile(99) / 1000, latency.max / 1000))
  if all > 0 and failed == 0 and latency.max < 1e6 then print "all is well" end
end
