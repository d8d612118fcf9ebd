--- The reference, made from the tables of the core: every op, activation, loss,
-- layer, optimizer, schedule, initialiser and metric, with its arguments and their defaults;
-- and what works with files.
--
--   local reference = require "moongrad.reference"
--   io.write(reference.text())       -- all of it, as Markdown
--   print(reference.help "adam")     -- one entry as a few lines of plain text

local core = require "moongrad.core"
local check = require "moongrad.check"

local concat = table.concat

local reference = {}

local WIDTH = 88
local ENDLESS, TINY = 1e6, 1e-30 -- bounds beyond these stand for none
local BELOW_1 = 1 - 2 ^ -53

-- What the Lua side adds to an op of the core.
local ADDED = {
  max = "With dim a second result tells where it is, from 1.",
  min = "With dim a second result tells where it is, from 1.",
}

local FAILS = "nil, a message and a code when a file cannot be read or written"

-- Functions and methods for files: how they are called, what they do.
local FILES = {
  { "save", "mg.save(path, net or {name=tensor}), net:save(path)", "writes a net with its"
    .. " architecture and all that it keeps, or tensors by name, as a safetensors file, which"
    .. " replaces an old one at once when it is all on the disk; true, or " .. FAILS },
  { "load", "mg.load(path [, {weights_only=}])", "the net or the tensors by name of a file; with"
    .. " weights_only the tensors of any safetensors file; or " .. FAILS
    .. ". Classes are made by mg.module first" },
  { "dump", "mg.dump(net or {name=tensor})", "what save would write, as a string" },
  { "undump", "mg.undump(bytes [, {weights_only=}])", "what load would read, from a string" },
  { "load_weights", "net:load_weights(path or {name=tensor} [, rename])", "copies all weights"
    .. " and buffers by their names, or none where names or shapes differ; rename tells the"
    .. " net's name for a foreign one, {[foreign] = own} or a function, false to leave one out;"
    .. " the net, or " .. FAILS },
  { "set_files", "mg.set_files(functions or nil)", "lets files be opened, read, written and"
    .. " renamed by functions of the host" },
}

----------------------------------------------------------------------------- words

local function number(v) return ("%.14g"):format(v) end

--- "a|b|c" as a list.
local function split(choices)
  local list = {}
  for word in choices:gmatch("[^|]+") do list[#list + 1] = word end
  return list
end

-- What a user of PyTorch would not expect.
local DIFFERENCES = {
  "Dimensions, indices, ids and class labels count from 1; the blank of `ctc` is class 1.",
  "Sequences are batch first everywhere, as {batch, time, features}; so are those of `ctc`.",
  "Weights start by `xavier_uniform` (embeddings by `standard_normal`) and biases at 0.",
  "`padding = \"same\"` is there for any stride, as in Keras; `global_avgpool2d` gives {n, c}.",
  "`max` and `min` of all numbers give the gradient to the first of equal ones.",
  "`return_sequence = false` of a recurrent layer gives the last result of each direction.",
  "A mask of `attention` has 1 where there is something to see; who sees nothing gets 0.",
  "`nadam` follows the paper where PyTorch 1.13 counts one factor twice.",
  "The gradient of `ctc` is that of its log-probabilities, not yet that of the logits.",
  "Schedules hold their last rate at the end; `one_cycle` leaves the momentum alone.",
}

local TYPES = {
  number = "a number", integer = "an integer", boolean = "true or false",
  dimension = "a dimension, counted from 1, or from the end as -1",
  activation = "the name of an activation", initialiser = "the name of an initialiser",
  ["function"] = "a schedule", string = "a name",
  sizes = "integers, one by one or in a table", pair = "an integer",
}

--- What an option takes: 'a number from 0 to 1'.
local function kind_of(attr)
  if attr.type == "choice" then
    local words = split(attr.choices)
    for i, word in ipairs(words) do words[i] = '"' .. word .. '"' end
    local last = table.remove(words)
    return concat(words, ", ") .. " or " .. last
  end
  local text, low, high = TYPES[attr.type], attr.low, attr.high
  if not low then return text end
  if low > 0 and low <= TINY then text = text .. " above 0"
  elseif low > -ENDLESS then text = text .. " from " .. number(low) end
  if high == BELOW_1 then text = text .. " to below 1"
  elseif high < ENDLESS then text = text .. " to " .. number(high) end
  if attr.type == "pair" then
    text = text .. ", or {h, w}"
    if attr.choices then text = text .. ', or "' .. attr.choices:gsub("|", '", "') .. '"' end
  end
  return text
end

--- An option's default in words; nil where it must be given.
local function default_of(attr)
  local v, type = attr.default, attr.type
  if v == nil or type == "sizes" then return nil end
  if type == "boolean" then return v ~= 0 and "true" or "false" end
  if type == "choice" then return '"' .. split(attr.choices)[v + 1] .. '"' end
  if type == "activation" then return "none" end
  if type == "initialiser" then return "the layer's own" end
  if type == "dimension" and v == 0 or math.abs(v) >= 1e30 then return "none" end
  return number(v)
end

--- Lines of at most WIDTH characters, each after 'indent'; `code` stays on one.
local function wrap(text, indent)
  local lines, line = {}, ""
  text = text:gsub("`[^`]*`", function(span) return (span:gsub(" ", "\1")) end)
  for word in text:gmatch("%S+") do
    if line ~= "" and #indent + #line + 1 + #word > WIDTH then
      lines[#lines + 1], line = indent .. line, ""
    end
    line = line == "" and word or line .. " " .. word
  end
  lines[#lines + 1] = indent .. line
  return (concat(lines, "\n"):gsub("\1", " "))
end

--------------------------------------------------------------------------- entries
-- An entry: name, kind, call (how it is written), doc, options (a list of {name,
-- what it takes}), note.

--- "x, y [, z]": arguments that may be left out in brackets.
local function arguments(list)
  local needed, others = {}, {}
  for _, argument in ipairs(list) do
    local to = argument.optional and others or needed
    to[#to + 1] = argument.name
  end
  local text = concat(needed, ", ")
  if #others == 0 then return text end
  return text .. (text == "" and "[" or " [, ") .. concat(others, ", ") .. "]"
end

local function option_line(attr)
  local default = default_of(attr)
  local text = kind_of(attr) .. (default and "; default " .. default or "")
  return { attr.name, attr.doc and attr.doc .. "; " .. text or text }
end

local function option_lines(attrs)
  local lines = {}
  for i, attr in ipairs(attrs) do lines[i] = option_line(attr) end
  return lines
end

--- Operands and attributes of an op in the order of its arguments.
local function op_arguments(op)
  local operands, attrs, words, list, there = {}, {}, {}, {}, {}
  for word in op.operands:gmatch("%S+") do
    local name = word:match("^[%w_]+")
    operands[name] = { name = name, optional = word:sub(-1) == "?" }
    words[#words + 1] = name
  end
  for _, attr in ipairs(op.attrs) do
    attrs[attr.name] = { name = attr.type == "sizes" and attr.name .. ".." or attr.name,
                         optional = default_of(attr) ~= nil }
    words[#words + 1] = attr.name
  end
  for name in ((op.order or "") .. " " .. concat(words, " ")):gmatch("[%w_]+") do
    if not there[name] then list[#list + 1] = operands[name] or attrs[name] end
    there[name] = true
  end
  return list, operands
end

local function op_kind(op)
  return op.activation and "activation" or op.loss and "loss" or "operation"
end

local function op_entry(op)
  local list, operands = op_arguments(op)
  local options = option_lines(op.attrs)
  for _, argument in ipairs(list) do
    if operands[argument.name] and argument.optional then
      table.insert(options, 1, { argument.name, "a tensor; may be left out" })
    end
  end
  local call
  if op.operands:find("..", 1, true) then -- one table of tensors
    list[1] = { name = "{" .. list[1].name .. ", ..}" }
    call = ("mg.%s(%s)"):format(op.name, arguments(list))
  elseif op.loss then
    call = ("mg.%s(%s)"):format(op.name, arguments(list))
  else
    local first = table.remove(list, 1)
    call = ("%s:%s(%s)"):format(first.name, op.name, arguments(list))
  end
  local note = ADDED[op.name]
  if not op.differentiable then note = "No gradient flows through it." end
  return { name = op.name, kind = op_kind(op), call = call, doc = op.doc,
           options = options, note = note }
end

--- How a layer is called that takes or gives more than one tensor.
local function further_note(layer)
  if not (layer.inputs or layer.outputs) then return nil end
  local results, inputs = (layer.outputs or ""):gsub("%S+", ", %0"), layer.inputs
  results = "y" .. results:gsub(" ,", ",")
  inputs = inputs and ", { " .. inputs:gsub("%S+", "%0="):gsub(" ", ", ") .. " }" or ""
  return ("Called as `%s = layer(x%s)`%s."):format(
    results, inputs, layer.inputs and "; each of these may be left out" or "")
end

--- Initialisers or metrics as a list of {name, what it is}.
local function word_lines(words)
  local lines = {}
  for i, word in ipairs(words) do lines[i] = { word.name, word.doc } end
  return lines
end

local function layer_entry(layer)
  local list = {}
  for i, attr in ipairs(layer.attrs) do
    list[i] = { name = attr.type == "sizes" and attr.name .. ".." or attr.name,
                optional = default_of(attr) ~= nil }
  end
  local call = ("mg.%s(%s)"):format(layer.name, arguments(list))
  if layer.container then call = ("mg.%s { layer, .. }"):format(layer.name) end
  return { name = layer.name, kind = "layer", call = call, doc = layer.doc,
           options = option_lines(layer.attrs), note = further_note(layer) }
end

local function optimizer_entry(optimizer, common)
  local names, shared = {}, {}
  for i, attr in ipairs(optimizer.attrs) do names[i] = attr.name .. "=" end
  for i, attr in ipairs(common) do shared[i] = attr.name end
  return { name = optimizer.name, kind = "optimizer", doc = optimizer.doc,
           call = ("mg.%s { %s }"):format(optimizer.name, concat(names, ", ")),
           options = option_lines(optimizer.attrs),
           note = ("Further options, as of every optimizer: %s."):format(
             concat(shared, ", ")) }
end

--- A schedule is made in Lua, which describes it as the core does.
local function schedule_entry(schedule)
  local names = {}
  for i, attr in ipairs(schedule.attrs) do names[i] = attr.name .. "=" end
  return { name = schedule.name, kind = "schedule", doc = schedule.doc,
           call = ("mg.schedule.%s { %s }"):format(schedule.name, concat(names, ", ")),
           options = option_lines(schedule.attrs) }
end

--- Everything there is, by kind.
local function collect()
  local all, tables = { operation = {}, activation = {}, loss = {}, layer = {},
                        optimizer = {}, schedule = {} }, core.describe()
  local function add(entry) table.insert(all[entry.kind], entry) end
  for _, op in ipairs(tables.ops) do add(op_entry(op)) end
  for _, layer in ipairs(tables.layers) do add(layer_entry(layer)) end
  for _, optimizer in ipairs(tables.optimizers) do
    add(optimizer_entry(optimizer, tables.optimizer_common))
  end
  all["function"] = {}
  for _, f in ipairs(FILES) do
    add { name = f[1], kind = "function", call = f[2], doc = f[3], options = {} }
  end
  if not core.schedule_docs then require "moongrad.schedule" (nil, core) end
  for _, schedule in ipairs(core.schedule_docs) do add(schedule_entry(schedule)) end
  return all, tables
end

----------------------------------------------------------------------------- Markdown

--- "`a`, `b`": names as code.
local function code(names)
  local list = {}
  for i, name in ipairs(names) do list[i] = "`" .. name .. "`" end
  return concat(list, ", ")
end

--- Ops whose name, as a function of mg, is a layer.
local function layers_too(tables)
  local layers, names = {}, {}
  for _, layer in ipairs(tables.layers) do layers[layer.name] = true end
  for _, op in ipairs(tables.ops) do
    if layers[op.name] then names[#names + 1] = op.name end
  end
  return names
end

local function markdown_options(options, out)
  if #options == 0 then return end
  for _, option in ipairs(options) do
    local text = wrap(("`%s`: %s"):format(option[1], option[2]), "  ")
    out[#out + 1] = "- " .. text:sub(3)
  end
  out[#out + 1] = ""
end

local function markdown_entry(entry, out)
  out[#out + 1] = "### " .. entry.name .. "\n"
  out[#out + 1] = wrap(entry.call, "    ") .. "\n"
  out[#out + 1] = wrap(entry.doc .. ".", "") .. "\n"
  markdown_options(entry.options, out)
  if entry.note and entry.kind ~= "optimizer" then
    out[#out + 1] = wrap(entry.note, "") .. "\n"
  end
end

local function section(out, title, intro, entries)
  out[#out + 1] = "## " .. title .. "\n"
  out[#out + 1] = wrap(intro, "") .. "\n"
  for _, entry in ipairs(entries or {}) do markdown_entry(entry, out) end
end

--- The whole reference.
-- @treturn string  Markdown
function reference.text()
  local all, tables = collect()
  local out = { "# moongrad " .. core.version .. ": reference\n" }
  out[2] = wrap("Made from the tables of the core, by `make reference`. `mg` is"
    .. ' `require "moongrad"`. Brackets enclose arguments that may be left out.'
    .. " Arguments are given in this order, or by name in one table at the end:"
    .. " `x:sum(1, true)` is `x:sum { dim = 1, keepdim = true }`.", "") .. "\n"
  section(out, "Operations", "Each is a method of tensors, `x:sum()`, and a function,"
    .. " `mg.sum(x)`; as functions " .. code(layers_too(tables))
    .. " make layers instead. With a trailing underscore, `x:exp_()`, the result is"
    .. " written over x.", all.operation)
  section(out, "Activations", "Operations that are also layers, by name:"
    .. ' `mg.sequential { 2, mg.dense(3), "tanh" }` or `mg.dense(3, "tanh")`.',
    all.activation)
  section(out, "Losses", "Functions of a prediction and a target; a trainer takes them"
    .. ' by name: `mg.trainer { loss = "mse", .. }`. Class labels count from 1.',
    all.loss)
  section(out, "Layers", "Every layer takes the option `name` too, which error texts and"
    .. " summaries show. Sizes are batch first: n is the number of examples. The"
    .. " entries of a container are layers, names of activations and functions of one"
    .. " tensor; a first entry of sizes, of one example, builds it at once. A parameter may"
    .. " be given as a tensor by its name, and then is the same wherever it was given:"
    .. " `mg.dense(n, { weight = e:named().weight })` for an embedding `e` of n ids; one that"
    .. " requires no gradient stays as it is.", all.layer)
  section(out, "Optimizers", "`lr` is a number, or a function that is given the step,"
    .. " from 1, and returns one; `mg.schedule` has `step`, `exponential`, `cosine`,"
    .. " `linear_warmup`, `one_cycle` and `plateau`. `groups` gives some parameters options"
    .. ' of their own, the first that fits: `{ { match = "bias$", weight_decay = 0 }, {'
    .. ' match = "^0%.", lr_scale = 0.1 } }` by patterns on their names, or `ndim = 1` for'
    .. " those of so many dimensions at most, as in `mg.no_decay`. With `ema` the optimizer"
    .. " keeps an average of the weights: `opt:averaged(f, ..)` calls f with them in place"
    .. " of the others. The options below belong to every optimizer; 0"
    .. " switches one off. The gradient is scaled down to the length `clip_norm` where"
    .. " it is longer, each number of it is kept between -`clip_value` and"
    .. " `clip_value`, then `l2` * w and `l1` * sign(w) are added.")
  markdown_options(option_lines(tables.optimizer_common), out)
  for _, entry in ipairs(all.optimizer) do markdown_entry(entry, out) end
  section(out, "Schedules", "Learning rates that change with the step, or with how training"
    .. " goes: `mg.adam { lr = mg.schedule.cosine { lr = 0.1, steps = 1000 } }`.",
    all.schedule)
  section(out, "Initialisers", "How the numbers of a parameter start, by name:"
    .. ' `mg.dense(3, { init = "zeros" })`.')
  markdown_options(word_lines(tables.inits), out)
  section(out, "Files", "The format is safetensors, which other programs read and write too.",
    all["function"])
  section(out, "Metrics", "What a trainer reports besides the loss, by name:"
    .. ' `mg.trainer { metrics = { "accuracy" }, .. }`.')
  markdown_options(word_lines(tables.metrics), out)
  section(out, "Beside PyTorch", "Formulas, defaults and names of parameters are PyTorch's."
    .. " What is different, because it is Lua, or because it is better known otherwise:")
  for _, line in ipairs(DIFFERENCES) do out[#out + 1] = wrap("- " .. line, "") end
  return concat(out, "\n") .. "\n"
end

--------------------------------------------------------------------------------- help

--- An entry as plain text.
local function plain(entry)
  local out = { wrap(entry.call, "") .. "  (" .. entry.kind .. ")", wrap(entry.doc, "  ") }
  local width = 0
  for _, option in ipairs(entry.options) do width = math.max(width, #option[1]) end
  for _, option in ipairs(entry.options) do
    local text = wrap(option[2], (" "):rep(width + 4))
    out[#out + 1] = "  " .. option[1] .. text:sub(#option[1] + 3)
  end
  if entry.note then out[#out + 1] = wrap(entry.note, "  ") end
  return concat(out, "\n")
end

--- Says that there is no such entry, and which have a name like it.
local function unknown(name, names)
  local like = {}
  for _, other in ipairs(names) do
    if name ~= "" and other:find(name, 1, true) then like[#like + 1] = other end
  end
  return ('help: nothing is called "%s"%s'):format(name,
    #like > 0 and "; there is " .. concat(like, ", ") or "")
end

--- The names that help knows, by kind.
local function overview(all, tables)
  local out = { 'mg.help "name" tells more of:' }
  for _, kind in ipairs { "layer", "operation", "activation", "loss", "optimizer", "schedule",
                          "initialiser", "metric" } do
    local names = {}
    local list = kind == "initialiser" and tables.inits or kind == "metric" and tables.metrics
    for i, entry in ipairs(list or all[kind]) do names[i] = entry.name end
    out[#out + 1] = wrap(kind .. (kind == "loss" and "es: " or "s: ") .. concat(names, ", "), "  ")
  end
  return concat(out, "\n")
end

--- What one op, layer, optimizer, schedule, initialiser or metric does and takes; all where they
-- share the name.
-- @tparam[opt] string name  all names where it is left out
-- @treturn string  or nil and a message
function reference.help(name)
  if name == nil then return overview(collect()) end
  if type(name) ~= "string" then
    check.fail("help", "name is a %s, expected a string", type(name))
  end
  local all, tables = collect()
  local found, names = {}, {}
  for _, kind in ipairs { "layer", "operation", "activation", "loss", "optimizer",
                         "schedule", "function" } do
    for _, entry in ipairs(all[kind]) do
      names[#names + 1] = entry.name
      if entry.name == name then found[#found + 1] = plain(entry) end
    end
  end
  for _, kind in ipairs { "initialiser", "metric" } do
    for _, word in ipairs(kind == "metric" and tables.metrics or tables.inits) do
      names[#names + 1] = word.name
      if word.name == name then
        found[#found + 1] = ('"%s"  (%s)\n'):format(name, kind) .. wrap(word.doc, "  ")
      end
    end
  end
  if #found == 0 then return nil, unknown(name, names) end
  return concat(found, "\n\n")
end

return reference
