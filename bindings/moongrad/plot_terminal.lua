--- Pictures as text for a terminal: two tiles to a cell by half blocks, lines by the dots
-- of braille letters; in true colour, in 256 colours, or in none.

local color = require "moongrad.plot_color"
local frame = require "moongrad.plot_frame"

local floor, ceil, min, max = math.floor, math.ceil, math.min, math.max

local Screen = { em = 1, gap = 1, tall = 2, margin = 0, cells = true }
Screen.__index = Screen

local RAMP = { " ", "░", "▒", "▓", "█" }

local function new(width, height, colors)
  return setmetatable({ width = width, height = height, colors = colors,
    plain = colors == "none", letters = {}, ink = {}, bold = {}, dots = {}, dot_ink = {},
    halves = {}, shades = {} }, Screen)
end

--- The number of a cell, or nil outside.
function Screen:cell(x, y)
  x, y = floor(x), floor(y)
  if x >= 0 and y >= 0 and x < self.width and y < self.height then return y * self.width + x end
end

local function characters(text) return text:gmatch("[^\128-\191][\128-\191]*") end

function Screen.measure(_, text)
  local _, n = text:gsub("[^\128-\191]", "")
  return n
end

function Screen:text(x, y, text, align, o)
  text = text:gsub("%c", " ")
  x = floor(x - self:measure(text) * (align + 1) / 2 + (align == 0 and 0.5 or 0))
  x = max(0, min(x, self.width - self:measure(text)))
  for char in characters(text) do
    local i = self:cell(x, y)
    if i then self.letters[i], self.ink[i], self.bold[i] = char, o and o.color, o and o.bold end
    x = x + 1
  end
end

--- Sets a dot; cells have 2 x 4 of them.
function Screen:dot(x, y, ink)
  local i = self:cell(x / 2, y / 4)
  if not i then return end
  if self.letters[i] == "." then self.letters[i] = nil end -- a small point, drawn before
  self.dots[i] = self.dots[i] or {}
  self.dots[i][y % 4 * 2 + x % 2] = true
  self.dot_ink[i] = ink
end

function Screen:line(places, ink, dashed)
  local count = 0
  for k = 1, #places - 3, 2 do
    local x0, y0, x1, y1 = places[k] * 2, places[k + 1] * 4, places[k + 2] * 2, places[k + 3] * 4
    local n = max(1, ceil(max(math.abs(x1 - x0), math.abs(y1 - y0))))
    for i = 0, n do
      count = count + 1
      if not dashed or count % 6 < 3 then
        -- a place on the right or lower edge belongs to the last cell before it
        self:dot(floor(x0 + (x1 - x0) * i / n - 1e-6), floor(y0 + (y1 - y0) * i / n - 1e-6), ink)
      end
    end
  end
end

function Screen:point(x, y, shape, ink, small)
  if small and not self.plain then
    return self:dot(floor(2 * x - 1e-6), floor(4 * y - 1e-6), ink)
  end
  local i = self:cell(x - 1e-6, y - 1e-6)
  if not i then return end
  local paper = self.halves[2 * i]
  if paper and ink then ink = color.on(paper) end
  self.letters[i], self.ink[i], self.bold[i] = small and "." or shape, ink, true
end

--- Fills the half cells whose middle is inside.
function Screen:fill(x0, y0, x1, y1, ink)
  for y = max(0, ceil(2 * y0 - 0.5)), min(2 * self.height, ceil(2 * y1 - 0.5)) - 1 do
    for x = max(0, ceil(x0 - 0.5)), min(self.width, ceil(x1 - 0.5)) - 1 do
      self.halves[2 * (floor(y / 2) * self.width + x) + y % 2] = self.plain and 1 or ink
    end
  end
end

--- The mean colour of the tiles that a part of the screen shows.
local function mean(tiles, i0, i1, j0, j1)
  local r, g, b, n = 0, 0, 0, 0
  for i = i0, i1 do
    for j = j0, j1 do
      local r1, g1, b1 = color.rgb(tiles.color(i, j))
      r, g, b, n = r + r1, g + g1, b + b1, n + 1
    end
  end
  return color.pack(r / n, g / n, b / n)
end

--- The tiles 'from' to 'to' of n between two places along a way.
local function span(at, step, first, last, n)
  local from = (at - first) / (last - first) * n
  local to = (at + step - first) / (last - first) * n
  if to - from <= 1 then
    local i = min(n, max(1, floor((from + to) / 2) + 1))
    return i, i
  end
  return min(n, max(1, floor(from + 0.5) + 1)), max(1, min(n, floor(to + 0.5)))
end

function Screen:tiles(x0, y0, x1, y1, tiles)
  local step = self.plain and 1 or 0.5
  for y = max(0, floor(y0)), min(self.height, ceil(y1)) - step, step do
    for x = max(0, floor(x0)), min(self.width, ceil(x1)) - 1 do
      local middle_x, middle_y = x + 0.5, y + step / 2
      if middle_x > x0 and middle_x < x1 and middle_y > y0 and middle_y < y1 then
        local i0, i1 = span(y, step, y0, y1, tiles.rows)
        local j0, j1 = span(x, 1, x0, x1, tiles.columns)
        local i = floor(y) * self.width + x
        if not self.plain then
          self.halves[2 * i + (y % 1 == 0 and 0 or 1)] = mean(tiles, i0, i1, j0, j1)
        elseif tiles.plain then
          self.shades[i] = tiles.plain(floor((i0 + i1) / 2), floor((j0 + j1) / 2))
        else
          local light = color.light(mean(tiles, i0, i1, j0, j1))
          self.shades[i] = RAMP[1 + floor(light ^ 0.5 * 4.99)]
        end
      end
    end
  end
end

--- Axes left and below, with ticks at those places.
function Screen:frame(box, xs, ys)
  local left, bottom = box.x0 - 1, box.y1
  for y = box.y0, bottom - 1 do self:text(left, y, "│", -1) end
  for x = box.x0, box.x1 - 1 do self:text(x, bottom, "─", -1) end
  self:text(left, bottom, "└", -1)
  for _, x in ipairs(xs) do self:text(min(floor(x), box.x1 - 1), bottom, "┬", -1) end
  for _, y in ipairs(ys) do self:text(left, max(box.y0, floor(y - 1e-6)), "┤", -1) end
end

------------------------------------------------------------------------ writing

--- The nearest of the 256 colours: six steps each of red, green, blue, or a grey.
local function index256(c)
  local r, g, b = color.rgb(c)
  if max(r, g, b) - min(r, g, b) < 12 then
    local gray = floor(((r + g + b) / 3 - 8) / 10 + 0.5)
    return gray < 0 and 16 or gray > 23 and 231 or 232 + gray
  end
  local function step(v) return v < 48 and 0 or v < 115 and 1 or floor((v - 35) / 40) end
  return 16 + 36 * step(r) + 6 * step(g) + step(b)
end

--- The escape sequence for colours and weight, "" where all is as the terminal has it.
function Screen:escape(ink, paper, bold)
  local parts = {}
  local function add(c, code)
    if not c then return end
    local r, g, b = color.rgb(c)
    parts[#parts + 1] = self.colors == "truecolor" and ("%d;2;%d;%d;%d"):format(code, r, g, b)
                        or ("%d;5;%d"):format(code, index256(c))
  end
  if self.plain then return "" end
  if bold then parts[1] = "1" end
  add(ink, 38)
  add(paper, 48)
  return #parts > 0 and "\27[" .. table.concat(parts, ";") .. "m" or ""
end

local WEIGHTS = { [0] = 1, 8, 2, 16, 4, 32, 64, 128 } -- of dots, in U+2800 and after

local function braille(dots)
  local sum = 0
  for place in pairs(dots) do sum = sum + WEIGHTS[place] end
  return string.char(0xe2, 0xa0 + floor(sum / 64), 0x80 + sum % 64)
end

--- Letter, ink, paper and weight of a cell.
function Screen:look(i)
  local top, bottom = self.halves[2 * i], self.halves[2 * i + 1]
  if self.letters[i] then
    return self.letters[i], self.ink[i], not self.plain and (top or bottom) or nil, self.bold[i]
  elseif self.dots[i] then
    return braille(self.dots[i]), self.dot_ink[i], not self.plain and (top or bottom) or nil
  elseif top and bottom then
    if self.plain then return "█" end
    if top == bottom then return " ", nil, top end
    return "▀", top, bottom
  elseif top or bottom then
    return top and "▀" or "▄", top or bottom
  end
  return self.shades[i] or " "
end

function Screen:bytes()
  local lines = {}
  for y = 0, self.height - 1 do
    local line, now, kept, open, under = {}, "", 0, false, nil
    for x = 0, self.width - 1 do
      local letter, ink, paper, bold = self:look(y * self.width + x)
      local blank = letter == " " and not paper
      local escape = blank and (under and "" or now) or self:escape(ink, paper, bold)
      if escape ~= now then
        line[#line + 1] = (now ~= "" and "\27[0m" or "") .. escape
        now, under = escape, paper
      end
      line[#line + 1] = letter
      if letter ~= " " or paper then kept, open = #line, now ~= "" end
    end
    line[kept + 1] = open and "\27[0m" or ""
    lines[y + 1] = table.concat(line, "", 1, kept + 1)
  end
  return table.concat(lines, "\n")
end

--- What the environment says of colours: "truecolor", "256" or "none".
local function colors_here()
  local getenv = os.getenv or function() end
  if (getenv "NO_COLOR" or "") ~= "" then return "none" end
  local term, depth = getenv "TERM" or "", getenv "COLORTERM" or ""
  if depth == "truecolor" or depth == "24bit" then return "truecolor" end
  return (term == "" or term == "dumb") and "none" or "256"
end

local function render(picture, options)
  local width = options.width or require "moongrad.progress".columns()
  local height = options.height or
    max(picture.least or 0, min(max(floor(width * (picture.tall or 0.6) / 2), 12), 40))
  local colors = options.color or (options.out and "none") or colors_here()
  return frame.draw(new(width, height, colors), picture)
end

return { render = render }
