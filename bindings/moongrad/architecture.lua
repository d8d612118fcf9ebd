--- Nets as tables of plain values, and back: kinds of layers and all their options by
-- name, shared parts, what is trained. Tables become JSON by lua-cjson.
--
-- A node is {layer=, options=} for a layer of the core or {class=, arguments=} for one of
-- mg.module, with name, frozen and eval where they are so; input: the size it was built for;
-- tensors: the names of its own, of which buffers and fixed (without gradient) are some and
-- shared = {name = full name} lie elsewhere; parts: nodes, each with its name as part, or
-- {part=, same=} for a layer that is elsewhere.

local VERSION, MOST_DEPTH = 1, 100

return function(mg, core, require)
  local check, unpack = require "moongrad.check", table.unpack or unpack
  local architecture, json = {}, nil

  --- lua-cjson, with settings of our own.
  local function cjson(who)
    if json then return json end
    local module = require "moongrad.check".module(require, "cjson")
    if not module then
      check.fail(who, "the layers of a net are kept in JSON, for which the rock lua-cjson is"
        .. " needed, which is not here")
    end
    json = module.new()
    return json
  end

  --- JSON whose keys are in order: the same net gives the same bytes.
  local function to_text(v)
    if type(v) ~= "table" then return json.encode(v) end
    local parts, keys = {}, {}
    if #v > 0 then
      for i, value in ipairs(v) do parts[i] = to_text(value) end
      return "[" .. table.concat(parts, ",") .. "]"
    end
    for key in pairs(v) do keys[#keys + 1] = key end
    table.sort(keys)
    for i, key in ipairs(keys) do parts[i] = json.encode(key) .. ":" .. to_text(v[key]) end
    return "{" .. table.concat(parts, ",") .. "}"
  end

  ---------------------------------------------------------------- plain values

  local made -- function below

  --- A value as JSON can hold it exactly: lists as they are, other tables as {fields=},
  -- numbers of more digits than JSON would get as {number=}, layers as {layer=}.
  local function encode(v, what, level)
    local kind = core.type(v) or type(v)
    if v == nil then return json.null end
    if kind == "boolean" or kind == "string" then return v end
    if kind == "number" then
      if tonumber(("%.14g"):format(v)) == v and v - v == 0 then return v end
      return { number = v ~= v and "nan" or v - v ~= 0 and (v > 0 and "inf" or "-inf")
        or (("%.17g"):format(v):gsub(",", ".")) }
    end
    if kind == "layer" then return { layer = made(v, what, level, true) } end
    if kind ~= "table" then
      check.fail("save", "%s is a %s, which a file cannot hold", what, kind)
    end
    if level > MOST_DEPTH then check.fail("save", "%s nests too deep", what) end
    local n, count, t = #v, 0, {}
    for key, value in pairs(v) do
      count = count + 1
      local listed = type(key) == "number" and key >= 1 and key <= n and key % 1 == 0
      if not listed and (type(key) ~= "string" or n > 0) then
        check.fail("save", "%s is a table that is neither a list nor has names for keys", what)
      end
      t[key] = encode(value, what, level + 1)
    end
    if n > 0 and count == n then return t end
    if n > 0 then check.fail("save", "%s is a list with holes", what) end
    return { fields = t }
  end

  local special = { nan = 0 / 0, inf = 1 / 0, ["-inf"] = -1 / 0 }
  local to_integer = math.tointeger or function(v) return v end
  local make -- function below

  --- The value again; integers are such where Lua has them.
  local function decode(v)
    if v == json.null then return nil end
    if type(v) == "number" then return v % 1 == 0 and to_integer(v) or v end
    if type(v) ~= "table" then return v end
    if v.number then return special[v.number] or tonumber(v.number) end
    if v.layer then return make(v.layer, nil, 1) end
    local t = {}
    for key, value in pairs(v.fields or v) do t[key] = decode(value) end
    return t
  end

  ----------------------------------------------------------------- describing

  --- The node of a layer, as far as it says how it was made; with the layers of a container
  -- where it is 'whole'.
  function made(l, where, level, whole)
    local recipe, made_by = core.recipe(l)
    local node = { name = recipe.name }
    if recipe.layer then
      node.layer, node.options = recipe.layer, {}
      for name, v in pairs(recipe.options) do node.options[name] = encode(v, where, level) end
    elseif made_by then
      node.class, node.arguments = made_by.class, {}
      for i = 1, made_by.n do
        node.arguments[i] = encode(made_by[i],
          ("argument %d of class %q"):format(i, made_by.class), level + 1)
      end
    else
      check.fail("save", "%s is a Lua function, which a file cannot hold; make it a class by"
        .. " mg.module", where)
    end
    if whole and recipe.container then
      node.parts = {}
      for i, part in ipairs(l:describe().parts) do
        node.parts[i] = made(part.layer, where, level + 1, true)
        node.parts[i].part = part.name
      end
    end
    return node, recipe
  end

  local function add(node, list, name)
    node[list] = node[list] or {}
    table.insert(node[list], name)
  end

  --- Its node with all below it; tensors go to the list in 'state'.
  local function describe(l, path, state)
    local where = path == "" and "the net" or ('layer "%s"'):format(path)
    state.layers[l] = path
    local node, recipe = made(l, where, 1)
    node.input = recipe.input
    node.frozen, node.eval = recipe.frozen or nil, not recipe.training or nil
    local prefix = path == "" and "" or path .. "."
    for _, part in ipairs(l:describe().parts) do
      local full = prefix .. part.name
      if part.tensor then
        add(node, "tensors", part.name)
        if part.buffer then add(node, "buffers", part.name)
        elseif not part.tensor.requires_grad then add(node, "fixed", part.name) end
        local id = core.identity(part.tensor)
        if state.tensors[id] then
          node.shared = node.shared or {}
          node.shared[part.name] = state.tensors[id]
        else
          state.tensors[id] = full
          table.insert(state.list, { name = full, tensor = part.tensor })
        end
      elseif state.layers[part.layer] then
        add(node, "parts", { part = part.name, same = state.layers[part.layer] })
      else
        local child = describe(part.layer, full, state)
        child.part = part.name
        add(node, "parts", child)
      end
    end
    return node
  end

  --- The net as JSON, and its tensors: a list of {name=, tensor=}.
  function architecture.encode(net)
    cjson "save"
    local state = { layers = {}, tensors = {}, list = {} }
    local node = describe(net, "", state)
    return to_text { version = VERSION, net = node }, state.list
  end

  --------------------------------------------------------------------- making

  local function fail(text, ...) error({ text:format(...) }, 0) end

  local function where(path) return path == "" and "the net" or ('layer "%s"'):format(path) end

  --- A field of a node that is of that type or not there.
  local function field(node, name, kind)
    local v = node[name]
    if v ~= nil and type(v) ~= kind then fail("%s of a layer is a %s", name, type(v)) end
    return v
  end

  local function fields(node, name) return field(node, name, "table") or {} end

  local function set(list)
    local t = {}
    for _, name in ipairs(list) do t[name] = true end
    return t
  end

  --- A new layer of the node's kind, with the layers of a container only where there is
  -- no 'state'.
  function make(node, state, depth)
    if depth > MOST_DEPTH then fail "layers nest too deep" end
    local class, kind = field(node, "class", "string"), field(node, "layer", "string")
    local options = {}
    if class then
      if not core.classes[class] then
        fail("it has a layer of the class %q, which mg.module has not made here;"
          .. " load(path, {weights_only = true}) reads the tensors", class)
      end
      local list, n = fields(node, "arguments"), 0
      for i, v in pairs(list) do
        if type(i) ~= "number" then fail "arguments are no list" end
        options[i], n = decode(v), math.max(n, i)
      end
      return core.classes[class](unpack(options, 1, n))
    end
    if not kind or not core.layers[kind] then
      fail("it has a layer of the kind %q, which is unknown here;"
        .. " load(path, {weights_only = true}) reads the tensors", tostring(kind))
    end
    for name, v in pairs(fields(node, "options")) do options[name] = decode(v) end
    options.name = field(node, "name", "string")
    local l = core.layers[kind](options)
    for _, child in ipairs(not state and fields(node, "parts") or {}) do
      l:add(make(child, nil, depth + 1), field(child, "part", "string"))
    end
    return l
  end

  --- Parts of a layer by name: {layer=} or {tensor=}.
  local function parts_of(l)
    local parts = {}
    for _, part in ipairs(l:describe().parts) do parts[part.name] = part end
    return parts
  end

  --- The tensor of the file for a part, or the one elsewhere that it is.
  local function tensor_for(node, name, full, state)
    local other = fields(node, "shared")[name]
    local t = other and state.placed[other] or not other and state.tensors[full]
    if not t then fail("tensor %q is missing", other and tostring(other) or full) end
    if not other then state.used[full] = true end
    state.placed[full] = t
    return t
  end

  --- Puts its tensors into a layer: into those it has, or as its own.
  local function place(l, node, path, state)
    local prefix, given, there = path == "" and "" or path .. ".", {}, parts_of(l)
    local buffers, fixed = set(fields(node, "buffers")), set(fields(node, "fixed"))
    local recipe = core.recipe(l)
    for _, name in ipairs(fields(node, "tensors")) do
      if type(name) ~= "string" then fail "the name of a tensor is none" end
      local full = prefix .. name
      local t = tensor_for(node, name, full, state)
      local own = there[name] and there[name].tensor
      if own and own ~= t and (recipe.input or not recipe.layer) then
        if table.concat(own.shape, " ") ~= table.concat(t.shape, " ") then
          fail("tensor %q is {%s}, expected {%s}", full, table.concat(t.shape, ", "),
            table.concat(own.shape, ", "))
        end
        mg.no_grad(own.copy, own, t)
        t = own
        state.placed[full] = t
      elseif not recipe.layer and not own then
        t.requires_grad = not buffers[name]
        l[name] = t
      else
        given[name] = t
      end
      if not buffers[name] then table.insert(state.gradients, { t, not fixed[name] }) end
    end
    if recipe.layer and not recipe.input and node.input then
      core.restore(l, fields(node, "input"), given)
    elseif next(given) then
      fail("%s has tensors that it cannot take", where(path))
    end
  end

  --- The layer of a node with all below it; 'l' where it is there already.
  local function restore(node, path, l, state, depth)
    if type(node) ~= "table" then fail "a layer is no table" end
    if node.same then return state.layers[node.same] or fail "a shared layer is missing" end
    if l then
      local recipe, made_by = core.recipe(l)
      if (recipe.layer or made_by and made_by.class) ~= (node.layer or node.class) then
        fail("%s is a %s, expected a %s", where(path), tostring(node.layer or node.class),
          tostring(recipe.layer or made_by and made_by.class))
      end
    else
      l = make(node, state, depth)
    end
    state.layers[path] = l
    state.order[#state.order + 1] = { l, node }
    place(l, node, path, state)
    local there, recipe = parts_of(l), core.recipe(l)
    for _, child in ipairs(fields(node, "parts")) do
      if type(child) ~= "table" or type(child.part) ~= "string" then
        fail "a part has no name"
      end
      local full = path == "" and child.part or path .. "." .. child.part
      local old = there[child.part] and there[child.part].layer
      local new = restore(child, full, old, state, depth + 1)
      if new ~= old and recipe.layer then l:add(new, child.part)
      elseif new ~= old then l[child.part] = new end
    end
    return l
  end

  --- What trains and what does not: from the net down, as each call is for all below.
  local function settle(state)
    for _, entry in ipairs(state.order) do
      local l, node = entry[1], entry[2]
      if node.eval then l:eval() else l:train() end
      if node.frozen then l:freeze() elseif core.recipe(l).frozen then l:unfreeze() end
    end
    for _, entry in ipairs(state.gradients) do entry[1].requires_grad = entry[2] end
  end

  local function build(text, tensors)
    local ok, whole = check.pcall(json.decode, text)
    if not ok or type(whole) ~= "table" or type(whole.net) ~= "table" then
      fail "what it says of the net is no JSON of ours"
    end
    if whole.version ~= VERSION then
      fail("it is of version %s of the format, this library knows %d", tostring(whole.version),
        VERSION)
    end
    local state = { tensors = tensors, layers = {}, order = {}, placed = {}, used = {},
                    gradients = {} }
    local net = restore(whole.net, "", nil, state, 1)
    for name in pairs(tensors) do
      if not state.used[name] then fail("tensor %q belongs to no layer", name) end
    end
    settle(state)
    return net
  end

  --- The net of a text made by encode, with these tensors by name, which become its own;
  -- or nil and what is wrong.
  function architecture.decode(text, tensors)
    cjson "load"
    local ok, net = check.pcall(build, text, tensors)
    if ok then return net end
    return nil, type(net) == "table" and net[1] or tostring(net)
  end

  ---------------------------------------------------------------------- names

  --- All tensors of a net by their full names, and other names that they have, where a
  -- tensor or a layer is in several places.
  function architecture.names(net)
    local list, by_id, aliases, count = {}, {}, {}, 0
    local function walk(l, prefix)
      for _, part in ipairs(l:describe().parts) do
        local full = prefix .. part.name
        count = count + 1
        if part.layer and count < 1e5 then walk(part.layer, full .. ".") end
        local id = part.tensor and core.identity(part.tensor)
        if id and by_id[id] then
          aliases[full] = by_id[id]
        elseif id then
          by_id[id] = full
          list[#list + 1] = { name = full, tensor = part.tensor }
        end
      end
    end
    walk(net, "")
    return list, aliases
  end

  return architecture
end
