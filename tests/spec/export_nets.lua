-- The nets that every exporter is tested by: { name, input shape of one example, a function
-- that makes the net, ids (the input is ids from 1 to this) }.
local mg = require "moongrad"

local function seq(t) return function() return mg.sequential(t()) end end

local nets = {
  { "the net of train_xor", { 2 },
    seq(function() return { 2, mg.dense(8), "tanh", mg.dense(1), "sigmoid" } end) },
  { "LeNet-5", { 1, 28, 28 }, seq(function()
    return { { 1, 28, 28 }, mg.conv2d(6, 5, { padding = 2 }), "relu", mg.avgpool2d(2),
             mg.conv2d(16, 5), "relu", mg.maxpool2d(2), mg.flatten(), mg.dense(120), "relu",
             mg.dropout(0.5), mg.dense(84), "relu", mg.dense(10), "softmax" }
  end) },
  { "a net that does nothing", { 3 }, seq(function() return { 3, mg.dropout(0.1) } end) },
  { "one dense layer over rows, without bias", { 4, 3 }, function()
    return mg.dense(5, { bias = false, act = "gelu" })
  end },
  { "convolutions of every kind", { 4, 9, 8 }, seq(function()
    return { mg.conv2d(6, { 3, 2 }, { stride = { 2, 1 }, padding = { 1, 0 }, groups = 2 }),
             mg.conv2d(4, { 2, 3 }, { padding = "same", dilation = { 2, 1 }, bias = false }),
             mg.conv2d(3, { 4, 2 }, { padding = "same", stride = 2 }),
             mg.conv_transpose2d(4, { 3, 2 }, { stride = { 2, 3 }, padding = { 1, 0 },
               output_padding = { 1, 0 } }) }
  end) },
  { "convolutions over one dimension", { 3, 11 }, seq(function()
    return { mg.conv1d(4, 3, { padding = 1, dilation = 2 }), "elu", mg.maxpool1d(2),
             mg.conv_transpose1d(2, 3, { stride = 2, groups = 2, padding = 1 }),
             mg.avgpool1d(3, { stride = 2, padding = 1 }), mg.pad1d(2), mg.upsample1d(2) }
  end) },
  { "windows of every kind", { 2, 6, 8 }, seq(function()
    return { mg.maxpool2d({ 3, 2 }, { stride = 1, padding = { 1, 0 } }),
             mg.avgpool2d({ 2, 1 }, { padding = { 1, 0 } }),
             mg.pad2d({ 1, 0 }, { after = { 0, 1 } }), mg.pad2d(1, { mode = "reflect" }),
             mg.pad2d({ 0, 2 }, { mode = "replicate" }),
             mg.upsample2d({ 1, 2 }), mg.parallel {
               mg.sequential { mg.adaptive_avgpool2d { 1, 2 }, mg.flatten() },
               mg.sequential { mg.adaptive_maxpool2d { 1, 4 }, mg.flatten() },
               mg.global_avgpool2d(), mg.global_maxpool2d() } }
  end) },
  { "batch normalisation behind a convolution", { 2, 4, 3 }, seq(function()
    return { mg.conv2d(3, 2), mg.batchnorm(), mg.prelu(3), mg.flatten(), mg.dense(4),
             mg.batchnorm { affine = false, eps = 0.1 }, mg.prelu() }
  end) },
  { "the other normalisations", { 4, 3, 2 }, seq(function()
    return { mg.groupnorm(2), mg.layernorm(), mg.rmsnorm { dims = 2 }, mg.layernorm { dims = 3,
             bias = false }, mg.groupnorm(4, { affine = false }), mg.flatten(),
             mg.layernorm { affine = false }, mg.reshape(2, -1), mg.rmsnorm() }
  end) },
  { "residual and parallel layers, nested", { 3, 4, 4 }, seq(function()
    return { mg.residual { mg.conv2d(3, 3, { padding = 1 }), "relu",
                           mg.residual { "tanh" } },
             mg.parallel { mg.conv2d(2, 1), mg.sequential { mg.conv2d(3, 1), "silu" }, "relu" } }
  end) },
  { "an LSTM of two layers in both directions", { 5, 3 }, seq(function()
    return { mg.lstm(4, { layers = 2, bidirectional = true }), mg.dense(3), "log_softmax" }
  end) },
  { "a GRU that gives its last state", { 4, 3 }, seq(function()
    return { mg.gru(5, { return_sequence = false }), mg.dense(2) }
  end) },
  { "plain recurrent layers", { 4, 3 }, seq(function()
    return { mg.rnn(3), mg.rnn(4, { nonlinearity = "relu", bidirectional = true, bias = false,
                                    return_sequence = false }) }
  end) },
  { "ids as vectors, places in time, an LSTM", { 6 }, seq(function()
    return { mg.embedding(7, 4), mg.positional_encoding(), mg.positional_embedding(9),
             mg.lstm(3, { return_sequence = false }) }
  end), 7 },
}

-- Every activation there is, one after the other.
local names = {}
for _, op in ipairs(mg.core.describe().ops) do
  if op.activation then names[#names + 1] = op.name end
end
for _, name in ipairs(names) do
  nets[#nets + 1] = { "the activation " .. name, { 5 }, seq(function()
    return { 5, mg.dense(9), name }
  end) }
end

--- Calls f(net, x, y, name, shape) for each: the net with running means and biases that are
-- not 0, three examples as a tensor, what the net makes of them.
return function(f)
  for _, case in ipairs(nets) do
    mg.seed(7)
    local name, shape, make, ids = case[1], case[2], case[3], case[4]
    local net, batch = make(), { 3, (table.unpack or unpack)(shape) }
    net:build((table.unpack or unpack)(batch))
    for _, p in ipairs(net:parameters(true)) do
      local noise = mg.rand(p.tensor.shape) * 0.5
      if p.name:find "running_var" then mg.no_grad(function() p.tensor:add_(noise) end)
      elseif p.tensor:dim() > 0 then mg.no_grad(function() p.tensor:add_(noise - 0.25) end) end
    end
    local x = mg.randn(batch)
    if ids then
      local list = {}
      for i = 1, x:numel() do list[i] = (i * 5) % ids + 1 end
      x = mg.tensor(list):reshape(batch)
    end
    f(net, x, net:predict(x), name, shape)
  end
end
