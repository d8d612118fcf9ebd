--- Layers: containers and layers written in Lua.

local check = require "moongrad.check"

local function text(v) return type(v) == "string" and '"' .. v .. '"' or type(v) end

return function(mg, core)
  local new = core.layers

  --- Anything that can stand in a container, as a layer.
  local function to_layer(v, kind, place)
    local is = core.type(v)
    if is == "layer" then return v end
    if type(v) == "function" then return core.custom("function", v, nil, core.is_pure(v)) end
    if type(v) == "string" then return new.activation(v) end
    check.fail(kind, "entry %d is a %s, expected a layer, the name of an activation or a function",
      place, is or text(v))
  end

  --- The size of one example in front of a container's layers, if there is one.
  local function input_size(first)
    if type(first) == "number" then return { first } end
    if type(first) == "table" and not core.type(first) then return first end
  end

  for name, make in pairs(new) do mg[name] = make end

  local function container(kind)
    return function(entries)
      if type(entries) ~= "table" or core.type(entries) then
        check.fail(kind, "its layers are %s, expected a table of layers",
          core.type(entries) or type(entries))
      end
      local options = {}
      for key, v in pairs(entries) do
        if type(key) == "string" then options[key] = v end
      end
      local l = new[kind](check.options(options, { name = true }, kind))
      local size = input_size(entries[1])
      local first = size and 2 or 1
      for i = first, #entries do l:add(to_layer(entries[i], kind, i)) end
      if size then l:build(1, (table.unpack or unpack)(size)) end
      return l
    end
  end

  --- Layers in turn, around a shortcut (x + f(x)), side by side (joined along
  -- dimension 2). An entry is a layer, the name of an activation, or a function
  -- of one tensor; a first entry of sizes builds the net at once.
  mg.sequential, mg.residual, mg.parallel =
    container "sequential", container "residual", container "parallel"

  local dense = new.dense
  --- A fully connected layer; one that is told its inputs exists at once.
  function mg.dense(...)
    local l = dense(...)
    local options = select(select("#", ...), ...)
    local inputs = type(options) == "table" and options.inputs or 0
    return inputs > 0 and l:build(1, inputs) or l
  end

  local embedding = new.embedding
  --- Ids from 1 as vectors of 'dim' numbers. Its weight {n, dim} exists at once, so that
  -- another layer may have the same: mg.dense(n, { weight = e:named().weight }).
  function mg.embedding(...) return embedding(...):build(1) end

  --- An activation by its name.
  function mg.activation(name) return new.activation(name) end

  local pure = setmetatable({}, { __mode = "k" })

  --- Promises that f, a layer's function, a class's forward or a loss, only applies
  -- ops to what it is given: the same ones each time, whatever the numbers are, and
  -- nothing that Lua would notice. It is then called once for each shape; training
  -- and predict replay its ops without calling Lua. Where f reads numbers (item, get)
  -- or makes random tensors it is called every time nevertheless.
  -- @treturn function  f
  function mg.pure(f)
    check.is("function", f, "pure", "f")
    pure[f] = true
    return f
  end

  core.classes = {} -- what module has made, by name

  function core.is_pure(f) return pure[f] == true end

  --- A class of layers written in Lua. class.init(self, ...) sets up its parts,
  -- class.forward(self, x) returns the result. Layers and tensors put into
  -- fields of self are its parts; tensors that require a gradient are its
  -- parameters, others are buffers.
  -- A net with such layers is loaded from a file where a class of the same name has been
  -- made before: init is called with the same arguments.
  -- @treturn function  makes a layer from init's arguments
  function mg.module(name, class)
    if type(name) ~= "string" then
      check.fail("module", "name is a %s, expected a string", type(name))
    end
    if type(class) ~= "table" or type(class.forward) ~= "function" then
      check.fail("module", 'class "%s" needs a function forward', name)
    end
    local function make(...)
      local made_by = { class = name, n = select("#", ...), ... }
      local self = core.custom(name, class.forward, class, core.is_pure(class.forward), made_by)
      if class.init then class.init(self, ...) end
      return self
    end
    core.classes[name] = make
    return make
  end
end
