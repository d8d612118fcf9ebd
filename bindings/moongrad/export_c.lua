--- A net as one C header (C99 and C++) with its weights and a function that works it out:
-- no allocation, nothing of the C library but <math.h>.

local code = require "moongrad.export_code"

-- How numbers are worked on, as the library of export_lua.lua; '@' begins each name.
local library = {
  linear = { "x y w b rows ins outs", [[
  for (int r = 0; r < rows; r++, x += ins)
    for (int o = 0; o < outs; o++) {
      const float *row = w + o * ins;
      float sum = 0;
      for (int i = 0; i < ins; i++) sum += x[i] * row[i];
      *y++ = b ? sum + b[o] : sum;
    }]] },
  contract = { "z x y b rows ins outs", [[
  for (int r = 0; r < rows; r++, x += ins)
    for (int o = 0; o < outs; o++, z += ins) {
      float sum = 0;
      for (int i = 0; i < ins; i++) sum += x[i] * z[i];
      *y++ = b ? sum + b[o] : sum;
    }]] },
  conv = { "x y w b c h wd outs oh ow kh kw sh sw ph pw dh dw groups", [[
  const int own = c / groups;
  for (int o = 0; o < outs; o++, w += own * kh * kw)
    for (int i = 0; i < oh; i++)
      for (int j = 0; j < ow; j++) {
        const float *plane = x + o / (outs / groups) * own * h * wd, *k = w;
        float sum = b ? b[o] : 0;
        for (int n = 0; n < own; n++, plane += h * wd)
          for (int p = 0; p < kh; p++)
            for (int q = 0; q < kw; q++, k++) {
              const int row = i * sh - ph + p * dh, column = j * sw - pw + q * dw;
              if (row < 0 || row >= h || column < 0 || column >= wd) continue;
              sum += plane[row * wd + column] * *k;
            }
        *y++ = sum;
      }]] },
  conv_transpose = { "x y w b c h wd outs oh ow kh kw sh sw ph pw dh dw groups", [[
  const int own = outs / groups;
  for (int i = 0; i < outs * oh * ow; i++) y[i] = b ? b[i / (oh * ow)] : 0;
  for (int n = 0; n < c; n++, w += own * kh * kw)
    for (int i = 0; i < h; i++)
      for (int j = 0; j < wd; j++, x++) {
        float *plane = y + n / (c / groups) * own * oh * ow;
        const float *k = w;
        for (int o = 0; o < own; o++, plane += oh * ow)
          for (int p = 0; p < kh; p++)
            for (int q = 0; q < kw; q++, k++) {
              const int row = i * sh - ph + p * dh, column = j * sw - pw + q * dw;
              if (row < 0 || row >= oh || column < 0 || column >= ow) continue;
              plane[row * ow + column] += *x * *k;
            }
      }]] },
  windows = { "x y from_h to_h from_w to_w part_h part_w greatest c h wd oh ow", [[
  for (int n = 0; n < c; n++, x += h * wd)
    for (int i = 0; i < oh; i++)
      for (int j = 0; j < ow; j++) {
        float most = -HUGE_VALF, sum = 0;
        for (int r = from_h[i]; r <= to_h[i]; r++)
          for (int s = from_w[j]; s <= to_w[j]; s++) {
            const float v = x[r * wd + s];
            if (v > most) most = v;
            sum += v;
          }
        *y++ = greatest ? most : sum * part_h[i] * part_w[j];
      }]] },
  pick = { "x y at_h at_w c h wd oh ow", [[
  for (int n = 0; n < c; n++, x += h * wd)
    for (int i = 0; i < oh; i++)
      for (int j = 0; j < ow; j++) {
        const int r = at_h[i], s = at_w[j];
        *y++ = r < 0 || s < 0 ? 0 : x[r * wd + s];
      }]] },
  blend = { "x y at_h to_h part_h at_w to_w part_w c h wd oh ow", [[
  for (int n = 0; n < c; n++, x += h * wd)
    for (int i = 0; i < oh; i++) {
      const float *top = x + at_h[i] * wd, *low = x + to_h[i] * wd;
      for (int j = 0; j < ow; j++) {
        const int p = at_w[j], q = to_w[j];
        const float u = top[p] + (top[q] - top[p]) * part_w[j];
        *y++ = u + (low[p] + (low[q] - low[p]) * part_w[j] - u) * part_h[i];
      }
    }]] },
  affine = { "x y w b outer c inner", [[
  for (int i = 0; i < outer * c * inner; i++) {
    const int k = i / inner % c;
    y[i] = b ? x[i] * w[k] + b[k] : x[i] * w[k];
  }]] },
  prelu = { "x y w outer c inner", [[
  for (int i = 0; i < outer * c * inner; i++)
    y[i] = x[i] > 0 ? x[i] : x[i] * w[i / inner % c];]] },
  normalize = { "x y rows n eps", [[
  for (int r = 0; r < rows; r++, x += n, y += n) {
    float mean = 0, var = 0;
    for (int i = 0; i < n; i++) mean += x[i];
    mean /= (float)n;
    for (int i = 0; i < n; i++) var += (x[i] - mean) * (x[i] - mean);
    for (int i = 0; i < n; i++) y[i] = (x[i] - mean) / sqrtf(var / (float)n + eps);
  }]] },
  rms = { "x y rows n eps", [[
  for (int r = 0; r < rows; r++, x += n, y += n) {
    float square = 0;
    for (int i = 0; i < n; i++) square += x[i] * x[i];
    for (int i = 0; i < n; i++) y[i] = x[i] / sqrtf(square / (float)n + eps);
  }]] },
  log_softmax = { "x y rows n", [[
  for (int r = 0; r < rows; r++, x += n, y += n) {
    float most = x[0], sum = 0;
    for (int i = 1; i < n; i++) most = x[i] > most ? x[i] : most;
    for (int i = 0; i < n; i++) sum += expf(x[i] - most);
    for (int i = 0; i < n; i++) y[i] = x[i] - most - logf(sum);
  }]] },
  softmax = { "x y rows n", [[
  @log_softmax(x, y, rows, n);
  for (int i = 0; i < rows * n; i++) y[i] = expf(y[i]);]], "log_softmax" },
  attention = { "x y work time heads d causal", [[
  const int e = heads * d;
  for (int t = 0; t < time; t++)
    for (int p = 0; p < heads; p++) {
      const float *q = x + 3 * t * e + p * d, *k = x + e + p * d, *v = k + e;
      const int seen = causal ? t + 1 : time;
      for (int n = 0; n < seen; n++) {
        work[n] = 0;
        for (int i = 0; i < d; i++) work[n] += q[i] * k[3 * n * e + i];
        work[n] /= sqrtf((float)d);
      }
      @softmax(work, work, 1, seen);
      for (int i = 0; i < d; i++, y++) {
        *y = 0;
        for (int n = 0; n < seen; n++) *y += work[n] * v[3 * n * e + i];
      }
    }]], "softmax" },
  embedding = { "x y w n dim ids", [[
  for (int i = 0; i < ids; i++) { /* an id that there is none of is taken for the nearest */
    const int id = x[i] >= 1 ? x[i] < (float)n ? (int)x[i] : n : 1;
    for (int j = 0; j < dim; j++) *y++ = w[(id - 1) * dim + j];
  }]] },
  place = { "x y rows width at total", [[
  for (int r = 0; r < rows; r++)
    for (int i = 0; i < width; i++) y[r * total + at + i] = *x++;]] },
  map = { "x y n f", [[
  for (int i = 0; i < n; i++) y[i] = f(x[i]);]] },
  recurrent = { "x y w_ih w_hh b_ih b_hh work steps ins hidden reverse last gates cell", [[
  float *z = work, *s = z + steps * gates * hidden, *h = s + gates * hidden, *c = h + hidden;
  for (int i = 0; i < hidden; i++) h[i] = c[i] = 0;
  @linear(x, z, w_ih, b_ih, steps, ins, gates * hidden);
  for (int t = 0; t < steps; t++) {
    const int at = reverse ? steps - 1 - t : t;
    @linear(h, s, w_hh, b_hh, 1, hidden, gates * hidden);
    cell(z + at * gates * hidden, s, h, c, hidden);
    for (int i = 0; i < hidden; i++) y[last ? i : at * hidden + i] = h[i];
  }]], "linear" },
  sigmoid = { "v", "  return 1 / (1 + expf(-v));" },
  tanh = { "v", "  return tanhf(v);" },
  relu = { "v", "  return v > 0 ? v : 0;" },
  leaky_relu = { "v", "  return v > 0 ? v : 0.01f * v;" },
  elu = { "v", "  return v > 0 ? v : expm1f(v);" },
  selu = { "v", "  return 1.05070099f * (v > 0 ? v : 1.67326324f * expm1f(v));" },
  silu = { "v", "  return v / (1 + expf(-v));" },
  softplus = { "v", "  return (v > 0 ? v : 0) + log1pf(expf(-fabsf(v)));" },
  softsign = { "v", "  return v / (1 + fabsf(v));" },
  hardtanh = { "v", "  return v < -1 ? -1 : v > 1 ? 1 : v;" },
  step = { "v", "  return v > 0 ? 1 : 0;" },
  gelu = { "v", "  return 0.5f * v * (1 + erff(v * 0.707106781f));" },
  rnn_tanh = { "gate s h c n", [[
  (void)c;
  for (int i = 0; i < n; i++) h[i] = tanhf(gate[i] + s[i]);]] },
  rnn_relu = { "gate s h c n", [[
  (void)c;
  for (int i = 0; i < n; i++) h[i] = gate[i] + s[i] > 0 ? gate[i] + s[i] : 0;]] },
  gru = { "gate s h c n", [[
  (void)c;
  for (int i = 0; i < n; i++) {
    const float r = @sigmoid(gate[i] + s[i]), u = @sigmoid(gate[n + i] + s[n + i]);
    const float m = tanhf(gate[2 * n + i] + r * s[2 * n + i]);
    h[i] = m + u * (h[i] - m);
  }]], "sigmoid" },
  lstm = { "gate s h c n", [[
  for (int i = 0; i < n; i++) {
    c[i] = @sigmoid(gate[n + i] + s[n + i]) * c[i] +
           @sigmoid(gate[i] + s[i]) * tanhf(gate[2 * n + i] + s[2 * n + i]);
    h[i] = @sigmoid(gate[3 * n + i] + s[3 * n + i]) * tanhf(c[i]);
  }]], "sigmoid" },
}

for name, sign in pairs { add = "+", sub = "-", mul = "*", div = "/" } do
  library[name] = { "x z y n", ("  for (int i = 0; i < n; i++) y[i] = x[i] %s z[i];"):format(sign) }
end

-- Arguments that are no whole numbers.
local declarations = { y = "float *y", work = "float *work", eps = "float eps", v = "float v",
  h = "float *h", c = "float *c",
  f = "float (*f)(float)",
  cell = "void (*cell)(const float *, const float *, float *, float *, int)" }
for type, names in pairs { float = "x z w b w_ih w_hh b_ih b_hh gate s part_h part_w",
                           int = "at_h to_h from_h at_w to_w from_w" } do
  for name in names:gmatch "%S+" do declarations[name] = ("const %s *%s"):format(type, name) end
end

local function declare(name, params)
  local list, cell = {}, params:find "^gate"
  for param in params:gmatch "%S+" do
    local pointer = declarations[param]
    if (param == "h" or param == "c") and not cell then pointer = nil end -- sizes there
    list[#list + 1] = pointer or "int " .. param
  end
  return ("static inline %s @%s(%s)"):format(params == "v" and "float" or "void", name,
    table.concat(list, ", "))
end

local HEAD = [[
/*
** A neural net, written by moongrad. From one example, $inputs, in row-major order
** @forward works out $outputs:
**
**   float x[$NAME_INPUTS], y[$NAME_OUTPUTS], scratch[$NAME_SCRATCH];
**   @forward(x, y, scratch);
**
** x, y and scratch must not overlap. Threads may share the weights, not the scratch.
*/
#ifndef $NAME_H
#define $NAME_H

#include <math.h>

#define $NAME_INPUTS $n
#define $NAME_OUTPUTS $m
#define $NAME_SCRATCH $scratch
]]

--- Gives the buffers of a program places in one block, so that those needed at one time
-- do not overlap. Returns the places by buffer, those of scratch by step, and its length.
local function lay_out(program, sizes)
  local last, places, scratch, living, length = {}, {}, {}, {}, 1
  for i, step in ipairs(program.steps) do
    for _, id in ipairs(step.reads) do last[id] = i end
    last[step.writes] = i
  end
  local function put(size, till)
    local at, k = 0, 1
    while living[k] and living[k].at - at < size do
      at, k = living[k].at + living[k].size, k + 1
    end
    table.insert(living, k, { at = at, size = size, till = till })
    length = math.max(length, at + size)
    return at
  end
  for i, step in ipairs(program.steps) do
    for k = #living, 1, -1 do
      if living[k].till < i then table.remove(living, k) end
    end
    local id = step.writes
    if not places[id] and id ~= program.output then places[id] = put(sizes[id], last[id]) end
    if step.scratch then scratch[i] = put(step.scratch, i) end
  end
  return places, scratch, length
end

local function show_weights(program, name)
  local out = {}
  for k, w in ipairs(program.weights) do
    local list = {}
    for i, v in ipairs(w.values or w.integers) do
      local text = code.number(v)
      if w.values then text = text .. (text:find "[.e]" and "f" or ".0f") end
      list[i] = text
    end
    out[k] = ("\nstatic const %s %sw%d[%d] = { /* %s */\n%s\n};\n"):format(
      w.values and "float" or "int", name, k, #list,
      (w.name or "where numbers come from"):gsub("%*/", "* /"), code.wrap(list, ", "))
  end
  return table.concat(out)
end

--- The name that all in the header begins with: as given, or the file's.
local function name_of(graph, path, given)
  if given and not given:find "^[%a_][%w_]*$" then
    graph:fail("cannot have the name %q in C", given)
  end
  local name = given or path:match("([^/\\]*)$"):gsub("%.%w+$", ""):gsub("[^%w_]", "_")
  return name:find "^[%a_]" and name or "net_" .. name
end

--- The text of a graph's header, as a list of strings.
return function(graph, path, options)
  local name = name_of(graph, path, options.name)
  local prefix, sizes = name .. "_", {}
  for id, v in ipairs(graph.values) do sizes[id] = v.size end
  local program = code.program(graph, library, {
    value = function(id) return ("$%d$"):format(id) end, scratch = "$work$",
    weight = function(k) return ("%sw%d"):format(prefix, k) end,
    helper = function(helper) return prefix .. helper end, none = "0",
  })
  local places, scratch, length = lay_out(program, sizes)
  local function shape(v)
    return #v.shape > 0 and "{" .. table.concat(v.shape, ", ") .. "}" or "a number"
  end
  local words = { NAME = name:upper(), inputs = shape(graph.input), n = graph.input.size,
                  outputs = shape(graph.output), m = graph.output.size, scratch = length }
  local out = { (HEAD:gsub("@", prefix):gsub("%$(%l+)", words):gsub("%$NAME", words.NAME)) }
  local function add(text) out[#out + 1] = text end
  for _, helper in ipairs(program.helpers) do
    local text = declare(helper, library[helper][1]) .. " {\n" .. library[helper][2] .. "\n}\n"
    add("\n" .. text:gsub("@", prefix))
  end
  add(show_weights(program, prefix))
  add(("\nstatic inline void %sforward(const float *x, float *y, float *scratch) {\n"
    .. "  (void)scratch;\n"):format(prefix))
  local function buffer(id)
    if id == program.output and id ~= program.input then return "y" end
    return id == program.input and "x" or ("scratch + %d"):format(places[id])
  end
  for i, step in ipairs(program.steps) do
    local call = step.call:gsub("%$(%d+)%$", function(id) return buffer(tonumber(id)) end)
    add(("  %s;\n"):format(call:gsub("%$work%$", ("scratch + %d"):format(scratch[i] or 0))))
  end
  if program.output == program.input then
    add(("  for (int i = 0; i < %d; i++) y[i] = x[i];\n"):format(graph.output.size))
  end
  add "}\n\n#endif\n"
  return out
end
