-- Claim: a small transformer comes to guess the next letter of a text better than the
-- table of which letter follows which: in fewer bits a letter, on a part of the text that
-- it has not seen.
--
-- An LSTM reads letter by letter and must carry all it knows along. A transformer looks
-- back: at each place it asks all places before it, and takes from each as much as fits
-- its question (Vaswani et al., "Attention is all you need", 2017). All places of a row
-- are worked out at once, each seeing only what came before; so one row of 32 letters is
-- 32 lessons. This is GPT in small: letters and their places become vectors, blocks of
-- attention work on them, and the vectors of the letters serve again to name the next one.

local folder = arg[0]:match("^.*[/\\]") or ""
local common, letters = dofile(folder .. "common.lua"), dofile(folder .. "letters.lua")
local mg, options = common.start("A small transformer learns to write, letter by letter.", {
  { "epochs", 15, "passes over the text" },
  { "text", false, "what to read (default: Bierce, The Devil's Dictionary)", "FILE" },
  { "length", 32, "letters that it can look back" },
  { "features", 64, "numbers for each letter, a multiple of heads" },
  { "heads", 8, "questions asked side by side" },
  { "blocks", 2, "blocks of attention on top of each other" },
  { "rival", "none", "lstm: one learns for the same time, to compare", "NAME" },
  { "temperature", 0.7, "how bold the sample is" },
  { "sample", 400, "characters to write at the end" },
  { "start", "\n\n", "how the sample begins", "TEXT" },
  { "threads", 1, "threads to learn with" },
})

local LENGTH, BATCH, BITS = options.length, 32, letters.BITS
local path = options.text or folder .. "data/devils_dictionary.txt"
local text = letters.read(mg, common, path, 40 * LENGTH)
local COUNT, loss = text.count, letters.loss(mg, text.count)
if options.features % options.heads ~= 0 then
  common.stop(("--features %d is no multiple of --heads %d"):format(options.features,
    options.heads))
end
if options.rival ~= "none" and options.rival ~= "lstm" then
  common.stop(('--rival takes none or lstm, not "%s"'):format(options.rival))
end
mg.set_threads(options.threads)

--------------------------------------------------------------------------- the net

local letter = mg.embedding(COUNT, options.features, { init = "normal" })
local net = mg.sequential { { LENGTH }, letter, mg.positional_embedding(LENGTH) }
for _ = 1, options.blocks do
  net:add(mg.transformer_block { heads = options.heads, causal = true, act = "gelu" })
end
net:add(mg.layernorm())
net:add(mg.dense(COUNT, { weight = letter:named().weight })) -- the vectors again
net:build(1, LENGTH)

--- Goes over the text until 'last_one(epoch)'; bits a character in the exam.
local function learn(who, what, length, batch, rule, last_one)
  local trainer = mg.trainer { net = what, loss = loss, optimizer = rule }
  local epoch, reached = 0
  repeat
    epoch = epoch + 1
    local bits = text:pass(mg, trainer, length, batch, ("%s %d"):format(who, epoch))
    reached = trainer:evaluate(text:exam(length, batch)).loss * BITS
    local last = last_one(epoch)
    if epoch % 5 == 0 or epoch == 1 or last then
      print(("%s, epoch %3d   learned text %.3f   exam %.3f"):format(who, epoch, bits, reached))
    end
  until last
  return reached
end

-------------------------------------------------------------------------- learning

local pair = text:introduce()
print(("the transformer has %d weights\n"):format(net:num_parameters()))

-- Short steps until the attention has found its feet, then long ones, then shorter again.
local steps = math.floor((text.learned - 1) / LENGTH / BATCH) * options.epochs
local warm = math.min(300, steps / 4)
local function rate(step)
  return 0.01 * math.min(step / warm, math.max(0.02, 1 - step / steps))
end
local clock = os.clock()
local optimizer = mg.adamw { lr = rate, beta2 = 0.98, clip_norm = 1 }
local function over(epoch) return epoch == options.epochs end
local reached = learn("transformer", net, LENGTH, BATCH, optimizer, over)
local seconds = os.clock() - clock

if options.rival == "lstm" then
  local begun = os.clock()
  local function spent() return (os.clock() - begun) / seconds end -- from 0 to 1
  local lstm = mg.sequential { mg.pure(function(x) return x:one_hot(COUNT) end),
    mg.lstm(128), mg.dropout(0.3), mg.dense(COUNT) } -- as in char_rnn.lua
  local bits = learn("LSTM", lstm, 50, 16, mg.adam {
    lr = function() return 0.01 * math.max(0.02, 1 - spent()) end, clip_norm = 5 },
    function() return spent() >= 1 end)
  print(("\nin %.0f seconds each: transformer %.3f, LSTM of 128 %.3f bits a character")
    :format(seconds, reached, bits))
end

-------------------------------------------------------------------------- writing

--- Lets the net go on after 'start'. It is shown a row of LENGTH letters; what is beyond
-- the last that is there can be anything, as no place looks ahead.
local function write(start, n, temperature)
  local seen, written = text:encode(start), {}
  if #seen == 0 then seen[1] = text.ids[1] end
  for i = 1, n do
    local row, first = {}, math.max(0, #seen - LENGTH)
    for k = 1, LENGTH do row[k] = seen[first + k] or 1 end
    local logits = net:predict { row }
    seen[#seen + 1] = letters.draw(mg, logits[1][#seen - first], temperature)
    written[i] = text.characters[seen[#seen]]
  end
  return table.concat(written)
end

print(("\nIt writes, at temperature %g:\n"):format(options.temperature))
local sample = options.start .. write(options.start, options.sample, options.temperature)
print((sample:gsub("^%s+", "")))

common.claim(reached < pair, ("%.3f bits a character, the table of pairs needs %.3f")
  :format(reached, pair))
