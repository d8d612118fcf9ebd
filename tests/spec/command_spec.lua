-- The command line, as its users run it.

local mg = require "moongrad"
local helper = require "tests.spec.helper"

local LUA = os.getenv("MOONGRAD_LUA") or "lua5.4"

local folder = os.tmpname()
os.remove(folder)
os.execute("mkdir " .. folder)

local function path(name) return folder .. "/" .. name end

local function write(name, text)
  local file = assert(io.open(path(name), "wb"))
  file:write(text)
  file:close()
  return path(name)
end

local function read(name)
  local file = assert(io.open(path(name), "rb"))
  local text = file:read("*a")
  file:close()
  return text
end

--- The exit status of a command, and what it printed.
local function run(words, input)
  local pipe = assert(io.popen(("printf '%s' | %s bindings/command %s 2>&1; echo \" status $?\"")
    :format(input or "", LUA, words)))
  local text = pipe:read("*a")
  pipe:close()
  return tonumber(text:match(" status (%d+)%s*$")), (text:gsub(" status %d+%s*$", ""))
end

local CONFIG = [[
local mg = ...
return {
  net = mg.sequential { 2, mg.dense(8), "tanh", mg.dense(1), "sigmoid" },
  loss = "bce", optimizer = mg.adam { lr = 0.1 }, metrics = { "accuracy" },
  data = { x = { { 0, 0 }, { 0, 1 }, { 1, 0 }, { 1, 1 } }, y = { 0, 1, 1, 0 } },
  batch = 4, epochs = 200,
}]]

local found = pcall(require, "argparse")
local when = found and describe or pending

when("the command", function()
  local config, model = write("xor.lua", CONFIG), path("xor.safetensors")
  local trained, shown = run(("train %s --out %s --log %s --checkpoint %s"):format(
    config, model, path("run.jsonl"), path("run.safetensors")))

  it("train shows each epoch, and saves the net", function()
    assert.equal(0, trained, shown)
    assert.truthy(shown:find("epoch 200/200  loss 0.0", 1, true), shown)
    assert.truthy(shown:find("saved " .. model, 1, true))
    assert.equal(200, select(2, read("run.jsonl"):gsub("\n", "")))
  end)

  it("train goes on from a checkpoint", function()
    local status, text = run(("train %s --epochs 203 --resume --checkpoint %s"):format(
      config, path("run.safetensors")))
    assert.equal(0, status, text)
    assert.truthy(text:find("epoch 203/203", 1, true), text)
  end)

  it("says in one line, without a place in its own files, what it cannot read", function()
    for _, words in ipairs { "plot /nowhere/run.jsonl", "plot " .. config, "train /nowhere/x.lua",
                             "predict /nowhere/x", "predict " .. model .. " /nowhere/x.csv",
                             "info " .. config, "convert /nowhere/x.npz " .. path "x.onnx",
                             "plot " .. path "run.jsonl" .. " --out x.gif" } do
      local status, text = run(words)
      assert.equal(1, status, text)
      assert.truthy(text:find "^moongrad: [^\n]+\n$", text)
      assert.is_nil(text:find ":%d+:", text)
    end
    local _, text = run("predict " .. model, "1 2 3\\n")
    assert.equal("moongrad: dense (layer 1 of sequential): input is {1, 3}, expected {n, 2}\n",
      text)
    _, text = run("train " .. write("bad.lua", "\nreturn nil + 1"))
    assert.truthy(text:find "bad.lua:2: attempt", text)
  end)

  it("train names a field that is missing or unknown", function()
    local status, text = run("train " .. write("no.lua", "return { net = 1, data = 2 }"))
    assert.equal(1, status)
    assert.truthy(text:find("no.lua: loss is missing", 1, true), text)
    status, text = run("train " .. write("odd.lua", (CONFIG:gsub("batch =", "bacth ="))))
    assert.equal(1, status)
    assert.truthy(text:find("bacth", 1, true), text)
  end)

  it("predict reads lines of numbers, and answers in lines", function()
    local status, text = run("predict " .. model, "a,b\\n0,1\\n1,1\\n")
    assert.equal(0, status, text)
    local one, zero = text:match("^(%S+)\n(%S+)\n$")
    local net = mg.load(model)
    helper.near(tonumber(one), net:predict({ { 0, 1 } }):item(), 1e-6)
    assert.truthy(tonumber(one) > 0.8 and tonumber(zero) < 0.2)
  end)

  it("predict reads and writes NumPy's files, and names classes", function()
    assert(mg.npy.write(path("x.npy"), mg.tensor { { 0, 1 }, { 1, 1 } }))
    local status = run(("predict %s %s --out %s"):format(model, path("x.npy"), path("y.npy")))
    assert.equal(0, status)
    assert.same({ 2, 1 }, mg.npy.read(path("y.npy")).shape)
    local classes = select(2, run(("predict %s %s --class"):format(model, path("x.npy"))))
    assert.equal("1\n1\n", classes)
  end)

  it("predict names what is no number", function()
    local status, text = run("predict " .. model, "0,1\\n0,x\\n")
    assert.equal(1, status)
    assert.equal('moongrad: standard input: "x" is no number\n', text)
  end)

  it("plot draws the log, without colours where no terminal reads it", function()
    local status, text = run("plot " .. path("run.jsonl"))
    assert.equal(0, status, text)
    assert.truthy(text:find("loss", 1, true) and text:find("accuracy", 1, true))
    assert.is_nil(text:find("\27", 1, true))
    assert.equal(0, (run(("plot %s --out %s"):format(path("run.jsonl"), path("loss.png")))))
    assert.equal("\137PNG", read("loss.png"):sub(1, 4))
  end)

  it("info lists layers and tensors", function()
    local status, text = run("info " .. model)
    assert.equal(0, status, text)
    assert.truthy(text:find("dense  *{n, 8}  *24\n") and text:find("0.weight", 1, true), text)
    assert.truthy(text:find("4 tensors, 33 numbers", 1, true), text)
    assert.truthy(text:find(mg.load(model):hash(), 1, true))
  end)

  it("convert writes what its target's name says", function()
    for _, name in ipairs { "xor.npz", "xor_net.lua", "xor.h", "xor.onnx" } do
      local status, text = run(("convert %s %s"):format(model, path(name)))
      assert.equal(0, status, text)
    end
    local net = dofile(path("xor_net.lua"))
    assert.truthy(net { 0, 1 }[1] > 0.8)
    assert.equal(0, (run(("convert %s %s"):format(path("xor.npz"), path("back.safetensors")))))
    local tensors = mg.load(path("back.safetensors"))
    assert.same(mg.load(model):named()["0.weight"]:totable(), tensors["0.weight"]:totable())
    local status, text = run(("convert %s %s"):format(path("xor.npz"), path("no.onnx")))
    assert.equal(1, status)
    assert.truthy(text:find("needs a net", 1, true))
  end)

  it("says in one line that a file is missing", function()
    for _, words in ipairs { "info", "predict", "plot", "train" } do
      local status, text = run(words .. " /nowhere/x")
      assert.equal(1, status)
      assert.truthy(text:find("/nowhere/x", 1, true), text)
      assert.equal(1, select(2, text:gsub("\n", "")), text)
    end
  end)

  teardown(function() os.execute("rm -r " .. folder) end)

  it("explains itself", function()
    local status, text = run("--help")
    assert.equal(0, status)
    for _, name in ipairs { "train", "predict", "info", "convert", "plot" } do
      assert.truthy(text:find("   " .. name, 1, true))
      assert.equal(0, (run(name .. " --help")))
    end
    assert.equal(mg._VERSION .. "\n", select(2, run("--version")))
  end)
end)
