-- Without a window, and so without X.
function love.conf(t)
  t.identity = "moongrad-headless"
  t.modules.window, t.modules.graphics, t.modules.font = false, false, false
  t.modules.audio, t.modules.sound, t.modules.joystick = false, false, false
end
