--- Pictures as PNG: a raster of points, with smooth edges.

local check = require "moongrad.check"
local color = require "moongrad.plot_color"
local font = require "moongrad.plot_font"
local frame = require "moongrad.plot_frame"

local floor, ceil, min, max = math.floor, math.ceil, math.min, math.max
local char = string.char
local unpack = table.unpack or unpack

local LETTER = 1.55 -- points to a unit of the font: capitals are six units high

local Raster = { em = 18, gap = 6, tall = 1, margin = 10 }
Raster.__index = Raster

local function new(width, height)
  local points = {}
  for i = 1, width * height do points[i] = color.paper end
  return setmetatable({ width = width, height = height, points = points }, Raster)
end

function Raster.measure(_, text) return font.strokes(text) * LETTER end

--- Notes in 'cover' how much of each point a thick line with round ends covers.
function Raster:cover(cover, x0, y0, x1, y1, thick)
  local dx, dy, reach = x1 - x0, y1 - y0, thick / 2 + 0.5
  local pieces = ceil(max(math.abs(dx), math.abs(dy)) / 24) -- boxes around it stay small
  if pieces > 1 then
    for k = 0, pieces - 1 do
      local from, to = k / pieces, (k + 1) / pieces
      self:cover(cover, x0 + dx * from, y0 + dy * from, x0 + dx * to, y0 + dy * to, thick)
    end
    return
  end
  local square = dx * dx + dy * dy
  for y = max(0, floor(min(y0, y1) - reach)), min(self.height - 1, ceil(max(y0, y1) + reach)) do
    for x = max(0, floor(min(x0, x1) - reach)), min(self.width - 1, ceil(max(x0, x1) + reach)) do
      local px, py = x + 0.5 - x0, y + 0.5 - y0
      local t = square > 0 and min(1, max(0, (px * dx + py * dy) / square)) or 0
      local far = ((px - t * dx) ^ 2 + (py - t * dy) ^ 2) ^ 0.5
      local i = y * self.width + x + 1
      if far < reach and reach - far > (cover[i] or 0) then cover[i] = min(1, reach - far) end
    end
  end
end

--- Lays a colour over what is covered.
function Raster:ink(cover, c)
  local points = self.points
  for i, share in pairs(cover) do -- in eighths: few colours make a small file
    points[i] = share >= 1 and c or color.mix(points[i], c, floor(8 * share + 0.5) / 8)
  end
end

function Raster:text(x, y, text, align, o)
  local cover, width = {}, self:measure(text)
  local base = self.em / 2 + 3 * LETTER -- capitals stand in the middle of the line
  local turned = o and o.turned
  local left = turned and 0 or max(1, min(x - width * (align + 1) / 2, self.width - width - 1))
  local function place(point, from)
    local across, up = (point[1] + from) * LETTER, point[2] * LETTER
    if turned then return x + base - up, y + width / 2 - across end
    return left + across, y + base - up
  end
  local thick = o and o.bold and 1.9 or 1.15
  font.strokes(text, function(points, from)
    local x0, y0 = place(points[1], from)
    for k = min(2, #points), #points do
      local x1, y1 = place(points[k], from)
      self:cover(cover, x0, y0, x1, y1, #points == 1 and thick + 0.5 or thick)
      x0, y0 = x1, y1
    end
  end)
  self:ink(cover, o and o.color or color.ink)
end

function Raster:line(places, ink, dashed, thick)
  local cover, along = {}, 0
  for k = 1, #places - 3, 2 do
    local x0, y0, x1, y1 = places[k], places[k + 1], places[k + 2], places[k + 3]
    local length = ((x1 - x0) ^ 2 + (y1 - y0) ^ 2) ^ 0.5
    if not dashed then
      self:cover(cover, x0, y0, x1, y1, thick or 2)
    else
      for from = -(along % 10), length, 10 do -- six of ten are drawn
        local a, b = max(0, from) / length, min(length, from + 6) / length
        if b > a then
          self:cover(cover, x0 + (x1 - x0) * a, y0 + (y1 - y0) * a, x0 + (x1 - x0) * b,
            y0 + (y1 - y0) * b, thick or 2)
        end
      end
    end
    along = along + length
  end
  self:ink(cover, ink)
end

-- strokes of the shapes, one unit to each side
local shapes = {
  o = { { 0, 0, 0, 0 } },
  x = { { -1, -1, 1, 1 }, { -1, 1, 1, -1 } },
  ["+"] = { { -1.2, 0, 1.2, 0 }, { 0, -1.2, 0, 1.2 } },
  ["*"] = { { -1, 0.8, 1, 0.8 }, { 1, 0.8, 0, -1 }, { 0, -1, -1, 0.8 } },
}

function Raster:point(x, y, shape, ink, small)
  local unit = 4
  if small then shape, unit = "o", 0 end
  for _, ring in ipairs(small and { 0 } or { 2.5, 0 }) do -- white around it, then the point
    local cover, dot = {}, shape == "o" and (small and 3.4 or 9) or 2.4
    for _, s in ipairs(shapes[shape] or shapes.o) do
      self:cover(cover, x + unit * s[1], y + unit * s[2], x + unit * s[3], y + unit * s[4],
        dot + ring)
    end
    self:ink(cover, ring > 0 and color.paper or ink)
  end
end

function Raster:fill(x0, y0, x1, y1, ink)
  local points, width = self.points, self.width
  for y = max(0, floor(y0 + 0.5)), min(self.height, floor(y1 + 0.5)) - 1 do
    for i = y * width + max(0, floor(x0 + 0.5)) + 1, y * width + min(width, floor(x1 + 0.5)) do
      points[i] = ink
    end
  end
end

function Raster:tiles(x0, y0, x1, y1, tiles)
  local wide, high = (x1 - x0) / tiles.columns, (y1 - y0) / tiles.rows
  for i = 1, tiles.rows do
    for j = 1, tiles.columns do
      self:fill(x0 + (j - 1) * wide, y0 + (i - 1) * high, x0 + j * wide, y0 + i * high,
        tiles.color(i, j))
    end
  end
end

--- Axes left and below, with ticks, and lines across where 'grid' is true.
function Raster:frame(box, xs, ys, grid)
  local function line(x0, y0, x1, y1, ink)
    self:fill(x0 - 0.5, y0 - 0.5, x1 + 0.5, y1 + 0.5, ink)
  end
  for _, x in ipairs(xs) do
    if grid then line(x, box.y0, x, box.y1, color.faint) end
    line(x, box.y1, x, box.y1 + 4, color.ink)
  end
  for _, y in ipairs(ys) do
    if grid then line(box.x0, y, box.x1, y, color.faint) end
    line(box.x0 - 4, y, box.x0, y, color.ink)
  end
  line(box.x0, box.y0, box.x0, box.y1, color.ink)
  line(box.x0, box.y1, box.x1, box.y1, color.ink)
end

--- Rows of points as a string of three bytes each.
local function bytes_of(points)
  local parts, piece, n = {}, {}, 0
  for i = 1, #points do
    local c = points[i]
    piece[n + 1], piece[n + 2], piece[n + 3] = floor(c / 65536), floor(c / 256) % 256, c % 256
    n = n + 3
    if n == 600 or i == #points then
      parts[#parts + 1] = char(unpack(piece, 1, n))
      n = 0
    end
  end
  return table.concat(parts)
end

--- The encoder; a host may have left its module out.
local function encoder()
  local png = check.module(require, "moongrad.png")
  if not png then error("plot: this host has no moongrad.png, which makes such pictures", 0) end
  return png
end

function Raster:bytes() return encoder().encode(self.width, self.height, bytes_of(self.points)) end

--- Tiles alone as a picture of one point each.
local function of_tiles(tiles)
  local points = {}
  for i = 1, tiles.rows do
    for j = 1, tiles.columns do points[#points + 1] = tiles.color(i, j) end
  end
  return encoder().encode(tiles.columns, tiles.rows, bytes_of(points))
end

return { of_tiles = of_tiles, render = frame.on_paper(new) }
