--- A progress bar: one terminal line, drawn again in place.
--
--   local bar = progress.new { total = 60000, label = "epoch 1" }
--   for done = 100, 60000, 100 do bar:update(done, "loss 0.31") end
--   bar:finish()
--
-- It shows the share done, the rate per second and the time left, at most ten
-- times a second, and writes nothing at all where no terminal reads it.

local progress = {}

--- Is file descriptor 'fd' a terminal? A host may set its own function here;
-- false until then, and where moongrad.system is missing.
progress.isatty = nil

local Bar = {}
Bar.__index = Bar

local REDRAW = 0.1 -- seconds between two drawings

--- The C module with clock and terminal test, or an empty table.
local function system()
  local module = require "moongrad.check".module(require, "moongrad.system")
  return type(module) == "table" and module or {}
end

--- Standard streams are known by their place; others count as files.
local function descriptor(stream)
  if stream == io.stdout then return 1 end
  if stream == io.stderr then return 2 end
end

local function is_terminal(stream)
  local fd, isatty = descriptor(stream), progress.isatty or system().isatty
  return fd ~= nil and isatty ~= nil and isatty(fd) and true or false
end

--- Columns of the terminal: those that the environment wants, or that it has, or 80.
function progress.columns()
  local function sound(n) return n and n >= 20 and n <= 1000 and math.floor(n) end
  local ask = system().columns
  return sound(tonumber(os.getenv and os.getenv "COLUMNS" or "")) or sound(ask and ask(1)) or 80
end

--- Columns to draw in. The last one stays free: a full line would wrap.
local function line_width() return progress.columns() - 1 end

--- "812", "12.3k", "4.5M": four figures at most.
local function short(n)
  if n >= 999950 then return ("%.1fM"):format(n / 1e6) end
  if n >= 1000 then return ("%.1fk"):format(n / 1e3) end
  if n >= 10 or n % 1 == 0 then return ("%.0f"):format(n) end
  return ("%.1f"):format(n)
end

--- Seconds as "0:07", "12:40" or "3:05:00".
local function time(seconds)
  local s = math.floor(math.min(seconds, 3.6e6) + 0.5)
  local h, m = math.floor(s / 3600), math.floor(s / 60) % 60
  if h > 0 then return ("%d:%02d:%02d"):format(h, m, s % 60) end
  return ("%d:%02d"):format(m, s % 60)
end

--- 'text' cut, or filled with spaces, to 'width' characters of UTF-8.
local function fit(text, width)
  local kept, count = {}, 0
  for char in text:gsub("%c", " "):gmatch("[^\128-\191][\128-\191]*") do
    if count == width then break end
    count = count + 1
    kept[count] = char
  end
  return table.concat(kept) .. (" "):rep(width - count)
end

--- A new bar; nothing is drawn before the first update.
-- @tparam table o  total: what 'done' counts up to (none: no bar and no time
--   left), first: what it counts from (0), label: text in front, stream: io.stderr; and,
--   for tests and hosts, terminal: true or false instead of asking, clock: a function of
--   seconds
function progress.new(o)
  o = o or {}
  local stream = o.stream or io.stderr
  local terminal = o.terminal
  if terminal == nil then terminal = is_terminal(stream) end
  local clock = o.clock or system().clock or os.clock
  return setmetatable({ total = o.total, first = o.first or 0, label = o.label or "",
    stream = stream, terminal = terminal, clock = clock, start = clock() }, Bar)
end

--- The line for 'done' after 'seconds', 'width' characters wide.
function Bar:line(done, text, seconds, width)
  local facts, total = {}, self.total
  local rate = seconds > 0 and (done - self.first) / seconds or 0
  local share = total and total > 0 and math.max(0, math.min(1, done / total))
  facts[1] = share and ("%3d%%"):format(math.floor(share * 100)) or short(done)
  if rate > 0 then
    facts[#facts + 1] = short(rate) .. "/s"
    if share then facts[#facts + 1] = time((total - done) / rate) .. " left" end
  end
  facts[#facts + 1] = text
  local left = self.label == "" and "" or self.label .. " "
  local right = table.concat(facts, "  ")
  local room = math.min(30, width - #left - #right - 3)
  if share and room >= 5 then
    local filled = math.floor(share * room)
    left = left .. "[" .. ("="):rep(filled) .. (" "):rep(room - filled) .. "] "
  end
  return fit(left .. right, width)
end

--- Tells how much is done, and optionally what to say behind the bar.
-- @tparam number done
-- @tparam[opt] string text
function Bar:update(done, text)
  if not self.terminal then return end
  local now = self.clock()
  if self.drawn and now - self.drawn < REDRAW then return end
  self.drawn = now
  self.stream:write("\r", self:line(done, text, now - self.start, line_width()))
  self.stream:flush()
end

--- Wipes the line, and leaves 'text' in its place where there is one.
-- @tparam[opt] string text
function Bar:finish(text)
  if not self.terminal then return end
  self.terminal = false
  if self.drawn then self.stream:write("\r", (" "):rep(line_width()), "\r") end
  if text then self.stream:write(text, "\n") end
  self.stream:flush()
end

return progress
