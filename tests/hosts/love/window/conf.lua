function love.conf(t)
  t.identity = "moongrad-window"
  t.window.title = "learning a circle"
  t.window.width, t.window.height = 480, 520
  t.modules.audio, t.modules.sound, t.modules.joystick = false, false, false
end
