local mg = require "moongrad"
local h = require "tests.spec.helper"
local near = h.near

local TINY = 1e-30 -- a learning rate that moves no weight

describe("accuracy", function()
  local function accuracy(net, loss, x, y)
    return mg.trainer {
      net = net, loss = loss, optimizer = mg.sgd { lr = TINY }, metrics = { "accuracy" },
    }:evaluate({ x = x, y = y, batch = 2 }).accuracy
  end
  it("counts the rows whose largest logit is at the label", function()
    local net = mg.sequential { h.dense { { 1, 0, 0 }, { 0, 1, 0 }, { 0, 0, 1 } } }
    near(0.6, accuracy(net, "cross_entropy",
      { { 3, 1, 2 }, { 0, 1, 0 }, { 1, 2, 3 }, { 5, 0, 0 }, { 0, 0, 1 } }, { 1, 2, 3, 2, 1 }))
  end)
  it("counts chances on the right side of one half for bce", function()
    local net = mg.sequential { h.dense({ { 4 } }), "sigmoid" }
    near(0.75, accuracy(net, "bce",
      { { 1 }, { -1 }, { 2 }, { -2 } }, { { 1 }, { 0 }, { 0 }, { 0 } }))
  end)
  it("is part of an epoch's report, for validation too", function()
    local net = mg.sequential { h.dense({ { 4 } }), "sigmoid" }
    local trainer = mg.trainer {
      net = net, loss = "bce", optimizer = mg.sgd { lr = TINY }, metrics = { "accuracy" },
    }
    for e in trainer:epochs(1, { x = { { 1 }, { -1 } }, y = { { 1 }, { 1 } }, batch = 2,
                                 validation = { x = { { 1 } }, y = { { 1 } } } }) do
      near(0.5, e.accuracy)
      near(1, e.val_accuracy)
    end
  end)
end)

describe("accuracy", function()
  it("counts a label that is no class, NaN or huge, as missed", function()
    local net = mg.sequential { 2, mg.dense(3) }
    local trainer = mg.trainer { net = net, optimizer = "sgd", metrics = { "accuracy" },
                                 loss = function(p) return p:mean() end }
    local y = mg.tensor { 0 / 0, 1e30, -1 / 0, 0.5 }
    assert.equal(0, trainer:evaluate({ x = mg.ones(4, 2), y = y }).accuracy)
  end)
end)
