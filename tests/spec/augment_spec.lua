-- Pictures changed at random while they are read.

local mg = require "moongrad"
local h = require "tests.spec.helper"
local near, fails = h.near, h.fails

-- n pictures {c, 5, 4} of different numbers, none of them 0.
local function pictures(n, c, options)
  c = c or 1
  local x = mg.arange(1, n * c * 20):reshape(n, c, 5, 4)
  return mg.data.tensors(x, mg.arange(1, n)):augment(options), x
end

local function changed(d, n, draw) return (d:batch(1, n or #d, draw or 1)) end

--- The rows of a picture, a table {h, w}, moved down and to the right, zeros coming in.
local function moved(rows, down, right)
  local result = {}
  for i = 1, #rows do
    result[i] = {}
    for j = 1, #rows[1] do result[i][j] = (rows[i - down] or {})[j - right] or 0 end
  end
  return result
end

local function mirrored(rows)
  local result = {}
  for i, row in ipairs(rows) do
    result[i] = {}
    for j = 1, #row do result[i][j] = row[#row + 1 - j] end
  end
  return result
end

local function same(a, b)
  for i = 1, #a do
    for j = 1, #a[1] do
      if a[i][j] ~= b[i][j] then return false end
    end
  end
  return true
end

describe("flip", function()
  it("mirrors about half of the pictures, left to right", function()
    local d, x = pictures(100, 1, { flip = true })
    local before, after, flips = x:totable(), changed(d):totable(), 0
    for i = 1, 100 do
      local flipped = same(mirrored(before[i][1]), after[i][1])
      assert.is_true(flipped or same(before[i][1], after[i][1]))
      flips = flips + (flipped and 1 or 0)
    end
    assert.is_true(flips > 30 and flips < 70)
  end)
  it("twice the same way is the identity", function()
    local d, x = pictures(30, 2, { flip = true })
    local once = mg.data.tensors(changed(d, 30, 3), mg.zeros(30)):augment { flip = true }
    assert.equal(x:to_string(), changed(once, 30, 3):to_string())
  end)
  it("turns all channels alike", function()
    local d = pictures(20, 3, { flip = true })
    for _, picture in ipairs(changed(d):totable()) do
      local ascending = picture[1][1][1] < picture[1][1][2]
      for c = 2, 3 do assert.equal(ascending, picture[c][1][1] < picture[c][1][2]) end
    end
  end)
end)

describe("shift", function()
  it("moves by whole pixels, zeros coming in, each way", function()
    local d, x = pictures(200, 1, { shift = 2 })
    local before, after, seen = x:totable(), changed(d):totable(), {}
    for i = 1, 200 do
      local found
      for down = -2, 2 do
        for right = -2, 2 do
          if same(moved(before[i][1], down, right), after[i][1]) then
            found = down .. " " .. right
          end
        end
      end
      assert.is_string(found)
      seen[found] = true
    end
    local ways = 0
    for _ in pairs(seen) do ways = ways + 1 end
    assert.is_true(ways > 20) -- of 25
  end)
  it("may bring in the nearest pixel instead", function()
    local d = mg.data.tensors(mg.full({ 50, 1, 5, 4 }, 7), mg.zeros(50))
    assert.equal(7, changed(d:augment { shift = 3, padding = "edge" }):min():item())
    assert.equal(0, changed(d:augment { shift = 3, padding = "zero" }):min():item())
  end)
end)

describe("rotate and scale", function()
  it("by 0 leave every bit alone", function()
    local d, x = pictures(10, 2, { rotate = 0, scale = 0, shift = 0, flip = false, noise = 0 })
    assert.equal(x:to_string(), changed(d):to_string())
  end)
  it("keep the centre where it is", function()
    local x = mg.zeros(20, 1, 5, 5)
    x:narrow(3, 3, 1):narrow(4, 3, 1):fill(1)
    local d = mg.data.tensors(x, mg.zeros(20)):augment { rotate = 180, scale = 0.5 }
    near(1, changed(d):narrow(3, 3, 1):narrow(4, 3, 1):min(), 1e-6)
  end)
  it("turn about the centre", function() -- a pixel keeps its distance, and its light
    local x = mg.zeros(40, 1, 9, 9)
    x:narrow(3, 3, 1):narrow(4, 3, 1):fill(1) -- 2 up, 2 left of it
    local seen = {}
    local d = mg.data.tensors(x, mg.zeros(40)):augment { rotate = 90 }
    for _, picture in ipairs(changed(d):totable()) do
      local sum, up, left = 0, 0, 0
      for i = 1, 9 do
        for j = 1, 9 do
          local v = picture[1][i][j]
          sum, up, left = sum + v, up + v * (5 - i), left + v * (5 - j)
        end
      end
      up, left = up / sum, left / sum
      near(math.sqrt(8), math.sqrt(up * up + left * left), 0.1)
      assert.is_true(sum > 0.7 and sum < 1.3)
      seen[up > 0 and left > 0 and "near" or "far"] = true
    end
    assert.is_true(seen.near and seen.far) -- up to 90 degrees, either way
  end)
  it("take what lies between pixels from its neighbours", function()
    local x = mg.arange(1, 7):reshape(1, 1, 1, 7):expand(60, 1, 7, 7):contiguous()
    local d = mg.data.tensors(x, mg.zeros(60)):augment { scale = 0.4, padding = "edge" }
    for _, picture in ipairs(changed(d):totable()) do
      local row = picture[1][4]
      local step = row[4] - row[3] -- a ramp stays one, steeper or flatter, between its ends
      assert.is_true(step > 1 / 1.41 and step < 1 / 0.59)
      near(row[4] + step, row[5], 1e-4)
      near(4, row[4], 1e-5)
    end
  end)
end)

describe("noise", function()
  it("has the deviation asked for, and comes after normalize, in any shape", function()
    local d = mg.data.tensors(mg.rand(500, 30), mg.zeros(500))
    d:normalize()
    local plain = d:batch(1, 500)
    local noise = changed(d:augment { noise = 0.25 }) - plain
    near(0, noise:mean(), 0.01)
    near(0.25, noise:std(), 0.01)
  end)
end)

describe("augmented data", function()
  local all = { flip = true, shift = 2, rotate = 20, scale = 0.2, noise = 0.1 }
  local function bytes_and_floats()
    local path, labels = h.file("\0\0\8\3\0\0\0\40\0\0\0\5\0\0\0\4" ..
      ("\0\50\100\150\200\250\25\75\125\175"):rep(80)), h.file("\0\0\8\1\0\0\0\40" ..
      ("\1\2\3\4"):rep(10))
    local d = assert(mg.data.idx(path, labels))
    local x, y = d:batch(1, 40)
    return d, mg.data.tensors(x, y)
  end

  it("are the same from bytes and from numbers, normalized or not", function()
    mg.seed(5)
    local bytes, floats = bytes_and_floats()
    near(changed(bytes:augment(all)), changed(floats:augment(all)), 1e-6)
    local _, stats = bytes:normalize()
    floats:normalize(stats)
    near(changed(bytes), changed(floats), 1e-5)
    h.remove_files()
  end)
  it("depend on seed, draw and example, not on batches, order or strides", function()
    local d, x = pictures(12, 2, all)
    mg.seed(1)
    local whole = changed(d, 12, 4)
    assert.equal(whole:to_string(), changed(d, 12, 4):to_string())
    assert.not_equal(whole:to_string(), changed(d, 12, 5):to_string())
    local parts = {}
    for part in d:batches(5, { augment = 4 }) do parts[#parts + 1] = part end
    assert.equal(whole:to_string(), mg.cat(parts, 1):to_string())
    assert.equal(whole:narrow(1, 7, 3):contiguous():to_string(),
      (d:range(7, 3):batch(1, 3, 4)):to_string())
    local turned = mg.data.tensors(x:transpose(3, 4):contiguous():transpose(3, 4), mg.zeros(12))
    assert.equal(whole:to_string(), changed(turned:augment(all), 12, 4):to_string())
    mg.seed(2)
    assert.not_equal(whole:to_string(), changed(d, 12, 4):to_string())
  end)
  it("are the same bits from three threads", function()
    mg.seed(1)
    local d = mg.data.tensors(mg.rand(300, 3, 12, 11), mg.zeros(300)):augment(all)
    local alone = changed(d):to_string()
    mg.set_threads(3)
    local together = changed(d):to_string()
    mg.set_threads(1)
    assert.equal(alone, together)
  end)
  it("of {n, h, w} are pictures of one channel", function()
    local d, x = pictures(10, 1, all)
    local flat = mg.data.tensors(x:reshape(10, 5, 4), mg.zeros(10)):augment(all)
    assert.equal(changed(d):to_string(), changed(flat):to_string())
  end)
  it("are seen as they are by batches, statistics and evaluation", function()
    local d, x = pictures(6, 1, all)
    assert.equal(x:to_string(), (d:batch(1, 6)):to_string())
    for part in d:batches(6) do assert.equal(x:to_string(), part:to_string()) end
    near(60.5, d:stats()[1])
    local seen
    local net = mg.sequential { { 1, 5, 4 }, function(y) seen = y:clone() return y end,
      mg.flatten(), mg.dense(1) }
    mg.trainer { net = net, loss = "mse", optimizer = "sgd" }:evaluate(d)
    assert.equal(x:to_string(), seen:to_string())
  end)
  it("may be left as they are again", function()
    local d, x = pictures(6, 1, all)
    assert.equal(x:to_string(), changed(d:augment {}):to_string())
  end)
end)

describe("training with augmented data", function()
  local function train(run, threads, options)
    mg.seed(3)
    mg.set_threads(threads or 1)
    local seen = {}
    local net = mg.sequential { { 1, 5, 4 }, mg.flatten(), mg.dense(3) }
    if options and options.watch then
      net = mg.sequential { { 1, 5, 4 }, function(y)
        seen[#seen + 1] = y:totable()
        return y
      end, mg.flatten(), mg.dense(3) }
    end
    local d = mg.data.tensors(mg.rand(40, 1, 5, 4), mg.rand(40, 3))
    if not (options and options.plain) then
      d:augment { flip = true, shift = 1, rotate = 10, noise = 0.1 }
    end
    local trainer = mg.trainer { net = net, loss = "mse", optimizer = mg.sgd { lr = 0.1 } }
    local extra = run(trainer, { data = d, batch = 16, shuffle = true })
    mg.set_threads(1)
    return net:hash(), extra, seen
  end
  local function fit(trainer, data) trainer:fit(3, data) end

  it("is the same through run, epochs and fit, and with threads", function()
    local expected = train(fit)
    assert.equal(expected, (train(function(trainer, data)
      for _ in trainer:epochs(3, data) do collectgarbage("step") end
    end)))
    assert.equal(expected, (train(function(trainer, data)
      repeat until trainer:run(data, { steps = 1, epochs = 3 }) == "done"
    end)))
    assert.equal(expected, (train(fit, 3)))
    assert.not_equal(expected, (train(fit, 1, { plain = true })))
  end)
  it("shows other pictures in each epoch", function()
    local _, _, seen = train(function(trainer, data)
      data.shuffle, data.batch = false, 40
      trainer:fit(3, data)
    end, 1, { watch = true })
    assert.not_same(seen[#seen], seen[#seen - 1])
  end)
  it("allocates nothing for a batch", function()
    local _, more = train(function(trainer, data)
      trainer:run(data, { steps = 6, epochs = 100 })
      local before = select(4, mg.memory())
      trainer:run(data, { steps = 30, epochs = 100 })
      return select(4, mg.memory()) - before
    end)
    assert.equal(0, more)
  end)
end)

describe("augment", function()
  it("refuses what it cannot do", function()
    local d = pictures(3, 1, {})
    fails('there is no option "zoom"', d.augment, d, { zoom = 1 })
    fails("shift is %-1", d.augment, d, { shift = -1 })
    fails("shift is 0.5", d.augment, d, { shift = 0.5 })
    fails("rotate is 181, expected 0 to 180", d.augment, d, { rotate = 181 })
    fails("scale is 1, expected 0 to 0.99", d.augment, d, { scale = 1 })
    fails("noise is %-1, expected 0 to", d.augment, d, { noise = -1 })
    fails("rotate is", d.augment, d, { rotate = 0 / 0 })
    fails("flip is a number, expected a boolean", d.augment, d, { flip = 1 })
    fails('padding is "wrap", expected "zero" or "edge"', d.augment, d, { padding = "wrap" })
    fails("options is nil, expected a table", d.augment, d)
    local flat = mg.data.tensors(mg.zeros(4, 20), mg.zeros(4))
    fails("augment: x is {4, 20}, expected pictures", flat.augment, flat, { flip = true })
    fails("augment is", d.batches, d, 2, { augment = true })
  end)
end)
