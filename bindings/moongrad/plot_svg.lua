--- Pictures as SVG. Tiles become an embedded PNG, which keeps the file small.

local color = require "moongrad.plot_color"
local frame = require "moongrad.plot_frame"

local floor = math.floor

local Sheet = { em = 18, gap = 6, tall = 1, margin = 10 }
Sheet.__index = Sheet

local SIZE = 13 -- of letters
local NARROW, WIDE = "[iIjl.,:;'|!()%[%] ]", "[mwMW%%@]"

local function new(width, height)
  local self = setmetatable({ width = width, height = height, parts = {} }, Sheet)
  self:add('<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d"'
    .. ' font-family="DejaVu Sans, Verdana, sans-serif" font-size="%d">', width, height, width,
    height, SIZE)
  self:add('<rect width="%d" height="%d" fill="%s"/>', width, height, color.hex(color.paper))
  return self
end

function Sheet:add(form, ...) self.parts[#self.parts + 1] = form:format(...) end

--- About how wide a text is in that font.
function Sheet.measure(_, text)
  local _, n = text:gsub("[^\128-\191]", "")
  local _, narrow = text:gsub(NARROW, "")
  local _, wide = text:gsub(WIDE, "")
  return (0.64 * n - 0.28 * narrow + 0.3 * wide) * SIZE
end

local function escape(text)
  local names = { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;", ['"'] = "&quot;" }
  return (text:gsub("%c", " "):gsub('[&<>"]', names))
end

local anchors = { [-1] = "start", [0] = "middle", [1] = "end" }

function Sheet:text(x, y, text, align, o)
  o = o or {}
  local half, base = self:measure(text) * (align + 1) / 2, y + self.em / 2 + 0.36 * SIZE
  local turn = ""
  if o.turned then
    x, base = x + self.em / 2 + 0.36 * SIZE, y
    turn = (' transform="rotate(-90 %.1f %.1f)"'):format(x, base)
  else
    x = math.max(half, x)
  end
  self:add('<text x="%.1f" y="%.1f" text-anchor="%s" fill="%s"%s%s>%s</text>', x, base,
    anchors[align], color.hex(o.color or color.ink), o.bold and ' font-weight="bold"' or "", turn,
    escape(text))
end

function Sheet:line(places, ink, dashed)
  local list = {}
  for i = 1, #places, 2 do list[#list + 1] = ("%.1f,%.1f"):format(places[i], places[i + 1]) end
  self:add('<polyline points="%s" fill="none" stroke="%s" stroke-width="2"'
    .. ' stroke-linejoin="round" stroke-linecap="round"%s/>', table.concat(list, " "),
    color.hex(ink), dashed and ' stroke-dasharray="6 4"' or "")
end

-- paths of the shapes around their middle
local paths = {
  x = "m-4,-4l8,8m0,-8l-8,8", ["+"] = "m-5,0h10m-5,-5v10", ["*"] = "m-4,3.2h8l-4,-7.2z",
}

function Sheet:point(x, y, shape, ink, small)
  if small or not paths[shape] then
    return self:add('<circle cx="%.1f" cy="%.1f" r="%g" fill="%s"%s/>', x, y, small and 1.7 or 5,
      color.hex(ink), small and "" or ' stroke="#ffffff" stroke-width="1.2"')
  end
  local path = ("M%.1f,%.1f%s"):format(x, y, paths[shape])
  self:add('<path d="%s" fill="none" stroke="#ffffff" stroke-width="5" stroke-linecap="round"/>'
    .. '<path d="%s" fill="none" stroke="%s" stroke-width="2.4" stroke-linecap="round"/>', path,
    path, color.hex(ink))
end

function Sheet:fill(x0, y0, x1, y1, ink)
  self:add('<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" fill="%s"'
    .. ' shape-rendering="crispEdges"/>', x0, y0, x1 - x0, y1 - y0, color.hex(ink))
end

local DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

local function base64(bytes)
  local parts = {}
  for i = 1, #bytes, 3 do
    local a, b, c = bytes:byte(i, i + 2)
    local v = a * 65536 + (b or 0) * 256 + (c or 0)
    local four = ""
    for k = 3, 0, -1 do
      local digit = floor(v / 64 ^ k) % 64 + 1
      four = four .. DIGITS:sub(digit, digit)
    end
    parts[#parts + 1] = c and four or four:sub(1, b and 3 or 2) .. (b and "=" or "==")
  end
  return table.concat(parts)
end

local FEW = 400 -- tiles that are rectangles: some viewers blur pictures

function Sheet:tiles(x0, y0, x1, y1, tiles)
  local rows, columns = tiles.rows, tiles.columns
  if rows * columns <= FEW then
    local wide, high = (x1 - x0) / columns, (y1 - y0) / rows
    for k = 0, rows * columns - 1 do
      local i, j = floor(k / columns), k % columns
      self:fill(x0 + j * wide, y0 + i * high, x0 + (j + 1) * wide, y0 + (i + 1) * high,
        tiles.color(i + 1, j + 1))
    end
    return
  end
  self:add('<image x="%.1f" y="%.1f" width="%.1f" height="%.1f" preserveAspectRatio="none"'
    .. ' image-rendering="optimizeSpeed" style="image-rendering:pixelated"'
    .. ' href="data:image/png;base64,%s"/>', x0, y0, x1 - x0, y1 - y0,
    base64(require "moongrad.plot_png".of_tiles(tiles)))
end

--- Axes left and below, with ticks, and lines across where 'grid' is true.
function Sheet:frame(box, xs, ys, grid)
  local lines, ticks = {}, {}
  local function path(list, ...) list[#list + 1] = ("M%.1f,%.1fL%.1f,%.1f"):format(...) end
  for _, x in ipairs(xs) do
    path(lines, x, box.y0, x, box.y1)
    path(ticks, x, box.y1, x, box.y1 + 4)
  end
  for _, y in ipairs(ys) do
    path(lines, box.x0, y, box.x1, y)
    path(ticks, box.x0 - 4, y, box.x0, y)
  end
  path(ticks, box.x0, box.y0, box.x0, box.y1)
  path(ticks, box.x0, box.y1, box.x1, box.y1)
  local form = '<path d="%s" stroke="%s" fill="none"/>'
  if grid then self:add(form, table.concat(lines), color.hex(color.faint)) end
  self:add(form, table.concat(ticks), color.hex(color.ink))
end

function Sheet:bytes() return table.concat(self.parts, "\n") .. "\n</svg>\n" end

return { render = frame.on_paper(new) }
