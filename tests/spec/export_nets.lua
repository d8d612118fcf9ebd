-- The nets that every exporter is tested by: { name, input shape of one example, a function
-- that makes the net, ids (the input is ids from 1 to this) }; and what their specs share.
local mg = require "moongrad"
local helper = require "tests.spec.helper"

local shared = {}

-- All numbers of a tensor or nested tables in order, as text with commas between them.
function shared.numbers(v)
  local list = {}
  local function add(inner)
    if type(inner) == "number" then list[#list + 1] = ("%.9g"):format(inner) return end
    for _, part in ipairs(inner) do add(part) end
  end
  add(type(v) == "table" and v or v:totable())
  return table.concat(list, ",")
end

-- What a command prints.
function shared.output_of(command)
  local pipe = assert(io.popen(command .. " 2>&1"))
  local text = pipe:read "*a"
  pipe:close()
  return text
end

-- Are the numbers in a text, between spaces, those of the tensors, within 1e-5?
function shared.compare(expected, text)
  local numbers, at = {}, 0
  for word in text:gmatch "%S+" do
    numbers[#numbers + 1] = tonumber(word) or error(text:sub(1, 300))
  end
  for _, y in ipairs(expected) do
    for _, v in ipairs(y:reshape(y:numel()):totable()) do
      at = at + 1
      helper.near(v, numbers[at], 1e-5)
    end
  end
  assert(#numbers == at, text:sub(1, 300))
end

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
  { "windows of several sizes", { 2, 7, 5 }, seq(function()
    return { mg.upsample2d({ 2, 3 }, "bilinear"), mg.adaptive_avgpool2d { 4, 6 },
             mg.adaptive_maxpool2d { 3, 4 }, mg.conv2d(2, 2, { padding = "same" }),
             mg.global_avgpool2d() }
  end) },
  { "the same over one dimension", { 3, 10 }, seq(function()
    return { mg.upsample1d(3, "bilinear"), mg.adaptive_avgpool1d(7), mg.adaptive_maxpool1d(4),
             mg.spatial_dropout(0.2), mg.parallel { mg.global_avgpool1d(),
               mg.global_maxpool1d() } }
  end) },
  { "attention, of all places and of those before", { 5, 6 }, seq(function()
    return { mg.positional_encoding(), mg.attention(3), mg.attention(2, { causal = true,
             bias = false }), mg.attention(1, { dropout = 0.2 }) }
  end) },
  { "blocks of a transformer", { 4, 6 }, seq(function()
    return { mg.transformer_block { heads = 2, causal = true },
             mg.transformer_block { heads = 3, hidden = 5, act = "gelu", norm_first = false } }
  end) },
  { "bilinear layers", { 3, 4 }, seq(function()
    return { mg.bilinear(5), "tanh", mg.flatten(), mg.bilinear(2, { bias = false }) }
  end) },
  { "places in time, of more dimensions", { 2, 4, 3 }, seq(function()
    return { mg.positional_embedding(6), mg.positional_encoding() }
  end) },
  { "a layer that stands there twice, and its weight in another", { 6 }, function()
    local twice = mg.dense(6, "tanh")
    return mg.sequential { 6, twice, twice,
      mg.dense(6, { weight = twice:named().weight, bias = false }) }
  end },
  { "functions and classes of Lua", { 4, 3 }, function()
    local block = mg.module("exported_block", {
      init = function(self, n)
        self.a, self.b, self.scale = mg.dense(n), mg.sequential { "silu", mg.dense(n) },
          mg.tensor({ 1, -2, 3 }, { requires_grad = true })
      end,
      twice = function(self, x) return 2 * self.a(x) end,
      forward = function(self, x)
        local y = (self:twice(x) - 1):sigmoid() * self.b(x) / 3 + self.scale * x
        return 1 - (-y):tanh() - x / (x * x + 1) + self.scale:sigmoid()
      end })
    local mix = mg.tensor { { 1, 2 }, { -1, 0.5 }, { 0, 3 } }
    return mg.sequential { { 4, 3 }, block(3), function(x) return x:matmul(mix):softmax(-1) end,
                           function(x) return x:flatten(2) - 0.5 end, mg.dense(2) }
  end },
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
function shared.each(f)
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

return shared
