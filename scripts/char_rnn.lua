-- Claim: an LSTM that reads a text letter by letter comes to guess the next letter
-- better than the table of which letter follows which: in fewer bits a letter, on a
-- part of the text that it has not seen.
--
-- The net sees one character after another and gives a chance to each that may come
-- next. How well it does is counted in bits: 1 bit a character means that it is as
-- unsure as between two sides of a coin. Then it is let loose: a character is drawn by
-- those chances and given to it as the next one, and so on (Karpathy, "The unreasonable
-- effectiveness of recurrent neural networks", 2015). A low temperature makes likely
-- characters likelier: the text gets safer and duller.

local folder = arg[0]:match("^.*[/\\]") or ""
local common, letters = dofile(folder .. "common.lua"), dofile(folder .. "letters.lua")
local mg, options = common.start("An LSTM learns to write, letter by letter.", {
  pictures = true,
  { "epochs", 20, "passes over the text" },
  { "text", false, "what to read (default: Bierce, The Devil's Dictionary)", "FILE" },
  { "hidden", 128, "numbers that the net remembers" },
  { "layers", 1, "LSTMs on top of each other" },
  { "temperature", 0.7, "how bold the samples are" },
  { "sample", 400, "characters to write at the end" },
  { "start", "\n\n", "how the sample begins", "TEXT" },
  { "threads", 1, "threads to learn with" },
})

local LENGTH, BATCH, BITS = 50, 16, letters.BITS -- characters in a row, rows at once

local path = options.text or folder .. "data/devils_dictionary.txt"
local text = letters.read(mg, common, path, 40 * LENGTH)
local COUNT = text.count
local exam = text:exam(LENGTH, BATCH)

----------------------------------------------------------------------------- learning

mg.set_threads(options.threads)
local one_hot = mg.pure(function(x) return x:one_hot(COUNT) end)
local memory = mg.lstm(options.hidden, { layers = options.layers })
local guess = mg.dense(COUNT)
local net = mg.sequential { one_hot, memory, mg.dropout(0.3), guess }

local steps = math.floor((text.learned - 1) / LENGTH / BATCH) * options.epochs
local function rate(step) return 0.01 * math.max(0.02, 1 - step / steps) end
local trainer = mg.trainer { net = net, loss = letters.loss(mg, COUNT),
                             optimizer = mg.adam { lr = rate, clip_norm = 5 } }

local pair, reached, rows = text:introduce(), nil, {}
for epoch = 1, options.epochs do
  local bits = text:pass(mg, trainer, LENGTH, BATCH, "epoch " .. epoch)
  reached = trainer:evaluate(exam).loss * BITS
  rows[epoch] = { bits = bits, val_bits = reached }
  if epoch % 5 == 0 or epoch == 1 or epoch == options.epochs then
    print(("epoch %3d   learned text %.3f   exam %.3f"):format(epoch, bits, reached))
  end
end

print "\nBits a character, on the text that it learns from and on the rest:\n"
common.show("loss", rows, {})

------------------------------------------------------------------------------ writing

--- Lets the net go on after 'start'; what it has read lies in h and c.
local function write(start, n, temperature)
  local y, h, c, logits
  local function read(id)
    y, h, c = memory:predict(one_hot(mg.tensor { { id } }), { h = h, c = c })
    logits = guess:predict(y)
  end
  for _, id in ipairs(text:encode(start)) do read(id) end
  if not logits then read(text.ids[1]) end
  local written = {}
  for i = 1, n do
    local id = letters.draw(mg, logits, temperature)
    written[i] = text.characters[id]
    read(id)
  end
  return table.concat(written)
end

net:eval()
print(("\nIt writes, at temperature %g:\n"):format(options.temperature))
local sample = options.start .. write(options.start, options.sample, options.temperature)
print((sample:gsub("^%s+", "")))

common.claim(reached < pair, ("%.3f bits a character, the table of pairs needs %.3f")
  :format(reached, pair))
