-- Claim: a net written as plain Lua, as a C header and as an ONNX model answers there what
-- it answers here, to five digits.
--
-- Learning needs moongrad, answering does not: it is a few sums. The script teaches a net
-- where a ring lies in the plane, writes it in three formats and asks each: the Lua file is
-- just called, the header compiled into a program of ten lines, the model run by
-- onnxruntime-web under node. What this machine does not have is left out.

local common = dofile((arg[0]:match("^.*[/\\]") or "") .. "common.lua")
local mg, options = common.start("One net, three formats, the same answers.", {
  { "epochs", 60, "passes over 500 points" },
  { "keep", "", "a folder that the files are left in", "FOLDER" },
})

--- What a command prints.
local function output_of(command)
  local pipe = assert(io.popen(command .. " 2>&1"))
  local text = pipe:read("*a")
  pipe:close()
  return text
end

local function there_is(command) return output_of(command):find("found\n$") ~= nil end

local function write(path, text)
  local file = assert(io.open(path, "wb"))
  file:write(text)
  file:close()
end

local function numbers_of(text)
  local list = {}
  for word in text:gmatch("%S+") do list[#list + 1] = tonumber(word) end
  return list
end

-- learning: is a point in the ring around the middle?
local x = mg.randn(500, 2)
local radius = x:square():sum(2, true)
local net = mg.sequential { 2, mg.dense(16, "tanh"), mg.dense(16, "gelu"), mg.dense(1), "sigmoid" }
local trainer = mg.trainer { net = net, loss = "bce", optimizer = mg.adam { lr = 0.02 } }
trainer:fit(options.epochs, { x = x, y = radius:gt(0.5) * radius:lt(2.5), batch = 32,
                              shuffle = true })

-- writing
local folder = options.keep
if folder == "" then
  folder = os.tmpname()
  os.remove(folder)
end
output_of(('mkdir -p "%s"'):format(folder))
assert(mg.export.lua(net, folder .. "/ring.lua"))
assert(mg.export.c(net, folder .. "/ring.h"))
assert(mg.export.onnx(net, folder .. "/ring.onnx"))

-- asking
local points = { { 0, 0 }, { 1, 0 }, { 0.7, -0.7 }, { -1.2, 0.4 }, { 2, 1 }, { -0.3, 2.5 } }
local answers = { { "moongrad", common.numbers(net:predict(mg.tensor(points))) } }

local f = dofile(folder .. "/ring.lua")
local by_lua = {}
for i, y in ipairs(f(points)) do by_lua[i] = y[1] end
answers[2] = { "Lua", by_lua }

local flat = {}
for _, point in ipairs(points) do flat[#flat + 1] = table.concat(point, ", ") end
flat = table.concat(flat, ", ")

if there_is("cc --version && echo found") then
  write(folder .. "/ring.c", ([[
#include "ring.h"
#include <stdio.h>
int main(void) {
  static const float x[][RING_INPUTS] = { %s };
  for (unsigned i = 0; i < sizeof x / sizeof *x; i++) {
    float y[RING_OUTPUTS], scratch[RING_SCRATCH];
    ring_forward(x[i], y, scratch);
    printf("%%.9g\n", y[0]);
  }
  return 0;
}
]]):format((flat:gsub("([^,]+, [^,]+)(,?)", "{ %1 }%2"))))
  local said = output_of(('cd "%s" && cc -O2 ring.c -o ring -lm && ./ring'):format(folder))
  answers[#answers + 1] = { "C", numbers_of(said) }
else
  print("There is no C compiler here: the header is not tried.")
end

if there_is("node -e 'require.resolve(\"onnxruntime-web\"); console.log(\"found\")'") then
  write(folder .. "/ring.js", ([[
const ort = require("onnxruntime-web"), fs = require("fs");
ort.env.wasm.numThreads = 1;
ort.InferenceSession.create(new Uint8Array(fs.readFileSync("ring.onnx"))).then(async net => {
  const input = new ort.Tensor("float32", Float32Array.from([%s]), [%d, 2]);
  console.log(Array.from((await net.run({ input })).output.data).join(" "));
});
]]):format(flat, #points))
  local said = output_of(('cd "%s" && node ring.js'):format(folder))
  answers[#answers + 1] = { "ONNX", numbers_of(said) }
else
  print("node does not find onnxruntime-web here (npm install it and set NODE_PATH to its\n" ..
        "node_modules): the model is not tried.")
end

if options.keep == "" then output_of(('rm -r "%s"'):format(folder)) end

-- side by side
local title = "\n    x1     x2"
for _, a in ipairs(answers) do title = title .. ("%12s"):format(a[1]) end
print(title)
local apart = 0
for i, point in ipairs(points) do
  local line = ("%6.1f %6.1f"):format(point[1], point[2])
  for _, a in ipairs(answers) do
    local y = a[2][i] or 0 / 0
    local far = math.abs(y - answers[1][2][i])
    if far ~= far or far > apart then apart = far end
    line = line .. ("%12.7f"):format(y)
  end
  print(line)
end

common.claim(apart < 1e-5, ("%d answers by each of %d, at most %.1e apart")
  :format(#points, #answers, apart))
