-- Claim: one neuron learns NAND, and answers all four rows of its table rightly.
--
-- NAND is AND turned round: 0 only when both inputs are 1. Any logic circuit, a
-- whole computer even, can be wired up from NAND gates alone. So a network of
-- such neurons can compute whatever a computer can; train_xor takes that step.
--
-- What to look at: both weights are negative and the bias is positive. The
-- neuron answers 1 by itself, and the inputs talk it out of it.

local gate = dofile((arg[0]:match("^.*[/\\]") or "") .. "gate.lua")

gate.learn("NAND", {
  -- x1, x2, what the neuron should answer
  { 0, 0, 1 },
  { 0, 1, 1 },
  { 1, 0, 1 },
  { 1, 1, 0 },
})
