-- Instructions of one step of w1, one predict of w2 and one step of w3, counted by
-- callgrind: the same figures whatever else the machine does. Each is the difference
-- between a long and a short run, so that loading Lua and building nets drop out.
--
--   lua5.4 tests/bench/count.lua [--unchecked FOLDER]
--
-- With the folder of a build that does not look for NaN and infinity: what it costs to look,
-- in percent of a step.
local bench = require "tests.bench.bench"
local models = require "tests.bench.models"
local mg = bench.mg

--- 128 made pictures, as bytes like the real ones.
local function pictures()
  local size, text, state = 28 * 28, {}, 1
  for i = 1, 128 * size do
    state = state * 16807 % 2147483647
    text[i] = string.char(state % 256)
  end
  local labels = {}
  for i = 1, 128 do labels[i] = i * 7 % 10 + 1 end
  return mg.core.dataset({ bytes = mg.core.bytes(table.concat(text)), first = 1,
    shape = { 128, 1, 28, 28 }, scale = 1 / 255 }, mg.tensor(labels))
end

--- What is counted: name, metric, a short and a long run, and what does n of it.
local counts = {
  { "w1", "instructions_run", 200, 5200, function(n)
    local trainer, x, y = models.w1()
    trainer:run({ x = x, y = y, batch = 4 }, { steps = n, epochs = 1e9 })
  end },
  { "w1", "instructions_call", 200, 5200, function(n)
    local trainer, x, y = models.w1()
    for _ = 1, n do trainer:step(x, y) end
  end },
  { "w2", "instructions_predict", 200, 5200, function(n)
    local net, x = models.w2(), mg.rand(1, 16)
    for _ = 1, n do net:predict(x) end
  end },
  { "w3", "instructions_step", 4, 24, function(n)
    local data = pictures()
    models.w3():run(data, { steps = n, epochs = 1e9, batch = 64, shuffle = true })
  end },
}

--- Instructions that one run of this script takes, with the module of that folder; or those
-- within one of its functions.
local function callgrind(which, n, folder, within)
  local first = folder and ([[-e 'package.cpath = "%s/?.so;" .. package.cpath']]):format(folder)
  local only = within and "--toggle-collect=" .. within or ""
  local tool = "valgrind --tool=callgrind --callgrind-out-file=/dev/null"
  local command = ("%s %s %s %s %s %d %d 2>&1"):format(tool, only, arg[-1], first or "",
    arg[0], which, n)
  local pipe = assert(io.popen(command))
  local text = pipe:read("*a")
  pipe:close()
  return tonumber(text:match("Collected : (%d+)")) or error(text, 0)
end

--- Instructions of one step.
local function of_step(i, ...)
  local short, long = counts[i][3], counts[i][4]
  return (callgrind(i, long, ...) - callgrind(i, short, ...)) / (long - short)
end

--- Percent of a step that looking takes. Only what looks is compared: all else differs by a
-- percent from run to run, with the places of the heap and Lua's seeds.
local function cost(i, folder)
  local looks = "mgrad_optimizer_step"
  local more = of_step(i, nil, looks) - of_step(i, folder, looks)
  return 100 * more / of_step(i, folder)
end

if tonumber(arg[1]) then
  pcall(mg.core.isa, "avx2") -- the most that valgrind knows
  if mg.set_threads then mg.set_threads(1) end
  return counts[tonumber(arg[1])][5](tonumber(arg[2]))
end

if not io.popen("valgrind --version 2>/dev/null"):read("*l") then
  print("count: no valgrind here, which is in the Debian package valgrind")
  os.exit(arg[1] and 1 or 0)
end
for i, c in ipairs(counts) do
  if not arg[1] then
    bench.out(c[1], c[2], of_step(i))
  elseif c[2]:find "run" or c[2]:find "step" then
    print(("figure E4 cost_percent %.2f (%s)"):format(cost(i, arg[2]), c[1]))
  end
end
