-- The net of answer.lua, loaded once.
local mg = require "moongrad"
local work = os.getenv "WORK"
dofile(os.getenv "HOST").report(mg, work, "facts")
io.open(work .. "loads", "a"):write("once more\n"):close()
return assert(mg.load(work .. "net.safetensors"))
