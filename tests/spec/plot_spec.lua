-- Pictures: what is in them, not their bytes.
local mg = require "moongrad"
local png = require "moongrad.png"
local color = require "moongrad.plot_color"
local font = require "moongrad.plot_font"
local scale = require "moongrad.plot_scale"
local h = require "tests.spec.helper"

local unpack = h.unpack

-------------------------------------------------------------------- a PNG reader

local function u32(s, at)
  local a, b, c, d = s:byte(at, at + 3)
  return ((a * 256 + b) * 256 + c) * 256 + d
end

-- The chunks of a PNG by name, their checksums being right.
local function chunks(bytes)
  assert.equal("\137PNG\r\n\26\n", bytes:sub(1, 8))
  local found, at, order = {}, 9, {}
  while at <= #bytes do
    local n, name = u32(bytes, at), bytes:sub(at + 4, at + 7)
    assert.equal(mg.core.crc32(0, bytes:sub(at + 4, at + 7 + n)), u32(bytes, at + 8 + n))
    found[name] = bytes:sub(at + 8, at + 7 + n)
    order[#order + 1] = name
    at = at + 12 + n
  end
  return found, table.concat(order, " ")
end

-- Width, height, and a function of x and y (from 0) that gives red, green, blue.
local function decode(bytes)
  local parts, order = chunks(bytes)
  local width, height = u32(parts.IHDR, 1), u32(parts.IHDR, 5)
  local deep = parts.PLTE and 1 or 3
  assert.equal(parts.PLTE and "IHDR PLTE IDAT IEND" or "IHDR IDAT IEND", order)
  assert.equal(parts.PLTE and "\8\3\0\0\0" or "\8\2\0\0\0", parts.IHDR:sub(9))
  local row = deep * width
  local raw = assert(mg.core.inflate(parts.IDAT:sub(3), height * (row + 1)))
  local rows = {}
  for y = 0, height - 1 do
    local filter, line = raw:byte(y * (row + 1) + 1), {}
    for i = 1, row do
      local left, above = line[i - deep] or 0, y > 0 and rows[y - 1][i] or 0
      local add = filter == 1 and left or filter == 2 and above or 0
      line[i] = (raw:byte(y * (row + 1) + 1 + i) + add) % 256
    end
    rows[y] = line
  end
  return width, height, function(x, y)
    if deep == 3 then return rows[y][3 * x + 1], rows[y][3 * x + 2], rows[y][3 * x + 3] end
    return parts.PLTE:byte(3 * rows[y][x + 1] + 1, 3 * rows[y][x + 1] + 3)
  end
end

describe("the PNG encoder", function()
  it("gives back every point of pictures of few and of many colours", function()
    for _, size in ipairs { { 1, 1 }, { 3, 2 }, { 70, 33 }, { 301, 5 } } do
      for few = 0, 1 do
        local bytes, width = {}, size[1]
        for i = 0, size[1] * size[2] - 1 do
          bytes[i + 1] = few == 1 and string.char(i % 7, 200, 0)
            or string.char(i * 7 % 256, i * i % 256, math.floor(i / 3) % 256)
        end
        local w, hgt, at = decode(png.encode(size[1], size[2], table.concat(bytes)))
        assert.same(size, { w, hgt })
        for i = 0, #bytes - 1 do
          assert.equal(bytes[i + 1], string.char(at(i % width, math.floor(i / width))))
        end
      end
    end
  end)
  it("makes a small file of an empty picture", function()
    assert.is_true(#png.encode(640, 400, ("\255"):rep(768000)) < 3000)
  end)
  it("refuses sizes and bytes that do not fit", function()
    h.fails("width is 0", png.encode, 0, 1, "")
    h.fails("height is", png.encode, 1, 0 / 0, "")
    h.fails("height is", png.encode, 1, 1e300, "")
    h.fails("width is 1.5", png.encode, 1.5, 1, "abc")
    h.fails("not 3 for each point", png.encode, 2, 1, "abc")
  end)
end)

----------------------------------------------------------------------- the kinds

local function sequential()
  return mg.sequential { 2, mg.dense(4), "tanh", mg.dense(1), "sigmoid" }
end
local xor = { x = { { 0, 0 }, { 0, 1 }, { 1, 0 }, { 1, 1 } }, y = { { 0 }, { 1 }, { 1 }, { 0 } } }
local function xor_trainer()
  mg.seed(1)
  return mg.trainer { net = sequential(), loss = "bce", optimizer = mg.adam { lr = 0.1 } }
end

-- What each function is called with, as a list without the options.
local kinds = {
  loss = function() return { { epoch = 1, loss = 1, val_loss = 2 }, { epoch = 2, loss = 0.5 } } end,
  curve = function() return { math.sin, { x = { 1, 2 }, y = { 0, 1 }, label = "points" } } end,
  boundary = function() return sequential(), xor end,
  weights = function() return sequential() end,
  confusion = function() return { { 8, 2 }, { 1, 9 } } end,
  histogram = function() return mg.randn(100) end,
  gradients = function()
    local net = sequential()
    mg.mse(net(mg.tensor(xor.x)), mg.tensor(xor.y)):backward()
    return net
  end,
  images = function() return mg.rand(3, 1, 8, 8) end,
  surface = function() return function(a, b) return a * a + b end end,
}

local SMALL = { width = 200, height = 140 } -- points: quick to look at

local function call(kind, options)
  local arguments = { kinds[kind]() }
  arguments[#arguments + 1] = options
  return mg.plot[kind](unpack(arguments))
end

-- Lines of a text, and the width of the widest in letters.
local function measure(text)
  local lines, widest = 0, 0
  for line in (text .. "\n"):gmatch("(.-)\n") do
    lines = lines + 1
    local _, n = line:gsub("\27%[[%d;]*m", ""):gsub("[^\128-\191]", "")
    widest = math.max(widest, n)
  end
  return lines, widest
end

describe("every kind of picture", function()
  before_each(function() mg.seed(1) mg.plot.backend = nil end)
  after_each(h.remove_files)
  for kind in pairs(kinds) do
    it("is there as text of the asked width: " .. kind, function()
      for _, width in ipairs { 20, 43, 80, 133 } do
        for _, depth in ipairs { "none", "256", "truecolor" } do
          local _, widest = measure(call(kind, { width = width, color = depth }))
          assert.is_true(widest <= width, width .. " " .. widest)
        end
      end
    end)
    it("has the asked height: " .. kind, function()
      assert.equal(31, (measure(call(kind, { height = 31, color = "none" }))))
    end)
    it("has no escapes without colours, and such ones as are asked for: " .. kind, function()
      assert.is_nil(call(kind, { color = "none" }):find("\27", 1, true))
      assert.truthy(call(kind, { color = "256" }):find("\27%[[%d;]*[34]8;5;%d"))
      assert.truthy(call(kind, { color = "truecolor" }):find("\27%[[%d;]*[34]8;2;%d+;%d+;%d"))
    end)
    it("ends each line as the terminal had been: " .. kind, function()
      for line in call(kind, { color = "truecolor" }):gmatch("[^\n]+") do
        local last = line:match(".*(\27%[[%d;]*m)")
        assert.is_true(last == nil or last == "\27[0m", line)
      end
    end)
    it("is a PNG of the asked size: " .. kind, function()
      local path = h.file("") .. ".png"
      assert.is_true(call(kind, { out = path, width = 201, height = 140 }))
      local file = assert(io.open(path, "rb"))
      local width, height = decode(file:read("*a"))
      file:close()
      os.remove(path)
      assert.same({ 201, 140 }, { width, height })
    end)
    it("is an SVG whose elements are closed: " .. kind, function()
      mg.plot.backend = "svg"
      local text, open = call(kind, { title = "a < b & c" }), {}
      assert.truthy(text:find("a &lt; b &amp; c", 1, true))
      for slash, name, rest in text:gmatch("<(/?)(%a+)([^>]*)>") do
        if slash == "/" then assert.equal(name, table.remove(open))
        elseif rest:sub(-1) ~= "/" then open[#open + 1] = name end
      end
      assert.same({}, open)
    end)
    it("is the same each time: " .. kind, function()
      local first = call(kind, { color = "truecolor" })
      mg.seed(1)
      assert.equal(first, call(kind, { color = "truecolor" }))
    end)
    it("refuses options it does not know, in one sentence: " .. kind, function()
      local function refuses(text, options)
        h.fails("plot." .. kind .. ": " .. text, call, kind, options)
      end
      refuses('there is no option "colour"', { colour = "none" })
      refuses("width is 7, expected an integer from 20", { width = 7 })
      refuses('color is "red", expected "truecolor"', { color = "red" })
      refuses('out is "a.jpg", expected a name that ends in .png', { out = "a.jpg" })
    end)
  end
end)

describe("a picture", function()
  before_each(function() mg.seed(1) mg.plot.backend = nil end)
  after_each(function() mg.plot.backend = nil h.remove_files() end)

  it("is as wide as the terminal, where COLUMNS is not set", function()
    local path = h.file 'print("wide " .. require "moongrad.progress".columns())'
    local lua = jit and "luajit" or "lua" .. _VERSION:match "%d%.%d"
    for _, columns in ipairs { 40, 200 } do
      local pipe = io.popen(([[script -qec "stty cols %d; env -u COLUMNS %s %s" /dev/null]]):format(
        columns, lua, path))
      assert.equal("wide " .. columns, pipe:read "*a":match "wide %d+")
      pipe:close()
    end
    h.remove_files()
  end)
  it("is as wide as COLUMNS says, or 80, and coloured as the environment says", function()
    local code = [=[
      local env = %s
      os.getenv = function(name) return env[name] end
      local text = require "moongrad".plot.curve(math.sin, { title = ("w"):rep(2000) })
      local first = text:match("^[^\n]*"):gsub("\27%%[[%%d;]*m", "")
      io.write(#first, " ", text:find("8;2;", 1, true) and "true" or text:find("8;5;", 1, true)
        and "256" or text:find("\27") and "?" or "none")
    ]=]
    for env, expected in pairs {
      ['{ COLUMNS = "50", TERM = "xterm-256color" }'] = "50 256",
      ['{ COLORTERM = "truecolor" }'] = "80 true",
      ['{ COLORTERM = "24bit", TERM = "xterm" }'] = "80 true",
      ['{ COLORTERM = "truecolor", NO_COLOR = "1" }'] = "80 none",
      ['{ TERM = "dumb" }'] = "80 none",
      ['{ COLUMNS = "x" }'] = "80 none",
    } do
      assert.equal(expected, h.script(code:format(env)))
    end
  end)
  it("is drawn by whom mg.plot.backend names", function()
    mg.plot.backend = "svg"
    assert.truthy(mg.plot.curve(math.sin):find("^<svg"))
    mg.plot.backend = "png"
    local parts = chunks(mg.plot.curve(math.sin))
    assert.same({ 640, 384 }, { u32(parts.IHDR, 1), u32(parts.IHDR, 5) })
    mg.plot.backend = "crayon"
    h.fails('mg.plot.backend is "crayon", expected', mg.plot.curve, math.sin)
  end)
  it("in a file that cannot be written is nil, a message and a code", function()
    local ok, message, code = mg.plot.curve(math.sin, { out = "/nowhere/x.png" })
    assert.is_nil(ok)
    assert.truthy(message:find("/nowhere/x.png", 1, true))
    assert.equal(2, code)
  end)
  it("goes through the functions of mg.set_files", function()
    local written = {}
    local before = mg.set_files {
      open = function(path) return { path = path, bytes = "" } end,
      size = function() return 0 end, read = function() return "" end,
      write = function(f, bytes) f.bytes = f.bytes .. bytes return true end,
      close = function(f) written.bytes = f.bytes return true end,
      rename = function(_, to) written.to = to return true end, remove = function() return true end,
    }
    local ok, message = mg.plot.curve(math.sin, { out = "a picture.svg" })
    mg.set_files(before)
    assert.is_true(ok, message)
    assert.equal("a picture.svg", written.to)
    assert.truthy(written.bytes:find("^<svg"))
  end)
  it("leaves the generator of random numbers alone", function()
    local function next_number() return mg.rand(1)[1] end
    mg.seed(4)
    local net = sequential()
    mg.seed(3)
    local expected = next_number()
    mg.seed(3)
    mg.plot.boundary(net, xor)
    mg.plot.surface(function(a, b) return a + b end)
    assert.equal(expected, next_number())
  end)
  it("has what stands for marks in its legend, and labels on its axes", function()
    local text = mg.plot.curve({ { f = math.sin, label = "the sine" },
      { f = math.cos, label = "the cosine" } },
      { from = 0, to = 6, xlabel = "angle", ylabel = "height", title = "Waves", color = "none" })
    for _, part in ipairs { "a.*the sine", "b.*the cosine", "angle", "height", "Waves", "1%.0┤",
                            "0%.0┤", "%-1%.0┤", "└" } do
      assert.truthy(text:find(part), part)
    end
  end)
end)

-------------------------------------------------------------- what is seen where

describe("mg.plot.", function()
  before_each(function() mg.seed(1) mg.plot.backend = "png" end)
  after_each(function() mg.plot.backend = nil h.remove_files() end)

  -- The places of a colour: how many, and the least and largest x and y.
  local function places(bytes, wanted)
    local width, height, at = decode(bytes)
    local n, x0, y0, x1, y1 = 0, width, height, -1, -1
    for y = 0, height - 1 do
      for x = 0, width - 1 do
        local r, g, b = at(x, y)
        if r * 65536 + g * 256 + b == wanted then
          n = n + 1
          x0, y0, x1, y1 = math.min(x0, x), math.min(y0, y), math.max(x1, x), math.max(y1, y)
        end
      end
    end
    return n, x0, y0, x1, y1
  end

  it("curve draws a rising line from low on the left to high on the right", function()
    local _, _, at = decode(mg.plot.curve(function(x) return x end, { width = 300, height = 200 }))
    local function height_in(column) -- where the line crosses it
      for y = 0, 150 do
        local r, g, b = at(column, y)
        if r * 65536 + g * 256 + b == color.of(1) then return y end
      end
    end
    assert.is_true(height_in(80) > height_in(160) and height_in(160) > height_in(240))
  end)
  it("curve leaves out what is no number, or outside", function()
    local odd = { 0 / 0, 1 / 0, -1 / 0, 1, 1e300 }
    for _, depth in ipairs { "none", "256" } do
      mg.plot.backend = nil
      local o, plain = { color = depth }, { 1, 2, 3, 4, 5 }
      assert.truthy(mg.plot.curve({ x = plain, y = odd, line = true }, o))
      assert.truthy(mg.plot.curve({ x = odd, y = plain }, o))
      assert.truthy(mg.plot.curve(function(x) return 1 / x end, { low = -2, high = 2 }))
      assert.truthy(mg.plot.curve(function() return 0 / 0 end, { log = true }))
      assert.truthy(mg.plot.histogram(odd))
      assert.truthy(mg.plot.loss { { loss = 0 / 0 }, { loss = 1 / 0 } })
      assert.truthy(mg.plot.surface(function() return 0 / 0 end))
    end
  end)
  it("curve takes a net, and functions that give tensors", function()
    local net = h.dense({ { 2 } }, { 1 })
    local by_net = mg.plot.curve(net, { from = 0, to = 1 })
    assert.equal(by_net, mg.plot.curve(function(x) return 2 * x + 1 end, { from = 0, to = 1 }))
    assert.equal(by_net, mg.plot.curve(function(x) return mg.tensor { 2 * x + 1 } end,
      { from = 0, to = 1 }))
  end)
  it("curve passes errors of the function on, and names what it did not give", function()
    h.fails("my own", mg.plot.curve, function() error("my own", 0) end)
    h.fails("plot.curve: the function gave nil for %-5, expected a number", mg.plot.curve,
      function() end)
    h.fails("curves.1. has 2 x and 1 y", mg.plot.curve, { x = { 1, 2 }, y = { 1 } })
    h.fails("from is 3 and to is 1", mg.plot.curve, math.sin, { from = 3, to = 1 })
  end)

  it("boundary shows a class each side of the line x1 = 0.5", function()
    local net = h.dense({ { 50, 0 } }, { -25 }, "sigmoid")
    local left = color.mix(color.paper, color.of(1), 0.6)
    local right = color.mix(color.paper, color.of(2), 0.6)
    local bytes = mg.plot.boundary(net, { x = xor.x, y = { { 0 }, { 0 }, { 1 }, { 1 } } },
      { width = 300, height = 220, hidden = false })
    local n, _, _, left_end = places(bytes, left)
    local m, right_from = places(bytes, right)
    assert.is_true(n > 1000 and m > 1000 and left_end < right_from)
    assert.is_true(math.abs(n - m) < 0.1 * n)
  end)
  it("boundary has as many regions as classes, with the names given", function()
    mg.plot.backend = nil
    local net = h.dense({ { -9, 0 }, { 0, 0 }, { 9, 0 } }, { 3, 3, -6 })
    local text = mg.plot.boundary(net, { x = { { 0, 0 }, { 0.5, 1 }, { 1, 0 } }, y = { 1, 2, 3 } },
      { names = { "low", "middle", "high" }, color = "none" })
    assert.truthy(text:find("o  low   x  middle   +  high", 1, true), text)
    assert.truthy(text:find("┤   ", 1, true) and text:find(" ░░", 1, true)
      and text:find("░▒▒", 1, true))
  end)
  it("boundary has a small map for each hidden neuron, and none if asked", function()
    mg.plot.backend = nil
    local with = mg.plot.boundary(sequential(), xor, { color = "none" })
    assert.truthy(with:find("what the hidden neurons answer", 1, true))
    assert.truthy(with:find("%s1%s.*%s2%s.*%s3%s.*%s4%s"))
    local without = mg.plot.boundary(sequential(), xor, { color = "none", hidden = false })
    assert.is_nil(without:find("hidden", 1, true))
  end)
  it("boundary refuses examples that are not points of a plane", function()
    h.fails("plot.boundary: examples are {3, 3}, expected {n, 2}", mg.plot.boundary, sequential(),
      { x = mg.ones(3, 3), y = mg.ones(3, 1) })
  end)

  it("weights gives each number its colour, by its size", function()
    local bytes = mg.plot.weights(h.dense({ { -1, 0 }, { 0, 1 } }), SMALL)
    local blue, _, _, blue_x, blue_y = places(bytes, color.sign(0))
    local orange, orange_x, orange_y = places(bytes, color.sign(1))
    assert.is_true(blue > 500 and orange > 500)
    assert.is_true(blue_x < 200 and orange_x > 20 and orange_y < blue_y + 140)
  end)
  it("weights shows a picture for each kernel, or for each neuron that sees pictures", function()
    mg.plot.backend = nil
    local cnn = mg.sequential { { 2, 8, 8 }, mg.conv2d(3, 3) }
    local text = mg.plot.weights(cnn, { color = "none" })
    for _, title in ipairs { "0.weight", "1:1", "1:2", "3:2" } do
      assert.truthy(text:find(title, 1, true), title)
    end
    local dense = mg.sequential { { 1, 4, 4 }, mg.flatten(), mg.dense(5) }
    assert.truthy(mg.plot.weights(dense, { color = "none" }):find(" 4 .* 5"))
    h.fails('plot.weights: the net has no parameter "x"', mg.plot.weights, cnn, { name = "x" })
    h.fails("shape does not hold the 16 weights", mg.plot.weights, dense, { shape = { 3, 4 } })
  end)

  it("confusion shows counts and names, what is right darkest", function()
    mg.plot.backend = nil
    local text = mg.plot.confusion(mg.tensor { { 30, 0 }, { 10, 20 } },
      { names = { "cat", "dog" }, color = "none" })
    assert.truthy(text:find("cat┤%s*30%s*%.%s*\n"))
    assert.truthy(text:find("dog┤%s*10%s*20%s*\n"))
    assert.truthy(text:find("taken for", 1, true))
    mg.plot.backend = "png"
    local n = places(mg.plot.confusion({ { 5, 0 }, { 0, 5 } }, SMALL), color.shade(1))
    assert.is_true(n > 1000)
    h.fails("counts is no square: row 2 is of 1, of 2 rows", mg.plot.confusion, { { 1, 2 }, { 3 } })
  end)
  it("histogram draws bars as high as numbers are many", function()
    local bytes = mg.plot.histogram({ 0, 0, 0, 1 },
      { bins = 2, width = 300, height = 160 })
    local _, _, y0, _, y1 = places(bytes, color.of(1))
    local _, height, at = decode(bytes)
    local tall, low = 0, 0
    for y = 0, height - 1 do
      local function blue(x)
        local r, g, b = at(x, y)
        return r * 65536 + g * 256 + b == color.of(1) and 1 or 0
      end
      tall, low = tall + blue(100), low + blue(240)
    end
    assert.is_true(y1 > y0 and math.abs(tall / low - 3) < 0.1)
  end)
  it("gradients needs gradients", function()
    h.fails("has no gradients yet", mg.plot.gradients, sequential())
    mg.plot.backend = nil
    local text = mg.plot.gradients({ { name = "first", norm = 1e-6 }, { name = "last", norm = 1 } },
      { color = "none" })
    assert.truthy(text:find("first.*last") and text:find("1e%-5"))
  end)

  it("images shows grey values where they are, with labels", function()
    local x = mg.zeros(1, 4, 4)
    x:set(1, 1, 4, 1) -- upper right
    local _, x0, y0, x1, y1 = places(mg.plot.images(x, SMALL), 0xffffff)
    assert.is_true(x1 > x0 and y1 > y0)
    mg.plot.backend = nil
    local text = mg.plot.images(x, { labels = { 2 }, predicted = { 1 }, names = { "hat", "shoe" },
                                     color = "none" })
    assert.truthy(text:find("shoe.*█.*as hat"))
  end)
  it("images of a net and data begin with what it is most wrong about", function()
    mg.plot.backend = nil
    local net = mg.sequential { { 1, 2, 2 }, mg.flatten(),
                                h.dense({ { 5, 0, 0, 0 }, { 0, 5, 0, 0 } }) }
    local x = mg.zeros(3, 1, 2, 2)
    for i, v in ipairs { 1, -2, 0.1 } do x:set(i, 1, 1, 1, v) end
    local text = mg.plot.images(net, { x = x, y = { 1, 1, 1 } },
      { names = { "hat", "shoe" }, color = "none", count = 2 })
    assert.truthy(text:find("as shoe.*as hat"))
    h.fails("the net answers {3, 1}, expected {n, classes}", mg.plot.images,
      mg.sequential { { 1, 2, 2 }, mg.flatten(), mg.dense(1) }, { x = x, y = { 1, 1, 1 } })
  end)

  it("surface is darkest where the loss is least", function()
    local bytes = mg.plot.surface(function(a, b) return (a - 1) ^ 2 + (b + 1) ^ 2 end,
      SMALL)
    local _, x0, y0, x1, y1 = places(bytes, color.heat(0))
    local width, height = decode(bytes)
    assert.is_true(x0 > 0.4 * width and x1 < width and y0 > 0.4 * height and y1 < height)
  end)
  it("surface of a trainer leaves the net as it was, an error too", function()
    local trainer = xor_trainer()
    local net = trainer:parts().net
    local before = net:hash()
    assert.truthy(mg.plot.surface(trainer, xor, { weights = { { "2.weight", 3 }, { "0.bias" } } }))
    assert.equal(before, net:hash())
    local failing = mg.trainer { net = net, optimizer = "sgd",
                                 loss = function() error("no", 0) end }
    h.fails("no", mg.plot.surface, failing, xor)
    assert.equal(before, net:hash())
    h.fails('plot.surface: the net has no weight "w"', mg.plot.surface, trainer, xor,
      { weights = { { "w" }, { "w" } } })
    h.fails('"0.bias" has 4 numbers, no number 5', mg.plot.surface, trainer, xor,
      { weights = { { "0.bias", 5 }, { "0.bias", 1 } } })
  end)

  it("loss draws what fit returned, the log that it wrote, and plain numbers", function()
    mg.plot.backend = nil
    local path = h.file("")
    local rows = xor_trainer():fit(12, { x = xor.x, y = xor.y, validation = xor }, { log = path })
    local best = rows.best
    rows.best = nil
    local text = mg.plot.loss(rows, { color = "256" })
    assert.truthy(text:find("training", 1, true) and text:find("validation", 1, true))
    assert.equal(text, mg.plot.loss(path, { color = "256" }))
    rows.best = best
    assert.truthy(mg.plot.loss(rows):find("best: epoch " .. best, 1, true))
    assert.truthy(mg.plot.loss { 3, 2, 1 })
  end)
  it("loss says what is wrong with a file", function()
    h.refuses("/nowhere", mg.plot.loss, "/nowhere")
    h.refuses("line 2 is no row of a log", mg.plot.loss, h.file('{"loss":1}\nnonsense\n'))
    h.fails("plot.loss: history has no row with a number in it", mg.plot.loss, {})
  end)
end)

------------------------------------------------------------------------- gnuplot

describe("gnuplot", function()
  local pipe = io.popen("command -v gnuplot")
  local there = pipe:read("*a") ~= ""
  pipe:close()
  before_each(function() mg.seed(1) mg.plot.backend = "gnuplot" end)
  after_each(function() mg.plot.backend = nil h.remove_files() end)

  it("gets a script in which texts are nothing but texts", function()
    local path = h.file("") .. ".gp"
    assert.is_true(mg.plot.curve({ { f = math.sin, label = "a'b`touch x`\n!ls" } }, { out = path }))
    local file = assert(io.open(path))
    local text = file:read("*a")
    file:close()
    os.remove(path)
    assert.truthy(text:find("title 'a''b touch x  !ls'", 1, true), text)
    assert.is_nil(text:find("`", 1, true))
  end)
  it("draws the colours of surface and weights with what they stand for", function()
    local function script(kind, ...)
      local path = h.file("") .. ".gp"
      assert.is_true(mg.plot[kind](..., { out = path }))
      local file = assert(io.open(path))
      local text = file:read("*a")
      file:close()
      os.remove(path)
      return text
    end
    local text = script("surface", function(a, b) return a ^ 2 + b ^ 2 + 0.01 end)
    assert.truthy(text:find("set title 'loss'", 1, true))
    assert.truthy(text:find("set y2tics %('0.1' [%d.]+, '1' [%d.]+, '10' [%d.]+%)"), text)
    text = script("weights", mg.tensor { { -1, 0.5 }, { 0.25, 1 } })
    assert.truthy(text:find("'-1.0' 0, ", 1, true) and text:find("'1.0' 1)", 1, true), text)
    assert.is_nil(script("curve", math.sin):find("y2tics", 1, true))
  end)
  it("counts columns where it draws text, in which there are no colours", function()
    h.refuses("no areas of colour as text", mg.plot.surface, math.max, { width = 80 })
    h.fails("width is 99, expected an integer from 100", mg.plot.curve, math.sin,
      { width = 99, out = "x.png" })
  end)
  it("draws each kind, or is said to be missing", function()
    local path = h.file("") .. ".svg"
    for kind in pairs(kinds) do
      local drawn, message = call(kind, { out = path })
      if there then
        assert(drawn, message)
        local file = assert(io.open(path))
        assert.truthy(file:read("*a"):find("<svg.*</svg>"), kind)
        file:close()
        os.remove(path)
      else
        assert.truthy(message:find("gnuplot", 1, true))
      end
    end
  end)
end)

------------------------------------------------------------- colours, ticks, letters

describe("the colours of series", function()
  local function contrast(a, b)
    a, b = color.light(a) + 0.05, color.light(b) + 0.05
    return math.max(a, b) / math.min(a, b)
  end
  it("stand out from white and from black", function()
    for _, c in ipairs(color.series) do
      assert.is_true(contrast(c, 0xffffff) >= 3 and contrast(c, 0) >= 3, color.hex(c))
    end
  end)
  -- Machado, Oliveira, Fernandes: A physiologically-based model for simulation of color vision
  -- deficiency, 2009, for complete loss.
  local blindness = {
    protan = { 0.152286, 1.052583, -0.204868, 0.114503, 0.786281, 0.099216,
               -0.003882, -0.048116, 1.051998 },
    deutan = { 0.367322, 0.860646, -0.227968, 0.280085, 0.672501, 0.047413,
               -0.011820, 0.042940, 0.968881 },
  }
  it("differ for the colour-blind", function()
    for name, m in pairs(blindness) do
      local seen = {}
      for i = 1, 4 do
        local r, g, b = color.rgb(color.of(i))
        seen[i] = { m[1] * r + m[2] * g + m[3] * b, m[4] * r + m[5] * g + m[6] * b,
                    m[7] * r + m[8] * g + m[9] * b }
        for j = 1, i - 1 do
          local far = 0
          for k = 1, 3 do far = far + (seen[i][k] - seen[j][k]) ^ 2 end
          assert.is_true(far ^ 0.5 > 40, ("%s: %d and %d, %.0f"):format(name, i, j, far ^ 0.5))
        end
      end
    end
  end)
end)

describe("ticks", function()
  local function labels(axis, n)
    local list = {}
    for i, tick in ipairs(scale.ticks(axis, n)) do list[i] = tick[2] end
    return table.concat(list, " ")
  end
  it("are round numbers within the range", function()
    assert.equal("0.0 0.2 0.4 0.6 0.8 1.0", labels({ from = 0, to = 1 }, 6))
    assert.equal("-6 -4 -2 0 2 4 6", labels({ from = -6, to = 6 }, 9))
    assert.equal("0 5 10", labels({ from = -1, to = 13 }, 4))
    assert.equal("1 2 3", labels({ from = 1, to = 3, whole = true }, 9))
    assert.equal("0.001 0.01 0.1 1 10", labels({ from = 0.001, to = 20, log = true }, 6))
    assert.equal("1e-6 0.001 1", labels({ from = 1e-6, to = 5, log = true }, 3))
  end)
  it("are few, whatever the range", function()
    for _, range in ipairs { { 0, 1e-300 }, { -1e99, 1e99 }, { 1e6, 1e6 + 1 }, { 3, 3.0000001 } } do
      local n = #scale.ticks({ from = range[1], to = range[2] }, 6)
      assert.is_true(n <= 6, tostring(n))
    end
  end)
end)

describe("the letters of PNG", function()
  it("are there for all of ASCII, each a picture of its own", function()
    local seen = {}
    for code = 33, 126 do
      local char = string.char(code)
      local strokes = assert(font.known[char], char)
      assert.is_nil(seen[strokes], char)
      seen[strokes] = true
    end
  end)
  it("are as wide as they are drawn", function()
    local right = 0
    local width = font.strokes("mind 8", function(points, x)
      for _, p in ipairs(points) do right = math.max(right, x + p[1]) end
    end)
    assert.is_true(math.abs(right - width) < 0.5)
  end)
end)
