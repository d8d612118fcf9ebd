--- mg.plot: pictures of training and of nets, as text for a terminal, as PNG, as SVG, or by
-- gnuplot.
--
--   print(mg.plot.loss(rows))                   -- text
--   mg.plot.loss(rows, { out = "loss.png" })    -- true; or nil, a message and a code
--
-- The file's name chooses who draws; mg.plot.backend = "svg" and so on overrules it.
-- What each function draws is in plot_training.lua and plot_nets.lua: they make pictures of
-- marks, plot_frame.lua lays these out, and the back ends plot_*.lua draw them.

return function(mg, core, require)
  local check = require "moongrad.check"
  local files = require "moongrad.files"

  local by_name = { png = "png", svg = "svg", txt = "terminal",
                    pdf = "gnuplot", eps = "gnuplot", gp = "gnuplot" }
  local backends = { terminal = true, png = true, svg = true, gnuplot = true }
  local common = { out = "string", title = "string", width = true, height = true, color = true }
  local depths = { truecolor = true, ["256"] = true, none = true }

  local function quoted(v) return type(v) == "string" and '"' .. v .. '"' or check.what(v) end

  --- Who draws, by the file's name or mg.plot.backend.
  local function chosen(who, out)
    local name, ending = mg.plot.backend, out and out:match("%.(%w+)$")
    if name ~= nil and not backends[name] then
      check.fail(who, 'mg.plot.backend is %s, expected "terminal", "png", "svg" or "gnuplot"',
        quoted(name))
    end
    if name or not out then return name or "terminal" end
    local found = ending and by_name[ending:lower()]
    if found then return found end
    check.fail(who, 'out is "%s", expected a name that ends in .png, .svg, .txt, .pdf or .eps',
      (out:gsub("%c", "?")))
  end

  --- Checks what all functions take; 'own' are the further options of one, by name, with
  -- the type each has, or true for any.
  local function options_of(who, options, own)
    local known = {}
    for name, kind in pairs(common) do known[name] = kind end
    for name, kind in pairs(own) do known[name] = kind end
    options = check.options(options == nil and {} or options, known, who)
    for name, v in pairs(options) do
      if known[name] ~= true then check.is(known[name], v, who, name) end
    end
    local backend = chosen(who, options.out)
    local paper = backend ~= "terminal"
      and (backend ~= "gnuplot" or not (options.out or ".txt"):lower():find("%.txt$"))
    local low, high = paper and 100 or 20, paper and 4000 or 1000
    for name, least in pairs { width = low, height = paper and 60 or 8 } do
      local v = options[name]
      if v ~= nil and not (type(v) == "number" and v >= least and v <= high and v % 1 == 0) then
        check.fail(who, "%s is %s, expected an integer from %d to %d", name,
          type(v) == "number" and tostring(v) or check.what(v), least, high)
      end
    end
    local depth = options.color
    if depth ~= nil and not depths[depth] then
      check.fail(who, 'color is %s, expected "truecolor", "256" or "none"', quoted(depth))
    end
    return options
  end

  --- Draws a picture into a file or a string.
  local function draw(who, picture, options)
    local backend = require("moongrad.plot_" .. chosen(who, options.out))
    picture.title = options.title or picture.title
    local bytes, message, code = backend.render(picture, options)
    if not bytes then return nil, message, code end
    if not options.out then return bytes end
    return files.write(options.out, function(write) write(bytes) end)
  end

  local plot = {}
  local tools = { options = options_of, draw = draw }
  for _, part in ipairs { "plot_training", "plot_nets" } do
    require("moongrad." .. part)(plot, tools, mg, core, require)
  end
  return plot
end
