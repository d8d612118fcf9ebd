--- Argument checks of the functions written in Lua: one sentence, in the form of
-- those from C: "split: share is a string, expected a number".

local core = require "moongrad.core"

local check = {}

--- "a tensor", "an optimizer", "a string", "nil": what a value is, in words.
function check.what(v)
  if v == nil then return "nil" end
  local kind = core.type(v) or type(v)
  return (kind:find("^[aeiou]") and "an " or "a ") .. kind
end

--- The same, but of a number how large it is.
function check.text(v)
  if type(v) ~= "number" then return check.what(v) end
  return v ~= v and "nan" or ("%.14g"):format(v)
end

--- Raises an error, at the line of the program that called into moongrad, in one line.
function check.fail(who, text, ...)
  core.fail(((who .. ": " .. text:format(...)):gsub("%c", "?")))
end

local function is(kind, v)
  return (core.type(v) or type(v)) == kind and (not core.type(v) or core.open(v))
end

--- What is wrong with a v that is not of that kind.
local function wrong(kind, v, what)
  return ("%s is %s, expected %s"):format(what,
    core.type(v) and not core.open(v) and "closed" or check.what(v),
    (kind:find("^[aeiou]") and "an " or "a ") .. kind)
end

--- v must be of that kind: a type of Lua, or "tensor", "layer" ..
function check.is(kind, v, who, what)
  if not is(kind, v) then check.fail(who, "%s", wrong(kind, v, what)) end
  return v
end

--- The same, or nil.
function check.optional(kind, v, who, what)
  if v ~= nil and not is(kind, v) then check.fail(who, "%s", wrong(kind, v, what)) end
  return v
end

--- v must be an integer from 'low'.
function check.integer(v, who, what, low)
  if type(v) == "number" and v >= low and v <= 2 ^ 53 and v % 1 == 0 then return v end
  check.fail(who, "%s is %s, expected an integer from %d", what, check.text(v), low)
end

--- Of the names that are keys of a table the one most like 'name', or nil.
local function nearest(name, known)
  local least, found = math.min(#name, 3), nil
  for other in pairs(known) do
    local far = core.distance(name, other)
    if far < least or far == least and found and other < found then least, found = far, other end
  end
  return found
end

--- Every key of the table must be in 'known'; 'what' it is: "options".
function check.options(options, known, who, what)
  check.is("table", options, who, what or "options")
  for name in pairs(options) do
    if type(name) ~= "string" then
      check.fail(who, "an entry of %s has no name, expected name = value", what or "options")
    elseif not known[name] then
      local like = nearest(name, known)
      check.fail(who, 'there is no %s "%s"%s', what and "field of " .. what or "option", name,
        like and (', did you mean "%s"?'):format(like) or "")
    end
  end
  return options
end

local function unless_stopped(ok, ...)
  local text = not ok and tostring((...)) or ""
  if text:find("not enough memory", 1, true) or text:find("interrupted", 1, true) then
    error((...), 0)
  end
  return ok, ...
end

--- pcall for what fails where something is wrong with what it was given. Where memory runs
-- out or Ctrl-C comes nothing is, and the error goes on.
function check.pcall(f, ...) return unless_stopped(pcall(f, ...)) end

--- A module that may be missing, or nil, whatever a host's require says of it.
function check.module(require, name)
  local found, module = check.pcall(require, name)
  return found and module or nil
end

return check
