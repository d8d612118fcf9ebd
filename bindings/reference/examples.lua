-- An example for every public name, as the reference shows and the tests run it: by kind of
-- entry, then by name. What it prints stands behind it in the reference. mg is
-- require "moongrad", seeded by 1 for each.
--
-- An operation or activation of one tensor without an example gets the one of 'unary'.

return {
  unary = "print(mg.tensor({ -2, -0.5, 1 }):NAME())",

  operation = {
    log = "print(mg.tensor({ 0.5, 1, 10 }):log())",
    sqrt = "print(mg.tensor({ 0.25, 1, 9 }):sqrt())",
    clamp = "print(mg.tensor({ -2, 0.5, 3 }):clamp(-1, 1))",
    add = "print(mg.tensor { { 1, 2 }, { 3, 4 } } + mg.tensor { 10, 20 })",
    sub = "print(mg.tensor { 3, 4 } - 1)",
    mul = "print(mg.tensor { { 1 }, { 2 } } * mg.tensor { 10, 20 })",
    div = "print(1 / mg.tensor { 2, 4 })",
    pow = "print(mg.tensor { 2, 3 } ^ 2)",
    minimum = "print(mg.tensor({ 1, 5 }):minimum(3))",
    maximum = "print(mg.tensor({ 1, 5 }):maximum(3))",
    eq = "print(mg.tensor({ 1, 2, 3 }):eq(2))",
    ne = "print(mg.tensor({ 1, 2, 3 }):ne(2))",
    lt = "print(mg.tensor({ 1, 2, 3 }):lt(2))",
    le = "print(mg.tensor({ 1, 2, 3 }):le(2))",
    gt = "print(mg.tensor({ 1, 2, 3 }):gt(2))",
    ge = "print(mg.tensor({ 1, 2, 3 }):ge(2))",
    where = "print(mg.where(mg.tensor { 1, 0, 1 }, mg.tensor { 1, 2, 3 }, -1))",
    sum = "print(mg.tensor({ { 1, 2 }, { 3, 4 } }):sum(2))",
    mean = "print(mg.tensor({ { 1, 2 }, { 3, 4 } }):mean())",
    max = "local values, ids = mg.tensor({ { 1, 5 }, { 4, 3 } }):max(2)\nprint(values, ids)",
    min = "local values, ids = mg.tensor({ { 1, 5 }, { 4, 3 } }):min(2)\nprint(values, ids)",
    argmax = "print(mg.tensor({ { 1, 5 }, { 4, 3 } }):argmax(2))",
    argmin = "print(mg.tensor({ { 1, 5 }, { 4, 3 } }):argmin(2))",
    var = "print(mg.tensor({ 1, 2, 3, 4 }):var())",
    std = "print(mg.tensor({ 1, 2, 3, 4 }):std())",
    norm = "print(mg.tensor({ 3, 4 }):norm())",
    matmul = "print(mg.tensor({ { 1, 2 }, { 3, 4 } }):matmul(mg.tensor { 1, 10 }))",
    linear = "print(mg.linear(mg.ones(1, 2), mg.tensor { { 1, 2 }, { 3, 4 } },"
      .. " mg.tensor { 10, 20 }))",
    reshape = "print(mg.arange(1, 6):reshape(2, -1))",
    flatten = "print(table.concat(mg.zeros(2, 3, 4):flatten(2).shape, \" \"))",
    transpose = "print(mg.tensor({ { 1, 2 }, { 3, 4 } }):transpose(1, 2))",
    permute = "print(table.concat(mg.zeros(2, 3, 4):permute(3, 1, 2).shape, \" \"))",
    narrow = "print(mg.arange(1, 9):narrow(1, 3, 4))",
    select = "print(mg.tensor({ { 1, 2 }, { 3, 4 } }):select(2, 1))",
    squeeze = "print(table.concat(mg.zeros(2, 1, 3):squeeze().shape, \" \"))",
    unsqueeze = "print(table.concat(mg.zeros(2, 3):unsqueeze(2).shape, \" \"))",
    expand = "print(mg.tensor({ { 1 }, { 2 } }):expand(2, 3))",
    contiguous = "print(mg.tensor({ { 1, 2 }, { 3, 4 } }):transpose(1, 2):contiguous())",
    clone = "local a = mg.zeros(2)\nlocal b = a:clone()\nb:fill(1)\nprint(a)",
    cat = "print(mg.cat({ mg.zeros(1, 2), mg.ones(2, 2) }, 1))",
    stack = "print(mg.stack { mg.zeros(2), mg.ones(2) })",
    index_select = "print(mg.tensor({ 10, 20, 30 }):index_select(1, mg.tensor { 3, 1, 3 }))",
    gather = "print(mg.tensor({ { 1, 2 }, { 3, 4 } }):gather(2, mg.tensor { { 2 }, { 1 } }))",
    one_hot = "print(mg.one_hot(mg.tensor { 2, 1 }, 3))",
    dot_attention = "local q, k, v = mg.randn(1, 2, 4), mg.randn(1, 2, 4), mg.ones(1, 2, 4)\n"
      .. "print(q:dot_attention(k, v, { heads = 2 }))",
    dot_attention_dropout = "local q = mg.ones(1, 2, 4)\n"
      .. "print(q:dot_attention_dropout(q, q, { p = 0 }))",
    embedding = "print(mg.tensor({ 2, 1 }):embedding(mg.tensor { { 1, 2 }, { 3, 4 } }))",
    positional_encoding = "print(mg.zeros(1, 2, 4):positional_encoding())",
    prelu = "print(mg.tensor({ { -2, 3 } }):prelu(mg.tensor { 0.1 }))",
    batch_norm = "local x = mg.tensor { { 1, 10 }, { 3, 30 } }\n"
      .. "print(x:batch_norm(mg.zeros(2), mg.ones(2)))",
    layer_norm = "print(mg.tensor({ { 1, 2, 3 } }):layer_norm())",
    group_norm = "print(mg.tensor({ { 1, 3, 10, 30 } }):group_norm(2))",
    rms_norm = "print(mg.tensor({ { 3, 4 } }):rms_norm())",
    standardize = "local x = mg.tensor { { 1, 10 }, { 3, 30 } }\n"
      .. "print(x:standardize(mg.tensor { 2, 20 }, mg.tensor { 1, 100 }))",
    recurrent = "local x = mg.ones(1, 3, 2)\n"
      .. "print(x:recurrent(mg.ones(1, 2), mg.ones(1, 1)))",
    conv = "local x = mg.tensor { { { 1, 2, 3, 4 } } }\n"
      .. "print(x:conv(mg.tensor { { { -1, 1 } } }))",
    conv_transpose = "local x = mg.tensor { { { 1, 2 } } }\n"
      .. "print(x:conv_transpose(mg.tensor { { { 1, 10 } } }))",
    avg_pool = "print(mg.tensor({ { { 1, 3, 5, 7 } } }):avg_pool(2))",
    max_pool = "print(mg.tensor({ { { 1, 3, 5, 7 } } }):max_pool(2))",
    adaptive_avg_pool = "print(mg.tensor({ { { 1, 3, 5, 7 } } }):adaptive_avg_pool(1))",
    adaptive_max_pool = "print(mg.tensor({ { { 1, 3, 5, 7 } } }):adaptive_max_pool(1))",
    pad = "print(mg.tensor({ { { 1, 2, 3 } } }):pad(1))",
    upsample = "print(mg.tensor({ { { 1, 2 } } }):upsample(2))",
    softmax = "print(mg.tensor({ 0, 0, 5 }):softmax(1))",
    log_softmax = "print(mg.tensor({ 0, 0, 5 }):log_softmax(1))",
    dropout = "print(mg.ones(6):dropout(0.5))",
    spatial_dropout = "print(mg.ones(1, 2, 3):spatial_dropout(0.5))",
  },

  activation = {
    softmax = "print(mg.tensor({ 0, 0, 5 }):softmax(1))",
    log_softmax = "print(mg.tensor({ 0, 0, 5 }):log_softmax(1))",
  },

  loss = {
    mse = "print(mg.mse(mg.tensor { 1, 2 }, mg.tensor { 1, 4 }))",
    mae = "print(mg.mae(mg.tensor { 1, 2 }, mg.tensor { 1, 4 }))",
    huber = "print(mg.huber(mg.tensor { 1, 2 }, mg.tensor { 1, 4 }))",
    bce = "print(mg.bce(mg.tensor { 0.9, 0.2 }, mg.tensor { 1, 0 }))",
    bce_with_logits = "print(mg.bce_with_logits(mg.tensor { 3, -2 }, mg.tensor { 1, 0 }))",
    cross_entropy = "local logits = mg.tensor { { 2, 0, 0 }, { 0, 0, 3 } }\n"
      .. "print(mg.cross_entropy(logits, mg.tensor { 1, 3 }))",
    nll = "local x = mg.tensor({ { 2, 0, 0 }, { 0, 0, 3 } }):log_softmax(2)\n"
      .. "print(mg.nll(x, mg.tensor { 1, 3 }))",
    kl_div = "local x = mg.tensor({ { 0, 1 } }):log_softmax(2)\n"
      .. "print(mg.kl_div(x, mg.tensor { { 0.5, 0.5 } }))",
    hinge = "print(mg.hinge(mg.tensor { 0.5, -2 }, mg.tensor { 1, -1 }))",
    margin_ranking = "print(mg.margin_ranking(mg.tensor { 1, 2 }, mg.tensor { 2, 1 },"
      .. " mg.tensor { 1, 1 }))",
    cosine_embedding = "local a, b = mg.tensor { { 1, 0 } }, mg.tensor { { 1, 1 } }\n"
      .. "print(mg.cosine_embedding(a, b, mg.tensor { 1 }))",
    focal = "print(mg.focal(mg.tensor { 3, -2 }, mg.tensor { 1, 0 }))",
    triplet = "local a, near, far = mg.tensor { { 0, 0 } }, mg.tensor { { 0, 1 } },"
      .. " mg.tensor { { 1, 1 } }\nprint(mg.triplet(a, near, far))",
    ctc = "local steps = mg.zeros(1, 4, 3):log_softmax(3) -- {batch, time, classes}\n"
      .. "print(mg.ctc(steps, mg.tensor { { 2, 3 } }))",
  },

  layer = {
    dense = "local l = mg.dense(3, \"tanh\")\n"
      .. "print(table.concat(l(mg.randn(5, 2)).shape, \" \"), l)",
    activation = "print(mg.activation(\"relu\")(mg.tensor { { -1, 2 } }))",
    dropout = "local l = mg.dropout(0.5)\nprint(l:predict(mg.ones(1, 3))) -- as it is",
    flatten = "print(table.concat(mg.flatten()(mg.zeros(2, 3, 4)).shape, \" \"))",
    reshape = "print(table.concat(mg.reshape(3, 2)(mg.zeros(5, 6)).shape, \" \"))",
    batchnorm = "print(mg.batchnorm()(mg.tensor { { 1 }, { 3 } }))",
    layernorm = "print(mg.layernorm()(mg.tensor { { 1, 2, 3 } }))",
    groupnorm = "print(mg.groupnorm(2)(mg.tensor { { 1, 3, 10, 30 } }))",
    rmsnorm = "print(mg.rmsnorm()(mg.tensor { { 3, 4 } }))",
    embedding = "local l = mg.embedding(100, 8)\n"
      .. "print(table.concat(l(mg.tensor { { 1, 7, 100 } }).shape, \" \"))",
    positional_encoding = "print(mg.positional_encoding()(mg.zeros(1, 2, 4)))",
    positional_embedding = "local l = mg.positional_embedding(16)\n"
      .. "print(table.concat(l(mg.zeros(1, 5, 4)).shape, \" \"))",
    attention = "local l = mg.attention(2, { causal = true })\n"
      .. "print(table.concat(l(mg.randn(1, 5, 8)).shape, \" \"))",
    transformer_block = "local l = mg.transformer_block { heads = 2, causal = true }\n"
      .. "print(table.concat(l(mg.randn(1, 5, 8)).shape, \" \"))",
    prelu = "print(mg.prelu()(mg.tensor { { -4, 2 } }))",
    bilinear = "local l = mg.bilinear(3)\n"
      .. "print(table.concat(l(mg.randn(5, 2), { other = mg.randn(5, 4) }).shape, \" \"))",
    spatial_dropout = "print(mg.spatial_dropout(0.5):predict(mg.ones(1, 2, 2)))",
    rnn = "print(table.concat(mg.rnn(4)(mg.randn(2, 5, 3)).shape, \" \"))",
    lstm = "local y, h, c = mg.lstm(4)(mg.randn(2, 5, 3))\n"
      .. "print(table.concat(y.shape, \" \"), table.concat(h.shape, \" \"))",
    gru = "local l = mg.gru(4, { return_sequence = false })\n"
      .. "print(table.concat(l(mg.randn(2, 5, 3)).shape, \" \"))",
    sequential = "local net = mg.sequential { 2, mg.dense(8), \"tanh\", mg.dense(1) }\n"
      .. "print(net:num_parameters())",
    residual = "local l = mg.residual { mg.dense(2, { init = \"zeros\" }) }\n"
      .. "print(l(mg.tensor { { 1, 2 } })) -- x + dense(x)",
    parallel = "local l = mg.parallel { mg.dense(2), mg.dense(3) }\n"
      .. "print(table.concat(l(mg.randn(5, 4)).shape, \" \"))",
    conv1d = "print(table.concat(mg.conv1d(6, 3)(mg.randn(2, 4, 10)).shape, \" \"))",
    conv2d = "local l = mg.conv2d(6, 5, { padding = \"same\" })\n"
      .. "print(table.concat(l(mg.randn(2, 1, 28, 28)).shape, \" \"))",
    conv_transpose1d = "local l = mg.conv_transpose1d(6, 2, { stride = 2 })\n"
      .. "print(table.concat(l(mg.randn(2, 4, 5)).shape, \" \"))",
    conv_transpose2d = "local l = mg.conv_transpose2d(3, 2, { stride = 2 })\n"
      .. "print(table.concat(l(mg.randn(2, 4, 5, 5)).shape, \" \"))",
    avgpool1d = "print(mg.avgpool1d(2)(mg.tensor { { { 1, 3, 5, 7 } } }))",
    avgpool2d = "print(mg.avgpool2d(2)(mg.tensor { { { { 1, 2 }, { 3, 4 } } } }))",
    maxpool1d = "print(mg.maxpool1d(2)(mg.tensor { { { 1, 3, 5, 7 } } }))",
    maxpool2d = "print(mg.maxpool2d(2)(mg.tensor { { { { 1, 2 }, { 3, 4 } } } }))",
    adaptive_avgpool1d = "print(mg.adaptive_avgpool1d(2)(mg.tensor { { { 1, 3, 5, 7 } } }))",
    adaptive_avgpool2d = "local l = mg.adaptive_avgpool2d(7)\n"
      .. "print(table.concat(l(mg.zeros(1, 3, 20, 30)).shape, \" \"))",
    adaptive_maxpool1d = "print(mg.adaptive_maxpool1d(2)(mg.tensor { { { 1, 3, 5, 7 } } }))",
    adaptive_maxpool2d = "local l = mg.adaptive_maxpool2d { 1, 7 }\n"
      .. "print(table.concat(l(mg.zeros(1, 3, 20, 30)).shape, \" \"))",
    global_avgpool1d = "print(mg.global_avgpool1d()(mg.tensor { { { 1, 3, 5, 7 } } }))",
    global_avgpool2d = "print(mg.global_avgpool2d()(mg.tensor { { { { 1, 2 }, { 3, 4 } } } }))",
    global_maxpool1d = "print(mg.global_maxpool1d()(mg.tensor { { { 1, 3, 5, 7 } } }))",
    global_maxpool2d = "print(mg.global_maxpool2d()(mg.tensor { { { { 1, 2 }, { 3, 4 } } } }))",
    pad1d = "print(mg.pad1d(1)(mg.tensor { { { 1, 2, 3 } } }))",
    pad2d = "print(mg.pad2d(1, { mode = \"replicate\" })(mg.tensor { { { { 1, 2 } } } }))",
    upsample1d = "print(mg.upsample1d(2)(mg.tensor { { { 1, 2 } } }))",
    upsample2d = "print(mg.upsample2d(2, \"bilinear\")(mg.tensor { { { { 1, 2 } } } }))",
  },

  -- One for all: OPTIMIZER is its name.
  optimizer = "local w = mg.tensor({ 1 }, { requires_grad = true })\n"
    .. "local opt = mg.NAME {}:attach { w }\n"
    .. "local function loss() return ((w - 3) ^ 2):sum() end\n"
    .. "for _ = 1, 3 do\n  opt:step(function()\n    opt:zero_grad()\n    local l = loss()\n"
    .. "    l:backward()\n    return l\n  end)\nend\nprint(w, opt)",

  schedule = {
    step = "print(mg.schedule.step { lr = 1, step_size = 10 }(11))",
    exponential = "print(mg.schedule.exponential { lr = 1, gamma = 0.5 }(3))",
    cosine = "print(mg.schedule.cosine { lr = 1, steps = 100 }(51))",
    linear_warmup = "print(mg.schedule.linear_warmup { lr = 1, steps = 10 }(5))",
    one_cycle = "print(mg.schedule.one_cycle { lr = 1, steps = 100 }(31))",
    plateau = "local opt = mg.sgd { lr = mg.schedule.plateau { lr = 0.1, patience = 3 } }\n"
      .. "print(opt)",
  },

  -- Functions of mg, and methods as "kind:name". TINY is a net with data, a line that comes
  -- before those that need one.
  tiny = "local net = mg.sequential { 2, mg.dense(8), \"tanh\", mg.dense(1), \"sigmoid\" }\n"
    .. "local xor = { x = { { 0, 0 }, { 0, 1 }, { 1, 0 }, { 1, 1 } }, y = { 0, 1, 1, 0 } }\n"
    .. "local trainer = mg.trainer { net = net, loss = \"bce\", optimizer = mg.adam { lr = 0.1 } }\n",

  ["function"] = {
    ["mg.tensor"] = "print(mg.tensor { { 1, 2 }, { 3, 4 } })",
    ["mg.zeros"] = "print(mg.zeros(2, 3))",
    ["mg.ones"] = "print(mg.ones { 2, 3 })",
    ["mg.full"] = "print(mg.full({ 2 }, 7))",
    ["mg.eye"] = "print(mg.eye(2))",
    ["mg.arange"] = "print(mg.arange(1, 2, 0.5))",
    ["mg.linspace"] = "print(mg.linspace(0, 1, 5))",
    ["mg.rand"] = "print(mg.rand(3))",
    ["mg.randn"] = "print(mg.randn(3))",
    ["mg.randperm"] = "print(mg.randperm(5))",
    ["mg.seed"] = "mg.seed(7)\nlocal a = mg.rand(2)\nmg.seed(7)\nprint(a:eq(mg.rand(2)))",
    ["mg.from_string"] = "print(mg.from_string(\"\\1\\2\\3\", { 3 }, \"u8\"))",
    ["mg.type"] = "print(mg.type(mg.zeros(1)), mg.type(7))",
    ["mg.grad"] = "local w = mg.tensor(3, { requires_grad = true })\nprint(mg.grad(w * w, { w })[1])",
    ["mg.gradcheck"] = "print(mg.gradcheck(function(x) return (x * x):sum() end,"
      .. " { mg.tensor { 1, 2 } }) < 0.01)",
    ["mg.no_grad"] = "local w = mg.tensor(3, { requires_grad = true })\n"
      .. "print(mg.no_grad(function() return w * 2 end).requires_grad)",
    ["mg.anomaly"] = "print(mg.anomaly(false))",
    ["mg.module"] = "local Twice = mg.module(\"Twice\", {\n"
      .. "  init = function(self, n) self.layer = mg.dense(n) end,\n"
      .. "  forward = function(self, x) return self.layer(x) * 2 end,\n})\n"
      .. "print(table.concat(Twice(3)(mg.ones(1, 2)).shape, \" \"))",
    ["mg.pure"] = "local net = mg.sequential { mg.dense(2), mg.pure(function(x) return x * x end) }\n"
      .. "print(table.concat(net(mg.ones(1, 3)).shape, \" \"))",
    ["mg.trainer"] = "TINY\nprint(trainer)",
    ["mg.set_threads"] = "mg.set_threads(1)\nprint(mg.info().threads)",
    ["mg.limit"] = "mg.limit { memory = 1e9 }\nprint(select(3, mg.memory()))",
    ["mg.memory"] = "local used, most = mg.memory()\nprint(used <= most)",
    ["mg.info"] = "print(mg.info().real)",
    ["mg.help"] = "print(mg.help \"softplus\")",
    ["mg.save"] = "local path = os.tmpname()\nprint(mg.save(path, { w = mg.ones(2) }))\nos.remove(path)",
    ["mg.load"] = "print(mg.load \"/nowhere.safetensors\")",
    ["mg.dump"] = "print(#mg.dump { w = mg.ones(2) } > 8)",
    ["mg.undump"] = "print(mg.undump(mg.dump { w = mg.ones(2) }).w)",
    ["mg.set_files"] = "local files = mg.set_files(nil)\nprint(type(files))",
    ["mg.npy.read"] = "print((mg.npy.read \"/nowhere.npy\"))",
    ["mg.npy.write"] = "local path = os.tmpname()\nprint(mg.npy.write(path, mg.ones(2)))\nos.remove(path)",
    ["mg.npy.dump"] = "print(mg.npy.dump(mg.ones(2)):sub(2, 6))",
    ["mg.npy.undump"] = "print(mg.npy.undump(mg.npy.dump(mg.ones(2))))",
    ["mg.export.lua"] = "local path = os.tmpname()\nmg.export.lua(mg.sequential { 2, mg.dense(1) }, path)\n"
      .. "print(#dofile(path) { 1, 2 })\nos.remove(path)",
    ["mg.export.c"] = "local path = os.tmpname()\n"
      .. "print(mg.export.c(mg.sequential { 2, mg.dense(1) }, path, { name = \"net\" }))\nos.remove(path)",
    ["mg.export.onnx"] = "local path = os.tmpname()\n"
      .. "print(mg.export.onnx(mg.sequential { 2, mg.dense(1) }, path))\nos.remove(path)",
    ["mg.data.tensors"] = "print(mg.data.tensors({ 1, 2, 3 }, { 2, 4, 6 }))",
    ["mg.data.dataset"] = "print(mg.data.dataset { x = { { 1 }, { 2 } }, y = { 2, 4 } })",
    ["mg.data.function"] = "print(mg.data[\"function\"](function(i) return i, i * i end, 10))",
    ["mg.data.func"] = "print(mg.data.func(function(i) return i, i * i end, 10))",
    ["mg.data.idx"] = "print((mg.data.idx(\"/nowhere\", \"/nowhere\")))",
    ["mg.data.mnist"] = "print((mg.data.mnist \"/nowhere\"))",
    ["mg.data.fashion_mnist"] = "print((mg.data.fashion_mnist \"/nowhere\"))",
    ["mg.data.csv"] = "local path = os.tmpname()\nlocal file = io.open(path, \"w\")\n"
      .. "file:write(\"a,b,y\\n1,2,0\\n3,4,1\\n\")\nfile:close()\n"
      .. "print(mg.data.csv(path, { target = \"y\", header = true }))\nos.remove(path)",
    ["mg.no_decay"] = "local opt = mg.adamw { weight_decay = 0.1, groups = { mg.no_decay } }\nprint(opt)",

    ["tensor:size"] = "print(mg.zeros(2, 3):size(2))",
    ["tensor:dim"] = "print(mg.zeros(2, 3):dim())",
    ["tensor:numel"] = "print(mg.zeros(2, 3):numel())",
    ["tensor:item"] = "print(mg.tensor({ 1, 2 }):sum():item())",
    ["tensor:totable"] = "print(#mg.zeros(4):totable())",
    ["tensor:get"] = "print(mg.tensor({ { 1, 2 }, { 3, 4 } }):get(2, 1))",
    ["tensor:set"] = "local t = mg.zeros(2)\nt:set(2, 5)\nprint(t)",
    ["tensor:view"] = "print(mg.arange(1, 4):view(2, 2))",
    ["tensor:split"] = "print(#mg.zeros(5):split(2, 1))",
    ["tensor:chunk"] = "print(#mg.zeros(6):chunk(3, 1))",
    ["tensor:detach"] = "local w = mg.tensor({ 1 }, { requires_grad = true })\nprint(w:detach().requires_grad)",
    ["tensor:fill"] = "print(mg.zeros(2):fill(3))",
    ["tensor:copy"] = "print(mg.zeros(2):copy(mg.tensor { 1, 2 }))",
    ["tensor:backward"] = "local w = mg.tensor({ 1, 2 }, { requires_grad = true })\n"
      .. "local loss = (w * w):sum()\nloss:backward()\nprint(w.grad)",
    ["tensor:to_string"] = "print(#mg.zeros(3):to_string \"f32\")",
    ["tensor:close"] = "local t = mg.zeros(1000)\nt:close()\nprint(t)",

    ["layer:add"] = "local net = mg.sequential { 2 }\nnet:add(mg.dense(3))\nprint(net:num_parameters())",
    ["layer:build"] = "local l = mg.dense(3)\nl:build(1, 2)\nprint(l:num_parameters())",
    ["layer:clone"] = "TINY\nprint(net:clone():hash() == net:hash())",
    ["layer:close"] = "TINY\nnet:close()\nprint(net)",
    ["layer:describe"] = "TINY\nprint(net:describe().kind)",
    ["layer:train"] = "TINY\nprint(net:train())",
    ["layer:eval"] = "TINY\nprint(net:eval())",
    ["layer:freeze"] = "TINY\nnet:freeze()\nprint(net:parameters()[1].tensor.requires_grad)",
    ["layer:unfreeze"] = "TINY\nnet:freeze()\nnet:unfreeze()\n"
      .. "print(net:parameters()[1].tensor.requires_grad)",
    ["layer:hash"] = "TINY\nprint(net:hash())",
    ["layer:named"] = "TINY\nprint(table.concat(net:named()[\"0.weight\"].shape, \" \"))",
    ["layer:parameters"] = "TINY\nfor _, p in ipairs(net:parameters()) do print(p.name) end",
    ["layer:num_parameters"] = "TINY\nprint(net:num_parameters())",
    ["layer:predict"] = "TINY\nprint(table.concat(net:predict({ { 0, 1 } }).shape, \" \"))",
    ["layer:summary"] = "TINY\nprint(net:summary())",
    ["layer:zero_grad"] = "TINY\nnet:zero_grad()\nprint(net:parameters()[2].tensor.grad)",
    ["layer:save"] = "TINY\nlocal path = os.tmpname()\nprint(net:save(path))\nos.remove(path)",
    ["layer:load_weights"] = "TINY\nlocal other = net:clone()\nprint(net:load_weights(other:named()))",

    ["optimizer:attach"] = "TINY\nprint(mg.sgd({ lr = 0.1 }):attach(net))",
    ["optimizer:step"] = "local w = mg.tensor({ 1 }, { requires_grad = true })\n"
      .. "local opt = mg.sgd({ lr = 0.1 }):attach { w };\n(w * w):sum():backward()\nopt:step()\nprint(w)",
    ["optimizer:zero_grad"] = "TINY\nlocal opt = mg.sgd({ lr = 0.1 }):attach(net)\nprint(opt:zero_grad())",
    ["optimizer:averaged"] = "TINY\nlocal opt = mg.sgd({ lr = 0.1, ema = 0.9 }):attach(net)\n"
      .. "net:predict(xor.x)\nopt:step()\n"
      .. "print(type(opt:averaged(function() return net:hash() end)))",
    ["optimizer:close"] = "local opt = mg.sgd { lr = 0.1 }\nopt:close()\nprint(opt)",

    ["trainer:step"] = "TINY\nprint((\"%.2f\"):format(trainer:step(mg.tensor(xor.x),"
      .. " mg.tensor(xor.y):reshape(4, 1))))",
    ["trainer:run"] = "TINY\nlocal state, loss = trainer:run(xor, { epochs = 300 })\nprint(state, loss < 0.1)",
    ["trainer:epochs"] = "TINY\nfor e in trainer:epochs(300, xor) do\n  if e.loss < 0.1 then break end\nend\n"
      .. "print(net:predict({ { 0, 1 } }):item() > 0.5)",
    ["trainer:fit"] = "TINY\nlocal rows = trainer:fit(300, xor, { patience = 50 })\nprint(rows[#rows].loss < 0.1)",
    ["trainer:evaluate"] = "TINY\nprint(trainer:evaluate(xor).loss > 0)",
    ["trainer:save"] = "TINY\nlocal path = os.tmpname()\nprint(trainer:save(path))\nos.remove(path)",
    ["trainer:load"] = "TINY\nprint((trainer:load \"/nowhere.safetensors\"))",
    ["trainer:close"] = "TINY\ntrainer:close()\nprint(trainer)",

    ["dataset:batch"] = "local d = mg.data.tensors({ 1, 2, 3 }, { 2, 4, 6 })\nprint(d:batch(2, 2))",
    ["dataset:batches"] = "local d = mg.data.tensors({ 1, 2, 3 }, { 2, 4, 6 })\n"
      .. "for x, y in d:batches(2) do print(#x) end",
    ["dataset:split"] = "local d = mg.data.tensors(mg.rand(10, 2), mg.rand(10))\n"
      .. "local train, test = d:split(0.8)\nprint(#train, #test)",
    ["dataset:shuffle"] = "local d = mg.data.tensors({ 1, 2, 3 }, { 2, 4, 6 })\nprint(d:shuffle():batch(1, 3))",
    ["dataset:normalize"] = "local d = mg.data.tensors({ 1, 2, 3 }, { 2, 4, 6 })\nprint(d:normalize():batch(1, 3))",
    ["dataset:augment"] = "local d = mg.data.tensors(mg.rand(2, 1, 4, 4), mg.tensor { 1, 2 })\n"
      .. "print(d:augment { flip = true, shift = 1 })",
    ["dataset:close"] = "local d = mg.data.tensors({ 1 }, { 2 })\nd:close()\nprint(d)",
  },
}
