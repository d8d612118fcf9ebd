--- A net as one Lua file that needs nothing: return function(x) ... end, for Lua 5.1 to
-- 5.4 and LuaJIT.

local code = require "moongrad.export_code"

-- How numbers are worked on, by kind of node: the arguments of a helper, the helpers that
-- it calls, and its body. Tensors are flat tables; x is not changed.
local library = {
  linear = { "x y w b rows ins outs", [[
  for r = 0, rows - 1 do
    local at, to = r * ins, r * outs
    for o = 1, outs do
      local sum, row = b and b[o] or 0, (o - 1) * ins
      for i = 1, ins do sum = sum + x[at + i] * w[row + i] end
      y[to + o] = sum
    end
  end]] },
  contract = { "z x y b rows ins outs", [[
  for r = 0, rows - 1 do
    for o = 1, outs do
      local sum, row = b and b[o] or 0, (r * outs + o - 1) * ins
      for i = 1, ins do sum = sum + x[r * ins + i] * z[row + i] end
      y[r * outs + o] = sum
    end
  end]] },
  conv = { "x y w b c h wd outs oh ow kh kw sh sw ph pw dh dw groups", [[
  local own, k = c / groups, kh * kw
  for o = 0, outs - 1 do
    local first = floor(o / (outs / groups)) * own
    for i = 0, oh - 1 do
      for j = 0, ow - 1 do
        local sum = b and b[o + 1] or 0
        for n = 0, own - 1 do
          for p = 0, kh - 1 do
            local row = i * sh - ph + p * dh
            if row >= 0 and row < h then
              local at, from = ((first + n) * h + row) * wd + 1, (o * own + n) * k + p * kw + 1
              for q = 0, kw - 1 do
                local column = j * sw - pw + q * dw
                if column >= 0 and column < wd then
                  sum = sum + x[at + column] * w[from + q]
                end
              end
            end
          end
        end
        y[(o * oh + i) * ow + j + 1] = sum
      end
    end
  end]] },
  conv_transpose = { "x y w b c h wd outs oh ow kh kw sh sw ph pw dh dw groups", [[
  local own, k = outs / groups, kh * kw
  for o = 0, outs - 1 do
    for i = o * oh * ow + 1, (o + 1) * oh * ow do y[i] = b and b[o + 1] or 0 end
  end
  for n = 0, c - 1 do
    local first = floor(n / (c / groups)) * own
    for i = 0, h * wd - 1 do
      local v, row, column = x[n * h * wd + i + 1], floor(i / wd) * sh - ph, i % wd * sw - pw
      for o = 0, own - 1 do
        for p = 0, k - 1 do
          local r, s = row + floor(p / kw) * dh, column + p % kw * dw
          if r >= 0 and r < oh and s >= 0 and s < ow then
            local at = ((first + o) * oh + r) * ow + s + 1
            y[at] = y[at] + v * w[(n * own + o) * k + p + 1]
          end
        end
      end
    end
  end]] },
  windows = { "x y from_h to_h from_w to_w part_h part_w greatest c h wd oh ow", [[
  for n = 0, c - 1 do
    for i = 1, oh do
      for j = 1, ow do
        local v, sum = -math.huge, 0
        for r = from_h[i], to_h[i] do
          for s = from_w[j], to_w[j] do
            local u = x[(n * h + r) * wd + s + 1]
            v, sum = max(v, u), sum + u
          end
        end
        if greatest == 0 then v = sum * part_h[i] * part_w[j] end
        y[(n * oh + i - 1) * ow + j] = v
      end
    end
  end]] },
  pick = { "x y at_h at_w c h wd oh ow", [[
  for n = 0, c - 1 do
    for i = 1, oh do
      for j = 1, ow do
        local r, s = at_h[i], at_w[j]
        y[(n * oh + i - 1) * ow + j] = r >= 0 and s >= 0 and x[(n * h + r) * wd + s + 1] or 0
      end
    end
  end]] },
  blend = { "x y at_h to_h part_h at_w to_w part_w c h wd oh ow", [[
  local function between(at, j, part)
    return x[at + at_w[j] + 1] * (1 - part) + x[at + to_w[j] + 1] * part
  end
  for n = 0, c - 1 do
    for i = 1, oh do
      local top, low, part = (n * h + at_h[i]) * wd, (n * h + to_h[i]) * wd, part_h[i]
      for j = 1, ow do
        y[(n * oh + i - 1) * ow + j] = between(top, j, part_w[j]) * (1 - part)
          + between(low, j, part_w[j]) * part
      end
    end
  end]] },
  affine = { "x y w b outer c inner", [[
  for i = 0, outer * c * inner - 1 do
    local k = floor(i / inner) % c + 1
    y[i + 1] = x[i + 1] * w[k] + (b and b[k] or 0)
  end]] },
  prelu = { "x y w outer c inner", [[
  for i = 0, outer * c * inner - 1 do
    local v = x[i + 1]
    y[i + 1] = v > 0 and v or v * w[floor(i / inner) % c + 1]
  end]] },
  normalize = { "x y rows n eps", [[
  for r = 0, rows - 1 do
    local mean, var = 0, 0
    for i = r * n + 1, r * n + n do mean = mean + x[i] / n end
    for i = r * n + 1, r * n + n do var = var + (x[i] - mean) * (x[i] - mean) / n end
    for i = r * n + 1, r * n + n do y[i] = (x[i] - mean) / (var + eps) ^ 0.5 end
  end]] },
  rms = { "x y rows n eps", [[
  for r = 0, rows - 1 do
    local square = 0
    for i = r * n + 1, r * n + n do square = square + x[i] * x[i] / n end
    for i = r * n + 1, r * n + n do y[i] = x[i] / (square + eps) ^ 0.5 end
  end]] },
  log_softmax = { "x y rows n", [[
  for r = 0, rows - 1 do
    local top, sum = -math.huge, 0
    for i = r * n + 1, r * n + n do top = max(top, x[i]) end
    for i = r * n + 1, r * n + n do sum = sum + exp(x[i] - top) end
    for i = r * n + 1, r * n + n do y[i] = x[i] - top - log(sum) end
  end]] },
  softmax = { "x y rows n", [[
  log_softmax(x, y, rows, n)
  for i = 1, rows * n do y[i] = exp(y[i]) end]], "log_softmax" },
  attention = { "x y time heads d causal", [[
  local e, fit = heads * d, {}
  for t = 0, time - 1 do
    local seen = causal == 1 and t + 1 or time
    for q = 0, e - 1, d do
      for k = 0, seen - 1 do
        local sum = 0
        for i = q + 1, q + d do sum = sum + x[3 * t * e + i] * x[(3 * k + 1) * e + i] end
        fit[k + 1] = sum / d ^ 0.5
      end
      softmax(fit, fit, 1, seen)
      for i = q + 1, q + d do
        local sum = 0
        for k = 0, seen - 1 do sum = sum + fit[k + 1] * x[(3 * k + 2) * e + i] end
        y[t * e + i] = sum
      end
    end
  end]], "softmax" },
  embedding = { "x y w n dim ids", [[
  for i = 0, ids - 1 do
    local id = x[i + 1]
    if id % 1 ~= 0 or id < 1 or id > n then error("an id is not from 1 to " .. n, 0) end
    for j = 1, dim do y[i * dim + j] = w[(id - 1) * dim + j] end
  end]] },
  place = { "x y rows width at total", [[
  for r = 0, rows - 1 do
    for i = 1, width do y[r * total + at + i] = x[r * width + i] end
  end]] },
  map = { "x y n f", [[
  for i = 1, n do y[i] = f(x[i]) end]] },
  recurrent = { "x y w_ih w_hh b_ih b_hh steps ins hidden reverse last gates cell", [[
  local z, s, h, c = {}, {}, {}, {}
  for i = 1, hidden do h[i], c[i] = 0, 0 end
  linear(x, z, w_ih, b_ih, steps, ins, gates * hidden)
  for t = 0, steps - 1 do
    local at = reverse == 1 and steps - 1 - t or t
    linear(h, s, w_hh, b_hh, 1, hidden, gates * hidden)
    cell(z, at * gates * hidden, s, h, c, hidden)
    for i = 1, hidden do y[last == 1 and i or at * hidden + i] = h[i] end
  end]], "linear" },
}

-- Functions of one number, and what one step of each recurrent cell does to its states h
-- and c: z from 'at' on and s hold what the input and h add up to for each gate.
local functions = {
  sigmoid = { "x", "  return 1 / (1 + exp(-x))" },
  tanh = { "x", [[
  local e = exp(-2 * abs(x))
  return (x < 0 and e - 1 or 1 - e) / (1 + e)]] },
  relu = { "x", "  return x > 0 and x or 0" },
  leaky_relu = { "x", "  return x > 0 and x or 0.01 * x" },
  elu = { "x", "  return x > 0 and x or exp(x) - 1" },
  selu = { "x", [[
  return 1.0507009873554805 * (x > 0 and x or 1.6732632423543773 * (exp(x) - 1))]] },
  silu = { "x", "  return x / (1 + exp(-x))" },
  softplus = { "x", "  return max(x, 0) + log(1 + exp(-abs(x)))" },
  softsign = { "x", "  return x / (1 + abs(x))" },
  hardtanh = { "x", "  return max(-1, min(x, 1))" },
  step = { "x", "  return x > 0 and 1 or 0" },
  -- erf by its series exp(-v^2) 2 / sqrt(pi) (v + 2/3 v^3 + 4/15 v^5 ..), v = x / sqrt(2)
  gelu = { "x", [[
  local v, sum = x * 0.5 ^ 0.5, 0
  if abs(v) > 4 then return x > 0 and x or 0 end
  local term, n = v, 1
  while abs(term) > 1e-12 do
    sum, n = sum + term, n + 2
    term = term * 2 * v * v / n
  end
  return 0.5 * x * (1 + 1.1283791670955126 * exp(-v * v) * sum)]] },
  rnn_tanh = { "z at s h c n", [[
  for i = 1, n do h[i] = tanh(z[at + i] + s[i]) end]], "tanh" },
  rnn_relu = { "z at s h c n", [[
  for i = 1, n do h[i] = max(z[at + i] + s[i], 0) end]] },
  gru = { "z at s h c n", [[
  for i = 1, n do
    local r, u = sigmoid(z[at + i] + s[i]), sigmoid(z[at + n + i] + s[n + i])
    local m = tanh(z[at + 2 * n + i] + r * s[2 * n + i])
    h[i] = m + u * (h[i] - m)
  end]], "sigmoid tanh" },
  lstm = { "z at s h c n", [[
  for i = 1, n do
    local function sum(gate) return z[at + gate * n + i] + s[gate * n + i] end
    c[i] = sigmoid(sum(1)) * c[i] + sigmoid(sum(0)) * tanh(sum(2))
    h[i] = sigmoid(sum(3)) * tanh(c[i])
  end]], "sigmoid tanh" },
}
for name, helper in pairs(functions) do library[name] = helper end
for name, sign in pairs { add = "+", sub = "-", mul = "*", div = "/" } do
  library[name] = { "x z y n", ("  for i = 1, n do y[i] = x[i] %s z[i] end"):format(sign) }
end

local HEAD = [[
-- A neural net: a function that takes the numbers of one example, %s, or a table of
-- several such, and returns as many results, each %s. Written by moongrad.

local abs, exp, log, floor = math.abs, math.exp, math.log, math.floor
local max, min = math.max, math.min
]]

local VALUES = [[

local inputs, outputs, last = %s, %s, %d
local v, w = {}, {} -- values, one list each; weights
for i = 1, %d do v[i] = {} end

local function weights(k, numbers)
  local list = w[k] or {}
  for _, number in ipairs(numbers()) do list[#list + 1] = number end
  w[k] = list
end
]]

-- What stands around the calls: nested tables in and out.
local AROUND = [[
local function flatten(x, shape, d, to, n)
  if d > #shape then
    if type(x) ~= "number" then error("a " .. type(x) .. " stands where a number should", 0) end
    to[n + 1] = x
    return n + 1
  end
  if type(x) ~= "table" or #x ~= shape[d] then
    error("the input is not of the net's shape, " .. table.concat(shape, " by "), 0)
  end
  for i = 1, shape[d] do n = flatten(x[i], shape, d + 1, to, n) end
  return n
end

local function nest(y, shape, d, n)
  if d > #shape then return y[n + 1], n + 1 end
  local t = {}
  for i = 1, shape[d] do t[i], n = nest(y, shape, d + 1, n) end
  return t, n
end

local function one(x)
  flatten(x, inputs, 1, v[1], 0)
  forward()
  return (nest(v[last], outputs, 1, 0))
end

return function(x)
  local depth, inner = 0, x
  while type(inner) == "table" do depth, inner = depth + 1, inner[1] end
  if depth <= #inputs then return one(x) end
  local results = {}
  for i = 1, #x do results[i] = one(x[i]) end
  return results
end
]]

local CHUNK = 2000 -- numbers in one function: Lua 5.1 and LuaJIT hold so many constants only

--- Adds a list of numbers to the text as one or more tables of them.
local function add_numbers(values, k, out)
  for first = 1, #values, CHUNK do
    local list = {}
    for i = first, math.min(first + CHUNK - 1, #values) do
      list[#list + 1] = code.number(values[i])
    end
    out[#out + 1] = ("weights(%d, function() return {\n%s } end)\n"):format(k,
      code.wrap(list, ", "))
  end
end

local function shape_text(shape) return "{" .. table.concat(shape, ", ") .. "}" end

--- The text of a graph's file, as a list of strings.
return function(graph)
  local program = code.program(graph, library, {
    value = function(id) return ("v[%d]"):format(id) end,
    weight = function(k) return ("w[%d]"):format(k) end,
    helper = function(name) return name end, none = "nil",
  })
  local inputs, outputs = shape_text(graph.input.shape), shape_text(graph.output.shape)
  local out = { HEAD:format(inputs, outputs) }
  local function add(text, ...) out[#out + 1] = text:format(...) end
  for _, name in ipairs(program.helpers) do
    add("\nlocal function %s(%s)\n%s\nend\n", name, (library[name][1]:gsub(" ", ", ")),
      library[name][2])
  end
  add(VALUES, inputs, outputs, program.output, #graph.values)
  for k, weight in ipairs(program.weights) do
    add("\n-- %s\n", weight.name or "where numbers come from")
    add_numbers(weight.values or weight.integers, k, out)
  end
  add("\nlocal function forward()\n")
  for _, step in ipairs(program.steps) do add("  %s\n", step.call) end
  add("end\n\n")
  out[#out + 1] = AROUND
  return out
end
