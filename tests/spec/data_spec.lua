local mg = require "moongrad"
local h = require "tests.spec.helper"
local near, refuses = h.near, h.refuses

-- Numbers as bytes, the highest first.
local function int32(n)
  return string.char(math.floor(n / 16777216) % 256, math.floor(n / 65536) % 256,
    math.floor(n / 256) % 256, n % 256)
end

local function idx(sizes, bytes)
  local parts = { string.char(0, 0, 8, #sizes) }
  for _, n in ipairs(sizes) do parts[#parts + 1] = int32(n) end
  return table.concat(parts) .. bytes
end

-- Three pictures of 2 x 2, labels 0, 9, 4.
local PIXELS = "\0\51\102\153\204\255\1\2\10\20\30\40"
local IMAGES = idx({ 3, 2, 2 }, PIXELS)
local LABELS = idx({ 3 }, "\0\9\4")

local function gzip(path)
  assert(os.execute("gzip -c < " .. path .. " > " .. path .. ".gz"))
  local f = assert(io.open(path .. ".gz", "rb"))
  local bytes = f:read("*a")
  f:close()
  os.remove(path .. ".gz")
  return bytes
end

-- All examples of a dataset: rows of x, flat, and targets.
local function all(d, batch)
  local xs, ys = {}, {}
  for x, y in d:batches(batch or 1000) do
    for _, row in ipairs(x:flatten(2):totable()) do xs[#xs + 1] = row end
    for _, v in ipairs(y:flatten():totable()) do ys[#ys + 1] = v end
  end
  return xs, ys
end

after_each(h.remove_files)

describe("idx files", function()
  local function check(images, labels)
    local d = assert(mg.data.idx(h.file(images), h.file(labels)))
    local xs, ys = all(d)
    near({ 1, 10, 5 }, ys, 0) -- labels count from 1
    local unit = xs[2][2] / 255 -- bytes may be scaled, all alike
    assert.is_true(unit > 0)
    local expected = {}
    for i = 1, 3 do
      expected[i] = {}
      for j = 1, 4 do expected[i][j] = PIXELS:byte(4 * (i - 1) + j) * unit end
    end
    near(expected, xs)
  end

  it("are read plain", function() check(IMAGES, LABELS) end)
  it("are read through gzip", function()
    check(gzip(h.file(IMAGES)), gzip(h.file(LABELS)))
  end)
  it("may be one plain and one gzip", function() check(gzip(h.file(IMAGES)), LABELS) end)
  it("are read through gzip when large enough for several blocks", function()
    local bytes = {}
    for i = 1, 400 * 400 do bytes[i] = string.char((i * i + math.floor(i / 7)) % 256) end
    local images = gzip(h.file(idx({ 400, 20, 20 }, table.concat(bytes))))
    local labels = idx({ 400 }, ("\1"):rep(400))
    local d = assert(mg.data.idx(h.file(images), h.file(labels)))
    local xs = all(d)
    assert.equal(400, #xs)
    local unit = 0
    for j = 1, 400 do unit = math.max(unit, xs[1][j] / bytes[j]:byte()) end
    for i = 1, 400, 57 do
      for j = 1, 400 do near(bytes[400 * (i - 1) + j]:byte() * unit, xs[i][j], 1e-3) end
    end
  end)

  local bad = {
    ["empty"] = "",
    ["a text"] = "hello, this is not an idx file at all",
    ["cut in the header"] = IMAGES:sub(1, 9),
    ["cut in the pixels"] = IMAGES:sub(1, -2),
    ["of another magic number"] = "\1" .. IMAGES:sub(2),
    ["of floats"] = "\0\0\13\3" .. IMAGES:sub(5),
    ["of too many pictures for its bytes"] = idx({ 2147483647, 2, 2 }, PIXELS),
    ["of sizes that overflow"] = idx({ 4294967295, 4294967295, 4294967295 }, PIXELS),
    ["of no pictures"] = idx({ 0, 2, 2 }, ""),
    ["of another number of pictures than labels"] = idx({ 2, 2, 2 }, PIXELS:sub(1, 8)),
  }
  for name, bytes in pairs(bad) do
    it(name .. " give nil and a message", function()
      refuses(".", mg.data.idx, h.file(bytes), h.file(LABELS))
    end)
  end
  it("with gzip cut anywhere give nil and a message", function()
    local bytes, labels = gzip(h.file(IMAGES)), h.file(LABELS)
    for n = 1, #bytes - 1 do
      refuses(".", mg.data.idx, h.file(bytes:sub(1, n)), labels)
    end
  end)
  it("with damaged gzip give nil and a message", function()
    local bytes, labels = gzip(h.file(IMAGES)), h.file(LABELS)
    local damaged = bytes:sub(1, -6) .. string.char(255 - bytes:byte(-5)) .. bytes:sub(-4)
    refuses(".", mg.data.idx, h.file(damaged), labels) -- its checksum is wrong
  end)
  it("with cut labels give nil and a message", function()
    refuses(".", mg.data.idx, h.file(IMAGES), h.file(LABELS:sub(1, -2)))
  end)
  it("that are missing give nil and a message with their name", function()
    refuses("no_such_file", mg.data.idx, "/tmp/no_such_file", h.file(LABELS))
    refuses("no_such_file", mg.data.idx, h.file(IMAGES), "/tmp/no_such_file")
  end)
  it("train a net", function()
    local d = assert(mg.data.idx(h.file(IMAGES), h.file(LABELS)))
    local net = mg.sequential { mg.flatten(), mg.dense(10, { inputs = 4 }) }
    local trainer = mg.trainer {
      net = net, loss = "cross_entropy", metrics = { "accuracy" },
      optimizer = mg.adam { lr = 0.01 },
    }
    local before = trainer:evaluate(d).loss
    trainer:fit(20, d)
    assert.is_true(trainer:evaluate(d).loss < before)
  end)
end)

describe("fashion_mnist", function()
  it("gives nil and a message when its folder is missing", function()
    refuses("no_such_folder", mg.data.fashion_mnist, "/tmp/no_such_folder")
  end)
  it("gives the training pictures and labels of Debian's package", function()
    local f = io.open("/usr/share/datasets/fashion-mnist/train-labels-idx1-ubyte.gz", "rb")
    if not f then return pending("dataset-fashion-mnist is not installed") end
    f:close()
    local d = assert(mg.data.fashion_mnist())
    local seen = 0
    for x, y in d:batches(10) do
      seen = seen + 1
      if seen > 1 then break end
      assert.equal(7840, x:numel())
      near({ 10, 1, 1, 4, 1, 3, 8, 3, 6, 6 }, y:flatten(), 0)
    end
  end)
end)

describe("csv files", function()
  local TEXT = "height,width,class\n1,2.5,1\n-3,4e1,2\n0.5,6,1\n"

  it("give features and the named target", function()
    local d = assert(mg.data.csv(h.file(TEXT), { target = "class", header = true }))
    local xs, ys = all(d)
    near({ { 1, 2.5 }, { -3, 40 }, { 0.5, 6 } }, xs)
    near({ 1, 2, 1 }, ys)
  end)
  it("may have their target in front", function()
    local xs, ys = all(assert(mg.data.csv(h.file(TEXT), { target = "height", header = true })))
    near({ { 2.5, 1 }, { 40, 2 }, { 6, 1 } }, xs)
    near({ 1, -3, 0.5 }, ys)
  end)
  it("may lack a header, with the target's column by number", function()
    local d = assert(mg.data.csv(h.file("1,2,3\n4,5,6\n"), { target = 2, header = false }))
    local xs, ys = all(d)
    near({ { 1, 3 }, { 4, 6 } }, xs)
    near({ 2, 5 }, ys)
  end)
  it("may end their lines as Windows does and lack the last one", function()
    local text = TEXT:gsub("\n", "\r\n"):sub(1, -3)
    local xs, ys = all(assert(mg.data.csv(h.file(text), { target = "class", header = true })))
    near({ { 1, 2.5 }, { -3, 40 }, { 0.5, 6 } }, xs)
    near({ 1, 2, 1 }, ys)
  end)

  for name, text in pairs {
    ["with a word among the numbers"] = "a,b\n1,2\n3,four\n",
    ["with a short row"] = "a,b\n1,2\n3\n",
    ["with a long row"] = "a,b\n1,2\n3,4,5\n",
    ["without rows"] = "a,b\n",
    ["that are empty"] = "",
  } do
    it(name .. " give nil and a message", function()
      refuses(".", mg.data.csv, h.file(text), { target = "b", header = true })
    end)
  end
  it("name the line of a word among the numbers", function()
    refuses("3", mg.data.csv, h.file("a,b\n1,2\n4,five\n"), { target = "b", header = true })
  end)
  it("that are missing give nil and a message with their name", function()
    refuses("no_such_file", mg.data.csv, "/tmp/no_such_file", { target = 1 })
  end)
end)

describe("a dataset", function()
  local function tens() -- x = {i, -2 i}, y = i
    local lines = {}
    for i = 1, 10 do lines[i] = ("%d,%d,%d"):format(i, -2 * i, i) end
    local path = h.file(table.concat(lines, "\n") .. "\n")
    return assert(mg.data.csv(path, { target = 3, header = false }))
  end

  it("comes in batches, in order, the last smaller", function()
    local sizes, seen = {}, {}
    for x, y in tens():batches(4) do
      sizes[#sizes + 1] = #x
      assert.equal(#x, #y)
      for _, v in ipairs(y:flatten():totable()) do seen[#seen + 1] = v end
    end
    assert.same({ 4, 4, 2 }, sizes)
    near(mg.arange(1, 10), seen, 0)
  end)
  it("splits in two that share nothing and miss nothing", function()
    local a, b = tens():split(0.8)
    local _, ya = all(a)
    local xb, yb = all(b)
    assert.equal(8, #ya)
    assert.equal(2, #yb)
    near(xb[1][1], yb[1], 0)
    for _, v in ipairs(yb) do ya[#ya + 1] = v end
    table.sort(ya)
    near(mg.arange(1, 10), ya, 0)
  end)
  it("is normalised to mean 0 and deviation 1", function()
    local d = tens()
    local x = mg.tensor((all(d:normalize() or d)))
    near(0, x:mean(), 1e-4)
    local deviation = x:square():mean():sqrt():item()
    assert.is_true(deviation > 0.94 and deviation < 1.001) -- over 20, 19, 10 or 9
  end)
  it("keeps its targets when normalised", function()
    local d = tens()
    local _, ys = all(d:normalize() or d)
    near(mg.arange(1, 10), ys, 0)
  end)
  it("trains and evaluates", function()
    mg.seed(1)
    local trainer = mg.trainer {
      net = mg.dense(1, { inputs = 2 }), loss = "mse", optimizer = mg.adam { lr = 0.05 },
    }
    local before = trainer:evaluate(tens()).loss
    trainer:fit(30, tens())
    assert.is_true(trainer:evaluate(tens()).loss < before)
  end)
end)
