-- Claim: the perceptron rule finds AND, OR and NAND without any calculus, and
-- stops making mistakes; on XOR it never does.
--
-- This is the oldest neuron that learns (Rosenblatt, 1958). It answers 1 when
-- w1*x1 + w2*x2 + b is above 0, else 0: a step instead of a smooth curve. Its
-- rule: after a right answer do nothing; after a wrong one move each weight by
-- error * input, the bias by the error. If any line separates the examples,
-- this finds one after finitely many mistakes. If none does, it never rests.

local common = dofile((arg[0]:match("^.*[/\\]") or "") .. "common.lua")
local mg, options = common.start("The perceptron learns AND, OR and NAND, but not XOR.",
  { { "epochs", 100, "passes over the four rows, at most" } })

local inputs = mg.tensor { { 0, 0 }, { 0, 1 }, { 1, 0 }, { 1, 1 } }
local gates = {
  { "AND", { 0, 0, 0, 1 } },
  { "OR", { 0, 1, 1, 1 } },
  { "NAND", { 1, 1, 1, 0 } },
  { "XOR", { 0, 1, 1, 0 } },
}

--- Learns one gate. Returns the pass that was free of mistakes, or nil.
local function learn(name, targets)
  local w, b = mg.randn(2), mg.randn(1)
  print(("\n%s\n  pass  mistakes  weights and bias after it"):format(name))
  for pass = 1, options.epochs do
    local mistakes = 0
    for i = 1, 4 do
      local x = inputs[i] -- row i: a tensor of two numbers
      local output = ((w * x):sum() + b):step()[1]
      local err = targets[i] - output -- 0, 1 or -1
      if err ~= 0 then
        mistakes = mistakes + 1
        w = w + x * err
        b = b + err
      end
    end
    local rested = mistakes == 0
    if pass <= 8 or rested or pass == options.epochs then
      print(("  %4d  %8d  %6.2f %6.2f  %6.2f"):format(pass, mistakes, w[1], w[2], b[1]))
    elseif pass == 9 then
      print("   ...")
    end
    if rested then return pass end
  end
end

local rested = {}
for _, gate in ipairs(gates) do rested[gate[1]] = learn(gate[1], gate[2]) end

common.claim(rested.AND and rested.OR and rested.NAND and not rested.XOR,
  ("free of mistakes: AND %s, OR %s, NAND %s, XOR %s"):format(
    rested.AND and "yes" or "no", rested.OR and "yes" or "no",
    rested.NAND and "yes" or "no", rested.XOR and "yes" or "no"))
