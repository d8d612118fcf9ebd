--- Optimizers: mg.sgd{..}, mg.adam{..}. The learning rate may be a function of the step;
-- parameters may be in groups with options of their own.

local check = require "moongrad.check"
local find = string.find

return function(mg, core)
  --- A group for biases and norms, which are of one dimension: decay is for matrices.
  mg.no_decay = { ndim = 1, weight_decay = 0 }

  --- Options of a group that are no options of the rule.
  local own = { match = true, ndim = true, lr_scale = true }
  local whole = { clip_norm = true, ema = true, groups = true } -- of all parameters

  local function fail(who, i, text, ...)
    check.fail(who, "groups[%d]%s", i, text:format(...))
  end

  -- Those of schedule.lua: objects that are called with a step.
  core.schedules = setmetatable({}, { __mode = "k" })

  --- Does a learning rate follow the step?
  local function follows(lr) return type(lr) == "function" or core.schedules[lr] == true end

  --- Is a group as it should be? Its pattern too: later is too late.
  local function check_group(who, i, g, lr)
    if type(g) ~= "table" then fail(who, i, " is %s, expected a table", check.what(g)) end
    if g.match == nil and g.ndim == nil then fail(who, i, " has neither match nor ndim") end
    for key, kind in pairs { match = "string", ndim = "number", lr_scale = "number" } do
      if g[key] ~= nil and type(g[key]) ~= kind then
        fail(who, i, ".%s is %s, expected a %s", key, check.what(g[key]), kind)
      end
    end
    local fine, message = pcall(find, "", g.match or "")
    if not fine then fail(who, i, ".match: %s", message) end
    for key in pairs(whole) do
      if g[key] ~= nil then fail(who, i, ".%s: this is for all parameters together", key) end
    end
    if g.lr ~= nil and (g.lr_scale or follows(lr)) then
      fail(who, i, ".lr: give lr_scale %s", g.lr_scale and "or lr"
        or "where the learning rate is a function")
    end
  end

  --- The options of a group: the optimizer's with its own.
  local function merge(options, g, base)
    local all = {}
    for name, value in pairs(options) do all[name] = value end
    for name, value in pairs(g) do
      if not own[name] then all[name] = value end
    end
    if g.lr_scale then all.lr = g.lr_scale * base end
    return all
  end

  --- The number of the first group that a parameter belongs to, or 0.
  local function picker(groups)
    return function(name, ndim)
      for i, g in ipairs(groups) do
        if (g.match == nil or find(name, g.match)) and (g.ndim == nil or ndim <= g.ndim) then
          return i
        end
      end
      return 0
    end
  end

  local two_betas = {} -- rules that have beta1 and beta2, when first asked for

  local function has_betas(who)
    for _, rule in ipairs(next(two_betas) and {} or core.describe().optimizers) do
      for _, attr in ipairs(rule.attrs) do
        if attr.name == "beta2" then two_betas[rule.name] = true end
      end
    end
    return two_betas[who]
  end

  --- betas = {b1, b2}, as PyTorch writes them, by the names that the rules know.
  local function spread_betas(who, options)
    local betas = options.betas
    if betas == nil or not has_betas(who) then return options end
    if type(betas) ~= "table" or #betas ~= 2 then
      error(("%s: betas is %s, expected a table of two numbers"):format(who,
        type(betas) == "table" and "a table of " .. #betas or check.what(betas)), 3)
    end
    local all = {}
    for name, value in pairs(options) do all[name] = value end
    all.betas, all.beta1, all.beta2 = nil, betas[1], betas[2]
    return all
  end

  local function add_groups(who, optimizer, options, groups, lr)
    if type(groups) ~= "table" then
      check.fail(who, "groups is %s, expected a table", check.what(groups))
    end
    local list = {}
    for i = 1, #groups do
      local g = groups[i]
      check_group(who, i, g, lr)
      g = spread_betas(who, g)
      list[i] = { match = g.match, ndim = g.ndim }
      optimizer:group(merge(options, g, optimizer.lr))
    end
    return optimizer:grouping(picker(list))
  end

  --- By optimizer: its learning rate where that waits for a plateau. It changes between
  -- epochs, so that a step need not ask for it.
  local plateaus = setmetatable({}, { __mode = "k" })

  function core.plateau_of(o) return plateaus[o] end

  local function is_plateau(lr)
    return core.plateau ~= nil and type(lr) == "table" and getmetatable(lr) == core.plateau
  end

  local function optimizer(who, new)
    return function(options)
      if type(options) ~= "table" then return new(options) end
      options = spread_betas(who, options)
      local lr, groups, plain = options.lr, options.groups, {}
      local scheduled, plateau = lr ~= nil and follows(lr), is_plateau(lr)
      if not scheduled and not plateau and groups == nil then return new(options) end
      for name, value in pairs(options) do plain[name] = value end
      plain.groups, plain.lr = nil, plateau and lr.lr or not scheduled and lr or nil
      local o = new(plain)
      if groups ~= nil then add_groups(who, o, plain, groups, lr) end
      if plateau then plateaus[o] = lr end
      if core.schedules[lr] then o.lr = lr(1) end -- what it is told to be before a step
      return scheduled and o:schedule(lr) or o
    end
  end

  --- Tells a learning rate that waits for a plateau (mg.schedule.plateau) how an epoch
  -- went: a number, or the report of a trainer, which does this by itself.
  function core.optimizer_methods.observe(o, report)
    check.is("optimizer", o, "observe", "self")
    local plateau, v = plateaus[o], report
    if not plateau then return end
    if type(report) == "table" then
      local metric = plateau.metric or (report.val_loss and "val_loss" or "loss")
      v = report[metric]
      if type(v) ~= "number" then
        check.fail("observe", 'the report has no number "%s" for the plateau', metric)
      end
    end
    check.is("number", v, "observe", "report")
    local lr = plateau:observe(v)
    if lr ~= o.lr then o.lr = lr end
  end

  mg.optimizers = {}
  for name, new in pairs(core.optimizers) do
    mg[name] = optimizer(name, new)
    mg.optimizers[name] = mg[name]
  end

  --- Runs f(...) with the averaged weights (option ema) in place of the others, and
  -- returns its results. An error passes through, with the weights back where they were.
  -- f cannot yield.
  function core.optimizer_methods.averaged(o, f, ...)
    check.is("optimizer", o, "averaged", "self")
    check.is("function", f, "averaged", "f")
    o:swap()
    local function finish(ok, ...)
      o:swap()
      if not ok then error((...), 0) end
      return ...
    end
    return finish(core.pcall(f, ...))
  end
end
