-- Claim: one neuron learns AND, and answers all four rows of its table rightly.
--
-- AND is 1 only when both inputs are 1. Nobody tells the neuron so: it starts
-- with random weights, sees the four rows below again and again, and after each
-- pass shifts its weights a little towards better answers.
--
-- What to look at: the output is never quite 0 or 1, only nearer and nearer to
-- it (try --epochs 5, 50, 5000); and the picture, where the neuron has drawn a
-- straight line that cuts the corner (1, 1) off from the others.

local gate = dofile((arg[0]:match("^.*[/\\]") or "") .. "gate.lua")

gate.learn("AND", {
  -- x1, x2, what the neuron should answer
  { 0, 0, 0 },
  { 0, 1, 0 },
  { 1, 0, 0 },
  { 1, 1, 1 },
})
