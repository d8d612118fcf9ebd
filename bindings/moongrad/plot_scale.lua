--- Axes of pictures: ranges, ticks with their labels, and where a number is drawn.

local floor, ceil, min, max, huge = math.floor, math.ceil, math.min, math.max, math.huge

local scale = {}

-- Larger numbers would make distances between them infinite.
local function finite(v) return v == v and v < 1e100 and v > -1e100 end
scale.finite = finite

--- The least and the largest finite number of several lists; nil where there is none.
function scale.extent(lists, above)
  local low, high = huge, -huge
  for _, list in ipairs(lists) do
    for i = 1, list.n or #list do
      local v = list[i]
      if v and finite(v) and (not above or v > above) then
        low, high = min(low, v), max(high, v)
      end
    end
  end
  if low <= high then return low, high end
end

--- A range that is not empty, 'part' of it added at both ends.
function scale.widen(low, high, part)
  if not low then return 0, 1 end
  if high - low <= 1e-12 * max(math.abs(low), math.abs(high)) then
    local by = low == 0 and 1 or math.abs(low) * 0.1
    return low - by, high + by
  end
  local by = (high - low) * (part or 0)
  return low - by, high + by
end

local function log10(v) return math.log(v) / math.log(10) end

--- A number for people: at most 'digits' figures (4), 1e+06 as 1e6.
function scale.number(v, digits)
  if v == 0 or math.abs(v) < 1e-300 then return "0" end
  local text = ("%." .. (digits or 4) .. "g"):format(v)
  text = text:gsub("e([-+])0*(%d)", function(sign, d) return "e" .. sign:gsub("+", "") .. d end)
  return text
end

--- Ticks at multiples of 1, 2 or 5 times a power of ten, at most n.
local function linear(axis, n)
  local power, step = 10 ^ floor(log10((axis.to - axis.from) / n)), nil
  for _, times in ipairs { 1, 2, 5, 10, 20 } do
    step = power * times
    if floor(axis.to / step + 1e-9) - ceil(axis.from / step - 1e-9) + 1 <= n then break end
  end
  local ticks, first = {}, ceil(axis.from / step - 1e-9)
  local digits = max(0, -floor(log10(step) + 1e-9))
  local form = ("%%.%df"):format(digits)
  while #ticks < n and (first + #ticks) * step <= axis.to + step * 1e-9 do
    local v = (first + #ticks) * step
    local plain = digits < 5 and math.abs(v) < 1e6
    ticks[#ticks + 1] = { v, plain and form:format(v):gsub("^%-(0%.?0*)$", "%1")
                             or scale.number(v) }
  end
  return ticks
end

--- Ticks at powers of ten, every k-th of them, so that there are at most n; 2 and 5 times
-- those where there would be too few; plain ticks where that is still so.
local function logarithmic(axis, n)
  local first, last = ceil(log10(axis.from) - 1e-9), floor(log10(axis.to) + 1e-9)
  local every, ticks = max(1, ceil((last - first + 1) / n)), {}
  local small = last - first < 2 and n >= 4 and { 1, 2, 5 } or { 1 }
  for power = every > 1 and first or first - 1, last, every do
    for _, times in ipairs(small) do
      local v = times * 10 ^ power
      if v >= axis.from * (1 - 1e-9) and v <= axis.to * (1 + 1e-9) then
        ticks[#ticks + 1] = { v, scale.number(v) }
      end
    end
  end
  return #ticks >= 3 and ticks or linear(axis, n)
end

--- Ticks of an axis, a list of {number, label}, at most n; its own where it has them.
function scale.ticks(axis, n)
  if axis.ticks then return axis.ticks end
  n = max(2, n)
  local ticks = axis.log and logarithmic(axis, n) or linear(axis, n)
  for i = axis.whole and #ticks or 0, 1, -1 do
    if ticks[i][1] % 1 ~= 0 then table.remove(ticks, i)
    else ticks[i][2] = ("%.0f"):format(ticks[i][1]) end
  end
  return ticks
end

--- A function from numbers to places, axis.from at 'first' and axis.to at 'last'.
function scale.place(axis, first, last)
  local from, to = axis.from, axis.to
  if axis.log then from, to = log10(from), log10(to) end
  local factor = (last - first) / (to - from)
  if not axis.log then return function(v) return first + (v - from) * factor end end
  return function(v) return v > 0 and first + (log10(v) - from) * factor or 0 / 0 end
end

return scale
