--- Training loops around the trainer of the core. Whatever calls the user's code
-- between batches runs here, so that it may break, fail or yield.

local SLICE = 20 -- milliseconds of work in one call of the core

return function(mg, _, require)
  local check, methods = require "moongrad.check", {}

  ------------------------------------------------------------------------ running

  --- An option from the call's own table, else from the data's.
  local function option(name, options, data, default)
    if options and options[name] ~= nil then return options[name] end
    if type(data) == "table" and data[name] ~= nil then return data[name] end
    return default
  end

  local function begin(t, data, options, epochs, who)
    t:begin(mg.data.dataset(data, who), option("batch", options, data, 32), epochs,
      option("shuffle", options, data, false))
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
    check.optional("table", options, "evaluate", "options")
    local set = mg.data.dataset(data, "evaluate")
    return report(t, {}, "", true, t:assess(set, option("batch", options, data, 256)))
  end

  local runs = setmetatable({}, { __mode = "k" }) -- trainer -> what its run trains on

  local run_options = { ms = true, steps = true, epochs = true, batch = true, shuffle = true }

  --- Trains for about 'ms' milliseconds or 'steps' batches (at least one batch),
  -- going on where the last call with the same data stopped.
  -- @param data  dataset or {x=, y=, batch=, shuffle=}
  -- @tparam table options  ms, steps, epochs (1), batch, shuffle
  -- @treturn string  "more", or "done" when all epochs are over
  -- @treturn number  mean loss of the epoch so far
  function methods.run(t, data, options)
    check.is("trainer", t, "run", "self")
    options = check.options(options or {}, run_options, "run")
    local epochs, now = option("epochs", options, data, 1), runs[t]
    if not now or now.data ~= data or now.epochs ~= epochs then
      begin(t, data, options, epochs, "run")
      now = { data = data, epochs = epochs }
      runs[t] = now
    end
    if now.done then return "done", now.loss end
    local done, _, loss = t:advance(options.steps, options.ms)
    now.done, now.loss = done, loss
    return done and "done" or "more", loss
  end

  local clock
  --- Seconds; from the system module where the host has left it in.
  local function seconds()
    if not clock then
      local found, system = pcall(require, "moongrad.system")
      clock = found and type(system) == "table" and system.clock or os.clock
    end
    return clock()
  end

  --- Trains for n epochs, one a round of the loop; leaving it at any point keeps
  -- the net as it is after the last whole batch.
  -- @param data  dataset or {x=, y=, batch=32, shuffle=false, validation=}
  -- @treturn function  yields {epoch=, loss=, seconds=, examples=, metrics by
  --   name, and val_ of each with validation data}
  function methods.epochs(t, n, data, options)
    check.is("trainer", t, "epochs", "self")
    check.integer(n, "epochs", "n", 1)
    check.optional("table", options, "epochs", "options")
    local set, validation = mg.data.dataset(data, "epochs"), option("validation", options, data)
    local watch = options and options.watch
    local run, total, done = {}, #set, false
    begin(t, data, options, n)
    runs[t] = run
    return function()
      if done then return nil end
      if runs[t] ~= run then error("epochs: the trainer has begun another run since", 2) end
      local start = seconds()
      local examples, loss, metrics
      repeat -- in slices, so that hooks and signals of the host get their turn
        done, examples, loss, metrics = t:advance(nil, SLICE, true)
        if watch then watch(examples, total, loss) end
      until done or examples >= total
      local row = report(t, { epoch = t:position() }, "", false, examples, loss, metrics)
      row.seconds = seconds() - start
      if validation then
        report(t, row, "val_", true, t:assess(mg.data.dataset(validation),
          option("batch", validation, data, 256)))
      end
      return row
    end
  end

  --------------------------------------------------------------------------- fit

  local function describe(row, names)
    local parts = {}
    for _, name in ipairs(names) do
      if type(row[name]) == "number" then parts[#parts + 1] = ("%s %.4f"):format(name, row[name]) end
    end
    return table.concat(parts, "  ")
  end

  local function shown_names(t)
    local names = { "loss" }
    for _, metric in ipairs(t:parts().metrics) do names[#names + 1] = metric[1] end
    for i = 1, #names do names[#names + 1] = "val_" .. names[i] end
    return names
  end

  local fit_options = { progress = true, patience = true, on_epoch = true, log = true,
                        batch = true, shuffle = true, validation = true }

  --- Trains for up to n epochs.
  -- @param data  as for epochs
  -- @tparam[opt] table options  progress: draw a bar in a terminal, one line an
  --   epoch elsewhere; patience: stop after so many epochs in a row without a
  --   better val_loss (or loss, without validation data); on_epoch: a function
  --   of the epoch's row, which stops the training by returning false; log: a
  --   file to add one line of JSON an epoch to
  -- @treturn table  the rows of all epochs
  function methods.fit(t, n, data, options)
    check.is("trainer", t, "fit", "self")
    check.integer(n, "fit", "n", 1)
    options = check.options(options or {}, fit_options, "fit")
    check.optional("function", options.on_epoch, "fit", "on_epoch")
    check.optional("string", options.log, "fit", "log")
    check.optional("number", options.patience, "fit", "patience")
    mg.data.dataset(data, "fit")
    local rows, names, best, waited = {}, shown_names(t), math.huge, 0
    local log, json
    if options.log then
      json = require "cjson"
      local message
      log, message = io.open(options.log, "a")
      if not log then return nil, message end
    end
    local progress = options.progress and require "moongrad.progress"
    local bar
    local passing = { batch = options.batch, shuffle = options.shuffle,
                      validation = options.validation,
                      watch = progress and function(at, total, loss)
      if not bar then
        bar = progress.new { total = total, label = ("epoch %d/%d"):format(#rows + 1, n) }
      end
      bar:update(at, ("loss %.4f"):format(loss))
    end or nil }
    for row in t:epochs(n, data, passing) do
      rows[#rows + 1] = row
      if progress then
        bar:finish()
        bar = nil
        print(("epoch %d/%d  %s  %.1f s"):format(row.epoch, n, describe(row, names),
          row.seconds))
      end
      if log then
        log:write(json.encode(row), "\n")
        log:flush()
      end
      local loss = row.val_loss or row.loss
      waited = loss < best and 0 or waited + 1
      best = math.min(best, loss)
      if options.on_epoch and options.on_epoch(row) == false then break end
      if options.patience and waited >= options.patience then break end
    end
    if log then log:close() end
    return rows
  end

  return methods
end
