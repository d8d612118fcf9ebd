-- Writes the golden files of this version: nets, and what they answer. Run once for each
-- version that writes files in another way; what is here is never written again.
--
--   lua5.4 tests/golden/make.lua VERSION
local mg = require "moongrad"

mg.seed(20)
local Scale = mg.module("golden.Scale", {
  init = function(self, start) self.by = mg.tensor({ start }, { requires_grad = true }) end,
  forward = function(self, x) return x * self.by end,
})

local nets = {
  dense = { mg.sequential { 3, mg.dense(5), "tanh", Scale(1.5), mg.dense(2, { act = "sigmoid" }) },
            mg.rand(2, 3) },
  picture = { mg.sequential {
    { 1, 6, 6 }, mg.conv2d(3, 3, { padding = "same" }), mg.batchnorm(), "relu", mg.maxpool2d(2),
    mg.residual { mg.conv2d(3, { 3, 1 }, { padding = { 1, 0 } }), "elu" }, mg.flatten(),
    mg.dropout(0.2), mg.dense(2) }, mg.rand(2, 1, 6, 6) },
  text = { mg.sequential {
    mg.embedding(9, 4), mg.positional_embedding(6), mg.transformer_block(2), mg.layernorm(),
    mg.lstm(3, { bidirectional = true }), mg.gru(2, { return_sequence = false }), mg.dense(2) },
    mg.tensor { { 1, 5, 9 }, { 2, 3, 4 } } },
}

for name, case in pairs(nets) do
  local net, x = case[1], case[2]
  net(x)
  local file = ("tests/golden/%s-%s"):format(arg[1], name)
  assert(net:save(file .. ".safetensors"))
  assert(mg.save(file .. "-answer.safetensors", { x = x, y = net:predict(x) }))
end
