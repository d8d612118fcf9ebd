-- Claim: an LSTM learns to add two numbers that it saw up to a hundred steps ago:
-- on 1,000 new sequences at least 95 in 100 sums are off by less than 0.1.
--
-- A sequence is a hundred random numbers from 0 to 1, two of which are marked; the
-- answer is the sum of those two, given only after the last step. To learn that, a net
-- must find out that a number far back had to do with it (Hochreiter, Schmidhuber,
-- "Long short-term memory", 1997). Who always says 1 has a mean squared error of 0.167,
-- which is where a plain recurrent net of the same size stays for long.

local common = dofile((arg[0]:match("^.*[/\\]") or "") .. "common.lua")
local mg, options = common.start("An LSTM adds two numbers it saw long ago.", {
  pictures = true,
  { "steps", 3000, "training steps, of 50 new sequences each" },
  { "length", 100, "numbers in a sequence" },
  { "hidden", 32, "numbers that a net remembers" },
})
local progress = require "moongrad.progress"

local LENGTH, HIDDEN, BATCH = options.length, options.hidden, 50
if LENGTH < 2 then common.stop("--length is 1, and two numbers are to be added") end

--- For n sequences vectors of 0 and a single 1, somewhere from first to last.
local function marks(n, first, last)
  local places = common.numbers(mg.rand(n))
  for i, u in ipairs(places) do places[i] = first + math.floor(u * (last - first + 1)) end
  return mg.one_hot(mg.tensor(places), LENGTH)
end

--- n sequences {n, length, 2} of numbers and marks, one in each half; their answers.
local function sequences(n)
  local values, half = mg.rand(n, LENGTH), math.floor(LENGTH / 2)
  local marked = marks(n, 1, half) + marks(n, half + 1, LENGTH)
  return mg.stack({ values, marked }, 3), (values * marked):sum(2, true)
end

local exam_x, exam_y = sequences(1000)

--- Mean squared error in the exam, and the share of sums off by less than 0.1.
local function examine(net)
  local off = net:predict(exam_x) - exam_y
  return off:square():mean():item(), off:abs():lt(0.1):mean():item()
end

--- Shorter steps towards the end, to settle.
local function rate(step) return 0.01 * math.min(1, 2.1 - 2 * step / options.steps) end

local curves = {}

local function learn(name, layer)
  local curve = { x = {}, y = {}, line = true, label = name }
  curves[#curves + 1] = curve
  local net = mg.sequential { { LENGTH, 2 }, layer, mg.dense(1) }
  local trainer = mg.trainer { net = net, loss = "mse",
                               optimizer = mg.adam { lr = rate, clip_norm = 1 } }
  for first = 1, options.steps, 250 do
    local last = math.min(first + 249, options.steps)
    local bar = progress.new { total = options.steps, label = name }
    for step = first, last do
      bar:update(step, ("loss %.4f"):format(trainer:step(sequences(BATCH))))
    end
    bar:finish()
    local left, right = examine(net)
    table.insert(curve.x, last)
    table.insert(curve.y, left)
    print(("%-5s step %5d   error %.5f   sums right %5.1f %%"):format(name, last, left,
      100 * right))
  end
  return examine(net)
end

local plain = learn("rnn", mg.rnn(HIDDEN, { return_sequence = false }))
print()
-- An LSTM keeps of its memory what its forget gates let through; a bias of 1 for them
-- (the second of four gates) has it forget less from the start.
local lstm = mg.lstm(HIDDEN, { return_sequence = false }):build(1, LENGTH, 2)
mg.no_grad(function() lstm:named().bias_ih_l0:narrow(1, HIDDEN + 1, HIDDEN):fill(1) end)
local error_left, right = learn("lstm", lstm)
print(("\nerror of the rnn %.4f, of the lstm %.5f; of always saying 1: %.4f"):format(
  plain, error_left, (exam_y - 1):square():mean():item()))
print "\nThe error: the LSTM sees nothing in it for a while, and then it does.\n"
common.show("curve", curves, { log = true, xlabel = "step", ylabel = "error" })

common.claim(right >= 0.95, ("the LSTM got %.1f in 100 sums right"):format(100 * right))
