--- Trainers: from names, functions and objects to what the core takes.

local check = require "moongrad.check"

return function(mg, core)
  -- Where the loops of train.lua are, by trainer; resume.lua keeps it in files.
  core.runs = setmetatable({}, { __mode = "k" })

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

  local function fail(...) check.fail("trainer", ...) end

  --- An entry of metrics as {name, function or nil}: "accuracy", {top_k = 5} or a
  -- function; or one with a key, mine = function and top_k = 5.
  local function to_metric(key, value)
    if type(value) == "table" and type(key) == "number" then
      key, value = next(value)
      if key ~= "top_k" then
        fail("metric {%s = ..} is unknown, expected {top_k = ..}", tostring(key))
      end
    end
    if key == "top_k" and type(value) == "number" and value >= 1 and value % 1 == 0 then
      return { ("top_%d"):format(value) }
    elseif type(key) == "string" then
      if type(value) == "function" then return { key, value } end
      fail('metric "%s" is %s, expected a function', key, check.what(value))
    elseif type(value) == "function" then
      return { "metric" .. key, value }
    elseif type(value) == "string" then
      return { value }
    end
    fail("metric %s is %s, expected a name or a function", tostring(key), check.what(value))
  end

  --- All of them as a list: first those in order, then the others by name.
  local function metric_list(metrics)
    local list, others = {}, {}
    if metrics == nil then return list end
    if type(metrics) ~= "table" then
      fail("metrics is a %s, expected a table", type(metrics))
    end
    for i, value in ipairs(metrics) do list[i] = to_metric(i, value) end
    for key, value in pairs(metrics) do
      if not list[key] then others[#others + 1] = to_metric(key, value) end
    end
    table.sort(others, function(a, b) return a[1] < b[1] end)
    for _, metric in ipairs(others) do list[#list + 1] = metric end
    return list
  end

  --- A table of numbers as a tensor; anything else as it is.
  local function to_tensor(v)
    return type(v) == "table" and core.to_tensor(v, "trainer", "class_weight") or v
  end

  local function to_optimizer(o)
    if type(o) ~= "string" then return o end
    local new = mg.optimizers[o]
    if not new then fail('there is no optimizer "%s"', o) end
    return new {}
  end

  local known = { net = true, loss = true, optimizer = true, metrics = true, plan = true,
                  class_weight = true, accumulate = true, anomaly = true }

  --- Trains a net.
  -- @tparam table o  net: a layer or a function; loss: a name, one of mg's, or a
  --   function of prediction and target; optimizer: an object or a name;
  --   metrics: optional, names (accuracy, top_5 or {top_k = 5}, precision, recall, f1,
  --   confusion, mae, mse, r2) or functions of prediction and target, for which means
  --   over batches are reported; class_weight: how much each class counts in the losses
  --   cross_entropy and nll, or no and yes in bce and bce_with_logits, a table;
  --   accumulate: that many batches share an update, as if they were one batch;
  --   anomaly: true for steps that look for the op and the layer that make the first
  --   NaN or infinity, as after mg.anomaly(true); slow;
  --   plan: false for steps that are never replayed from a plan (the same numbers,
  --   slower)
  function mg.trainer(o)
    check.options(o, known, "trainer")
    local net = o.net
    if type(net) == "function" then net = core.custom("function", net, nil, core.is_pure(net)) end
    local trainer = core.trainer {
      net = net, loss = to_loss(o.loss), loss_pure = core.is_pure(o.loss),
      optimizer = to_optimizer(o.optimizer), metrics = metric_list(o.metrics), plan = o.plan,
      class_weight = to_tensor(o.class_weight), accumulate = o.accumulate, anomaly = o.anomaly,
    }
    if o.accumulate ~= nil then trainer:accumulate(o.accumulate) end
    return trainer
  end
end
