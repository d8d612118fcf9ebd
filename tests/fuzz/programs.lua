-- Random programs: calls of the API in any order, on objects of any age, with hostile
-- arguments and with functions that fail, recurse, close, train, collect or yield inside
-- whatever calls them. Any Lua error is fine; a crash, a hang, wrong counts of memory or
-- a changed result of a fixed training is not. Meant for a sanitized build.
--
--   lua tests/fuzz/programs.lua [--seed N] [--programs N] [--calls N] [--limit MB]
--                               [--keep FILE] [--trace] [--counts]
--
-- Program k of seed s is always the same: "--seed s+k-1 --programs 1" repeats it. It is
-- made of calls that draw their own numbers, so that it can be run without some of them:
-- FILE holds the numbers of those to keep. tests/fuzz/campaign.lua runs many programs and
-- makes one that fails small.

local mg = require "moongrad"
local core = mg.core
local unpack = table.unpack or unpack

local options = { seed = 1, programs = 100, calls = 64, limit = 32 }
local trace, only, counting
do
  local i = 1
  while arg[i] do
    local name, value = arg[i]:match("^%-%-(%a+)$"), arg[i + 1]
    if name == "trace" then
      trace = true
    elseif name == "counts" then
      counting = true
    elseif name == "keep" and value then
      only = {}
      for line in io.lines(value) do only[tonumber(line)] = true end
      i = i + 1
    elseif name and options[name] and tonumber(value) then
      i = i + 1
      options[name] = tonumber(value)
    else
      io.stderr:write("usage: see the head of programs.lua\n")
      os.exit(2)
    end
    i = i + 1
  end
end

mg.limit { memory = options.limit * 2 ^ 20 }

-- LuaJIT 2.1 itself hangs now and then when finalizers do much while traces are
-- recorded, without moongrad too: here it interprets.
if jit then jit.off() end

--------------------------------------------------------------------- functions

-- All functions of the API, but for those that would run for as long as they are told
-- (called below with less), read real data, or change what the checks below rely on.
local apart = { fit = true, epochs = true, run = true, advance = true, begin = true,
                gradcheck = true, func = true, ["function"] = true, fashion_mnist = true,
                mnist = true, csv = true, idx = true, limit = true, set_tostring = true,
                set_files = true, memory = true, fail = true, help = true, anomaly = true }

local api, counts = {}, {} -- {name, function}; calls by name
local depth

--- Counts what is called by way of the tables of the API.
local function count_calls(prefix, t)
  local names = {}
  for name, f in pairs(t) do
    if type(f) == "function" then names[#names + 1] = name end
  end
  table.sort(names)
  for _, name in ipairs(names) do
    local full, f = prefix .. name, t[name]
    counts[full] = 0
    t[name] = function(...)
      counts[full] = counts[full] + 1
      if trace then
        local parts = {}
        for i = 1, select("#", ...) do
          local v = select(i, ...)
          parts[i] = core.type(v) or type(v) == "number" and tostring(v) or type(v)
        end
        io.write((" "):rep(2 * depth), full, "(", table.concat(parts, ", "), ")\n")
        io.flush()
      end
      return f(...)
    end
    if not apart[name] then api[#api + 1] = t[name] end
  end
end

count_calls("mg.", mg)
for _, name in ipairs { "data", "schedule", "npy" } do
  count_calls("mg." .. name .. ".", mg[name])
end
for _, kind in ipairs { "tensor", "layer", "optimizer", "dataset", "trainer" } do
  count_calls(kind .. ":", core[kind .. "_methods"])
end

---------------------------------------------------------------------- numbers

depth = 0
local state = 1
local function random(n) -- 1 to n; the same on every Lua
  state = (state * 16807) % 2147483647
  return state % n + 1
end
local function chance(n) return random(n) == 1 end
local function pick(list) return list[random(#list)] end

------------------------------------------------------------------ what there is

local KINDS = { "tensor", "layer", "optimizer", "dataset", "trainer", "other" }
local pool, budget
local calls, went = 0, 0 -- made; without an error

local function keep(kind, v)
  local list = pool[kind]
  if #list >= 24 then list[random(#list)] = v else list[#list + 1] = v end
  return v
end

local function object(kind)
  local list = pool[kind]
  if chance(60) then kind = pick(KINDS) list = pool[kind] end
  return list[random(math.max(1, #list))]
end

local function tensor() return object "tensor" end

local ops, layers, acts, inits = {}, {}, {}, {}
for name, f in pairs(core.ops) do ops[#ops + 1] = { name, f } end
table.sort(ops, function(a, b) return a[1] < b[1] end)
for _, op in ipairs(core.describe().ops) do
  if op.activation then acts[#acts + 1] = op.name end
end
for _, info in ipairs(core.describe().layers) do layers[#layers + 1] = info.name end
for _, init in ipairs(core.describe().inits) do inits[#inits + 1] = init.name end
local rules = {}
for name in pairs(mg.optimizers) do rules[#rules + 1] = name end
table.sort(rules)
local losses = {}
for _, op in ipairs(core.describe().ops) do if op.loss then losses[#losses + 1] = op.name end end
local metrics = { "accuracy", "top_2", "mae", "mse", "r2", "precision", "f1", "confusion" }

local function size() return pick { 1, 2, 3, 4, 4, 4, 5 } end
local function dim() return pick { 1, 1, 2, 2, -1, 3, 0 } end

local function value()
  return pick { 0, 1, -1, 2, 0.5, 3, 1e30, -1e30, 0 / 0, math.huge, 2 ^ 31, 2 ^ 53, "3", false }
end

local function any() -- whatever a function may be handed
  local what = random(10)
  if what <= 5 then return object(pick(KINDS)) end
  if what <= 7 then return value() end
  if what == 8 then return size() end
  if what == 9 then return pick { acts, inits, losses, rules } [1] end
  return pick { {}, { 1, 2 }, { { 1, 2 }, { 3 } }, { dim = 1, keepdim = true }, { 4 },
                { lr = value() }, { x = tensor(), y = tensor() }, { w = tensor() } }
end

local act -- one random call; below

-------------------------------------------------------- functions that are called

-- Lua 5.3 itself may hang where finalizers step and collect: the collection does not end.
local finalizing = 0
local function collect(...)
  if finalizing == 0 then collectgarbage(...) end
end

-- What a function does before its answer: anything, seldom more than a little.
local function mischief(self)
  if chance(3) then return end
  for _ = 1, random(3) do
    local what = random(14)
    if what <= 6 then act()
    elseif what == 7 then collect()
    elseif what == 8 then error("mischief", 0)
    elseif what == 9 then error({}, 0)
    elseif what == 10 and self then self:close()
    elseif what == 11 then
      local t = tensor()
      if core.type(t) then t:close() end
    elseif what == 12 then coroutine.wrap(act)()
    elseif what == 13 then coroutine.yield()
    else pcall(act) end
  end
end

local function layer_function()
  return function(x)
    mischief(x)
    local what = random(8)
    if what == 1 then return x:detach()
    elseif what == 2 then return tensor()
    elseif what == 3 then local l = object "layer" return l(x)
    elseif what == 4 then x:close() return x
    elseif what == 5 then return mg.dense(4)(x)
    elseif what == 6 then return x:transpose(1, 2):contiguous():transpose(1, 2) end
    return x * 2
  end
end

local function judge() -- a loss or a metric
  return function(p, y)
    mischief(p)
    if chance(12) then return tensor() end
    if chance(12) then return 1 end
    return mg.mse(p, y)
  end
end

local function module()
  return mg.module("chaos", {
    init = function(self)
      self.fc = mg.dense(4)
      if chance(2) then self.w = mg.tensor({ 1, 2, 3, 4 }, { requires_grad = true }) end
      if chance(3) then self.f = mg.sequential { layer_function() } end
      mischief(self)
    end,
    forward = function(self, x)
      mischief(self)
      local what = random(10)
      if what == 1 then self.fc = nil
      elseif what == 2 then self.fc = mg.dense(4)
      elseif what == 3 then self.extra = tensor()
      elseif what == 4 then self.child = object "layer"
      elseif what == 5 then return self(x)
      elseif what == 6 then self:build(1, 4)
      elseif what == 7 then return self.f(x)
      elseif what == 8 then self.fc:close() end
      return self.w and self.fc(x) * self.w or self.fc(x)
    end,
  })()
end

local function entry()
  local what = random(8)
  if what <= 3 then return mg.dense(4, chance(2) and pick(acts) or nil) end
  if what == 4 then return pick(acts) end
  if what == 5 then return layer_function() end
  if what == 6 then return module() end
  if what == 7 then return object "layer" end
  return mg.dropout(0.5)
end

local function net()
  local entries = {}
  if chance(2) then entries[1] = 4 end
  for _ = 1, random(4) do entries[#entries + 1] = entry() end
  return mg[pick { "sequential", "sequential", "residual", "parallel" }](entries)
end

local function on_collection(finalizer)
  local f = _VERSION ~= "Lua 5.3" and finalizer or function()
    finalizing = finalizing + 1
    pcall(finalizer)
    finalizing = finalizing - 1
  end
  if newproxy then getmetatable(newproxy(true)).__gc = f else setmetatable({}, { __gc = f }) end
end

-- Files in memory, of which some calls fail.
local disk = {}

local function host(f)
  return function(...)
    if chance(40) then mischief() end
    if chance(40) then return nil, "hostile", 5 end
    return f(...)
  end
end

mg.set_files {
  open = host(function(path, mode)
    if mode == "r" and not disk[path] then return nil, "not there", 2 end
    if mode == "w" then disk[path] = "" end
    return { path = path, at = 1 }
  end),
  size = host(function(h) return #disk[h.path] end),
  read = host(function(h, n)
    local piece = disk[h.path]:sub(h.at, h.at + n - 1)
    h.at = h.at + #piece
    return piece
  end),
  write = host(function(h, bytes) disk[h.path] = disk[h.path] .. bytes return true end),
  close = host(function() return true end),
  rename = host(function(from, to) disk[to], disk[from] = disk[from], nil return true end),
  remove = host(function(path) disk[path] = nil return true end),
}

local function path() return pick { "a", "b", "c" } end

-------------------------------------------------------------------- the calls

local function batch() return mg.rand(random(4), 4), mg.rand(4, 4) end

local function new_data()
  local n = random(9)
  return { x = mg.rand(n, 4), y = mg.rand(n, 4), batch = random(4), shuffle = chance(2) }
end

local function data() return chance(2) and object "dataset" or new_data() end

local function call_any() -- any function of the API with any arguments
  local f, a, b, c = pick(api), any(), any(), any()
  local results
  local what = random(4)
  if what == 1 then results = { f(a) }
  elseif what == 2 then results = { f(a, b) }
  elseif what == 3 then results = { f(a, b, c) }
  else results = { f(a, b, c, any(), any()) } end
  for i = 1, 3 do
    local kind = core.type(results[i])
    if kind and kind ~= "bytes" then keep(kind, results[i]) end
  end
end

local metamethods = {} -- of all kinds of objects, called by hand
for _, kind in ipairs { "tensor", "layer", "optimizer", "dataset", "trainer" } do
  local o = ({ tensor = function() return mg.ones(1) end, layer = function() return mg.dense(1) end,
               optimizer = function() return mg.sgd { lr = 1 } end,
               dataset = function() return mg.data.tensors(mg.ones(1), mg.ones(1)) end,
               trainer = function()
                 return mg.trainer { net = mg.dense(1), loss = "mse", optimizer = "sgd" }
               end })[kind]()
  for name, f in pairs(debug.getmetatable(o)) do
    if type(f) == "function" then metamethods[#metamethods + 1] = { kind .. name, f } end
  end
end
table.sort(metamethods, function(a, b) return a[1] < b[1] end)

local actions = {
  function() pick(metamethods)[2](any(), any(), any()) end,
  function() keep("tensor", mg.rand(size(), size())) end,
  function() keep("tensor", mg.randn(size(), 4)) end,
  function()
    keep("tensor", mg.tensor({ { 1, 2, 3, 4 }, { 5, 6, 7, 8 } }, { requires_grad = true }))
  end,
  function() keep("tensor", mg.zeros(size()):expand(size(), -1)) end,
  function() keep("tensor", mg.ones(pick { 1, 2, 2 ^ 20, 2 ^ 22, 2 ^ 23, 2 ^ 40 })) end,
  function() -- any op with any operands
    local op = pick(ops)
    local a, b, c = tensor(), tensor(), tensor()
    local what = random(8)
    if what == 1 then keep("tensor", (op[2](a)))
    elseif what == 2 then keep("tensor", (op[2](a, b)))
    elseif what == 3 then keep("tensor", (op[2](a, dim())))
    elseif what == 4 then keep("tensor", (op[2](a, dim(), b)))
    elseif what == 5 then keep("tensor", (op[2]({ a, b, c }, dim())))
    elseif what == 6 then keep("tensor", (op[2](a, value())))
    elseif what == 7 then keep("tensor", (op[2](a, b, c)))
    else keep("tensor", (op[2](a, dim(), size(), size()))) end
  end,
  function() keep("tensor", pick { mg.add, mg.sub, mg.mul, mg.div }(tensor(), tensor())) end,
  function() keep("tensor", tensor():matmul(tensor())) end,
  function() keep("tensor", tensor()[pick(acts)](tensor())) end,
  function() keep("tensor", tensor():sum()) end,
  function() keep("tensor", tensor():mean(dim(), chance(2))) end,
  function() -- views
    local t, what = tensor(), random(8)
    if what == 1 then keep("tensor", t:reshape(-1))
    elseif what == 2 then keep("tensor", t:transpose(1, 2))
    elseif what == 3 then keep("tensor", t:narrow(dim(), size(), size()))
    elseif what == 4 then keep("tensor", t[size()])
    elseif what == 5 then keep("tensor", t:unsqueeze(dim()))
    elseif what == 6 then keep("tensor", t:expand(size(), size(), -1))
    elseif what == 7 then for _, v in ipairs(t:split(size(), dim())) do keep("tensor", v) end
    else keep("tensor", t:detach()) end
  end,
  function() tensor():sum():backward(chance(3) and { retain = true } or nil) end,
  function() tensor():backward() end,
  function() -- the same graph again, changed on the way
    local loss = (tensor() * tensor()):mean()
    loss:backward { retain = true }
    act()
    loss:backward()
  end,
  function()
    for _, g in ipairs(mg.grad(tensor():sum(), { tensor(), tensor() })) do keep("tensor", g) end
  end,
  function() keep("tensor", tensor().grad) end,
  function() tensor().grad = pick { false, tensor() } or nil end,
  function() tensor().requires_grad = chance(2) end,
  function() -- in place
    local t, what = tensor(), random(7)
    if what == 1 then t:fill(value())
    elseif what == 2 then t:add_(tensor())
    elseif what == 3 then t:mul_(value())
    elseif what == 4 then t:copy(tensor())
    elseif what == 5 then t[size()] = tensor()
    elseif what == 6 then t[size()] = value()
    else t[pick(acts) .. "_"](t) end
  end,
  function() core.init(pick(inits), tensor()) end,
  function() tensor():totable() end,
  function() tostring(object(pick(KINDS))) end,
  function() mg.no_grad(function() mischief() act() end) end,
  function()
    local t = tensor()
    if t:numel() > 100 then return end
    mg.gradcheck(function(a) mischief(a) return (a * a):sum() end, { t })
  end,
  function() mg.set_threads(random(3)) end,
  function() mg.anomaly(chance(8)) end,
  -- files
  function() keep("other", mg.dump(object "layer")) end,
  function() keep("layer", mg.undump(pick(pool.other))) end,
  function() mg.save(path(), chance(2) and object "layer" or { w = tensor() }) end,
  function()
    local v = mg.load(path())
    if core.type(v) == "layer" then keep("layer", v) end
  end,
  function() object "layer":load_weights(path()) end,
  function() object "layer":load_weights(object "layer":named(), function(name)
    mischief()
    return name
  end) end,
  function() object "trainer":save(path()) end,
  function() object "trainer":load(path()) end,
  function() keep("other", mg.npy.dump(tensor())) end,
  function() keep("tensor", (mg.npy.undump(pick(pool.other)))) end,
  function() object(pick(KINDS)):close() end,
  function() tensor():close() end,
  function() collect(pick { "collect", "step" }) end,
  function()
    for _, kind in ipairs(KINDS) do
      pool[kind][random(8)] = nil
      pool[kind] = { unpack(pool[kind]) }
    end
  end,
  function() -- a finalizer that does anything, and comes back a few times
    local left = random(20)
    local function arm()
      left = left - 1
      on_collection(function()
        if left > 0 then arm() end
        pcall(mischief) -- before 5.4 its error would come up anywhere
      end)
    end
    arm()
  end,
  function() -- a coroutine that is left or gone on with
    local co = coroutine.create(function() act() coroutine.yield() act() end)
    coroutine.resume(co)
    if chance(2) then coroutine.resume(co) else keep("other", co) end
  end,
  -- layers
  function() keep("layer", net()) end,
  function() keep("layer", mg.dense(4, { inputs = 4 })) end,
  function() keep("layer", module()) end,
  function() keep("layer", mg[pick(layers)](pick { 4, 2, "tanh", 0.5 })) end,
  function() keep("tensor", object "layer"(mg.rand(size(), 4))) end,
  function() keep("tensor", object "layer"(tensor())) end,
  function() keep("tensor", object "layer":predict(tensor())) end,
  function() object "layer":add(object "layer", pick { "a", "b" }) end,
  function() object "layer":add(object "layer") end,
  function() object "layer":build(size(), 4) end,
  function() keep("layer", object "layer":clone()) end,
  function()
    for _, p in ipairs(object "layer":parameters(chance(2))) do keep("tensor", p.tensor) end
  end,
  function() for _, t in pairs(object "layer":named()) do keep("tensor", t) end end,
  function() object "layer":zero_grad() end,
  function() object "layer":hash() end,
  function() object "layer":summary(4) end,
  function() for _, p in ipairs(object "layer":describe().parts) do keep("layer", p.layer) end end,
  function() if chance(2) then object "layer":train() else object "layer":eval() end end,
  function() object "layer"[pick { "w", "fc", "f", "x" }] = object(pick(KINDS)) end,
  function() object "layer"[pick { "w", "fc", "f", "x" }] = nil end,
  function() -- a whole step by hand
    local l, o = object "layer", object "optimizer"
    local x, y = mg.rand(4, 4), mg.rand(4, 4)
    mg.mse(l(x), y):backward()
    o:step()
    o:zero_grad()
  end,
  -- optimizers
  function()
    local lr = chance(3) and function(step) mischief() return 0.01 / step end or 0.01
    keep("optimizer", mg[pick(rules)] { lr = lr, clip_norm = chance(3) and 1 or nil,
      ema = chance(4) and 0.5 or nil,
      groups = chance(4) and { { match = "bias", lr_scale = 2 } } or nil })
  end,
  function()
    keep("optimizer", mg.sgd { lr = mg.schedule.plateau { lr = 0.1, patience = 1 } })
  end,
  function() keep("optimizer", mg.lbfgs { max_iter = 3 }:attach(object "layer")) end,
  function()
    local l, o, x, y = object "layer", object "optimizer", mg.rand(4, 4), mg.rand(4, 4)
    o:step(function()
      mischief(o)
      o:zero_grad()
      local loss = mg.mse(l(x), y)
      loss:backward()
      return loss
    end)
  end,
  function() object "optimizer":averaged(function() mischief() act() end) end,
  function() object "optimizer":grouping(function() mischief() return 0 end) end,
  function() object "optimizer":attach(object "layer") end,
  function() object "optimizer":attach { tensor(), tensor() } end,
  function() object "optimizer":step() end,
  function() object "optimizer":zero_grad() end,
  function() object "optimizer".lr = value() end,
  function() object "optimizer":schedule(function() mischief() return 0.1 end) end,
  -- data
  function() keep("dataset", mg.data.tensors(tensor(), tensor())) end,
  function() keep("dataset", mg.data.dataset(new_data())) end,
  function() keep("dataset", object "dataset":shuffle()) end,
  function() keep("dataset", object "dataset":range(size(), size())) end,
  function() keep("tensor", (object "dataset":batch(size(), size()))) end,
  function() object "dataset":normalize() end,
  function() local a, b = object "dataset":split(0.5) keep("dataset", a) keep("dataset", b) end,
  function() for x in object "dataset":batches(size()) do keep("tensor", x) act() end end,
  function()
    keep("dataset", mg.data.func(function() mischief() return { 1, 2, 3, 4 }, { 1, 0, 0, 1 } end,
      random(5)))
  end,
  function() object "dataset":augment { noise = 0.1, flip = chance(2) } end,
  -- trainers
  function()
    keep("trainer", mg.trainer {
      net = chance(3) and object "layer" or net(),
      loss = chance(2) and pick(losses) or judge(),
      optimizer = chance(2) and object "optimizer" or pick(rules),
      metrics = chance(3) and { pick(metrics), mine = chance(2) and judge() or nil } or nil,
      accumulate = chance(4) and 2 or nil, plan = not chance(4), anomaly = chance(6) })
  end,
  function() object "trainer":step(batch()) end,
  function() object "trainer":step(mg.rand(4, 4), mg.rand(4, 4)) end,
  function() object "trainer":step(tensor(), tensor()) end,
  function()
    object "trainer":run(data(), { steps = random(4), ms = chance(2) and 1 or nil,
                                  epochs = random(3) })
  end,
  function() object "trainer":evaluate(data()) end,
  function()
    local fit = { validation = chance(3) and data() or nil }
    for _ in object "trainer":epochs(random(3), data(), fit) do
      act()
      if chance(3) then break end
    end
  end,
  function()
    local function watch() mischief() return chance(2) end
    object "trainer":fit(random(2), data(), {
      patience = chance(2) and 1 or nil, on_epoch = watch, on_batch = chance(3) and watch or nil,
      restore_best = chance(3), checkpoint = chance(4) and path() or nil })
  end,
  function() -- a loop of epochs that is left half done, in a coroutine
    local t, d = object "trainer", data()
    local co = coroutine.create(function()
      for _ in t:epochs(3, d) do coroutine.yield() act() end
    end)
    for _ = 1, random(4) do coroutine.resume(co) end
    keep("other", co)
  end,
  function() -- recurrent layers with states
    local l = mg[pick { "rnn", "gru", "lstm" }](4, { layers = random(2) })
    local y, h = l(mg.rand(2, 3, 4), { lengths = chance(2) and mg.tensor { 3, 1 } or nil })
    keep("layer", l)
    keep("tensor", y)
    if h then keep("tensor", h) end
  end,
  function() local p = object "trainer":parts() for k in pairs(p) do p[k] = nil end end,
  function() object "trainer":begin(mg.data.dataset(data()), random(4), random(3), chance(2)) end,
  function() object "trainer":advance(random(3), nil, chance(2)) end,
}

for _ = 1, 20 do actions[#actions + 1] = call_any end

local index -- of the call under way, from the top

function act()
  if budget <= 0 or depth > 30 then return end
  budget = budget - 1
  depth = depth + 1
  calls = calls + 1
  local f = pick(actions)
  if trace and depth == 1 then io.write("call ", index, "\n") io.flush() end
  local ok, message = pcall(f)
  if ok then went = went + 1 end
  if trace and not ok then io.write((" "):rep(2 * depth), tostring(message), "\n") end
  depth = depth - 1
end

---------------------------------------------------------------------- the runs

local function empty()
  pool, depth, budget = {}, 0, 0
  for _, kind in ipairs(KINDS) do pool[kind] = {} end
end

-- The numbers of the call at a place are its own: without others it stays the same.
local function draw_for(seed, place)
  state = (seed * 7919 + place * 104729) % 2147483646 + 1
  for _ = 1, 8 do random(2) end
end

local function collector(name, v) -- 5.5 has another call for it
  if not pcall(collectgarbage, "set" .. name, v) then collectgarbage("param", name, v) end
end

local unstarted = 0

local function program(seed)
  draw_for(seed, 0)
  mg.seed(seed)
  empty() -- no budget: nothing odd while these are made
  disk = {}
  keep("tensor", mg.rand(4, 4))
  keep("tensor", mg.tensor({ { 1, 2, 3, 4 } }, { requires_grad = true }))
  keep("layer", mg.sequential { 4, mg.dense(4, "tanh"), mg.dense(4) })
  keep("layer", mg.sequential { mg.dense(4, "tanh"), layer_function(), mg.dense(4) })
  keep("optimizer", mg.sgd { lr = 0.01 }:attach(pool.layer[1]))
  keep("dataset", mg.data.dataset(new_data()))
  for i = 1, 2 do
    keep("trainer", mg.trainer { net = pool.layer[i], optimizer = pick(rules),
                                 loss = i == 1 and "mse" or judge() })
  end
  keep("other", mg.dump(pool.layer[1]))
  local pause = pick { 1, 50, 200 } -- finalizers sooner or later
  local stepmul = chance(20) and 1000 or pick { 100, 200 } -- 1000: all the time
  local generations = not chance(10) and _VERSION >= "Lua 5.4"
  if _VERSION >= "Lua 5.4" then collectgarbage(generations and "generational" or "incremental") end
  if _VERSION == "Lua 5.3" and pause == 1 and seed % 20 > 0 then
    pause = 50 -- 1 takes five times as long there
  end
  collector("pause", pause)
  collector("stepmul", stepmul)
  budget, index = options.calls, 0
  while budget > 0 do
    local before = budget
    index = index + 1
    draw_for(seed, index)
    local alone = chance(4) -- in a coroutine, so that yields go somewhere
    if not only or only[index] then
      if alone then coroutine.resume(coroutine.create(act)) else act() end
    end
    if budget == before then budget = budget - 1 end
  end
end

local function used()
  empty()
  mg.set_threads(1) -- a setting that takes memory
  for _ = 1, 2 do collectgarbage() end
  return (mg.memory())
end

-- A fixed training; what came before must not change its bits.
local function reference()
  mg.seed(7)
  core.recording(true)
  core.anomaly(false)
  local t = mg.trainer { net = mg.sequential { 2, mg.dense(3), "tanh", mg.dense(1) },
                         loss = "mse", optimizer = mg.adam { lr = 0.1 } }
  local sum = 0
  for _ = 1, 3 do sum = sum + t:step(mg.ones(4, 2), mg.ones(4, 1)) end
  return sum
end

local right = reference()
local clean, bad, start = used(), 0, os.clock()

local function wrong(seed, text, ...)
  bad = bad + 1
  print(("seed %d: "):format(seed) .. text:format(...))
end

-- Runs n programs and looks at what they leave behind; where that is wrong, one by one.
local function run(first, n)
  for seed = first, first + n - 1 do
    -- not where a finalizer of the last one closes what this one begins with
    if not pcall(program, seed) then unstarted = unstarted + 1 end
    core.recording(true)
  end
  local left, result = used() - clean, reference()
  for _ = 1, left ~= 0 and 4 or 0 do left = used() - clean end -- finalizers of finalizers
  if left == 0 and result == right then return end
  clean = clean + left
  if n > 1 then
    for seed = first, first + n - 1 do run(seed, 1) end
    bad = bad + 1 -- even if none of them does it alone
  elseif left ~= 0 then
    wrong(first, "leaves %.0f bytes behind", left)
  else
    wrong(first, "a training afterwards gives %.17g, not %.17g", result, right)
  end
end

for first = options.seed, options.seed + options.programs - 1, 20 do
  run(first, math.min(20, options.seed + options.programs - first))
end

if unstarted > options.programs / 20 + 1 then wrong(options.seed, "%d not started", unstarted) end

if counting then
  local names = {}
  for name in pairs(counts) do names[#names + 1] = name end
  table.sort(names)
  for _, name in ipairs(names) do print(("  %-28s %9d"):format(name, counts[name])) end
end

local never, made, functions = {}, 0, 0
for name, n in pairs(counts) do
  made, functions = made + n, functions + 1
  if n == 0 then never[#never + 1] = name end
end
table.sort(never)
print(("programs: %d from seed %d, %d steps, %d without error, %d calls of the API,"
  .. " %d of %d functions, %.1f s; %d passed, %d failed"):format(options.programs, options.seed,
  calls, went, made, functions - #never, functions, os.clock() - start,
  math.max(options.programs - bad, 0), bad))
if counting and #never > 0 then print("never called: " .. table.concat(never, " ")) end
os.exit(bad == 0 and 0 or 1, true)
