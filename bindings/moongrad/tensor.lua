--- Methods of tensors that are made of others, and how a tensor is shown.

local check = require "moongrad.check"

local concat, floor = table.concat, math.floor

local LONG, EDGE = 12, 4 -- longer dimensions show this many at both ends

--- Which of 1..n are shown; 0 stands for the gap.
local function shown(n)
  local list = {}
  for i = 1, n do
    if n <= LONG or i <= EDGE or i > n - EDGE then
      list[#list + 1] = i
    elseif i == EDGE + 1 then
      list[#list + 1] = 0
    end
  end
  return list
end

local function number(v)
  if v == floor(v) and v > -1e6 and v < 1e6 then return ("%d"):format(v) end
  return ("%.4g"):format(v)
end

--- Calls f for every number that is shown.
local function each_shown(t, f)
  if type(t) == "number" then return f(t) end
  for _, i in ipairs(shown(#t)) do
    if i > 0 then each_shown(t[i], f) end
  end
end

local function lines(t, width, indent, out)
  local parts = {}
  if type(t[1]) == "number" then
    for _, i in ipairs(shown(#t)) do
      local text = i > 0 and number(t[i]) or ".."
      parts[#parts + 1] = (" "):rep(width - #text) .. text
    end
    out[#out + 1] = indent .. "{ " .. concat(parts, ", ") .. " }"
    return
  end
  out[#out + 1] = indent .. "{"
  for _, i in ipairs(shown(#t)) do
    if i > 0 then lines(t[i], width, indent .. "  ", out)
    else out[#out + 1] = indent .. "  .." end
  end
  out[#out + 1] = indent .. "}"
end

local function show(t, core)
  if not core.open(t) then return "tensor (closed)" end
  if t:dim() == 0 then return ("tensor {} %s"):format(number(t:item())) end
  local values, width, out = t:totable(), 0, {}
  each_shown(values, function(v) width = math.max(width, #number(v)) end)
  lines(values, width, "", out)
  return ("tensor {%s}\n%s"):format(concat(t.shape, ", "), concat(out, "\n"))
end

return function(mg, core)
  local methods = core.tensor_methods
  local max, min = core.ops.max, core.ops.min
  local argmax, argmin = core.ops.argmax, core.ops.argmin
  local narrow = core.ops.narrow

  core.set_tostring("tensor", function(t) return show(t, core) end)

  --- Largest number; with a dimension also its position there, from 1.
  function methods.max(t, dim, keepdim)
    if dim == nil then return max(t) end
    return max(t, dim, keepdim), argmax(t, dim, keepdim)
  end

  --- Smallest number; with a dimension also its position there, from 1.
  function methods.min(t, dim, keepdim)
    if dim == nil then return min(t) end
    return min(t, dim, keepdim), argmin(t, dim, keepdim)
  end

  mg.max, mg.min = methods.max, methods.min

  --- A list of views of n elements each along dim (1); the last may be shorter.
  function methods.split(t, n, dim)
    check.is("tensor", t, "split", "self")
    check.integer(n, "split", "n", 1)
    dim = dim or 1
    local size, list = t:size(dim), {}
    for first = 1, size, n do
      list[#list + 1] = narrow(t, dim, first, math.min(n, size - first + 1))
    end
    return list
  end

  --- A list of at most n views of equal size along dim; the last may be shorter.
  function methods.chunk(t, n, dim)
    check.is("tensor", t, "chunk", "self")
    check.integer(n, "chunk", "n", 1)
    return methods.split(t, math.ceil(t:size(dim or 1) / n), dim)
  end

  methods.view = core.ops.reshape

  --- Compares the gradients of f, a function of tensors that returns a single
  -- number, with central differences (five points). Returns the worst relative
  -- error over all inputs that require a gradient.
  -- @tparam function f
  -- @tparam table inputs  list of tensors, handed to f as arguments
  function mg.gradcheck(f, inputs)
    check.is("function", f, "gradcheck", "f")
    if core.type(inputs) == "tensor" then inputs = { inputs } end
    check.is("table", inputs, "gradcheck", "inputs")
    for i = 1, math.max(#inputs, 1) do
      check.is("tensor", inputs[i], "gradcheck", "input " .. i)
    end
    local unpack = table.unpack or unpack
    local step = core.real == "float32" and 2e-2 or 1e-3
    local worst = 0
    local wanted = {}
    for _, x in ipairs(inputs) do
      if x.requires_grad then wanted[#wanted + 1] = x end
    end
    local grads = core.grad(f(unpack(inputs)), wanted)
    local function value() return f(unpack(inputs)):item() end
    for k, x in ipairs(wanted) do
      local flat = x:detach():reshape(-1)
      local g = grads[k]:reshape(-1)
      mg.no_grad(function()
        local scale = math.max(g:abs():max():item(), 1e-3)
        for i = 1, #flat do
          local old = flat[i]
          local h = step * math.max(1, math.abs(old))
          local function at(d)
            flat[i] = old + d
            return value(), flat[i] - old
          end
          local ok, slope = pcall(function()
            local far, b = at(2 * h)
            local near, a = at(h)
            local near_, a_ = at(-h)
            local far_, b_ = at(-2 * h)
            local inner, outer = (near - near_) / (a - a_), (far - far_) / (b - b_)
            return (4 * inner - outer) / 3
          end)
          flat[i] = old
          if not ok then error(slope, 0) end
          local bound = math.max(math.abs(slope), math.abs(g[i]), 0.1 * scale)
          worst = math.max(worst, math.abs(slope - g[i]) / bound)
        end
      end)
    end
    return worst
  end
end
