--- Letters as strokes, drawn for moongrad.
--
-- Each is a list of strokes of points "xy": x from 0, y 2 on the line, 6 as high as an x, 8
-- as high as a capital, 0 below. "~" rounds the corners of a stroke.

local font = {}

local strokes = {
  A = "022842 1434", B = "0208 ~08484505 ~05454202", C = "~474808024243", D = "0208 ~08484202",
  E = "48080242 0535", F = "480802 0535", G = "~474808024245 4525", H = "0208 4248 0545",
  I = "1218 0222 0828", J = "~38320203", K = "0208 4804 1542", L = "080242",
  M = "0208244842", N = "02084248", O = "~0252580802", P = "0208 ~08484505",
  Q = "~0252580802 3452", R = "0208 ~08484505 2542", S = "~4748080545420203",
  T = "0848 2228", U = "~08024248", V = "082248", W = "0812253248", X = "0248 0842",
  Y = "082548 2522", Z = "08480242",
  a = "3632 ~36060232", b = "0802 ~06363202", c = "~353606023233", d = "3832 ~36060232",
  e = "0434 ~343606023233", f = "~281812 0626", g = "~36060232 ~36300001",
  h = "0802 ~063632", i = "0602 0808", j = "~161000 1818", k = "0802 3604 1532",
  l = "~080212", m = "0602 ~062622 ~264642", n = "0602 ~063632", o = "~0232360602",
  p = "0600 ~06363202", q = "3630 ~36060232", r = "0602 ~040626", s = "~3536060434320203",
  t = "~181222 0626", u = "3632 ~060232", v = "062246", w = "0612243246", x = "0236 0632",
  y = "0622 4610", z = "06360232",
  ["0"] = "~0242480802", ["1"] = "062822", ["2"] = "~0708484502 0242",
  ["3"] = "~0708484515 ~1545420203", ["4"] = "32380444", ["5"] = "480805 ~0546420203",
  ["6"] = "~4748080242450503", ["7"] = "084812", ["8"] = "~0545480805 ~0545420205",
  ["9"] = "~0302424808054547",
  ["."] = "0202", [","] = "1201", [":"] = "0202 0505", [";"] = "1201 1515", ["-"] = "0434",
  ["+"] = "0444 2226", ["="] = "0343 0545", ["*"] = "0347 0743 2328", ["/"] = "0139",
  ["\\"] = "0931", ["("] = "~19070311", [")"] = "~09171301", ["["] = "19090111",
  ["]"] = "09191101", ["{"] = "~29191505 ~05151121", ["}"] = "~09191525 ~25151101",
  ["<"] = "360432", [">"] = "063402", ["%"] = "0248 ~0818160608 ~3444423234",
  ["!"] = "0804 0202", ["?"] = "~070838351514 1212", ["'"] = "0806", ['"'] = "0806 1816",
  ["#"] = "1218 3238 0444 0646", ["$"] = "~4748080545420203 2129",
  ["&"] = "~420708282604022245", ["@"] = "~4202084844242646", ["^"] = "061826",
  ["_"] = "0141", ["`"] = "0817", ["|"] = "0109", ["~"] = "~04163446",
}
local UNKNOWN = "0208383202"

--- A stroke without its corners: each replaced by two points, twice. A closed stroke stays
-- closed, an open one keeps its ends.
local function round(points)
  for _ = 1, 3 do
    local n, to = #points, {}
    local closed = points[1][1] == points[n][1] and points[1][2] == points[n][2]
    if not closed then to[1] = points[1] end
    for i = 1, n - 1 do
      local a, b = points[i], points[i + 1]
      local first = not closed and i == 1 and 0 or 0.25
      local last = not closed and i == n - 1 and 1 or 0.75
      for _, t in ipairs { first, last } do
        to[#to + 1] = { a[1] + (b[1] - a[1]) * t, a[2] + (b[2] - a[2]) * t }
      end
    end
    if closed then to[#to + 1] = to[1] end
    points = to
  end
  return points
end

local ready = {}

--- The strokes of a letter, lists of points {x, y}, y upwards from the line; and how wide
-- it is.
local function letter(char)
  if ready[char] then return ready[char] end
  local list, width = {}, 0
  for mark, digits in (strokes[char] or UNKNOWN):gmatch("(~?)(%d+)") do
    local points = {}
    for x, y in digits:gmatch("(%d)(%d)") do
      points[#points + 1] = { tonumber(x), tonumber(y) - 2 }
      width = math.max(width, tonumber(x))
    end
    list[#list + 1] = mark == "~" and round(points) or points
  end
  ready[char] = { strokes = list, width = width }
  return ready[char]
end

local GAP, SPACE = 1.9, 2 -- between letters, and for a blank besides

--- Calls f(points, x) for each stroke of a text, x being where its letter begins; returns
-- the width of all, in units of which a capital is 6 high.
function font.strokes(text, f)
  local x = 0
  for char in text:gmatch("[^\128-\191][\128-\191]*") do
    if char == " " then
      x = x + SPACE + GAP
    else
      local l = letter(char)
      for _, points in ipairs(f and l.strokes or {}) do f(points, x) end
      x = x + l.width + GAP
    end
  end
  return math.max(0, x - GAP)
end

font.known = strokes

return font
