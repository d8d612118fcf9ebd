-- What the scripts that learn to write share: a text as numbers, tables that count
-- letters, and drawing one of several by their chances.

local letters = {}

letters.BITS = 1 / math.log(2) -- the losses of moongrad are in natural units

local text = {} -- methods of a text
text.__index = text

--- Reads a file, nine tenths of it to learn from, the rest for the exam.
-- @treturn table  characters (a list), id_of (by byte), count (of different ones), ids,
--                 learned (how many of them)
function letters.read(mg, common, path, least)
  local file, message = io.open(path, "rb")
  if not file then common.stop("no text: " .. message) end
  local bytes = file:read("*a"):gsub("\r\n", "\n")
  file:close()
  if #bytes < least then
    common.stop(("%s has %d characters, too few to learn from"):format(path, #bytes))
  end
  local self = setmetatable({ characters = {}, id_of = {}, ids = {} }, text)
  for byte = 0, 255 do
    if bytes:find(string.char(byte), 1, true) then
      self.characters[#self.characters + 1] = string.char(byte)
      self.id_of[byte] = #self.characters
    end
  end
  for i = 1, #bytes do self.ids[i] = self.id_of[bytes:byte(i)] end
  self.count, self.learned = #self.characters, math.floor(0.9 * #bytes)
  self.tensor = mg.tensor(self.ids)
  return self
end

--- A stretch of it in rows, and the same rows one character later.
function text:rows(first, last, length, batch)
  local n = math.floor((last - first) / length)
  local function cut(from)
    return self.tensor:narrow(1, from, n * length):reshape(n, length)
  end
  return { x = cut(first), y = cut(first + 1), batch = batch }
end

--- The rows of the exam.
function text:exam(length, batch)
  return self:rows(self.learned + 1, #self.ids, length, batch)
end

--- One pass over the part to learn from, its rows beginning elsewhere each time.
-- @treturn number  bits a character, on the way
function text:pass(mg, trainer, length, batch, label)
  local from = 1 + math.floor(mg.rand(1):item() * length)
  local data = self:rows(from, self.learned, length, batch)
  local bar = require "moongrad.progress".new { total = #data.x, label = label }
  local state, bits, seen = "more", nil, 0
  while state == "more" do
    state, bits = trainer:run(data, { steps = 10, epochs = 1, batch = batch, shuffle = true })
    bits, seen = bits * letters.BITS, math.min(seen + 10 * batch, #data.x)
    bar:update(seen, ("%.3f bits"):format(bits))
  end
  bar:finish()
  return bits
end

--- Bits a character in the exam where chances are counted: of a character alone, or of
-- one behind another. Each is counted once more than seen, so that no chance is 0.
function text:counted(behind)
  local ids, seen, total = self.ids, {}, {}
  local function key(i) return behind and ids[i - 1] or 0 end
  for i = 2, self.learned do
    local k = key(i)
    seen[k] = seen[k] or {}
    seen[k][ids[i]] = (seen[k][ids[i]] or 0) + 1
    total[k] = (total[k] or 0) + 1
  end
  local bits, n = 0, 0
  for i = self.learned + 2, #ids do
    local k = key(i)
    local times = seen[k] and seen[k][ids[i]] or 0
    bits = bits - math.log((times + 1) / ((total[k] or 0) + self.count)) * letters.BITS
    n = n + 1
  end
  return bits / n
end

--- Says what there is and what is to be beaten: returns the bits of pairs.
function text:introduce()
  local pair = self:counted(true)
  print(("%d characters, %d different ones; bits a character in the exam:"):format(
    #self.ids, self.count))
  print(("  counting characters %.3f, pairs of them %.3f\n"):format(self:counted(false), pair))
  return pair
end

--- The ids of a string; characters that the text does not have are left out.
function text:encode(s)
  local ids = {}
  for i = 1, #s do ids[#ids + 1] = self.id_of[s:byte(i)] end
  return ids
end

--- The loss over all rows and all places in them.
function letters.loss(mg, count)
  return mg.pure(function(logits, y)
    return mg.cross_entropy(logits:reshape(-1, count), y:reshape(-1))
  end)
end

--- A place drawn by the chances that the numbers in 'logits' stand for.
function letters.draw(mg, logits, temperature)
  local chances = (logits / temperature):softmax(-1):reshape(-1):totable()
  local left = mg.rand(1):item()
  for i, chance in ipairs(chances) do
    left = left - chance
    if left < 0 then return i end
  end
  return #chances
end

return letters
