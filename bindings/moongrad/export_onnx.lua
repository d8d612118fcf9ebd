--- A net as an ONNX model (opset 13), the size of the batch left open.
--
-- The file is a protobuf message; its fields are numbered in onnx.proto. A field is a key,
-- number * 8 + type, and a value: an integer in groups of 7 bits (type 0), a length and as
-- many bytes (2), or a float32 (5).

local floor, unpack = math.floor, table.unpack or unpack

local function varint(v)
  if v < 0 then -- two's complement in 64 bits, which is -v - 1 with all bits turned over
    local parts, left = {}, -v - 1
    for i = 1, 9 do parts[i], left = 255 - left % 128, floor(left / 128) end
    return string.char(unpack(parts)) .. "\1"
  end
  local parts = {}
  while v >= 128 do
    parts[#parts + 1] = string.char(v % 128 + 128)
    v = floor(v / 128)
  end
  parts[#parts + 1] = string.char(v)
  return table.concat(parts)
end

local function integer(field, v) return varint(field * 8) .. varint(v) end

--- A string, or a message made of strings.
local function bytes(field, ...)
  local s = table.concat({ ... })
  return varint(field * 8 + 2) .. varint(#s) .. s
end

local FLOAT, INT64 = 1, 7 -- of TensorProto.DataType

return function(mg, core)
  local function raw(values, kind) return mg.tensor(values):to_string(kind) end

  --- An AttributeProto: a whole number, a list of such, a string or {float = number}.
  local function attribute(name, v)
    local head = bytes(1, name)
    if type(v) == "string" then return bytes(5, head, bytes(4, v), integer(20, 3)) end
    if type(v) == "number" then return bytes(5, head, integer(3, v), integer(20, 2)) end
    if v.float then
      return bytes(5, head, varint(2 * 8 + 5), raw({ v.float }, "f32"), integer(20, 1))
    end
    if v.strings then
      local list = {}
      for i, s in ipairs(v.strings) do list[i] = bytes(9, s) end
      return bytes(5, head, table.concat(list), integer(20, 8))
    end
    local list = {}
    for i, n in ipairs(v) do list[i] = integer(8, n) end
    return bytes(5, head, table.concat(list), integer(20, 7))
  end

  --- A ValueInfoProto of float32: the batch, then the sizes of one example.
  local function value_info(field, name, shape)
    local dims = { bytes(1, bytes(2, "batch")) }
    for i, n in ipairs(shape) do dims[i + 1] = bytes(1, integer(1, n)) end
    local tensor = integer(1, FLOAT) .. bytes(2, table.concat(dims))
    return bytes(field, bytes(1, name), bytes(2, bytes(1, tensor)))
  end

  ----------------------------------------------------------------- the model

  local model = {}
  model.__index = model

  function model:fresh()
    self.count = self.count + 1
    return "t" .. self.count
  end

  --- Adds a node; returns the name of its result, or of its output-th one.
  function model:add(op, inputs, attributes, result, output)
    result = result or self:fresh()
    local parts, names = {}, {}
    for _, name in ipairs(inputs) do parts[#parts + 1] = bytes(1, name) end
    for i = 1, (output or 1) - 1 do parts[#parts + 1] = bytes(2, result .. "_" .. i) end
    parts[#parts + 1] = bytes(2, result)
    parts[#parts + 1] = bytes(3, op .. "_" .. result) .. bytes(4, op)
    for name in pairs(attributes or {}) do names[#names + 1] = name end
    table.sort(names)
    for _, name in ipairs(names) do parts[#parts + 1] = attribute(name, attributes[name]) end
    self.nodes[#self.nodes + 1] = bytes(1, table.concat(parts))
    return result
  end

  --- A tensor of the model; 'shape' {} for a number.
  function model:tensor(values, shape, kind)
    local name, dims = self:fresh(), {}
    for i, n in ipairs(shape) do dims[i] = integer(1, n) end
    self.tensors[#self.tensors + 1] = bytes(5, table.concat(dims),
      integer(2, kind == "i64" and INT64 or FLOAT), bytes(8, name),
      bytes(9, raw(values, kind or "f32")))
    return name
  end

  function model:integers(list) return self:tensor(list, { #list }, "i64") end
  function model:number(v) return self:tensor({ v }, {}) end

  --- A weight as it is, there once, or in another shape.
  function model:weight(w, shape)
    if not w or shape then return w and self:tensor(w.values, shape) or "" end
    self.names[w] = self.names[w] or self:tensor(w.values, w.shape)
    return self.names[w]
  end

  --- The name of a value of the graph, or of a weight.
  function model:at(v) return v.id and self.names[v.id] or self:weight(v) end

  ------------------------------------------------------------- kinds of nodes

  local write = {} -- each returns the name of its result

  function write.reshape(m, n)
    return m:add("Reshape", { m:at(n.x), m:integers { 0, unpack(n.y.shape) } })
  end

  function write.linear(m, n)
    local inputs = { m:at(n.x), m:weight(n.w, #n.w.shape > 2 and { n.outs, n.ins } or nil) }
    if #n.x.shape == 1 then
      if n.b then inputs[3] = m:weight(n.b) end
      return m:add("Gemm", inputs, { transB = 1 })
    end
    inputs[2] = m:add("Transpose", { inputs[2] }, { perm = { 1, 0 } })
    local y = m:add("MatMul", inputs)
    return n.b and m:add("Add", { y, m:weight(n.b) }) or y
  end

  --- A row at a time: {rows, outs, ins} by {rows, ins, 1}.
  function write.contract(m, n)
    local matrix, column, shape = {}, { 0, unpack(n.x.shape) }, { 0, unpack(n.y.shape) }
    for i = 1, #shape do matrix[i] = shape[i] end
    matrix[#shape + 1], column[#column + 1] = n.ins, 1
    local y = m:add("MatMul", { m:add("Reshape", { m:at(n.z), m:integers(matrix) }),
                                m:add("Reshape", { m:at(n.x), m:integers(column) }) })
    y = m:add("Reshape", { y, m:integers(shape) })
    return n.b and m:add("Add", { y, m:weight(n.b) }) or y
  end

  --- {batch, time, 3 e} as {3, batch, heads, time, d}, and these three multiplied.
  function write.attention(m, n)
    local split = m:add("Reshape", { m:at(n.x), m:integers { 0, n.time, 3, n.heads, n.d } })
    split = m:add("Transpose", { split }, { perm = { 2, 0, 3, 1, 4 } })
    local function part(i) return m:add("Gather", { split, m:tensor({ i }, {}, "i64") }) end
    local keys = m:add("Transpose", { part(1) }, { perm = { 0, 1, 3, 2 } })
    local fit = m:add("MatMul", { m:add("Mul", { part(0), m:number(n.d ^ -0.5) }), keys })
    if n.causal == 1 then
      local hidden = {}
      for i = 1, n.time * n.time do
        hidden[i] = (i - 1) % n.time > floor((i - 1) / n.time) and -1e30 or 0
      end
      fit = m:add("Add", { fit, m:tensor(hidden, { n.time, n.time }) })
    end
    local y = m:add("MatMul", { m:add("Softmax", { fit }, { axis = -1 }), part(2) })
    y = m:add("Transpose", { y }, { perm = { 0, 2, 1, 3 } })
    return m:add("Reshape", { y, m:integers { 0, n.time, n.heads * n.d } })
  end

  local maps = {
    sigmoid = "Sigmoid", tanh = "Tanh", relu = "Relu", softplus = "Softplus",
    softsign = "Softsign", elu = "Elu", selu = "Selu",
    leaky_relu = function(m, x) return m:add("LeakyRelu", { x }, { alpha = { float = 0.01 } }) end,
    silu = function(m, x) return m:add("Mul", { x, m:add("Sigmoid", { x }) }) end,
    hardtanh = function(m, x) return m:add("Clip", { x, m:number(-1), m:number(1) }) end,
    step = function(m, x)
      return m:add("Cast", { m:add("Greater", { x, m:number(0) }) }, { to = FLOAT })
    end,
    gelu = function(m, x)
      local erf = m:add("Erf", { m:add("Mul", { x, m:number(0.5 ^ 0.5) }) })
      local half = m:add("Mul", { x, m:number(0.5) })
      return m:add("Mul", { half, m:add("Add", { erf, m:number(1) }) })
    end,
  }

  function write.map(m, n)
    local how = maps[n.f.helper]
    if how == nil then m:unknown(n, n.f.helper) end
    if type(how) == "string" then return m:add(how, { m:at(n.x) }) end
    return how(m, m:at(n.x))
  end

  function write.softmax(m, n) return m:add("Softmax", { m:at(n.x) }, { axis = -1 }) end
  function write.log_softmax(m, n) return m:add("LogSoftmax", { m:at(n.x) }, { axis = -1 }) end

  --- h and w, or w alone where there is one dimension.
  local function last(n, h, w) return n.dims == 1 and { w } or { h, w } end

  local function windows(n)
    return { kernel_shape = last(n, n.kh, n.kw), strides = last(n, n.sh, n.sw),
             pads = n.dims == 1 and { n.pw, n.ew } or { n.ph, n.pw, n.eh, n.ew } }
  end

  local function convolution(op)
    return function(m, n)
      local a, inputs = windows(n), { m:at(n.x), m:weight(n.w) }
      a.dilations, a.group = last(n, n.dh, n.dw), n.groups
      if op == "ConvTranspose" then a.output_padding = last(n, n.mh, n.mw) end
      if n.b then inputs[3] = m:weight(n.b) end
      return m:add(op, inputs, a)
    end
  end
  write.conv, write.conv_transpose = convolution "Conv", convolution "ConvTranspose"

  function write.max_pool(m, n) return m:add("MaxPool", { m:at(n.x) }, windows(n)) end

  function write.avg_pool(m, n)
    local a = windows(n)
    a.count_include_pad = 1
    return m:add("AveragePool", { m:at(n.x) }, a)
  end

  --- Where windows are of several sizes, ONNX has nothing: each is cut out and reduced, first
  -- along h, then along w.
  local function adaptive(op)
    return function(m, n)
      local y = m:at(n.x)
      for _, axis in ipairs(last(n, { 2, "h" }, { n.dims + 1, "w" })) do
        local from, to = n["from_" .. axis[2]].integers, n["to_" .. axis[2]].integers
        local at, parts = m:integers { axis[1] }, {}
        for i = 1, #from do
          local part = m:add("Slice", { y, m:integers { from[i] }, m:integers { to[i] + 1 }, at })
          parts[i] = m:add(op, { part }, { axes = { axis[1] }, keepdims = 1 })
        end
        y = m:add("Concat", parts, { axis = axis[1] })
      end
      return y
    end
  end
  write.adaptive_max_pool, write.adaptive_avg_pool = adaptive "ReduceMax", adaptive "ReduceMean"

  function write.pad(m, n)
    local modes = { zero = "constant", reflect = "reflect", replicate = "edge" }
    local b, a = n.before, n.after
    local pads = n.dims == 1 and { 0, 0, b[2], 0, 0, a[2] }
                 or { 0, 0, b[1], b[2], 0, 0, a[1], a[2] }
    return m:add("Pad", { m:at(n.x), m:integers(pads) }, { mode = modes[n.mode] })
  end

  function write.upsample(m, n)
    local scales = { 1, 1, unpack(last(n, n.factor[1], n.factor[2])) }
    local a = { mode = n.mode, coordinate_transformation_mode = "half_pixel" }
    if n.mode == "nearest" then
      a.coordinate_transformation_mode, a.nearest_mode = "asymmetric", "floor"
    end
    return m:add("Resize", { m:at(n.x), "", m:tensor(scales, { #scales }) }, a)
  end

  function write.affine(m, n)
    local s = n.statistics
    if s then
      local inputs = { m:at(n.x) }
      for i = 1, 4 do inputs[i + 1] = m:weight(s[i]) end
      return m:add("BatchNormalization", inputs, { epsilon = { float = s.eps } })
    end
    local y = m:add("Mul", { m:at(n.x), m:weight(n.w, n.shape) })
    return n.b and m:add("Add", { y, m:weight(n.b, n.shape) }) or y
  end

  function write.prelu(m, n) return m:add("PRelu", { m:at(n.x), m:weight(n.w, n.shape) }) end

  --- x over the root of its mean square, over the last 'dims' dimensions.
  local function over_root(m, n, x)
    local axes = {}
    for i = 1, n.dims do axes[i] = i - 1 - n.dims end
    local square = m:add("ReduceMean", { m:add("Mul", { x, x }) }, { axes = axes, keepdims = 1 })
    return m:add("Div", { x, m:add("Sqrt", { m:add("Add", { square, m:number(n.eps) }) }) })
  end

  function write.normalize(m, n)
    local axes = {}
    for i = 1, n.dims do axes[i] = i - 1 - n.dims end
    local mean = m:add("ReduceMean", { m:at(n.x) }, { axes = axes, keepdims = 1 })
    return over_root(m, n, m:add("Sub", { m:at(n.x), mean }))
  end

  function write.rms(m, n) return over_root(m, n, m:at(n.x)) end

  function write.embedding(m, n)
    local from_0 = m:add("Sub", { m:at(n.x), m:number(1) })
    return m:add("Gather", { m:weight(n.w), m:add("Cast", { from_0 }, { to = INT64 }) })
  end

  for kind, op in pairs { add = "Add", sub = "Sub", mul = "Mul", div = "Div" } do
    write[kind] = function(m, n) return m:add(op, { m:at(n.x), m:at(n.z) }) end
  end

  function write.concat(m, n)
    local inputs = {}
    for i, x in ipairs(n.list) do inputs[i] = m:at(x) end
    return m:add("Concat", inputs, { axis = n.axis })
  end

  -- Which of PyTorch's gates come first, second ..
  local cells = {
    lstm = { "LSTM", { 1, 4, 2, 3 } }, gru = { "GRU", { 2, 1, 3 } },
    rnn_tanh = { "RNN", { 1 }, "Tanh" }, rnn_relu = { "RNN", { 1 }, "Relu" },
  }

  --- Rows of a weight, as many for each gate, in another order; zeros where it is nil.
  local function by_gates(w, order, size, to)
    for _, gate in ipairs(order) do
      for i = 1, size do to[#to + 1] = w and w.values[(gate - 1) * size + i] or 0 end
    end
    return to
  end

  function write.recurrent(m, n)
    local op, order, act = unpack(cells[n.cell.helper])
    local rows, size = #order * n.hidden, n.hidden
    local biases = by_gates(n.b_hh, order, size, by_gates(n.b_ih, order, size, {}))
    local a = { hidden_size = size, direction = n.reverse == 1 and "reverse" or "forward" }
    if op == "GRU" then a.linear_before_reset = 1 end
    if act then a.activations = { strings = { act } } end
    local inputs = { m:add("Transpose", { m:at(n.x) }, { perm = { 1, 0, 2 } }),
      m:tensor(by_gates(n.w_ih, order, size * n.ins, {}), { 1, rows, n.ins }),
      m:tensor(by_gates(n.w_hh, order, size * size, {}), { 1, rows, size }),
      m:tensor(biases, { 1, 2 * rows }) }
    if n.last == 1 then -- the second result is {1, batch, hidden}, the first {time, 1, ..}
      return m:add("Squeeze", { m:add(op, inputs, a, nil, 2), m:integers { 0 } })
    end
    local y = m:add("Squeeze", { m:add(op, inputs, a), m:integers { 1 } })
    return m:add("Transpose", { y }, { perm = { 1, 0, 2 } })
  end

  --------------------------------------------------------------------- the file

  function model:unknown(node, what)
    self.graph.path = node.path
    self.graph:fail('needs "%s", which cannot be exported', what)
  end

  --- The bytes of a graph's model, as a list of strings.
  return function(graph)
    local m = setmetatable({ graph = graph, nodes = {}, tensors = {}, count = 0,
                             names = { [graph.input.id] = "input" } }, model)
    for _, node in ipairs(graph.nodes) do
      if not write[node.kind] then m:unknown(node, node.kind) end
      m.names[node.y.id] = write[node.kind](m, node)
    end
    m:add("Identity", { m:at(graph.output) }, nil, "output")
    local body = table.concat(m.nodes) .. bytes(2, "net") .. table.concat(m.tensors) ..
      value_info(11, "input", graph.input.shape) .. value_info(12, "output", graph.output.shape)
    return { integer(1, 7), bytes(2, "moongrad"), bytes(3, core.version), bytes(7, body),
             bytes(8, bytes(1, ""), integer(2, 13)) }
  end
end
