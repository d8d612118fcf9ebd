-- Loaded once for each thread, so each has its own net and never waits for another one.
local mg = require "moongrad"
local work = os.getenv "WORK"
local net = assert(mg.load(work .. "net.safetensors"))
local x, out = mg.zeros(1, 2), mg.zeros(1, 1) -- so that a request makes no garbage in C

local served = false
core.register_service("answer", "http", function(applet)
  local query = applet.qs or ""
  x:set(1, 1, tonumber(query:match "x=([^&]*)") or 0)
  x:set(1, 2, tonumber(query:match "y=([^&]*)") or 0)
  local text = net:predict(x, out):item() > 0.5 and "inside" or "outside"
  applet:set_status(200)
  applet:add_header("content-length", tostring(#text))
  applet:start_response()
  applet:send(text)
  if not served then -- which threads take part, for the test
    served = true
    io.open(work .. "threads", "a"):write(core.thread, "\n"):close()
  end
end)

-- The test. Training goes on in a task, a millisecond at a time, between requests.
local host = dofile(os.getenv "HOST")
if core.thread == 1 then
  host.report(mg, work, "facts")
  core.register_task(function()
    local expected = dofile(work .. "expected.lua")
    local pupil = host.net(mg)
    local trainer, data = host.trainer(mg, pupil)
    while trainer:run(data, { epochs = host.LONG, ms = 1 }) == "more" do core.msleep(1) end
    io.open(work .. "trained", "w"):write(host.line(pupil:hash() == expected.long,
      "trains in a task between requests, to the same bits"), "\n"):close()
  end)
end
