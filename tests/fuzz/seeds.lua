--- Writes the files that the corpus grew from into a folder: nets with all that a file can
-- say of one, trainers at several places of a run, files of other programs. Or large ones, for
-- the memory that loading takes.
--
--   lua tests/fuzz/seeds.lua FOLDER [large]

local folder = arg[1]
local loading = require "tests.fuzz.loading"
local mg = require "moongrad"
mg.set_files(nil)
mg.seed(1)

local function write(name, bytes)
  local f = assert(io.open(folder .. "/" .. name, "wb"))
  f:write(bytes)
  f:close()
end

--- So many tensors of so many numbers.
local function tensors(n, size)
  local list = {}
  for i = 1, n do list["tensor" .. i] = mg.ones(size) end
  return mg.dump(list)
end

if arg[2] == "large" then
  local layers = { 60 }
  for i = 1, 200 do layers[i + 1] = mg.dense(60) end
  write("one", tensors(1, 3e6))
  write("some", tensors(100, 3e4))
  write("many", tensors(1000, 2000))
  write("small", tensors(500, 1))
  write("wide", mg.dump(mg.sequential { 1500, mg.dense(1500), "tanh", mg.dense(100) }))
  write("deep", mg.dump(mg.sequential(layers)))
  local t = mg.trainer { loss = "mse", optimizer = "adam",
    net = mg.sequential { 800, mg.dense(800), mg.dense(2) } }
  t:step(mg.ones(2, 800), mg.ones(2, 2))
  assert(t:save(folder .. "/trainer"))
  return
end

local shared = mg.dense(2, { inputs = 2 })
local tied = mg.embedding(3, 2)
local nets = {
  { mg.sequential { 2, mg.dense(2, { act = "tanh" }), mg.batchnorm(), mg.dropout(0.5),
                    name = "net" }, { 2 } },
  { mg.sequential { { 1, 4, 4 }, mg.conv2d(1, 2, { stride = { 1, 2 } }), "relu", mg.maxpool2d(2),
                    mg.flatten() }, { 1, 4, 4 } },
  { mg.sequential { { 2, 2 }, mg.lstm(1, { bidirectional = true }), mg.layernorm() }, { 2, 2 } },
  { mg.sequential { { 2, 2 }, mg.transformer_block(1), mg.gru(1, { return_sequence = false }) },
    { 2, 2 } },
  { mg.sequential { tied, mg.dense(3, { weight = tied:named().weight, bias = false }) }, {} },
  { mg.sequential { shared, shared, mg.residual { mg.dense(2), "elu" }, mg.parallel {
    mg.dense(1), mg.prelu() } }, { 2 } },
  { mg.core.classes["fuzz.Class"](2, mg.dense(1), { 0.1, { x = 1 / 0, y = {} } }), { 2 } },
  { mg.sequential { mg.dense(2), mg.reshape(2) } },
}
for i, case in ipairs(nets) do
  local net, size = case[1], case[2]
  if size then net(mg.ones(2, (table.unpack or unpack)(size))) end
  if i == 1 then net:describe().parts[1].layer:freeze() end
  if i == 6 then net:eval() end
  write("net" .. i, mg.dump(net))
end

local data = { x = mg.rand(6, 2), y = mg.rand(6, 2), batch = 2, shuffle = true, accumulate = 2,
               validation = { x = mg.rand(2, 2), y = mg.rand(2, 2) } }
local t = loading.trainer(0.1)
for i = 1, 3 do
  t:run(data, { epochs = 3, steps = 2 * i - 1 })
  t:save(folder .. "/trainer" .. i)
end
loading.trainer(mg.schedule.plateau { lr = 0.1 }):fit(2, data,
  { checkpoint = folder .. "/trainer-fit", patience = 1, restore_best = true })

--- A file of this header and so many bytes.
local function foreign(name, header, n)
  write(name, string.char(#header % 256, math.floor(#header / 256), 0, 0, 0, 0, 0, 0) .. header
    .. ("\1"):rep(n))
end
foreign("types", '{"a":{"dtype":"F16","shape":[2],"data_offsets":[0,4]},"b":{"dtype":"I64",'
  .. '"shape":[],"data_offsets":[4,12]},"c":{"dtype":"BOOL","shape":[1,3],"data_offsets":[12,15]}}',
  15)
foreign("spaces", ' { "\\ud83c\\udf19" : { "shape" : [ 1 ] , "data_offsets" : [ 0 , 8 ] ,\n'
  .. '"dtype" : "F64" } , "__metadata__" : { } } ', 8)
foreign("texts", '{"__metadata__":{"format":"pt","\195\188\\n":"\\u00fc\\"\\\\"},'
  .. '"0.weight":{"dtype":"BF16","shape":[1],"data_offsets":[0,2]}}', 2)
foreign("empty", "{}", 0)
