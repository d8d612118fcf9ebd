-- Model files that are damaged or made to harm: each must be loaded or refused, with a
-- message that names no file of C; what is loaded from a damaged copy of one of our own
-- files must be equal to the original.
--
--   lua tests/fuzz/files.lua [--rounds 10000] [--seed 1]
--
-- Three parts: every truncation of a small model; every flip of a bit; random bytes. What
-- gets past length and checksum is for loader.c.
-- Exit status 1 on a violation.

local mg = require "moongrad"
local core = mg.core

local options = { rounds = 10000, seed = 1, every = 1 }
for i = 1, #arg, 2 do options[arg[i]:match "^%-%-(.+)"] = tonumber(arg[i + 1]) end

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

-- Undumps, and uses what comes: a net is called, its tensors are read. Returns it and the
-- hash that it had before.
local function try(bytes, x)
  local before, hash = core.memory(), nil
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
      hash = value:hash()
      pcall(value, x)
      tostring(value:summary())
      pcall(mg.dump, value)
    end
  end
  local after = core.memory()
  if after - before > 3 * #bytes + 2 ^ 21 then violation("too much memory", bytes) end
  return ok and value or nil, hash
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
  local value, found = try(bytes, x)
  if value and found ~= hash then violation(what, bytes) end
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

print(("files: %d passed, %d failed"):format(violations == 0 and 1 or 0, violations))
os.exit(violations == 0 and 0 or 1)
