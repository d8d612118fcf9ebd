--- Methods of tensors that are made of others.

local check = require "moongrad.check"

return function(mg, core)
  local methods = core.tensor_methods
  local max, min = core.ops.max, core.ops.min
  local argmax, argmin = core.ops.argmax, core.ops.argmin
  local narrow = core.ops.narrow

  --- The same of options by name.
  local function both(extreme, position, t, options)
    local y = extreme(t, options)
    if options.dim ~= nil then return y, position(t, options) end
    return y
  end

  --- Largest number; with a dimension also its position there, from 1.
  function methods.max(t, dim, keepdim)
    if dim == nil then return max(t) end
    if type(dim) == "table" then return both(max, argmax, t, dim) end
    return max(t, dim, keepdim), argmax(t, dim, keepdim)
  end

  --- Smallest number; with a dimension also its position there, from 1.
  function methods.min(t, dim, keepdim)
    if dim == nil then return min(t) end
    if type(dim) == "table" then return both(min, argmin, t, dim) end
    return min(t, dim, keepdim), argmin(t, dim, keepdim)
  end

  mg.max, mg.min = methods.max, methods.min

  --- How long dim (1) is.
  local function length(t, dim, who)
    local n = t.shape
    if dim == nil then dim = 1 end
    if type(dim) ~= "number" or not n[dim < 0 and dim + #n + 1 or dim] then
      check.fail(who, "dimension is %s, the tensor has %d", check.text(dim), #n)
    end
    return n[dim < 0 and dim + #n + 1 or dim]
  end

  --- A list of views of n elements each along dim (1); the last may be shorter.
  function methods.split(t, n, dim)
    check.is("tensor", t, "split", "self")
    check.integer(n, "split", "n", 1)
    local size, list = length(t, dim, "split"), {}
    dim = dim or 1
    for first = 1, size, n do
      list[#list + 1] = narrow(t, dim, first, math.min(n, size - first + 1))
    end
    return list
  end

  --- A list of at most n views of equal size along dim; the last may be shorter.
  function methods.chunk(t, n, dim)
    check.is("tensor", t, "chunk", "self")
    check.integer(n, "chunk", "n", 1)
    return methods.split(t, math.ceil(length(t, dim, "chunk") / n), dim)
  end

  methods.view = core.ops.reshape
end
