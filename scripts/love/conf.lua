function love.conf(t)
  t.identity = "moongrad-play"
  t.window.title = "a neuron by hand, and XOR learned live"
  t.window.width, t.window.height = 960, 460
  t.modules.audio, t.modules.sound, t.modules.joystick = false, false, false
end
