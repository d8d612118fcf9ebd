-- Model files that are damaged or made to harm: each must be loaded or refused, with a
-- message that names no file of C; what is loaded from a damaged copy of one of our own
-- files must be equal to the original.
--
--   lua tests/fuzz/files.lua [--rounds 10000] [--seed 1]
--
-- Three parts: every truncation of a small model; every flip of a bit; mutations of the
-- structure of headers (with a right length and checksum, so that they get past both).
-- Exit status 1 on a violation.

local mg = require "moongrad"
local core = mg.core

local options = { rounds = 10000, seed = 1, every = 1 }
for i = 1, #arg, 2 do options[arg[i]:match "^%-%-(.+)"] = tonumber(arg[i + 1]) end

local LIMIT = 64 * 2 ^ 20
local violations, refused, loaded = 0, 0, 0

-- The same numbers on every Lua.
local state = options.seed
local function random(n)
  state = (state * 16807) % 2147483647
  return state % n + 1
end

local function violation(text, bytes)
  violations = violations + 1
  if violations <= 10 then print(("not ok - %s: %q"):format(text, (bytes or ""):sub(1, 300))) end
end

mg.module("fuzz.Class", {
  init = function(self, n) self.inner = mg.dense(n) end,
  forward = function(self, x) return self.inner(x) end,
})

-- Undumps, and uses what comes: a net is called, its tensors are read.
local function try(bytes, x)
  local before = core.memory()
  local ok, value, message = pcall(mg.undump, bytes)
  if not ok then
    if value ~= "not enough memory" then violation("an error: " .. tostring(value), bytes) end
  elseif value == nil then
    refused = refused + 1
    if type(message) ~= "string" or message:find "%.c:" or message:find "\n" then
      violation("a message: " .. tostring(message), bytes)
    end
  else
    loaded = loaded + 1
    if core.type(value) == "layer" then
      pcall(value, x)
      value:hash()
      tostring(value:summary())
      pcall(mg.dump, value)
    end
  end
  local after = core.memory()
  if after - before > 3 * #bytes + 2 ^ 21 then violation("too much memory", bytes) end
  return ok and value or nil
end

------------------------------------------------------------- damaged models

mg.seed(1)
local net = mg.sequential {
  { 1, 6, 6 }, mg.conv2d(8, 3), mg.batchnorm(), "relu", mg.flatten(),
  mg.dense(24, { act = "tanh" }), mg.dense(3), name = "model",
}
local model, x = mg.dump(net), mg.ones(1, 1, 6, 6)
local hash = net:hash()

-- The damaged copy is refused, or it is the same net.
local function damaged(bytes, what)
  local value = try(bytes, x)
  if value and (core.type(value) ~= "layer" or value:hash() ~= hash) then violation(what, bytes) end
end

for n = 0, #model - 1, options.every do damaged(model:sub(1, n), "cut to " .. n) end
damaged(model .. "\0", "longer")
for at = 1, #model, options.every do
  local c = model:byte(at)
  for bit = 0, 7 do
    local mask = 2 ^ bit
    local flipped = math.floor(c / mask) % 2 == 1 and c - mask or c + mask
    damaged(model:sub(1, at - 1) .. string.char(flipped) .. model:sub(at + 1),
      ("bit %d of byte %d"):format(bit, at))
  end
end
for _ = 1, options.rounds do
  local bytes = { model:byte(1, 0) }
  local at, n = random(#model), random(40)
  for i = 1, n do bytes[i] = string.char(random(256) - 1) end
  damaged(model:sub(1, at - 1) .. table.concat(bytes) .. model:sub(at + n), "random bytes")
end
print(("%d bytes, %d refused, %d loaded"):format(#model, refused, loaded))

---------------------------------------------------------------- made to harm

-- A header with its length and checksum put right, and data.
local function file(header, data)
  header = header .. (" "):rep(-#header % 8)
  local length, left = {}, #header
  for i = 1, 8 do
    length[i] = string.char(left % 256)
    left = math.floor(left / 256)
  end
  length = table.concat(length)
  header = header:gsub('"crc32":"%x%x%x%x%x%x%x%x"', '"crc32":"00000000"', 1)
  local crc = core.crc32(core.crc32(core.crc32(0, length), header), data)
  return length .. header:gsub('"crc32":"00000000"', ('"crc32":"%08x"'):format(crc), 1) .. data
end

local block = mg.transformer_block(2)
local sources = {
  net, mg.sequential { mg.embedding(4, 4), block, mg.lstm(2), mg.gru(2), mg.groupnorm(1),
                       mg.bilinear(2), mg.prelu(2) },
  mg.sequential { core.classes["fuzz.Class"](3), mg.residual { mg.dense(3) }, mg.reshape(3),
                  mg.attention(1), mg.positional_embedding(5) },
}
pcall(sources[2], mg.ones(2, 3))
pcall(sources[3], mg.ones(2, 3))

-- Texts that are put in place of numbers, names and words.
local numbers = { "0", "1", "-1", "2", "3", "1e9", "9007199254740992", "9007199254740993",
                  "18446744073709551616", "1.5", "null", "true", "[]", "{}", '"x"', "NaN", "[[[[" }
local words = { "dense", "weight", "bias", "sequential", "conv2d", "lstm", "class", "layer",
                "options", "arguments", "input", "parts", "tensors", "shared", "buffers",
                "fixed", "same", "part", "fuzz.Class", "F64", "U8", "BOOL", "F99", "shape",
                "dtype", "0", "1", "0.weight", "fields", "number", "inf", "transformer_block",
                "embedding", "", "\\u0041", "\\ud800", "\\", "\128", ("n"):rep(300) }

-- One change somewhere: a number, a word, a run of characters.
local function mutate(text)
  local kind, start = random(5), random(#text)
  if kind <= 2 then
    local first, last = text:find("%d+", start)
    if not first then return text end
    return text:sub(1, first - 1) .. numbers[random(#numbers)] .. text:sub(last + 1)
  elseif kind == 3 then
    local first, last = text:find('[%a_][%w_.]*', start)
    if not first then return text end
    return text:sub(1, first - 1) .. words[random(#words)] .. text:sub(last + 1)
  elseif kind == 4 then -- a part of it twice, or not at all
    local last = math.min(#text, start + random(60))
    local part = random(2) == 1 and text:sub(start, last):rep(2) or ""
    return text:sub(1, start - 1) .. part .. text:sub(last + 1)
  end
  return text:sub(1, start - 1) .. string.char(random(256) - 1) .. text:sub(start + 1)
end

mg.limit { memory = LIMIT }
refused, loaded = 0, 0
for round = 1, options.rounds do
  local bytes = mg.dump(sources[random(#sources)])
  local n = bytes:byte(1) + 256 * bytes:byte(2) + 65536 * bytes:byte(3)
  local header, data = bytes:sub(9, 8 + n), bytes:sub(9 + n)
  for _ = 1, random(3) do header = mutate(header) end
  try(file(header, data), round % 2 == 0 and mg.ones(2, 3) or x)
end
print(("%d mutations: %d refused, %d loaded"):format(options.rounds, refused, loaded))

print(("files: %d passed, %d failed"):format(violations == 0 and 1 or 0, violations))
os.exit(violations == 0 and 0 or 1)
