--- The text of types.lua: every public name with its arguments, as the Lua language server and
-- editors that ask it understand them.

local core = require "moongrad.core"

local TYPES = { -- of options in the tables of the core
  number = "number", integer = "integer", boolean = "boolean", dimension = "integer",
  activation = "string", initialiser = "string", string = "string", pair = "integer|integer[]",
  sizes = "integer|integer[]", ["function"] = "moongrad.Rate",
}

local ARGUMENTS = { -- of functions, by their names
  n = "integer", i = "integer", j = "integer", count = "integer",
  first = "number", last = "number", step = "number", v = "any", dim = "integer",
  path = "string", name = "string", bytes = "string", type = "string", f = "function",
  shape = "integer[]", sizes = "integer|integer[]", images = "string", labels = "string",
  folder = "string", share = "number", on = "boolean", epochs = "integer", batch = "integer",
  ["mg.gradcheck f"] = "fun(...: moongrad.Tensor): moongrad.Tensor",
}

local T, L, O, S = "moongrad.Tensor", "moongrad.Layer", "moongrad.Optimizer", "moongrad.Dataset"
local FAILING = "?; string? message; any code"

local RESULTS = { -- of functions, apart by "; "; else that of their section
  ["tensor:size"] = "integer|integer[]", ["tensor:dim"] = "integer", ["tensor:numel"] = "integer",
  ["tensor:item"] = "number", ["tensor:totable"] = "any", ["tensor:get"] = "number",
  ["tensor:split"] = T .. "[]", ["tensor:chunk"] = T .. "[]", ["tensor:to_string"] = "string",
  ["tensor:close"] = "nil", ["tensor:backward"] = "nil", ["mg.seed"] = "nil",
  ["mg.grad"] = T .. "[]", ["mg.no_grad"] = "any", ["mg.gradcheck"] = "number",
  ["mg.anomaly"] = "boolean", ["mg.module"] = "fun(...): " .. L, ["mg.pure"] = "function",
  ["layer:parameters"] = "{ name: string, tensor: " .. T .. " }[]",
  ["layer:named"] = "table<string, " .. T .. ">", ["layer:num_parameters"] = "integer",
  ["layer:predict"] = T, ["layer:hash"] = "string", ["layer:summary"] = "string",
  ["layer:describe"] = "table", ["layer:save"] = "boolean" .. FAILING,
  ["layer:load_weights"] = L .. FAILING, ["layer:close"] = "nil",
  ["optimizer:step"] = "number?", ["optimizer:averaged"] = "any", ["optimizer:close"] = "nil",
  ["mg.trainer"] = "moongrad.Trainer", ["trainer:step"] = "number",
  ["trainer:epochs"] = "fun(): table?", ["trainer:fit"] = "table[]" .. FAILING,
  ["trainer:run"] = "string state; number loss", ["trainer:evaluate"] = "table",
  ["trainer:save"] = "boolean" .. FAILING, ["trainer:load"] = "boolean" .. FAILING,
  ["trainer:parts"] = "{ net: " .. L .. ", optimizer: " .. O .. ", metrics: table[] }",
  ["trainer:position"] = "integer epoch; integer done", ["trainer:close"] = "nil",
  ["mg.data.idx"] = S .. FAILING, ["mg.data.csv"] = S .. FAILING,
  ["mg.data.mnist"] = S .. "? train; " .. S .. "|string test",
  ["mg.data.fashion_mnist"] = S .. "? train; " .. S .. "|string test",
  ["dataset:split"] = S .. " first; " .. S .. " rest",
  ["dataset:batches"] = "fun(): " .. T .. ", " .. T,
  ["dataset:batch"] = T .. " x; " .. T .. " y", ["dataset:info"] = "table?",
  ["dataset:normalize"] = S .. " self; table statistics", ["dataset:features"] = "integer",
  ["dataset:stats"] = "number[] means; number[] deviations", ["dataset:close"] = "nil",
  ["mg.load"] = L .. "|table<string, " .. T .. ">" .. FAILING, ["mg.undump"] = "any",
  ["mg.dump"] = "string", ["mg.npy.read"] = T .. "|table<string, " .. T .. ">" .. FAILING,
  ["mg.npy.dump"] = "string", ["mg.npy.undump"] = "any", ["mg.set_files"] = "table?",
  ["mg.memory"] = "integer used; integer most; integer limit; integer allocations",
  ["mg.info"] = "table", ["mg.type"] = "string?", ["mg.help"] = "string?; string? message",
  ["mg.limit"] = "nil", ["mg.set_threads"] = "nil",
}

local BY_SECTION = {
  ["Making tensors"] = T, ["Methods of tensors"] = T, ["Methods of layers"] = L,
  ["Methods of optimizers"] = O, ["Data"] = S, ["Files"] = "boolean" .. FAILING,
  ["Pictures"] = "string|boolean" .. FAILING,
}

-- What is no function; mg.plot and its like are made at the head.
local FIELDS = { ["mg.optimizers"] = "{}", ["mg.no_decay"] = "{}", ["mg._VERSION"] = '""',
                 ["mg.core"] = "{}" }

local CLASSES = { tensor = "Tensor", layer = "Layer", optimizer = "Optimizer",
                  trainer = "Trainer", dataset = "Dataset" }

local HEAD = [[
---@meta moongrad
-- Made by "make docs" for editors; it is not loaded.

---@class moongrad.Tensor
---@field shape integer[]
---@field grad moongrad.Tensor?
---@field requires_grad boolean
---@field [integer] any
---@operator add(moongrad.Tensor|number): moongrad.Tensor
---@operator sub(moongrad.Tensor|number): moongrad.Tensor
---@operator mul(moongrad.Tensor|number): moongrad.Tensor
---@operator div(moongrad.Tensor|number): moongrad.Tensor
---@operator pow(moongrad.Tensor|number): moongrad.Tensor
---@operator unm: moongrad.Tensor
---@operator len: integer
local Tensor = {}

---@class moongrad.Layer
---@overload fun(x: moongrad.Tensor, others?: table): moongrad.Tensor, ...
local Layer = {}

---@class moongrad.Optimizer
---@field lr number
---@field kind string
---@field steps integer
local Optimizer = {}

---@class moongrad.Schedule
---@overload fun(step: integer): number
local Schedule = {}

---@class moongrad.Plateau
---@field lr number
local Plateau = {}

--- takes the number of one more epoch, and gives the rate from now on
---@param value number
---@return number
function Plateau:observe(value) end

---@alias moongrad.Rate number|moongrad.Schedule|moongrad.Plateau|fun(step: integer): number

---@class moongrad.Trainer
local Trainer = {}

---@class moongrad.Dataset
---@operator len: integer
local Dataset = {}

---@class moongrad
local mg = { data = {}, npy = {}, export = {}, plot = {}, schedule = {} }

---@type nil|"terminal"|"png"|"svg"|"gnuplot"
mg.plot.backend = nil
]]

return function(all, tables)
  local out = { HEAD }
  local function add(line) out[#out + 1] = line end

  --- A function with its description; parameters are a list of {name, type, optional}.
  local function write(name, doc, parameters, result)
    local names, last = {}, 0
    add("--- " .. doc)
    for i, p in ipairs(parameters) do if not p[3] then last = i end end
    for i, p in ipairs(parameters) do
      names[i] = p[1]
      if p[1] == "..." then add("---@param ... " .. p[2])
      else add(("---@param %s%s %s"):format(p[1], i > last and "?" or "", p[2])) end
    end
    for part in (result == "nil" and "" or result or ""):gmatch("[^;]+") do
      add("---@return " .. part:match("^%s*(.*)$"))
    end
    add(("function %s(%s) end\n"):format(name, table.concat(names, ", ")))
  end

  local function type_of(attr)
    if attr.name == "lr" then return "moongrad.Rate" end
    if attr.type == "choice" then return '"' .. attr.choices:gsub("|", '"|"') .. '"' end
    local text = TYPES[attr.type] or "any"
    if attr.type == "pair" and attr.choices then text = text .. "|string" end
    return text
  end

  --- A class of the options of 'name'; its type.
  local function options_of(name, ...)
    local class = "moongrad.options." .. name
    add("---@class " .. class)
    for _, attrs in ipairs { ... } do
      for _, attr in ipairs(attrs) do
        add(("---@field %s? %s"):format(attr.name, type_of(attr)))
      end
    end
    if select("#", ...) > 1 then add("---@field groups? table[]") end -- an optimizer's
    add("")
    return class
  end

  --- One parameter for each attribute, each of which may be a table with those that follow.
  -- Sizes alone are given one by one, too.
  local function attributes(name, attrs)
    if #attrs == 0 then return {} end
    if #attrs == 1 and attrs[1].type == "sizes" then return { { "...", type_of(attrs[1]) } } end
    local list, options, optional = {}, options_of(name, attrs), false
    for i, attr in ipairs(attrs) do
      list[i] = { attr.name, type_of(attr) .. "|" .. options, attr.default ~= nil }
      optional = optional or list[i][3]
    end
    if optional then list[#attrs + 1] = { "options", options, true } end
    return list
  end

  --- Operands and attributes of an op in the order of its arguments.
  local function op_parameters(op)
    local list, by_name, ordered = {}, {}, {}
    for word in op.operands:gmatch("%S+") do
      local name, many = word:match("^[%w_]+"), word:find("..", 1, true)
      list[#list + 1] = { name, many and T .. "[]" or T .. "|number|table", word:sub(-1) == "?" }
    end
    for _, p in ipairs(attributes("op_" .. op.name, op.attrs)) do list[#list + 1] = p end
    for _, p in ipairs(list) do by_name[p[1]] = p end
    for name in (op.order or ""):gmatch("%S+") do
      ordered[#ordered + 1], by_name[name] = by_name[name], nil
    end
    for _, p in ipairs(list) do
      if by_name[p[1]] then ordered[#ordered + 1] = p end
    end
    return ordered
  end

  local described = {}
  for _, entry in ipairs(all["function"]) do described[entry.name] = true end

  local layers = {}
  for _, layer in ipairs(tables.layers) do
    layers[layer.name] = true
    if layer.container then
      write("mg." .. layer.name, layer.doc, { { "parts", "table" } }, L)
    else
      write("mg." .. layer.name, layer.doc, attributes(layer.name, layer.attrs), L)
    end
  end

  for _, op in ipairs(tables.ops) do
    local list, own = op_parameters(op), {}
    for i = 2, #list do own[i - 1] = list[i] end
    if not op.operands:find("..", 1, true) then
      write("Tensor:" .. op.name, op.doc, own, T)
      if core.tensor_methods[op.name .. "_"] and not described["tensor:" .. op.name .. "_"] then
        write("Tensor:" .. op.name .. "_", op.doc .. ", written over it", own, T)
      end
    end
    if not layers[op.name] then write("mg." .. op.name, op.doc, list, T) end
  end

  for _, optimizer in ipairs(tables.optimizers) do
    write("mg." .. optimizer.name, optimizer.doc,
      { { "options", options_of(optimizer.name, optimizer.attrs, tables.optimizer_common),
          true } }, O)
  end
  for _, entry in ipairs(core.schedule_docs) do
    write("mg.schedule." .. entry.name, entry.doc,
      { { "options", options_of("schedule." .. entry.name, entry.attrs) } },
      entry.name == "plateau" and "moongrad.Plateau" or "moongrad.Schedule")
  end

  --- "name(a, b [, c])" as parameters.
  local function parameters(call)
    local list, optional = {}, false
    local inside = call:match("^[^%({]+(.*)$") or ""
    if inside:sub(1, 1) == "{" then return { { "options", "table" } } end
    inside = inside:match("^%((.*)%)$") or ""
    inside = inside:gsub("%b{}", "TABLE"):gsub("%.%.", "")
    for mark, word in inside:gmatch("(%[?)%s*,?%s*([^,%[%]]+)") do
      optional = optional or mark == "["
      local name = word:match("^%s*([%w_]+)")
      local known = ARGUMENTS[("%s %s"):format(call:match "^[%w_.:]+", name)] or ARGUMENTS[name]
        or "any"
      if name == "TABLE" then name, known = "options", "table" end
      if word:find(" or ", 1, true) then known = "any" end
      if name == "function" then name = "f" end
      if name then list[#list + 1] = { name, known, optional } end
    end
    if call:find("..", 1, true) and #list > 0 and call:find("%.%.[%),]") then
      list[#list + 1] = { "...", "any" }
    end
    return list
  end

  for _, section in ipairs(require "moongrad.functions") do
    for _, entry in ipairs(section.own and {} or section) do
      local kind, method = entry.name:match("^(%l+):(.*)$")
      local callable = entry.call:find("[%({]")
      local name = kind and CLASSES[kind] .. ":" .. method or entry.name
      if callable and not entry.name:find("%.function$") then
        write(name, entry.doc, parameters(entry.call),
          RESULTS[entry.name] or BY_SECTION[section.title])
      elseif FIELDS[entry.name] then
        add(("--- %s\n%s = %s\n"):format(entry.doc, entry.name, FIELDS[entry.name]))
      end
    end
  end
  add("return mg\n")
  return table.concat(out, "\n")
end
