-- Claim: of three learning rates the middle one arrives; a thousandth of it has hardly moved
-- in the same time, and beyond a limit that can be worked out each step lands higher.
--
-- The slope says which way, the learning rate how far. Too short steps arrive, but not today.
-- Too long ones jump across the valley and land higher up on the other side. In a valley
-- w1, w2 -> (a*w1^2 + c*w2^2) / 2 each step multiplies w1 by 1 - lr*a and w2 by 1 - lr*c. Both
-- shrink as long as lr is below 2 / a, where a is the larger curvature.

local common = dofile((arg[0]:match("^.*[/\\]") or "") .. "common.lua")
local mg, options = common.start("Learning rates: too small, right, too large.", {
  pictures = true,
  { "epochs", 60, "steps, with each rate" },
  { "lr", 0.15, "the middle rate" },
})

local curvature = mg.tensor { 10, 1 }
local limit = 2 / 10

local function loss_of(w) return (w:square() * curvature):sum() * 0.5 end

--- Losses and places on the way from (1, 3).
local function descend(lr)
  local w = mg.tensor({ 1, 3 }, { requires_grad = true })
  local losses, path = {}, {}
  for step = 1, options.epochs do
    local loss = loss_of(w)
    loss:backward()
    losses[step], path[step] = loss:item(), { w[1], w[2] }
    w:add_(w.grad * -lr)
    w.grad = nil
    if loss:item() > 1e6 then break end
  end
  return losses, path
end

local rates = { options.lr / 1000, options.lr, 1.05 * limit }
local curves, last, middle = {}, {}, nil
print(("The limit is %.2f.\n\n  learning rate   first loss   last loss"):format(limit))
for i, lr in ipairs(rates) do
  local losses, path = descend(lr)
  local steps = {}
  for k = 1, #losses do steps[k] = k end
  if i == 2 then middle = path end
  last[i] = losses[#losses] / losses[1]
  print(("  %13.5f   %10.3f   %9.2g"):format(lr, losses[1], losses[#losses]))
  curves[i] = { x = steps, y = losses, line = true, label = ("rate %g"):format(lr) }
end
print()
common.show("curve", curves, { log = true, xlabel = "step", ylabel = "loss",
                               title = "Too small, right, too large" })
print "\nThe middle rate: across the steep direction it jumps from side to side.\n"
common.show("surface", function(a, b) return loss_of(mg.tensor { a, b }):item() end,
  { x = { -1.5, 1.5 }, y = { -1, 3.5 }, path = middle })

common.claim(last[1] > 0.9 and last[2] < 1e-4 and last[3] > 1,
  ("of the first loss is left: %.2f, %.0e, %.1f times"):format(last[1], last[2], last[3]))
