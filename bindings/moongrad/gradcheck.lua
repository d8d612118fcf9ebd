--- Gradients compared with differences.

return function(mg, core, require)
  local check, functions = require "moongrad.check", {}

  --- The numbers of t in one row, and a function that changes one of them in t: a
  -- strided tensor has a row of its own only as a copy.
  local function flat_view(t)
    local flat = t:reshape(-1)
    local old = flat[1]
    local function unchanged() return t:reshape(-1)[1] == old and old + 1 ~= old end
    flat[1] = old + 1
    local apart = unchanged()
    flat[1] = old
    return flat, function(i, v)
      flat[i] = v
      if apart then t:copy(flat:reshape(t.shape)) end
    end
  end

  --- Compares the gradients of f, a function of tensors that returns a single
  -- number, with central differences (five points). Returns the worst relative
  -- error over all inputs that require a gradient; where none does, over all.
  -- @tparam function f
  -- @tparam table inputs  list of tensors, handed to f as arguments
  function functions.gradcheck(f, inputs)
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
    if #wanted == 0 then -- copies that do, for f's arguments
      for i, x in ipairs(inputs) do wanted[i] = mg.tensor(x, { requires_grad = true }) end
      inputs = wanted
    end
    local function result()
      return check.is("tensor", f(unpack(inputs)), "gradcheck", "the result of f")
    end
    local grads = core.grad(result(), wanted)
    local function value() return result():item() end
    local function compare(x, g)
      local flat, put = flat_view(x)
      local scale = math.max(g:abs():max():item(), 1e-3)
      for i = 1, #flat do
        local old = flat[i]
        local h = step * math.max(1, math.abs(old))
        local function at(d)
          put(i, old + d)
          return value(), flat[i] - old
        end
        local far, b = at(2 * h)
        local near, a = at(h)
        local near_, a_ = at(-h)
        local far_, b_ = at(-2 * h)
        put(i, old)
        local inner, outer = (near - near_) / (a - a_), (far - far_) / (b - b_)
        local slope = (4 * inner - outer) / 3
        local bound = math.max(math.abs(slope), math.abs(g[i]), 0.1 * scale)
        worst = math.max(worst, math.abs(slope - g[i]) / bound)
      end
    end
    for k, x in ipairs(wanted) do
      local numbers = x:detach()
      local before = numbers:clone()
      local ok, message = pcall(mg.no_grad, compare, numbers, grads[k]:reshape(-1))
      if not ok then
        pcall(numbers.copy, numbers, before) -- a loop that fails has changed one of them
        error(message, 0)
      end
    end
    return worst
  end

  return functions
end
