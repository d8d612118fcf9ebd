--- What a function of Lua does, as nodes of a graph: layers that are functions, and classes.
--
-- The function is called once, with stand-ins for its argument and for self. They know
-- layers, activations, sums, products and the like; whatever else is done with one is a
-- refusal that tells what it was. A function that does not always do the same is no layer
-- for another program, and what it reads elsewhere counts as it is now.

--- nodes: what export.lua makes of layers and ops.
return function(core, nodes)
  -- By a number: the factor and what is added.
  local by_number = {
    add = function(k) return 1, k end, sub = function(k) return 1, -k end,
    mul = function(k) return k end, div = function(k) return 1 / k end,
    less = function(k) return -1, k end, -- k - x
  }
  local activations = {}
  for _, op in ipairs(core.describe().ops) do activations[op.name] = op.activation end

  local function is_value(v) return type(v) == "table" and v.id ~= nil end

  --- The value of graph g that f makes of x, f(l, x) where it is of a class's layer l.
  return function(g, f, l, x)
    local of, meta = {}, {} -- what each stands for: a value of the graph, a tensor

    local function wrong(text, ...)
      g:fail("is a function of Lua that " .. text .. ", which cannot be exported", ...)
    end

    local function stand_in(v)
      local s = setmetatable({}, meta)
      of[s] = v
      return s
    end

    --- A tensor as a constant of that shape.
    local function constant(t, shape)
      if t:dim() > #shape and t:size(1) == 1 then t = t:select(1, 1) end
      local list = t:expand(shape):reshape(-1):totable()
      return g:constant("constant", list, shape)
    end

    local function both(kind, a, b)
      local u, v = of[a] or a, of[b] or b
      if not is_value(u) and not is_value(v) then return stand_in(core.ops[kind](u, v)) end
      if type(u) == "number" then
        if kind == "div" then wrong "divides a number by what it is given" end
        kind, u, v = kind == "sub" and "less" or kind, v, u
      end
      if type(v) == "number" then return stand_in(nodes.scale(g, u, by_number[kind](v))) end
      if core.type(u) == "tensor" then u = constant(u, v.shape) end
      if core.type(v) == "tensor" then v = constant(v, u.shape) end
      if not u or not v or table.concat(u.shape, ",") ~= table.concat(v.shape, ",") then
        wrong("takes the %s of values that differ in shape", kind)
      end
      return stand_in(nodes.both(g, u, v, kind))
    end

    local methods = {}
    for name in pairs { add = 1, sub = 1, mul = 1, div = 1 } do
      methods[name] = function(a, b) return both(name, a, b) end
      meta["__" .. name] = methods[name]
    end
    function meta.__unm(a) return both("mul", a, -1) end
    function meta.__len() wrong 'uses "#"' end

    --- Only by a matrix of self's, from the right.
    function methods.matmul(a, b)
      local u, w = of[a], of[b] or b
      if not is_value(u) or core.type(w) ~= "tensor" or w:dim() ~= 2 then
        wrong "multiplies other matrices than what it is given by one of its own"
      end
      w = w:transpose(1, 2):contiguous()
      return stand_in(nodes.linear(g, u, g:constant("matrix", w:reshape(-1):totable(), w.shape)))
    end

    function methods.flatten(a, from)
      if from ~= 2 or not is_value(of[a]) then wrong "flattens more than each example" end
      return stand_in(nodes.flatten(g, of[a]))
    end

    function meta.__index(_, name)
      if activations[name] then
        return function(a)
          local v = of[a]
          if not is_value(v) then return stand_in(core.ops[name](v)) end
          return stand_in(nodes.activate(g, name, v))
        end
      end
      return methods[name] or wrong("uses %q of what it is given", tostring(name))
    end

    --- self.name: its layers and tensors as stand-ins.
    local self = l and setmetatable({}, {
      __newindex = function(_, name) wrong("sets its field %q", tostring(name)) end,
      __index = function(_, name)
        local v = l[name]
        if core.type(v) == "tensor" then return stand_in(v) end
        if core.type(v) ~= "layer" then return v end
        return setmetatable({}, { __call = function(_, a, further)
          if not is_value(of[a]) or further ~= nil then
            wrong("gives its layer %q something else than one tensor made of its input", name)
          end
          return stand_in(nodes.through(g, { parts = { [name] = v } }, name, of[a]))
        end })
      end })

    local input = stand_in(x)
    local ok, y = pcall(function()
      if l then return f(self, input) end
      return f(input)
    end)
    if not ok and type(y) == "table" and y.sentence then error(y, 0) end
    if not ok then g:fail("is a function of Lua that cannot be exported: %s", tostring(y)) end
    if not is_value(of[y]) then wrong "does not make its result of what it is given" end
    return of[y]
  end
end
