-- The work that alloc.c lets run out of memory: a list of {name, make}. make, which has
-- all the memory it wants, returns a function that does the work on what make has made,
-- any number of times, and gives the same text each time.

local mg = require "moongrad"
local core = mg.core
local unpack = table.unpack or unpack
local list = {}

local function add(name, make)
  list[#list + 1] = { name, function()
    mg.seed(1)
    return make()
  end }
end

--- All bits of some tensors as one text.
local function digest(...)
  local crc = 0
  for i = 1, select("#", ...) do
    local v = select(i, ...)
    if core.type(v) == "tensor" then crc = core.crc32(crc, v:contiguous():to_string()) end
  end
  return ("%d"):format(crc)
end

local function leaf(...)
  local t = mg.randn(...)
  t.requires_grad = true
  return t
end

-------------------------------------------------------------------- ops and layers

local function arguments()
  local m, v, picture = leaf(2, 3), leaf(3), leaf(1, 2, 5, 5)
  local ids, bits = mg.tensor { 1, 2 }, mg.ones(2, 3)
  return { { m }, { m, m }, { m, v }, { m, ids }, { m, bits }, { m, 1 }, { m, 1, 2 }, { m, 2, 3 },
           { m, { 3, 2 } }, { m, { 2, 3 } }, { { m, m } }, { { m, m }, 1 }, { m, 1, ids },
           { m, 1, 1, 1 }, { bits, m, m }, { m, leaf(4, 3), leaf(4) }, { m, leaf(3, 4) },
           { ids, leaf(4, 3) }, { m, m, m }, { m, m, ids }, { picture, leaf(3, 2, 3, 3) },
           { picture, 2 }, { picture, leaf(2, 3, 3, 3) }, { leaf(2, 4, 3), leaf(2, 4, 3),
           leaf(2, 4, 3) }, { m, ids, ids }, { ids, 3 }, { m, 1, mg.tensor { { 1, 2, 1 } } },
           { m, v, mg.ones(3) }, { v, leaf(3), mg.tensor { 1, -1, 1 } },
           { m, leaf(2, 3), mg.tensor { 1, -1 } }, { leaf(1, 3, 3), mg.tensor { { 2 } } },
           { leaf(2, 4, 3), leaf(5, 3), leaf(5, 5) } }
end

local function run_op(f, args)
  for _, x in ipairs(args) do
    if core.type(x) == "tensor" and x.requires_grad then x.grad = nil end
  end
  mg.seed(1)
  local y = f(unpack(args))
  if y.requires_grad then y:sum():backward() end
  local first = args[1]
  return digest(y, core.type(first) == "tensor" and first.grad or nil)
end

for _, op in ipairs(core.describe().ops) do
  local f, tried = core.ops[op.name], #list
  for i, fits in ipairs(arguments()) do
    if pcall(run_op, f, fits) then
      add(("op %s with arguments %d"):format(op.name, i), function()
        local args = arguments()[i]
        return function() return run_op(f, args) end
      end)
    end
  end
  assert(#list > tried, op.name)
end

--- A net: forward, backward, predictions, a copy.
local function use(net, x)
  net:zero_grad()
  mg.seed(2)
  local y = net(x)
  if y.requires_grad then y:sum():backward() end
  local first = net:parameters()[1]
  return digest(y, first and first.tensor.grad, net:predict(x)) .. net:clone():hash()
end

local nets = require "tests.spec.export_nets"
nets.each(function(net, x, _, name)
  add("net: " .. name, function()
    net:eval() -- running means stay
    return function() return use(net, x) end
  end)
end)

local others = {
  attention = function() return mg.attention(2), mg.randn(2, 3, 4) end,
  transformer_block = function() return mg.transformer_block { heads = 2 }, mg.randn(2, 3, 4) end,
  embedding = function() return mg.embedding(5, 3), mg.tensor { { 1, 5 }, { 2, 2 } } end,
  dropout = function() return mg.sequential { 4, mg.dense(3), mg.dropout(0.5) }, mg.randn(2, 4) end,
  class = function()
    return mg.module("m", { init = function(self) self.a = mg.dense(3) end,
                            forward = function(self, x) return self.a(x):tanh() end })(),
      mg.randn(2, 4)
  end,
}
for name, make in pairs(others) do
  add("layer " .. name, function()
    mg.seed(1)
    local net, x = make()
    return function() return use(net, x) end
  end)
end
add("building a net", function()
  return function()
    mg.seed(3)
    local net = mg.sequential { { 1, 6, 6 }, mg.conv2d(2, 3), mg.batchnorm(), "relu", mg.flatten(),
                                mg.residual { mg.dense(32) }, mg.dense(2) }
    return net:hash() .. #net:summary()
  end
end)

------------------------------------------------------------------------- training

local data = { x = { { 0, 0 }, { 0, 1 }, { 1, 0 }, { 1, 1 } }, y = { 0, 1, 1, 0 }, batch = 2,
               shuffle = true }

local function trained(optimizer, options)
  mg.seed(7)
  local net = mg.sequential { 2, mg.dense(4, "tanh"), mg.batchnorm(), mg.dense(1), "sigmoid" }
  local t = mg.trainer { net = net, loss = "bce", optimizer = optimizer, metrics = { "accuracy" } }
  t:fit(2, data, options)
  return net, t
end

for name, make in pairs(mg.optimizers) do
  add("optimizer " .. name, function()
    return function()
      local set = name == "lbfgs" and { batch = 4 } or nil
      return (trained(make {}, set):hash())
    end
  end)
end

--- Steps of a trainer that exists, brought back to where it began.
local function stepping(net, t, x, y)
  local state, optimizer = {}, t:parts().optimizer
  for _, p in ipairs(net:parameters(true)) do state[p.name] = p.tensor:clone() end
  return function()
    mg.seed(2)
    net:load_weights(state)
    optimizer:attach(net)
    local loss
    for _ = 1, 3 do loss = t:step(x, y) end
    return net:hash() .. loss
  end
end
add("steps of a trainer", function()
  local net, t = trained(mg.adam { lr = 0.1 })
  return stepping(net, t, mg.tensor(data.x), mg.tensor(data.y):unsqueeze(2))
end)
nets.each(function(net, x, _, name)
  if net:num_parameters() == 0 then return end
  add("steps of " .. name, function()
    local t = mg.trainer { net = net, loss = "mse", optimizer = mg.sgd { momentum = 0.9 } }
    return stepping(net, t, x, net:predict(x) * 0.5)
  end)
end)
add("steps by hand", function()
  local net = mg.sequential { 2, mg.dense(4, "tanh"), function(x) return x * 2 end, mg.dense(1) }
  local x, y, start = mg.tensor(data.x), mg.tensor(data.y):unsqueeze(2), {}
  for name, t in pairs(net:named()) do start[name] = t:clone() end
  return function()
    net:load_weights(start)
    local opt = mg.sgd { lr = 0.1, momentum = 0.9, clip_norm = 1 }:attach(net)
    for _ = 1, 3 do
      opt:zero_grad()
      mg.mse(net(x), y):backward()
      opt:step()
    end
    return net:hash()
  end
end)
add("losses, metrics and schedules in Lua", function()
  return function()
    mg.seed(7)
    local net = mg.sequential { 2, mg.dense(3, "tanh"), mg.dense(1) }
    local t = mg.trainer {
      net = net, optimizer = mg.sgd { lr = mg.schedule.cosine { lr = 0.1, steps = 9 }, ema = 0.9 },
      loss = function(p, y) return ((p:flatten() - y:flatten()) ^ 2):mean() end,
      metrics = { bias = function(p, y) return (p:mean() - y:mean()):item() end },
    }
    local rows = {}
    for e in t:epochs(2, data) do rows[#rows + 1] = e.bias end
    local result, loss = t:run(data, { ms = 1000, epochs = 2 })
    return net:hash() .. table.concat(rows, " ") .. result .. loss .. t:evaluate(data).loss
  end
end)
add("gradients", function()
  local a, b, c = leaf(3, 4), leaf(4, 2), leaf(3)
  local function square(v) return (v * v):sum() end
  local w = mg.grad(a:matmul(b):sum(), { a, b })[1]
  return function()
    local loss = (a:matmul(b):softmax(2) * 2):square():sum()
    local g = mg.grad(loss, { a, b }, { retain = true })
    return digest(g[1], g[2], w) .. mg.gradcheck(square, { c })
  end
end)

---------------------------------------------------------------------------- files

local pipe = io.popen "mktemp -u -p /dev/shm 2>/dev/null || mktemp -u" -- thousands of fsyncs
local path = pipe:read "*l" .. "-moongrad-"
pipe:close()

local function with_file(f)
  return function()
    local net, t = trained(mg.adam { lr = 0.1 })
    return function()
      local name = path .. core.type(net)
      local result = f(net, name, t)
      os.remove(name)
      return result
    end
  end
end

add("saving and loading a net", with_file(function(net, name)
  assert(net:save(name))
  local copy = assert(mg.load(name))
  assert(copy:load_weights(name))
  return copy:hash() .. assert(mg.undump(mg.dump(net))):hash()
end))
add("saving and loading a trainer", with_file(function(_, name, t)
  assert(t:save(name))
  local net, other = trained(mg.adam { lr = 0.1 })
  assert(other:load(name, { run = false }))
  return net:hash()
end))
add("arrays of NumPy", with_file(function(_, name)
  assert(mg.npy.write(name, mg.ones(2, 3)))
  return digest((assert(mg.npy.read(name))))
end))

--- What 'write' writes into the file of that name, as a number.
local function bytes_of(name, write)
  assert(write(name))
  local file = assert(io.open(name, "rb"), "not enough memory")
  local bytes = file:read("*a")
  file:close()
  os.remove(name)
  return ("%d"):format(core.crc32(0, bytes))
end

for _, format in ipairs { "lua", "c", "onnx" } do
  add("export to " .. format, function()
    local net = mg.sequential { { 1, 5, 5 }, mg.conv2d(2, 3), "relu", mg.flatten(), mg.dense(2) }
    return function()
      return bytes_of(path .. format, function(name) return mg.export[format](net, name) end)
    end
  end)
end
local pictures = {
  curve = function() return { { x = { 1, 2, 3 }, y = { 2, 3, 1 }, label = "a" } } end,
  loss = function() return { { epoch = 1, loss = 0.5 }, { epoch = 2, loss = 0.25 } } end,
  weights = function() return mg.sequential { 4, mg.dense(3) } end,
  histogram = function() return { 1, 2, 2, 3 } end,
  images = function() return mg.rand(2, 1, 3, 3) end,
}
for kind, make in pairs(pictures) do
  local format = kind == "images" and "png" or "svg"
  add(("plot.%s as %s"):format(kind, format), function()
    local of = make()
    return function()
      return bytes_of(path .. "picture." .. format, function(name)
        return mg.plot[kind](of, { out = name, width = 100, height = 60 })
      end)
    end
  end)
end
add("data", with_file(function(_, name)
  local file = assert(io.open(name, "w"), "not enough memory")
  file:write("a,b,c\n1,2,3\n4,5,6\n7,8,9\n")
  file:close()
  local d = assert(mg.data.csv(name, { target = "c", header = true }))
  mg.seed(1)
  local first, second = d:split(0.5)
  local x, y = d:normalize():augment { noise = 0.1 }:batch(1, 2)
  return digest(x, y, (first:batch(1, 1)), (second:batch(1, 1)))
end))

add("what it says of itself", function()
  local net = mg.sequential { 2, mg.dense(3), mg.dense(1) }
  local t = mg.trainer { net = net, loss = "mse", optimizer = mg.adam {} }
  return function()
    local set = mg.data.dataset { x = data.x, y = data.y }
    local words = { mg.help "dense", mg.help "trainer:fit", mg.help "matmul" }
    for _, v in ipairs { net, t, set, mg.ones(3, 3) } do words[#words + 1] = tostring(v) end
    return ("%d"):format(core.crc32(0, table.concat(words)))
  end
end)

-------------------------------------------------------------------------- scripts

-- Those that need no data and no other programs, made short. What train_or and train_nand
-- do is all in train_and.
local scripts = {
  neuron = {}, layer = {}, train_and = { "--epochs", "3" }, train_xor = { "--epochs", "2" },
  perceptron = { "--epochs", "3" }, line_fit = { "--epochs", "3" },
  sigmoid_fit = { "--epochs", "3" }, gradient_check = {},
  vanishing_gradient = { "--layers", "3", "--steps", "3" },
  lstm_add = { "--steps", "2", "--length", "4", "--hidden", "3" },
}
for name, options in pairs(scripts) do
  add("script " .. name, function()
    local written
    rawset(_G, "print", function(...)
      for i = 1, select("#", ...) do written[#written + 1] = tostring((select(i, ...))) end
    end)
    rawset(io, "write", print)
    rawset(os, "exit", function() error("exit", 0) end)
    return function()
      written = {}
      rawset(_G, "arg", { [0] = "scripts/" .. name .. ".lua", unpack(options) })
      local ok, message = pcall(dofile, arg[0])
      if not ok and message ~= "exit" then error(message, 0) end
      return ("%d"):format(core.crc32(0, (table.concat(written):gsub("[%d.]+ s%f[%A]", ""))))
    end
  end)
end

table.sort(list, function(a, b) return a[1] < b[1] end)
return list
