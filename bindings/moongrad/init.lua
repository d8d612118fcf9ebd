--- moongrad: neural networks for everything that runs Lua.
--
--   local mg = require "moongrad"
--   local net = mg.sequential { 2, mg.dense(8), "tanh", mg.dense(1), "sigmoid" }
--
-- This file puts the module together from the C core (moongrad.core), whose
-- tables of ops, layers, optimizers and losses become functions here.

-- A host may take the global require away later. Lua 5.1 marks what it loads, and leaves the
-- mark (a number, says LuaJIT) where Ctrl-C, or want of memory, ends that: what has one is
-- loaded again.
local plain_require, loaded = require, package and package.loaded or {}
local marks = { userdata = true, number = true }
local function require(name)
  for other, value in pairs(loaded) do
    if marks[type(value)] and (other == name or tostring(other):find "^moongrad") then
      loaded[other] = nil
    end
  end
  return plain_require(name)
end

local core = require "moongrad.core"
core.own_files()
local check = require "moongrad.check"

local mg = { _VERSION = "moongrad " .. core.version, core = core }

-- tensors and ops
for _, name in ipairs { "tensor", "zeros", "ones", "full", "eye", "arange", "linspace",
                        "rand", "randn", "randperm", "from_string", "grad", "seed", "type" } do
  mg[name] = core[name]
end
for name, op in pairs(core.ops) do mg[name] = op end
for _, part in ipairs { "tensor", "layer", "optimizer", "trainer" } do
  require("moongrad." .. part)(mg, core)
end

-- What many programs do not use is read when it is first called: most of the time
-- that require "moongrad" takes is Lua's compiler's.

local parts = {}

--- Puts functions of those names into t that stand for the ones in a part, in the
-- table that it returns as its which-th value (1).
local function later(t, names, part, which)
  for name in names:gmatch("%S+") do
    local function stand_in(...)
      parts[part] = parts[part] or { require("moongrad." .. part)(mg, core, require) }
      local f = parts[part][which or 1][name]
      if t[name] == stand_in then t[name] = f end
      return f(...)
    end
    t[name] = stand_in
  end
end

mg.data = {}
later(mg.data, "tensors dataset function func idx mnist fashion_mnist csv", "data")
later(core.dataset_methods, "split batches normalize augment info", "data", 2)
later(core.trainer_methods, "evaluate run epochs fit", "train")
later(core.layer_methods, "summary", "show", 2)
later(mg, "gradcheck", "gradcheck")
mg.export = {}
later(mg.export, "lua c onnx", "export")
mg.plot = {} -- and backend, which the user may set
later(mg.plot, "loss curve boundary weights confusion histogram gradients images surface", "plot")
mg.npy = {}
later(mg.npy, "read write dump undump", "npy")
mg.schedule = {}
later(mg.schedule, "step exponential cosine linear_warmup one_cycle plateau", "schedule")

later(mg, "save load dump undump set_files", "model")
later(core.layer_methods, "save load_weights", "model", 2)
later(core.trainer_methods, "save load", "resume")

local as_text = {}
later(as_text, "tensor layer optimizer trainer dataset", "show")
for kind, f in pairs(as_text) do core.set_tostring(kind, f) end

--- Runs f(...) without recording for gradients and returns its results. An
-- error passes through unchanged. f cannot yield.
function mg.no_grad(f, ...)
  check.is("function", f, "no_grad", "f")
  local before
  local function finish(ok, ...)
    core.recording(before)
    if not ok then error((...), 0) end
    return ...
  end
  before = core.recording(false) -- memory may run out up to here
  return finish(core.pcall(f, ...))
end

--- While on, which is slow, the first op that makes NaN or infinities of finite numbers,
-- forward or backward, fails with an error that names it and its layer.
-- @treturn boolean  whether it was on before
function mg.anomaly(on)
  check.is("boolean", on, "anomaly", "on")
  return core.anomaly(on)
end

local limits = { memory = true, elements = true, tensors = true, graph = true, threads = true }

--- Lowers what scripts may use in this Lua state: memory, the bytes of all that moongrad
-- allocates; elements of one tensor; tensors at one time; graph, ops recorded for gradients
-- at one time; threads. None can be raised again from Lua; a host does that in C.
function mg.limit(options)
  check.options(options, limits, "limit")
  for name, most in pairs(options) do core.limit(name, most) end
end

--- Bytes in use by moongrad in this Lua state now, the most there ever were,
-- the limit (0 = none), and the number of allocations.
function mg.memory() return core.memory() end

--- What functions.lua and the tables of the core know of a function or method, an op, a layer
-- or an optimizer, as text; nil and a message for a name they do not know; without a name,
-- all names.
function mg.help(name) return require("moongrad.reference").help(name) end

--- How many threads large ops use, this one included: 1 at first, at most 64. The
-- results are the same bits for any number of them.
function mg.set_threads(n)
  check.is("number", n, "set_threads", "n")
  core.threads(n)
end

--- What this build is: version, number type, instruction set in use, threads.
function mg.info()
  return { version = core.version, real = core.real, isa = core.isa(), threads = core.threads(),
           lua = _VERSION }
end

return mg
