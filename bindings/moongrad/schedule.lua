--- Learning rates that change: functions of the step, from 1, for the lr of an optimizer.
-- Names and formulas are those of PyTorch's schedulers, stepped after every update; where
-- those come to an end, the last rate stays.
--
--   mg.adam { lr = mg.schedule.cosine { lr = 0.1, steps = 1000 } }

return function(_, core)
  local check = require "moongrad.check"
  local schedule = {}

  --- What is wrong with the value of an option, or nil. A spec is {default, low, high},
  -- or {default, kind =, one_of =}; one without a default must be given unless 'optional'.
  local function wrong(v, spec)
    local kind = spec.kind or "number"
    if v == nil then return not spec.optional and "missing" or nil end
    if type(v) ~= kind then return ("%s, expected a %s"):format(check.what(v), kind) end
    if spec.one_of then
      for word in spec.one_of:gmatch("%a+") do
        if v == word then return nil end
      end
      return ('"%s", expected one of %s'):format(v, spec.one_of)
    end
    local high = spec[3] or 1e15
    if kind ~= "number" or (v >= spec[2] and v <= high) then return nil end
    return ("%s, expected a number from %g%s"):format(tostring(v), spec[2],
      spec[3] and " to " .. spec[3] or "")
  end

  --- The options of a schedule, those left out by default; an error is its caller's.
  local function read(name, options, specs)
    if type(options) ~= "table" then
      error(("schedule.%s: options is %s, expected a table"):format(name, check.what(options)), 3)
    end
    local o = {}
    for key, v in pairs(options) do
      if not specs[key] then
        error(('schedule.%s: there is no option "%s"'):format(name, tostring(key)), 3)
      end
      o[key] = v
    end
    for key, spec in pairs(specs) do
      if o[key] == nil then o[key] = spec[1] end
      local problem = wrong(o[key], spec)
      if problem then error(("schedule.%s: %s is %s"):format(name, key, problem), 3) end
    end
    return o
  end

  --- Makes a schedule of 'rate', a function of its options and of the steps done so far.
  local function define(name, specs, rate)
    specs.lr = { nil, 0 }
    schedule[name] = function(options)
      local o = read(name, options, specs)
      return function(step) return rate(o, step - 1) end
    end
  end

  local TINY = 1e-30

  --- From a to b, half a wave of the cosine or a straight line.
  local function cosine(a, b, part) return b + (a - b) * (1 + math.cos(math.pi * part)) / 2 end
  local function line(a, b, part) return a + (b - a) * part end

  --- lr, times gamma every step_size steps.
  define("step", { step_size = { nil, 1 }, gamma = { 0.1, 0 } }, function(o, done)
    return o.lr * o.gamma ^ math.floor(done / o.step_size)
  end)

  --- lr, times gamma every step; with step_size, in so many steps, evenly.
  define("exponential", { gamma = { nil, 0 }, step_size = { 1, TINY } }, function(o, done)
    return o.lr * o.gamma ^ (done / o.step_size)
  end)

  --- From lr to min_lr in 'steps' steps, along a cosine.
  define("cosine", { steps = { nil, 1 }, min_lr = { 0, 0 } }, function(o, done)
    return cosine(o.lr, o.min_lr, math.min(done / o.steps, 1))
  end)

  --- From lr * start_factor to lr in 'steps' steps; then 'after', a schedule whose steps
  -- count from there, or lr.
  define("linear_warmup", { steps = { 5, 1 }, start_factor = { 1 / 3, 0, 1 },
                            after = { kind = "function", optional = true } },
    function(o, done)
      if done >= o.steps then return o.after and o.after(done - o.steps + 1) or o.lr end
      return o.lr * line(o.start_factor, 1, done / o.steps)
    end)

  --- From lr / div_factor up to lr in the first pct_start of 'steps' steps, then down to
  -- that lowest rate / final_div_factor (Smith and Topin, 2018); with three_phase down to
  -- lr / div_factor as fast as it came, and then to the end. anneal is "cos" or "linear".
  define("one_cycle", { steps = { nil, 1 }, pct_start = { 0.3, 0, 1 },
                        div_factor = { 25, TINY }, final_div_factor = { 1e4, TINY },
                        anneal = { "cos", kind = "string", one_of = "cos linear" },
                        three_phase = { false, kind = "boolean" } },
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

  local specs = { lr = { nil, 0 }, factor = { 0.1, 0, 1 }, patience = { 10, 0 },
                  threshold = { 1e-4, 0 }, cooldown = { 0, 0 }, min_lr = { 0, 0 },
                  eps = { 1e-8, 0 }, mode = { "min", kind = "string", one_of = "min max" },
                  threshold_mode = { "rel", kind = "string", one_of = "rel abs" },
                  metric = { kind = "string", optional = true } }

  --- lr, times 'factor' when a number has not got better for more than 'patience' epochs.
  -- @tparam table options  lr; factor (0.1), patience (10), min_lr (0), cooldown (0)
  --   epochs of rest after each time; metric: the column of the epoch's report that
  --   counts, val_loss where there is one, else loss; mode "min" or "max"; threshold
  --   (1e-4): what counts as better, relative or, with threshold_mode "abs", as it is
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
    if better(o, v) then o.best, o.bad = v, 0 else o.bad = o.bad + 1 end
    if o.resting > 0 then o.resting, o.bad = o.resting - 1, 0 end
    if o.bad > o.patience then
      local lr = math.max(o.lr * o.factor, o.min_lr)
      if o.lr - lr > o.eps then o.lr = lr end
      o.resting, o.bad = o.cooldown, 0
    end
    return o.lr
  end

  return schedule
end
