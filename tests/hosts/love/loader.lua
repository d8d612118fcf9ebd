-- C modules in a zipped game, where require does not find them: beside the .love file, or in
-- it, from where they are copied to the save folder, as C code is loaded from real files.
local fs = love.filesystem
local suffix = love.system.getOS() == "Windows" and ".dll" or ".so"
table.insert(package.loaders, function(name)
  local file = name:gsub("%.", "/") .. suffix
  local path = fs.getSourceBaseDirectory() .. "/" .. file
  if fs.getInfo(file) then
    path = fs.getSaveDirectory() .. "/native-" .. name .. suffix
    assert(fs.write("native-" .. name .. suffix, fs.read(file)))
  end
  local open = package.loadlib(path, "luaopen_" .. name:gsub("%.", "_"))
  return open or "\n\tno C module '" .. path .. "'"
end)
