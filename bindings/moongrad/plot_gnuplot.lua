--- Pictures by gnuplot, where it is installed: a script is written to a temporary file and
-- what gnuplot makes of it read through a pipe. It lays out axes and legend itself.

local color = require "moongrad.plot_color"
local scale = require "moongrad.plot_scale"

local concat = table.concat

local terminals = { png = "pngcairo size %d,%d", svg = "svg size %d,%d", txt = "dumb %d,%d",
                    pdf = "pdfcairo size %d,%d", eps = "postscript eps color size %d,%d" }

--- A text as gnuplot takes it for no more than that.
local function quote(text)
  return "'" .. text:gsub("[%c`]", " "):gsub("'", "''") .. "'"
end

local function number(v) return scale.finite(v) and ("%.9g"):format(v) or "NaN" end

local types = { o = 7, x = 2, ["+"] = 1, ["*"] = 9 }

-- what to say behind plot, and the lines of data, for each kind of mark
local marks = {}

function marks.line(mark, data)
  for i = 1, #mark.x do data[#data + 1] = number(mark.x[i]) .. " " .. number(mark.y[i]) end
  return ("with lines lw 2 lc rgb '%s'%s"):format(color.hex(mark.color),
    mark.dashed and " dt 2" or "")
end

function marks.points(mark, data)
  marks.line(mark, data)
  return ("with points pt %d ps %g lc rgb '%s'"):format(mark.small and 7 or types[mark.shape] or 7,
    mark.small and 0.4 or 1.2, color.hex(mark.color))
end

function marks.bars(mark, data)
  local base = mark.base or 0
  for i = 1, #mark.y do
    data[#data + 1] = concat({ number((mark.from[i] + mark.to[i]) / 2),
      number(mark.y[i]), number(mark.from[i]), number(mark.to[i]), number(base),
      number(mark.y[i]) }, " ")
  end
  return ("with boxxyerror fs solid lc rgb '%s'"):format(color.hex(mark.color))
end

function marks.tiles(mark, data)
  local wide, high = (mark.x1 - mark.x0) / mark.columns, (mark.y1 - mark.y0) / mark.rows
  for i = 1, mark.rows do
    for j = 1, mark.columns do
      data[#data + 1] = concat({ number(mark.x0 + (j - 0.5) * wide),
        number(mark.y1 - (i - 0.5) * high), color.rgb(mark.color(i, j)) }, " ")
    end
  end
  return "with rgbimage"
end

function marks.text(mark, data)
  data[1] = concat({ number(mark.x), number(mark.y), (mark.text:gsub("[%s\"]", "_")) }, " ")
  return "with labels"
end

--- The numbers in tiles, as a mark of their own.
local function tile_texts(mark)
  local data = {}
  local wide, high = (mark.x1 - mark.x0) / mark.columns, (mark.y1 - mark.y0) / mark.rows
  for i = 1, mark.rows do
    for j = 1, mark.columns do
      local text = mark.text(i, j)
      if text ~= "" then
        data[#data + 1] = concat({ number(mark.x0 + (j - 0.5) * wide),
          number(mark.y1 - (i - 0.5) * high), text, color.on(mark.color(i, j)) }, " ")
      end
    end
  end
  return "with labels tc rgb variable", data
end

local function set_axis(add, name, axis, shown)
  add("set %srange [%s:%s]", name, number(axis.from), number(axis.to))
  add(axis.log and "set logscale %s" or "unset logscale %s", name)
  add("set %slabel %s", name, quote(shown and axis.label or ""))
  if not shown then return add("unset %stics", name) end
  if not axis.ticks then
    local few = axis.whole and axis.to - axis.from < 12
    return add("set %stics autofreq%s", name, few and " 1" or "")
  end
  local ticks = {}
  for i, tick in ipairs(axis.ticks) do ticks[i] = quote(tick[2]) .. " " .. number(tick[1]) end
  add("set %stics %s(%s)", name, name == "x" and #ticks > 6 and "rotate by -30 " or "norotate ",
    concat(ticks, ", "))
end

--- Margins in letters are for a panel without a frame.
local function add_panel(add, panel, margins)
  local shown, words, blocks, labelled = panel.frame ~= false, {}, {}, false
  add("set title %s", quote(panel.title or ""))
  set_axis(add, "x", panel.x, shown)
  set_axis(add, "y", panel.y, shown)
  for side, lines in pairs(margins or { l = 0, r = 0, t = 2, b = 2 }) do
    add(shown and "set %smargin" or "set %smargin %d", side, lines)
  end
  if panel.foot then add("set xlabel %s", quote(panel.foot)) end
  add(shown and "set border 3" or "unset border")
  add(panel.equal and "set size ratio -1" or "set size noratio")
  for n, mark in ipairs(panel) do
    if mark.kind ~= "tiles" then mark.color = mark.color or color.of(n) end
    mark.shape = mark.shape or "o"
    local data = {}
    local how = marks[mark.kind](mark, data)
    labelled = labelled or mark.label ~= nil
    words[#words + 1] = ("'-' %s %s"):format(how, mark.label and "title " .. quote(mark.label)
                                             or "notitle")
    blocks[#blocks + 1] = data
    if mark.kind == "tiles" and mark.text then
      how, data = tile_texts(mark)
      words[#words + 1], blocks[#blocks + 1] = "'-' " .. how .. " notitle", data
    end
  end
  add(labelled and "set key outside top horizontal" or "unset key")
  add("plot %s", concat(words, ", "))
  for _, data in ipairs(blocks) do
    for _, line in ipairs(data) do add("%s", line) end
    add("e")
  end
end

--- The colours of 'bar' from bottom to top at the right side, with labels beside.
-- Two columns, as gnuplot draws no image of one.
local function add_bar(add, bar, wide, high)
  local rows, ticks, place = 64, {}, scale.place(bar, 0, 1)
  for i, tick in ipairs(scale.ticks(bar, 6)) do
    ticks[i] = quote(tick[2]) .. " " .. number(place(tick[1]))
  end
  add("set origin %g,0", 1 - wide)
  add("set size %g,%g", wide, high)
  add "set y2range [0:1]"
  add("set y2tics (%s)", concat(ticks, ", "))
  add_panel(add, { title = bar.label, frame = false,
    x = { from = 0, to = 1 }, y = { from = 0, to = 1 },
    { kind = "tiles", x0 = 0, y0 = 0, x1 = 1, y1 = 1, rows = rows, columns = 2,
      color = function(i) return bar.color((rows - i) / (rows - 1)) end } },
    { l = 1, r = 7, t = 2, b = 2 })
end

--- The script that draws a picture.
local function script(picture, terminal, width, height)
  local lines = {}
  local function add(form, ...) lines[#lines + 1] = form:format(...) end
  add("set terminal " .. terminal .. " noenhanced", width, height)
  add "set tics nomirror"
  add("set multiplot title %s noenhanced", quote(picture.title or ""))
  local shares, y, top = 0, 1, picture.title and 0.94 or 1
  local beside = picture.bar and 0.14 or 0
  for _, row in ipairs(picture.rows) do shares = shares + (row.share or 1) end
  for _, row in ipairs(picture.rows) do
    local wide, high = (1 - beside) / (row.columns or #row), (row.share or 1) / shares
    y = y - high
    for i, panel in ipairs(row) do
      add("set origin %g,%g", (i - 1) * wide, y * top)
      add("set size %g,%g", wide, high * top)
      add_panel(add, panel)
    end
  end
  if picture.bar then add_bar(add, picture.bar, beside, top) end
  add("unset multiplot")
  return concat(lines, "\n") .. "\n"
end

--- What gnuplot writes for a script; nil and a message where it does not run.
local function run(text)
  if not (io and io.popen and os.tmpname) then return nil, "this host lets no program run" end
  local path, errors = os.tmpname(), os.tmpname()
  local file, message = io.open(path, "wb")
  if not file then return nil, message end
  file:write(text)
  file:close()
  local pipe = io.popen(("gnuplot '%s' 2>'%s'"):format(path, errors), "r")
  local bytes = pipe and pipe:read("*a") or ""
  if pipe then pipe:close() end
  os.remove(path)
  local why = io.open(errors, "rb")
  message = why and why:read("*a") or ""
  if why then why:close() end
  os.remove(errors)
  if #bytes > 0 then return bytes end
  return nil, "gnuplot drew nothing: " .. message:gsub("%s+", " "):sub(1, 200)
end

local function has_tiles(picture)
  for _, row in ipairs(picture.rows) do
    for _, panel in ipairs(row) do
      for _, mark in ipairs(panel) do
        if mark.kind == "tiles" then return true end
      end
    end
  end
end

--- The bytes of a picture as the file's name wants it, text without one. A name that ends
-- in .gp gets the script alone.
local function render(picture, options)
  local ending = (options.out or ".txt"):match("%.(%w+)$"):lower()
  local text = ending == "txt"
  if text and has_tiles(picture) then
    return nil, 'gnuplot draws no areas of colour as text; mg.plot.backend = "terminal" does'
  end
  local width = options.width or (text and require "moongrad.progress".columns() or 640)
  local height = options.height or math.floor(width * (picture.tall or 0.6) * (text and 0.5 or 1))
  if ending == "pdf" or ending == "eps" then
    return run(script(picture, terminals[ending]:gsub("%%d", "%%g"), width / 100, height / 100))
  end
  local made = script(picture, terminals[ending] or terminals.png, width, height)
  if ending == "gp" then return made end
  return run(made)
end

return { render = render }
