local mg = require "moongrad"
local h = require "tests.spec.helper"
local near, leaf = h.near, h.leaf

local m = mg.tensor { { 1, 2, 3 }, { 4, 5, 6 } }

describe("broadcasting", function()
  it("repeats a row", function()
    near({ { 11, 22, 33 }, { 14, 25, 36 } }, m + mg.tensor { 10, 20, 30 })
  end)
  it("repeats a column", function()
    near({ { 11, 12, 13 }, { 24, 25, 26 } }, m + mg.tensor { { 10 }, { 20 } })
  end)
  it("repeats a 0-dim tensor", function()
    near({ { 2, 4, 6 }, { 8, 10, 12 } }, m * mg.tensor(2))
  end)
  it("makes a table of a row and a column", function()
    local column, row = mg.tensor { { 10 }, { 20 } }, mg.tensor { { 1, 2, 3 } }
    near({ { 11, 12, 13 }, { 21, 22, 23 } }, column + row)
  end)
  it("stretches both sides at once", function()
    local s = mg.zeros(3, 1, 2) + mg.zeros(4, 1)
    assert.same({ 3, 4, 2 }, s.shape)
  end)
  it("repeats the left operand too", function()
    near({ { 9, 18, 27 }, { 6, 15, 24 } }, mg.tensor { 10, 20, 30 } - m)
  end)
  it("holds for powers", function()
    near({ { 1, 2, 9 }, { 16, 5, 36 } }, m ^ mg.tensor { 2, 1, 2 })
  end)
  it("holds for comparisons", function()
    near({ { 0, 0, 1 }, { 1, 1, 1 } }, m:gt(mg.tensor { 2, 2, 2 }))
  end)
  it("holds for minimum and maximum", function()
    near({ { 1, 2, 3 }, { 3, 3, 3 } }, m:minimum(mg.tensor { 3, 3, 3 }))
    near({ { 3, 3, 3 }, { 4, 5, 6 } }, m:maximum(mg.tensor(3)))
  end)
  it("holds for where", function()
    near({ { 1, 0, 3 }, { 4, 0, 6 } }, mg.where(mg.tensor { 1, 0, 1 }, m, mg.tensor(0)))
  end)
  it("changes neither operand", function()
    local row = mg.tensor { 10, 20, 30 }
    local _ = m + row
    assert.same({ 3 }, row.shape)
    near({ { 1, 2, 3 }, { 4, 5, 6 } }, m)
  end)
end)

describe("shapes that do not broadcast", function()
  for name, pair in pairs {
    ["of equal size but other shape"] = { { 2, 6 }, { 3, 4 } },
    ["that agree only in front"] = { { 2, 3 }, { 2 } },
    ["that disagree in the middle"] = { { 2, 3, 4 }, { 2, 4 } },
  } do
    it(name .. " are refused with both shapes named", function()
      local a, b = mg.zeros(pair[1]), mg.zeros(pair[2])
      local ok, err = pcall(function() return a + b end)
      assert.is_false(ok)
      assert.truthy(err:find("add", 1, true))
      for i = 1, 2 do
        assert.truthy(err:find("{" .. table.concat(pair[i], ", ") .. "}", 1, true))
      end
    end)
  end
end)

describe("in place", function()
  it("repeats the source", function()
    local t = mg.zeros(2, 3)
    t:add_(mg.tensor { 1, 2, 3 })
    near({ { 1, 2, 3 }, { 1, 2, 3 } }, t)
  end)
  it("never stretches the target", function()
    local t = mg.zeros(3)
    assert.is_false((pcall(t.add_, t, m)))
    near({ 0, 0, 0 }, t)
  end)
end)

describe("the gradient of a repeated operand", function()
  it("is summed over the rows it was repeated for", function()
    local row = leaf { 1, 1, 1 }
    local loss = (m * row):sum()
    loss:backward()
    near({ 5, 7, 9 }, row.grad)
  end)
  it("is summed over the columns it was repeated for", function()
    local column = leaf { { 1 }, { 1 } }
    local loss = (m * column):sum()
    loss:backward()
    near({ { 6 }, { 15 } }, column.grad)
  end)
  it("is summed over everything for a 0-dim tensor", function()
    local s = leaf(1)
    local loss = (m * s):sum()
    loss:backward()
    assert.same({}, s.grad.shape)
    near(21, s.grad)
  end)
  it("goes to both sides of a table", function()
    local a, b = leaf { { 1 }, { 2 } }, leaf { { 3, 4, 5 } }
    local loss = (a * b):sum()
    loss:backward()
    near({ { 12 }, { 12 } }, a.grad)
    near({ { 3, 3, 3 } }, b.grad)
  end)
  it("is right for the divisor and the subtrahend", function()
    local d, s = leaf { 2, 2, 2 }, leaf { 1, 1, 1 }
    local loss = (m / d - s):sum()
    loss:backward()
    near({ -1.25, -1.75, -2.25 }, d.grad)
    near({ -2, -2, -2 }, s.grad)
  end)
end)
