--- What must hold for every file, whatever is in it: it is loaded or refused, with a message
-- of one line that names no file of C; what is loaded can be used and saved; and loading takes
-- at most twice the bytes of the file, and 1 MB; 16 MB more where a net is made.
-- An error is raised where one of these does not hold.
--
-- 'peak' below gives the most bytes in use since it was called last, and those in use.

local mg = require "moongrad"
local core = mg.core
local loading = {}

local SLACK, BUILDING = 2 ^ 20, 16 * 2 ^ 20

mg.module("fuzz.Class", {
  init = function(self, n) self.inner = mg.dense(n) end,
  forward = function(self, x) return self.inner(x) end,
})

--- A trainer such as those of the corpus.
function loading.trainer(lr)
  return mg.trainer { loss = "mse", optimizer = mg.adam { lr = lr }, metrics = { "r2" },
                      net = mg.sequential { mg.dense(3), mg.batchnorm(), mg.dense(2) } }
end

-- The file under test, as a disk.
local file
mg.set_files {
  open = function() return { at = 1 } end,
  size = function() return #file end,
  read = function(h, n)
    h.at = h.at + n
    return file:sub(h.at - n, h.at - 1)
  end,
  close = function() return true end,
  write = error, rename = error, remove = error,
}

--- What f() returns, which is a value or nil and a message, in little memory and 'more'.
local function load(peak, more, f)
  if #file > SLACK / 16 then collectgarbage() collectgarbage() end -- of what was tried before
  local _, before = peak()
  local ok, value, message = pcall(f)
  local bytes = peak() - before
  if not ok then error("an error: " .. tostring(value)) end
  if not value then
    if type(message) ~= "string" or message:find "%.c:" or message:find "[%z\1-\31]" then
      error("a message: " .. tostring(message))
    end
  end
  if bytes > 2 * #file + SLACK + more then
    error(("%d bytes for a file of %d"):format(bytes, #file))
  end
  return value
end

--- Uses a net and saves it: what is loaded then is the same.
local function use(net)
  local hash = net:hash()
  local input = core.recipe(net).input
  local ok, bytes = pcall(mg.dump, net)
  if ok then
    local again = mg.undump(bytes)
    if again and again:hash() ~= hash then error "another net" end
  end
  tostring(net:summary())
  if input then pcall(net.predict, net, mg.ones(input)) end
  if net:hash() ~= hash then error "a prediction changes the net" end
end

--- Tries bytes as a file. Returns what mg.undump gives.
function loading.try(bytes, peak)
  file = bytes
  local more = bytes:find('"moongrad"', 1, true) and BUILDING or 0
  local value = load(peak, more, function() return mg.undump(bytes) end)
  if core.type(value) == "layer" then use(value) end
  local t = loading.trainer(0.1)
  if bytes:find("trainer", 1, true) and load(peak, BUILDING, function() return t:load "file" end)
  then
    core.state_out(t)
  end
  load(peak, more, function() return t:parts().net:load_weights "file" end)
  return value
end

return loading
