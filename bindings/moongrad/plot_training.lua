--- Pictures of numbers: losses, curves, histograms, tables of mistakes, sizes of gradients.

local color = require "moongrad.plot_color"
local scale = require "moongrad.plot_scale"

local floor, min, max = math.floor, math.min, math.max

return function(plot, tools, mg, core, require)
  local check = require "moongrad.check"

  --- A tensor, or a table of numbers, as a flat table.
  local function numbers(who, what, v)
    if core.type(v) == "tensor" then
      check.is("tensor", v, who, what)
      return v:detach():reshape(-1):totable()
    end
    check.is("table", v, who, what)
    for i = 1, #v do
      if type(v[i]) ~= "number" then
        check.fail(who, "%s[%d] is %s, expected a number", what, i, check.what(v[i]))
      end
    end
    return v
  end
  tools.numbers = numbers

  --- An axis around all finite numbers of several lists; a logarithmic one around those
  -- above 0.
  local function axis(label, lists, o)
    o = o or {}
    local low, high = scale.extent(lists, o.log and 0 or nil)
    local a = { label = label, log = o.log, whole = o.whole }
    if o.log then
      low, high = low or 0.1, high or 1
      a.from, a.to = low / 1.1, max(high * 1.1, low * 1.3)
    else
      a.from, a.to = scale.widen(low, high, o.part or 0.04)
      if o.zero then a.from, a.to = min(a.from, 0), max(a.to, 0) end
    end
    return a
  end

  ------------------------------------------------------------------------- loss

  --- Rows of a file that fit's option log has written, a line of JSON each.
  local function read_log(path)
    local json = check.module(require, "cjson")
    if not json then
      error("plot.loss: a log is JSON, for which the rock lua-cjson is needed, which is not"
        .. " here", 0)
    end
    local files = require "moongrad.files"
    return files.read(path, function(read, size)
      local rows = {}
      for line in read(size):gmatch("[^\r\n]+") do
        local fine, row = check.pcall(json.decode, line)
        if not fine or type(row) ~= "table" then
          files.fail(("line %d is no row of a log"):format(#rows + 1))
        end
        rows[#rows + 1] = row
      end
      return rows
    end)
  end

  local no_measure = { epoch = true, seconds = true, examples = true, batch = true }

  --- The columns of rows that hold numbers: lists of {name, base}, losses first, then by name.
  local function columns(rows)
    local seen, list = {}, {}
    for _, row in ipairs(rows) do
      for name, v in pairs(row) do
        if type(name) == "string" and type(v) == "number" and not seen[name]
           and not no_measure[name] then
          seen[name] = true
          local base = name:gsub("^val_", "")
          list[#list + 1] = { name = name, base = base, validation = base ~= name }
        end
      end
    end
    local function key(c)
      return (c.base == "loss" and "0" or "1") .. c.base .. (c.validation and "1" or "0")
    end
    table.sort(list, function(a, b) return key(a) < key(b) end)
    return list
  end

  --- A panel with the columns of one base, over the epochs.
  local function measure_panel(rows, group, o)
    local panel, lists, epochs = {}, {}, {}
    for i, row in ipairs(rows) do epochs[i] = type(row.epoch) == "number" and row.epoch or i end
    for _, c in ipairs(group) do
      local values = {}
      for i, row in ipairs(rows) do values[i] = tonumber(row[c.name]) or 0 / 0 end
      lists[#lists + 1] = values
      panel[#panel + 1] = { kind = #rows > 1 and "line" or "points", x = epochs, y = values,
        label = #group > 1 and (c.validation and "validation" or "training") or nil,
        color = color.of(c.validation and 2 or 1) }
    end
    panel.x = axis(o.xlabel, { epochs }, { part = 0, whole = true })
    panel.y = axis(group[1].base, lists, { log = o.log })
    if rows.best and o.best then
      for i, row in ipairs(rows) do
        if epochs[i] == rows.best then
          local c = group[#group]
          panel[#panel + 1] = { kind = "points", x = { epochs[i] }, y = { row[c.name] or 0 / 0 },
            label = ("best: epoch %d"):format(rows.best), color = color.of(4), shape = "o" }
        end
      end
    end
    return panel
  end

  --- The rows of what loss was given; nil, a message and a code where a file is at fault.
  local function rows_of(history)
    if type(history) == "string" then return read_log(history) end
    check.is("table", history, "plot.loss", "history")
    if type(history[1]) ~= "number" then
      for i, row in ipairs(history) do
        check.is("table", row, "plot.loss", ("row %d"):format(i))
      end
      return history
    end
    local rows = {}
    for i, v in ipairs(numbers("plot.loss", "history", history)) do rows[i] = { loss = v } end
    return rows
  end

  --- Draws loss and metrics over the epochs.
  -- @param history  the rows that fit has returned, or the file that its option log has
  --   written, or a list of losses
  -- @tparam[opt] table options  log: true for a logarithmic loss; xlabel ("epoch")
  -- @treturn string  for a terminal; true after writing to options.out; or nil, a message
  --   and a code
  function plot.loss(history, options)
    local o = tools.options("plot.loss", options, { log = "boolean", xlabel = "string" })
    local rows, message, code = rows_of(history)
    if not rows then return nil, message, code end
    local groups, by_base = {}, {}
    for _, c in ipairs(columns(rows)) do
      if not by_base[c.base] and #groups < 3 then
        by_base[c.base] = {}
        groups[#groups + 1] = by_base[c.base]
      end
      if by_base[c.base] then table.insert(by_base[c.base], c) end
    end
    if #groups == 0 then check.fail("plot.loss", "history has no row with a number in it") end
    local picture = { rows = {}, tall = max(0.55, 0.4 * #groups), least = 12 * #groups }
    for i, group in ipairs(groups) do
      local first, last = i == 1, i == #groups
      picture.rows[i] = { measure_panel(rows, group, { log = first and o.log or nil, best = first,
        xlabel = last and (o.xlabel or "epoch") or nil }) }
    end
    return tools.draw("plot.loss", picture, o)
  end

  ------------------------------------------------------------------------ curve

  --- What a function or a net gives for each of a list of numbers.
  local function values_of(f, xs)
    local ys = {}
    if core.type(f) == "layer" then
      return numbers("plot.curve", "the net's answers", f:predict(mg.tensor(xs):reshape(-1, 1)))
    end
    for i, x in ipairs(xs) do
      local y = f(x)
      if core.type(y) == "tensor" and y:numel() == 1 then y = y:detach():reshape(1)[1] end
      if type(y) ~= "number" then
        check.fail("plot.curve", "the function gave %s for %g, expected a number",
          check.what(y), x)
      end
      ys[i] = y
    end
    return ys
  end

  local function is_function(v) return type(v) == "function" or core.type(v) == "layer" end

  --- An entry as a table: {f=, label=} or {x=, y=, label=, line=}.
  local function entry_of(v, i)
    if is_function(v) then return { f = v } end
    local what = ("curves[%d]"):format(i)
    check.is("table", v, "plot.curve", what)
    check.optional("string", v.label, "plot.curve", what .. ".label")
    local f = v.f or v[1]
    if is_function(f) then return { f = f, label = v.label, dashed = v.dashed } end
    if f ~= nil and v.f ~= nil then
      check.fail("plot.curve", "%s.f is %s, expected a function or a net", what, check.what(f))
    end
    if v.x == nil or v.y == nil then
      check.fail("plot.curve", "%s has neither a function nor x and y", what)
    end
    local e = { x = numbers("plot.curve", what .. ".x", v.x), label = v.label, line = v.line,
                y = numbers("plot.curve", what .. ".y", v.y), dashed = v.dashed }
    if #e.x ~= #e.y then
      check.fail("plot.curve", "%s has %d x and %d y, expected as many", what, #e.x, #e.y)
    end
    return e
  end

  local curve_options = { from = "number", to = "number", low = "number", high = "number",
    log = "boolean", xlog = "boolean", xlabel = "string", ylabel = "string" }

  --- The range that functions are drawn over.
  local function domain(entries, o)
    local lists = {}
    for _, e in ipairs(entries) do lists[#lists + 1] = e.x end
    local low, high = scale.extent(lists, o.xlog and 0 or nil)
    local from, to = o.from or low or -5, o.to or high or 5
    if not (scale.finite(from) and scale.finite(to)) or from > to or o.xlog and from <= 0 then
      check.fail("plot.curve", "from is %g and to is %g, expected a range", from, to)
    end
    return from, to
  end

  local function spread(from, to, n, log)
    local xs = {}
    for i = 1, n do
      local t = (i - 1) / (n - 1)
      xs[i] = log and from * (to / from) ^ t or from + (to - from) * t
    end
    return xs
  end

  --- Draws functions and points.
  -- @param curves  a function of a number, a net with one input and one output, points
  --   {x=, y=}, or a list of these; {f=, label=}, {x=, y=, label=, line=true} name them, and
  --   join points; dashed = true for a dashed line
  -- @tparam[opt] table options  from, to: range of x; low, high: of y; log, xlog:
  --   logarithmic axes; xlabel, ylabel
  -- @treturn string  for a terminal; true after writing to options.out; or nil, a message
  --   and a code
  function plot.curve(curves, options)
    local o = tools.options("plot.curve", options, curve_options)
    if is_function(curves) or type(curves) == "table" and (curves.x or curves.f) then
      curves = { curves }
    end
    check.is("table", curves, "plot.curve", "curves")
    local entries, panel, ys = {}, {}, {}
    for i, v in ipairs(curves) do entries[i] = entry_of(v, i) end
    if #entries == 0 then check.fail("plot.curve", "curves is empty") end
    local from, to = domain(entries, o)
    for i, e in ipairs(entries) do
      local drawn = e.f and spread(from, to, 200, o.xlog)
      local x, y = e.x or drawn, e.y or values_of(e.f, drawn)
      ys[i] = y
      panel[i] = { kind = (e.f or e.line) and "line" or "points", x = x, y = y, label = e.label,
                   small = #x > 60, dashed = e.dashed }
    end
    panel.x = axis(o.xlabel or "x", { { from, to } }, { part = 0, log = o.xlog })
    panel.y = axis(o.ylabel or "y", ys, { log = o.log })
    panel.y.from, panel.y.to = o.low or panel.y.from, o.high or panel.y.to
    local low, high = panel.y.from, panel.y.to
    if not (scale.finite(low) and scale.finite(high)) or low >= high or o.log and low <= 0 then
      check.fail("plot.curve", "low is %g and high is %g, expected a range", low, high)
    end
    return tools.draw("plot.curve", { rows = { { panel } }, tall = 0.6 }, o)
  end

  -------------------------------------------------------------------- histogram

  --- All numbers of a tensor, of a table, or of a net's parameters.
  local function all_numbers(who, v)
    if core.type(v) ~= "layer" then return numbers(who, "values", v) end
    local all = {}
    for _, part in ipairs(check.is("layer", v, who, "values"):parameters()) do
      for _, x in ipairs(numbers(who, "values", part.tensor)) do all[#all + 1] = x end
    end
    return all
  end

  --- Draws how often numbers fall into each of some equal ranges.
  -- @param values  a tensor, a table of numbers, or a net: its parameters
  -- @tparam[opt] table options  bins: how many ranges; xlabel
  -- @treturn string  for a terminal; true after writing to options.out; or nil, a message
  --   and a code
  function plot.histogram(values, options)
    local o = tools.options("plot.histogram", options, { bins = "number", xlabel = "string" })
    local list = all_numbers("plot.histogram", values)
    local bins = o.bins or max(5, min(40, floor((#list) ^ 0.5 + 0.5)))
    check.integer(bins, "plot.histogram", "bins", 1)
    bins = min(bins, 1000)
    local from, to = scale.widen(scale.extent { list })
    local counts, left, right = {}, {}, {}
    for i = 1, bins do
      counts[i] = 0
      left[i], right[i] = from + (to - from) * (i - 1) / bins, from + (to - from) * i / bins
    end
    for _, x in ipairs(list) do
      if scale.finite(x) then
        local i = min(bins, floor((x - from) / (to - from) * bins) + 1)
        counts[i] = counts[i] + 1
      end
    end
    local panel = { { kind = "bars", from = left, to = right, y = counts }, grid = false,
      x = axis(o.xlabel or "value", { { from, to } }, { part = 0.02 }),
      y = axis("count", { counts, { 0 } }, { part = 0 }) }
    panel.y.to = panel.y.to * 1.05
    return tools.draw("plot.histogram", { rows = { { panel } }, tall = 0.5 }, o)
  end

  -------------------------------------------------------------------- confusion

  --- The name of class i.
  function tools.name_of(names, i)
    local name = names and names[i]
    return name ~= nil and name ~= false and tostring(name) or scale.number(i)
  end

  --- A square of counts as rows of numbers.
  local function square(m)
    local who = "plot.confusion"
    local t = core.type(m) == "tensor" and m:dim() == 2 and m:totable()
      or check.is("table", m, who, "counts")
    for i = 1, #t do
      if type(t[i]) ~= "table" or #t[i] ~= #t then
        check.fail(who, "counts is no square: row %d is %s", i,
          type(t[i]) == "table" and ("of %d, of %d rows"):format(#t[i], #t) or check.what(t[i]))
      end
      numbers(who, "counts", t[i])
    end
    if #t == 0 then check.fail(who, "counts is empty") end
    return t
  end

  --- Draws a table of mistakes: rows say what examples are, columns what they are taken for.
  -- @param counts  {k, k}, tensor or table, as the metric "confusion" gives it
  -- @tparam[opt] table options  names: a list, of the classes
  -- @treturn string  for a terminal; true after writing to options.out; or nil, a message
  --   and a code
  function plot.confusion(counts, options)
    local o = tools.options("plot.confusion", options, { names = "table" })
    local m, totals, ticks = square(counts), {}, { {}, {} }
    local n = #m
    for i = 1, n do
      totals[i] = 0
      for j = 1, n do totals[i] = totals[i] + m[i][j] end
      local name = tools.name_of(o.names, i)
      ticks[1][i], ticks[2][n + 1 - i] = { i, name }, { n + 1 - i, name }
    end
    local panel = { { kind = "tiles", x0 = 0.5, x1 = n + 0.5, y0 = 0.5, y1 = n + 0.5, rows = n,
      columns = n,
      color = function(i, j) return color.shade(totals[i] > 0 and m[i][j] / totals[i] or 0) end,
      plain = function() return nil end,
      text = function(i, j) return m[i][j] == 0 and "." or scale.number(m[i][j], 6) end } }
    panel.x = { label = "taken for", from = 0.5, to = n + 0.5, ticks = ticks[1] }
    panel.y = { label = "is", from = 0.5, to = n + 0.5, ticks = ticks[2] }
    panel.grid, panel.rows = false, n
    return tools.draw("plot.confusion", { rows = { { panel } }, tall = 0.7, least = 2 * n + 6 }, o)
  end

  -------------------------------------------------------------------- gradients

  --- The norm of the gradient of each layer of a net, a list of {name=, norm=}.
  local function norms(net)
    local list, by_layer = {}, {}
    for _, part in ipairs(net:parameters()) do
      local name = part.name:match("^(.*)%.[^.]*$") or part.name
      local entry = by_layer[name]
      if not entry then
        entry = { name = name, norm = 0 }
        by_layer[name], list[#list + 1] = entry, entry
      end
      local grad = part.tensor.grad
      if grad then
        entry.known = true
        entry.norm = (entry.norm ^ 2 + grad:norm():item() ^ 2) ^ 0.5
      end
    end
    return list
  end

  --- Draws the norm of the gradient of each layer, on a logarithmic axis.
  -- @param net  a layer, after loss:backward(); or a list of {name=, norm=}
  -- @tparam[opt] table options
  -- @treturn string  for a terminal; true after writing to options.out; or nil, a message
  --   and a code
  function plot.gradients(net, options)
    local who = "plot.gradients"
    local o = tools.options(who, options, {})
    local list = core.type(net) == "layer" and norms(check.is("layer", net, who, "net"))
      or check.is("table", net, who, "net")
    local ticks, left, right, ys, known = {}, {}, {}, {}, false
    for i, entry in ipairs(list) do
      check.is("table", entry, who, ("net[%d]"):format(i))
      ys[i] = check.is("number", entry.norm, who, ("net[%d].norm"):format(i))
      known = known or entry.known ~= nil or core.type(net) ~= "layer"
      left[i], right[i] = i - 0.4, i + 0.4
      ticks[i] = { i, tostring(entry.name or i) }
    end
    if not known then
      check.fail(who, "the net has no gradients yet; call loss:backward() first")
    end
    local y = axis("norm of the gradient", { ys }, { log = true })
    y.from = 10 ^ floor(math.log(y.from) / math.log(10))
    local panel = { { kind = "bars", from = left, to = right, y = ys, base = y.from }, y = y,
      x = { label = "layer", from = 0.4, to = #list + 0.6, ticks = ticks } }
    return tools.draw(who, { rows = { { panel } }, tall = 0.5 }, o)
  end
end
