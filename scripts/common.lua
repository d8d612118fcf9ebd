-- What the experiments share: options, finding the library, showing pictures,
-- and the exit status. Nothing in here is about neural networks.

local common = {}

local folder = arg[0]:match("^.*[/\\]") or ""
local script = arg[0]:match("([^/\\]+)%.lua$") or arg[0]

--- Says in one line what is wrong, and ends the script with status 2.
function common.stop(text)
  io.stderr:write(script, ": ", text, "\n")
  os.exit(2, true)
end

local function help(about, list)
  print(("usage: %s.lua [options]\n%s\n"):format(script, about))
  for _, option in ipairs(list) do
    local name, default, text, value = option[1], option[2], option[3], option[4] or "N"
    if default and default ~= "" then text = ("%s (default %s)"):format(text, default) end
    print(("  --%-14s %s"):format(name .. " " .. value, text))
  end
  print("  --help           this text\n\n" ..
        "Exit status: 0 when the claim held, 1 when it did not, 2 for wrong usage.")
  os.exit(0, true)
end

--- The text of an option's value as what its default is: a whole number, any
-- number above 0, or text.
local function convert(option, text)
  local name, default = option[1], option[2]
  if type(default) ~= "number" then return text end
  local n, low = tonumber(text), name == "seed" and 0 or 1
  if default % 1 ~= 0 then
    if n and n > 0 and n <= 1e9 then return n end
    common.stop(('--%s takes a number above 0, not "%s"'):format(name, text))
  end
  if n and n >= low and n <= 1e9 and n % 1 == 0 then return math.floor(n) end
  common.stop(('--%s takes a whole number from %d, not "%s"'):format(name, low, text))
end

--- Reads the command line. 'list' holds {name, default, text [, VALUE]}.
local function parse(about, list)
  local options, known = {}, {}
  for _, option in ipairs(list) do
    options[option[1]], known[option[1]] = option[2], option
  end
  local i = 1
  while arg[i] do
    if arg[i] == "--help" or arg[i] == "-h" then help(about, list) end
    local name, value = arg[i]:match("^%-%-([^=]+)=?(.*)$")
    if not known[name] then
      common.stop(('unknown option "%s"; --help lists them'):format(arg[i]))
    end
    if not arg[i]:find("=", 1, true) then
      i = i + 1
      value = arg[i] or common.stop("--" .. name .. " needs a value; --help tells which")
    end
    options[name] = convert(known[name], value)
    i = i + 1
  end
  return options
end

--- moongrad as built beside this folder, else as installed.
local function library()
  local version = rawget(_G, "jit") and "jit" or _VERSION:match("%d+%.%d+")
  local built = folder .. "../build/lua" .. version
  local core = io.open(built .. "/moongrad/core.so", "rb")
  if core then
    core:close()
    package.path = folder .. "../bindings/?.lua;" ..
                   folder .. "../bindings/?/init.lua;" .. package.path
    package.cpath = built .. "/?.so;" .. package.cpath
  end
  local found, mg = pcall(require, "moongrad")
  if found then return mg end
  local text = tostring(mg)
  if text:find("module 'moongrad' not found", 1, true) or
     text:find("module 'moongrad.core' not found", 1, true) then
    common.stop(('moongrad is not built for %s: run "make LUA=%s"')
      :format(version == "jit" and "LuaJIT" or "Lua " .. version, version))
  end
  error(mg, 0)
end

--- Stops where --plot names no kind of picture, before anything takes long.
local function check_plot(path)
  local ending = path:lower():match("%.(%w+)$") or ""
  if path ~= "-" and not (" png svg txt pdf eps "):find(" " .. ending .. " ", 1, true) then
    common.stop(('--plot takes a name that ends in .png or .svg, or -, not "%s"'):format(path))
  end
end

--- Begins a script: reads its options, loads moongrad, seeds its generator.
-- @tparam string about  one line for --help
-- @tparam table list    options besides --seed and --plot, each {name, default, text [, VALUE]};
--                       pictures = true where it shows some
-- @return moongrad, and the options by name
function common.start(about, list)
  table.insert(list, 1, { "seed", 1, "where the random numbers start" })
  if list.pictures then
    table.insert(list, { "plot", "-", "a .png or .svg for pictures; - for the terminal", "FILE" })
  end
  common.options = parse(about, list)
  if list.pictures then check_plot(common.options.plot) end
  common.mg = library()
  common.mg.seed(common.options.seed)
  return common.mg, common.options
end

--- A sentence in lines that fit into a terminal of 80 columns.
local function wrapped(text)
  local lines, line = {}, nil
  for word in text:gmatch("%S+") do
    if line and #line + 1 + #word > 80 then
      lines[#lines + 1], line = line, word
    else
      line = line and line .. " " .. word or word
    end
  end
  lines[#lines + 1] = line
  return table.concat(lines, "\n")
end

--- Ends a script: says whether its claim held, here and in the exit status.
function common.claim(held, text)
  print("\n" .. wrapped((held and "The claim held: " or "The claim did NOT hold: ") .. text .. "."))
  if not held then os.exit(1, true) end
end

--- The pictures of Fashion-MNIST, for training (all, or the first 'most') and for testing,
-- from a folder or, without one, from where Debian puts them.
function common.fashion_mnist(mg, where, most)
  local train, test = mg.data.fashion_mnist(where or nil)
  if train then return train:range(1, math.min(most or #train, #train)), test end
  common.stop(("no data: %s (Debian: apt install dataset-fashion-mnist)"):format(test))
end

--- All numbers of a tensor, or of a table, as one flat table.
function common.numbers(v)
  if type(v) == "table" then return v end
  return v:reshape(v:numel()):totable()
end

--- Prints what a net answers to rows {x1, x2, target}; returns how many of its
-- answers are right once rounded to 0 or 1.
function common.truth_table(rows, outputs, quiet)
  local right = 0
  if not quiet then print("  x1  x2   target   output   rounded") end
  for i, output in ipairs(common.numbers(outputs)) do
    local x1, x2, target = rows[i][1], rows[i][2], rows[i][3]
    local rounded = output > 0.5 and 1 or 0
    if rounded == target then right = right + 1 end
    if not quiet then
      print(("   %d   %d        %d    %.3f         %d%s"):format(x1, x2, target, output,
        rounded, rounded == target and "" or "  wrong"))
    end
  end
  return right
end

local pictures = 0

--- Where the next picture goes: "-", or a file; further ones have -2, -3 in their names.
local function place_of_picture()
  pictures = pictures + 1
  local out = common.options.plot
  if out == "-" or pictures == 1 then return out end
  return (out:gsub("(%.%w+)$", "-" .. pictures .. "%1"))
end

--- Shows a picture in the terminal, or writes it where --plot says.
-- @tparam string kind  of mg.plot: "curve", "boundary" ..
-- @param ...           what that takes; options last
function common.show(kind, ...)
  local mg, options, out = common.mg, select(select("#", ...), ...), place_of_picture()
  if out == "-" then
    local found, system = pcall(require, "moongrad.system")
    if not (found and system.isatty(1)) then options.color = "none" end
    print(mg.plot[kind](...))
  else
    options.out = out
    local written, message = mg.plot[kind](...)
    if not written then common.stop(message) end
    print("The picture is in " .. out .. ".")
  end
end

--- Shows what a net of two inputs answers where: the plane of inputs, x1 to the right, x2
-- upwards, and 'rows' {x1, x2, target} at their places.
function common.plane(net, rows, options)
  local x, y = {}, {}
  for i, row in ipairs(rows) do x[i], y[i] = { row[1], row[2] }, { row[3] } end
  common.show("boundary", net, { x = x, y = y }, options)
end

return common
