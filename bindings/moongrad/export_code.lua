--- What the formats that are source code share: a graph as calls of helper functions.
--
-- A library has the helpers by name: { "the names of its arguments", its body, "other
-- helpers that it calls" }. The arguments of a call are the fields of a node of the same
-- names. Beside numbers these are values, weights ({values=} or {integers=}), and helpers
-- themselves ({helper=}), room for so many numbers ({scratch=}).

local code = {}

--- A number as text that every reader takes for the same float32, whatever the locale.
function code.number(v)
  return (("%.9g"):format(v):gsub(",", "."))
end

--- Words with separators between them, in lines of at most 96 characters.
function code.wrap(words, separator)
  local lines, line = {}, ""
  for i, word in ipairs(words) do
    if #line + #word > 95 then lines[#lines + 1], line = line:gsub("%s+$", ""), "" end
    line = line .. word .. (i < #words and separator or "")
  end
  lines[#lines + 1] = line
  return table.concat(lines, "\n")
end

--- Lists joined, reshaped values put in the place of what they are: steps {helper, node,
-- y} whose fields 'y' and values are numbers of buffers.
local function steps_of(graph)
  local root, steps = {}, {}
  local function place(v) return root[v.id] or v.id end
  for _, node in ipairs(graph.nodes) do
    if node.kind == "reshape" then
      root[node.y.id] = place(node.x)
    elseif node.kind == "concat" then
      local at, total = 0, 0
      for _, width in ipairs(node.widths) do total = total + width end
      for i, x in ipairs(node.list) do
        steps[#steps + 1] = { helper = "place", node = { x = x, y = node.y, rows = node.rows,
          width = node.widths[i], at = at, total = total } }
        at = at + node.widths[i]
      end
    else
      steps[#steps + 1] = { helper = node.helper or node.kind, node = node }
    end
  end
  return steps, place
end

--- The values that a step reads, and the one that it writes, as numbers of buffers.
local function buffers_of(step, params, place)
  local reads = {}
  for name in params:gmatch "%S+" do
    local v = step.node[name]
    if name ~= "y" and type(v) == "table" and v.id then reads[#reads + 1] = place(v) end
  end
  return reads, place(step.node.y)
end

--- A graph as a program.
-- @tparam table show  how things look in the language: value(buffer), weight(position,
--   weight), helper(name), scratch, none
-- @treturn table  steps (a list of {call=, reads=, writes=, scratch=}, the last one how many
--   numbers it needs for itself), helpers (names, each behind those that it calls), weights,
--   input and output (buffers)
function code.program(graph, library, show)
  local steps, place = steps_of(graph)
  local program = { steps = {}, helpers = {}, weights = {}, input = graph.input.id,
                    output = place(graph.output) }
  local position, known = {}, {}
  local function need(name, node)
    if known[name] then return end
    if not library[name] then
      graph.path = node.path
      graph:fail('needs "%s", which cannot be exported', name)
    end
    known[name] = true
    for other in (library[name][3] or ""):gmatch "%S+" do need(other, node) end
    program.helpers[#program.helpers + 1] = name
  end
  local function weight(w)
    if not position[w] then
      program.weights[#program.weights + 1] = w
      position[w] = #program.weights
    end
    return show.weight(position[w], w)
  end
  local function argument(v, node)
    if v == nil then return show.none end
    if type(v) == "number" then return code.number(v) end
    if v.id then return show.value(place(v)) end
    if v.scratch then return show.scratch end
    if v.helper then
      need(v.helper, node)
      return show.helper(v.helper)
    end
    return weight(v)
  end
  for i, step in ipairs(steps) do
    need(step.helper, step.node)
    local params, list = library[step.helper][1], {}
    for name in params:gmatch "%S+" do list[#list + 1] = argument(step.node[name], step.node) end
    local reads, writes = buffers_of(step, params, place)
    program.steps[i] = { reads = reads, writes = writes,
      scratch = (" " .. params .. " "):find " work " and step.node.work.scratch,
      call = ("%s(%s)"):format(show.helper(step.helper), table.concat(list, ", ")) }
  end
  return program
end

return code
