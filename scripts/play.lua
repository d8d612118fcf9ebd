-- Claim: a net learns XOR beside a running picture, in less than 4 milliseconds of each frame.
--
-- A demo for the terminal. Three pages: a neuron's curve, the plane of a neuron with two
-- inputs, and a net that learns XOR while you watch. Keys:
--
--   1 2 3            the page             left right       move the slider
--   up down          another slider       n                a new net (page 3)
--   space            learn, or pause      q                leave
--
-- Where no terminal is there to play in, it trains for as many frames as --frames says, and
-- shows the last picture.

local folder = arg[0]:match("^.*[/\\]") or ""
local common = dofile(folder .. "common.lua")
local mg, options = common.start("Move weights and bias by keys; watch XOR being learned.", {
  pictures = true,
  { "frames", 100, "frames, where there is no terminal" },
})
local found, system = pcall(require, "moongrad.system")
local model = dofile(folder .. "love/model.lua")(mg)
model.restart(options.seed)

if options.plot ~= "-" or not (found and system.isatty(0) and system.isatty(1)) then
  local frames = 0
  repeat
    frames = frames + 1
    local loss = model.train(20)
  until frames == options.frames or loss < 0.01
  print(("%d frames of 20 steps, the loss is %.4f:\n"):format(frames, model.losses[#model.losses]))
  common.plane(model.net, model.rows, { title = "XOR" })
  return common.claim(model.right() == 4, ("%d of 4 rows of XOR after %d frames")
    :format(model.right(), frames))
end

------------------------------------------------------------------- in a terminal

local page, chosen, paused, seed = 1, 1, false, options.seed

--- The sliders as lines: name, a bar with a knob, the value.
local function sliders()
  local lines = {}
  for i, s in ipairs(model.sliders) do
    local at = math.floor((s.value - s.low) / (s.high - s.low) * 30 + 0.5)
    lines[i] = ("%s %-13s [%so%s] %6.2f"):format(i == chosen and ">" or " ", s.name,
      ("-"):rep(at), ("-"):rep(30 - at), s.value)
  end
  if page == 1 then table.remove(lines, 2) end
  return table.concat(lines, "\n")
end

local pages = {
  function()
    return mg.plot.curve({ f = model.curve }, { from = -6, to = 6, low = 0, high = 1, height = 18,
      ylabel = "output", title = "A neuron: sigmoid(weight * x + bias)" }) .. "\n" .. sliders()
  end,
  function()
    local x, y = { { -1.5, -1.5 }, { 1.5, 1.5 } }, { { 0 }, { 1 } } -- they fix the range
    return mg.plot.boundary(model.neuron, { x = x, y = y }, { height = 18,
      title = "A neuron with two inputs: one straight line" }) .. "\n" .. sliders()
  end,
  function()
    local loss = model.losses[#model.losses] or 0
    local state = ("\n%s  loss %.4f, %d of 4 rows right"):format(paused and "paused  "
      or "learning", loss, model.right())
    return mg.plot.boundary(model.net, model.data,
      { height = 19, hidden = false, title = "XOR, learned live" }) .. state
  end,
}

local escapes = { A = "up", B = "down", C = "right", D = "left" }

--- The key that was pressed, or nil after a tenth of a second.
local function key()
  local c = io.read(1)
  if c ~= "\27" then return c end
  return io.read(1) == "[" and escapes[io.read(1) or ""] or "q"
end

local actions = {
  up = function() chosen = math.max(1, chosen - (page == 1 and 2 or 1)) end,
  down = function() chosen = math.min(3, chosen + (page == 1 and 2 or 1)) end,
  left = function() model.move(chosen, model.sliders[chosen].value - 0.25) end,
  right = function() model.move(chosen, model.sliders[chosen].value + 0.25) end,
  [" "] = function() paused = not paused end,
  n = function()
    seed = seed + 1
    model.restart(seed)
  end,
}

local function play()
  local pressed
  while pressed ~= "q" do
    if page == 3 and not paused then model.train(20) end
    -- home, the picture line by line with the rest of each line wiped, and what is below
    local text = pages[page]():gsub("\n", "\27[K\n")
    io.write("\27[H", text, "\27[K\n\n1 2 3 page   arrows move   space pause   n new   q leave",
      "\27[K\27[J")
    io.flush()
    repeat
      pressed = key()
      if tonumber(pressed) and pages[tonumber(pressed)] then
        page, chosen = tonumber(pressed), 1
      end
      if actions[pressed] then actions[pressed]() end
    until pressed or page == 3
  end
end

-- The terminal gives keys at once and without showing them, until we leave.
local pipe = io.popen("stty -g 2>/dev/null", "r")
local before = pipe:read("*l")
pipe:close()
if not before then common.stop("this terminal knows no stty") end
os.execute("stty -icanon -echo min 0 time 1")
io.write("\27[2J\27[?25l")
local fine, err = pcall(play)
io.write("\27[?25h\27[2J\27[H")
os.execute("stty " .. before)
if not fine and not tostring(err):find("interrupted", 1, true) then error(err, 0) end
common.claim(true, "see for yourself")
