--- Colours of pictures, as whole numbers red * 65536 + green * 256 + blue.
--
-- The series colours are told apart by the colour-blind, and each stands out from white
-- paper and from a black terminal alike (tests/spec/plot_spec.lua measures both).

local floor, min, max = math.floor, math.min, math.max

local color = {}

color.series = { 0x1f7fc4, 0xc96a00, 0x12876a, 0xb8529a, 0x8a6d1c, 0x6f63d8, 0x7a7a7a }
color.paper, color.ink, color.faint = 0xffffff, 0x222222, 0xe4e4e4
color.right, color.wrong = 0x12876a, 0xd0402b

function color.rgb(c) return floor(c / 65536), floor(c / 256) % 256, c % 256 end

local function byte(v) return min(255, max(0, floor(v + 0.5))) end

function color.pack(r, g, b) return byte(r) * 65536 + byte(g) * 256 + byte(b) end

--- 'a' at t = 0, 'b' at t = 1.
function color.mix(a, b, t)
  local ar, ag, ab = color.rgb(a)
  local br, bg, bb = color.rgb(b)
  return color.pack(ar + (br - ar) * t, ag + (bg - ag) * t, ab + (bb - ab) * t)
end

--- A function from 0..1 to a colour, through those of a list.
local function ramp(list)
  return function(t)
    t = (t == t and min(1, max(0, t)) or 0) * (#list - 1)
    local i = min(floor(t), #list - 2)
    return color.mix(list[i + 1], list[i + 2], t - i)
  end
end

--- From little to much, from below 0 over 0 to above, and of grey pictures.
color.heat = ramp { 0x2d1e5f, 0x2f4b8c, 0x26788e, 0x2fa37a, 0x8fc74a, 0xf6e34a }
color.sign = ramp { 0x0f5a9c, 0x7fb2da, 0xf4f4f2, 0xe9a56a, 0xb34a00 }
color.gray = ramp { 0x000000, 0xffffff }
color.shade = ramp { 0xffffff, 0x1f7fc4 }

--- The colour of the n-th series.
function color.of(n) return color.series[(n - 1) % #color.series + 1] end

--- How light a colour is, from 0 to 1 (relative luminance of WCAG 2).
function color.light(c)
  local sum, weights = 0, { 0.2126, 0.7152, 0.0722 }
  for i, v in ipairs { color.rgb(c) } do
    v = v / 255
    sum = sum + weights[i] * (v <= 0.03928 and v / 12.92 or ((v + 0.055) / 1.055) ^ 2.4)
  end
  return sum
end

--- Black or white: what is read better on it.
function color.on(c) return color.light(c) > 0.3 and 0x111111 or 0xffffff end

function color.hex(c) return ("#%06x"):format(c) end

return color
