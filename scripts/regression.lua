-- Claim: from the same examples a net learns how much (regression: the line behind them, to
-- within 0.15) and which (classification: the border, to within 0.4), by another last layer
-- and another loss.
--
-- Two hundred people have revised for so many hours. Regression: how many points will somebody
-- get? The answer is a number; it is wrong by how far it is off: mse. Classification: will
-- somebody pass? The answer is how sure the net is, from 0 to 1, which is what the sigmoid is for;
-- it is wrong by how sure it was of the opposite: bce.

local common = dofile((arg[0]:match("^.*[/\\]") or "") .. "common.lua")
local mg, options = common.start("How much, and which: regression and classification.", {
  pictures = true, { "epochs", 400, "passes over the 200 examples, for each net" },
})

local n = 200
local hours = mg.rand(n, 1) * 8
local points = hours * 1.5 + 1 + mg.randn(n, 1)
local passed = points:gt(7) -- 1 or 0: seven points are enough
-- the border is at 4 hours: 1.5 * 4 + 1 = 7

local function learn(net, loss, y)
  local trainer = mg.trainer { net = net, loss = loss, optimizer = mg.adam { lr = 0.05 } }
  trainer:fit(options.epochs, { x = hours, y = y, batch = 50, shuffle = true })
  return net
end

local much = learn(mg.sequential { 1, mg.dense(1) }, "mse", points)
local which = learn(mg.sequential { 1, mg.dense(1), "sigmoid" }, "bce", passed)

local slope, offset = much:named()["0.weight"]:get(1, 1), much:named()["0.bias"][1]
local w, b = which:named()["0.weight"]:get(1, 1), which:named()["0.bias"][1]
local border = -b / w

print(("How much: points = %.2f * hours + %.2f; the examples were made with 1.5 and 1.")
  :format(slope, offset))
print(("Which: undecided at %.2f hours; half of those who revise 4 hours pass.\n")
  :format(border))
print("  hours   points (regression)   sure to pass (classification)")
for _, at in ipairs { 1, 3, 4, 5, 7 } do
  print(("  %5d   %19.1f   %29.2f"):format(at, much:predict { { at } }:item(),
    which:predict { { at } }:item()))
end
print()
local function show(title, y, net, label)
  common.show("curve", { { x = hours, y = y, label = "examples" }, { f = net, label = "net" } },
    { title = title, xlabel = "hours", ylabel = label })
end
print "A line through the middle of the examples; and a curve between no and yes.\n"
show("How much", points, much, "points")
print()
show("Which", passed, which, "passed")

common.claim(math.abs(slope - 1.5) < 0.15 and math.abs(border - 4) < 0.4,
  ("a line of slope %.2f, and a border at %.2f hours"):format(slope, border))
