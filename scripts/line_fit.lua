-- Claim: gradient descent finds the line behind noisy points: y = 3x - 1.5,
-- slope and offset each to within 0.1.
--
-- We guess a line w*x + b and measure its loss, the mean squared distance from
-- the points. loss:backward() works out the gradient: how fast the loss would
-- grow if w, or b, grew. So we move both a little the other way, and again.
-- Nothing else happens in the training of the largest networks, only with
-- millions of numbers in place of two.

local common = dofile((arg[0]:match("^.*[/\\]") or "") .. "common.lua")
local mg, options = common.start("Gradient descent finds the line y = 3x - 1.5.",
  { pictures = true, { "epochs", 100, "steps downhill" },
    { "lr", 0.1, "learning rate: the length of a step" } })

local x = mg.rand(400) * 4 - 2 -- 400 numbers from -2 to 2
local y = x * 3 - 1.5 + mg.randn(400) * 0.4 -- on the line, give or take 0.4

local w = mg.tensor(0, { requires_grad = true })
local b = mg.tensor(0, { requires_grad = true })

print("  step      loss         w         b")
for epoch = 1, options.epochs do
  local loss = mg.mse(w * x + b, y)
  loss:backward()
  if epoch <= 5 or epoch % 20 == 0 then
    print(("  %4d  %8.4f  %8.4f  %8.4f"):format(epoch, loss:item(), w:item(), b:item()))
  end
  if loss:item() > 1e9 then
    print("Every step lands higher up than the one before: try a smaller --lr.")
    break
  end
  w:add_(w.grad * -options.lr)
  b:add_(b.grad * -options.lr)
  w.grad, b.grad = nil, nil
end

local slope, offset = w:item(), b:item()
print("\nThe line goes through the middle of the points:\n")
common.show("curve", { { x = x, y = y, label = "points" },
  { f = function(v) return slope * v + offset end, label = "line found" } },
  { low = -9, high = 6 })
common.claim(math.abs(slope - 3) <= 0.1 and math.abs(offset + 1.5) <= 0.1,
  ("y = %.3fx %+.3f, and the truth is y = 3x - 1.5"):format(slope, offset))
