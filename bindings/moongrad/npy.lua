--- NumPy's files: .npy holds one array, .npz a zip archive of such by name.
--
-- The format is described in numpy.lib.format: a magic word, a version, the length of a
-- header, and that as a Python dictionary of three entries.

local MAGIC = "\147NUMPY"
local MOST_HEADER = 65536 -- bytes; the dictionary is some eighty
local ZIP, MOST_BYTES = "PK", 2 ^ 32 - 2 ^ 24

local types = { f2 = "f16", f4 = "f32", f8 = "f64", i1 = "i8", i2 = "i16", i4 = "i32", i8 = "i64",
                u1 = "u8", u2 = "u16", u4 = "u32", u8 = "u64", b1 = "bool" }

--- The entries of the dictionary as text, or nil where it is none.
local function dictionary(text)
  local entries = {}
  local rest = text:match("^%s*{(.*)}%s*$")
  while rest and rest:find("%S") do
    local key, value, after = rest:match("^%s*'([%w_]+)'%s*:%s*('[^']*')%s*(.*)$")
    if not key then key, value, after = rest:match("^%s*'([%w_]+)'%s*:%s*(%b())%s*(.*)$") end
    if not key then key, value, after = rest:match("^%s*'([%w_]+)'%s*:%s*(%a+)%s*(.*)$") end
    if not key or entries[key] then return nil end
    entries[key] = value
    rest = after == "" and "" or after:match("^,(.*)$")
  end
  return rest and entries
end

--- "(2, 3)" as {2, 3}; nil and what is wrong.
local function shape_of(text)
  local inner, shape = text:match("^%((.*)%)$"), {}
  if not inner or inner:find("[^%d,%sL]") then return nil, "its shape cannot be read" end
  for word in inner:gmatch("[^,]+") do
    local digits = word:match("^%s*(%d+)L?%s*$")
    if digits then
      shape[#shape + 1] = tonumber(digits)
      if shape[#shape] < 1 then return nil, "it holds no numbers" end
    elseif word:find("%S") then
      return nil, "its shape cannot be read"
    end
  end
  if #shape > 8 then return nil, ("it has %d dimensions, expected at most 8"):format(#shape) end
  return shape
end

--- Header and first byte of the data of a file, {descr=, fortran_order=, shape=}; nil and
-- what is wrong.
local function header(s)
  if s:sub(1, 6) ~= MAGIC then return nil, "not a NumPy file" end
  if #s < 12 then return nil, "cut short in its header" end
  local major, length = s:byte(7), s:byte(9) + s:byte(10) * 256
  if major < 1 or major > 3 then
    return nil, ("version %d of the NumPy format, expected 1 to 3"):format(major)
  end
  if major > 1 then length = length + s:byte(11) * 65536 + s:byte(12) * 2 ^ 24 end
  local first = major == 1 and 11 or 13
  if length > MOST_HEADER then return nil, "its header is longer than 65536 bytes" end
  if first + length - 1 > #s then return nil, "cut short in its header" end
  local entries = dictionary(s:sub(first, first + length - 1))
  if not entries or not entries.descr or not entries.fortran_order or not entries.shape then
    return nil, "its header cannot be read"
  end
  return entries, first + length
end

return function(mg, core, require)
  local check, files = require "moongrad.check", require "moongrad.files"
  local zip = require "moongrad.zip"(core)
  local npy = {}

  --- The bytes of a file as a tensor; nil and what is wrong.
  local function decode(s)
    local entries, first = header(s)
    if not entries then return nil, first end
    local order, code = entries.descr:match("^'([<>|])(%w+)'$")
    local kind = types[code]
    if not kind then
      return nil, ("its numbers are of type %s, expected one of f2 f4 f8 i1 i2 i4 i8 u1 u2 u4"
        .. " u8 b1"):format(entries.descr:gsub("[^ -~]", "?"):sub(1, 40))
    end
    local fortran = entries.fortran_order == "True"
    if not fortran and entries.fortran_order ~= "False" then
      return nil, "its header cannot be read"
    end
    local shape, wrong = shape_of(entries.shape)
    if not shape then return nil, wrong end
    local size, expected = tonumber(code:match("%d")), tonumber(code:match("%d"))
    for _, n in ipairs(shape) do expected = expected * n end
    if expected ~= #s - first + 1 then
      return nil, ("%.0f bytes of data, expected %.0f for its shape"):format(#s - first + 1,
        expected)
    end
    local data = s:sub(first)
    if order == ">" and size > 1 then data = data:gsub(("."):rep(size), string.reverse) end
    if not fortran or #shape < 2 then return mg.from_string(data, shape, kind) end
    local reversed, back = {}, {}
    for i, n in ipairs(shape) do
      reversed[#shape + 1 - i], back[i] = n, #shape + 1 - i
    end
    return mg.from_string(data, reversed, kind):permute(back):contiguous()
  end

  local function encode(t)
    local shape = table.concat(t.shape, ", ")
    if t:dim() == 1 then shape = shape .. "," end
    local text = ("{'descr': '<f4', 'fortran_order': False, 'shape': (%s), }"):format(shape)
    text = text .. (" "):rep(63 - (#text + 10) % 64) .. "\n" -- data begin at a multiple of 64
    local length = string.char(#text % 256, math.floor(#text / 256))
    return MAGIC .. "\1\0" .. length .. text .. t:to_string("f32")
  end

  local function decode_all(s)
    local list, wrong = zip.read(s)
    if not list then return nil, wrong end
    local tensors = {}
    for _, e in ipairs(list) do
      local name = e.name:match("^(.*)%.npy$") or e.name
      if tensors[name] then return nil, ("two arrays are named %q"):format(name) end
      local t, why = decode(e.data)
      if not t then return nil, ("array %q: %s"):format(name, why) end
      tensors[name] = t
    end
    return tensors
  end

  --- {name = tensor} as entries of an archive, by name.
  local function entries(tensors, who)
    local names, list, total = {}, {}, 0
    for name, t in pairs(tensors) do
      if type(name) ~= "string" or name == "" or #name > 1024 then
        check.fail(who, "a key is %s, expected the name of an array",
          type(name) == "string" and "a string of " .. #name .. " bytes" or check.what(name))
      end
      check.is("tensor", t, who, '"' .. name .. '"')
      names[#names + 1] = name
      total = total + 4 * t:numel() + 4096
    end
    if #names > 65535 or total > MOST_BYTES then
      check.fail(who, "the arrays take more than 4 GB or are more than 65535")
    end
    table.sort(names)
    for i, name in ipairs(names) do
      list[i] = { name = name .. ".npy", data = encode(tensors[name]) }
    end
    return list
  end

  local function pack(value, who)
    if type(value) == "table" and not core.type(value) then
      return zip.write(entries(value, who))
    end
    return { encode(check.is("tensor", value, who, "value")) }
  end

  --- What NumPy has saved, from a string: integers, truth values and real numbers of 16 to
  -- 64 bits in either byte order, by rows or by columns.
  -- @return a tensor (.npy), or a table of them by name (.npz, stored or deflated); nil and
  --   a message where the bytes are neither
  function npy.undump(bytes)
    check.is("string", bytes, "npy.undump", "bytes")
    if bytes:sub(1, 2) == ZIP then return decode_all(bytes) end
    return decode(bytes)
  end

  --- The same from a file.
  -- @return as undump; nil, a message and a code where the file is missing or damaged
  function npy.read(path)
    check.is("string", path, "npy.read", "path")
    return files.read(path, function(read, size)
      local value, wrong = npy.undump(read(size))
      if value == nil then files.fail(wrong) end
      return value
    end)
  end

  --- The bytes of a .npy file of one tensor, or of a .npz file (not packed) of tensors by
  -- name, in float32.
  function npy.dump(value) return table.concat(pack(value, "npy.dump")) end

  --- Writes such a file, in the place of what was there.
  -- @treturn boolean  true; or nil, a message and a code where the file cannot be written
  function npy.write(path, value)
    check.is("string", path, "npy.write", "path")
    local list = pack(value, "npy.write")
    return files.write(path, function(write)
      for _, bytes in ipairs(list) do write(bytes) end
    end)
  end

  return npy
end
