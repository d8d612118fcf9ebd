-- What goes into init.lua: where moongrad is, if it is not installed.
local root = vim.g.root
package.path = root .. "/bindings/?.lua;" .. root .. "/bindings/?/init.lua;" .. package.path
package.cpath = root .. "/build/luajit/?.so;" .. package.cpath

local mg = require "moongrad"
dofile(root .. "/tests/hosts/host.lua").report(mg, vim.g.work, "facts")
