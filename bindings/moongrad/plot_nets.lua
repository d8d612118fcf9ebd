--- Pictures of nets: decision regions, weights, what pictures are taken for, the loss over
-- two weights.

local color = require "moongrad.plot_color"
local scale = require "moongrad.plot_scale"

local floor, ceil, min, max, abs = math.floor, math.ceil, math.min, math.max, math.abs

return function(plot, tools, mg, core, require)
  local check = require "moongrad.check"
  local numbers = tools.numbers

  --- Panels in rows of n.
  local function in_rows(panels, n)
    local rows = {}
    for i, panel in ipairs(panels) do
      local k = ceil(i / n)
      rows[k] = rows[k] or { columns = n }
      table.insert(rows[k], panel)
    end
    return rows
  end

  --- A panel without axes that shows rows x columns tiles: at(i, j) is a number from 0 to 1,
  -- tint gives it a colour and ink a letter, where there are no colours.
  local function tile_panel(title, rows, columns, at, tint, ink)
    return { title = title, frame = false, equal = true, x = { from = 0, to = columns },
             y = { from = 0, to = rows },
             { kind = "tiles", x0 = 0, x1 = columns, y0 = 0, y1 = rows, rows = rows,
               columns = columns, color = function(i, j) return tint(at(i, j)) end,
               plain = function(i, j) return ink(at(i, j)) end } }
  end

  local function shape_of(t) return "{" .. table.concat(t.shape, ", ") .. "}" end

  local INK = { " ", "░", "▒", "▓", "█" }
  local function by_ink(t) return INK[1 + floor(min(1, max(0, t)) * 4.99)] end
  local SIGNS = { "=", "-", " ", "+", "#" } -- from far below 0 to far above
  local function by_sign(t) return SIGNS[1 + floor(min(1, max(0, t)) * 4.99)] end

  --------------------------------------------------------------------- boundary

  local FINE, COARSE = 96, 30 -- places asked along the longer side

  --- Columns and rows of places, as many of them in a unit of x as in one of y.
  local function sides(panel, most)
    local ratio = (panel.y.to - panel.y.from) / (panel.x.to - panel.x.from)
    if not panel.equal then return most, most end
    local function side(v) return max(2, floor(most * min(1, v) + 0.5)) end
    return side(1 / ratio), side(ratio)
  end

  --- Places over two ranges as a tensor {n, 2}, row by row from the top.
  local function grid(x, y, columns, rows)
    local list = {}
    for i = 1, rows do
      for j = 1, columns do
        list[#list + 1] = { x.from + (x.to - x.from) * (j - 0.5) / columns,
                            y.to - (y.to - y.from) * (i - 0.5) / rows }
      end
    end
    return mg.tensor(list)
  end

  --- Class (from 1) and sureness (0 to 1) of each place, by a net with one output or one a
  -- class; and how many classes.
  local function classify(net, at, threshold)
    local answer = net:predict(at)
    local n = at:size(1)
    local k = answer:numel() / n
    if k == 1 then
      local class, sure = {}, {}
      for i, p in ipairs(answer:reshape(-1):totable()) do
        class[i] = p > threshold and 2 or 1
        sure[i] = min(1, abs(p - threshold) / max(threshold, 1 - threshold, 0.5))
      end
      return class, sure, 2
    end
    if answer:dim() ~= 2 then
      check.fail("plot.boundary", "the net answers %s, expected {n, 1} or {n, classes}",
        shape_of(answer))
    end
    local best, ids = answer:softmax(2):max(2)
    local sure, class = best:totable(), ids:totable()
    for i, p in ipairs(sure) do sure[i] = (p - 1 / k) / (1 - 1 / k) end
    return class, sure, k
  end

  local TEXTURE = { " ", "░", "▒", "▓", ":", "-" }

  --- The tiles of decision regions.
  local function regions(net, panel, threshold)
    local columns, rows = sides(panel, FINE)
    local class, sure, k = classify(net, grid(panel.x, panel.y, columns, rows), threshold)
    return { kind = "tiles", x0 = panel.x.from, x1 = panel.x.to, y0 = panel.y.from,
      y1 = panel.y.to, rows = rows, columns = columns,
      color = function(i, j)
        local n = (i - 1) * columns + j
        return color.mix(color.paper, color.of(class[n]), 0.2 + 0.1 * floor(4 * sure[n] + 0.5))
      end,
      plain = function(i, j) return TEXTURE[(class[(i - 1) * columns + j] - 1) % #TEXTURE + 1] end,
    }, k
  end

  --- Adds the examples, a series a class.
  local function add_examples(panel, set, k, names)
    local x, y = set:batch(1, #set)
    local places, labels = x:totable(), y
    local binary = y:dim() == 2 or y:max():item() < 2 and y:min():item() < 1
    if y:dim() == 2 and y:size(2) > 1 then labels, binary = y:argmax(2), false end
    labels = labels:reshape(-1):totable()
    local series, most = {}, 0
    for i, v in ipairs(labels) do
      local class = binary and (v > 0.5 and 2 or 1) or v
      most = max(most, class)
      local s = series[class]
      if not s then
        local own = names and names[class] or ("%d"):format(binary and class - 1 or class)
        s = { kind = "points", x = {}, y = {}, label = tostring(own), class = class,
              shape = ({ "o", "x", "+", "*" })[(class - 1) % 4 + 1],
              color = color.mix(color.of(class), 0, 0.25) }
        series[class] = s
      end
      s.x[#s.x + 1], s.y[#s.y + 1] = places[i][1], places[i][2]
    end
    for class = 1, max(k, most) do
      local s = series[class]
      if s then
        s.small = #s.x > 150
        panel[#panel + 1] = s
      end
    end
  end

  --- The parts of a net up to what its last dense layer sees, or nil where there are none.
  local function hidden_parts(net)
    local d = net:describe()
    local last
    for i, part in ipairs(d.kind == "sequential" and d.parts or {}) do
      if not part.layer then return nil end
      if part.layer:describe().kind == "dense" then last = i end
    end
    if not last or last == 1 then return nil end
    local parts, learns = {}, false
    for i = 1, last - 1 do
      parts[i] = d.parts[i].layer
      learns = learns or parts[i]:num_parameters() > 0
    end
    return learns and parts or nil
  end

  --- A small map of what each hidden neuron answers.
  local function hidden_panels(net, main, most)
    local parts = hidden_parts(net)
    if not parts then return {} end
    local columns, rows = sides(main, COARSE)
    local answer = grid(main.x, main.y, columns, rows)
    for _, layer in ipairs(parts) do answer = layer:predict(answer) end
    if answer:dim() ~= 2 then return {} end
    local panels = {}
    for k = 1, min(most, answer:size(2)) do
      local v = answer:select(2, k):contiguous()
      local top, values = max(v:abs():max():item(), 1e-12), v:totable()
      local function at(i, j) -- in steps: the file is smaller
        return floor(12 + 12 * values[(i - 1) * columns + j] / top + 0.5) / 24
      end
      panels[k] = tile_panel(("%d"):format(k), rows, columns, at, color.sign, by_sign)
    end
    return panels
  end

  --- Where the examples are, and a margin around.
  local function plane(set, o)
    local x = set:batch(1, #set)
    if x:dim() ~= 2 or x:size(2) ~= 2 then
      check.fail("plot.boundary", "examples are %s, expected {n, 2}", shape_of(x))
    end
    local axes = {}
    for d, name in ipairs { "x", "y" } do
      local from, to = scale.widen(scale.extent { x:select(2, d):contiguous():totable() })
      local by = (to - from) * 0.25
      axes[d] = { label = o[name .. "label"] or "x" .. d, from = from - by, to = to + by }
    end
    local ratio = (axes[2].to - axes[2].from) / (axes[1].to - axes[1].from)
    return { x = axes[1], y = axes[2], equal = ratio > 1 / 3 and ratio < 3, grid = false }
  end

  local boundary_options = { threshold = "number", hidden = "boolean", names = "table",
                             xlabel = "string", ylabel = "string" }

  --- Draws which class a net of two inputs answers where, with the examples; and below, what
  -- each neuron that its last layer sees answers.
  -- @tparam layer net  of one output (the second class above the threshold), or one a class
  -- @param data  dataset or {x=, y=}; y are classes from 1, or 0 and 1
  -- @tparam[opt] table options  threshold (0.5), hidden: false for no small maps, names: of
  --   the classes, xlabel, ylabel
  -- @treturn string  for a terminal; true after writing to options.out; or nil, a message
  --   and a code
  function plot.boundary(net, data, options)
    local who = "plot.boundary"
    check.is("layer", net, who, "net")
    local o = tools.options(who, options, boundary_options)
    local set = mg.data.dataset(data, who)
    local main = plane(set, o)
    local tiles, k = regions(net, main, o.threshold or 0.5)
    main[1] = tiles
    add_examples(main, set, k, o.names)
    local rows, panels = { { main, share = 3 } }, {}
    if o.hidden ~= false then panels = hidden_panels(net, main, 16) end
    if #panels > 0 then
      local across = #panels > 8 and ceil(#panels / 2) or max(4, #panels)
      for _, row in ipairs(in_rows(panels, across)) do
        rows[#rows + 1] = row
        row.share = 0.9
      end
      rows[2].title = "what the hidden neurons answer: blue below 0, orange above"
      rows[2].plain_title = "what the hidden neurons answer: - and = below 0, + and # above"
    end
    return tools.draw(who, { rows = rows, tall = 0.66 + 0.18 * (#rows - 1) }, o)
  end

  ---------------------------------------------------------------------- weights

  --- The tensor to show: v itself, or of a net's parameters the one of that name, or the first
  -- that is no vector.
  local function weight_of(v, name)
    local who = "plot.weights"
    if core.type(v) == "tensor" then return check.is("tensor", v, who, "net"):detach() end
    for _, part in ipairs(check.is("layer", v, who, "net"):parameters()) do
      if name and part.name == name or not name and part.tensor:dim() >= 2 then
        return part.tensor:detach(), part.name
      end
    end
    check.fail(who, name and 'the net has no parameter "%s"' or "the net has no weights", name)
  end

  --- Rows and columns of one tile picture of n numbers; nil where they are no picture.
  local function side_of(n, shape)
    if shape then
      local rows, columns = shape[1], shape[2]
      if type(rows) ~= "number" or type(columns) ~= "number" or rows * columns ~= n or rows < 1
         or rows % 1 ~= 0 then
        check.fail("plot.weights", "shape does not hold the %d weights of a neuron", n)
      end
      return rows, columns
    end
    local side = floor(n ^ 0.5 + 0.5)
    if side * side == n and n >= 16 then return side, side end
  end

  --- The pictures in a weight: a list of {title, values, rows, columns}, at most 'most'.
  local function kernels(w, shape, most)
    local s = w.shape
    local rows, columns, n
    if w:dim() == 4 then rows, columns, n = s[3], s[4], s[1] * s[2]
    elseif w:dim() == 3 then rows, columns, n = s[2], s[3], s[1]
    elseif w:dim() == 2 then
      rows, columns = side_of(s[2], shape)
      n = rows and s[1]
    else
      check.fail("plot.weights", "net has weights %s, expected 2 to 4 dimensions", shape_of(w))
    end
    if not n then return nil end
    local list, flat = {}, w:reshape(n, rows * columns)
    for i = 1, min(n, most) do
      local title = ("%d"):format(i)
      if w:dim() == 4 and s[2] > 1 then
        title = ("%d:%d"):format(floor((i - 1) / s[2]) + 1, (i - 1) % s[2] + 1)
      end
      list[i] = { title = title, values = flat[i]:totable(), rows = rows, columns = columns }
    end
    return list
  end

  --- A whole matrix as one panel with axes.
  local function matrix_panel(w, top)
    local values, rows, columns = w:totable(), w:size(1), w:size(2)
    local function at(i, j) return 0.5 + 0.5 * values[i][j] / top end
    local ticks = {}
    for i = 1, rows do ticks[i] = { rows + 1 - i, ("%d"):format(i) } end
    if rows > 12 then ticks = { ticks[1], ticks[rows] } end
    local readable = rows <= 16 and columns <= 8
    return { grid = false, rows = rows,
      x = { label = "input", from = 0.5, to = columns + 0.5, whole = true },
      y = { label = "neuron", from = 0.5, to = rows + 0.5, ticks = ticks },
      { kind = "tiles", x0 = 0.5, x1 = columns + 0.5, y0 = 0.5, y1 = rows + 0.5, rows = rows,
        columns = columns, color = function(i, j) return color.sign(at(i, j)) end,
        plain = function(i, j) return by_sign(at(i, j)) end,
        text = function(i, j) return readable and ("%.2f"):format(values[i][j]) or "" end } }
  end

  --- Draws weights as tiles: each kernel of a convolution, each neuron's of a dense layer
  -- that sees pictures, or the matrix.
  -- @param net  a layer, whose first weights are drawn, or a tensor of 2 to 4 dimensions
  -- @tparam[opt] table options  name: of the parameter; shape: {rows, columns} of what a
  --   neuron of a dense layer sees (a square, if it can be one); count: how many (32)
  -- @treturn string  for a terminal; true after writing to options.out; or nil, a message
  --   and a code
  function plot.weights(net, options)
    local who = "plot.weights"
    local o = tools.options(who, options, { name = "string", shape = "table", count = "number" })
    local w, name = weight_of(net, o.name)
    local most = check.integer(o.count or 32, who, "count", 1)
    local list, top = kernels(w, o.shape, most), w:abs():max():item()
    top = scale.finite(top) and top > 0 and top or 1
    local picture = { title = name,
                      bar = { from = -top, to = top, color = color.sign, plain = by_sign } }
    if not list then
      picture.rows, picture.tall = { { matrix_panel(w, top) } }, 0.6
      return tools.draw(who, picture, o)
    end
    local panels = {}
    for i, kernel in ipairs(list) do
      local values, columns = kernel.values, kernel.columns
      local function at(r, c) return 0.5 + 0.5 * values[(r - 1) * columns + c] / top end
      panels[i] = tile_panel(kernel.title, kernel.rows, columns, at, color.sign, by_sign)
    end
    local across = min(8, max(3, ceil((#panels * 1.5) ^ 0.5)))
    picture.rows = in_rows(panels, across)
    picture.tall = 0.85 / across * #picture.rows + 0.12
    return tools.draw(who, picture, o)
  end

  ----------------------------------------------------------------------- images

  --- A panel of one picture, a tensor {h, w}, {1, h, w} or {3, h, w}.
  local function picture_panel(t, low, high)
    local s = t.shape
    local channels = t:dim() == 3 and s[1] or 1
    local rows, columns = s[#s - 1], s[#s]
    local v, size = t:reshape(-1):totable(), rows * columns
    local function at(i, j, c)
      return min(1, max(0, (v[(c - 1) * size + (i - 1) * columns + j] - low) / (high - low)))
    end
    local panel = tile_panel(nil, rows, columns, function(i, j) return at(i, j, 1) end,
      color.gray, by_ink)
    if channels == 3 then
      panel[1].color = function(i, j)
        return color.pack(255 * at(i, j, 1), 255 * at(i, j, 2), 255 * at(i, j, 3))
      end
    end
    return panel
  end

  local function check_pictures(x)
    local d = x:dim()
    if d == 3 or d == 4 and (x:size(2) == 1 or x:size(2) == 3) then return x end
    check.fail("plot.images",
      "x is %s, expected {n, h, w}, {n, 1, h, w} or {n, 3, h, w}", shape_of(x))
  end

  --- The pictures of a dataset that a net is most wrong about: as a tensor, what they are and
  -- what they are taken for.
  local function worst(net, data, count)
    local set, all, from = mg.data.dataset(data, "plot.images"), {}, 0
    for x, y in set:batches(500) do
      local answer = net:predict(x)
      if answer:dim() ~= 2 or answer:size(2) < 2 then
        check.fail("plot.images", "the net answers %s, expected {n, classes}", shape_of(answer))
      end
      local losses = mg.cross_entropy(answer, y, { reduction = "none" }):totable()
      local taken, is = answer:argmax(2):totable(), y:totable()
      for i, loss in ipairs(losses) do
        if loss ~= loss then loss = math.huge end
        all[from + i] = { at = from + i, loss = loss, taken = taken[i], is = is[i] }
      end
      from = from + #losses
    end
    table.sort(all, function(a, b) return a.loss > b.loss or a.loss == b.loss and a.at < b.at end)
    local list, is, taken = {}, {}, {}
    for i = 1, min(count, #all) do
      list[i] = (set:batch(all[i].at, 1))[1]
      is[i], taken[i] = all[i].is, all[i].taken
    end
    return mg.stack(list), is, taken
  end

  local function labels_of(v, what) return v and numbers("plot.images", what, v) end

  --- Draws pictures in a grid, with what they are above and what they are taken for below.
  -- @param x  pictures {n, h, w}, {n, 1, h, w} or {n, 3, h, w}; or a net that names them, and
  --   then data, of which those are drawn that it is most wrong about, the worst first
  -- @tparam[opt] table options  count: how many (15); names: of the classes; and without a
  --   net: labels and predicted, classes from 1
  -- @treturn string  for a terminal; true after writing to options.out; or nil, a message
  --   and a code
  function plot.images(x, data, options)
    local who = "plot.images"
    local by_net = core.type(x) == "layer"
    if not by_net then data, options = nil, data end
    local o = tools.options(who, options, { count = "number", names = "table", labels = true,
                                            predicted = true })
    local count = check.integer(o.count or 15, who, "count", 1)
    local is, taken = labels_of(o.labels, "labels"), labels_of(o.predicted, "predicted")
    if by_net then x, is, taken = worst(check.is("layer", x, who, "x"), data, count) end
    x = check_pictures(check.is("tensor", x, who, "x"):detach())
    local low, high = x:min():item(), x:max():item()
    low, high = min(low, 0), max(high, min(low, 0) + 1e-12)
    local panels, narrow = {}, o.names and 5 or 6
    for i = 1, min(count, x:size(1)) do
      local panel = picture_panel(x[i], low, high)
      local right = is and taken and is[i] == taken[i]
      if is and is[i] then panel.title = tools.name_of(o.names, is[i]) end
      if taken and taken[i] then
        panel.foot = "as " .. tools.name_of(o.names, taken[i])
        panel.foot_color = is and (right and color.right or color.wrong) or nil
      end
      panels[i] = panel
    end
    local rows = in_rows(panels, narrow)
    return tools.draw(who, { rows = rows, tall = 0.28 * #rows, least = 9 * #rows }, o)
  end

  ---------------------------------------------------------------------- surface

  local SURFACE = { 72, 48 } -- columns and rows

  --- f over a grid of two ranges, rows from the top; and the range of what it gave.
  local function sample(f, x, y)
    local columns, rows = SURFACE[1], SURFACE[2]
    local values = {}
    for i = 1, rows do
      values[i] = {}
      for j = 1, columns do
        local v = f(x.from + (x.to - x.from) * (j - 0.5) / columns,
                    y.to - (y.to - y.from) * (i - 0.5) / rows)
        if core.type(v) == "tensor" and v:numel() == 1 then v = v:detach():reshape(1)[1] end
        if type(v) ~= "number" then
          check.fail("plot.surface", "the function gave %s, expected a number", check.what(v))
        end
        values[i][j] = v
      end
    end
    local low, high = scale.extent(values)
    return values, low or 0, high or 1, columns, rows
  end

  --- Colours for values from low to high: by their logarithm, where they are far apart.
  local function tint_of(low, high)
    local log = low > 0 and high / low > 50
    local from, to = low, max(high, low + 1e-12 * max(1, abs(low)))
    local function t(v)
      if v ~= v then return 1 end
      v = min(to, max(from, v))
      local share = log and math.log(v / from) / math.log(to / from) or (v - from) / (to - from)
      return floor(share * 24) / 24 -- steps, which are lines of equal height
    end
    return t, { from = from, to = to, log = log, label = "loss", color = color.heat,
                plain = by_ink }
  end

  local function range(v, who, name, default)
    if v == nil then return default[1], default[2] end
    check.is("table", v, who, name)
    local from, to = v[1], v[2]
    local both = type(from) == "number" and type(to) == "number"
    if not both or not scale.finite(to - from) or from >= to then
      check.fail(who, "%s is no range {from, to}", name)
    end
    return from, to
  end

  --- The path as two lists, from {{a, b}, ..}.
  local function path_marks(path)
    if not path then return {} end
    local xs, ys = {}, {}
    for i, p in ipairs(path) do
      check.is("table", p, "plot.surface", ("path[%d]"):format(i))
      local pair = numbers("plot.surface", ("path[%d]"):format(i), p)
      if #pair < 2 then check.fail("plot.surface", "path[%d] is not two numbers", i) end
      xs[i], ys[i] = pair[1], pair[2]
    end
    local n = #xs
    if n == 0 then return {} end
    local function point(i, shape, tint, label)
      return { kind = "points", x = { xs[i] }, y = { ys[i] }, color = tint, shape = shape,
               label = label }
    end
    return { { kind = "line", x = xs, y = ys, color = color.paper },
             point(1, "x", color.wrong, "start"), point(n, "o", color.of(1), "end") }
  end

  --- The two numbers of a net that {name, place}, {name, place} mean: functions that read and
  -- write them, and what they are called.
  local function two_weights(net, weights)
    local who, list = "plot.surface", {}
    local named, first = net:named(), net:parameters()[1]
    if not first then check.fail(who, "the net has no weights") end
    for k = 1, 2 do
      local w = weights and weights[k] or { first.name, k }
      local name, at = check.is("table", w, who, ("weights[%d]"):format(k))[1], w[2] or 1
      local p = named[name]
      if core.type(p) ~= "tensor" then
        check.fail(who, 'the net has no weight "%s"', tostring(name))
      end
      local flat = p:detach():reshape(-1)
      if type(at) ~= "number" or at % 1 ~= 0 or at < 1 or at > #flat then
        check.fail(who, '"%s" has %d numbers, no number %s', name, #flat, tostring(at))
      end
      list[k] = { flat = flat, at = at, label = ("%s [%d]"):format(name, at), value = flat[at] }
    end
    return list[1], list[2]
  end

  --- f(a, b): the loss of a trainer's net over data with two weights at a and b; and what
  -- puts them back.
  local function loss_of(t, data, o)
    local a, b = two_weights(t:parts().net, o.weights)
    local set = mg.data.dataset(data, "plot.surface")
    local function put(va, vb) a.flat[a.at], b.flat[b.at] = va, vb end
    local reach = max(2, 1.5 * abs(a.value), 1.5 * abs(b.value))
    local function around(v) return { v - reach, v + reach } end
    o = setmetatable({ xlabel = o.xlabel or a.label, ylabel = o.ylabel or b.label,
      x = o.x or around(a.value), y = o.y or around(b.value) }, { __index = o })
    return function(va, vb)
      put(va, vb)
      return t:evaluate(set).loss
    end, function() put(a.value, b.value) end, o
  end

  local surface_options = { x = "table", y = "table", path = "table", xlabel = "string",
                            ylabel = "string", weights = "table" }

  --- Draws the loss over two weights, as heights in colours.
  -- @param f  a function of two numbers; or a trainer, and then data, whose loss is
  --   evaluated 3456 times and whose net is afterwards as it was
  -- @tparam[opt] table options  x, y: ranges {from, to} ({-3, 3}, or around the weights);
  --   path: a list of {a, b}; weights: two of {name, place}, of a trainer's net; xlabel, ylabel
  -- @treturn string  for a terminal; true after writing to options.out; or nil, a message
  --   and a code
  function plot.surface(f, data, options)
    local who, restore = "plot.surface", nil
    local of_trainer = core.type(f) == "trainer"
    if not of_trainer then data, options = nil, data end
    local o = tools.options(who, options, surface_options)
    if of_trainer then f, restore, o = loss_of(check.is("trainer", f, who, "f"), data, o) end
    check.is("function", f, who, "f")
    local panel = { grid = false, x = { label = o.xlabel or "w1" },
                    y = { label = o.ylabel or "w2" } }
    panel.x.from, panel.x.to = range(o.x, who, "x", { -3, 3 })
    panel.y.from, panel.y.to = range(o.y, who, "y", { -3, 3 })
    local marks = path_marks(o.path)
    local fine, values, low, high, columns, rows = pcall(sample, f, panel.x, panel.y)
    if restore then restore() end
    if not fine then error(values, 0) end
    local t, bar = tint_of(low, high)
    panel[1] = { kind = "tiles", x0 = panel.x.from, x1 = panel.x.to, y0 = panel.y.from,
      y1 = panel.y.to, rows = rows, columns = columns,
      color = function(i, j) return color.heat(t(values[i][j])) end,
      plain = function(i, j) return by_ink(t(values[i][j])) end }
    for _, mark in ipairs(marks) do panel[#panel + 1] = mark end
    return tools.draw(who, { rows = { { panel } }, bar = bar, tall = 0.62 }, o)
  end
end
