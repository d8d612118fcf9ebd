-- Shared by the specs. Numbers are compared with a tolerance, errors by text.
local mg = require "moongrad"

local helper = {}

local unpack = table.unpack or unpack

-- A tensor as a number or as nested tables; anything else as it is.
local function plain(v)
  if type(v) ~= "userdata" then return v end
  if v:dim() == 0 then return v:item() end
  return v:totable()
end
helper.plain = plain

-- The first difference between two nested tables of numbers, or nil.
local function difference(expected, actual, tolerance, where)
  if type(expected) == "table" then
    if type(actual) ~= "table" then
      return ("%s: expected a table of %d, got %s"):format(where, #expected, tostring(actual))
    end
    if #expected ~= #actual then
      return ("%s: expected %d entries, got %d"):format(where, #expected, #actual)
    end
    for i = 1, #expected do
      local found = difference(expected[i], actual[i], tolerance, where .. "[" .. i .. "]")
      if found then return found end
    end
    return nil
  end
  if type(actual) ~= "number" then
    return ("%s: expected %s, got a %s"):format(where, tostring(expected), type(actual))
  end
  if expected == actual then return nil end -- infinities too
  if expected ~= expected and actual ~= actual then return nil end -- NaN
  local far = math.abs(actual - expected) > tolerance * math.max(1, math.abs(expected))
  if far or actual ~= actual then
    return ("%s: expected %.9g, got %.9g"):format(where, expected, actual)
  end
end

-- Calls f when the collector next works.
function helper.on_collection(f)
  if newproxy then getmetatable(newproxy(true)).__gc = f else setmetatable({}, { __gc = f }) end
end

-- Fails unless 'actual' (number, nested tables, tensor) is 'expected' within
-- 'tolerance' (default 1e-5), absolute up to 1 and relative above.
function helper.near(expected, actual, tolerance)
  local found = difference(plain(expected), plain(actual), tolerance or 1e-5, "value")
  if found then error(found, 2) end
end

-- Calls f(...) and fails unless it raises an error whose text matches 'pattern'.
function helper.fails(pattern, f, ...)
  local ok, err = pcall(f, ...)
  if ok then error(("expected an error matching %q, got none"):format(pattern), 2) end
  if not tostring(err):find(pattern) then
    error(("expected an error matching %q, got: %s"):format(pattern, tostring(err)), 2)
  end
end

-- Calls f(...) and fails unless it returns nil and a text matching 'pattern'.
function helper.refuses(pattern, f, ...)
  local value, message = f(...)
  if value ~= nil then error("expected nil and a message, got a " .. type(value), 2) end
  if type(message) ~= "string" or not message:find(pattern) then
    error(("expected a message matching %q, got: %s"):format(pattern, tostring(message)), 2)
  end
end

-- A pattern that matches 'text' literally.
function helper.text(text)
  return (text:gsub("[%^%$%(%)%%%.%[%]%*%+%-%?]", "%%%0"))
end

-- Several results as one list, whether they came as a list or one by one.
function helper.list(...)
  if type((...)) == "table" then return (...) end
  return { ... }
end

-- All parameters of a layer as {name = nested tables}.
function helper.weights(layer)
  local values = {}
  for _, p in ipairs(layer:parameters()) do values[p.name] = plain(p.tensor) end
  return values
end

-- The names of a layer's parameters, in order.
function helper.names(layer)
  local names = {}
  for i, p in ipairs(layer:parameters()) do names[i] = p.name end
  return names
end

-- Writes {name = nested tables} into a layer's parameters and buffers; returns the layer.
function helper.set(layer, values)
  local left = {}
  for name in pairs(values) do left[name] = true end
  for _, p in ipairs(layer:parameters(true)) do
    if left[p.name] then
      left[p.name] = nil
      mg.no_grad(function() p.tensor:copy(mg.tensor(values[p.name])) end)
    end
  end
  local name = next(left)
  if name then
    error("no parameter " .. name .. " in: " .. table.concat(helper.names(layer), ", "), 2)
  end
  return layer
end

-- A dense layer with given weights {out, in}, and biases {out} or none.
function helper.dense(weight, bias, act)
  local layer = mg.dense(#weight, { inputs = #weight[1], bias = bias ~= nil, act = act })
  return helper.set(layer, { weight = weight, bias = bias })
end

-- A leaf that collects its gradient.
function helper.leaf(v)
  return mg.tensor(v, { requires_grad = true })
end

-- Makes temporary files with given bytes; 'remove' deletes them all.
local files = {}
function helper.file(bytes)
  local path = os.tmpname()
  files[#files + 1] = path
  local f = assert(io.open(path, "wb"))
  f:write(bytes)
  f:close()
  return path
end

--- All bytes of a file.
function helper.read(path)
  local f = assert(io.open(path, "rb"))
  local bytes = f:read "*a"
  f:close()
  return bytes
end

function helper.remove_files()
  for i = #files, 1, -1 do
    os.remove(files[i])
    files[i] = nil
  end
end

-- Sets the collector's pause and returns what it was; 5.5 has another name for it.
function helper.pause(v)
  local ok, before = pcall(collectgarbage, "setpause", v)
  return ok and before or collectgarbage("param", "pause", v)
end

-- Runs Lua code in a fresh interpreter of the same kind; returns what it wrote.
function helper.script(code)
  local lua = jit and "luajit" or "lua" .. _VERSION:match("%d%.%d")
  local path = helper.file(("package.path = %q\npackage.cpath = %q\n%s\n"):format(
    package.path, package.cpath, code))
  local pipe = assert(io.popen(lua .. " " .. path .. " 2>&1", "r"))
  local output = pipe:read("*a")
  pipe:close()
  os.remove(path)
  return output
end

helper.unpack = unpack

return helper
