-- Functions for mg.set_files: files are written into the game's save folder, and read from
-- there or from the game itself.
local fs = love.filesystem
return {
  open = function(path, mode) return fs.newFile(path, mode) end, -- or nil and why not
  size = function(file) return file:getSize() end,
  read = function(file, n) return (file:read(n)) end,
  write = function(file, bytes) return file:write(bytes) end,
  sync = function(file) return file:flush() end,
  close = function(file) return file:close() end,
  remove = function(path) return fs.remove(path) end,
  rename = function(from, to) -- LÖVE has none of its own
    local folder = fs.getSaveDirectory() .. "/"
    if love.system.getOS() == "Windows" then os.remove(folder .. to) end -- else it refuses
    return os.rename(folder .. from, folder .. to)
  end,
}
