local h = require "tests.spec.helper"

describe("a part that is read when it is first used", function()
  it("needs no require that the host has left in place", function()
    assert.equal("tensor {2}\n{ 1, 2 }\n2\n3\n1\n", (h.script [[
      local mg = require "moongrad"
      require = nil
      print(mg.tensor { 1, 2 })
      local net = mg.sequential { 1, mg.dense(1) }
      local t = mg.trainer { net = net, loss = "mse", optimizer = "sgd" }
      local d = mg.data.tensors({ 1, 2, 3 }, { { 1 }, { 2 }, { 3 } })
      print(#d:split(0.5))
      print(#t:fit(3, d))
      print(net:summary():match("dense") and 1)
    ]]))
  end)
  it("gives the caller's line in its errors, the first time too", function()
    -- 5.1 forgets who made a tail call, once
    local first = _VERSION == "Lua 5.1" and not jit and "^" or ":4: "
    local text = h.script [[
      local mg = require "moongrad"
      print(select(2, pcall(function() return (mg.data.csv(1)) end)))
    ]]
    assert.is_truthy(text:find("csv: path is a number, expected a string", 1, true))
    assert.is_truthy(text:find(first))
  end)
  it("leaves a function alone that was put in the place of one of its own", function()
    assert.equal("mine\n", (h.script [[
      local mg = require "moongrad"
      local csv = mg.data.csv
      mg.data.csv = function() return "mine" end
      assert(csv("/nowhere") == nil)
      print(mg.data.csv())
    ]]))
  end)
end)
