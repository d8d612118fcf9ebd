--- Zip archives held in strings: stored and deflated entries of less than 2 GB, each with its
-- sum (PKWARE's APPNOTE, 4.3). Sizes in 64 bits (zip64) are read; none are written.

local byte, char, floor = string.byte, string.char, math.floor

local LOCAL, CENTRAL, END = "PK\3\4", "PK\1\2", "PK\5\6"
local END64, WHERE64, EXTRA64 = "PK\6\6", "PK\6\7", 1
local FULL = 2 ^ 32 - 1 -- in place of a number that is given in 64 bits elsewhere
local STORED, DEFLATED = 0, 8
local MOST = 2 ^ 31 - 1 -- bytes of one entry
local RATIO = 1040      -- deflate packs at most about 1032 to 1: more is a lie

--- The little-endian number of n bytes at a place in a string, 2^53 where it is above that.
local function number(s, at, n)
  local v = 0
  for k = n - 1, 0, -1 do
    if v >= 2 ^ 45 then return 2 ^ 53 end
    v = v * 256 + byte(s, at + k)
  end
  return v
end

local function bytes(v, n)
  local list = {}
  for k = 1, n do list[k], v = char(v % 256), floor(v / 256) end
  return table.concat(list)
end

--- Where the record at the end of an archive is: the last one that is followed by
-- exactly its comment.
local function find_end(s)
  for at = #s - 21, math.max(1, #s - 21 - 65535), -1 do
    if s:sub(at, at + 3) == END and at + 21 + number(s, at + 20, 2) == #s then return at end
  end
end

--- Where the list of entries begins and ends, and how many it has; nil where it is damaged.
local function list_of(s, last)
  local at = last - 20 -- says where the record in 64 bits is, if there is one
  if at < 1 or s:sub(at, at + 3) ~= WHERE64 then
    return number(s, last + 16, 4) + 1, last, number(s, last + 10, 2)
  end
  local whole = number(s, at + 8, 8) + 1
  if whole + 56 > at or s:sub(whole, whole + 3) ~= END64 then return nil end
  return number(s, whole + 48, 8) + 1, whole, number(s, whole + 32, 8)
end

--- Puts the numbers in 64 bits, which lie in the extra field from 'at' to 'last', in place of
-- those of an entry that are full. True where all are there.
local function widen(s, e, at, last)
  local id, wanted = nil, { "size", "packed", "at" }
  while id ~= EXTRA64 and at + 3 <= last do
    local size = number(s, at + 2, 2)
    id, at = number(s, at, 2), at + 4
    if id ~= EXTRA64 then at = at + size else last = math.min(last, at + size - 1) end
  end
  for _, name in ipairs(wanted) do
    if e[name] == FULL then
      if id ~= EXTRA64 or at + 7 > last then return false end
      e[name], at = number(s, at, 8), at + 8
    end
  end
  e.at = e.at + 1
  return true
end

--- An entry of the list at the end, and where the next one is; nil where it is damaged.
local function entry(s, at, last)
  if at + 45 > last or s:sub(at, at + 3) ~= CENTRAL then return nil end
  local extra = at + 46 + number(s, at + 28, 2)
  local comment = extra + number(s, at + 30, 2)
  local next_at = comment + number(s, at + 32, 2)
  if next_at > last + 1 then return nil end
  local e = { flags = number(s, at + 8, 2), method = number(s, at + 10, 2),
              crc = number(s, at + 16, 4), packed = number(s, at + 20, 4),
              size = number(s, at + 24, 4), at = number(s, at + 42, 4),
              name = s:sub(at + 46, extra - 1) }
  return widen(s, e, extra, comment - 1) and e or nil, next_at
end

--- Where the bytes of an entry begin, or nil.
local function start(s, e)
  if e.at + 29 > #s or s:sub(e.at, e.at + 3) ~= LOCAL then return nil end
  local first = e.at + 30 + number(s, e.at + 26, 2) + number(s, e.at + 28, 2)
  if s:sub(e.at + 30, e.at + 29 + #e.name) ~= e.name then return nil end
  return first + e.packed - 1 <= #s and first or nil
end

local function unpack_entry(core, s, e)
  local first = start(s, e)
  if e.flags % 2 == 1 then return nil, "it is encrypted" end
  if e.method ~= STORED and e.method ~= DEFLATED then
    return nil, ("it is packed by method %d, expected 0 or 8"):format(e.method)
  end
  if e.packed > MOST or e.size > MOST then return nil, "it is larger than 2 GB" end
  local plausible = e.method == STORED and e.size == e.packed
                    or e.method == DEFLATED and e.size / RATIO <= e.packed
  if not first or not plausible then return nil, "it is damaged" end
  local ahead = e.method == DEFLATED and 8 or 0 -- inflate reads on where data end
  local data = s:sub(first, first + e.packed - 1 + ahead)
  if e.method == DEFLATED then data = core.inflate(data, e.size) end
  if not data or core.crc32(0, data) ~= e.crc then return nil, "it is damaged" end
  return data
end

return function(core)
  local zip = {}

  --- All entries in their order.
  -- @treturn table  of {name=, data=}; or nil and what is wrong
  function zip.read(s)
    local last = #s >= 22 and find_end(s)
    if not last then return nil, "not a zip file, or one cut short" end
    local at, stop, n = list_of(s, last)
    if not at then return nil, "the zip file's list of entries is damaged" end
    local list, total = {}, 0
    for k = 1, n do
      local e, after = entry(s, at, stop - 1)
      if not e then return nil, "the zip file's list of entries is damaged" end
      total = total + e.packed
      if total > #s then return nil, "the zip file's entries overlap" end
      local data, wrong = unpack_entry(core, s, e)
      if not data then return nil, ("entry %d of the zip file: %s"):format(k, wrong) end
      list[k], at = { name = e.name, data = data }, after
    end
    if at ~= stop then return nil, "the zip file's list of entries is damaged" end
    return list
  end

  --- The strings that make up an archive of stored entries {name=, data=}.
  function zip.write(list)
    local out, central, at = {}, {}, 0
    for _, e in ipairs(list) do
      -- version 2.0; no flags; stored; 1 January 1980; sum, sizes and lengths
      local head = bytes(20, 2) .. bytes(0, 2) .. bytes(STORED, 2) .. bytes(0, 2) ..
        bytes(33, 2) .. bytes(core.crc32(0, e.data), 4) .. bytes(#e.data, 4):rep(2) ..
        bytes(#e.name, 2) .. bytes(0, 2)
      out[#out + 1] = LOCAL .. head .. e.name
      out[#out + 1] = e.data
      central[#central + 1] = CENTRAL .. bytes(20, 2) .. head .. bytes(0, 10) ..
        bytes(at, 4) .. e.name
      at = at + 30 + #e.name + #e.data
    end
    local index = table.concat(central)
    out[#out + 1] = index
    out[#out + 1] = END .. bytes(0, 4) .. bytes(#list, 2):rep(2) .. bytes(#index, 4) ..
      bytes(at, 4) .. bytes(0, 2)
    return out
  end

  return zip
end
