--- CSV text as rows of fields: commas, quotes ("" stands for one inside), spaces
-- around fields dropped, no line breaks inside fields.

local csv = {}

--- The field from 'at' to the next comma, and where the one after it begins.
local function plain(line, at)
  local comma = line:find(",", at, true)
  return line:sub(at, (comma or 0) - 1):match("^%s*(.-)%s*$"), comma and comma + 1
end

--- The same behind an opening quote; nil where the closing one is out of place.
local function quoted(line, at)
  local parts = {}
  local double
  repeat
    local close = line:find('"', at, true)
    if not close then return nil end
    parts[#parts + 1] = line:sub(at, close - 1)
    double = line:sub(close + 1, close + 1) == '"'
    if double then parts[#parts + 1] = '"' end
    at = close + (double and 2 or 1)
  until not double
  local after = line:match("^%s*()", at)
  local mark = line:sub(after, after)
  if mark ~= "" and mark ~= "," then return nil end
  return table.concat(parts), mark == "," and after + 1 or nil
end

--- The fields of one line, or nil.
function csv.fields(line)
  local list, at = {}, 1
  local text
  while at do
    local open = line:match('^%s*"()', at)
    if open then text, at = quoted(line, open) else text, at = plain(line, at) end
    if not text then return nil end
    list[#list + 1] = text
  end
  return list
end

--- All rows of a text that are not blank.
-- @treturn table  of {fields.., line = number}; or nil and what is wrong, where
function csv.rows(text)
  local rows, number = {}, 0
  text = text:gsub("^\239\187\191", "") -- the mark some editors begin UTF-8 with
  for line in (text .. "\n"):gmatch("(.-)\r?\n") do
    number = number + 1
    if line:find("%S") then
      local row = csv.fields(line)
      if not row then return nil, number .. ": a quote is out of place" end
      if rows[1] and #row ~= #rows[1] then
        return nil, ("%d: %d fields, expected %d"):format(number, #row, #rows[1])
      end
      row.line = number
      rows[#rows + 1] = row
    end
  end
  return rows
end

return csv
