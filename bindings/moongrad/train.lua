--- Training loops around the trainer of the core. Whatever calls the user's code
-- between batches runs here, so that it may break, fail or yield.

local SLICE = 20 -- milliseconds of work in one call of the core

return function(mg, core, require)
  local check, methods = require "moongrad.check", {}
  check.module(require, "moongrad.system") -- leaves its clock to time limits, where there is one

  ------------------------------------------------------------------------ running

  --- An option from the call's own table, else from the data's; datasets have none.
  local function option(name, options, data, default)
    if type(options) == "table" and options[name] ~= nil then return options[name] end
    if type(data) == "table" and data[name] ~= nil then return data[name] end
    return default
  end

  --- Puts loss and metrics into 'row' under their names, after 'prefix'; of the last
  -- evaluation, or of the epoch under way. "confusion" is a tensor.
  local function report(t, row, prefix, evaluated, examples, loss, metrics)
    row[prefix .. "loss"] = loss
    for i, metric in ipairs(t:parts().metrics) do
      row[prefix .. metric[1]] = t:table(i, evaluated) or metrics[i]
    end
    if prefix == "" then row.examples = examples end
    return row
  end

  --- Loss and metrics over data, in eval mode, as a table by name.
  function methods.evaluate(t, data, options)
    check.is("trainer", t, "evaluate", "self")
    check.options(options or {}, { batch = true }, "evaluate")
    local set = mg.data.dataset(data, "evaluate")
    return report(t, {}, "", true, t:assess(set, option("batch", options, data, 256)))
  end

  -- trainer -> its run: kind ("run" or "epochs"), over, rows (epochs that epochs has
  -- given), data and what fit knows; 'loaded' until it goes on after trainer:load
  local runs = core.runs

  --- Begins a run.
  local function begin(t, kind, data, options, epochs, who)
    t:accumulate(option("accumulate", options, data, t:parts().accumulate or 1))
    t:begin(mg.data.dataset(data, who), option("batch", options, data, 32), epochs,
      option("shuffle", options, data, false))
    runs[t] = { kind = kind, data = data, epochs = epochs, rows = 0 }
    return runs[t]
  end

  --- Goes on with the run that was loaded, which has its own batch, shuffle and accumulate.
  local function resume(t, run, data, options, epochs, who)
    for _, name in ipairs { "batch", "shuffle", "accumulate" } do
      local v = option(name, options, data)
      if v ~= nil and v ~= run[name] then
        check.fail(who, "%s is %s, but %s in the run that was loaded; to begin another one, load"
          .. " with { run = false }", name, tostring(v), tostring(run[name]))
      end
    end
    t:resume(mg.data.dataset(data, who), math.max(epochs, (t:position())))
    run.loaded, run.data, run.epochs = nil, data, epochs
    return run
  end

  local run_options = { ms = true, steps = true, epochs = true, batch = true, shuffle = true,
                        accumulate = true }

  local DATA = { "x", "y", "batch", "shuffle", "accumulate" }

  --- Does a run train on this data? Also where the table is a new one with the same in it.
  local function same_data(a, b)
    if a == b then return true end
    if type(a) ~= "table" or type(b) ~= "table" or a.x == nil then return false end
    for _, name in ipairs(DATA) do
      if a[name] ~= b[name] then return false end
    end
    return true
  end

  --- The run of a call of 'run': the one it is in, the loaded one, or a new one.
  local function run_of(t, data, options, epochs)
    local now = runs[t]
    if now and now.loaded and not now.over then
      return resume(t, now, data, options, epochs, "run")
    end
    local same = now and now.kind == "run" and now.epochs == epochs
    if same and now.loaded then -- it was over
      local _, loss = t:progress()
      now.loaded, now.data, now.loss = nil, data, loss
    elseif not same or not same_data(now.data, data) then
      now = begin(t, "run", data, options, epochs, "run")
    end
    return now
  end

  --- Trains for 'ms' milliseconds or 'steps' batches, going on where the last call with the
  -- same data stopped, or trainer:load did. Time may be over in the middle of a batch: the
  -- next call goes on there, and until then all is as after the batch before.
  -- @param data  dataset or {x=, y=, batch=, shuffle=}
  -- @tparam table options  ms, steps, epochs (1), batch, shuffle, accumulate
  -- @treturn string  "more", or "done" when all epochs are over
  -- @treturn number  mean loss of the epoch so far; of the one before until a batch is done
  function methods.run(t, data, options)
    check.is("trainer", t, "run", "self")
    options = check.options(options or {}, run_options, "run")
    local now = run_of(t, data, options, option("epochs", options, data, 1))
    if now.over then return "done", now.loss end
    local done, examples, loss = t:advance(options.steps, options.ms)
    if examples == 0 then loss = now.loss or loss end -- none of this epoch is whole yet
    now.over, now.loss = done, loss
    return done and "done" or "more", loss
  end

  local clock
  --- Seconds; from the system module where the host has left it in.
  local function seconds()
    if not clock then
      local system = check.module(require, "moongrad.system")
      clock = type(system) == "table" and system.clock or os and os.clock or
        function() return 0 end
    end
    return clock()
  end

  local function results(failed, ok, ...)
    if ok then return ... end
    failed((...))
    error((...), 0)
  end

  -- Can a function yield that pcall has called?
  local YIELDS = _VERSION ~= "Lua 5.1" or coroutine and coroutine.wrap(function()
    return pcall(coroutine.yield, true)
  end)() == true

  --- What f(...) returns; 'failed' is told of an error, such as that of Ctrl-C, which then
  -- passes on. User code between batches may yield, so it must not run in here.
  local function guarded(failed, f, ...)
    if not failed then return f(...) end
    return results(failed, pcall(f, ...))
  end

  --- Trains to the end of an epoch or until on_batch returns false, which is told. An
  -- epoch that was over when it was saved, but had no row yet, needs no training.
  -- @treturn ...  stopped, done, examples, loss, metrics
  local function epoch(t, run, total, on_batch, watch, failed)
    local at, examples = t:position()
    local stopped, done, loss
    if at > run.rows and examples == total then
      return false, at >= run.epochs, t:progress()
    end
    local within = at > run.rows -- an epoch that was left in its middle
    local batch = within and math.ceil(examples / run.batch) or 0
    if watch then watch(within and examples or 0, total, nil, within and at or at + 1) end
    repeat -- in slices, so that hooks and signals of the host get their turn
      done, examples, loss = guarded(failed, t.advance, t, on_batch and 1 or nil,
        SLICE, true)
      batch = batch + 1
      if watch then guarded(failed, watch, examples, total, loss) end
      stopped = on_batch and on_batch(report(t, { epoch = t:position(), batch = batch }, "",
        false, t:progress())) == false
    until done or stopped or examples >= total
    return stopped, done, t:progress()
  end

  local epochs_options = { batch = true, shuffle = true, validation = true, accumulate = true,
                           on_batch = true, watch = true, failed = true, -- these three are fit's
                           who = true }

  --- Trains for n epochs, one a round of the loop; leaving it at any point keeps
  -- the net as it is after the last whole batch. After trainer:load it goes on with the run
  -- that was loaded, unless that was over: n counts its epochs from the first one on.
  -- @param data  dataset or {x=, y=, batch=32, shuffle=false, validation=, accumulate=}
  -- @tparam[opt] table options  the same; and on_batch: a function that gets the row so
  --   far after each batch, its number in batch, and ends the training by returning false
  -- @treturn function  yields {epoch=, loss=, seconds=, examples=, metrics by
  --   name, and val_ of each with validation data}
  function methods.epochs(t, n, data, options)
    check.is("trainer", t, "epochs", "self")
    check.integer(n, "epochs", "n", 1)
    check.options(options or {}, epochs_options, "epochs")
    local set, validation = mg.data.dataset(data, "epochs"), option("validation", options, data)
    local watch, failed = options and options.watch, options and options.failed
    local on_batch = option("on_batch", options, data)
    check.optional("function", on_batch, "epochs", "on_batch")
    local total, stopped, run = #set, false, runs[t]
    if run and run.loaded and not run.over then
      resume(t, run, data, options, n, options and options.who or "epochs")
      local at, examples = t:position()
      if run.kind == "run" then run.rows = examples == total and at or math.max(at - 1, 0) end
    else
      run = begin(t, "epochs", data, options, n, "epochs")
    end
    run.batch, run.kind = run.batch or option("batch", options, data, 32), "epochs"
    run.data = nil -- only run asks for it; Lua 5.1 would keep it for two collections more
    local done = run.rows >= n
    return function()
      check.is("trainer", t, "epochs", "the trainer")
      run.over = run.over or done or stopped
      if run.over then return nil end
      if runs[t] ~= run then check.fail("epochs", "the trainer has begun another run since") end
      local start = seconds()
      local examples, loss, metrics
      stopped, done, examples, loss, metrics = epoch(t, run, total, on_batch, watch, failed)
      local row = report(t, { epoch = t:position() }, "", false, examples, loss, metrics)
      row.seconds = seconds() - start
      if validation then
        report(t, row, "val_", true, guarded(failed, t.assess, t, mg.data.dataset(validation),
          option("batch", validation, data, 256)))
      end
      t:parts().optimizer:observe(row)
      run.rows = row.epoch
      return row, stopped
    end
  end

  --------------------------------------------------------------------------- fit

  local function shown_names(t)
    local names = { "loss" }
    for _, metric in ipairs(t:parts().metrics) do names[#names + 1] = metric[1] end
    for i = 1, #names do names[#names + 1] = "val_" .. names[i] end
    return names
  end

  --- Draws a bar while an epoch lasts, and prints its row.
  -- @treturn function, function, function  for parts of an epoch, its end, and an end before
  local function printer(t, n)
    local progress, names, bar = require "moongrad.progress", shown_names(t), nil
    local function watch(done, total, loss, epoch_begun)
      if not epoch_begun then return bar:update(done, ("loss %.4f"):format(loss)) end
      bar = progress.new { total = total, first = done,
                           label = ("epoch %d/%d"):format(epoch_begun, n) }
    end
    local function show(row)
      local parts = {}
      for _, name in ipairs(names) do
        if type(row[name]) == "number" then
          parts[#parts + 1] = ("%s %.4f"):format(name, row[name])
        end
      end
      if bar then bar:finish() end
      bar = nil
      print(("epoch %d/%d  %s  %.1f s"):format(row.epoch, n, table.concat(parts, "  "),
        row.seconds))
    end
    return watch, show, function() if bar then bar:finish() end end
  end

  --- What fit does when an error ends it: the line of the bar is wiped, and after Ctrl-C, which
  -- leaves the net as it was after a whole batch, all is saved so that a later fit goes on
  -- from there. The checkpoint of the best epoch stays what it is.
  local function leaver(t, options, wipe)
    local left
    return function(err)
      if left then return end
      left = true
      if wipe then wipe() end
      if not tostring(err):find("interrupted", 1, true) then return end
      local path, place = options.checkpoint, ("interrupted in epoch %d"):format((t:position()))
      local saved = path and not options.checkpoint_best and t:save(path)
      if not options.progress then return end
      print(saved and ('%s; trainer:load "%s" and the same fit go on from here'):format(place, path)
        or place .. "; the net is as it was after the last whole batch")
    end
  end

  --- Adds rows to a file, a line of JSON each: a function that gives true; both give nil, a
  -- message and a code where they cannot.
  local function logger(path)
    local json = require "cjson"
    local file, message, code = io.open(path, "a")
    if not file then return nil, message, code end
    return function(row)
      if not row then return file:close() end
      local plain = {}
      for name, v in pairs(row) do
        if core.type(v) == "tensor" then v = v:totable() end
        plain[name] = (type(v) ~= "number" or v - v == 0) and v or json.null
      end
      local ok
      ok, message, code = file:write(json.encode(plain), "\n")
      if ok then ok, message, code = file:flush() end
      if ok then return true end
      return nil, ("%s: %s"):format(path, message), code
    end
  end

  --- Copies of all that a net has learned, by name in fit.copies: keep() makes them,
  -- restore() puts them back.
  local function keeper(net, fit)
    local function keep()
      local before, copies = fit.copies or {}, {}
      for _, part in ipairs(net:parameters(true)) do
        local now, old = part.tensor:detach(), before[part.name]
        copies[part.name] = old and old:copy(now) or now:clone()
      end
      fit.copies = copies
    end
    local function restore()
      for _, part in ipairs(fit.copies and net:parameters(true) or {}) do
        part.tensor:detach():copy(fit.copies[part.name])
      end
    end
    return keep, restore
  end

  local more = { accuracy = true, r2 = true, precision = true, recall = true, f1 = true }

  --- Is a larger value of this column better?
  local function larger(name, mode)
    if mode == "max" or mode == "min" then return mode == "max" end
    if mode ~= nil then check.fail("fit", 'mode is %s, expected "min" or "max"', tostring(mode)) end
    name = name:gsub("^val_", "")
    return more[name] or name:find("^top_") ~= nil
  end

  --- Looks at each row: is it the best so far, and how many have not been since?
  -- Both are kept in 'fit'.
  local function judge(options, fit)
    return function(row)
      local name = options.monitor or row.val_loss and "val_loss" or "loss"
      local v, least = row[name], options.min_delta or 0
      if type(v) ~= "number" then
        check.fail("fit", 'monitor is "%s", which is no number of an epoch', name)
      end
      if larger(name, options.mode) then v = -v end
      local better = v == v and (fit.best == nil or v < fit.best - least)
      if better then fit.best, fit.epoch = v, row.epoch end
      fit.waited = better and 0 or fit.waited + 1
      return better
    end
  end

  local fit_options = { progress = "boolean", patience = "number", min_delta = "number",
                        restore_best = "boolean", checkpoint = "string",
                        checkpoint_best = "boolean", monitor = "string", mode = "string",
                        on_epoch = "function", on_batch = "function", log = "string",
                        batch = true, shuffle = true, validation = true, accumulate = true }

  --- Does it end before another epoch?
  local function patient(options, fit)
    return not options.patience or fit.waited < options.patience
  end

  --- What fit does after each epoch; returns whether it goes on, and why it cannot.
  local function follower(t, options, fit, keep, failed)
    local look = judge(options, fit)
    return function(row)
      local better = look(row)
      if better and options.restore_best then guarded(keep, keep) end -- whole in any case
      local going = not options.on_epoch or options.on_epoch(row) ~= false
      if options.checkpoint and (better or not options.checkpoint_best) then
        local ok, message, code = guarded(failed, t.save, t, options.checkpoint)
        if not ok then return false, message, code end
      end
      return going and patient(options, fit)
    end
  end

  --- Trains for up to n epochs. After trainer:load it goes on with the run that was loaded,
  -- unless that was over: n counts its epochs from the first one on.
  -- @param data  as for epochs
  -- @tparam[opt] table options  those of epochs, and progress: draw a bar in a terminal,
  --   one line an epoch elsewhere; patience: stop after so many epochs in a row that
  --   were not better than the best by more than min_delta (0); restore_best: end with
  --   the weights of the best epoch; monitor: what tells how good an epoch is (val_loss,
  --   or loss without validation data), of which mode says whether "min" or "max" is
  --   better ("max" for accuracy, top_5, r2, precision, recall, f1); on_epoch: a function
  --   of the epoch's row, which stops the training by returning false; log: a file to
  --   add one line of JSON an epoch to; checkpoint: a file for trainer:save after each epoch,
  --   checkpoint_best: after those that are better than all before them, only
  -- @treturn table  the rows of all epochs; in its field best the number of the best one. Or
  --   nil, a message and a code where a file cannot be written
  function methods.fit(t, n, data, options)
    check.is("trainer", t, "fit", "self")
    check.integer(n, "fit", "n", 1)
    options = check.options(options or {}, fit_options, "fit")
    for name, kind in pairs(fit_options) do
      if kind ~= true then check.optional(kind, options[name], "fit", name) end
    end
    mg.data.dataset(data, "fit")
    local run, rows, passing = runs[t], {}, { who = "fit" }
    local loaded = run and run.loaded and not run.over
    local fit = loaded and run.fit or { waited = 0 }
    local keep, restore = keeper(t:parts().net, fit)
    local log, message, code, show, wipe
    if options.log then
      log, message, code = logger(options.log)
      if not log then return nil, message, code end
    end
    for _, name in ipairs { "batch", "shuffle", "validation", "accumulate", "on_batch" } do
      passing[name] = options[name]
    end
    if options.progress then passing.watch, show, wipe = printer(t, n) end
    passing.failed = leaver(t, options, wipe)
    local follow = follower(t, options, fit, keep, passing.failed)
    local next_row, going = t:epochs(n, data, passing), patient(options, fit)
    runs[t].fit = fit
    local function round()
      local row = next_row()
      if not row then return false end
      rows[#rows + 1] = row
      if show then guarded(passing.failed, show, row) end
      if log then
        local ok, why, number = guarded(passing.failed, log, row)
        if not ok then return false, why, number end
      end
      return follow(row)
    end
    -- Ctrl-C may come between any two instructions; where a pcall is no barrier to a yield,
    -- or nobody yields, one around all finds it
    local whole = YIELDS or not (option("on_batch", options, data) or options.on_epoch)
    while going do
      if whole then going, message, code = guarded(passing.failed, round)
      else going, message, code = round() end
    end
    runs[t].over = true
    rows.best = fit.epoch
    if log then log() end
    if message then return nil, message, code end
    if options.restore_best then guarded(restore, restore) end
    return rows
  end

  return methods
end
