-- Work of one kind until the interpreter gets Ctrl-C; see interrupt.c. Prints "ready", then
-- "stopped" as soon as the error arrives, then "whole", or what is wrong with the net.
--
--   lua5.4 tests/torture/interrupt.lua KIND [THREADS]

local mg = require "moongrad"
local kind, threads = arg[1], tonumber(arg[2] or 1)
mg.set_threads(threads)

local function dense()
  return mg.sequential { 256, mg.dense(1024, "tanh"), mg.dense(512, "tanh"), mg.dropout(0.2),
                         mg.dense(10) }
end

local function conv()
  return mg.sequential { { 3, 32, 32 }, mg.conv2d(32, 3, { padding = 1 }), mg.batchnorm(), "relu",
                         mg.conv2d(32, 3, { padding = 1 }), "relu", mg.flatten(), mg.dense(10) }
end

local function recurrent()
  return mg.sequential { { 100, 16 }, mg.lstm(128, { return_sequence = false }), mg.dense(10) }
end

-- A net with a trainer, and data: the same each time.
local function make(net, shape, n, options)
  options = options or {}
  mg.seed(3)
  net = net()
  local data = { x = mg.randn { n, shape[1], shape[2], shape[3] }, y = mg.rand(n, 10),
                 batch = options.batch or 128, shuffle = true }
  local trainer = mg.trainer { net = net, loss = options.loss or "mse",
                               optimizer = options.optimizer or mg.adam { lr = 1e-3 },
                               accumulate = options.accumulate }
  return trainer, net, data
end

local function dense_parts() return make(dense, { 256 }, 1024) end

-- kind -> what makes trainer, net and data; what works until it is stopped
local kinds = {
  run = { dense_parts, function(t, _, data) t:run(data, { epochs = 1e6 }) end },
  budget = { dense_parts, function(t, _, data)
    while true do t:run(data, { epochs = 1e6, ms = 5 }) end
  end },
  fit = { dense_parts, function(t, _, data) t:fit(1e6, data) end },
  epochs = { dense_parts, function(t, _, data) for _ in t:epochs(1e6, data) do end end },
  conv = { function() return make(conv, { 3, 32, 32 }, 96, { batch = 32 }) end,
           function(t, _, data) t:run(data, { epochs = 1e6 }) end },
  recurrent = { function() return make(recurrent, { 100, 16 }, 128) end,
                function(t, _, data) t:run(data, { epochs = 1e6 }) end },
  gathered = { function() return make(dense, { 256 }, 1024, { accumulate = 4 }) end,
               function(t, _, data) t:run(data, { epochs = 1e6 }) end },
  lua = { function()
    return make(dense, { 256 }, 1024, { loss = function(p, y) return (p - y):square():mean() end })
  end, function(t, _, data) t:run(data, { epochs = 1e6 }) end },
  lbfgs = { function()
    local optimizer = mg.lbfgs { lr = 0.1, max_iter = 5 }
    return make(dense, { 256 }, 256, { batch = 256, optimizer = optimizer })
  end, function(t, _, data) t:run(data, { epochs = 1e6 }) end },
  coroutine = { dense_parts, function(t, _, data)
    coroutine.wrap(function() t:run(data, { epochs = 1e6 }) end)()
  end },
  evaluate = { function() return make(conv, { 3, 32, 32 }, 512, { batch = 32 }) end,
               function(t, _, data) while true do t:evaluate(data) end end },
  predict = { function() return make(conv, { 3, 32, 32 }, 512, { batch = 32 }) end,
              function(_, net, data) while true do net:predict(data.x) end end },
  backward = { dense_parts, function(_, net, data)
    while true do
      net:zero_grad()
      mg.mse(net(data.x), data.y):backward()
    end
  end },
  matmul = { function() return nil, nil, mg.full({ 4096, 4096 }, 0.5) end,
             function(_, _, a) while true do a:matmul(a) end end },
}

local function say(text)
  io.write(text, "\n")
  io.flush()
end

-- Batches that the trainer has done: of 'batch' examples, in epochs of all of them.
local function steps_of(trainer, data)
  local epoch, at = trainer:position()
  local each = math.ceil(#data.x / data.batch)
  return epoch == 0 and 0 or (epoch - 1) * each + math.ceil(at / data.batch)
end

local function train(trainer, data, steps)
  if steps > 0 then trainer:run(data, { epochs = 1e6, steps = steps }) end
end

-- Is the net that of a twin which was never interrupted, now and when both go on?
local function whole(trainer, net, data)
  if not net then return true end
  local steps, hash, more = steps_of(trainer, data), net:hash(), 0
  if kind ~= "fit" and kind ~= "epochs" then more = 2 end -- those would begin another run
  local begun = trainer:position() > 0
  if not begun then mg.seed(4) end -- what is no run of the trainer draws as well
  train(trainer, data, more)
  local later = net:hash()
  local twin, twin_net, twin_data = kinds[kind][1]()
  twin_net:predict(twin_data.x:narrow(1, 1, 1))
  train(twin, twin_data, steps)
  if twin_net:hash() ~= hash then return false end
  if not begun then mg.seed(4) end
  train(twin, twin_data, more)
  return twin_net:hash() == later
end

local trainer, net, data = kinds[kind][1]()
if net then net:predict(data.x:narrow(1, 1, 1)) end
local _, err = pcall(function()
  local _, first = pcall(function()
    say "ready"
    kinds[kind][2](trainer, net, data)
  end)
  for _ = 1, 100 do first = first or "" end -- the main thread's hook, if that is not over
  error(first, 0)
end)
say "stopped"
if not tostring(err):find "interrupted" then say("another error: " .. tostring(err)) os.exit(1) end
say(whole(trainer, net, data) and "whole" or "not the net that it was after its last whole step")
