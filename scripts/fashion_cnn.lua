-- Claim: a convolutional net of some 160,000 weights names at least 93 in 100 of the test
-- pictures of Fashion-MNIST rightly within 20 epochs.
--
-- Three things that LeNet-5 did not have help here. Two small windows (3 x 3) after one
-- another see as much as a large one, with fewer weights. Batch normalisation gives each
-- layer numbers of about the same size, whatever the layers before it are learning. And
-- the net never sees quite the same picture twice: each is mirrored by chance and moved
-- by a pixel or two, which shows that neither makes a shoe into a bag. It takes its time:
-- the table says how much.

local common = dofile((arg[0]:match("^.*[/\\]") or "") .. "common.lua")
local mg, options = common.start("A convolutional net learns Fashion-MNIST well.", {
  pictures = true,
  { "epochs", 20, "passes over the pictures" },
  { "batch", 64, "pictures in one step" },
  { "lr", 0.05, "learning rate at its highest" },
  { "pictures", 60000, "how many of the 60,000 to learn from" },
  { "threads", 1, "processor cores to use; the result is the same" },
  { "data", false, "where the four idx files are", "FOLDER" },
})
mg.set_threads(options.threads)

local train, test = common.fashion_mnist(mg, options.data, options.pictures)

local layers = { { 1, 28, 28 } }
local function add(...)
  for _, layer in ipairs { ... } do layers[#layers + 1] = layer end
end
local function window(channels)
  add(mg.conv2d(channels, 3, { padding = 1, bias = false }), mg.batchnorm(), "relu")
end
window(24) window(24) add(mg.maxpool2d(2))                  -- 24 pictures of 14 x 14
window(48) window(48) add(mg.maxpool2d(2), mg.dropout(0.1)) -- 48 of 7 x 7
window(96) window(96)
add(mg.global_avgpool2d(), mg.dropout(0.2), mg.dense(10))
local net = mg.sequential(layers)
print(net:summary())

-- From a low rate up to the highest within two epochs, then down to nothing.
local steps = options.epochs * math.ceil(#train / options.batch)
local trainer = mg.trainer {
  net = net, loss = "cross_entropy", metrics = { "accuracy" },
  optimizer = mg.sgd { momentum = 0.9, nesterov = true, weight_decay = 5e-4,
                       lr = function(step)
    local done = math.min(1, step / steps)
    if done < 0.1 then return options.lr * (0.1 + 9 * done) end
    return options.lr * (0.5 + 0.5 * math.cos(math.pi * (done - 0.1) / 0.9))
  end },
}

local started = os.time()
local rows = trainer:fit(options.epochs, train:augment { flip = true, shift = 2 },
  { batch = options.batch, shuffle = true, validation = test, progress = true })

local reached = rows[#rows].val_accuracy
print "\nLoss and accuracy, on pictures it learns from and on others:\n"
common.show("loss", rows, {})

common.claim(reached >= 0.93 and net:num_parameters() < 500000,
  ("%d weights name %.4f of the test pictures rightly, after %.1f minutes"):format(
    net:num_parameters(), reached, os.difftime(os.time(), started) / 60))
