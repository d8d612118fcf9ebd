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
local common = dofile(folder .. "common.lua")
local mg, options = common.start("An LSTM learns to write, letter by letter.", {
  { "epochs", 20, "passes over the text" },
  { "text", false, "what to read (default: Bierce, The Devil's Dictionary)", "FILE" },
  { "hidden", 128, "numbers that the net remembers" },
  { "layers", 1, "LSTMs on top of each other" },
  { "temperature", 0.7, "how bold the samples are" },
  { "sample", 400, "characters to write at the end" },
  { "start", "\n\n", "how the sample begins", "TEXT" },
  { "threads", 1, "threads to learn with" },
})
local progress = require "moongrad.progress"

local LENGTH, BATCH = 50, 16 -- characters in a row, rows at once
local BITS = 1 / math.log(2)

------------------------------------------------------------------------------- text

local path = options.text or folder .. "data/devils_dictionary.txt"
local file, message = io.open(path, "rb")
if not file then common.stop("no text: " .. message) end
local text = file:read("*a"):gsub("\r\n", "\n")
file:close()
if #text < 40 * LENGTH then
  common.stop(("%s has %d characters, too few to learn from"):format(path, #text))
end

--- The characters there are, in order; id_of[byte] is a character's place among them.
local characters, id_of = {}, {}
for byte = 0, 255 do
  if text:find(string.char(byte), 1, true) then
    characters[#characters + 1] = string.char(byte)
    id_of[byte] = #characters
  end
end
local COUNT = #characters

local ids = {}
for i = 1, #text do ids[i] = id_of[text:byte(i)] end
local learned = math.floor(0.9 * #ids) -- the rest is for the exam

--- Rows of a stretch of the text, and the same rows one character later.
local all = mg.tensor(ids)
local function rows(first, last)
  local n = math.floor((last - first) / LENGTH)
  local function cut(from) return all:narrow(1, from, n * LENGTH):reshape(n, LENGTH) end
  return { x = cut(first), y = cut(first + 1), batch = BATCH }
end
local exam = rows(learned + 1, #ids)

-------------------------------------------------------------------------- what to beat

--- Bits a character in the exam where chances are counted: of a character alone, or of
--- one behind another. Each is counted once more than seen, so that no chance is 0.
local function counted(behind)
  local seen, total = {}, {}
  local function key(i) return behind and ids[i - 1] or 0 end
  for i = 2, learned do
    local k = key(i)
    seen[k] = seen[k] or {}
    seen[k][ids[i]] = (seen[k][ids[i]] or 0) + 1
    total[k] = (total[k] or 0) + 1
  end
  local bits, n = 0, 0
  for i = learned + 2, #ids do
    local k = key(i)
    local times = seen[k] and seen[k][ids[i]] or 0
    bits = bits - math.log((times + 1) / ((total[k] or 0) + COUNT)) * BITS
    n = n + 1
  end
  return bits / n
end
local single, pair = counted(false), counted(true)

----------------------------------------------------------------------------- learning

mg.set_threads(options.threads)
local one_hot = mg.pure(function(x) return x:one_hot(COUNT) end)
local memory = mg.lstm(options.hidden, { layers = options.layers })
local guess = mg.dense(COUNT)
local net = mg.sequential { one_hot, memory, mg.dropout(0.3), guess }

local function loss(logits, y) -- over all rows and all places in them
  return mg.cross_entropy(logits:reshape(-1, COUNT), y:reshape(-1))
end

local steps = math.floor((learned - 1) / LENGTH / BATCH) * options.epochs
local function rate(step) return 0.01 * math.max(0.02, 1 - step / steps) end
local trainer = mg.trainer { net = net, loss = mg.pure(loss),
                             optimizer = mg.adam { lr = rate, clip_norm = 5 } }

print(("%d characters, %d different ones; bits a character in the exam:"):format(#text,
  COUNT))
print(("  counting characters %.3f, pairs of them %.3f\n"):format(single, pair))

local reached
for epoch = 1, options.epochs do
  -- each time the rows begin elsewhere
  local data = rows(1 + math.floor(mg.rand(1):item() * LENGTH), learned)
  local bar = progress.new { total = #data.x, label = "epoch " .. epoch }
  local state, bits, seen = "more", nil, 0
  while state == "more" do
    state, bits = trainer:run(data, { steps = 10, epochs = 1, batch = BATCH, shuffle = true })
    bits, seen = bits * BITS, math.min(seen + 10 * BATCH, #data.x)
    bar:update(seen, ("%.3f bits"):format(bits))
  end
  bar:finish()
  reached = trainer:evaluate(exam).loss * BITS
  if epoch % 5 == 0 or epoch == 1 or epoch == options.epochs then
    print(("epoch %3d   learned text %.3f   exam %.3f"):format(epoch, bits, reached))
  end
end

------------------------------------------------------------------------------ writing

--- A place drawn by the chances that the numbers in 'logits' stand for.
local function draw(logits, temperature)
  local chances = common.numbers((logits / temperature):softmax(-1))
  local left = mg.rand(1):item()
  for i, chance in ipairs(chances) do
    left = left - chance
    if left < 0 then return i end
  end
  return #chances
end

--- Lets the net go on after 'start'; what it has read lies in h and c.
local function write(start, n, temperature)
  local y, h, c, logits
  local function read(id)
    y, h, c = memory:predict(one_hot(mg.tensor { { id } }), { h = h, c = c })
    logits = guess:predict(y)
  end
  for i = 1, #start do
    local id = id_of[start:byte(i)]
    if id then read(id) end
  end
  if not logits then read(id_of[text:byte(1)]) end
  local written = {}
  for i = 1, n do
    local id = draw(logits, temperature)
    written[i] = characters[id]
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
