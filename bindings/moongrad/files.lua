--- Files: read whole, and replaced so that there is always either the old one or the
-- new one. Behind all of it is a table of functions that a host may supply:
--
--   open(path, "r") -> handle          open(path, "w", target) -> handle, of a new file
--   size(handle) -> bytes              that is to replace target
--   read(handle, n) -> string, at most n bytes, "" at the end
--   write(handle, bytes) -> true, or how many of them are written
--   close(handle) -> true              rename(from, to) -> true, replacing 'to'
--   remove(path) -> true
--   sync(handle), sync_folder(path), resolve(path) -> path   where there is such a thing
--
-- Each returns nil, a message and a code when it fails. The default is moongrad.system's.

local require = require -- a host may take the global one away later
local check = require "moongrad.check"

local PIECE = 65536 -- bytes at a time

local files, host = {}, nil
local needed = { "open", "size", "read", "write", "close", "rename", "remove" }
local optional = { sync = true, sync_folder = true, resolve = true }

--- The functions in use; moongrad.system is a module that a host may leave out.
local function functions()
  if host then return host end
  local system = check.module(require, "moongrad.system")
  if not system then
    error("files: this host has no moongrad.system; it gives functions to mg.set_files", 0)
  end
  host = system.files
  return host
end

--- Lets all files be read and written by other functions, those of a game's save folder,
-- say; see the top of files.lua for what they do. nil: moongrad.system's again.
-- @treturn table  those that were in use, or nil where there were none yet
function files.set_files(t)
  local before = host
  if t == nil then host = nil return before end
  local own = {}
  check.is("table", t, "set_files", "functions")
  for _, name in ipairs(needed) do
    own[name] = check.is("function", t[name], "set_files", name)
  end
  for name in pairs(optional) do
    own[name] = check.optional("function", t[name], "set_files", name)
  end
  host = own
  return before
end

--------------------------------------------------------------------- failures

-- What was not the caller's mistake travels as one of these up to 'guard'.
local failure = {}
failure.__index = failure

--- Ends the reading or writing under way: the call returns nil and this.
function files.fail(message, code)
  error(setmetatable({ message = message, code = code }, failure), 0)
end

--- The first result, or a failure where there is none.
local function must(value, message, code, ...)
  if value == nil or value == false then
    files.fail(type(message) == "string" and message or "it failed", code)
  end
  return value, message, code, ...
end

local unpack = table.unpack or unpack

--- What f returns; or nil, a message about 'path' and a code. 'last' runs in any case.
local function guard(path, f, last)
  local results = { pcall(f) }
  if last then pcall(last, results[1]) end
  if results[1] then return unpack(results, 2) end
  local err = results[2]
  if getmetatable(err) ~= failure then error(err, 0) end
  local message = err.message:gsub("[%z\1-\31]", "?") -- it may quote what is in the file
  return nil, path and ("%s: %s"):format(path, message) or message, err.code
end

--- C would take a path to end at a zero byte.
local function whole(path)
  if path:find("\0", 1, true) then files.fail "the path has a zero byte in it" end
  return path
end

-------------------------------------------------------------------- reading

--- A function that gives the next n bytes, n at most 'size' in all; in pieces of at
-- most 'most' bytes where that is told.
local function reader(size, read)
  local left = size
  return function(n, piece)
    if n > left then files.fail "it is cut off, or damaged" end
    if piece then n = math.min(n, PIECE) end
    local parts, got = {}, 0
    while got < n do
      local bytes = must(read(math.min(n - got, PIECE)))
      if #bytes == 0 then files.fail "it is cut off, or damaged" end
      if #bytes > n - got then files.fail "more bytes come than were asked for" end
      got = got + #bytes
      parts[#parts + 1] = bytes
      if piece then break end
    end
    left = left - got
    return table.concat(parts)
  end
end

--- Returns what f(read, size) does: read(n) gives the next n bytes, read(n, true) at
-- least one of them. Or nil, a message and a code.
function files.read(path, f)
  local host_files, handle = functions(), nil
  return guard(path, function()
    handle = must(host_files.open(whole(path), "r"))
    local size = must(host_files.size(handle))
    return f(reader(size, function(n) return host_files.read(handle, n) end), size)
  end, function() if handle then host_files.close(handle) end end)
end

--- The same of a string.
function files.from_string(bytes, f)
  local at = 1
  return guard(nil, function()
    return f(reader(#bytes, function(n)
      at = at + n
      return bytes:sub(at - n, at - 1)
    end), #bytes)
  end)
end

-------------------------------------------------------------------- writing

--- A name beside the target that no other writer holds, opened.
local function open_beside(host_files, target)
  local handle, message, code, path
  for i = 0, 9 do
    path = target .. ".part" .. (i > 0 and i or "")
    handle, message, code = host_files.open(path, "w", target)
    if handle or code ~= 16 then break end -- EBUSY: another one writes the same file
  end
  return must(handle, message, code), path
end

--- Writes bytes until all are written.
local function write_all(host_files, handle, bytes)
  while #bytes > 0 do
    local n = must(host_files.write(handle, bytes))
    if n == true or n == #bytes then return end
    if type(n) ~= "number" or n < 1 then files.fail "nothing can be written" end
    bytes = bytes:sub(n + 1)
  end
end

--- Lets f(write) write a new file, which replaces the one at the path when all of it is on
-- the disk. Returns true; or nil, a message and a code, the old file being as it was. Only
-- when it was the folder that could not be synced, in the end, the new file is there: whole,
-- but a power failure may bring back the old one, so that this is no success either.
function files.write(path, f)
  local host_files, handle, part = functions(), nil, nil
  return guard(path, function()
    local target = whole(path)
    if host_files.resolve then target = must(host_files.resolve(target)) end
    handle, part = open_beside(host_files, target)
    f(function(bytes) write_all(host_files, handle, bytes) end)
    if host_files.sync then must(host_files.sync(handle)) end
    local closing = handle
    handle = nil
    must(host_files.close(closing))
    must(host_files.rename(part, target))
    part = nil
    if host_files.sync_folder then must(host_files.sync_folder(target)) end
    return true
  end, function()
    if handle then pcall(host_files.close, handle) end
    if part then host_files.remove(part) end
  end)
end

--- What f(write) writes, as a string.
function files.to_string(f)
  local parts = {}
  f(function(bytes) parts[#parts + 1] = bytes end)
  return table.concat(parts)
end

files.PIECE = PIECE
return files
