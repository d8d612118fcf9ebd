--- Whole files as strings: nil, a message and a code where that fails.

local file = {}

local function failed(path, message, code)
  return nil, path .. ": " .. (message or "cannot be used"):gsub("^.*: ", ""), code
end

--- All bytes of a file.
function file.read(path)
  local f, message, code = io.open(path, "rb")
  if not f then return failed(path, message, code) end
  local bytes, why, number = f:read("*a")
  f:close()
  if not bytes then return failed(path, why, number) end
  return bytes
end

--- Puts the strings of a list into a file, in the place of what was there.
-- @treturn boolean  true
function file.write(path, list)
  local f, message, code = io.open(path, "wb")
  if not f then return failed(path, message, code) end
  for _, bytes in ipairs(list) do
    local ok, why, number = f:write(bytes)
    if not ok then
      f:close()
      return failed(path, why, number)
    end
  end
  local ok, why, number = f:close()
  if not ok then return failed(path, why, number) end
  return true
end

return file
