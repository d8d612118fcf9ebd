-- What the functions in C below the loader do where the files in Lua would not call them so.
local mg = require "moongrad"
local helper = require "tests.spec.helper"
local core, fails = mg.core, helper.fails

describe("files of the system", function()
  local files = require("moongrad.system").files
  local path

  before_each(function() path = helper.file "abc" end)
  after_each(helper.remove_files)

  it("are read until they are closed", function()
    local f = files.open(path, "r")
    assert.equal(3, files.size(f))
    assert.equal("", files.read(f, -1))
    assert.equal("abc", files.read(f, 1e9))
    assert.is_true(files.close(f))
    for _, name in ipairs { "size", "read", "sync", "close" } do
      fails("file is closed", files[name], f, 1)
    end
    fails("moongrad.file", files.read, io.stdout, 1)
  end)

  it("are closed when they are garbage", function()
    for _ = 1, 2000 do assert(files.open(path, "r")) end
    collectgarbage()
    collectgarbage()
    assert(files.open(path, "r"))
  end)

  it("are no devices, and new ones belong to one writer", function()
    helper.refuses("Invalid argument", function()
      local f = files.open("/dev/null", "r")
      return files.size(f)
    end)
    local name = path .. ".new"
    local f = assert(files.open(name, "w"))
    local other, _, code = files.open(name, "w")
    assert.is_nil(other)
    assert.equal(16, code)
    files.close(f)
    f = assert(files.open(name, "w")) -- nobody holds it any more
    files.close(f)
    os.remove(name)
    helper.refuses("symbolic links", files.open, "/proc/self/cwd", "w") -- no place for a file
  end)

  it("have a folder to sync, named or not", function()
    assert.is_true(files.sync_folder "x")
    assert.is_true(files.sync_folder "/x")
    helper.refuses("No such file", files.sync_folder, "/nowhere/x")
  end)
end)

describe("a layer", function()
  it("is restored from tables with the right kinds of things", function()
    local l, w = mg.dense(2), { weight = mg.ones(2, 3), bias = mg.ones(2) }
    fails("sizes is nil, expected a table", core.restore, l, nil, w)
    fails("tensors is nil, expected a table", core.restore, l, { 1, 3 })
    fails("name of a tensor is", core.restore, l, { 1, 3 }, { mg.ones(1) })
    fails("expanded view", core.restore, l, { 1, 3 }, { weight = mg.ones(1, 3):expand(2, 3) })
    assert.is_true(core.restore(l, { 1, 3 }, w) == l)
    fails("it has its parameters already", core.restore, l, { 1, 3 }, w)
  end)
end)

describe("an optimizer alone", function()
  -- What state_out gives, as state_in takes it.
  local function state(o)
    local names, values, numbers = {}, {}, {}
    for name, v in pairs(core.state_out(o)) do
      names[#names + 1] = name
      if type(v) == "table" then
        values[#names] = #v
        for _, number in ipairs(v) do numbers[#numbers + 1] = number end
      else
        values[#names] = v
      end
    end
    return names, values, numbers
  end

  it("takes its state in again, of a list of tensors too", function()
    local function make()
      local w = { helper.leaf { 1, 2 }, helper.leaf { { 3 } } }
      return mg.adam { lr = 0.1 }:attach(w), w
    end
    local function step(o, w)
      ((w[1] * w[1]):sum() + (w[2] * w[2]):sum()):backward()
      o:step()
      o:zero_grad()
    end
    local a, w = make()
    step(a, w)
    local names, values, numbers = state(a)
    local b, v = make()
    mg.no_grad(function() for i = 1, 2 do v[i]:copy(w[i]) end end)
    assert.is_true(core.state_in(b, names, values, numbers))
    step(a, w)
    step(b, v)
    for i = 1, 2 do helper.near(w[i], v[i], 0) end
    for i, name in ipairs(names) do
      if name == "optimizer/mean/1" then names[i] = "other" end
    end
    helper.refuses("needed here", core.state_in, b, names, values, numbers)
  end)

  it("is not written while it works", function()
    local w = helper.leaf { 1 }
    local o, said = mg.lbfgs { max_iter = 1 }:attach { w }, nil
    o:step(function()
      said = select(2, pcall(core.state_out, o))
      local loss = (w * w):sum()
      loss:backward()
      return loss
    end)
    assert.matches("its state is half done", said)
  end)

  -- What a finalizer does between the counting of a state and its writing.
  it("is not written when a finalizer has changed it meanwhile", function()
    local net = mg.dense(1, { inputs = 2, bias = false })
    local t = mg.trainer { net = net, loss = "mse", optimizer = "sgd", accumulate = 2 }
    local function at_collection(f)
      if newproxy then getmetatable(newproxy(true)).__gc = f -- luacheck: ignore
      else setmetatable({}, { __gc = f }) end
    end
    local function try(f)
      local pause = helper.pause(0) -- each allocation collects all
      pcall(collectgarbage, "setstepmul", 1000)
      pcall(collectgarbage, "incremental", 0, 1000, 40)
      collectgarbage()
      at_collection(f)
      local ok, message = pcall(core.state_out, t)
      helper.pause(pause)
      pcall(collectgarbage, "setstepmul", 200)
      pcall(collectgarbage, "incremental", 200, 100, 13)
      assert.is_true(ok or message:find "changed meanwhile" ~= nil)
      return ok
    end
    local x, y = mg.ones(1, 2), mg.ones(1, 1)
    local function long() -- texts of 18 digits, which become one
      local names, values, numbers = state(t)
      for i, name in ipairs(names) do
        if name == "generator/seed" or name == "generator/stream" then values[i] = ("9"):rep(18) end
      end
      assert.is_true(core.state_in(t, names, values, numbers))
    end
    local function short() mg.seed(1) t:step(x, y) end
    long()
    local all = { try(function() mg.rand(1) end) }  -- a longer text
    all[2] = try(short)                             -- two more of shorter texts
    t:step(x, y)
    long()
    all[3] = try(short)                             -- one more of shorter texts
    local function further() t:step(mg.ones(1, 1, 2), mg.ones(1, 1, 1)) end
    all[4] = try(further)                           -- further numbers of fewer texts
    if _VERSION == "Lua 5.4" then assert.same({ false, false, false, false }, all) end
  end)

  it("needs memory for what it remembers of a net that was built since", function()
    local output = helper.script [[
      local mg = require "moongrad"
      local limit, short = math.huge, 0
      for room = 80000, 0, -400 do
        local net = mg.sequential { mg.dense(64) }
        local t = mg.trainer { net = net, loss = "mse", optimizer = "adam" }
        if not pcall(net, mg.ones(1, 64)) then break end
        collectgarbage()
        limit = math.min(limit, mg.memory() + room) -- it can only be lowered
        mg.limit { memory = limit }
        local ok, message = pcall(t.save, t, "/nowhere/x")
        if message == "not enough memory" then short = short + 1 end
        if not ok and message ~= "not enough memory" then print(message) end
        t, net = nil, nil
      end
      print(short > 10 and "fine")
    ]]
    assert.matches("^fine", output)
  end)

  it("takes lists that make no sense for what they are", function()
    local o = mg.sgd { lr = 0.1 }:attach { helper.leaf { 1 } }
    for _, case in ipairs { { { 1 }, { 2 }, {} }, { { "a" }, { 0 / 0 }, { 1 } },
                            { { "a" }, {}, {} },
                            { { "optimizer/lr" }, { 5 }, { 1 } }, { { "x" }, { -1 }, { 1 } } } do
      helper.refuses("load: ", core.state_in, o, case[1], case[2], case[3])
    end
    fails("self is number, expected a trainer or an optimizer", core.state_out, 3)
    fails("self is a tensor", core.state_in, mg.ones(1), {}, {}, {})
  end)
end)
