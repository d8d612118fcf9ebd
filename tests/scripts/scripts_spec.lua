-- The experiments as their readers run them: from any folder, by whatever Lua
-- runs this suite, each with the claim of its first comment.

local read = require "tests.spec.helper".read
local LUA = os.getenv("MOONGRAD_LUA") or "lua5.4"

--- Runs a command; its exit status, and what it printed.
local function run(command)
  local pipe = assert(io.popen(command .. " 2>&1; echo \" status $?\""))
  local text = pipe:read("*a")
  pipe:close()
  return tonumber(text:match(" status (%d+)%s*$")), text
end

local function script(name, arguments)
  return run(("%s scripts/%s.lua %s"):format(LUA, name, arguments or ""))
end

local names = { "line", "neuron", "similarity", "bend", "activations", "regression", "descent",
                "learning_rate", "layer", "train_and", "train_or", "train_nand", "perceptron",
                "train_xor", "line_fit", "sigmoid_fit", "gradient_check", "initialization",
                "regularization", "batch_size", "ensemble", "optimizers", "vanishing_gradient",
                "lstm_add", "char_rnn", "char_gpt", "save_and_resume", "export", "play" }
local seeds = tonumber(os.getenv "SCRIPT_SEEDS") or 3
local quick = { char_rnn = "--epochs 2 --sample 50 ", -- what would take long
                char_gpt = "--epochs 2 --sample 50 " }

--- Columns of the widest line.
local function width(text)
  local most = 0
  for line in text:gsub("\27%[[%d;]*m", ""):gmatch "[^\n]+" do
    most = math.max(most, #line:gsub("[\128-\191]", ""))
  end
  return most
end

--- What README.md shows of each script: lists of lines, from the part that is about it. One
-- of which the script prints less than two lines is about other options, and does not count.
local shown = {}
for part in (read "scripts/README.md" .. "\n## "):gmatch "(.-)\n## " do
  for name in part:match "^[^\n]*":gmatch "`([%w_]+)%.lua`" do
    shown[name] = shown[name] or {}
    for block in part:gmatch "```\n(.-)```" do table.insert(shown[name], block) end
  end
end
local exact = require "moongrad".info().isa:find "avx" -- others may round differently
local timed = { batch_size = true } -- these lines have seconds in them

--- Lines of what is shown that are not in the text.
local function stale(name, text)
  local list, printed = {}, {}
  for line in text:gmatch "[^\n]+" do printed[line:match "^%s*(.-)%s*$"] = true end
  for _, block in ipairs(shown[name] or {}) do
    local missing, found = {}, 0
    for line in block:gmatch "[^\n]+" do
      line = line:match "^%s*(.-)%s*$"
      if printed[line] then found = found + 1
      elseif line:find "[^.]" then missing[#missing + 1] = line end
    end
    for _, line in ipairs(found > 1 and missing or {}) do list[#list + 1] = line end
  end
  return table.concat(list, "\n")
end

describe("the script", function()
  for _, name in ipairs(names) do
    for seed = 1, seeds do
      it(("%s holds its claim for seed %d"):format(name, seed), function()
        local status, text = script(name, (quick[name] or "") .. "--seed " .. seed)
        assert.equal(0, status, text)
        assert.truthy(text:find("The claim held", 1, true))
        assert.is_true(width(text) <= 80, "wider than a terminal:\n" .. text)
        if seed == 1 and not quick[name] and not timed[name] and exact then
          assert.equal("", stale(name, text), "scripts/README.md shows something else")
        end
      end)
    end
    it(name .. " explains itself", function()
      local status, text = script(name, "--help")
      assert.equal(0, status)
      assert.truthy(text:find("usage: " .. name, 1, true) and text:find("%-%-seed"))
      assert.is_true(width(text) <= 80, text)
    end)
    it(name .. " refuses an unknown option in one line", function()
      local status, text = script(name, "--sed 1")
      assert.equal(2, status)
      assert.truthy(text:find('unknown option "--sed"', 1, true))
      assert.equal(1, select(2, text:gsub("\n", "")) - 1) -- and the status line
    end)
  end

  it("char_rnn reads any text, and says which it cannot", function()
    local path = os.tmpname()
    local file = assert(io.open(path, "wb"))
    file:write(("all work and no play makes Jack a dull boy. "):rep(60))
    file:close()
    local status, text = script("char_rnn", "--epochs 60 --sample 50 --text " .. path)
    assert.equal(0, status, text)
    os.remove(path)
    status, text = script("char_rnn", "--text " .. path)
    assert.equal(2, status)
    assert.truthy(text:find("no text", 1, true))
  end)

  it("char_gpt is compared with an LSTM that learns for the same time", function()
    local status, text = script("char_gpt", "--epochs 2 --sample 10 --rival lstm")
    assert.equal(0, status, text)
    assert.truthy(text:find("seconds each: transformer %d%.%d+, LSTM of 128 %d%.%d+ bits"))
  end)
  it("char_gpt refuses features that do not fall into its heads", function()
    local status, text = script("char_gpt", "--features 20")
    assert.equal(2, status)
    assert.truthy(text:find("--features 20 is no multiple of --heads 8", 1, true))
  end)

  it("from_pytorch holds its claim, or says that there is no PyTorch", function()
    local status, text = script("from_pytorch")
    assert.equal(0, status, text)
    assert.truthy(text:find("The claim held", 1, true) or text:find("has no PyTorch", 1, true))
    status, text = script("from_pytorch", "--python false")
    assert.equal(0, status, text)
    assert.truthy(text:find("false has no PyTorch", 1, true))
  end)

  it("every picture of the course is there, and is small", function()
    local file, seen = assert(io.open("scripts/README.md")), 0
    for name in file:read("*a"):gmatch("%(pictures/([%w_-]+%.png)%)") do
      local picture = assert(io.open("scripts/pictures/" .. name, "rb"), name)
      local bytes = picture:read("*a")
      picture:close()
      assert.equal("\137PNG", bytes:sub(1, 4))
      assert.is_true(#bytes < 30000, name)
      seen = seen + 1
    end
    file:close()
    assert.is_true(seen > 20)
  end)
  it("neuron writes its pictures where --plot says", function()
    local path = os.tmpname()
    local status, text = script("neuron", "--plot " .. path .. ".svg")
    assert.equal(0, status, text)
    for _, name in ipairs { path .. ".svg", path .. "-2.svg" } do
      local file = assert(io.open(name), name)
      assert.truthy(file:read("*a"):find("^<svg.*</svg>"))
      file:close()
      os.remove(name)
    end
    os.remove(path)
    status, text = script("neuron", "--plot /nowhere/x.png")
    assert.equal(2, status)
    assert.truthy(text:find("/nowhere/x.png", 1, true))
    status, text = script("neuron", "--plot x.gif")
    assert.equal(2, status)
    assert.truthy(text:find('^neuron: %-%-plot takes a name .*not "x.gif"\n'), text)
  end)
  it("the LÖVE game learns XOR while it draws", function()
    if not io.open("build/luajit/moongrad/core.so", "rb") or
       run("command -v love xvfb-run") ~= 0 then
      return pending "there is no love, xvfb-run or build for LuaJIT"
    end
    local status, text = run("XDG_DATA_HOME=$(mktemp -d) LIBGL_ALWAYS_SOFTWARE=1 timeout -k 5 90"
      .. " xvfb-run -a love scripts/love --frames 90")
    assert.equal(0, status, text)
    assert.truthy(text:find("90 frames, 4 of 4 rows", 1, true), text)
  end)

  it("train_and runs from its own folder", function()
    local status, text = run(("cd scripts && %s train_and.lua"):format(LUA))
    assert.equal(0, status, text)
  end)
  it("train_and runs from anywhere", function()
    local status, text = run(([[p=$(pwd) && cd / && %s "$p/scripts/train_and.lua"]]):format(LUA))
    assert.equal(0, status, text)
  end)
  it("train_and without enough training says that its claim did not hold", function()
    local status, text = script("train_and", "--epochs 1")
    assert.equal(1, status)
    assert.truthy(text:find("did NOT hold", 1, true))
  end)
  it("train_and gives the same output for the same seed", function()
    local _, first = script("train_and", "--seed 5")
    local _, second = script("train_and", "--seed 5")
    assert.equal(first, second)
  end)

  it("fashion_mnist reaches 0.88 on the test pictures within 10 epochs", function()
    local status, text = script("fashion_mnist")
    assert.equal(0, status, text)
    assert.truthy(text:find("The claim held", 1, true))
  end)
  -- What takes minutes is run on fewer pictures here, and has to get a part of the way.
  local long = { lenet5 = { "--pictures 6000 --epochs 2", 0.72 },
                 fashion_cnn = { "--pictures 3000 --epochs 2", 0.6 } }
  for name, short in pairs(long) do
    it(name .. " learns", function()
      local status, text = script(name, short[1])
      assert.truthy(status == 0 or status == 1, text)
      assert.truthy(tonumber(text:match("name (%d%.%d+) of the test")) > short[2], text)
    end)
  end

  it("fashion_mnist says where it looked for its data", function()
    local status, text = script("fashion_mnist", "--data /nowhere")
    assert.equal(2, status)
    assert.truthy(text:find("/nowhere", 1, true))
  end)
end)
