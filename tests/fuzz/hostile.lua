-- Every public function, every argument, every hostile value: the answer must be
-- a result or a Lua error of one line that points at the caller, names the function
-- and the argument, and no C file.
--
--   lua tests/fuzz/hostile.lua [-v] [--every N] [pattern of function names]
--
-- The functions are found by walking the module, its method tables and metatables and
-- the tables of ops, layers and optimizers; what each is normally called with comes from
-- 'usual' below or, for ops, from core.describe(), and so do the names of its arguments.
-- With --every only each N-th cell. Exit status 1 on a violation.

local mg = require "moongrad"
local core = mg.core
local unpack = table.unpack or unpack
local verbose = arg[1] == "-v" and table.remove(arg, 1)
local every = arg[1] == "--every" and table.remove(arg, 1) and tonumber(table.remove(arg, 1)) or 1
local only = arg[1]

local LIMIT = 64 * 2 ^ 20 -- bytes of tensors
local SLOW = 2            -- seconds one call may take
mg.limit { memory = LIMIT }
require "moongrad.system".files.open = function() return nil, "hostile", 1 end -- no litter

---------------------------------------------------------------- hostile values

local huge, long = {}, ("x"):rep(1e6)
for i = 1, 1e5 do huge[i] = i end

local function cyclic() local t = {} t[1] = t t.x = t return t end
local function nested() local t = { 1 } for _ = 1, 150 do t = { t } end return t end
local function holes() local t = {} for k = 0, 52 do t[2 ^ k] = 1 end return t end
local function raising(event)
  return function() return setmetatable({}, { [event] = function() error("hostile", 0) end }) end
end
local function closed(make) return function() local v = make() v:close() return v end end
local function dense() return mg.dense(2, { inputs = 3 }) end
local function data() return mg.data.tensors(mg.ones(4, 3), mg.ones(4, 2)) end
local function trainer()
  return mg.trainer { net = dense(), optimizer = "sgd", loss = "mse", metrics = { "accuracy" } }
end

local values = {
  { "nil", function() return nil end },
  { "-1", function() return -1 end }, { "0", function() return 0 end },
  { "0.5", function() return 0.5 end }, { "2^31", function() return 2 ^ 31 end },
  { "2^53 + 1", function() return tonumber "9007199254740993" end },
  { "the least integer", function() return math.mininteger or -2 ^ 63 end },
  { "2^63", function() return 2 ^ 63 end }, { "nan", function() return 0 / 0 end },
  { "inf", function() return math.huge end }, { "-inf", function() return -math.huge end },
  { "1e300", function() return 1e300 end }, { '"3"', function() return "3" end },
  { '""', function() return "" end }, { "a zero byte", function() return "a\0b" end },
  { "a long string", function() return long end }, { "true", function() return true end },
  { "{}", function() return {} end }, { "{1, {}}", function() return { 1, {} } end },
  { "{1, 2, 3}", function() return { 1, 2, 3 } end },
  { "a huge table", function() return huge end }, { "a cyclic table", cyclic },
  { "a nested table", nested }, { "a table with holes", holes },
  { "an erroring __index", raising "__index" }, { "an erroring __len", raising "__len" },
  { "a function", function() return function() return 1 end end },
  { "a failing function", function() return function() error("hostile", 0) end end },
  { "a coroutine", function() return coroutine.create(function() end) end },
  { "io.stdout", function() return io.stdout end },
  { "a tensor", function() return mg.ones(5, 7) end },
  { "a number tensor", function() return mg.tensor(1) end },
  { "an expanded tensor", function() return mg.ones(1):expand(2 ^ 40) end },
  { "a closed tensor", closed(function() return mg.ones(2, 3) end) },
  { "a layer", dense }, { "a closed layer", closed(dense) },
  { "an optimizer", function() return mg.sgd { lr = 1 } end },
  { "a dataset", data }, { "a closed dataset", closed(data) },
  { "a trainer", trainer }, { "a closed trainer", closed(trainer) },
}

--------------------------------------------------------------- what is public

local functions, seen = {}, {} -- list of {name, function, make usual arguments}

-- The usual arguments of functions that are no ops; each call makes new ones.
local function x() return mg.ones(2, 3) end
local function w() return mg.tensor({ { 1, 2, 3 }, { 4, 5, 6 } }, { requires_grad = true }) end
local function loss() return (w() * 2):sum() end
local function net() return mg.sequential { 3, mg.dense(2), "tanh" } end
local function stop() return false end
local calls = 0
local function few() -- for mg.data.func, which calls as often as it is told
  calls = calls + 1
  if calls > 1000 then calls = 0 error("hostile", 0) end
  return { 1, 2 }, 1
end
local xy = function() return { x = mg.ones(4, 3), y = mg.ones(4, 2), batch = 2 } end

local function ctc()
  return mg.zeros(2, 5, 3), mg.tensor { { 2, 3 }, { 3, 1 } }, mg.tensor { 5, 4 },
    mg.tensor { 2, 1 }, "mean", 1, true
end

local usual = {
  ["mg.ctc"] = ctc, ["tensor.ctc"] = ctc,
  ["mg.tensor"] = function() return { 1, 2 }, { requires_grad = true } end,
  ["mg.full"] = function() return { 2, 2 }, 1 end,
  ["mg.arange"] = function() return 1, 5, 1 end,
  ["mg.linspace"] = function() return 1, 2, 3 end,
  ["mg.from_string"] = function() return ("\0"):rep(8), { 2 }, "f32" end,
  ["mg.grad"] = function() return loss(), { w() }, { retain = true } end,
  ["mg.no_grad"] = function() return function(v) return v end, x() end,
  ["mg.limit"] = function() return { memory = LIMIT } end,
  ["mg.gradcheck"] = function() return function(v) return (v * v):sum() end, { w() } end,
  ["mg.module"] = function() return "m", { forward = function(_, v) return v end } end,
  ["mg.trainer"] = function()
    return { net = net(), loss = "mse", optimizer = "sgd", metrics = { "accuracy" } }
  end,
  ["mg.data.tensors"] = function() return x(), mg.ones(2) end,
  ["mg.data.dataset"] = function() return xy() end,
  ["mg.data.func"] = function() return few, 3 end,
  ["mg.data.function"] = function() return few, 3 end,
  ["mg.data.idx"] = function() return "/nowhere", "/nowhere" end,
  ["mg.data.csv"] = function() return "/nowhere", { target = 1, header = true } end,
  ["mg.data.mnist"] = function() return "/nowhere" end,
  ["mg.data.fashion_mnist"] = function() return "/nowhere" end,
  ["mg.plot.loss"] = function() return { { loss = 2 }, { loss = 1 } }, { log = true } end,
  ["mg.plot.curve"] = function() return { f = math.sin, label = "sine" }, { to = 3 } end,
  ["mg.plot.boundary"] = function()
    return mg.sequential { 2, mg.dense(1) }, { x = mg.ones(4, 2), y = mg.ones(4, 1) },
      { threshold = 0 }
  end,
  ["mg.plot.weights"] = function() return net(), { shape = { 1, 3 }, count = 2 } end,
  ["mg.plot.confusion"] = function() return { { 1, 2 }, { 3, 4 } }, { names = { "a", "b" } } end,
  ["mg.plot.histogram"] = function() return x(), { bins = 5 } end,
  ["mg.plot.gradients"] = function() return { { name = "a", norm = 1 } }, { title = "t" } end,
  ["mg.plot.images"] = function()
    return mg.ones(2, 4, 4), { labels = { 1, 2 }, predicted = { 2, 2 }, count = 2 }
  end,
  ["mg.plot.surface"] = function()
    return function(a, b) return a + b end, { x = { 0, 1 }, path = { { 0, 1 } }, width = 40 }
  end,
  ["mg.save"] = function() return "/nowhere/x", net() end,
  ["mg.load"] = function() return "/nowhere/x", { weights_only = true } end,
  ["mg.dump"] = function() return net() end,
  ["mg.undump"] = function() return mg.dump(net()), { weights_only = true } end,
  ["mg.set_files"] = function() return nil end,
  ["core.recipe"] = function() return net() end,
  ["core.restore"] = function() return mg.core.layers.dense(2), { 1, 3 },
    { weight = mg.ones(2, 3), bias = mg.ones(2) } end,
  ["core.identity"] = function() return x() end,
  ["core.crc32"] = function() return 0, "abc" end,
  ["core.read_header"] = function() return "{}" end,
  ["layer.save"] = function() return net(), "/nowhere/x" end,
  ["layer.load_weights"] = function() return net(), net():named(), {} end,
  ["core.limit"] = function() return "memory", LIMIT end,
  ["core.init"] = function() return "normal", x() end,
  ["core.custom"] = function() return "kind", function(v) return v end, {} end,
  ["core.dataset"] = function() return x(), mg.ones(2, 1) end,
  ["core.bytes"] = function() return "abc" end, ["core.gunzip"] = function() return "abc" end,
  ["core.set_tostring"] = function() return "tensor", nil end,
  ["core.trainer"] = function()
    return { net = net(), loss = "mse", optimizer = mg.sgd { lr = 1 }, metrics = {} }
  end,
  ["tensor.size"] = function() return x(), 1 end, ["tensor.get"] = function() return x(), 1, 2 end,
  ["tensor.set"] = function() return x(), 1, 2, 3 end,
  ["tensor.fill"] = function() return x(), 3 end,
  ["tensor.copy"] = function() return x(), mg.ones(1, 3) end,
  ["tensor.backward"] = function() return loss(), { retain = true } end,
  ["tensor.to_string"] = function() return x(), "u8" end,
  ["tensor.item"] = function() return mg.ones(1) end,
  ["tensor.split"] = function() return x(), 2, 1 end,
  ["tensor.chunk"] = function() return x(), 2, 1 end,
  ["tensor.view"] = function() return x(), 3, 2 end,
  ["tensor.max"] = function() return x(), 1, true end,
  ["tensor.min"] = function() return x(), 1, true end,
  ["layer.add"] = function() return net(), mg.dense(2), "name" end,
  ["layer.build"] = function() return net(), 1, 3 end,
  ["layer.predict"] = function() return net(), x() end,
  ["layer.summary"] = function() return net(), { 3 } end,
  ["optimizer.attach"] = function() return mg.sgd { lr = 1 }, { w() } end,
  ["optimizer.schedule"] = function() return mg.sgd { lr = 1 }, function() return 1 end end,
  ["mg.schedule.step"] = function() return { lr = 1, step_size = 2, gamma = 0.5 } end,
  ["mg.schedule.exponential"] = function() return { lr = 1, gamma = 0.5, step_size = 2 } end,
  ["mg.schedule.cosine"] = function() return { lr = 1, steps = 2, min_lr = 0.5 } end,
  ["mg.schedule.linear_warmup"] = function()
    return { lr = 1, steps = 2, start_factor = 0, after = function() return 1 end }
  end,
  ["mg.schedule.one_cycle"] = function() return { lr = 1, steps = 2, anneal = "cos" } end,
  ["mg.schedule.plateau"] = function() return { lr = 1, factor = 0.5, patience = 1 } end,
  ["optimizer.observe"] = function()
    return mg.sgd { lr = mg.schedule.plateau { lr = 1 } }, 1
  end,
  ["optimizer.group"] = function() return mg.sgd { lr = 1 }, { lr = 2 } end,
  ["optimizer.grouping"] = function()
    return mg.sgd { lr = 1 }, function() return 0 end
  end,
  ["optimizer.averaged"] = function()
    local v = w()
    local o = mg.sgd { lr = 1, ema = 0.5 }:attach { v }
    v:sum():backward()
    o:step()
    return o, function(a) return a end, 1
  end,
  ["dataset.range"] = function() return data(), 1, 2 end,
  ["dataset.batch"] = function() return data(), 1, 2 end,
  ["dataset.stats"] = function() return data(), true end,
  ["dataset.affine"] = function() return data(), { 1 }, { 0 } end,
  ["dataset.split"] = function() return data(), 0.5 end,
  ["dataset.batches"] = function() return data(), 2 end,
  ["dataset.normalize"] = function() return data(), { mean = { 1 }, deviation = { 1 } } end,
  ["trainer.step"] = function() return trainer(), x(), mg.ones(2, 2) end,
  ["trainer.begin"] = function() return trainer(), data(), 2, 1, true end,
  ["trainer.advance"] = function() return trainer(), 1, 1, false end,
  ["trainer.assess"] = function() return trainer(), data(), 2 end,
  ["trainer.evaluate"] = function() return trainer(), xy(), { batch = 2 } end,
  ["trainer.run"] = function() return trainer(), xy(), { steps = 1, ms = 1 } end,
  ["trainer.epochs"] = function() return trainer(), 1, xy(), { batch = 2 } end,
  ["trainer.fit"] = function() return trainer(), 1, xy(), { on_epoch = stop, patience = 1 } end,
}
local function options_of_schedules()
  local list = {}
  for _, name in ipairs { "step", "exponential", "cosine", "linear_warmup", "one_cycle" } do
    list[#list + 1] = { name, usual["mg.schedule." .. name]() }
  end
  return list
end
local selves = { tensor = x, layer = net, optimizer = function() return mg.sgd { lr = 1 } end,
                 dataset = data, trainer = trainer }
-- What errors call the arguments of functions in C.
local named = {
  arange = "first last step from", linspace = "first last n", eye = "n shape", randperm = "n",
  seed = "n", threads = "n threads", distance = "name", set_threads = "threads",
  limit = "name memory limit", full = "shape value", tensor = "value requires_grad",
  to_tensor = "value text", from_string = "bytes shape type function",
  to_string = "type first count", cat = "list operands", stack = "list operands",
  crc32 = "crc bytes first last", grad = "loss list value shape", backward = "loss",
  fill = "value expanded", copy = "src", set = "index indices value", get = "index indices",
  size = "dimension", split = "dimension", chunk = "dimension", item = "tensor",
  index = "index", __index = "index tensor", __newindex = "index cannot value tensor",
  assignment = "index cannot value", requires_grad = "requires_grad", view = "x",
  __len = "tensor bytes", bytes = "data", integer = "first count bytes byte", gunzip = "data",
  inflate = "data text", identity = "tensor", isa = "name set", init = "name tensor",
  custom = "kind forward", read_header = "text most", recipe = "layer",
  restore = "layer input shape weight bias its tensor tensors name", set_tostring = "kind f",
  dataset = "x y data text examples", batch = "first count draw examples",
  range = "first count examples", affine = "scale offset", state_in = "names functions values",
  sequential = "layers", residual = "layers", parallel = "layers", call = "input",
  __call = "input follows", predict = "input out follows", train = "on", freeze = "on",
  add = "name layer layers", averaged = "average", field = "cannot method name tensor",
  metric = "metric result", trainer = "metric loss", ["function"] = "result input",
  curve = "curve input", histogram = "values", attach = "list tensor target parameters",
  tensors = "text", swap = "average", schedule = "lr", grouping = "f", lr = "result lr",
  loss = "result", step = "x y input target", begin = "data batch epochs",
  resume = "data epochs", advance = "steps ms", assess = "data batch", table = "metric",
  accumulate = "accumulate", load_weights = "path weights rename 1", save = "value key",
  dump = "value key", set_files = "functions function",
  boundary = "input examples", images = "pictures", weights = "weights",
  __tostring = "value", __unm = "x",
  __add = "a b", __sub = "a b", __mul = "a b", __div = "a b", __pow = "a b",
}
local skip = { ["layer.close"] = false,
               ["core.fail"] = false, ["core.pcall"] = false } -- say what they are told to say

local function pack(...) return { n = select("#", ...), ... } end

-- The words that stand for the arguments of a function in its errors: those of the
-- descriptor of that name, its parameters where it is Lua's, its options, and 'more'.
local infos = {}
for _, list in ipairs { "layers", "optimizers", "ops" } do
  for _, info in ipairs(core.describe()[list]) do
    infos[info.name] = infos[info.name] or {}
    table.insert(infos[info.name], info)
  end
end
local common = { attrs = core.describe().optimizer_common }

local function words_of(f, make, short, more)
  local words = {}
  local function put(text) for word in (text or ""):gmatch("[%w_]+") do words[word] = true end end
  put "self operand dim option options element entry row size sizes too tables"
  put(more)
  for _, part in ipairs { common, unpack(infos[short:gsub("_$", "")] or {}) } do
    put(part.operands)
    for _, attr in ipairs(part.attrs) do put(attr.name) end
  end
  for i = 1, debug.getinfo(f, "S").what == "Lua" and 10 or 0 do
    local known, name = pcall(debug.getlocal, f, i)
    if known then put(name) else words.unknown = true end -- 5.1 does not tell
  end
  for _, v in ipairs { make() } do
    if type(v) == "table" and not getmetatable(v) then
      for name in pairs(v) do put(tostring(name)) end
    end
  end
  return words
end

local function add(name, f, make, short, more)
  functions[#functions + 1] = { name = name, f = f, make = make, short = short,
                                words = words_of(f, make, short, more) }
end

-- Arguments for an op that make it work, found by trying.
local shapes = { function() return mg.ones(2, 3) end, function() return mg.ones(2) end,
                 function() return mg.ones(3, 3) end, function() return mg.ones(4, 3) end,
                 function() return mg.ones(4) end, function() return mg.ones(1) end }
local sizes = { { 3, 2 }, { 2, 3 }, { 2, 1 } }
local found = {} -- by op

local function op_arguments(op, f)
  if found[op] then return found[op] end
  local slots = {}
  local attrs = {}
  for _, a in ipairs(op.attrs) do attrs[a.name] = a end
  for word in (op.order or op.operands):gmatch("[%w_.?]+") do
    local plain = word:match("^[%w_]+")
    slots[#slots + 1] = attrs[plain] or { operand = true, list = op.operands:find("..", 1, true) }
    attrs[plain] = nil
  end
  for _, a in ipairs(op.attrs) do if attrs[a.name] then slots[#slots + 1] = a end end
  local function value(slot, choice, size)
    if slot.list then return { shapes[choice](), shapes[choice]() } end
    if slot.operand then return shapes[choice]() end
    if slot.type == "sizes" then return { unpack(sizes[size]) } end
    if slot.type == "choice" then return slot.choices:match("^[^|]+") end
    if slot.type == "activation" then return "tanh" end
    if slot.type == "boolean" then return true end
    return slot.default or slot.type == "number" and 0.5 or 1
  end
  local function with(code)
    return function()
      local args, left = { n = #slots }, code
      local size = left % #sizes + 1
      left = math.floor(left / #sizes)
      for i, slot in ipairs(slots) do
        args[i] = value(slot, left % #shapes + 1, size)
        if slot.operand then left = math.floor(left / #shapes) end
      end
      return unpack(args, 1, args.n)
    end
  end
  for code = 0, #sizes * (#shapes) ^ 3 - 1 do
    if pcall(f, with(code)()) then
      found[op] = with(code)
      return found[op]
    end
  end
  return with(0)
end

local ops = {}
for _, op in ipairs(core.describe().ops) do ops[op.name] = op end

-- Options by name, each with a value: for constructors.
local function options(info, shared)
  local t = {}
  for _, list in ipairs { info.attrs, shared or {} } do
    for _, a in ipairs(list) do
      local v = a.default
      if a.type == "choice" then v = a.choices:match("^[^|]+") end
      if a.type == "activation" then v = "tanh" end
      if a.type == "initialiser" then v = "zeros" end
      if a.type == "sizes" then v = { 3 } end
      if a.type == "boolean" then v = true end
      t[a.name] = v or 1
    end
  end
  return t
end

local makers, d = {}, core.describe()
for _, info in ipairs(d.layers) do makers[info.name] = options(info) end
for _, info in ipairs(d.optimizers) do makers[info.name] = options(info, d.optimizer_common) end

local function arguments(prefix, name, f)
  local make = usual[prefix .. name]
  if make then return make end
  local layer = (prefix == "mg." or prefix == "core.layers.") and makers[name]
  local op = not layer and ops[name:match("^(.-)_?$")]
  if op and prefix ~= "layer." then
    return op_arguments(op, name == op.name and f or core.ops[op.name])
  end
  local maker = makers[name]
  if maker then
    return function()
      local t = {}
      for k, v in pairs(maker) do t[k] = v end
      return t
    end
  end
  local self = selves[prefix:match("^%w+")]
  if self then return self end
  return function() return 2, 3 end
end

local function walk(prefix, t)
  local names = {}
  for name in pairs(t) do if type(name) == "string" then names[#names + 1] = name end end
  table.sort(names)
  for _, name in ipairs(names) do
    local v, full = t[name], prefix .. name
    if type(v) == "function" and skip[full] == nil then
      local make = arguments(prefix, name, v)
      if debug.getinfo(v, "S").what ~= "C" then -- it may stand for one that is not read yet
        pcall(v, make())
        v = t[name]
      end
      add(full, v, make, name, named[name])
    elseif type(v) == "table" and not seen[v] then
      seen[v] = true
      if not name:find("_methods$") then walk(full .. ".", v) end
    end
  end
end

seen[core] = true
seen[mg] = true
walk("mg.", mg)
walk("core.", core)
for _, kind in ipairs { "tensor", "layer", "optimizer", "dataset", "trainer" } do
  walk(kind .. ".", core[kind .. "_methods"])
end
for _, name in ipairs { "integer", "close" } do
  add("bytes." .. name, core.bytes("abc")[name], function() return core.bytes("abc"), 1, 2 end,
    name, named[name])
end

-- Metamethods, whatever Lua would hand them.
for _, kind in ipairs { "tensor", "layer", "optimizer", "dataset", "trainer" } do
  walk(kind .. ".", debug.getmetatable(selves[kind]()))
end
walk("bytes.", debug.getmetatable(core.bytes("abc")))

-- What functions return.
for _, o in ipairs(options_of_schedules()) do
  local schedule = mg.schedule[o[1]](o[2])
  add("schedule " .. o[1], function(...) return schedule(...) end, function() return 1 end, o[1],
    "step")
  add("opt:schedule " .. o[1], getmetatable(schedule).__call, function() return schedule, 1 end,
    o[1], "step")
end
add("plateau.observe", mg.schedule.plateau({ lr = 1 }).observe, function()
  return mg.schedule.plateau { lr = 1 }, 1
end, "observe", "value")
add("batches()", function(...) return data():batches(2)(...) end, stop, "batches")
add("epochs()", function(...) return trainer():epochs(1, xy())(...) end, stop, "epochs")
add("class()", function(...)
  return mg.module("m", { init = function(_, v) return v end, forward = x })(...)
end, stop, "class")

-- Operators and fields.
local function operator(name, f, make)
  local short = name:match("[%w_]+$") or "tensor"
  add(name, f, make, short, named[short])
  functions[#functions].from_c = name:find "%.%p" -- Lua's strings have arithmetic of their own
end
operator("tensor.+add", function(a, b) return a + b end, function() return x(), x() end)
operator("tensor.-sub", function(a, b) return a - b end, function() return x(), x() end)
operator("tensor.*mul", function(a, b) return a * b end, function() return x(), x() end)
operator("tensor./div", function(a, b) return a / b end, function() return x(), x() end)
operator("tensor.^pow", function(a, b) return a ^ b end, function() return x(), x() end)
operator("tensor.neg", function(a)
  return mg.type(a) == "tensor" and -a or x():neg() -- else it is Lua that refuses
end, x)
operator("tensor.==", function(a, b) return a == b end, function() return x(), x() end)
operator("tensor.index", function(a) return x()[a] end, function() return 1 end)
operator("tensor.assignment", function(a, b) x()[a] = b end, function() return 1, 2 end)
operator("tensor.grad", function(a) w().grad = a end, x)
operator("tensor.requires_grad", function(a) x().requires_grad = a end, stop)
operator("tensor.tostring", function(a) return tostring(a) end, x)
operator("layer.call", function(a) return net()(a) end, x)
operator("layer.index", function(a) return net()[a] end, function() return 1 end)
operator("layer.field", function(a, b)
  local l = mg.module("field", { forward = function(_, v) return v end })()
  l[a] = b
  return l(x()), l:parameters()
end, function() return "part", w() end)
operator("layer.function", function(a)
  return mg.sequential { 3, mg.dense(2), function() return a end, mg.dense(1) } (x())
end, x)
operator("optimizer.lr", function(a) mg.sgd { lr = 1 }.lr = a end, function() return 1 end)
operator("optimizer.index", function(a) return mg.sgd { lr = 1 }[a] end,
  function() return "lr" end)
operator("optimizer.schedule lr", function(a)
  mg.sgd { lr = 1 }:schedule(function() return a end):attach { w() }:step()
end, function() return 1 end)
operator("trainer.loss", function(a)
  return mg.trainer { net = net(), optimizer = "sgd", loss = function() return a end }
    :step(x(), mg.ones(2, 2))
end, loss)
operator("trainer.metric", function(a)
  return mg.trainer { net = net(), optimizer = "sgd", loss = "mse",
                      metrics = { m = function() return a end } }:evaluate(xy())
end, function() return 1 end)

--------------------------------------------------------------------- the cells

local cells, results, failures, slowest = 0, 0, 0, 0

local function report(what, where, message)
  failures = failures + 1
  print(("%s: %s: %s"):format(where, what, tostring(message):sub(1, 300)))
end

-- Words that name the function just as well: of what it is made of.
local also = { function_ = "dataset", tensors = "dataset", evaluate = "batch", fit = "epochs",
               view = "reshape", chunk = "split" }

local function names(message, entry)
  local short = entry.short:gsub("_*$", ""):gsub("^_*", "")
  return message:find(short, 1, true) or message:find(entry.name:match("^%w+"), 1, true)
      or also[short] and message:find(also[short], 1, true)
      or message:find("^%l[%w_ ]*: ") -- "layer's kind: .."
end

local function names_argument(message, entry)
  if entry.words.unknown then return true end
  for word in message:gsub("^[%w_. ]+: ", ""):gmatch("[%w_]+") do
    if entry.words[word] then return true end
  end
  return false
end

-- What may be wrong although all arguments are right.
local states = { "attach it to a layer or tensors first", "there is no data; begin first" }

local function about_state(message)
  for _, state in ipairs(states) do
    if message:find(state, 1, true) then return true end
  end
  return false
end

local function check(entry, where, ok, message)
  if ok then
    results = results + 1
    return
  end
  if message == "hostile" then return end -- its own error, passed on
  if type(message) ~= "string" then return report("error is no string", where, message) end
  if message:find("\n") then return report("more than one line", where, message) end
  if message:find("%.[ch]:%d") then return report("names a C file", where, message) end
  if message == "not enough memory" then return end
  local sentence = message:match("^[^:]*hostile.lua:%d+: (.*)$") or entry.from_c and message
  if not sentence then return report("does not point at the caller", where, message) end
  if not names(sentence, entry) then return report("does not name the function", where, message) end
  if not names_argument(sentence, entry) and not about_state(sentence) then
    report("does not name the argument", where, message)
  end
end

local function one(...) return ... end
local function called(f, ...) return one(f(...)) end -- no tail call: it has a line

local turn = 0

local function cell(entry, where, change)
  turn = turn + 1
  if turn % every ~= 0 then return end
  local args = pack(entry.make())
  change(args)
  where = ("%s, %s"):format(entry.name, where)
  if entry.name == "core.set_tostring" and type(args[2]) == "function" then return end
  local start = os.clock()
  local ok, message = pcall(called, entry.f, unpack(args, 1, args.n))
  local seconds = os.clock() - start
  core.recording(true)
  core.anomaly(false)
  cells = cells + 1
  if seconds > slowest then slowest = seconds end
  if seconds > SLOW then report("slow", where, seconds) end
  check(entry, where, ok, message)
end

local function copy(t)
  local c = { n = t.n }
  for k, v in pairs(t) do c[k] = v end
  return c
end

local function attack(entry)
  local n = math.max(1, pack(entry.make()).n)
  for i = 1, n + 1 do
    for _, value in ipairs(values) do
      cell(entry, ("argument %d = %s"):format(i, value[1]), function(args)
        args[i] = value[2]()
        args.n = math.max(args.n, i)
      end)
    end
  end
  for i = 1, n do -- and every field of a table among the arguments
    local fields = pack(entry.make())[i]
    for name in pairs(type(fields) == "table" and fields or {}) do
      for _, value in ipairs(values) do
        cell(entry, ("field %s = %s"):format(tostring(name), value[1]), function(args)
          args[i] = copy(args[i])
          args[i][name] = value[2]()
        end)
      end
    end
  end
end

-- The library still works, to the bit.
local function healthy()
  mg.seed(1)
  local t = mg.trainer { net = mg.sequential { 2, mg.dense(3), "tanh", mg.dense(1) },
                         loss = "mse", optimizer = mg.adam { lr = 0.1 } }
  local sum = 0
  for _ = 1, 3 do sum = sum + t:step(mg.ones(4, 2), mg.ones(4, 1)) end
  return sum
end

local function used()
  mg.set_threads(1) -- a setting that takes memory
  if jit then jit.flush() end -- traces hold what they were made with
  local now, last
  repeat -- what finalizers and weak tables have held goes in the next turn
    last = now
    for _ = 1, 2 do collectgarbage() end
    now = (mg.memory())
  until now == last
  return now
end

local right, count, before = healthy(), 0, used()
for _, entry in ipairs(functions) do
  if not only or entry.name:find(only) then
    count = count + 1
    local cells_before = cells
    coroutine.wrap(attack)(entry) -- dead slots of a stack of its own hold nothing later
    if healthy() ~= right then report("a later training gives other results", entry.name) end
    local left = used() > before and used() - before or 0 -- 5.1 takes weak tables in turn
    before = before + left
    if left > 0 then report("leaves bytes behind", entry.name, left) end
    if verbose then print(("%-28s %5d cells"):format(entry.name, cells - cells_before)) end
  end
end

print(("hostile: %d functions, %d values, %d cells, %d of them results, slowest %.0f ms,"
  .. " %.1f s; %d passed, %d failed"):format(count, #values, cells, results, 1000 * slowest,
  os.clock(), cells - failures, failures))
os.exit(failures == 0 and 0 or 1, true)
