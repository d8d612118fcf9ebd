--- What a function of Lua does, as nodes of a graph: layers that are functions, and classes.
--
-- The function is called once, with stand-ins for its argument and for self. They know
-- layers, activations, sums, products and the like; whatever else is done with one is a
-- refusal that tells what it was. A function that does not always do the same is no layer
-- for another program, and what it reads elsewhere counts as it is now.

--- nodes: what export.lua makes of layers and ops.
return function(core, nodes)
  local weak = { __mode = "k" }
  -- By stand-in: its graph, and the value of that or the tensor that it stands for.
  local check = require "moongrad.check"
  local graphs, values = setmetatable({}, weak), setmetatable({}, weak)
  local meta, methods = {}, {}

  local activations = {}
  for _, op in ipairs(core.describe().ops) do activations[op.name] = op.activation end

  local function stand_in(g, v)
    local s = setmetatable({}, meta)
    graphs[s], values[s] = g, v
    return s
  end

  local function wrong(g, text, ...)
    g:fail("is a function of Lua that " .. text .. ", which cannot be exported", ...)
  end

  local function is_value(v) return type(v) == "table" and v.id ~= nil end

  --- A tensor as a constant of that shape.
  local function constant(g, t, shape)
    if t:dim() > #shape and t:size(1) == 1 then t = t:select(1, 1) end
    return g:constant("constant", t:expand(shape):reshape(-1):totable(), shape)
  end

  ------------------------------------------------------------------ operators

  -- By a number: the factor and what is added.
  local by_number = {
    add = function(k) return 1, k end, sub = function(k) return 1, -k end,
    mul = function(k) return k end, div = function(k) return 1 / k end,
    less = function(k) return -1, k end, -- k - x
  }

  local function both(kind, a, b)
    local g, u, v = graphs[a] or graphs[b], values[a] or a, values[b] or b
    if not is_value(u) and not is_value(v) then return stand_in(g, core.ops[kind](u, v)) end
    if type(u) == "number" then
      if kind == "div" then wrong(g, "divides a number by what it is given") end
      kind, u, v = kind == "sub" and "less" or kind, v, u
    end
    if type(v) == "number" then return stand_in(g, nodes.scale(g, u, by_number[kind](v))) end
    if core.type(u) == "tensor" then u = constant(g, u, v.shape) end
    if core.type(v) == "tensor" then v = constant(g, v, u.shape) end
    if table.concat(u.shape, ",") ~= table.concat(v.shape, ",") then
      wrong(g, "takes the %s of values that differ in shape", kind)
    end
    return stand_in(g, nodes.both(g, u, v, kind))
  end

  for _, name in ipairs { "add", "sub", "mul", "div" } do
    methods[name] = function(a, b) return both(name, a, b) end
    meta["__" .. name] = methods[name]
  end
  function meta.__unm(a) return both("mul", a, -1) end
  function meta.__len(a) wrong(graphs[a], 'uses "#"') end

  -------------------------------------------------------------------- methods

  --- Only by a matrix of self's, from the right.
  function methods.matmul(a, b)
    local g, x, w = graphs[a], values[a], values[b] or b
    if not is_value(x) or core.type(w) ~= "tensor" or w:dim() ~= 2 then
      wrong(g, "multiplies other matrices than what it is given by one of its own")
    end
    w = w:transpose(1, 2)
    local matrix = g:constant("matrix", w:reshape(-1):totable(), w.shape)
    return stand_in(g, nodes.linear(g, x, matrix))
  end

  function methods.flatten(a, from)
    local g, x = graphs[a], values[a]
    if from ~= 2 or not is_value(x) then wrong(g, "flattens more than each example") end
    return stand_in(g, nodes.flatten(g, x))
  end

  local function activate(name, a, option, ...)
    local g, x = graphs[a], values[a]
    if not is_value(x) then return stand_in(g, core.ops[name](x, option, ...)) end
    local last = name:find "softmax" and (option == -1 or option == #x.shape + 1)
    if option ~= nil and not last then wrong(g, "gives %s an option", name) end
    return stand_in(g, nodes.activate(g, name, x))
  end

  function meta.__index(s, name)
    if activations[name] then return function(...) return activate(name, ...) end end
    return methods[name] or wrong(graphs[s], "uses %q of what it is given", tostring(name))
  end

  ----------------------------------------------------------------------- self

  --- A layer of self's, to be called.
  local function layer_of(g, name, l)
    return setmetatable({}, { __call = function(_, x, further)
      if not is_value(values[x]) or further ~= nil then
        wrong(g, "gives its layer %q something else than one tensor made of its input", name)
      end
      return stand_in(g, nodes.through(g, { parts = { [name] = l } }, name, values[x]))
    end })
  end

  --- Its layers and tensors as stand-ins, other fields as they are.
  local function self_of(g, l)
    return setmetatable({}, {
      __newindex = function(_, name) wrong(g, "sets its field %q", tostring(name)) end,
      __index = function(_, name)
        local v = l[name]
        if core.type(v) == "tensor" then return stand_in(g, v) end
        return core.type(v) == "layer" and layer_of(g, name, v) or v
      end })
  end

  --- The value of graph g that f makes of x, f(l, x) where it is of a class's layer l.
  return function(g, f, l, x)
    local ok, y = check.pcall(function()
      if l then return f(self_of(g, l), stand_in(g, x)) end
      return f(stand_in(g, x))
    end)
    if not ok and type(y) == "table" and y.sentence then error(y, 0) end
    if not ok then g:fail("is a function of Lua that cannot be exported: %s", tostring(y)) end
    if not is_value(values[y]) then
      wrong(g, "does not make its result of what it is given")
    end
    return values[y]
  end
end
