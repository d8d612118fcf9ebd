-- Claim: five nets that vote name more pictures rightly than they do alone on
-- average.
--
-- The five differ in nothing but the random numbers they begin with and the order in
-- which they see the pictures. Each is wrong about one picture in six, but not all
-- about the same ones. The mean of their five answers forgets what only one of
-- them believes.

local common = dofile((arg[0]:match("^.*[/\\]") or "") .. "common.lua")
local mg, options = common.start("Five nets together are better than alone.", {
  { "epochs", 15, "passes over 3,000 pictures, for each net" },
  { "data", false, "where the four idx files are", "FOLDER" },
})
local NETS = 5

local train, test = common.fashion_mnist(mg, options.data)
train = train:shuffle():range(1, 3000)
local x, y = test:batch(1, #test)

--- The part of answers {n, classes} whose largest is at the label.
local function rightly(answers) return answers:argmax(2):eq(y):mean():item() end

local sum, mean, best = mg.zeros(#test, 10), 0, 0
for i = 1, NETS do
  mg.seed(options.seed + i)
  local net = mg.sequential { { 1, 28, 28 }, mg.flatten(), mg.dense(64, "relu"), mg.dense(10) }
  local trainer = mg.trainer { net = net, loss = "cross_entropy",
                               optimizer = mg.adam { lr = 2e-3 } }
  trainer:fit(options.epochs, { data = train, batch = 50, shuffle = true })
  local answers = net:predict(x):softmax(2) -- how sure it is of each class, from 0 to 1
  sum:add_(answers)
  local alone = rightly(answers)
  mean, best = mean + alone / NETS, math.max(best, alone)
  print(("net %d: alone %.4f, the first %d together %.4f"):format(i, alone, i, rightly(sum)))
end

local together = rightly(sum)
print(("\non average %.4f, the best %.4f, together %.4f"):format(mean, best, together))

common.claim(together > mean, ("together %.4f of the test pictures, alone %.4f on average")
  :format(together, mean))
