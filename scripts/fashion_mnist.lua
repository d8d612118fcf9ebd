-- Claim: a net with one hidden layer names at least 88 in 100 of the test
-- pictures of Fashion-MNIST rightly within 10 epochs.
--
-- 60,000 small pictures of clothes to learn from, 10,000 others to be examined
-- on: 28 x 28 grey pixels each, ten classes. The net sees 784 numbers, has 128
-- neurons in the middle and ten at the end, one a class; the largest of the
-- ten is its answer. That makes 101,770 weights, all found by going downhill.

local common = dofile((arg[0]:match("^.*[/\\]") or "") .. "common.lua")
local mg, options = common.start("A net with one hidden layer learns Fashion-MNIST.", {
  pictures = true,
  { "epochs", 10, "passes over the 60,000 pictures" },
  { "batch", 64, "pictures in one step" },
  { "lr", 0.05, "learning rate at the start, falling to 0" },
  { "data", false, "where the four idx files are", "FOLDER" },
})
local progress = require "moongrad.progress"

local train, test = common.fashion_mnist(mg, options.data)

local net = mg.sequential {
  { 1, 28, 28 }, mg.flatten(), mg.dense(128), "relu", mg.dense(10) }

-- Long steps at first, to get far; ever shorter ones towards the end, to settle.
local count, batch, epochs = #train, options.batch, options.epochs
local steps = math.ceil(count / batch) -- in one epoch
local function rate(step)
  return options.lr * math.max(0, 1 - step / (epochs * steps))
end

local trainer = mg.trainer { net = net, loss = "cross_entropy",
                             metrics = { "accuracy", "confusion" },
                             optimizer = mg.sgd { lr = rate, momentum = 0.9 } }

print("epoch   training loss   test loss   test accuracy")
local best, exam = 0, nil
for epoch = 1, epochs do
  local bar, loss = progress.new { total = count, label = "epoch " .. epoch }, nil
  for done = 0, steps - 1, 20 do -- 20 batches at a time, then a look at the bar
    local now = math.min(20, steps - done)
    local _, mean = trainer:run(train, { steps = now, epochs = epochs,
                                             batch = batch, shuffle = true })
    loss = mean
    bar:update(math.min(count, (done + now) * batch), ("loss %.3f"):format(loss))
  end
  bar:finish()
  exam = trainer:evaluate(test)
  best = math.max(best, exam.accuracy)
  print(("%5d   %13.4f   %9.4f   %13.4f"):format(epoch, loss, exam.loss, exam.accuracy))
end

local names = { "T-shirt", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt",
                "Sneaker", "Bag", "Ankle boot" }
print "\nRow: what a picture shows. Column: what it is taken for. Shirts are hard.\n"
common.show("confusion", exam.confusion, { names = names })
print "\nThe pictures that it is most wrong about, and what it takes them for:\n"
common.show("images", net, test, { names = names, count = 10 })

common.claim(best >= 0.88, ("%.4f of the test pictures named rightly"):format(best))
