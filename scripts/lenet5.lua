-- Claim: LeNet-5, with 61,706 weights, names at least 90 in 100 of the test pictures of
-- Fashion-MNIST rightly within 12 epochs.
--
-- LeCun et al. read handwritten digits with it in 1998. Its first layers do not look at
-- a picture as a whole: six small windows of 5 x 5 weights slide over it, and each
-- makes a new picture of where it found what it looks for. Halved in size, these are
-- looked at by 16 windows more, and only then three dense layers decide. A window has
-- the same weights wherever it is, so that there are few of them to learn.

local common = dofile((arg[0]:match("^.*[/\\]") or "") .. "common.lua")
local mg, options = common.start("LeNet-5 learns Fashion-MNIST: convolution and pooling.", {
  pictures = true,
  { "epochs", 12, "passes over the pictures" },
  { "batch", 64, "pictures in one step" },
  { "lr", 0.03, "learning rate at the start, falling to 0" },
  { "pictures", 60000, "how many of the 60,000 to learn from" },
  { "data", false, "where the four idx files are", "FOLDER" },
})

local train, test = common.fashion_mnist(mg, options.data, options.pictures)

-- The pictures are 28 x 28; LeNet-5 was made for 32 x 32.
local net = mg.sequential {
  { 1, 28, 28 }, mg.pad2d(2),
  mg.conv2d(6, 5), "relu", mg.maxpool2d(2),
  mg.conv2d(16, 5), "relu", mg.maxpool2d(2),
  mg.flatten(), mg.dense(120, "relu"), mg.dense(84, "relu"), mg.dense(10),
}
print(net:summary())

local steps = options.epochs * math.ceil(#train / options.batch)
local trainer = mg.trainer {
  net = net, loss = "cross_entropy", metrics = { "accuracy" },
  optimizer = mg.sgd { momentum = 0.9, weight_decay = 5e-4, lr = function(step)
    return options.lr * (0.5 + 0.5 * math.cos(math.pi * math.min(1, step / steps)))
  end },
}
local rows = trainer:fit(options.epochs, train, {
  batch = options.batch, shuffle = true, validation = test, progress = true })

local reached = rows[#rows].val_accuracy
print "\nLoss and accuracy, on pictures it learns from and on others:\n"
common.show("loss", rows, {})
print "\nThe six windows of the first layer:\n"
common.show("weights", net, {})

common.claim(net:num_parameters() == 61706 and reached >= 0.90,
  ("%d weights name %.4f of the test pictures rightly"):format(net:num_parameters(), reached))
