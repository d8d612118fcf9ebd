-- Claim: one neuron learns OR, and answers all four rows of its table rightly.
--
-- OR is 1 when at least one input is 1. This is the neuron of train_and, line
-- for line; only the examples are others. What a network does is decided by
-- what it is shown, not by its program.
--
-- What to look at: compare weights and bias with those of train_and. The
-- weights look alike; the bias is nearer to 0, so the line has moved towards (0, 0)
-- and one input alone is enough to cross it.

local gate = dofile((arg[0]:match("^.*[/\\]") or "") .. "gate.lua")

gate.learn("OR", {
  -- x1, x2, what the neuron should answer
  { 0, 0, 0 },
  { 0, 1, 1 },
  { 1, 0, 1 },
  { 1, 1, 1 },
})
