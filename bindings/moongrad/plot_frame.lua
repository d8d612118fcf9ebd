--- Lays a picture out and draws it on a device.
--
-- A picture has rows of panels, a title and a bar that explains colours:
--
--   { title=, tall= (height by width, 0.6),
--     rows = { { share=, title=, columns=, panel, .. }, .. },
--     bar = { from=, to=, log=, label=, color= function of 0..1 } }
--
-- a panel has two axes and marks, in numbers of the axes, drawn in their order:
--
--   { title=, foot= (a line below), x=, y= { label=, from=, to=, log=, ticks=, whole= },
--     frame= (false for pictures), equal= (one unit is as long in x as in y), rows= (of tiles
--     with text, which get whole lines), grid=, marks }
--   { kind = "line", x=, y=, color=, label=, dashed=, steps= }
--   { kind = "points", x=, y=, color=, label=, shape= (o x + *), small= }
--   { kind = "bars", from=, to=, y=, base=, color=, label= }      lists from and to in x
--   { kind = "tiles", x0=, y0=, x1=, y1=, rows=, columns=, color=, plain=, text= }
--                     functions of row (from the top) and column, from 1
--   { kind = "text", x=, y=, text=, align= }
--
-- A device draws in units of its own, x to the right and y downwards: plot_terminal,
-- plot_png and plot_svg have width, height, em (height of a line of text), gap, tall (of a
-- unit, by its width), cells and plain, and the methods measure, text, line, point, fill,
-- tiles, frame, bytes.

local scale = require "moongrad.plot_scale"
local color = require "moongrad.plot_color"

local floor, min, max = math.floor, math.min, math.max

local frame = {}

local SHAPES = { "o", "x", "+", "*" }

--- 'text' of at most 'width' units.
local function cut(dev, text, width)
  local kept = {}
  for char in text:sub(1, 1000):gmatch("[^\128-\191][\128-\191]*") do kept[#kept + 1] = char end
  if #text <= 1000 and dev:measure(text) <= width then return text end
  local dots = width > 4 * dev:measure "0" and ".." or ""
  while #kept > 0 and dev:measure(table.concat(kept) .. dots) > width do kept[#kept] = nil end
  return table.concat(kept) .. dots
end

------------------------------------------------------------------------ marks

--- The part of a line from (x0, y0) to (x1, y1) inside a box; nil where there is none.
local function clip(box, x0, y0, x1, y1)
  local from, to, dx, dy = 0, 1, x1 - x0, y1 - y0
  local function side(p, q) -- p: how fast it leaves over this side; q: how far it is inside
    if p == 0 then return q >= 0 end
    local t = q / p
    if p < 0 then from = max(from, t) else to = min(to, t) end
    return from <= to
  end
  if side(-dx, x0 - box.x0) and side(dx, box.x1 - x0) and
     side(-dy, y0 - box.y0) and side(dy, box.y1 - y0) then
    return x0 + from * dx, y0 + from * dy, x0 + to * dx, y0 + to * dy
  end
end

--- Draws a line through places, what is outside of the box and not finite left out.
local function polyline(dev, box, xs, ys, mark)
  local run, at = {}, 0
  local function flush()
    if at > 0 then dev:line(run, mark.color, mark.dashed) end
    run, at = {}, 0
  end
  for i = 2, #xs do
    local x0, y0, x1, y1
    if scale.finite(xs[i - 1] + ys[i - 1] + xs[i] + ys[i]) then
      x0, y0, x1, y1 = clip(box, xs[i - 1], ys[i - 1], xs[i], ys[i])
    end
    if not x0 or at > 0 and (run[at - 1] ~= x0 or run[at] ~= y0) then flush() end
    if x0 then
      if at == 0 then run[1], run[2], at = x0, y0, 2 end
      run[at + 1], run[at + 2], at = x1, y1, at + 2
    end
  end
  flush()
end

local function inside(box, x, y)
  return x >= box.x0 and x <= box.x1 and y >= box.y0 and y <= box.y1
end

--- Letters on a line, where there are no colours to tell it by.
local function letters(dev, box, xs, ys, mark, n)
  local wanted = box.x0 + 2 + 3 * n
  for i = 1, #xs do
    if xs[i] >= wanted and inside(box, xs[i], ys[i]) then
      dev:point(xs[i], ys[i], mark.letter)
      wanted = xs[i] + 12
    end
  end
end

local draw = {}

function draw.line(dev, box, mark, px, py, n)
  local xs, ys = {}, {}
  for i = 1, #mark.x do xs[i], ys[i] = px(mark.x[i]), py(mark.y[i]) end
  polyline(dev, box, xs, ys, mark)
  if mark.letter then letters(dev, box, xs, ys, mark, n) end
end

function draw.points(dev, box, mark, px, py)
  for i = 1, #mark.x do
    local x, y = px(mark.x[i]), py(mark.y[i])
    if inside(box, x, y) then dev:point(x, y, mark.shape, mark.color, mark.small) end
  end
end

function draw.bars(dev, box, mark, px, py)
  local base = py(mark.base or 0)
  if base ~= base then base = box.y1 end
  base = min(box.y1, max(box.y0, base))
  for i = 1, #mark.y do
    local y = min(box.y1, max(box.y0, py(mark.y[i])))
    if y == y then
      dev:fill(max(box.x0, px(mark.from[i])), min(y, base), min(box.x1, px(mark.to[i])),
        max(y, base), mark.color)
    end
  end
end

function draw.tiles(dev, _, mark, px, py)
  local x0, y0, x1, y1 = px(mark.x0), py(mark.y1), px(mark.x1), py(mark.y0)
  dev:tiles(x0, y0, x1, y1, mark)
  if not mark.text then return end
  local wide, high = (x1 - x0) / mark.columns, (y1 - y0) / mark.rows
  for i = 1, mark.rows do
    for j = 1, mark.columns do
      local text = mark.text(i, j)
      if dev:measure(text) <= wide then
        local y = y0 + (i - 0.5) * high - dev.em / 2
        dev:text(x0 + (j - 0.5) * wide, y, text, 0, { color = color.on(mark.color(i, j)) })
      end
    end
  end
end

function draw.text(dev, box, mark, px, py)
  local x, y = px(mark.x), py(mark.y)
  if inside(box, x, y) then
    dev:text(x, y - dev.em / 2, mark.text, mark.align or 0, { color = mark.color })
  end
end

----------------------------------------------------------------------- legend

--- Gives marks without one a colour, points a shape, and lines letters where the device
-- has no colours and they are not alone. Points that are not alone need a shape then.
local function dress(dev, marks)
  local count = { line = 0, points = 0 }
  for _, mark in ipairs(marks) do count[mark.kind] = (count[mark.kind] or 0) + 1 end
  local n, points, letter = 0, 0, 0
  for _, mark in ipairs(marks) do
    if mark.kind ~= "tiles" and mark.kind ~= "text" then
      n = n + 1
      mark.color = mark.color or color.of(n)
    end
    if mark.kind == "points" then
      points = points + 1
      mark.shape = mark.shape or SHAPES[(points - 1) % #SHAPES + 1]
      mark.small = mark.small and not (dev.plain and count.points > 1)
    end
    if mark.kind == "line" and count.line > 1 and dev.plain then
      letter = letter + 1
      mark.letter = string.char(96 + (letter - 1) % 26 + 1)
    end
  end
end

--- What stands for a mark in the legend.
local function sample(dev, x, y, width, mark)
  local middle = y + dev.em / 2
  if mark.kind == "line" then
    dev:line({ x, middle, x + width, middle }, mark.color, mark.dashed)
    if mark.letter then dev:point(x + width / 2, middle, mark.letter) end
  elseif mark.kind == "points" then
    dev:point(x + width / 2, middle, mark.shape, mark.color, mark.small)
  else
    dev:fill(x, y + 0.2 * dev.em, x + width, y + 0.8 * dev.em, mark.color)
  end
end

--- One line or more that name the marks with a label; returns where they end.
local function legend(dev, marks, box)
  local x, y, wide = box.x0, box.y0, dev:measure "mm"
  local any = false
  for _, mark in ipairs(marks) do
    if mark.label then
      local label = cut(dev, mark.label, box.x1 - box.x0 - 1.5 * wide)
      local all = 1.5 * wide + dev:measure(label)
      if any and x + all > box.x1 then x, y = box.x0, y + dev.em end
      sample(dev, x, y, wide, mark)
      dev:text(x + 1.5 * wide, y, label, -1)
      x, any = x + all + 1.5 * wide, true
    end
  end
  return any and y + dev.em + (dev.cells and 0 or dev.gap) or y
end

------------------------------------------------------------------------- axes

--- As many ticks as there is room for: of labels beside each other, or above each other.
local function fitting(dev, axis, length, across)
  local n = floor(length / (across and 3 * dev:measure "0" or 2 * dev.em))
  n = min(n, 9)
  local ticks, place, fine, last
  repeat
    ticks, place = scale.ticks(axis, n), scale.place(axis, 0, length)
    fine, last = true, nil
    for _, tick in ipairs(across and ticks or {}) do
      local at, half = place(tick[1]), dev:measure(tick[2]) / 2
      if last and at - half < last + dev:measure " " then fine = false end
      last = at + half
    end
    n = n - 1
  until fine or n < 2
  if not fine and axis.ticks then -- names: only every k-th
    local kept, every = {}, math.ceil(#ticks * 3 * dev:measure "0" / length)
    for i = 1, #ticks, every do
      kept[#kept + 1] = { ticks[i][1], cut(dev, ticks[i][2], every * length / #ticks - dev.gap) }
    end
    ticks = kept
  end
  return ticks
end

local function widest(dev, ticks)
  local most = 0
  for _, tick in ipairs(ticks) do most = max(most, dev:measure(tick[2])) end
  return most
end

--- A box inside 'box' in which one unit of x is as long as one of y.
local function equalize(dev, panel, box)
  local ratio = (panel.y.to - panel.y.from) / (panel.x.to - panel.x.from) / dev.tall
  local wide, high = box.x1 - box.x0, box.y1 - box.y0
  local w, h = min(wide, high / ratio), min(high, wide * ratio)
  local function whole(v) return dev.cells and max(1, floor(v + 0.5)) or v end
  w, h = whole(w), whole(h)
  local x, y = floor(box.x0 + (wide - w) / 2), floor(box.y0 + (high - h) / 2)
  return { x0 = x, y0 = y, x1 = x + w, y1 = y + h }
end

--- Takes the room for labels and axes off the box; what remains, and the ticks.
local function margins(dev, panel, box)
  local x, y = panel.x, panel.y
  local line = dev.cells and 1 or dev.gap
  if y.label and dev.cells then
    dev:text(box.x0, box.y0, cut(dev, y.label, box.x1 - box.x0), -1)
    box.y0 = box.y0 + dev.em
  end
  box.y1 = box.y1 - dev.em - line - (x.label and dev.em or 0)
  local ys = fitting(dev, y, box.y1 - box.y0, false)
  local room = 0.4 * (box.x1 - box.x0)
  for i, tick in ipairs(ys) do ys[i] = { tick[1], cut(dev, tick[2], room) } end
  if y.label and not dev.cells then box.x0 = box.x0 + dev.em end
  box.x0 = floor(box.x0 + widest(dev, ys) + line + (dev.cells and 0 or dev.gap))
  box.y0 = box.y0 + (dev.cells and 0 or dev.em / 2)
  box.x1 = floor(box.x1 - dev:measure "00" / 2)
  if panel.equal then box = equalize(dev, panel, box) end
  local rows = panel.rows -- of tiles with text in them: as many lines each
  if dev.cells and rows and box.y1 - box.y0 > rows then
    box.y1 = box.y1 - (box.y1 - box.y0) % rows
  end
  return box, fitting(dev, x, box.x1 - box.x0, true), ys
end

--- Axes, ticks, labels; the device draws the lines.
local function axes(dev, panel, box, outer)
  local inner, xs, ys = margins(dev, panel, box)
  local px = scale.place(panel.x, inner.x0, inner.x1)
  local py = scale.place(panel.y, inner.y1, inner.y0)
  local line = dev.cells and 1 or dev.gap
  local across, up = {}, {}
  for i, tick in ipairs(xs) do
    across[i] = px(tick[1])
    local half = dev:measure(tick[2]) / 2
    local at = max(half, min(across[i] + (dev.cells and 0.5 or 0), outer.x1 - half))
    dev:text(at, inner.y1 + line, tick[2], 0)
  end
  for i, tick in ipairs(ys) do
    up[i] = py(tick[1])
    local y = dev.cells and max(inner.y0, floor(up[i] - 1e-6)) or up[i] - dev.em / 2
    dev:text(inner.x0 - line - (dev.cells and 0 or 2), y, tick[2], 1)
  end
  if panel.x.label then
    dev:text((inner.x0 + inner.x1) / 2, inner.y1 + line + dev.em,
      cut(dev, panel.x.label, outer.x1 - outer.x0), 0)
  end
  if panel.y.label and not dev.cells then
    local x = inner.x0 - line - 4 - widest(dev, ys) - dev.em
    dev:text(x, (inner.y0 + inner.y1) / 2, panel.y.label, 0, { turned = true })
  end
  dev:frame(inner, across, up, panel.grid ~= false)
  return inner, px, py
end

----------------------------------------------------------------------- panels

local function draw_panel(dev, panel, box)
  local outer = { x0 = box.x0, y0 = box.y0, x1 = box.x1, y1 = box.y1 }
  local middle, wide = (box.x0 + box.x1) / 2, box.x1 - box.x0
  dress(dev, panel)
  if panel.title then
    dev:text(middle, box.y0, cut(dev, panel.title, wide), 0, { bold = panel.bold })
    box.y0 = box.y0 + dev.em
  end
  if panel.foot then
    box.y1 = box.y1 - dev.em
    dev:text(middle, box.y1, cut(dev, panel.foot, wide), 0, { color = panel.foot_color })
  end
  box.y0 = legend(dev, panel, box)
  local inner, px, py
  if panel.frame == false then
    inner = panel.equal and equalize(dev, panel, box) or box
    px = scale.place(panel.x, inner.x0, inner.x1)
    py = scale.place(panel.y, inner.y1, inner.y0)
  else
    inner, px, py = axes(dev, panel, box, outer)
  end
  for n, mark in ipairs(panel) do draw[mark.kind](dev, inner, mark, px, py, n) end
end

--- The colours of 'bar' from bottom to top, with labels beside.
local function draw_bar(dev, bar, box)
  local ticks = scale.ticks(bar, max(2, min(6, floor((box.y1 - box.y0) / (3 * dev.em)))))
  local wide = dev:measure "mm"
  local labels = max(widest(dev, ticks), dev:measure(bar.label or ""))
  local left = floor(box.x1 - wide - dev.gap - labels)
  if bar.label then dev:text(left, box.y0, bar.label, -1) end
  local top, bottom = floor(box.y0 + 1.5 * dev.em), floor(box.y1 - 1.5 * dev.em)
  local rows = 64
  dev:tiles(left, top, left + wide, bottom, { rows = rows, columns = 1,
    color = function(i) return bar.color((rows - i) / (rows - 1)) end,
    plain = bar.plain and function(i) return bar.plain((rows - i) / (rows - 1)) end })
  local place = scale.place(bar, bottom, top)
  for _, tick in ipairs(ticks) do
    local y = place(tick[1])
    y = dev.cells and min(floor(y), bottom - 1) or y - dev.em / 2
    dev:text(left + wide + dev.gap, y, tick[2], -1)
  end
  box.x1 = left - 2 * dev.gap
end

--- The render function of a device that counts in points; new(width, height) makes one.
function frame.on_paper(new)
  return function(picture, options)
    local width = options.width or 640
    local height = options.height or floor(width * (picture.tall or 0.6) + 0.5)
    return frame.draw(new(width, height), picture)
  end
end

--- Draws a picture; what its device makes of it.
function frame.draw(dev, picture)
  local box = { x0 = dev.margin, y0 = dev.margin, x1 = dev.width - dev.margin,
                y1 = dev.height - dev.margin }
  if picture.title then
    dev:text(dev.width / 2, box.y0, cut(dev, picture.title, box.x1 - box.x0), 0, { bold = true })
    box.y0 = box.y0 + dev.em + dev.gap
  end
  if picture.bar then draw_bar(dev, picture.bar, box) end
  local shares, y = 0, box.y0
  for _, row in ipairs(picture.rows) do shares = shares + (row.share or 1) end
  for _, row in ipairs(picture.rows) do
    local high = (box.y1 - box.y0) * (row.share or 1) / shares
    if dev.cells then high = floor(high) end
    local n, top = row.columns or #row, floor(y)
    if row.title then
      local title = dev.plain and row.plain_title or row.title
      dev:text((box.x0 + box.x1) / 2, top, cut(dev, title, box.x1 - box.x0), 0)
      top = top + dev.em
    end
    for i, panel in ipairs(row) do
      local wide = (box.x1 - box.x0 + 2 * dev.gap) / n
      if dev.cells then wide = floor(wide) end
      local x = box.x0 + (i - 1) * wide
      draw_panel(dev, panel, { x0 = floor(x), y0 = top, x1 = floor(x + wide - 2 * dev.gap),
                               y1 = floor(y + high - dev.gap) })
    end
    y = y + high
  end
  return dev:bytes()
end

return frame
