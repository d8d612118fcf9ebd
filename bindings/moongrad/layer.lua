--- Layers: containers, layers written in Lua, and how a net is shown.

local check = require "moongrad.check"

local concat = table.concat

local function text(v) return type(v) == "string" and '"' .. v .. '"' or type(v) end

--- {784, 10} as "{784, 10}", the batch as n.
local function shape(size)
  if not size then return "?" end
  local parts = { "n" }
  for i = 2, #size do parts[i] = ("%d"):format(size[i]) end
  return "{" .. concat(parts, ", ") .. "}"
end

--- 12345 as "12,345".
local function thousands(n)
  local s, k = ("%d"):format(n), 1
  while k > 0 do s, k = s:gsub("^(%d+)(%d%d%d)", "%1,%2") end
  return s
end

local function row(kind, output, n)
  return ("%-36s %-22s %13s"):format(kind, output, n)
end

--- Adds a line for each layer that has no layers of its own.
local function add_rows(l, path, out)
  local d = l:describe()
  local children = {}
  for _, part in ipairs(d.parts) do
    if part.layer then children[#children + 1] = part end
  end
  if #children == 0 or path == "" then
    local title = d.kind .. (d.name and ' "' .. d.name .. '"' or "")
    if path ~= "" then title = path .. "  " .. title end
    if #children == 0 then
      out[#out + 1] = row(title, shape(d.output), thousands(l:num_parameters()))
    end
  end
  for _, part in ipairs(children) do
    add_rows(part.layer, path == "" and part.name or path .. "." .. part.name, out)
  end
end

return function(mg, core)
  local methods, new = core.layer_methods, core.layers

  --- Anything that can stand in a container, as a layer.
  local function to_layer(v, kind, place)
    local is = core.type(v)
    if is == "layer" then return v end
    if type(v) == "function" then return core.custom("function", v, nil, core.is_pure(v)) end
    if type(v) == "string" then return new.activation(v) end
    error(("%s: entry %d is a %s, expected a layer, the name of an activation or a function")
      :format(kind, place, is or text(v)), 4)
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
        error(("%s: its layers are %s, expected a table of layers")
          :format(kind, core.type(entries) or type(entries)), 2)
      end
      local l = new[kind](entries.name and { name = entries.name } or {})
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

  function core.is_pure(f) return pure[f] == true end

  --- A class of layers written in Lua. class.init(self, ...) sets up its parts,
  -- class.forward(self, x) returns the result. Layers and tensors put into
  -- fields of self are its parts; tensors that require a gradient are its
  -- parameters, others are buffers.
  -- @treturn function  makes a layer from init's arguments
  function mg.module(name, class)
    if type(name) ~= "string" then
      error(("module: name is a %s, expected a string"):format(type(name)), 2)
    end
    if type(class) ~= "table" or type(class.forward) ~= "function" then
      error(('module: class "%s" needs a function forward'):format(name), 2)
    end
    return function(...)
      local self = core.custom(name, class.forward, class, core.is_pure(class.forward))
      if class.init then class.init(self, ...) end
      return self
    end
  end

  --- A table of all layers: output shape and parameters, and the total.
  -- @param[opt] size  size of one example, a number or a table
  -- @treturn string
  function methods.summary(l, size)
    if size then
      local sizes = type(size) == "table" and size or { size }
      l:predict(mg.zeros(1, (table.unpack or unpack)(sizes)))
    end
    local out = { row("layer", "output", "parameters"), ("-"):rep(73) }
    add_rows(l, "", out)
    out[#out + 1] = ("-"):rep(73)
    out[#out + 1] = row("total", "", thousands(l:num_parameters()))
    return concat(out, "\n")
  end

  core.set_tostring("layer", function(l)
    if not core.open(l) then return "layer (closed)" end
    local d = l:describe()
    return ("%s%s (%s parameters)"):format(d.kind, d.name and ' "' .. d.name .. '"' or "",
      thousands(l:num_parameters()))
  end)
end
