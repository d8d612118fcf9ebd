-- The facts of host.lua in LÖVE, and files in the save folder.
function love.load(args)
  if args[1] == "inside" then require "loader" end
  local mg = require "moongrad"
  local host, work = dofile(os.getenv "HOST"), os.getenv "WORK"
  if args[1] == "inside" then
    print(host.line(mg.ones(2):sum():item() == 2, "finds a C module inside of a zipped game"))
    return love.event.quit()
  end
  host.report(mg, work, "facts")
  local net = assert(mg.load(work .. "net.safetensors"))
  mg.set_files(require "files")
  local name, fs = "brain.safetensors", love.filesystem
  local saved = net:save(name) and net:save(name) -- the second replaces the first
  local list = fs.getDirectoryItems ""
  local parts = 0
  for _, file in ipairs(list) do parts = parts + (file:find "%.part" and 1 or 0) end
  local missing, message = mg.load "nothing.safetensors"
  local out = io.open(work .. "facts", "a")
  out:write(host.line(saved and fs.getRealDirectory(name) == fs.getSaveDirectory()
    and mg.load(name):hash() == net:hash() and parts == 0
    and missing == nil and message:find "nothing",
    "saves and loads in the save folder"), "\n")
  out:close()
  love.event.quit()
end
