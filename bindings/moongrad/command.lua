--- The command line: moongrad train, predict, info, convert, plot. bindings/command is the
-- program; it only calls 'run'. Arguments are read by argparse.
--
--   local command = require "moongrad.command"
--   os.exit(command.run { "info", "model.safetensors" })

local mg = require "moongrad"
local check = require "moongrad.check"

local command = {}

-- What a subcommand cannot do travels as one of these up to 'run'.
local failure = {}

--- Ends the command with one line.
local function fail(text, ...)
  error(setmetatable({ message = select("#", ...) > 0 and text:format(...) or text }, failure), 0)
end

--- What a function gave that returns nil and a message when it fails.
local function try(value, message, ...)
  if value == nil then fail("%s", tostring(message)) end
  return value, message, ...
end

local function extension(path) return (path:match("%.([%w]+)$") or ""):lower() end

--- "{2, 3}"
local function sizes(list) return "{" .. table.concat(list, ", ") .. "}" end

--- "1,28,28" as {1, 28, 28}.
local function to_sizes(text)
  local list = {}
  for word in text:gmatch("[^,]+") do
    local n = tonumber(word)
    if not n or n < 1 or n % 1 ~= 0 then
      return nil, ('"%s" is no size, such as 1,28,28'):format(text)
    end
    list[#list + 1] = n
  end
  return list
end

--- A number of arguments that must be whole, from 'low'.
local function whole(low)
  return function(text)
    local n = tonumber(text)
    if n and n >= low and n % 1 == 0 and n < 2 ^ 53 then return n end
    return nil, ('"%s" is no whole number from %d'):format(text, low)
  end
end

--- The net of a file, or what is missing.
local function load_net(path)
  local net = try(mg.load(path))
  if mg.type(net) == "layer" then return net end
  fail("%s has tensors, but no net that moongrad knows", path)
end

------------------------------------------------------------------------------- train

local trainer_fields = { net = true, loss = true, optimizer = true, metrics = true,
                         class_weight = true, anomaly = true, plan = true }
local own_fields = { data = true, epochs = true }

--- The table that a file of Lua returns.
local function configuration(path)
  local chunk, message = loadfile(path)
  if not chunk then fail("%s", message) end
  local config = chunk(mg)
  if type(config) ~= "table" then
    fail("%s returns %s, expected a table { net =, loss =, data =, .. }", path, type(config))
  end
  for _, name in ipairs { "net", "loss", "data" } do
    if config[name] == nil then fail("%s: %s is missing", path, name) end
  end
  return config
end

--- Trains what the file says: what is no field of mg.trainer is an option of fit.
local function train(args)
  mg.set_threads(args.threads)
  mg.seed(args.seed)
  local config = configuration(args.config)
  local made, options = {}, { progress = not args.quiet, shuffle = true }
  for name, value in pairs(config) do
    if trainer_fields[name] then made[name] = value
    elseif not own_fields[name] then options[name] = value end
  end
  made.optimizer = made.optimizer or "adam"
  options.log, options.checkpoint = args.log or options.log, args.checkpoint or options.checkpoint
  local trainer = mg.trainer(made)
  if args.resume then
    if not options.checkpoint then fail "--resume needs --checkpoint" end
    try(trainer:load(options.checkpoint))
  end
  try(trainer:fit(args.epochs or config.epochs or 10, config.data, options))
  if args.out then
    if mg.type(config.net) ~= "layer" then fail("--out: the net is a function, not a layer") end
    try(config.net:save(args.out))
    print("saved " .. args.out)
  end
end

----------------------------------------------------------------------------- predict

--- Rows of numbers, from CSV text.
local function rows_of(text, name)
  local rows = {}
  for line in text:gmatch("[^\r\n]+") do
    local row = {}
    for word in line:gmatch("[^,;%s]+") do row[#row + 1] = tonumber(word) or word end
    local wrong
    for _, v in ipairs(row) do wrong = wrong or type(v) == "string" and v end
    if wrong and #rows > 0 then fail('%s: "%s" is no number', name, wrong) end
    if not wrong and rows[1] and #row ~= #rows[1] then
      fail("%s: row %d has %d numbers, expected %d", name, #rows + 1, #row, #rows[1])
    end
    if not wrong and #row > 0 then rows[#rows + 1] = row end -- the first line may have names
  end
  if #rows == 0 then fail("%s has no numbers", name) end
  return rows
end

--- The examples in a file, or in standard input.
local function read_input(path)
  if path and extension(path) == "npy" then return try(mg.npy.read(path)) end
  local file = path and path ~= "-" and assert(io.open(path, "rb")) or io.stdin
  local text = file:read("*a")
  if file ~= io.stdin then file:close() end
  return mg.tensor(rows_of(text, path or "standard input"))
end

--- Lines of an answer: its numbers, or the class of the largest.
local function answer_lines(y, as_class)
  y = y:reshape(y:size(1), -1)
  if as_class then y = y:argmax(2):reshape(-1, 1) end
  local lines = {}
  for i, row in ipairs(y:totable()) do
    for j, v in ipairs(row) do row[j] = ("%.9g"):format(v) end
    lines[i] = table.concat(row, ",")
  end
  return table.concat(lines, "\n") .. "\n"
end

local function predict(args)
  local net = load_net(args.model)
  local x = read_input(args.input)
  if args.shape then x = x:reshape(x:size(1), (table.unpack or unpack)(args.shape)) end
  local y = net:predict(x)
  if args.out and extension(args.out) == "npy" then return try(mg.npy.write(args.out, y)) end
  local text = answer_lines(y, args.class)
  local file = args.out and assert(io.open(args.out, "wb")) or io.stdout
  file:write(text)
  if args.out then file:close() end
end

-------------------------------------------------------------------------------- info

--- The size of one example of a net, by the first layer of a row of them; nil where that
-- does not tell.
local function input_of(l)
  local d = l:describe()
  if d.kind == "sequential" then return d.parts[1] and input_of(d.parts[1].layer) end
  return d.input and { (table.unpack or unpack)(d.input, 2) }
end

local function info(args)
  local tensors = try(mg.load(args.file, { weights_only = true }))
  local found = try(mg.load(args.file))
  if mg.type(found) == "layer" then
    print(found:summary(input_of(found)))
    print("hash " .. found:hash() .. "\n")
  end
  local names, numbers = {}, 0
  for name, t in pairs(tensors) do
    names[#names + 1] = name
    numbers = numbers + t:numel()
  end
  table.sort(names)
  for _, name in ipairs(names) do
    local t = tensors[name]
    local low, high = t:min(), t:max()
    print(("%-32s %-20s %12.5g .. %.5g"):format(name, sizes(t.shape), low:item(), high:item()))
  end
  print(("%d tensors, %d numbers"):format(#names, numbers))
end

----------------------------------------------------------------------------- convert

-- What a file can become, by its extension.
local writers = {
  safetensors = function(value, path) return mg.save(path, value) end,
  npz = function(value, path)
    if mg.type(value) ~= "layer" then return mg.npy.write(path, value) end
    local tensors = {}
    for _, part in ipairs(value:parameters(true)) do tensors[part.name] = part.tensor end
    return mg.npy.write(path, tensors)
  end,
}
for ending, format in pairs { lua = "lua", h = "c", onnx = "onnx" } do
  writers[ending] = function(value, path, shape)
    if mg.type(value) ~= "layer" then fail("a .%s file needs a net, not tensors alone", ending) end
    return mg.export[format](value, path, { input = shape })
  end
end

local function convert(args)
  local write = writers[extension(args.to)]
  if not write then
    fail("%s: its end must be .safetensors, .npz, .lua, .h or .onnx", args.to)
  end
  local read = extension(args.from) == "npz" and mg.npy.read or mg.load
  try(write(try(read(args.from)), args.to, args.shape))
end

-------------------------------------------------------------------------------- plot

local function plot(args)
  local system = check.module(require, "moongrad.system")
  local plain = not args.out and not (system and system.isatty(1))
  local picture = try(mg.plot.loss(args.log, { out = args.out, color = plain and "none" or nil }))
  if not args.out then print(picture) end
end

----------------------------------------------------------------------------- parsing

local commands = { train = train, predict = predict, info = info, convert = convert, plot = plot }

local function parser()
  local argparse = check.module(require, "argparse")
  if not argparse then
    fail('the command line needs the rock "argparse" (Debian: apt install lua-argparse)')
  end
  local p = argparse("moongrad", "Small neural networks: training, using and looking at them.")
  p:flag("--version", "Print the version."):action(function()
    print(mg._VERSION)
    os.exit(0, true)
  end)
  p:command_target "command"
  p:help_max_width(80)

  local c = p:command("train", "Train a net as a file of Lua says.")
  c:argument("config", "Lua that returns { net =, loss =, optimizer =, data =, epochs =, .. }: "
    .. "fields of mg.trainer and options of trainer:fit.")
  c:option("--epochs", "Passes over the data.", nil, whole(1))
  c:option("--seed", "Where the random numbers start.", "1", whole(0))
  c:option("--threads", "Threads that large operations share.", "1", whole(1))
  c:option("--out", "Where to save the net (.safetensors).")
  c:option("--checkpoint", "Where to save the training after each epoch.")
  c:flag("--resume", "Go on from the checkpoint.")
  c:option("--log", "Add a line of JSON to this file after each epoch.")
  c:flag("--quiet", "Print nothing but errors and what is saved.")

  c = p:command("predict", "Ask a net.")
  c:argument("model", "A file of a net (.safetensors).")
  c:argument("input", "Examples: .npy, or lines of numbers; standard input if left out."):args "?"
  c:option("--shape", "Sizes of one example, such as 1,28,28.", nil, to_sizes)
  c:option("--out", "Where to write the answers (.npy or text).")
  c:flag("--class", "Print the class of the largest answer, from 1.")

  c = p:command("info", "Tell what is in a file: layers, tensors, their ranges.")
  c:argument("file", "A .safetensors file.")

  c = p:command("convert", "Write a net or tensors in another format.")
  c:argument("from", "A .safetensors or .npz file.")
  c:argument("to", "A .safetensors, .npz, .lua, .h (C) or .onnx file.")
  c:option("--shape", "Sizes of one example, where the net does not know them.", nil, to_sizes)

  c = p:command("plot", "Draw the log of a training.")
  c:argument("log", "What train --log or trainer:fit{log=} has written.")
  c:option("--out", "A .png or .svg file; in the terminal if left out.")
  return p
end

--- An error without the place in the program's own files; that in a file of the user's stays.
local function plain(message)
  local text = tostring(message)
  for _, name in ipairs { "command%.lua", "command", "moongrad" } do
    text = text:gsub("^[^:\n]*%f[%w]" .. name .. ":%d+: ", "")
  end
  return text
end

--- Runs a command.
-- @tparam table arguments  the words behind "moongrad"
-- @treturn number  exit status: 0, or 1 after one line on standard error
function command.run(arguments)
  local ok, message = pcall(function()
    local args = parser():parse(arguments)
    commands[args.command](args)
  end)
  if ok then return 0 end
  if getmetatable(message) == failure then message = message.message end
  io.stderr:write("moongrad: ", plain(message), "\n")
  return 1
end

return command
