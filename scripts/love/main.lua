-- The demo of scripts/play.lua as a game for LÖVE 11:  make LUA=jit && love scripts/love
--
-- On the left a neuron's curve, in the middle the plane of a neuron with two inputs, on the
-- right a net that learns XOR inside the frames. Drag the sliders; space pauses, n begins a
-- new net, escape leaves. "love scripts/love --frames 60" leaves by itself after so many
-- frames, with a picture of the screen in the save folder and a line on the output.

local source = love.filesystem.getSource()
local root = source .. "/../.."
package.path = root .. "/bindings/?.lua;" .. root .. "/bindings/?/init.lua;" .. package.path
package.cpath = root .. "/build/luajit/?.so;" .. package.cpath

local mg = require "moongrad"
local color = require "moongrad.plot_color"
local model = require "model"(mg)

local SIDE, CELLS, TOP = 280, 70, 40 -- points of a picture, tiles along it, where it begins
local PLACES = { 20, 340, 660 } -- of the three pictures
local KNOB = { left = 150, right = 560, top = 350, step = 32 } -- of the sliders

local paused, seed, held, frames, last = false, 1, nil, 0, nil
local planes = {} -- of the neuron and of the net

local function set(c, alpha)
  local r, g, b = color.rgb(c)
  love.graphics.setColor(r / 255, g / 255, b / 255, alpha or 1)
end

------------------------------------------------------------------ decision regions

--- What is needed to paint the plane from 'low' to 'high': all made once, a frame makes
-- no garbage.
local function new_plane(low, high)
  local points, step = {}, (high - low) / CELLS
  for i = 0, CELLS * CELLS - 1 do
    points[i + 1] = { low + (i % CELLS + 0.5) * step,
                      high - (math.floor(i / CELLS) + 0.5) * step }
  end
  local plane = { low = low, high = high, points = mg.tensor(points),
    answers = mg.zeros(#points, 1), image = love.image.newImageData(CELLS, CELLS), tints = {} }
  for i = 0, 20 do -- from sure of 0 to sure of 1
    local c = color.of(i < 10 and 1 or 2)
    plane.tints[i] = { color.rgb(color.mix(color.paper, c, 0.15 + 0.045 * math.abs(i - 10))) }
  end
  plane.texture = love.graphics.newImage(plane.image)
  plane.texture:setFilter("linear")
  return plane
end

local function paint(plane, net)
  net:predict(plane.points, plane.answers) -- all places in one call
  for i = 1, CELLS * CELLS do
    local tint = plane.tints[math.floor(20 * plane.answers:get(i, 1) + 0.5)]
    plane.image:setPixel((i - 1) % CELLS, math.floor((i - 1) / CELLS), tint[1] / 255,
      tint[2] / 255, tint[3] / 255)
  end
  plane.texture:replacePixels(plane.image)
end

local function draw_plane(plane, x, rows)
  love.graphics.setColor(1, 1, 1)
  love.graphics.draw(plane.texture, x, TOP, 0, SIDE / CELLS)
  for _, row in ipairs(rows) do
    local px = x + (row[1] - plane.low) / (plane.high - plane.low) * SIDE
    local py = TOP + (plane.high - row[2]) / (plane.high - plane.low) * SIDE
    set(color.paper)
    love.graphics.circle("fill", px, py, 8)
    set(color.of(row[3] + 1))
    love.graphics.circle("fill", px, py, 6)
  end
end

--------------------------------------------------------------------------- curves

local function draw_axes(x)
  set(color.paper)
  love.graphics.rectangle("fill", x, TOP, SIDE, SIDE)
  set(color.faint)
  love.graphics.line(x, TOP + SIDE / 2, x + SIDE, TOP + SIDE / 2)
  love.graphics.line(x + SIDE / 2, TOP, x + SIDE / 2, TOP + SIDE)
end

local places = {}
local function draw_curve(x)
  draw_axes(x)
  for i = 0, 140 do
    places[2 * i + 1] = x + i * SIDE / 140
    places[2 * i + 2] = TOP + SIDE - 4 - model.curve(i * 12 / 140 - 6) * (SIDE - 8)
  end
  set(color.of(1))
  love.graphics.setLineWidth(3)
  love.graphics.line(places)
  love.graphics.setLineWidth(1)
  set(color.ink)
  love.graphics.print("1", x + SIDE / 2 + 4, TOP + 2)
  love.graphics.print("-6", x + 4, TOP + SIDE / 2 + 2)
  love.graphics.print("6", x + SIDE - 14, TOP + SIDE / 2 + 2)
end

local function draw_losses()
  local n, left, width = #model.losses, 660, SIDE
  set(color.faint)
  love.graphics.rectangle("line", left, 350, width, 80)
  set(color.of(2))
  for i = 2, n do
    local function y(k) return 430 - math.min(1, model.losses[k]) * 78 end
    love.graphics.line(left + (i - 2) * width / 400, y(i - 1), left + (i - 1) * width / 400, y(i))
  end
  set(color.ink)
  love.graphics.print(("loss %.4f    %d of 4 rows%s"):format(model.losses[n] or 0, model.right(),
    paused and "    paused" or ""), left + 90, 355)
end

------------------------------------------------------------------------- sliders

local function knob(i)
  local s = model.sliders[i]
  return KNOB.left + (s.value - s.low) / (s.high - s.low) * (KNOB.right - KNOB.left),
    KNOB.top + (i - 1) * KNOB.step
end

local function draw_sliders()
  for i, s in ipairs(model.sliders) do
    local x, y = knob(i)
    set(color.ink)
    love.graphics.print(s.name, 20, y - 8)
    love.graphics.print(("%.2f"):format(s.value), KNOB.right + 20, y - 8)
    set(0xb0b0b0)
    love.graphics.line(KNOB.left, y, KNOB.right, y)
    set(i == held and color.of(2) or color.of(1))
    love.graphics.circle("fill", x, y, 9)
  end
end

local function drag(x)
  local s = model.sliders[held]
  model.move(held, s.low + (x - KNOB.left) / (KNOB.right - KNOB.left) * (s.high - s.low))
end

function love.mousepressed(x, y)
  for i = 1, #model.sliders do
    local _, ky = knob(i)
    if math.abs(y - ky) < KNOB.step / 2 and x > KNOB.left - 20 and x < KNOB.right + 20 then
      held = i
      drag(x)
    end
  end
end

function love.mousemoved(x) if held then drag(x) end end
function love.mousereleased() held = nil end

function love.keypressed(key)
  if key == "space" then paused = not paused end
  if key == "escape" then love.event.quit() end
  if key == "n" then
    seed = seed + 1
    model.restart(seed)
  end
end

--------------------------------------------------------------------------- frames

function love.load(arguments)
  for i, word in ipairs(arguments) do
    if word == "--frames" then last = tonumber(arguments[i + 1]) end
  end
  if last then -- nobody is there to read a blue screen
    love.errorhandler = function(message)
      print(message)
      return function() return 1 end
    end
  end
  love.graphics.setBackgroundColor(0.95, 0.95, 0.95)
  planes.neuron, planes.net = new_plane(-2.5, 2.5), new_plane(-0.5, 1.5)
end

function love.update()
  if not paused then model.train(5) end
end

--- Leaves after the last of a given number of frames.
local function leave()
  love.graphics.captureScreenshot(function(picture)
    picture:encode("png", "screen.png")
    print(("%d frames, %d of 4 rows of XOR, the picture is %s/screen.png"):format(frames,
      model.right(), love.filesystem.getSaveDirectory()))
    love.event.quit(model.right() == 4 and 0 or 1)
  end)
end

function love.draw()
  paint(planes.neuron, model.neuron)
  paint(planes.net, model.net)
  set(color.ink)
  love.graphics.print("sigmoid(weight * x + bias)", PLACES[1], 14)
  love.graphics.print("one neuron, two inputs: a straight line", PLACES[2], 14)
  love.graphics.print("XOR, learned in up to 4 ms of each frame", PLACES[3], 14)
  draw_curve(PLACES[1])
  draw_plane(planes.neuron, PLACES[2], {})
  draw_plane(planes.net, PLACES[3], model.rows)
  draw_sliders()
  draw_losses()
  frames = frames + 1
  if frames == last then leave() end
end
