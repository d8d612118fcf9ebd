-- Claim: a training that is killed again and again, and goes on each time from its last
-- file, ends with the same weights to the last bit as one that was never disturbed.
--
-- The killed ones are processes of their own: they save every few batches and then end by
-- signal 9, which no program can catch. What had not been saved is done again. Weights
-- alone would not be enough to go on from: the optimizer remembers past gradients, and the
-- order of the examples and what dropout drops are random numbers.

local common = dofile((arg[0]:match("^.*[/\\]") or "") .. "common.lua")
local mg, options = common.start("A killed training goes on as if nothing had happened.", {
  { "epochs", 20, "passes over 200 points" },
  { "every", 7, "batches from one saving to the next" },
  { "kills", 4, "how often the training is killed" },
  { "file", "", "the script tells itself: go on from it", "FILE" },
  { "after", 1000000, "it tells itself: be killed after so many" },
})
local BATCH, POINTS = 16, 200

-- points of the plane, and whether they are in a ring around the middle
local x = mg.randn(POINTS, 2)
local radius = x:square():sum(2, true)
local data = { x = x, y = radius:gt(0.5) * radius:lt(2.5), batch = BATCH, shuffle = true,
               epochs = options.epochs }

local function new_trainer()
  mg.seed(options.seed + 1)
  local net = mg.sequential { 2, mg.dense(24, "tanh"), mg.dropout(0.1), mg.dense(1) }
  return mg.trainer { net = net, loss = "bce_with_logits", optimizer = mg.adam { lr = 0.01 } }
end

--- One of the processes: trains on from the file where there is one, to the end or to death.
local function train_and_die(path)
  local trainer, batches, state = new_trainer(), 0, "more"
  local file = io.open(path, "rb")
  if file then
    file:close()
    assert(trainer:load(path))
  end
  while state ~= "done" do
    state = trainer:run(data, { steps = 1 })
    batches = batches + 1
    if batches == options.after then os.execute "kill -9 $PPID" end
    if batches % options.every == 0 or state == "done" then assert(trainer:save(path)) end
  end
end

if options.file ~= "" then return train_and_die(options.file) end

--- Starts this script once more.
local function process(path, after)
  local lua = arg[-1] or "lua"
  local command = ('%s "%s" --seed %d --epochs %d --every %d --file "%s" --after %d 2>&1')
    :format(lua, arg[0], options.seed, options.epochs, options.every, path, after)
  local pipe = assert(io.popen(command))
  local said = pipe:read("*a")
  pipe:close()
  if said:find("lua", 1, true) then common.stop(said) end
end

local function position(path)
  local trainer = new_trainer()
  if not trainer:load(path) then return 0, 0 end
  return trainer:position()
end

-- 1. never disturbed
local whole = new_trainer()
while whole:run(data, { ms = 20 }) ~= "done" do end -- luacheck: ignore
local expected = whole:parts().net:hash()

-- 2. killed at random moments
local path = os.tmpname()
os.remove(path)
local batches = options.epochs * math.ceil(POINTS / BATCH)
mg.seed(options.seed + 2)
local moments = mg.rand(options.kills):totable()
for i = 1, options.kills do
  local after = 1 + math.floor(moments[i] * batches / options.kills)
  process(path, after)
  local epoch, examples = position(path)
  print(("process %d  killed after %3d batches   its file: epoch %2d, example %3d")
    :format(i, after, epoch, examples))
end
process(path, 1000000)
local resumed = new_trainer()
assert(resumed:load(path))
print(("process %d  went on to the end, epoch %d"):format(options.kills + 1, (resumed:position())))
os.remove(path)

-- 3. half the epochs, then nothing but the weights in a new trainer
local half = new_trainer()
half:run(data, { epochs = options.epochs, steps = math.ceil(batches / 2) })
local again = new_trainer()
again:parts().net:load_weights(half:parts().net:named())
again:run(data, { epochs = options.epochs, steps = math.floor(batches / 2) })

print("\nweights into the first neuron, and the hash of all")
for _, one in ipairs { { "never disturbed", whole }, { "killed", resumed },
                       { "weights alone", again } } do
  local net = one[2]:parts().net
  local w = net:named()["0.weight"]:get(1, 1)
  print(("%-16s %.17g   %s"):format(one[1], w, net:hash()))
end

local same = resumed:parts().net:hash() == expected
local other = again:parts().net:hash() ~= expected
common.claim(same and other, ("killed %d times, %s weights to the last bit; from weights alone, %s")
  :format(options.kills, same and "the same" or "OTHER", other and "others" or "the same"))
