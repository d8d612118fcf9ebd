--- Trainers: from names, functions and objects to what the core takes.

local check = require "moongrad.check"

return function(mg, core)
  local loss_names -- by their functions; made when first asked for

  --- A loss of mg's given as a function runs in the core, by its name.
  local function to_loss(loss)
    if type(loss) ~= "function" then return loss end
    if not loss_names then
      loss_names = {}
      for _, op in ipairs(core.describe().ops) do
        if op.loss then loss_names[core.ops[op.name]] = op.name end
      end
    end
    return loss_names[loss] or loss
  end

  --- {"accuracy", mine = function} as a list of {name, function or nil}.
  local function metric_list(metrics)
    local list = {}
    if metrics == nil then return list end
    if type(metrics) ~= "table" then
      error(("trainer: metrics is a %s, expected a table"):format(type(metrics)), 3)
    end
    local named = {}
    for key, value in pairs(metrics) do
      if type(key) == "string" then
        if type(value) ~= "function" then
          error(('trainer: metric "%s" is a %s, expected a function'):format(key, type(value)), 3)
        end
        named[#named + 1] = { key, value }
      end
    end
    table.sort(named, function(a, b) return a[1] < b[1] end)
    for i, value in ipairs(metrics) do
      if type(value) == "function" then
        list[#list + 1] = { "metric" .. i, value }
      elseif type(value) == "string" then
        list[#list + 1] = { value }
      else
        error(("trainer: metric %d is a %s, expected a name or a function"):format(i,
          type(value)), 3)
      end
    end
    for _, metric in ipairs(named) do list[#list + 1] = metric end
    return list
  end

  local function to_optimizer(o)
    if type(o) ~= "string" then return o end
    local new = mg.optimizers[o]
    if not new then error(('trainer: there is no optimizer "%s"'):format(o), 3) end
    return new {}
  end

  local known = { net = true, loss = true, optimizer = true, metrics = true, plan = true }

  --- Trains a net.
  -- @tparam table o  net: a layer or a function; loss: a name, one of mg's, or a
  --   function of prediction and target; optimizer: an object or a name;
  --   metrics: names or functions, optional; plan: false for steps that are never
  --   replayed from a plan (the same numbers, slower)
  function mg.trainer(o)
    check.options(o, known, "trainer")
    local net = o.net
    if type(net) == "function" then net = core.custom("function", net, nil, core.is_pure(net)) end
    return core.trainer {
      net = net, loss = to_loss(o.loss), loss_pure = core.is_pure(o.loss),
      optimizer = to_optimizer(o.optimizer), metrics = metric_list(o.metrics), plan = o.plan,
    }
  end
end
