-- What the demos in the terminal and in LÖVE share: a neuron whose weights and bias are moved
-- by hand, and a net that learns XOR a few milliseconds at a time.

return function(mg)
  local model = {
    -- the second weight matters to the plane only; 'value' is what is moved
    sliders = {
      { name = "weight", value = 2, low = -8, high = 8 },
      { name = "second weight", value = 2, low = -8, high = 8 },
      { name = "bias", value = -2, low = -8, high = 8 },
    },
    neuron = mg.sequential { 2, mg.dense(1), "sigmoid" },
    rows = { { 0, 0, 0 }, { 0, 1, 1 }, { 1, 0, 1 }, { 1, 1, 0 } },
    data = { x = mg.tensor { { 0, 0 }, { 0, 1 }, { 1, 0 }, { 1, 1 } },
             y = mg.tensor { { 0 }, { 1 }, { 1 }, { 0 } }, batch = 4 },
    losses = {},
  }
  local parts = model.neuron:named()

  --- Moves a slider to a value, or as near as it goes, and the neuron with it.
  function model.move(i, value)
    local s = model.sliders[i]
    s.value = math.max(s.low, math.min(s.high, value))
    parts["0.weight"]:copy(mg.tensor { { model.sliders[1].value, model.sliders[2].value } })
    parts["0.bias"]:copy(mg.tensor { model.sliders[3].value })
  end

  --- What a neuron with the first weight and the bias answers to one input.
  function model.curve(x)
    return 1 / (1 + math.exp(-(model.sliders[1].value * x + model.sliders[3].value)))
  end

  --- Begins another net, from a seed of its own.
  function model.restart(seed)
    mg.seed(seed)
    model.net = mg.sequential { 2, mg.dense(8), "tanh", mg.dense(1), "sigmoid" }
    model.trainer = mg.trainer { net = model.net, loss = "bce",
                                optimizer = mg.adam { lr = 0.005 } }
    model.losses = {}
  end

  --- Lets it learn for as many steps, but no longer than about 4 ms, which is what a frame of
  -- a game can spare. In that time it would do thousands, and there were nothing to see.
  function model.train(steps)
    local _, loss = model.trainer:run(model.data, { ms = 4, steps = steps, epochs = 1000000 })
    model.losses[#model.losses + 1] = loss
    if #model.losses > 400 then table.remove(model.losses, 1) end
    return loss
  end

  --- How many rows of XOR it answers rightly.
  function model.right()
    local answers, right = model.net:predict(model.data.x):totable(), 0
    for i, row in ipairs(model.rows) do
      if (answers[i][1] > 0.5) == (row[3] == 1) then right = right + 1 end
    end
    return right
  end

  model.move(1, 2)
  model.restart(1)
  return model
end
