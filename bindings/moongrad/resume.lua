--- The state of a trainer in a file: what it needs to go on as if it had never stopped.
--
-- Tensors are under their names: weights and buffers as in a file of the net alone, what
-- the optimizer remembers of them as "optimizer/mean/0.weight". All other values are in
-- one text under "trainer" in the metadata, in JSON, numbers as exact texts.

return function(mg, core, require)
  local check = require "moongrad.check"
  local files = require "moongrad.files"
  local safetensors = require "moongrad.safetensors"(mg, core, require)
  local architecture = require "moongrad.architecture"(mg, core, require)
  local methods = {}

  --- lua-cjson, whose settings we do not need: all values are texts.
  local function cjson(who)
    local module = check.module(require, "cjson")
    if module then return module end
    error(who .. ": the state of a trainer is kept in JSON, for which the rock lua-cjson is"
      .. " needed, which is not here", 0)
  end

  --- Texts, lists and tables of them as JSON, the same each time.
  local function encode(json, v)
    if type(v) == "string" then return json.encode(v) end
    local words, open, close = {}, "[", "]"
    for _, one in ipairs(v) do words[#words + 1] = encode(json, one) end
    if #words == 0 then
      local names = {}
      for name in pairs(v) do names[#names + 1] = name end
      table.sort(names)
      for _, name in ipairs(names) do
        words[#words + 1] = json.encode(name) .. ":" .. encode(json, v[name])
      end
      open, close = "{", "}"
    end
    return open .. table.concat(words, ",") .. close
  end

  ------------------------------------------------------------------ exact numbers

  --- A number as text: "12", or "5*2^-3" for 0.625. In decimals it would not be exact.
  local function to_text(v)
    if v ~= v then return "nan" end
    if v == math.huge or v == -math.huge then return v > 0 and "inf" or "-inf" end
    local power = 0
    while v % 1 ~= 0 do v, power = v * 2, power - 1 end
    return ("%.0f"):format(v) .. (power < 0 and "*2^" .. ("%d"):format(power) or "")
  end

  local odd = { nan = 0 / 0, inf = math.huge, ["-inf"] = -math.huge }

  --- What to_text made, back; nil for any other text.
  local function to_number(text)
    if type(text) ~= "string" then return nil end
    if odd[text] then return odd[text] end
    local whole, power = text:match("^(%-?%d+)%*2%^(%-%d+)$")
    local v = tonumber(whole or text:match("^%-?%d+$"))
    if not v or not power then return v and v + 0.0 end
    for _ = 1, math.min(-tonumber(power), 1100) do v = v / 2 end
    return v
  end

  local function each(list, f)
    local all = {}
    for i, v in ipairs(list) do all[i] = f(v) end
    return all
  end

  ------------------------------------------------------------------------- plateau

  local plateau_fields = { "lr", "best", "bad", "resting" }

  local function plateau_out(o)
    local plateau = core.plateau_of(o)
    if not plateau then return nil end
    local values = {}
    for _, name in ipairs(plateau_fields) do values[name] = to_text(plateau[name]) end
    return values
  end

  --- Are the values there, and is there a plateau to take them? Else a sentence.
  local function plateau_problem(o, values)
    local plateau = core.plateau_of(o)
    if (plateau ~= nil) ~= (values ~= nil) then
      return values and "load: its learning rate waits for a plateau; make the optimizer with it"
        or "load: its learning rate did not wait for a plateau, as this one does"
    end
    for _, name in ipairs(plateau and plateau_fields or {}) do
      if type(values) ~= "table" or not to_number(values[name]) then
        return ('load: "%s" of the plateau is missing'):format(name)
      end
    end
  end

  local function plateau_in(o, values)
    for _, name in ipairs(values and plateau_fields or {}) do
      core.plateau_of(o)[name] = to_number(values[name])
    end
  end

  ------------------------------------------------------------------- loops of Lua

  local BEST = "best/"

  --- How far epochs and fit are, as texts; the weights of fit's best epoch go to tensors.
  local function loop_out(t, tensors)
    local run = core.runs[t]
    if not run then return nil end
    local fit = run.fit or {}
    for name, copy in pairs(fit.copies or {}) do tensors[BEST .. name] = copy end
    return {
      kind = run.kind, over = run.over and "yes" or "no", rows = to_text(run.rows or 0),
      best = fit.best and to_text(fit.best), waited = to_text(fit.waited or 0),
      epoch = fit.epoch and to_text(fit.epoch),
    }
  end

  local function whole(text)
    local v = to_number(text)
    return v and v >= 0 and v % 1 == 0 and v < 2 ^ 53 and math.floor(v) or nil
  end

  --- Moves the weights of fit's best epoch, by their names, out of tensors; nil where one
  -- is missing or has another shape than the net's.
  local function take_copies(tensors)
    local copies
    for name, tensor in pairs(tensors) do
      if name:sub(1, #BEST) == BEST then
        copies = copies or {}
        copies[name:sub(#BEST + 1)] = tensor
      end
    end
    for name, copy in pairs(copies or {}) do
      local own = tensors[name]
      if not own or table.concat(own.shape, " ") ~= table.concat(copy.shape, " ") then
        return nil, ('load: "%s%s" belongs to no weight'):format(BEST, name)
      end
      tensors[BEST .. name] = nil
    end
    return copies or false
  end

  --- The record of a run that train.lua goes on with, false where there is none; nil and a
  -- sentence where it makes no sense. 'values' are the core's.
  local function loop_in(loop, tensors, values)
    local copies, message = take_copies(tensors)
    if copies == nil then return nil, message end
    if loop == nil then return false end
    local run = type(loop) == "table" and {
      kind = loop.kind, over = loop.over == "yes", rows = whole(loop.rows), loaded = true,
      epochs = whole(values["run/epochs"]), batch = whole(values["run/batch"]),
      at = whole(values["run/at"]), count = whole(values["run/count"]),
      shuffle = values["run/shuffle"] == "1", accumulate = whole(values.accumulate),
      fit = { best = to_number(loop.best), waited = whole(loop.waited),
              epoch = whole(loop.epoch), copies = copies or nil },
    }
    local sound = run and (run.kind == "run" or run.kind == "epochs") and run.rows and run.epochs
      and run.batch and run.at and run.count and run.accumulate and run.fit.waited
    if not sound then return nil, "load: where its run stands makes no sense" end
    return run
  end

  --------------------------------------------------------------------------- files

  --- The state as a list of tensors and texts. With those of the net that a file can hold,
  -- mg.load finds the net.
  local function contents(t)
    local json, tensors, values, list = cjson "save", {}, {}, {}
    for name, v in pairs(core.state_out(t)) do
      if core.type(v) == "tensor" then tensors[name] = v
      elseif type(v) == "table" then values[name] = each(v, to_text)
      else values[name] = v end
    end
    local texts = { trainer = encode(json, {
      state = values, plateau = plateau_out(t:parts().optimizer), loop = loop_out(t, tensors),
    }) }
    local plain, net = check.pcall(architecture.encode, t:parts().net)
    texts.moongrad = plain and net or nil -- or no word on the net
    for name, tensor in pairs(tensors) do list[#list + 1] = { name = name, tensor = tensor } end
    table.sort(list, function(a, b) return a.name < b.name end)
    return list, texts
  end

  --- Writes all that training needs to go on as if it had never stopped into a safetensors
  -- file, which mg.load takes for one of the net. It replaces an old one at once, when all
  -- of it is on the disk. Between batches it can be called anywhere, in on_batch too.
  -- @treturn boolean  true; or nil, a message and a code, the old file as it was
  function methods.save(t, path)
    check.is("trainer", t, "save", "self")
    check.is("string", path, "save", "path")
    local list, texts = contents(t)
    return files.write(path, function(write) safetensors.write(write, list, texts) end)
  end

  --- Names, values and numbers as core.state_in takes them; nil where a value is none.
  local function flatten(tensors, values)
    local names, list, numbers = {}, {}, {}
    local function add(name, v) names[#names + 1], list[#list + 1] = name, v end
    for name, v in pairs(tensors) do add(name, v) end
    for name, v in pairs(values) do
      if type(v) ~= "table" then
        add(name, tostring(v))
      else
        add(name, #v)
        for _, text in ipairs(v) do
          local number = to_number(text)
          if not number then return nil end
          numbers[#numbers + 1] = number
        end
      end
    end
    return names, list, numbers
  end

  --- Forgets where the run stands.
  local function without_run(tensors, state)
    local values = {}
    for name, v in pairs(state) do
      if name:sub(1, 4) ~= "run/" then values[name] = v end
    end
    for name in pairs(tensors) do
      if name:sub(1, #BEST) == BEST then tensors[name] = nil end
    end
    return values
  end

  --- Takes what contents made: true, or nil and what does not fit; nothing has changed then.
  local function take(t, own, text, keep_run)
    local fine, all = check.pcall(cjson "load".decode, text)
    if not fine or type(all) ~= "table" or type(all.state) ~= "table" then
      return nil, "load: the state of the trainer is damaged"
    end
    if not keep_run then all.state, all.loop = without_run(own, all.state), nil end
    local optimizer = t:parts().optimizer
    local run, message = loop_in(all.loop, own, all.state)
    if run == nil then return nil, message end
    local problem = plateau_problem(optimizer, all.plateau)
    if problem then return nil, problem end
    local names, list, numbers = flatten(own, all.state)
    if not names then return nil, "load: a number of the trainer's state is damaged" end
    local ok, why = core.state_in(t, names, list, numbers)
    if not ok then return nil, why end
    plateau_in(optimizer, all.plateau)
    core.runs[t] = run or nil
    return true
  end

  --- Takes what save wrote, in a trainer of the same net, optimizer and metrics: weights,
  -- buffers, what the optimizer remembers, rates, the generator of random numbers, and the
  -- place in the run. With the same data, the next call of run, epochs or fit goes on there.
  -- @tparam[opt] table options  run: false to leave the run out, and begin another one
  -- @treturn boolean  true; or nil, a message and a code, and nothing has changed
  function methods.load(t, path, options)
    check.is("trainer", t, "load", "self")
    check.is("string", path, "load", "path")
    local keep_run = check.options(options or {}, { run = true }, "load").run
    check.optional("boolean", keep_run, "load", "run")
    return files.read(path, function(read, size)
      local list, texts = safetensors.read(read, size)
      if not texts.trainer then
        files.fail "it holds no trainer; net:load_weights takes weights alone"
      end
      local tensors = {}
      for _, entry in ipairs(list) do tensors[entry.name] = entry.tensor end
      local ok, message = take(t, tensors, texts.trainer, keep_run ~= false)
      if not ok then files.fail((message:gsub("^load: ", ""))) end
      return true
    end)
  end

  return methods
end
