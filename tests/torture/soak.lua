-- Frames of a game that infers and learns, from one to another, for states.c, which does
-- them all in one state, or in many with faults in between: (first, last, path, fail). With
-- 'fail', a function that lets the n-th allocation from now on fail (0: none), saving, steps
-- and predictions meet faults of every kind, and are done again. Returns the net's hash.

local mg = require "moongrad"
local first, last, path, fail = ...

local LEARN, SAVE, FAULT = 3, 1500, 50 -- frames from one to the next
local BATCHES = 16

mg.seed(1)
local net = mg.sequential { 6, mg.dense(12, "tanh"), mg.layernorm(), mg.dense(3) }
local trainer = mg.trainer { net = net, loss = "cross_entropy",
                             optimizer = mg.adam { lr = 1e-4, clip_norm = 1 } }
local inputs, labels, out = {}, {}, mg.zeros(8, 3)
for i = 1, BATCHES do
  inputs[i] = mg.randn(8, 6)
  labels[i] = mg.tensor { 1, 2, 3, 1, 2, 3, 1, i % 3 + 1 }
end
if first > 1 then assert(trainer:load(path)) end

--- f(...), which is to go well; where the n-th allocation fails, it may say so, once.
local function survive(n, f, ...)
  if fail then
    fail(n)
    local ok, result, message = pcall(f, ...)
    fail(0)
    if ok and (result or not message) then return result end
    assert(tostring(ok and message or result):find("not enough memory", 1, true))
  end
  return f(...)
end

--- What is refused leaves no trace.
local function mistakes(x, y)
  local before = net:hash()
  assert(not pcall(trainer.step, trainer, x * (0 / 0), y))
  assert(not pcall(trainer.step, trainer, mg.ones(8, 7), y))
  assert(not pcall(net.predict, net, "x", out))
  assert(not trainer:save("/nowhere/at/all"))
  assert(not trainer:load("/nowhere/at/all"))
  assert(net:hash() == before)
end

for frame = first, last do
  local x, y = inputs[frame % BATCHES + 1], labels[frame % BATCHES + 1]
  local at_first = frame - first < 2 * LEARN -- while plans are made
  local n = (at_first or frame % FAULT == 0) and frame * 7 % 200 + 1 or 0
  survive(n, net.predict, net, x, out)
  if frame % LEARN == 0 then survive(n, trainer.step, trainer, x, y) end
  if frame % SAVE == 0 or frame == last then
    if fail then mistakes(x, y) end
    assert(survive(n, trainer.save, trainer, path))
  end
end
return net:hash()
