--- The reference, made from the tables of the core: every op, activation, loss,
-- layer, optimizer, schedule, initialiser and metric, with its arguments and their defaults;
-- and of functions.lua, which tells of everything else.
--
--   local reference = require "moongrad.reference"
--   io.write(reference.text())       -- all of it, as Markdown
--   print(reference.help "adam")     -- one entry as a few lines of plain text

local core = require "moongrad.core"
local functions = require "moongrad.functions"
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

local KINDS = { "layer", "operation", "activation", "loss", "optimizer", "schedule",
                "initialiser", "metric", "function" }
local PREFIX = { schedule = "mg.schedule.", ["function"] = "", initialiser = "", metric = "" }

local all, tables -- once they are collected

--- Fills all, by kind, and tables, those of the core.
local function collect()
  if all then return end
  local list, known = {}, core.describe()
  for _, kind in ipairs(KINDS) do list[kind] = {} end
  local function add(entry) table.insert(list[entry.kind], entry) end
  for _, op in ipairs(known.ops) do add(op_entry(op)) end
  for _, layer in ipairs(known.layers) do add(layer_entry(layer)) end
  for _, optimizer in ipairs(known.optimizers) do
    add(optimizer_entry(optimizer, known.optimizer_common))
  end
  for kind, words in pairs { initialiser = known.inits, metric = known.metrics } do
    for _, word in ipairs(words) do
      add { name = word.name, kind = kind, call = '"' .. word.name .. '"', doc = word.doc,
            options = {} }
    end
  end
  for _, part in ipairs(functions) do
    for _, entry in ipairs(part) do add(entry) end
  end
  if not core.schedule_docs then require "moongrad.schedule" (nil, core) end
  for _, schedule in ipairs(core.schedule_docs) do add(schedule_entry(schedule)) end
  all, tables = list, known -- now that all of it is there
end

----------------------------------------------------------------------------- Markdown

--- "`a`, `b`": names as code.
local function code(names)
  local list = {}
  for i, name in ipairs(names) do list[i] = "`" .. name .. "`" end
  return concat(list, ", ")
end

--- Ops whose name, as a function of mg, is a layer.
local function layers_too()
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

--- 'example' gives the text that stands under an entry, or nil.
local function markdown_entry(entry, out, example)
  out[#out + 1] = "### " .. entry.name .. "\n"
  out[#out + 1] = wrap(entry.call, "    ") .. "\n"
  out[#out + 1] = wrap(entry.doc .. ".", "") .. "\n"
  markdown_options(entry.options, out)
  if entry.note and entry.kind ~= "optimizer" then
    out[#out + 1] = wrap(entry.note, "") .. "\n"
  end
  out[#out + 1] = example(entry)
end

local function section(out, title, intro, entries, example)
  out[#out + 1] = "## " .. title .. "\n"
  out[#out + 1] = wrap(intro, "") .. "\n"
  for _, entry in ipairs(entries or {}) do markdown_entry(entry, out, example) end
end

--- All entries, by kind; and what the core tells of its tables.
function reference.entries()
  collect()
  return all, tables
end

--- The whole reference.
-- @tparam[opt] function example  what to put under an entry: a text, or nil
-- @treturn string  Markdown
function reference.text(example)
  example = example or function() end
  collect()
  local out = { "# moongrad " .. core.version .. ": reference\n" }
  out[2] = wrap("Made from the tables of the core, by `make docs`. `mg` is"
    .. ' `require "moongrad"`. Brackets enclose arguments that may be left out.'
    .. " Arguments are given in this order, or by name in one table at the end:"
    .. " `x:sum(1, true)` is `x:sum { dim = 1, keepdim = true }`.", "") .. "\n"
  section(out, "Operations", "Each is a method of tensors, `x:sum()`, and a function,"
    .. " `mg.sum(x)`; as functions " .. code(layers_too())
    .. " make layers instead. With a trailing underscore, `x:exp_()`, the result is"
    .. " written over x.", all.operation, example)
  section(out, "Activations", "Operations that are also layers, by name:"
    .. ' `mg.sequential { 2, mg.dense(3), "tanh" }` or `mg.dense(3, "tanh")`.',
    all.activation, example)
  section(out, "Losses", "Functions of a prediction and a target; a trainer takes them"
    .. ' by name: `mg.trainer { loss = "mse", .. }`. Class labels count from 1.',
    all.loss, example)
  section(out, "Layers", "Every layer takes the option `name` too, which error texts and"
    .. " summaries show. Sizes are batch first: n is the number of examples. The"
    .. " entries of a container are layers, names of activations and functions of one"
    .. " tensor; a first entry of sizes, of one example, builds it at once. A parameter may"
    .. " be given as a tensor by its name, and then is the same wherever it was given:"
    .. " `mg.dense(n, { weight = e:named().weight })` for an embedding `e` of n ids; one that"
    .. " requires no gradient stays as it is.", all.layer, example)
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
  for _, entry in ipairs(all.optimizer) do markdown_entry(entry, out, example) end
  section(out, "Schedules", "Learning rates that change with the step, or with how training"
    .. " goes: `mg.adam { lr = mg.schedule.cosine { lr = 0.1, steps = 1000 } }`.",
    all.schedule, example)
  section(out, "Initialisers", "How the numbers of a parameter start, by name:"
    .. ' `mg.dense(3, { init = "zeros" })`.')
  markdown_options(word_lines(tables.inits), out)
  for _, list in ipairs(functions) do
    out[#out + 1] = "## " .. list.title .. "\n"
    for _, entry in ipairs(list) do markdown_entry(entry, out, example) end
  end
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

--- The names of entries.
local function names_of(entries)
  local names = {}
  for i, entry in ipairs(entries) do names[i] = entry.name end
  return names
end

--- The names that help knows, by kind.
local function overview()
  local out = { 'mg.help "name" tells more of:' }
  local function add(title, entries)
    out[#out + 1] = wrap(title .. ": " .. concat(names_of(entries), ", "), "  ")
  end
  for i = 1, #KINDS - 1 do
    add(KINDS[i] .. (KINDS[i] == "loss" and "es" or "s"), all[KINDS[i]])
  end
  for _, list in ipairs(functions) do add(list.title:lower(), list) end
  return concat(out, "\n")
end

--- Says that there is no such entry, and which have a name like it.
local function unknown(name)
  local like = {}
  for _, kind in ipairs(KINDS) do
    for _, other in ipairs(names_of(all[kind])) do
      if name ~= "" and other:find(name, 1, true) then like[#like + 1] = other end
    end
  end
  return ('help: nothing is called "%s"%s'):format(name,
    #like > 0 and "; there is " .. concat(like, ", ") or "")
end

--- Is that what an entry is called: mg.data.csv, data.csv, csv; tensor:sum, mg.sum, sum?
local function is_called(entry, name)
  local full = (PREFIX[entry.kind] or "mg.") .. entry.name
  local front = full:sub(1, -#name - 1)
  if full:sub(-#name) == name and (front == "" or front:find("[.:]$")) then return true end
  return not PREFIX[entry.kind] and "tensor:" .. entry.name == name
end

--- All entries for which f(entry) is true, as text.
local function choose(f)
  local found = {}
  for _, kind in ipairs(KINDS) do
    for _, entry in ipairs(all[kind]) do
      if f(entry) then found[#found + 1] = plain(entry) end
    end
  end
  return found
end

--- Of a name that has no entry: those of a table, mg.data say; or of an op written over x.
local function others(name)
  local found = choose(function(entry)
    local full = (PREFIX[entry.kind] or "mg.") .. entry.name
    return full:find("mg." .. name .. ".", 1, true) == 1 or full:find(name .. ".", 1, true) == 1
  end)
  local op = name:gsub("^tensor:", ""):match("^(.+)_$")
  if #found > 0 or not op or not core.tensor_methods[op .. "_"] then return found end
  found = choose(function(entry) return entry.kind ~= "layer" and is_called(entry, op) end)
  table.insert(found, 1, ("x:%s_() writes over x what x:%s() gives:"):format(op, op))
  return found
end

--- What a function or method, an op, layer, optimizer, schedule, initialiser or metric does and
-- takes; all where they share the name.
-- @tparam[opt] string name  all names where it is left out
-- @treturn string  or nil and a message
function reference.help(name)
  collect()
  if name == nil then return overview() end
  if type(name) ~= "string" then
    check.fail("help", "name is a %s, expected a string", type(name))
  end
  local found = choose(function(entry) return name ~= "" and is_called(entry, name) end)
  if #found == 0 and name ~= "" then found = others(name) end
  if #found == 0 then return nil, unknown(name) end
  return concat(found, "\n\n")
end

return reference
