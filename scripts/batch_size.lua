-- Claim: after the same number of passes over the pictures, small batches have
-- learned far more than one batch of all pictures, in less time than single
-- pictures take.
--
-- How many examples should the net see before it changes its weights? All: then each
-- step goes exactly downhill, but there are few of them. One: then there are as
-- many steps as pictures, each in a direction that suits one picture, and the
-- machine works on short rows of numbers, which it is bad at. In between lies what
-- everybody uses.

local common = dofile((arg[0]:match("^.*[/\\]") or "") .. "common.lua")
local mg, options = common.start("All pictures at once, some, or one by one.", {
  { "epochs", 5, "passes over 4,000 pictures" },
  { "batch", 32, "pictures in a small batch" },
  { "lr", 0.02, "learning rate" },
  { "data", false, "where the four idx files are", "FOLDER" },
})

local train = common.fashion_mnist(mg, options.data):shuffle():range(1, 4000)

--- Trains a net with batches of n pictures; its final loss, and the seconds it took.
local function learn(title, n)
  mg.seed(options.seed)
  local net = mg.sequential { { 1, 28, 28 }, mg.flatten(), mg.dense(64, "relu"), mg.dense(10) }
  local trainer = mg.trainer { net = net, loss = "cross_entropy", metrics = { "accuracy" },
                               optimizer = mg.sgd { lr = options.lr } }
  local start = os.clock()
  trainer:fit(options.epochs, { data = train, batch = n, shuffle = true })
  local seconds, e = os.clock() - start, trainer:evaluate(train)
  print(("%-14s %7d %9d %9.4f %9.3f %9.2f"):format(title, n, math.ceil(#train / n) *
    options.epochs, e.loss, e.accuracy, seconds))
  return e.loss, seconds
end

print("after " .. options.epochs .. " passes   batch     steps      loss   rightly   seconds")
local full = learn("all at once", #train)
local small, seconds = learn("small batches", options.batch)
local single, long = learn("one by one", 1)

common.claim(small < 0.7 * full and seconds < long,
  ("small batches come to a loss of %.3f, all at once to %.3f, one by one to %.3f in %.1f"
   .. " times the time"):format(small, full, single, long / seconds))
