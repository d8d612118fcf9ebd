-- Claim: from four corners gradient descent finds the same lowest place of a loss over two
-- weights, going downhill at each step.
--
-- A loss is a landscape: for each pair of weight and bias it has a height. Here it can be
-- drawn, because there are only two. Each step looks at the slope where it stands, and goes
-- a little the other way; it never sees the landscape. A net with a million weights walks
-- through a million dimensions in just the same way.

local common = dofile((arg[0]:match("^.*[/\\]") or "") .. "common.lua")
local mg, options = common.start("Gradient descent on a landscape that can be drawn.", {
  pictures = true,
  { "epochs", 150, "steps downhill, from each corner" },
  { "lr", 0.1, "learning rate: the length of a step" },
})

local x = mg.rand(60) * 2 - 0.5 -- from -0.5 to 1.5
local y = x * 1.5 - 1 + mg.randn(60) * 0.2

local function loss_at(w, b) return mg.mse(x * w + b, y) end

--- Walks from (w, b); returns the path, the last loss, and how many steps led up.
local function descend(w, b)
  w, b = mg.tensor(w, { requires_grad = true }), mg.tensor(b, { requires_grad = true })
  local path, last, up = {}, math.huge, 0
  for step = 1, options.epochs do
    path[step] = { w:item(), b:item() }
    local loss = loss_at(w, b)
    loss:backward()
    if loss:item() > last * (1 + 1e-6) then up = up + 1 end
    last = loss:item()
    w:add_(w.grad * -options.lr)
    b:add_(b.grad * -options.lr)
    w.grad, b.grad = nil, nil
  end
  path[#path + 1] = { w:item(), b:item() }
  return path, last, up
end

print("    start          after 10 steps      end              loss   steps up")
local paths, ups, far = {}, 0, 0
for i, start in ipairs { { -2, 2 }, { 3, 2 }, { -2, -3 }, { 3, -3 } } do
  local path, loss, up = descend(start[1], start[2])
  local ten, last = path[math.min(10, #path)], path[#path]
  paths[i], ups = path, ups + up
  far = math.max(far, math.abs(last[1] - paths[1][#paths[1]][1]),
    math.abs(last[2] - paths[1][#paths[1]][2]))
  print(("  %4.1f, %4.1f       %5.2f, %5.2f      %5.2f, %5.2f     %.4f   %5d"):format(start[1],
    start[2], ten[1], ten[2], last[1], last[2], loss, up))
end
print "\nFrom the first corner: long steps where it is steep, short ones in the valley.\n"
common.show("surface", function(w, b) return loss_at(w, b):item() end,
  { x = { -2.5, 3.5 }, y = { -3.5, 2.5 }, path = paths[1], xlabel = "weight", ylabel = "bias",
    title = "The loss over weight and bias" })

common.claim(ups == 0 and far < 0.1, ("four ways end at most %.3f apart, %d steps led uphill")
  :format(far, ups))
