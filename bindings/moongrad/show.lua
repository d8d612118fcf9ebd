--- How objects are shown: tostring of each kind, and the summary of a net.

local concat, floor = table.concat, math.floor

---------------------------------------------------------------------- tensors

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
  if v ~= v then return "nan" end
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

----------------------------------------------------------------------- layers

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

--- Numbers in the parameters that a layer has itself, and in those below it.
local function count(l)
  local own, all, trainable = 0, 0, 0
  for _, part in ipairs(l:parameters()) do
    local n = part.tensor:numel()
    all = all + n
    if not part.name:find(".", 1, true) then own = own + n end
    if part.tensor.requires_grad then trainable = trainable + n end
  end
  return own, all, trainable
end

--- Adds a line for each layer that has no layers of its own, or parameters besides.
local function add_rows(l, path, out)
  local d, own = l:describe(), count(l)
  local children = {}
  for _, part in ipairs(d.parts) do
    if part.layer then children[#children + 1] = part end
  end
  if #children == 0 or own > 0 then
    local title = d.kind .. (d.name and ' "' .. d.name .. '"' or "")
    if path ~= "" then title = path .. "  " .. title end
    out[#out + 1] = row(title, shape(d.output), thousands(own))
  end
  for _, part in ipairs(children) do
    add_rows(part.layer, path == "" and part.name or path .. "." .. part.name, out)
  end
end

return function(_, core, require)
  local check = require "moongrad.check"
  local as_text, methods = {}, {} -- methods of layers

  --- Builds a layer for examples of that size: a number or a table.
  local function build(l, size)
    local sizes, own = { 1 }, core.type(size) == nil and type(size) or ""
    for i, v in ipairs(own == "table" and size or { own == "number" and size or nil }) do
      sizes[i + 1] = v
      if type(v) ~= "number" then sizes[2] = nil break end
    end
    if not sizes[2] or #sizes > 8 then
      check.fail("summary", "size is %s, expected a number or a table of up to 7",
        check.what(size))
    end
    local ok, message = check.pcall(l.build, l, (table.unpack or unpack)(sizes))
    if not ok then check.fail("summary", "%s", tostring(message)) end
  end

  function as_text.tensor(t)
    if t:dim() == 0 then return ("tensor {} %s"):format(number(t:item())) end
    local values, width, out = t:totable(), 0, {}
    each_shown(values, function(v) width = math.max(width, #number(v)) end)
    lines(values, width, "", out)
    return ("tensor {%s}\n%s"):format(concat(t.shape, ", "), concat(out, "\n"))
  end

  --- A table of all layers: output shape and parameters; how many those are together,
  -- those that learn and those that are frozen.
  -- @param[opt] size  size of one example, a number or a table
  -- @treturn string
  function methods.summary(l, size)
    check.is("layer", l, "summary", "self")
    if size ~= nil then build(l, size) end
    local out = { row("layer", "output", "parameters"), ("-"):rep(73) }
    add_rows(l, "", out)
    out[#out + 1] = ("-"):rep(73)
    local _, all, trainable = count(l)
    out[#out + 1] = row("total", "", thousands(all))
    out[#out + 1] = row("trainable", "", thousands(trainable))
    out[#out + 1] = row("frozen", "", thousands(all - trainable))
    return concat(out, "\n")
  end

  --- A layer as one of several: its kind, and how much comes out where it learns.
  local function word(l)
    local d = l:describe()
    local size = d.output and l:num_parameters() > 0 and #d.parts > 0 and d.output[2]
    return d.kind .. (size and (" %d"):format(size) or "")
  end

  function as_text.layer(l)
    local d, words = l:describe(), {}
    for _, part in ipairs(d.parts) do words[#words + 1] = part.layer and word(part.layer) end
    if #words > 7 then
      words = { words[1], words[2], words[3], "..", words[#words - 1], words[#words] }
    end
    local title = d.kind .. (d.name and ' "' .. d.name .. '"' or "")
    if #words > 0 then title = title .. " { " .. concat(words, ", ") .. " }" end
    local n = l:num_parameters()
    if n == 0 and not d.output then return title .. " (not built yet)" end
    if n == 0 then return title end
    return ("%s (%s parameter%s)"):format(title, thousands(n), n == 1 and "" or "s")
  end

  function as_text.optimizer(o)
    return ("%s (lr %g, %d steps done)"):format(o.kind, o.lr, o.steps)
  end

  function as_text.trainer(t)
    local parts = t:parts()
    return ("trainer of %s by %s"):format(tostring(parts.net), tostring(parts.optimizer))
  end

  function as_text.dataset(d)
    local x, y = d:batch(1, 1)
    local function size(t)
      local s = t.shape
      s[1] = #d
      return "{" .. table.concat(s, ", ") .. "}"
    end
    return ("dataset (x %s, y %s)"):format(size(x), size(y))
  end

  for kind, show in pairs(as_text) do
    as_text[kind] = function(v)
      if core.type(v) ~= kind then check.is(kind, v, "tostring", "value") end
      return core.open(v) and show(v) or kind .. " (closed)"
    end
  end

  return as_text, methods
end
