--- Learning rates that change: functions of the step, from 1, for the lr of an optimizer.
-- Names and formulas are those of PyTorch's schedulers, stepped after every update; where
-- those come to an end, the last rate stays.
--
--   mg.adam { lr = mg.schedule.cosine { lr = 0.1, steps = 1000 } }

return function(_, core)
  local check = require "moongrad.check"
  local schedule, docs = {}, {}

  --- What is wrong with the value of an option, or nil. A spec is {default, low, high},
  -- or {default, kind =, one_of =}, with a line of doc; one without a default must be
  -- given unless 'optional'.
  local function wrong(v, spec)
    local kind = spec.kind or "number"
    if v == nil then return not spec.optional and "missing" or nil end
    if type(v) ~= kind and not (kind == "function" and core.schedules[v]) then
      return ("%s, expected a %s"):format(check.what(v), kind)
    end
    if spec.one_of then
      for word in spec.one_of:gmatch("%a+") do
        if v == word then return nil end
      end
      return ('"%s", expected one of %s'):format(v, spec.one_of)
    end
    local high = spec[3] or 1e15
    if kind ~= "number" or (v >= spec[2] and v <= high) then return nil end
    return ("%s, expected a number from %g%s"):format(check.text(v), spec[2],
      spec[3] and " to " .. spec[3] or "")
  end

  --- The options of a schedule, those left out by default; an error is its caller's.
  local function read(name, options, specs)
    if type(options) ~= "table" then
      check.fail("schedule." .. name, "options is %s, expected a table", check.what(options))
    end
    local o = {}
    for key, v in pairs(options) do
      if not specs[key] then
        check.fail("schedule." .. name, 'there is no option "%s"', tostring(key))
      end
      o[key] = v
    end
    for key, spec in pairs(specs) do
      if o[key] == nil then o[key] = spec[1] end
      local problem = wrong(o[key], spec)
      if problem then check.fail("schedule." .. name, "%s is %s", key, problem) end
    end
    return o
  end

  --- An option as the core describes those of its own.
  local function attribute(name, spec)
    local attr = { name = name, type = spec.kind or "number", default = spec[1], doc = spec.doc,
                   optional = spec.optional }
    if spec.one_of then
      attr.type, attr.choices, attr.default = "choice", spec.one_of:gsub(" ", "|"), 0
    elseif attr.type == "boolean" then
      attr.default = spec[1] and 1 or 0
    elseif spec[2] then
      attr.low, attr.high = spec[2], spec[3] or math.huge
    end
    return attr
  end

  --- Notes what a schedule does, and its options in the order of these words.
  local function document(name, order, specs, doc)
    local entry = { name = name, doc = doc, attrs = {} }
    for word in order:gmatch("%S+") do
      entry.attrs[#entry.attrs + 1] = attribute(word, specs[word])
    end
    docs[#docs + 1] = entry
  end

  --- Where it is printed a schedule tells its options 'o', in that order.
  local function text(name, order, o)
    local parts = {}
    for word in order:gmatch("%S+") do
      local v = o[word]
      if type(v) == "number" then v = ("%.6g"):format(v) end
      if v then parts[#parts + 1] = word .. (v == true and "" or " " .. tostring(v)) end
    end
    return ("%s schedule (%s)"):format(name, table.concat(parts, ", "))
  end

  --- Makes a schedule of 'rate', a function of its options and of the steps done so far.
  local function define(name, order, specs, doc, rate)
    specs.lr, order = { nil, 0, doc = "the rate that the others are measured by" }, "lr " .. order
    document(name, order, specs, doc)
    schedule[name] = function(options)
      local o = read(name, options, specs)
      local function at(_, step)
        return rate(o, check.is("number", step, "schedule." .. name, "step") - 1)
      end
      local made = setmetatable({}, { __call = at,
        __tostring = function() return text(name, order, o) end })
      core.schedules[made] = true
      return made
    end
  end

  local TINY = 1e-30

  --- From a to b, half a wave of the cosine or a straight line.
  local function cosine(a, b, part) return b + (a - b) * (1 + math.cos(math.pi * part)) / 2 end
  local function line(a, b, part) return a + (b - a) * part end

  define("step", "step_size gamma", {
    step_size = { nil, 1, doc = "how many steps a rate stays" },
    gamma = { 0.1, 0, doc = "what it is multiplied by then" },
  }, "lr, times gamma every step_size steps", function(o, done)
    return o.lr * o.gamma ^ math.floor(done / o.step_size)
  end)

  define("exponential", "gamma step_size", {
    gamma = { nil, 0, doc = "what the rate is multiplied by" },
    step_size = { 1, TINY, doc = "in so many steps, evenly" },
  }, "lr, times gamma every step, or in step_size steps", function(o, done)
    return o.lr * o.gamma ^ (done / o.step_size)
  end)

  define("cosine", "steps min_lr", {
    steps = { nil, 1, doc = "how long it falls" },
    min_lr = { 0, 0, doc = "what it falls to" },
  }, "from lr to min_lr in 'steps' steps, along a cosine", function(o, done)
    return cosine(o.lr, o.min_lr, math.min(done / o.steps, 1))
  end)

  define("linear_warmup", "steps start_factor after", {
    steps = { 5, 1, doc = "how long it rises" },
    start_factor = { 1 / 3, 0, 1, doc = "the share of lr that it begins with" },
    after = { kind = "function", optional = true, doc = "a schedule whose steps count from there" },
  }, "from lr * start_factor to lr in 'steps' steps; then 'after', or lr",
    function(o, done)
      if done >= o.steps then return o.after and o.after(done - o.steps + 1) or o.lr end
      return o.lr * line(o.start_factor, 1, done / o.steps)
    end)

  define("one_cycle", "steps pct_start div_factor final_div_factor anneal three_phase", {
    steps = { nil, 1, doc = "how long all of it takes" },
    pct_start = { 0.3, 0, 1, doc = "the share of steps that it rises in" },
    div_factor = { 25, TINY, doc = "lr over where it begins" },
    final_div_factor = { 1e4, TINY, doc = "that over where it ends" },
    anneal = { "cos", kind = "string", one_of = "cos linear", doc = "how it bends" },
    three_phase = { false, kind = "boolean", doc = "falls as fast as it rose, then to the end" },
  }, "from lr / div_factor up to lr, then down to far below it (Smith and Topin, 2018)",
    function(o, done)
      local low = o.lr / o.div_factor
      local least, up, last = low / o.final_div_factor, o.pct_start * o.steps - 1, o.steps - 1
      local bend = o.anneal == "linear" and line or cosine
      local phases = { { up, low, o.lr }, { last, o.lr, least } }
      if o.three_phase then phases = { phases[1], { 2 * up, o.lr, low }, { last, low, least } } end
      local from = 0
      for i, phase in ipairs(phases) do
        if done <= phase[1] or i == #phases then
          local part = phase[1] > from and (done - from) / (phase[1] - from) or 1
          return bend(phase[2], phase[3], math.min(part, 1))
        end
        from = phase[1]
      end
    end)

  ------------------------------------------------------------------------- plateau

  local Plateau = {}
  Plateau.__index = Plateau
  core.plateau = Plateau

  local specs = {
    lr = { nil, 0, doc = "the rate at first" },
    factor = { 0.1, 0, 1, doc = "what it is multiplied by" },
    patience = { 10, 0, doc = "epochs without a better number that pass first" },
    metric = { kind = "string", optional = true,
               doc = "which column of the report; val_loss where there is one, else loss" },
    mode = { "min", kind = "string", one_of = "min max", doc = "what is better" },
    threshold = { 1e-4, 0, doc = "by how much a number must be better" },
    threshold_mode = { "rel", kind = "string", one_of = "rel abs",
                       doc = "in shares of the best, or as it is" },
    cooldown = { 0, 0, doc = "epochs of rest after each time" },
    min_lr = { 0, 0, doc = "where it stops falling" },
    eps = { 1e-8, 0, doc = "a fall by less than this is not made" },
  }
  local order = "lr factor patience metric mode threshold threshold_mode cooldown min_lr eps"
  document("plateau", order, specs, "lr, times 'factor' when a number of the epoch's report has"
    .. " not got better for more than 'patience' epochs")

  local function own(o, who)
    if type(o) == "table" and getmetatable(o) == Plateau then return o end
    check.fail(who, "self is %s, expected a plateau", check.what(o))
  end

  function Plateau.__tostring(o) return text("plateau", order, own(o, "tostring")) end

  --- lr, times 'factor' when a number has not got better for more than 'patience' epochs.
  function schedule.plateau(options)
    local o = read("plateau", options, specs)
    o.best = o.mode == "min" and math.huge or -math.huge
    o.bad, o.resting = 0, 0
    return setmetatable(o, Plateau)
  end

  local function better(o, v)
    local sign = o.mode == "min" and -1 or 1
    if o.threshold_mode == "abs" then return sign * v > sign * o.best + o.threshold end
    if math.abs(o.best) == math.huge then return sign * v > sign * o.best end
    return sign * v > sign * o.best * (1 + sign * o.threshold)
  end

  --- Takes the number of one more epoch, and gives the rate from now on.
  function Plateau.observe(o, v)
    own(o, "observe")
    check.is("number", v, "observe", "value")
    if better(o, v) then o.best, o.bad = v, 0 else o.bad = o.bad + 1 end
    if o.resting > 0 then o.resting, o.bad = o.resting - 1, 0 end
    if o.bad > o.patience then
      local lr = math.max(o.lr * o.factor, o.min_lr)
      if o.lr - lr > o.eps then o.lr = lr end
      o.resting, o.bad = o.cooldown, 0
    end
    return o.lr
  end

  core.schedule_docs = docs
  return schedule
end
