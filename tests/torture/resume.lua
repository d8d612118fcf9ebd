-- Training that stops at any batch and goes on from a file in a trainer made anew ends with
-- the same bits as training that never stopped: for every optimizer, on 1, 2 and 3 threads,
-- from each of so many batches; and with all that has a state at once.
--
--   lua tests/torture/resume.lua [points]

local mg = require "moongrad"
local facts = require "tests.torture.facts"
local check = facts.check
local points = tonumber(arg[1]) or 50

local pipe = io.popen "mktemp -p /dev/shm 2>/dev/null || mktemp" -- thousands of fsyncs
local path = pipe:read "*l"
pipe:close()

-- What must be equal in the end: weights, buffers and averages, and the next random number.
local function outcome(t)
  local o, net = t:parts().optimizer, t:parts().net
  local fine, average = pcall(o.averaged, o, function() return net:hash() end)
  return ("%s %s %.17g"):format(net:hash(), fine and average or "", mg.rand(1)[1])
end

-- Is the end the same from each of 'points' batches? new() gives a trainer, run(trainer,
-- after) trains it, calling after() after each batch.
local function try(name, new, run)
  mg.seed(1)
  local t, count = new(), 0
  run(t, function() count = count + 1 end)
  local whole = outcome(t)
  for i = 1, math.min(points, count) do
    local stop = math.ceil(i * count / math.min(points, count))
    mg.seed(1)
    t = new()
    local batches = 0
    local ok, message = pcall(run, t, function()
      batches = batches + 1
      if batches == stop then
        assert(t:save(path))
        error "power failure"
      end
    end)
    assert(not ok and tostring(message):find "power failure", message)
    mg.seed(i) -- whatever else was done meanwhile
    t = new()
    mg.rand(i)
    assert(t:load(path))
    run(t, function() end)
    check(outcome(t) == whole, "%s from batch %d", name, stop)
  end
end

--------------------------------------------------------------------- optimizers

local EPOCHS = 9
local labels = {}
for i = 1, 22 do labels[i] = i * 7 % 3 + 1 end
mg.seed(99)
local data = { x = mg.randn(22, 5), y = labels, batch = 4, shuffle = true }

for name, optimizer in pairs(mg.optimizers) do
  for threads = 1, 3 do
    mg.set_threads(threads)
    try(("%s, %d threads"):format(name, threads), function()
      return mg.trainer { loss = "cross_entropy", optimizer = optimizer { clip_norm = 2 },
        net = mg.sequential { 5, mg.dense(6), mg.batchnorm(), "tanh", mg.dropout(0.2),
                              mg.dense(3) } }
    end, function(t, after)
      while t:run(data, { epochs = EPOCHS, steps = 1 }) ~= "done" do after() end
    end)
  end
end

------------------------------------------------------------------- all at once

local pictures = mg.data.dataset { x = mg.rand(23, 1, 6, 6), y = mg.rand(23, 2) }
  :augment { flip = true, shift = 1, noise = 0.1 }
local others = { x = mg.rand(6, 1, 6, 6), y = mg.rand(6, 2) }

for threads = 1, 3 do
  mg.set_threads(threads)
  local epochs = 0
  try(("all at once, %d threads"):format(threads), function()
    return mg.trainer { loss = "mse", metrics = { "r2" },
      optimizer = mg.adam { ema = 0.9, clip_norm = 1, weight_decay = 0.01,
        lr = mg.schedule.plateau { lr = 0.05, patience = 1, factor = 0.5, cooldown = 1 } },
      net = mg.sequential { { 1, 6, 6 }, mg.conv2d(2, 3), mg.batchnorm(), "relu",
                            mg.dropout(0.2), mg.flatten(), mg.dense(2) } }
  end, function(t, after)
    local rows = t:fit(60, pictures, { batch = 4, shuffle = true, accumulate = 4,
      validation = others, patience = 8, restore_best = true, on_batch = after })
    epochs = math.max(epochs, #rows)
  end)
  check(epochs > 8 and epochs < 60, "all at once: patience ends it after %d epochs", epochs)
end

os.remove(path)
facts.finish "resume"
