-- What the experiments share: options, finding the library, terminal pictures,
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
    if default then text = ("%s (default %s)"):format(text, default) end
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

--- Begins a script: reads its options, loads moongrad, seeds its generator.
-- @tparam string about  one line for --help
-- @tparam table list    options besides --seed, each {name, default, text [, VALUE]}
-- @return moongrad, and the options by name
function common.start(about, list)
  table.insert(list, 1, { "seed", 1, "where the random numbers start" })
  local options = parse(about, list)
  local mg = library()
  mg.seed(options.seed)
  return mg, options
end

--- Ends a script: says whether its claim held, here and in the exit status.
function common.claim(held, text)
  print((held and "\nThe claim held: " or "\nThe claim did NOT hold: ") .. text .. ".")
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

--- Draws points in the terminal. 'o' holds x = {from, to}, y = {from, to}, and
-- any number of {mark, xs, ys}, the later ones on top.
function common.plot(o)
  local width, height = o.width or 64, o.height or 15
  local function place(v, range, cells)
    return math.floor((v - range[1]) / (range[2] - range[1]) * (cells - 1) + 1.5)
  end
  local cell = {}
  for _, points in ipairs(o) do
    local xs, ys = common.numbers(points[2]), common.numbers(points[3])
    for i = 1, #xs do
      local column, row = place(xs[i], o.x, width), place(ys[i], o.y, height)
      local inside = column >= 1 and column <= width and row >= 1 and row <= height
      if inside then cell[row * width + column] = points[1] end
    end
  end
  for row = height, 1, -1 do
    local line = {}
    for column = 1, width do line[column] = cell[row * width + column] or " " end
    local label = row == height and o.y[2] or row == 1 and o.y[1]
    print(("%6s |%s"):format(label and ("%.3g"):format(label) or "",
      (table.concat(line):gsub("%s+$", ""))))
  end
  local from, to = ("%.3g"):format(o.x[1]), ("%.3g"):format(o.x[2])
  print("       +" .. ("-"):rep(width))
  print("        " .. from .. (" "):rep(width - #from - #to) .. to)
end

--- Draws the plane of inputs, x1 to the right, x2 upwards: "+" where the net
-- answers 1, blank where it answers 0, and the targets of 'rows' at their places.
function common.plane(mg, net, rows)
  local points, from, to, across, down = {}, -0.5, 1.5, 41, 17
  for i = 0, across * down - 1 do
    local column, row = i % across, math.floor(i / across)
    points[i + 1] = { from + (to - from) * column / (across - 1),
                      from + (to - from) * row / (down - 1) }
  end
  local answers = common.numbers(net:predict(mg.tensor(points)))
  local ones, marks = { "+", {}, {} }, { { "0", {}, {} }, { "1", {}, {} } }
  local function add(series, x, y)
    table.insert(series[2], x)
    table.insert(series[3], y)
  end
  for i, point in ipairs(points) do
    if answers[i] > 0.5 then add(ones, point[1], point[2]) end
  end
  for _, row in ipairs(rows) do add(marks[row[3] + 1], row[1], row[2]) end
  common.plot { x = { from, to }, y = { from, to }, width = across, height = down,
                ones, marks[1], marks[2] }
end

return common
