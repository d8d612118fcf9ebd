--- Methods of tensors that are made of others.

local check = require "moongrad.check"

return function(mg, core)
  local methods = core.tensor_methods
  local max, min = core.ops.max, core.ops.min
  local argmax, argmin = core.ops.argmax, core.ops.argmin
  local narrow = core.ops.narrow

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
end
