--- Optimizers: mg.sgd{..}, mg.adam{..}; the learning rate may be a function.

return function(mg, core)
  local function optimizer(new)
    return function(options)
      local lr = type(options) == "table" and options.lr
      if type(lr) ~= "function" then return new(options) end
      local others = {}
      for name, value in pairs(options) do
        if name ~= "lr" then others[name] = value end
      end
      return new(others):schedule(lr)
    end
  end

  mg.optimizers = {}
  for name, new in pairs(core.optimizers) do
    mg[name] = optimizer(new)
    mg.optimizers[name] = mg[name]
  end
end
