-- Writes moongrad.c, moongrad.h (the core) and lmoongrad.c (the binding and its Lua files)
-- of all sources: one file each, for one compiler line. "make amalgamation" calls it with
-- lists of files and what an instruction set is compiled with:
--
--   generate.lua out=FOLDER cc=COMPILER core=FILES bind=FILES system=FILES isa=FILES
--                wide=FILES sets="avx2 avx512" avx2=FLAGS avx512=FLAGS
--
-- Names that a file keeps for itself would meet those of other files. So they stand under
-- #defines that put the file's name behind them, taken back after it. What is compiled for
-- each instruction set stands in moongrad.c once; that file includes itself under another
-- MGRAD_ISA, where such names get the set's name as well.

local options = {}
for _, a in ipairs(arg) do
  local key, value = a:match("^(%w+)=(.*)$")
  options[key] = value
end

local function words(s)
  local list = {}
  for w in s:gmatch("%S+") do list[#list + 1] = w end
  return list
end

local function set(list)
  local s = {}
  for _, v in ipairs(list) do s[v] = true end
  return s
end

local function sorted(s)
  local list = {}
  for k in pairs(s) do list[#list + 1] = k end
  table.sort(list)
  return list
end

local function read(path)
  local f = assert(io.open(path, "rb"))
  local s = f:read("*a")
  f:close()
  return s
end

--- "core/ops/x.c" including "../op.h" gives "core/op.h".
local function resolve(from, to)
  local folder = from:match("^(.*)/")
  while to:sub(1, 3) == "../" do
    folder, to = folder:match("^(.*)/") or "", to:sub(4)
  end
  return (folder ~= "" and folder .. "/" or "") .. to
end

-------------------------------------------------- the names that a file keeps for itself

--- Adds types, tags, constants of enums and static names that preprocessed text declares,
-- and to 'members' the words in its structs.
local function find_names(text, names, members)
  local inside = {}
  local function put_away(s)
    inside[#inside + 1] = s:sub(2, -2)
    return s:sub(1, 1) .. #inside .. s:sub(-1)
  end
  text = text:gsub("\\.", ""):gsub('"[^"]*"', '""'):gsub("'[^']*'", "0")
  text = text:gsub("__attribute__%s*%b()", ""):gsub("%b[]", "")
  text = text:gsub("%b{}", put_away):gsub("%b()", put_away)
  text = text:gsub("(%(%d+%)%s*){%d+}", "%1;") -- a body ends a function
  for declaration in text:gmatch("[^;]+") do
    for kind, tag, n in declaration:gmatch("(%l+)%s+([%w_]*)%s*{(%d+)}") do
      if tag == "enum" or tag == "struct" or tag == "union" then kind, tag = tag, "" end
      if tag ~= "" then names[tag] = true end
      local text_inside = kind == "enum" and "" or inside[tonumber(n)]
      for word in text_inside:gmatch("[%a_][%w_]*") do members[word] = true end
      for constant in (kind == "enum" and inside[tonumber(n)] or ""):gmatch("[^,]+") do
        names[constant:match("[%a_][%w_]*") or tag] = true
      end
    end
    if declaration:find("%f[%w_]static%f[^%w_]") or declaration:find("%f[%w_]typedef%f[^%w_]") then
      local head = declaration:match("^[^=]*"):gsub("{%d+}", "")
      local name, n = head:match("([%a_][%w_]*)%s*%((%d+)%)")
      local pointer = n and inside[tonumber(n)]:match("^%s*%*%s*([%a_][%w_]*)")
      name = pointer or name or head:match("([%a_][%w_]*)%s*$")
      if name then names[name] = true end
    end
  end
  names[""] = nil
end

local kept = {}   -- by file
local fields = {} -- words in structs: of a file, and under "h" of all headers

--- Finds the names of 'path' and the headers it includes, as the preprocessor shows them.
local function preprocess(path, flags)
  local pipe = assert(io.popen(("%s -std=c11 -E %s %s"):format(options.cc, flags, path)))
  local texts, file = {}, nil
  for line in pipe:lines() do
    local marker = line:match('^# %d+ "([^"]*)"')
    if marker then
      file = marker:find("%.def$") and file or marker:gsub("[^/]+/%.%./", "")
    elseif not line:find("^#") then
      texts[file] = texts[file] or {}
      table.insert(texts[file], line)
    end
  end
  assert(pipe:close(), path .. " cannot be preprocessed")
  for name, list in pairs(texts) do
    local place = name:match("%.(h)$") or name
    kept[name], fields[place] = kept[name] or {}, fields[place] or {}
    find_names(table.concat(list, "\n"), kept[name], fields[place])
  end
end

local function macros(path, names)
  for name in ("\n" .. read(path)):gmatch("\n%s*#%s*define%s+([%w_]+)") do names[name] = true end
  return names
end

------------------------------------------------------------------------------- writing

local out

local function write(...) out:write(table.concat({ ... }, "\n"), "\n") end

local done -- headers that are written

local function banner(path) write("", "/* ==== " .. path .. " ==== */", "") end

--- The headers of ours that a file includes.
local function included(path)
  local list = {}
  for name in ("\n" .. read(path)):gmatch('\n%s*#%s*include%s+"([^"]+%.h)"') do
    local header = resolve(path, name)
    if not name:find("moongrad.h$") and not name:find("^vendor/") then list[#list + 1] = header end
  end
  return list
end

--- A line with other names for some, but in strings and for members of structs.
local function renamed(line, names)
  local strings = {}
  line = line:gsub('\\"', "\1"):gsub('"[^"]*"', function(s)
    strings[#strings + 1] = s
    return '"' .. #strings .. '"'
  end)
  line = line:gsub("()(%f[%a_][%a_][%w_]*)", function(at, word)
    local member = line:find("^%.", at - 1) or line:find("^%->", at - 2)
    return not member and names[word] or word
  end)
  line = line:gsub('"(%d+)"', function(n) return strings[tonumber(n)] end)
  return (line:gsub("\1", '\\"'))
end

--- A file without the system's headers. What is ours comes in its place: lists and foreign
-- code each time, a header once.
local function body(path, other_names)
  for line in (read(path):gsub("\n?$", "\n")):gmatch("(.-)\n") do
    local name = line:match('^%s*#%s*include%s+"([^"]+)"')
    local other = name and resolve(path, name)
    if path:find("/vendor/") then
      write(line)
    elseif not name then
      if not line:find("^%s*#%s*include%s*<") then write(renamed(line, other_names or {})) end
    elseif not name:find("moongrad.h$") and not done[other] then
      done[other] = other:find("%.h$") and not other:find("/vendor/")
      if done[other] then banner(other) end
      body(other)
    end
  end
end

--- All headers that files include, those that pass 'wanted'.
local function write_headers(paths, wanted)
  for _, path in ipairs(paths) do
    for _, h in ipairs(included(path)) do
      if not done[h] and wanted(h) then
        done[h] = true
        banner(h)
        body(h)
      end
    end
  end
end

--- All headers that files include, and those that these include, as a list.
local function all_headers(paths, list)
  list = list or {}
  for _, path in ipairs(paths) do
    for _, h in ipairs(included(path)) do
      if not list[h] then
        list[#list + 1], list[h] = h, true
        all_headers({ h }, list)
      end
    end
  end
  return list
end

--- A source; its own names by 'pattern', in which %s stands for one that ends with the file's.
-- Those that are members of shared structs as well are not left to the preprocessor. A
-- name that headers have as well, by 'above', is theirs again behind it.
local function source(path, pattern, above)
  local prefix = path:gsub("^%w+/", ""):gsub("%.c$", ""):gsub("/", "_")
  banner(path)
  local names, by_hand = {}, {}
  for _, name in ipairs(sorted(kept[path] or {})) do
    local new = pattern:format(name .. "_in_" .. prefix)
    local public = name:find("^l?mgrad_")
    local member = fields.h[name] and not fields[path][name]
    if member and not public then by_hand[name] = new end
    if not member and not public then names[#names + 1] = { name, new } end
  end
  for _, n in ipairs(names) do
    if above and above[n[1]] then write("#undef " .. n[1]) end
    write("#define " .. n[1] .. " " .. n[2])
  end
  body(path, by_hand)
  for _, n in ipairs(names) do
    write("#undef " .. n[1])
    if above and above[n[1]] then write(above[n[1]]) end
  end
  for _, name in ipairs(sorted(macros(path, {}))) do write("#undef " .. name) end
end

--- The headers of the system that files include, and headers of ours there. Those that
-- Windows has not are indented.
local function system_headers(paths)
  local found, of_posix = {}, {}
  local function look(path)
    for indent, name in ("\n" .. read(path)):gmatch("\n(%s*)#%s*include%s*(<[^>]+>)") do
      (indent:find(" ") and of_posix or found)[name] = true
    end
  end
  for _, path in ipairs(paths) do look(path) end
  for _, path in ipairs(all_headers(paths)) do look(path) end
  for _, name in ipairs(sorted(found)) do write("#include " .. name) end
  if next(of_posix) == nil then return end
  write("#ifndef _WIN32")
  for _, name in ipairs(sorted(of_posix)) do write("#include " .. name) end
  write("#endif")
end

local function begin(name, text)
  out = assert(io.open(options.out .. "/" .. name, "wb"))
  write(text, "**", "** Made of the sources of moongrad " .. options.version ..
        " by \"make amalgamation\"; edit those.", "*/")
end

-- What the Makefile says to the compiler is said here to whatever compiler there is. Roots
-- that set errno could not be vectors.
local HIDDEN = [[
#if defined __GNUC__ && !defined _WIN32
#pragma GCC visibility push(hidden)
#endif]]

local STRICT = [[
#if defined __clang__
#pragma STDC FP_CONTRACT OFF
#elif defined __GNUC__
#pragma GCC optimize("fp-contract=off", "no-math-errno", "no-trapping-math")
#if defined _WIN32 /* where GCC aligns the stack for wide vectors only so */
#pragma GCC optimize("no-asynchronous-unwind-tables", "no-unwind-tables")
#endif
#if defined __OPTIMIZE__ && !defined __OPTIMIZE_SIZE__
#pragma GCC optimize("O3")
#endif
#endif
#if defined __GNUC__
extern float sqrtf(float) __attribute__((const));
extern double sqrt(double) __attribute__((const));
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"
#pragma GCC diagnostic ignored "-Wpsabi"
#endif
#if defined __clang__
#pragma clang diagnostic ignored "-Wpass-failed"
#pragma clang diagnostic ignored "-Wunused-function"
#endif]]

-------------------------------------------------------------------------------- the core

local core, bind, system = words(options.core), words(options.bind), words(options.system)
local isa, wide, sets = set(words(options.isa)), set(words(options.wide)), words(options.sets)
local bytes = { avx2 = 32, avx512 = 64 }

--- Is a header compiled for each instruction set?
local function each_set(header)
  return header:find("^core/kernels/") or header:find("^core/ops/")
end

-- Headers of types in which code for a set and what is compiled once meet: these are read
-- once.
local common = set { "core/kernels/windows.h", "core/ops/conv.h" }

local function write_again(name)
  local target, defined = {}, { "MGRAD_ISA " .. name, "MGRAD_VEC_BYTES " .. bytes[name] }
  for _, flag in ipairs(words(options[name])) do
    local key, value = flag:match("^%-D([%w_]+)=(%w+)$")
    if key then defined[#defined + 1] = key .. " " .. value
    else target[#target + 1] = flag:match("^%-m(.*)$") end
  end
  for _, d in ipairs(defined) do write("#define " .. d) end
  local gcc = table.concat(target, ",")
  local clang = gcc:gsub(",prefer%-vector%-width=%d+", "")
  write("#ifdef __clang__",
        '#pragma clang attribute push(__attribute__((target("' .. clang ..
        '"))), apply_to = function)',
        "#else", "#pragma GCC push_options", '#pragma GCC target("' .. gcc .. '")', "#endif",
        '#include "moongrad.c"',
        "#ifdef __clang__", "#pragma clang attribute pop", "#else", "#pragma GCC pop_options",
        "#endif")
  for _, d in ipairs(defined) do write("#undef " .. d:match("^%S+")) end
end

local function write_core()
  for _, path in ipairs(core) do
    preprocess(path, "")
    for _, name in ipairs(isa[path] and sets or {}) do
      preprocess(path, "-DMGRAD_VEC_BYTES=" .. bytes[name])
    end
  end
  done = {}
  begin("moongrad.c", [[
/*
** moongrad.c - the core of moongrad in one file: cc -O3 -c moongrad.c
**
** MGRAD_ONE_SET       code for one instruction set, that of the compiler line
** MGRAD_API           what stands before each public function; one that shows it makes a
**                     shared library: -DMGRAD_API='__attribute__((visibility("default")))'
** MGRAD_REAL_DOUBLE   numbers are double, for moongrad.h too]])
  write("#ifndef MGRAD_AGAIN", "#ifndef _POSIX_C_SOURCE", "#define _POSIX_C_SOURCE 200809L",
        "#endif", '#include "moongrad.h"', "")
  system_headers(core)
  write(STRICT, HIDDEN, "#if defined __x86_64__ && defined __GNUC__ && \\",
        "    !defined MGRAD_REAL_DOUBLE && !defined MGRAD_ONE_SET",
        "#define MGRAD_X86_SETS", "#endif")
  write_headers(core, function(h) return not each_set(h) end)
  write("#endif /* MGRAD_AGAIN */", "", "#ifdef MGRAD_ISA")
  local names, defined, undefined, others = {}, {}, {}, {}
  for _, path in ipairs(core) do others[#others + 1] = not isa[path] and path or nil end
  local needed = all_headers(others) -- by what is compiled once
  for _, h in ipairs(all_headers(core)) do
    if each_set(h) and not common[h] then
      macros(h, defined)
      if not needed[h] then macros(h, undefined) end
      for name in pairs(kept[h] or {}) do names[name] = true end
    end
  end
  for _, name in ipairs(sorted(defined)) do write("#undef " .. name) end
  for _, name in ipairs(sorted(names)) do
    names[name] = not defined[name] and ("#define %s MGRAD_CODE(%s)"):format(name, name) or nil
    write(names[name])
  end
  write("#endif")
  body("core/isa.h")
  write_headers(core, each_set)
  for _, path in ipairs(core) do
    if isa[path] then
      if not wide[path] then write("#ifndef MGRAD_NARROWER") end
      source(path, "MGRAD_CODE(%s)", names)
      if not wide[path] then write("#endif") end
    end
  end
  for _, name in ipairs(sorted(names)) do write("#undef " .. name) end
  write("", "#ifndef MGRAD_AGAIN", "#define MGRAD_AGAIN")
  for _, name in ipairs(sorted(undefined)) do write("#undef " .. name) end
  for _, path in ipairs(others) do source(path, "%s") end
  write("", "#ifdef MGRAD_X86_SETS")
  for _, name in ipairs(sets) do write_again(name) end
  write("#endif", "#undef MGRAD_AGAIN", "#endif")
  out:close()
end

----------------------------------------------------------------------------- the binding

--- A text as strings of C, a line each.
local function write_text(text)
  for line in (text:gsub("\n?$", "\n")):gmatch("(.-)\n") do
    write('  "' .. line:gsub('[\\"]', "\\%0"):gsub("%?%?", "?\\?") .. '\\n"')
  end
end

local function write_binding()
  begin("lmoongrad.c", [[
/*
** lmoongrad.c - the whole of require "moongrad" in one file, but for the core:
**   cc -O3 -shared -fPIC lmoongrad.c moongrad.c -lm -lpthread -o moongrad.so
** A host that links both in calls luaL_requiref(L, "moongrad", luaopen_moongrad, 0).
**
** LMGRAD_NO_SYSTEM    leaves out the module moongrad.system: files, clock, terminal]])
  for _, path in ipairs(words(options.bind .. " " .. options.system)) do
    preprocess(path, "-D_POSIX_C_SOURCE=200809L " .. options.flags)
  end
  done = {}
  write("#ifndef _POSIX_C_SOURCE", "#define _POSIX_C_SOURCE 200809L", "#endif",
        "#ifndef _XOPEN_SOURCE", "#define _XOPEN_SOURCE 700", "#endif",
        '#include "moongrad.h"', "")
  system_headers(bind)
  write("#ifndef LMGRAD_NO_SYSTEM")
  system_headers(system)
  write("#endif", HIDDEN)
  write_headers(words(options.bind .. " " .. options.system), function() return true end)
  for _, path in ipairs(bind) do source(path, "%s") end
  write("#ifndef LMGRAD_NO_SYSTEM")
  for _, path in ipairs(system) do source(path, "%s") end
  write("#endif", "", "/* ==== bindings/moongrad ==== */", "",
        "typedef struct text { const char *name, *chunk, *text; size_t size; } text;", "")
  local modules = {}
  for _, path in ipairs(words(options.lua)) do
    local name = path:match("([%w_]+)%.lua$")
    table.insert(modules, name == "init" and 1 or #modules + 1, name)
    write("static const char text_" .. name .. "[] =")
    write_text(read(path))
    write(";")
  end
  write("static const text texts[] = {")
  for _, name in ipairs(modules) do
    write(('  { "moongrad%s", "@moongrad/%s.lua", text_%s, sizeof text_%s - 1 },'):format(
      name == "init" and "" or "." .. name, name, name, name))
  end
  write("  { NULL, NULL, NULL, 0 }", "};")
  body("bindings/amalgamation/preload.c")
  out:close()
end

write_core()
write_binding()
out = assert(io.open(options.out .. "/moongrad.h", "wb"))
out:write(read("core/moongrad.h"))
out:close()
