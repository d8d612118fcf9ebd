-- Files that an earlier version has written are loaded and give the same answers.
local mg = require "moongrad"
local helper = require "tests.spec.helper"

describe("a net of an earlier version", function()
  setup(function()
    mg.module("golden.Scale", {
      init = function(self, start) self.by = mg.tensor({ start }, { requires_grad = true }) end,
      forward = function(self, x) return x * self.by end,
    })
  end)

  local pipe, count = io.popen "ls tests/golden/*-answer.safetensors", 0
  for answer in pipe:lines() do
    local name = answer:match "^(.*)%-answer"
    count = count + 1
    it("gives the same answers: " .. name, function()
      local net = assert(mg.load(name .. ".safetensors"))
      local expected = assert(mg.load(answer))
      helper.near(expected.y, net:predict(expected.x), 1e-6)
      local weights = assert(mg.load(name .. ".safetensors", { weights_only = true }))
      assert.is_true(net:load_weights(weights) == net)
    end)
  end
  pipe:close()
  it("is there", function() assert.is_true(count >= 3) end)
end)
