-- Claim: the dot product of two pictures tells how alike they are: a neuron whose weights
-- are the picture of a letter knows that letter again, also when one point in ten is wrong.
--
-- A neuron's sum w1*x1 + w2*x2 + .. is a dot product. Let ink be 1 and paper -1: then each
-- point that two pictures share adds 1, and each in which they differ takes 1 away. So
-- the weights of a neuron are what it is looking for. Its bias says how much likeness is
-- enough. Convolutions, which slide such a picture over a large one, and attention, which
-- compares each word with all others, are made of this.

local common = dofile((arg[0]:match("^.*[/\\]") or "") .. "common.lua")
local mg, options = common.start("A neuron's weights are what it looks for.", {
  pictures = true, { "epochs", 1, "accepted as everywhere; nothing is trained here" },
  { "noise", 0.1, "share of the points that are turned over" },
})

local drawings = {
  H = { "#...#", "#...#", "#####", "#...#", "#...#" },
  L = { "#....", "#....", "#....", "#....", "#####" },
  T = { "#####", "..#..", "..#..", "..#..", "..#.." },
  X = { "#...#", ".#.#.", "..#..", ".#.#.", "#...#" },
}
local names = { "H", "L", "T", "X" }

local rows = {}
for i, name in ipairs(names) do
  rows[i] = {}
  for char in table.concat(drawings[name]):gmatch(".") do
    table.insert(rows[i], char == "#" and 1 or -1)
  end
end
local letters = mg.tensor(rows) -- {4, 25}

-- Four neurons without a bias, each with a letter as its weights.
local layer = mg.dense(4, { inputs = 25, bias = false })
layer:named().weight:copy(letters)

print("How alike the letters are, of 25:\n\n      H   L   T   X")
for i, row in ipairs(layer:predict(letters):totable()) do
  print(("  %s %3d %3d %3d %3d"):format(names[i], row[1], row[2], row[3], row[4]))
end

-- The same letters with points turned over at random, 250 of each.
local tries = 250
local which = {}
for i = 1, 4 * tries do which[i] = (i - 1) % 4 + 1 end
local kept = mg.where(mg.rand(4 * tries, 25):lt(options.noise), -1, 1)
local noisy = letters:index_select(1, mg.tensor(which)) * kept
local answers = layer:predict(noisy):argmax(2)
local right = answers:eq(mg.tensor(which)):sum():item()
print(("\nWith %g in 100 points wrong, %d of %d letters are known by their product:\n")
  :format(100 * options.noise, right, 4 * tries))

local seen = {}
for i, v in ipairs(common.numbers(answers)) do seen[i] = v end
common.show("images", -noisy:narrow(1, 1, 10):reshape(10, 5, 5),
  { names = names, labels = which, predicted = seen,
    title = "What it was, and what it is known as" })

common.claim(right >= 0.98 * 4 * tries, ("%.1f in 100 spoilt letters are known again")
  :format(100 * right / (4 * tries)))
