--- Nets and tensors in files: mg.save, mg.load, mg.dump, mg.undump; net:save,
-- net:load_weights.

return function(mg, core, require)
  local check = require "moongrad.check"
  local safetensors = require "moongrad.safetensors"(mg, core, require)
  local architecture = require "moongrad.architecture"(mg, core, require)
  local files = require "moongrad.files"
  local model, methods = {}, {}

  --- What to write for a net or a table of tensors: a list of {name=, tensor=}, texts.
  local function contents(v, who)
    if core.type(v) == "layer" then
      check.is("layer", v, who, "value")
      local text, list = architecture.encode(v)
      return list, { moongrad = text }
    end
    if type(v) ~= "table" then
      check.fail(who, "value is %s, expected a net or a table of tensors by name", check.what(v))
    end
    local list = {}
    for name, t in pairs(v) do
      if type(name) ~= "string" then
        check.fail(who, "a key is %s, expected names of tensors", check.what(name))
      end
      check.is("tensor", t, who, name)
      list[#list + 1] = { name = name, tensor = t }
    end
    table.sort(list, function(a, b) return a.name < b.name end)
    return list, {}
  end

  --- Of a trainer's file, what is the net's (see resume.lua).
  local function weights(list, texts)
    local tensors = {}
    for _, t in ipairs(list) do
      local other = texts.trainer and (t.name:find "^optimizer/" or t.name:find "^best/")
      if not other then tensors[t.name] = t.tensor end
    end
    return tensors
  end

  --- The net or the tensors by name of what was read.
  local function value(list, texts, weights_only)
    if weights_only or not texts.moongrad then
      return weights(list, weights_only and {} or texts)
    end
    local net, message = architecture.decode(texts.moongrad, weights(list, texts))
    if not net then files.fail(message) end
    return net
  end

  --- What f(list, texts) makes of a file's tensors and texts.
  local function read_file(path, f)
    return files.read(path, function(read, size) return f(safetensors.read(read, size)) end)
  end

  local known = { weights_only = true }

  --- Writes a net with all its layers and weights, or a table of tensors by name, into a
  -- safetensors file. It replaces an old one at once, when all of it is on the disk.
  -- @treturn boolean  true; or nil, a message and a code, the old file as it was
  function model.save(path, v)
    check.is("string", path, "save", "path")
    local list, texts = contents(v, "save")
    return files.write(path, function(write) safetensors.write(write, list, texts) end)
  end

  --- The net or the table of tensors in a file; of a file of another program the tensors.
  -- @tparam[opt] table options  weights_only: true for the tensors by name in any case
  -- @treturn layer|table  or nil, a message and a code
  function model.load(path, options)
    check.is("string", path, "load", "path")
    local weights_only = check.options(options or {}, known, "load").weights_only
    return read_file(path, function(list, texts) return value(list, texts, weights_only) end)
  end

  --- What save would write, as a string.
  function model.dump(v)
    local list, texts = contents(v, "dump")
    return files.to_string(function(write) safetensors.write(write, list, texts) end)
  end

  --- What load would read, from a string.
  function model.undump(bytes, options)
    check.is("string", bytes, "undump", "bytes")
    local weights_only = check.options(options or {}, known, "undump").weights_only
    return files.from_string(bytes, function(read, size)
      local list, texts = safetensors.read(read, size)
      return value(list, texts, weights_only)
    end)
  end

  --- net:save(path): as mg.save.
  function methods.save(net, path)
    check.is("layer", net, "save", "self")
    return model.save(path, net)
  end

  -------------------------------------------------------------------- weights

  --- The tensor's name in the net; nil for one that is to be left out.
  local function renamed(name, rename)
    if not rename then return name end
    local new
    if type(rename) == "function" then new = rename(name) or false else new = rename[name] end
    if new == nil then return name end
    if new and type(new) ~= "string" then
      check.fail("load_weights", "rename gives %s for %q, expected a string", check.what(new),
        name)
    end
    return new or nil
  end

  local function shape(t) return "{" .. table.concat(t.shape, ", ") .. "}" end

  local MOST = 8 -- names of a kind in an error

  local function sentence(kinds)
    local parts = {}
    for _, kind in ipairs(kinds) do
      local names = kind[2]
      table.sort(names)
      if #names > MOST then
        names[MOST] = ("and %d more"):format(#names - MOST + 1)
        for i = #names, MOST + 1, -1 do names[i] = nil end
      end
      if #names > 0 then parts[#parts + 1] = kind[1] .. " " .. table.concat(names, ", ") end
    end
    return #parts > 0 and table.concat(parts, "; ") or nil
  end

  --- Pairs of the net's tensors and those to copy into them; or nil and why they do not
  -- fit.
  local function match(net, tensors, rename)
    local own, aliases = architecture.names(net)
    local given, missing, unexpected, other = {}, {}, {}, {}
    for name, t in pairs(tensors) do
      local new = renamed(name, rename)
      if new and given[new] then unexpected[#unexpected + 1] = name .. " (there twice)" end
      if new then given[new] = t end
    end
    for alias, name in pairs(aliases) do
      given[name], given[alias] = given[name] or given[alias], nil
    end
    local matched = {}
    for i, p in ipairs(own) do
      local t = given[p.name]
      given[p.name] = nil
      if not t then missing[#missing + 1] = p.name
      elseif shape(t) ~= shape(p.tensor) then
        other[#other + 1] = ("%s %s, expected %s"):format(p.name, shape(t), shape(p.tensor))
      else matched[i] = { p.tensor, t } end
    end
    for name in pairs(given) do unexpected[#unexpected + 1] = name end
    local wrong = sentence { { "missing:", missing }, { "unexpected:", unexpected },
                             { "of another shape:", other } }
    if #own == 0 and wrong then wrong = wrong .. "; the net is not built yet" end
    return not wrong and matched or nil, wrong
  end

  --- Copies all or nothing.
  local function copy(matched)
    mg.no_grad(function()
      for _, pair in ipairs(matched) do pair[1]:copy(pair[1]) end -- is it refused?
      for _, pair in ipairs(matched) do pair[1]:copy(pair[2]) end
    end)
  end

  --- Copies weights and buffers from a file or a table of tensors by name, all of them or,
  -- where names or shapes do not fit, none.
  -- @tparam[opt] table|function rename  the net's name for a name of the file, as
  --   {[foreign] = own} or a function; false leaves a tensor out
  -- @treturn layer  the net; or nil, a message and a code
  function methods.load_weights(net, from, rename)
    check.is("layer", net, "load_weights", "self")
    if type(rename) ~= "function" then
      check.optional("table", rename, "load_weights", "rename")
    end
    if type(from) == "table" then
      for name, t in pairs(from) do check.is("tensor", t, "load_weights", tostring(name)) end
      local matched, wrong = match(net, from, rename)
      if not matched then check.fail("load_weights", "the weights do not fit; %s", wrong) end
      copy(matched)
      return net
    end
    check.is("string", from, "load_weights", "path")
    return read_file(from, function(list, texts)
      local matched, wrong = match(net, weights(list, texts), rename)
      if not matched then files.fail("the weights do not fit; " .. wrong) end
      copy(matched)
      return net
    end)
  end

  model.set_files = files.set_files
  return model, methods
end
