-- NaN and infinity in each layer of many nets, at each of the first steps: the step fails and
-- names the layer, no weight and nothing of the optimizer has changed; once the numbers are
-- good again, training ends with the bits of a net that never met them.
--
--   lua5.4 tests/torture/finite.lua

local mg = require "moongrad"
local facts = require "tests.torture.facts"
local check = facts.check

local BEFORE, AFTER = 2, 2 -- steps, at most: the first one is recorded, others are replayed
local harmless = 0

local function trainer_of(net)
  mg.seed(3)
  return mg.trainer { net = net, loss = "mse", optimizer = mg.adam {} }
end

--- Does the error name the layer that has the parameter, by its place or its name? Where an
-- infinity got as far as the gradient, it is that of the parameter which has got it.
local function named(err, parameter)
  if err:find 'the gradient of "[^"]+" in [^(]+%(' then return true end
  local path = parameter:gsub("%.?out_proj", "") -- of attention, whose sums it ends
  local layer = path:match "([^.]+)%.[^.]*$" or ""
  local place = tonumber(layer)
  return err:find(place and ("layer %d of"):format(place + 1) or layer, 1, true) ~= nil
end

--- A step that meets 'value' in all of a parameter, after 'before' good ones.
local function try(title, net, x, y, p, value, before)
  local ours, twin = net:clone(), net:clone()
  local t, other = trainer_of(ours), trainer_of(twin)
  mg.seed(4)
  for _ = 1, before do t:step(x, y) end
  local tensor = ours:named()[p.name]
  local good = tensor:detach():clone()
  mg.no_grad(function() tensor:fill(value) end)
  local hash = ours:hash()
  local ok, err = pcall(t.step, t, x, y)
  if ok then -- what relu or step has taken away
    harmless = harmless + 1
    local sum = t:parts().net:predict(x):sum():item()
    return check(err - err == 0 and (value == value or sum - sum == 0), "%s: was not seen", title)
  end
  check(ours:hash() == hash, "%s: weights have changed", title)
  check(named(err, p.name), "%s: the error names another layer: %s", title, err)
  mg.no_grad(function() tensor:copy(good) end)
  for _ = 1, AFTER do t:step(x, y) end
  mg.seed(4)
  for _ = 1, before + AFTER do other:step(x, y) end
  check(ours:hash() == twin:hash(), "%s: it does not go on as if nothing had been", title)
end

require "tests.spec.export_nets".each(function(net, x, _, name)
  local y = net:predict(x) * 0.5
  net:train()
  for _, p in ipairs(net:parameters()) do
    for _, value in ipairs { 0 / 0, 1 / 0, -1 / 0 } do
      for before = 0, BEFORE do
        try(("%s, %s of %s after %d steps"):format(value, p.name, name, before), net, x, y, p,
          value, before)
      end
    end
  end
end)

facts.finish("finite", (", %d infinities did no harm"):format(harmless))
