--- Nets as files for other programs: plain Lua, a C header, ONNX.
--
-- A net is first lowered to a graph, which all formats write from:
--   input, output  ids of values, from 1
--   values         {shape=, size=} of each for one example, without the batch
--   nodes          {kind=, x=, y=, path=, ..} in order: values {id=}, weights {values=, shape=,
--                  name=}, numbers. 'lower' says which nodes a kind of layer becomes; each
--                  format has a table with one entry for each kind of node.

local floor, unpack = math.floor, table.unpack or unpack

local function product(list, first, last)
  local n = 1
  for i = first or 1, last or #list do n = n * list[i] end
  return n
end

local function copy(list)
  local t = {}
  for i, v in ipairs(list) do t[i] = v end
  return t
end

-- An argument of one or two dimensions, a number or {h, w}, as both.
local function pair(v)
  if type(v) == "table" then return v[1], v[2] end
  return v, v
end

return function(mg, core, require)
  local check, files = require "moongrad.check", require "moongrad.files"

  ------------------------------------------------------------------- the graph

  local graph = {}
  graph.__index = graph

  --- Ends with an error sentence on the layer at hand.
  function graph:fail(text, ...)
    local where = self.path == "" and "the net" or ('layer "%s"'):format(self.path)
    error({ sentence = ("%s: %s %s"):format(self.who, where, text:format(...)) }, 0)
  end

  function graph:value(shape)
    local whole = {} -- 5.3 writes 2.0 for what a division gave
    for i, n in ipairs(shape) do whole[i] = floor(n) end
    local v = { id = #self.values + 1, shape = whole, size = product(whole) }
    self.values[v.id] = v
    return v
  end

  --- A node of that kind from x to a new value, which it returns.
  function graph:node(kind, x, shape, fields)
    local node = fields or {}
    node.kind, node.x, node.y, node.path = kind, x, self:value(shape), self.path
    self.nodes[#self.nodes + 1] = node
    return node.y
  end

  --- Numbers that the file will hold; they must be finite.
  function graph:constant(name, values, shape)
    for i = 1, #values do
      local v = values[i]
      if v - v ~= 0 then self:fail("has a %s that is not finite, number %d", name, i) end
    end
    name = self.path == "" and name or self.path .. "." .. name
    return { name = name, values = values, shape = shape or { #values } }
  end

  --- A tensor as a constant, one in the file wherever it stands in the net.
  function graph:tensor(name, t)
    local id = core.identity(t)
    self.shared[id] = self.shared[id] or
      { t, self:constant(name, t:reshape(t:numel()):totable(), t.shape) }
    return self.shared[id][2]
  end

  --- A parameter or buffer of a layer, nil where it has none of that name.
  function graph:weight(d, name)
    local t = d.parts[name]
    return t and self:tensor(name, t)
  end

  --- The shape of what a layer makes of x, asked by an example of ones.
  function graph.result(_, l, x)
    local shape = l:predict(mg.ones(1, unpack(x.shape))).shape
    table.remove(shape, 1)
    return shape
  end

  local function reshape(g, x, shape)
    return g:node("reshape", x, shape)
  end

  --- y = x * w + b, both {c}; x seen as {outer, c, inner}; 'shape' of w for one example.
  local function affine(g, x, w, b, c, inner, shape, fields)
    fields = fields or {}
    fields.w, fields.b, fields.c, fields.inner = w, b, c, inner
    fields.outer, fields.shape = x.size / c / inner, shape
    return g:node("affine", x, x.shape, fields)
  end

  --- {c, 1, 1}, which fits beside a shape {c, h, w}.
  local function by_channel(shape)
    local s = { shape[1] }
    for i = 2, #shape do s[i] = 1 end
    return s
  end

  ------------------------------------------------------- layers into nodes

  local lower = {}

  --- By its op: softmax over the last dimension, else a function of each number.
  local function activate(g, name, x)
    if name == "softmax" or name == "log_softmax" then
      local n = x.shape[#x.shape] or 1
      return g:node(name, x, x.shape, { n = n, rows = x.size / n })
    end
    return g:node("map", x, x.shape, { n = x.size, f = { helper = name } })
  end

  function lower.activation(g, _, d, x) return activate(g, d.arguments.act, x) end

  local function same(_, _, _, x) return x end
  lower.dropout, lower.spatial_dropout = same, same

  function lower.flatten(g, _, _, x)
    return #x.shape > 1 and reshape(g, x, { x.size }) or x
  end

  function lower.reshape(g, l, _, x) return reshape(g, x, g:result(l, x)) end

  --- x w' + b over the last dimension, w {outs, ins}; or w seen as that.
  local function linear(g, x, w, b, outs)
    local shape, ins = copy(x.shape), x.shape[#x.shape]
    shape[#shape] = outs or w.shape[1]
    return g:node("linear", x, shape, { w = w, b = b, ins = ins, outs = shape[#shape],
      rows = x.size / ins })
  end

  function lower.dense(g, _, d, x)
    local y = linear(g, x, g:weight(d, "weight"), g:weight(d, "bias"))
    return d.arguments.act and activate(g, d.arguments.act, y) or y
  end

  --- W x for all outputs at once, as a matrix of each row, and that by x.
  function lower.bilinear(g, _, d, x)
    local w, shape = g:weight(d, "weight"), copy(x.shape)
    local outs, ins = w.shape[1], w.shape[2]
    local z = linear(g, x, w, nil, outs * ins)
    shape[#shape] = outs
    return g:node("contract", x, shape, { z = z, b = g:weight(d, "bias"), ins = ins,
      outs = outs, rows = x.size / ins })
  end

  --- Sizes of x and y as planes {c, h, w}, of which h is 1 in one dimension.
  local function planes(x, y)
    local one = #x.shape == 2
    return { dims = one and 1 or 2, c = x.shape[1], outs = y[1],
             h = one and 1 or x.shape[2], wd = x.shape[one and 2 or 3],
             oh = one and 1 or y[2], ow = y[one and 2 or 3] }
  end

  --- Puts h and w of an option into fields by these names; 'single' is that of h in one
  -- dimension.
  local function both(f, h, w, v, single)
    f[h], f[w] = pair(v)
    if f.dims == 1 then f[h] = single end
  end

  --- Padding in front (ph, pw) and behind (eh, ew).
  local function padding(f, v)
    if v ~= "same" then
      both(f, "ph", "pw", v == "valid" and 0 or v, 0)
      f.eh, f.ew = f.ph, f.pw
      return
    end
    local function missing(n, count, stride, kernel, dilation)
      return math.max((count - 1) * stride + (kernel - 1) * dilation + 1 - n, 0)
    end
    local h = missing(f.h, f.oh, f.sh, f.kh, f.dh)
    local w = missing(f.wd, f.ow, f.sw, f.kw, f.dw)
    f.ph, f.pw = floor(h / 2), floor(w / 2)
    f.eh, f.ew = h - f.ph, w - f.pw
  end

  local function convolution(kind)
    return function(g, l, d, x)
      local shape, a = g:result(l, x), d.arguments
      local f = planes(x, shape)
      both(f, "kh", "kw", a.kernel, 1)
      both(f, "sh", "sw", a.stride, 1)
      both(f, "dh", "dw", a.dilation, 1)
      both(f, "mh", "mw", a.output_padding or 0, 0)
      padding(f, a.padding)
      f.groups, f.w, f.b = a.groups, g:weight(d, "weight"), g:weight(d, "bias")
      return g:node(kind, x, shape, f)
    end
  end
  lower.conv1d, lower.conv2d = convolution "conv", convolution "conv"
  lower.conv_transpose1d = convolution "conv_transpose"
  lower.conv_transpose2d = lower.conv_transpose1d

  --- Where the windows of an axis begin and end, from 0, and what each number of one counts
  -- for in its mean, into fields whose names end in 'axis'; window(i) tells the first number
  -- and the one behind the last, which may lie outside.
  local function windows(f, axis, count, n, window)
    local from, to, part = {}, {}, {}
    for i = 1, count do
      local first, last = window(i - 1)
      from[i], to[i] = math.max(first, 0), math.min(last, n) - 1
      part[i] = 1 / (last - first)
    end
    f["from_" .. axis], f["to_" .. axis] = { integers = from }, { integers = to }
    if f.greatest == 0 then f["part_" .. axis] = { values = part } end
  end

  local function pool(kind)
    return function(g, l, d, x)
      local shape, a = g:result(l, x), d.arguments
      local f = planes(x, shape)
      both(f, "kh", "kw", a.kernel, 1)
      both(f, "sh", "sw", a.stride, 1)
      if f.sh == 0 then f.sh = f.kh end
      if f.sw == 0 then f.sw = f.kw end
      padding(f, a.padding)
      f.helper, f.greatest = "windows", kind == "max_pool" and 1 or 0
      windows(f, "h", f.oh, f.h, function(i) return i * f.sh - f.ph, i * f.sh - f.ph + f.kh end)
      windows(f, "w", f.ow, f.wd, function(i) return i * f.sw - f.pw, i * f.sw - f.pw + f.kw end)
      return g:node(kind, x, shape, f)
    end
  end

  --- Windows that share the input out; an ordinary pool where they are of one size.
  local function adaptive(kind)
    return function(g, l, _, x)
      local shape = g:result(l, x)
      local whole = #shape == 1 -- of global pooling
      local f = planes(x, whole and by_channel(x.shape) or shape)
      local even = f.h % f.oh == 0 and f.wd % f.ow == 0
      if even then
        f.kh, f.kw = f.h / f.oh, f.wd / f.ow
        f.sh, f.sw = f.kh, f.kw
        padding(f, 0)
      end
      f.helper, f.greatest = "windows", kind == "max_pool" and 1 or 0
      local function share(n, count)
        return function(i) return floor(i * n / count), math.ceil((i + 1) * n / count) end
      end
      windows(f, "h", f.oh, f.h, share(f.h, f.oh))
      windows(f, "w", f.ow, f.wd, share(f.wd, f.ow))
      local y = g:node((even and "" or "adaptive_") .. kind, x,
        whole and by_channel(x.shape) or shape, f)
      return whole and reshape(g, y, shape) or y
    end
  end

  for _, dims in ipairs { "1d", "2d" } do
    for word, kind in pairs { avgpool = "avg_pool", maxpool = "max_pool" } do
      lower[word .. dims] = pool(kind)
      lower["adaptive_" .. word .. dims] = adaptive(kind)
      lower["global_" .. word .. dims] = lower["adaptive_" .. word .. dims]
    end
  end

  --- Each plane anew. Along an axis, 1 for h and 2 for w, place(i, n, axis) tells for result i
  -- which of n numbers it is, from 0 (-1: the number 0); or which two it lies between, and the
  -- share of the second.
  local function resample(g, x, shape, kind, place, fields)
    local f = planes(x, shape)
    for name, v in pairs(fields) do f[name] = v end
    for axis, name in ipairs { "h", "w" } do
      local at, to, part = {}, {}, {}
      for i = 1, axis == 1 and f.oh or f.ow do
        at[i], to[i], part[i] = place(i - 1, axis == 1 and f.h or f.wd, axis)
      end
      f["at_" .. name], f["to_" .. name] = { integers = at }, { integers = to }
      f["part_" .. name] = { values = part }
    end
    f.helper = #f.to_w.integers > 0 and "blend" or "pick"
    return g:node(kind, x, shape, f)
  end

  local function pad(g, l, d, x)
    local a = d.arguments
    local before, after = { pair(a.before) }, { pair(a.after == "same" and a.before or a.after) }
    if #x.shape == 2 then before[1], after[1] = 0, 0 end
    local function place(i, n, axis)
      local k, last = i - before[axis], n - 1
      if a.mode == "zero" then return k >= 0 and k <= last and k or -1 end
      if a.mode == "reflect" then return k < 0 and -k or k > last and 2 * last - k or k end
      return math.min(math.max(k, 0), last)
    end
    return resample(g, x, g:result(l, x), "pad", place,
      { before = before, after = after, mode = a.mode })
  end

  local function upsample(g, l, d, x)
    local factor = { pair(d.arguments.factor) }
    if #x.shape == 2 then factor[1] = 1 end
    local function nearest(i, _, axis) return floor(i / factor[axis]) end
    local function between(i, n, axis) -- places of squares whose outer edges meet
      local at = math.max((i + 0.5) / factor[axis] - 0.5, 0)
      return floor(at), math.min(floor(at) + 1, n - 1), at % 1
    end
    local smooth = d.arguments.mode ~= "nearest"
    return resample(g, x, g:result(l, x), "upsample", smooth and between or nearest,
      { factor = factor, mode = smooth and "linear" or "nearest" })
  end
  lower.pad1d, lower.pad2d, lower.upsample1d, lower.upsample2d = pad, pad, upsample, upsample

  --- Of running means and variances: one factor and one number to add for each channel.
  function lower.batchnorm(g, _, d, x)
    local function part(name) return g:weight(d, name) end
    local mean, var, weight, bias = part "running_mean", part "running_var", part "weight",
                                    part "bias"
    local w, b, ones, zeros, c = {}, {}, {}, {}, #mean.values
    for i = 1, c do
      ones[i], zeros[i] = 1, 0
      w[i] = (weight and weight.values[i] or 1) / (var.values[i] + d.arguments.eps) ^ 0.5
      b[i] = (bias and bias.values[i] or 0) - mean.values[i] * w[i]
    end
    local statistics = { weight or g:constant("weight", ones), bias or g:constant("bias", zeros),
                         mean, var, eps = d.arguments.eps }
    return affine(g, x, g:constant("scale", w), g:constant("shift", b), c, x.size / c,
      by_channel(x.shape), { statistics = statistics })
  end

  --- The last 'dims' dimensions of x less their mean, over their deviation.
  local function normalize(g, kind, x, dims, eps)
    local n = product(x.shape, #x.shape - dims + 1)
    return g:node(kind, x, x.shape, { n = n, rows = x.size / n, dims = dims, eps = eps })
  end

  local function last_norm(kind)
    return function(g, _, d, x)
      local y = normalize(g, kind, x, d.arguments.dims, d.arguments.eps)
      local w = g:weight(d, "weight")
      return w and affine(g, y, w, g:weight(d, "bias"), #w.values, 1, w.shape) or y
    end
  end
  lower.layernorm, lower.rmsnorm = last_norm "normalize", last_norm "rms"

  function lower.groupnorm(g, _, d, x)
    local groups, w = d.arguments.groups, g:weight(d, "weight")
    local y = reshape(g, x, { groups, x.size / groups })
    y = reshape(g, normalize(g, "normalize", y, 1, d.arguments.eps), x.shape)
    if not w then return y end
    local c = x.shape[1]
    return affine(g, y, w, g:weight(d, "bias"), c, x.size / c, by_channel(x.shape))
  end

  function lower.prelu(g, _, d, x)
    local w = g:weight(d, "weight")
    local c = #w.values
    return g:node("prelu", x, x.shape, { w = w, c = c, outer = 1, inner = x.size / c,
      shape = c > 1 and by_channel(x.shape) or { 1 } })
  end

  function lower.embedding(g, _, d, x)
    local w, shape = g:weight(d, "weight"), copy(x.shape)
    shape[#shape + 1] = w.shape[2]
    return g:node("embedding", x, shape, { w = w, n = w.shape[1], dim = w.shape[2],
      ids = x.size })
  end

  --- x and z of one size: a sum, or what 'kind' says.
  local function both_of(g, x, z, kind)
    return g:node(kind or "add", x, x.shape, { z = z, n = product(x.shape) })
  end

  --- Is time a dimension of one example?
  local function check_time(g, x)
    if #x.shape > 1 then return end
    g:fail("takes the examples of a batch {n, features} for steps in time, which cannot be"
      .. " exported; {n, time, features} can")
  end

  function lower.positional_encoding(g, l, _, x)
    check_time(g, x)
    local waves = l:predict(mg.zeros(1, unpack(x.shape))):reshape(x.size)
    return both_of(g, x, g:constant("waves", waves:totable(), x.shape))
  end

  function lower.positional_embedding(g, _, d, x)
    check_time(g, x)
    local rows = d.parts.weight:narrow(1, 1, x.shape[#x.shape - 1]):expand(x.shape)
    return both_of(g, x, g:constant("weight", rows:reshape(x.size):totable(), x.shape))
  end

  --- Values side by side: each {rows, widths[i]}; along that axis of a batch.
  local function concat(g, list, shape, rows, axis)
    local widths = {}
    for i, x in ipairs(list) do widths[i] = x.size / rows end
    return g:node("concat", list[1], shape, { list = list, widths = widths, rows = rows,
      axis = axis })
  end

  local gates = { rnn_tanh = 1, rnn_relu = 1, gru = 3, lstm = 4 }

  --- One direction of one recurrent layer; 'suffix' ends the names of its weights.
  local function run(g, d, cell, x, suffix, sequence)
    local hidden, steps = d.arguments.hidden, x.shape[1]
    return g:node("recurrent", x, sequence and { steps, hidden } or { hidden }, {
      cell = { helper = cell }, gates = gates[cell],
      work = { scratch = (steps * gates[cell] + gates[cell] + 2) * hidden },
      w_ih = g:weight(d, "weight_ih" .. suffix), w_hh = g:weight(d, "weight_hh" .. suffix),
      b_ih = g:weight(d, "bias_ih" .. suffix), b_hh = g:weight(d, "bias_hh" .. suffix),
      steps = steps, ins = x.shape[2], hidden = hidden,
      reverse = suffix:find "_reverse" and 1 or 0, last = sequence and 0 or 1 })
  end

  local function recurrent(cell_of)
    return function(g, _, d, x)
      local a = d.arguments
      for layer = 1, a.layers do
        local sequence = layer < a.layers or a.return_sequence
        local name, rows = "_l" .. layer - 1, sequence and x.shape[1] or 1
        local y = run(g, d, cell_of(a), x, name, sequence)
        if a.bidirectional then
          local shape = copy(y.shape)
          shape[#shape] = 2 * a.hidden
          local back = run(g, d, cell_of(a), x, name .. "_reverse", sequence)
          y = concat(g, { y, back }, shape, rows, -1)
        end
        x = y
      end
      return x
    end
  end
  lower.rnn = recurrent(function(a) return "rnn_" .. a.nonlinearity end)
  lower.gru = recurrent(function() return "gru" end)
  lower.lstm = recurrent(function() return "lstm" end)

  ------------------------------------------------------------------- attention

  function lower.attention(g, _, d, x)
    local time, e, heads = x.shape[1], x.shape[2], d.arguments.heads
    local y = linear(g, x, g:weight(d, "in_proj_weight"), g:weight(d, "in_proj_bias"))
    y = g:node("attention", y, x.shape, { time = time, heads = heads, d = e / heads,
      causal = d.arguments.causal and 1 or 0, work = { scratch = time } })
    return linear(g, y, g:weight(d, "out_proj.weight"), g:weight(d, "out_proj.bias"))
  end

  local visit

  --- The part of that name, a layer, in its place.
  local function through(g, d, name, x)
    local path = g.path
    g.path = path == "" and name or path .. "." .. name
    local y = visit(g, d.parts[name], x)
    g.path = path
    return y
  end

  function lower.transformer_block(g, _, d, x)
    local first = d.arguments.norm_first
    for i, names in ipairs { { "self_attn" }, { "linear1", "linear2" } } do
      local y, norm = x, "norm" .. i
      if first then y = through(g, d, norm, y) end
      for _, name in ipairs(names) do y = through(g, d, name, y) end
      x = both_of(g, x, y)
      if not first then x = through(g, d, norm, x) end
    end
    return x
  end

  ------------------------------------------------------------------ containers

  function lower.sequential(g, _, d, x)
    for _, name in ipairs(d.names) do x = through(g, d, name, x) end
    return x
  end

  function lower.residual(g, l, d, x) return both_of(g, x, lower.sequential(g, l, d, x)) end

  function lower.parallel(g, _, d, x)
    local list, shape = {}, nil
    for i, name in ipairs(d.names) do
      list[i] = through(g, d, name, x)
      if shape then shape[1] = shape[1] + list[i].shape[1] else shape = copy(list[i].shape) end
    end
    return concat(g, list, shape, 1, 1)
  end

  local record = require "moongrad.export_record" (core, {
    through = through, activate = activate, linear = linear, both = both_of,
    flatten = function(g, x) return lower.flatten(g, nil, nil, x) end,
    scale = function(g, x, w, b)
      return affine(g, x, g:constant("factor", { w }), b and g:constant("term", { b }), 1, x.size,
        { 1 })
    end })

  --- What a layer makes of x. To 'lower' goes a table of it: arguments (options by name),
  -- names (of its parts in order), parts (layers and tensors by name).
  function visit(g, l, x)
    local recipe, made_by, f = core.recipe(l)
    local d = { arguments = recipe.options, names = {}, parts = {} }
    for i, part in ipairs(l:describe().parts) do
      d.names[i], d.parts[part.name] = part.name, part.tensor or part.layer
    end
    if f then return record(g, f, made_by and l, x) end
    if not lower[recipe.layer] then
      g:fail('is of kind "%s", which cannot be exported', recipe.layer)
    end
    return lower[recipe.layer](g, l, d, x)
  end

  -------------------------------------------------------------------- entry

  --- The size of one example that the net was built for, or its first layer.
  local function input_of(who, net)
    local d = net:describe()
    while not d.input and d.parts[1] and d.parts[1].layer do d = d.parts[1].layer:describe() end
    if d.input then return { unpack(d.input, 2) } end
    check.fail(who, "the size of one example is not known, expected { input = {sizes} }")
  end

  local function lowered(who, net, input)
    local g = setmetatable({ who = who, path = "", nodes = {}, values = {}, shared = {} }, graph)
    g.input = g:value(input)
    net:predict(mg.ones(1, unpack(input))) -- does it fit? Builds it, too
    g.output = visit(g, net, g.input)
    return g
  end

  --- Raises a sentence of graph.fail where the caller of the exporter is.
  local function safely(f)
    local ok, value = pcall(f)
    if ok then return value end
    if type(value) == "table" and value.sentence then core.fail(value.sentence) end
    error(value, 0)
  end

  local export = {}

  --- net, for inputs of one size, as a file; options: input (the size of one example, where
  -- the net does not know it), name (of the functions in C, after the file's unless given).
  -- @treturn boolean  true; or nil, a message and a code where the file cannot be written
  for format, file in pairs { lua = "export_lua", c = "export_c", onnx = "export_onnx" } do
    export[format] = function(net, path, options)
      local who = "export." .. format
      check.is("layer", net, who, "net")
      check.is("string", path, who, "path")
      options = check.options(options or {}, { input = true, name = true }, who)
      check.optional("string", options.name, who, "name")
      local input = options.input
      if type(input) == "number" then input = { input } end
      if check.optional("table", input, who, "input") then
        for i, n in ipairs(input) do check.integer(n, who, "input " .. i, 1) end
      end
      input = copy(input or input_of(who, net))
      local write = require("moongrad." .. file)
      if format == "onnx" then write = write(mg, core) end
      local list = safely(function()
        return mg.no_grad(function() return write(lowered(who, net, input), path, options) end)
      end)
      return files.write(path, function(put)
        for _, part in ipairs(list) do put(part) end
      end)
    end
  end

  return export
end
