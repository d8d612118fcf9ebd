--- Data: tensors, idx files (plain or gzip), CSV; splitting, batches, scaling.
--
-- Functions that read files return nil and a message when a file is missing or
-- damaged. Class labels count from 1.

local FASHION_MNIST = "/usr/share/datasets/fashion-mnist"
local GZIP = "\31\139"

return function(_, core, require)
  local check, data, methods = require "moongrad.check", {}, {}

  ---------------------------------------------------------------------- tensors

  local function to_tensor(v, who, what)
    if core.type(v) == "tensor" or type(v) == "table" then return core.to_tensor(v, who, what) end
    check.fail(who, "%s is %s, expected a tensor or a table", what, check.what(v))
  end

  --- Examples x {n, ..} and targets y {n, ..}, as tensors or nested tables. x of
  -- one dimension is taken as {n, 1}.
  function data.tensors(x, y, who)
    who = who or "tensors"
    x, y = to_tensor(x, who, "x"), to_tensor(y, who, "y")
    if x:dim() == 1 then x = x:reshape(-1, 1) end
    return core.dataset(x, y)
  end

  local made = setmetatable({}, { __mode = "k" })

  -- What a table of data may have: besides the examples, options of training on them.
  local fields = { x = true, y = true, data = true, batch = true, shuffle = true, epochs = true,
                   validation = true, accumulate = true, on_batch = true }

  --- A dataset, or {x=, y=} as one; the same table gives the same dataset as
  -- long as it holds the same x and y.
  function data.dataset(d, who)
    who = who or "dataset"
    if core.type(d) == "dataset" then return check.is("dataset", d, who, "data") end
    if type(d) ~= "table" then
      check.fail(who, "data is %s, expected a dataset or {x=, y=}", check.what(d))
    end
    check.options(d, fields, who, "data")
    if core.type(d.data) == "dataset" then return d.data end
    local known = made[d]
    if known and known.x == d.x and known.y == d.y then return known.dataset end
    local set = data.tensors(d.x, d.y, who)
    made[d] = { x = d.x, y = d.y, dataset = set }
    return set
  end

  --- n examples of a function: f(i) returns x and y (numbers or tables).
  data["function"] = function(f, n)
    check.is("function", f, "function", "f")
    check.integer(n, "function", "n", 1)
    local xs, ys = {}, {}
    for i = 1, n do
      xs[i], ys[i] = f(i)
      if xs[i] == nil then check.fail("function", "f(%d) is nil, expected x and y", i) end
      if ys[i] == nil then check.fail("function", "the y of f(%d) is nil", i) end
    end
    return data.tensors(xs, ys, "function")
  end
  data.func = data["function"] -- "function" is a reserved word

  --------------------------------------------------------------------- datasets

  --- The first 'share' of the examples (0 to 1) and the rest. Shuffle first
  -- where the order means something: d:shuffle():split(0.9).
  function methods.split(d, share)
    check.is("dataset", d, "split", "self")
    local n = #d
    local whole = type(share) == "number" and share == share -- not NaN
    local first = whole and math.floor(n * share + 0.5) or -1
    if first < 1 or first >= n then
      check.fail("split", "share is %s, expected a part of %d examples that leaves some on both"
        .. " sides", check.text(share), n)
    end
    return d:range(1, first), d:range(first + 1, n - first)
  end

  --- Iterates over x and y of n examples at a time, in order; the last batch
  -- may be smaller.
  -- @tparam[opt] table options  augment: a number, for pictures changed as augment says;
  --   the same seed and number give the same changes
  function methods.batches(d, n, options)
    check.is("dataset", d, "batches", "self")
    check.integer(n, "batches", "n", 1)
    local draw = check.options(options or {}, { augment = true }, "batches").augment
    if draw ~= nil then check.integer(draw, "batches", "augment", 0) end
    local at = 1
    return function()
      check.is("dataset", d, "batches", "the dataset")
      if at > #d then return nil end
      local first = at
      at = at + n
      return d:batch(first, math.min(n, #d - first + 1), draw)
    end
  end

  local augmentations = { flip = "boolean", shift = "number", rotate = "number",
                          scale = "number", noise = "number", padding = "string" }

  --- Changes pictures {n, c, h, w} at random whenever a trainer reads them for training,
  -- each epoch in another way; evaluation sees them as they are. The same seed gives the
  -- same pictures, whatever the batches and threads. Changes d and returns it; an empty
  -- table ends it.
  -- @tparam table options  flip: true to mirror every other one, left to right; shift: up
  --   to so many whole pixels each way; rotate: up to so many degrees either way; scale:
  --   larger or smaller by up to this part (0.1); noise: standard deviation of normal
  --   numbers that are added, after normalize (x may have any shape); padding: what comes
  --   in from outside, "zero" (the number 0 before normalize: black) or "edge"
  function methods.augment(d, options)
    check.is("dataset", d, "augment", "self")
    check.options(options, augmentations, "augment")
    local numbers = {}
    for name, kind in pairs(augmentations) do
      local v = check.optional(kind, options[name], "augment", name)
      if kind == "boolean" then v = v and 1 or nil end
      if kind ~= "string" then numbers[name] = v end
    end
    local padding = options.padding or "zero"
    if padding ~= "zero" and padding ~= "edge" then
      check.fail("augment", 'padding is "%s", expected "zero" or "edge"', padding)
    end
    numbers.edge = padding == "edge" and 1 or nil
    return d:change(numbers)
  end

  --- Scales x to mean 0 and standard deviation 1: each feature by itself when x
  -- is {n, features}, all numbers alike when there are more dimensions. Changes
  -- d and returns it with the statistics used, which fit later data the same
  -- way: test:normalize(select(2, train:normalize())).
  function methods.normalize(d, stats)
    check.is("dataset", d, "normalize", "self")
    if check.optional("table", stats, "normalize", "stats") then
      for _, what in ipairs { "mean", "deviation" } do
        check.is("table", stats[what], "normalize", what)
        for i, v in ipairs(stats[what]) do check.is("number", v, "normalize", what .. " " .. i) end
      end
      if #stats.mean ~= #stats.deviation then
        check.fail("normalize", "stats has %d means and %d deviations, expected as many",
          #stats.mean, #stats.deviation)
      end
    else
      local each = d:batch(1, 1):dim() == 2
      local mean, deviation = d:stats(each)
      stats = { mean = mean, deviation = deviation }
    end
    local scale, offset = {}, {}
    for i, deviation in ipairs(stats.deviation) do
      scale[i] = deviation > 0 and 1 / deviation or 1
      offset[i] = -stats.mean[i] * scale[i]
    end
    return d:affine(scale, offset), stats
  end

  -------------------------------------------------------------------- idx files

  local function read_file(path)
    local file, message = io.open(path, "rb")
    if not file then return nil, message end
    local text, why = file:read("*a")
    file:close()
    if not text then return nil, ("%s: %s"):format(path, why or "cannot be read") end
    return text
  end

  --- The bytes of a file, unpacked where it is gzip.
  local function read_bytes(path)
    local text, message = read_file(path)
    if not text then return nil, message end
    if text:sub(1, 2) ~= GZIP then return core.bytes(text) end
    local bytes, why = core.gunzip(text)
    if not bytes then return nil, ("%s: %s"):format(path, why) end
    return bytes
  end

  --- One idx file of bytes as a column: {bytes=, first=, shape=}.
  local function read_idx(path, dims)
    local bytes, message = read_bytes(path)
    if not bytes then return nil, message end
    if #bytes < 4 then return nil, ("%s: too short for an idx file"):format(path) end
    if bytes:integer(1, 2) ~= 0 then
      return nil, ("%s: not an idx file (its first two bytes are not 0)"):format(path)
    end
    if bytes:integer(3, 1) ~= 8 then
      return nil, ("%s: idx type %d, expected 8 (bytes)"):format(path, bytes:integer(3, 1))
    end
    local ndim = bytes:integer(4, 1)
    if dims and ndim ~= dims or ndim < 1 or ndim > 8 then
      return nil, ("%s: %d dimensions, expected %s"):format(path, ndim, dims or "1 to 8")
    end
    local first, shape, total = 5 + 4 * ndim, {}, 1
    if #bytes < first - 1 then return nil, ("%s: cut short in its header"):format(path) end
    for i = 1, ndim do
      shape[i] = bytes:integer(1 + 4 * i, 4)
      total = total * shape[i]
    end
    if total ~= #bytes - first + 1 or total == 0 then
      return nil, ("%s: %.0f bytes of data, expected %.0f for its shape"):format(path,
        #bytes - first + 1, total)
    end
    return { bytes = bytes, first = first, shape = shape }
  end

  --- Pictures (or other bytes, {n, ..}) and labels from idx files, plain or
  -- gzip. Bytes become numbers from 0 to 1, labels 0, 1, .. become 1, 2, ..
  -- @treturn dataset  or nil and a message
  function data.idx(images, labels)
    check.is("string", images, "idx", "images")
    check.is("string", labels, "idx", "labels")
    local x, message = read_idx(images)
    if not x then return nil, message end
    local y, why = read_idx(labels, 1)
    if not y then return nil, why end
    if x.shape[1] ~= y.shape[1] then
      return nil, ("%s has %d examples, %s has %d labels"):format(images, x.shape[1], labels,
        y.shape[1])
    end
    x.scale, y.offset = 1 / 255, 1
    if #x.shape == 3 then table.insert(x.shape, 2, 1) end -- pictures: one channel
    return core.dataset(x, y)
  end

  local function first_file(folder, name)
    for _, ending in ipairs { "", ".gz" } do
      local path = folder .. "/" .. name .. ending
      local file = io.open(path, "rb")
      if file then
        file:close()
        return path
      end
    end
    return folder .. "/" .. name .. ".gz"
  end

  --- The four files of MNIST or a data set of its form, in a folder.
  -- @treturn dataset  for training, x {n, 1, 28, 28} from 0 to 1, y {n} from 1
  -- @treturn dataset  for testing; or nil and a message
  function data.mnist(folder)
    check.is("string", folder, "mnist", "folder")
    local sets = {}
    for i, name in ipairs { "train", "t10k" } do
      local set, message = data.idx(first_file(folder, name .. "-images-idx3-ubyte"),
        first_file(folder, name .. "-labels-idx1-ubyte"))
      if not set then return nil, message end
      sets[i] = set
    end
    return sets[1], sets[2]
  end

  --- Fashion-MNIST, by default where Debian's dataset-fashion-mnist puts it.
  function data.fashion_mnist(folder)
    check.optional("string", folder, "fashion_mnist", "folder")
    return data.mnist(folder or FASHION_MNIST)
  end

  ------------------------------------------------------------------------- CSV

  local infos = setmetatable({}, { __mode = "k" })

  --- What the file said of its columns: {columns=, classes=}, or an empty table.
  function methods.info(d) return infos[d] or {} end

  --- Column number of the target: by name, by number, or the last.
  local function target_column(target, names, count)
    if target == nil then return count end
    if type(target) == "number" and target >= 1 and target <= count and target % 1 == 0 then
      return target
    end
    for i, name in ipairs(names or {}) do
      if name == target then return i end
    end
  end

  --- Words as labels from 1, in the order of their first appearance.
  local function labeller()
    local classes, label = {}, {}
    return classes, function(word)
      if not label[word] then
        classes[#classes + 1] = word
        label[word] = #classes
      end
      return label[word]
    end
  end

  --- A row of fields as numbers, its target taken out; or nil and what is wrong.
  local function convert(row, column, to_label)
    local target
    for i, field in ipairs(row) do
      local v = tonumber(field)
      if i == column and to_label then v = to_label(field) end
      if not v then
        return nil, ('%d: field %d is "%s", expected a number'):format(row.line, i, field)
      end
      row[i] = v
    end
    target = table.remove(row, column)
    return row, target
  end

  --- Reads a CSV file of numbers. The target column may hold words instead: they
  -- become class labels from 1 in the order of their first appearance.
  -- @tparam string path
  -- @tparam[opt] table options  target: a column's name or number (the last),
  --   header: whether the first line names the columns (true)
  -- @treturn dataset  x {n, columns - 1}, y {n}; or nil and a message. d:info()
  --   tells columns (names) and classes (words), where there are any
  function data.csv(path, options)
    check.is("string", path, "csv", "path")
    options = check.options(options or {}, { target = true, header = true }, "csv")
    local text, message = read_file(path)
    if not text then return nil, message end
    local rows, wrong = require("moongrad.csv").rows(text)
    if not rows then return nil, path .. ":" .. wrong end
    local names = options.header ~= false and table.remove(rows, 1) or nil
    if not rows[1] or #rows[1] < 2 then
      return nil, path .. ": expected rows of two numbers or more"
    end
    local column = target_column(options.target, names, #rows[1])
    if not column then
      return nil, ("%s: there is no column %s"):format(path, tostring(options.target))
    end
    local classes, to_label
    if not tonumber(rows[1][column]) then classes, to_label = labeller() end
    local x, y = {}, {}
    for i, row in ipairs(rows) do
      x[i], y[i] = convert(row, column, to_label)
      if not x[i] then return nil, path .. ":" .. y[i] end
    end
    local set = data.tensors(x, y)
    infos[set] = { columns = names, classes = classes }
    return set
  end

  return data, methods
end
