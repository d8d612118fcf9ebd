-- The reference is made from the tables of the core: nothing may be missing in it.
local mg = require "moongrad"
local reference = require "moongrad.reference"
local h = require "tests.spec.helper"

local tables = mg.core.describe()
local text = reference.text()

-- Calls f(kind, entry) for every op, layer, optimizer and schedule.
local function each(f)
  for _, kind in ipairs { "ops", "layers", "optimizers" } do
    for _, entry in ipairs(tables[kind]) do f(kind, entry) end
  end
  for _, entry in ipairs(mg.core.schedule_docs) do f("schedules", entry) end
end

local function has(whole, part)
  if not whole:find(part, 1, true) then
    error(("%q is not in: %s"):format(part, whole:sub(1, 400)), 2)
  end
end

-- The part of the text from a heading to the next.
local function under(heading)
  local _, from = text:find("\n" .. heading .. "\n", 1, true)
  assert(from, heading .. " is missing")
  return text:sub(from, (text:find("\n##", from, true)))
end

-- The text without its line breaks and the blanks beside them.
local function flat(s) return (s:gsub("%s+", " ")) end

describe("the tables of the core", function()
  it("have one line of documentation for each op, layer and optimizer", function()
    each(function(kind, entry)
      assert.equal("string", type(entry.doc), kind .. " " .. entry.name)
      assert.is_true(#entry.doc > 1, kind .. " " .. entry.name)
      assert.is_nil(entry.doc:find("\n"), entry.name)
      assert.is_nil(entry.doc:find("%.$"), entry.name)
    end)
  end)
  it("name and type every attribute", function()
    each(function(_, entry)
      for _, attr in ipairs(entry.attrs) do
        assert.is_true(#attr.name > 0 and #attr.type > 0, entry.name)
      end
    end)
  end)
end)

describe("an attribute's line of documentation", function()
  it("is there, has no full stop and is in the help", function()
    each(function(_, entry)
      for _, attr in ipairs(entry.attrs) do
        local name = entry.name .. ": " .. attr.name
        assert.equal("string", type(attr.doc), name)
        assert.is_nil(attr.doc:find("[\n.]$"), name)
        has(flat(reference.help(entry.name)), attr.name .. " " .. attr.doc .. "; ")
      end
    end)
  end)
end)

describe("the reference", function()
  it("has a heading and the line of documentation of each entry", function()
    local plain = flat(text)
    each(function(_, entry)
      has(text, "\n### " .. entry.name .. "\n")
      has(plain, flat(entry.doc) .. ".")
    end)
  end)
  it("names every option of every entry", function()
    each(function(_, entry)
      for _, attr in ipairs(entry.attrs) do
        has(text, "- `" .. attr.name .. "`: ")
        has(assert(reference.help(entry.name)), attr.name .. " ")
      end
    end)
  end)
  it("lists initialisers, metrics and the options of all optimizers", function()
    for heading, words in pairs { Initialisers = tables.inits, Metrics = tables.metrics } do
      for _, word in ipairs(words) do
        has(flat(under("## " .. heading)), ("- `%s`: %s"):format(word.name, word.doc))
      end
    end
    for _, attr in ipairs(tables.optimizer_common) do
      has(under "## Optimizers", "- `" .. attr.name .. "`: ")
    end
  end)
  it("puts activations, losses and other operations into their sections", function()
    local section
    for line in text:gmatch("[^\n]+") do
      section = line:match("^## (.*)") or section
      local name = line:match("^### (.*)")
      if name == "tanh" then assert.equal("Activations", section) end
      if name == "huber" then assert.equal("Losses", section) end
      if name == "matmul" then assert.equal("Operations", section) end
      if name == "dense" then assert.equal("Layers", section) end
      if name == "adam" then assert.equal("Optimizers", section) end
    end
  end)
  it("shows arguments in the order of the call", function()
    has(under "### sum", "x:sum([dim, keepdim])")
    has(under "### index_select", "x:index_select(dim, ids)")
    has(under "### where", "condition:where(a, b)")
    has(under "### cat", "mg.cat({x, ..} [, dim])")
    has(under "### huber", "mg.huber(prediction, target [, reduction, delta])")
    has(under "### dense", "mg.dense(out [, act, bias, init, inputs])")
    has(under "### adagrad", "mg.adagrad { lr=, lr_decay=, ")
  end)
  it("knows every schedule", function()
    local known = {}
    for _, entry in ipairs(mg.core.schedule_docs) do known[entry.name] = true end
    for name in pairs(mg.schedule) do assert.is_true(known[name], name) end
    local help = reference.help "plateau"
    has(help, "mg.schedule.plateau { lr=, factor=, ")
    has(flat(help), 'mode what is better; "min" or "max"; default "min"')
    has(flat(reference.help "one_cycle"), "; true or false; default false")
  end)
  it("gives ranges and defaults in words", function()
    has(under "### huber", '"mean", "sum" or "none"; default "mean"')
    has(under "### huber", "begins; a number above 0; default 1\n")
    has(under "### elu", "; a number from 0; default 1\n")
    has(under "### clamp", "- `lo`: the least result; a number; default none\n")
    has(under "### dropout", "; a number from 0 to below 1; default 0.5\n")
    has(under "### sum", "; true or false; default false\n")
    has(under "### dense", "- `bias`: whether one is added; true or false; default true\n")
    has(under "### dense", "; the name of an activation; default none\n")
  end)
  it("says where no gradient flows", function()
    has(under "### argmax", "No gradient flows through it.")
    assert.is_nil(under("### sum"):find("No gradient", 1, true))
  end)
  it("has no line above 90 columns", function()
    for line in text:gmatch("[^\n]+") do assert.is_true(#line <= 90, line) end
  end)
  it("is the same each time", function()
    assert.equal(text, reference.text())
  end)
end)

describe("help", function()
  it("knows every op, layer and optimizer", function()
    each(function(_, entry)
      local answer = assert(reference.help(entry.name))
      has(flat(answer), flat(entry.doc))
    end)
  end)
  it("knows initialisers and metrics", function()
    for kind, words in pairs { initialiser = tables.inits, metric = tables.metrics } do
      for _, word in ipairs(words) do
        has(flat(reference.help(word.name)), ('"%s" (%s) %s'):format(word.name, kind, word.doc))
      end
    end
  end)
  it("knows every name of mg, of its tables and of the methods of objects", function()
    local function known(prefix, names)
      for name in pairs(names) do
        assert(reference.help(prefix .. name), "no help for " .. prefix .. name)
        assert(reference.help(name), name)
      end
    end
    known("mg.", mg)
    for _, name in ipairs { "data", "export", "npy", "schedule" } do
      known("mg." .. name .. ".", mg[name])
    end
    for _, kind in ipairs { "tensor", "layer", "optimizer", "trainer", "dataset" } do
      known(kind .. ":", mg.core[kind .. "_methods"])
    end
  end)
  it("tells of functions by their last part, and of all in a table", function()
    has(reference.help "csv", "mg.data.csv(path")
    has(reference.help "data.csv", "mg.data.csv(path")
    has(reference.help "step", "trainer:step(x, y)")
    has(reference.help "step", "mg.schedule.step")
    for _, name in ipairs { "lua", "c", "onnx" } do
      has(reference.help "export", "mg.export." .. name .. "(net, path")
    end
    has(reference.help "mg.schedule", "mg.schedule.cosine {")
    has(reference.help "exp_", "x:exp_() writes over x what x:exp() gives:")
    h.refuses('nothing is called "csv_"', reference.help, "csv_")
    h.refuses('nothing is called "ensor:size"', reference.help, "ensor:size")
  end)
  it("has an entry for nothing that there is not", function()
    local objects = { mg = mg }
    for _, kind in ipairs { "tensor", "layer", "optimizer", "trainer", "dataset" } do
      objects[kind] = mg.core[kind .. "_methods"]
    end
    for _, section in ipairs(require "moongrad.functions") do
      for _, entry in ipairs(section) do
        local v = objects
        for part in entry.name:gmatch "[%w_]+" do v = v[part] end
        assert(v, entry.name)
        assert.is_nil(entry.doc:find "%.$", entry.name)
        has(text, "\n### " .. entry.name .. "\n")
      end
    end
  end)
  it("gives both where an op and a layer share the name", function()
    has(reference.help "dropout", "(layer)")
    has(reference.help "dropout", "(operation)")
  end)
  it("is nil and a message for an unknown name", function()
    h.refuses('nothing is called "perceptron"', reference.help, "perceptron")
    h.refuses('nothing is called ""', reference.help, "")
  end)
  it("names what has a name like an unknown one", function()
    h.refuses("there is .*softmax.*log_softmax", reference.help, "soft")
  end)
  it("refuses what is no string", function()
    h.fails("help: name is a table, expected a string", reference.help, {})
  end)
end)

describe("types.lua", function()
  local file = assert(io.open "bindings/reference/types.lua")
  local types = file:read "*a"
  file:close()

  it("is Lua, and names no class of ours that it does not declare", function()
    assert((loadstring or load)(types, "=types.lua"))
    local declared = { moongrad = true }
    for name in types:gmatch "%-%-%-@%l+ (moongrad[%w_.]*)" do declared[name] = true end
    for line in types:gmatch "%-%-%-@[^\n]*" do
      for name in line:gmatch "moongrad%.[%a_][%w_.]*" do assert.is_true(declared[name], name) end
    end
  end)
  it("has arguments in the order in which they are given", function()
    has(types, "function Tensor:index_select(dim, ids) end")
    has(types, "function mg.group_norm(x, groups, weight, bias, eps, options) end")
  end)
  it("lets sizes be given one by one, and options in place of any argument", function()
    has(types, "---@param ... integer|integer[]\n---@return moongrad.Tensor\n"
      .. "function Tensor:reshape(...) end")
    has(types, "---@param heads integer|moongrad.options.transformer_block\n")
  end)
  it("has what is no function, too", function()
    for name in pairs(mg) do
      assert(types:find("mg." .. name .. "[ .(]") or types:find("[{ ]" .. name .. " = {}"), name)
    end
  end)
end)
