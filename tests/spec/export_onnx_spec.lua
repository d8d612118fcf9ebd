local mg = require "moongrad"
local helper = require "tests.spec.helper"
local nets = require "tests.spec.export_nets"

-- What there is of protobuf in a string: a list of {field=, type=, value=}; an error where
-- it is none.
local function fields(s)
  local list, at = {}, 1
  local function varint()
    local v, scale, b = 0, 1
    repeat
      b = assert(s:byte(at), "cut short")
      v, scale, at = v + b % 128 * scale, scale * 128, at + 1
    until b < 128
    return v
  end
  while at <= #s do
    local key = varint()
    local f = { field = math.floor(key / 8), type = key % 8 }
    if f.type == 0 then
      f.value = varint()
    else
      local n = f.type == 5 and 4 or varint()
      assert(f.type == 2 or f.type == 5, "no type of ours")
      f.value, at = s:sub(at, at + n - 1), at + n
      assert(#f.value == n, "cut short")
    end
    list[#list + 1] = f
  end
  return list
end

-- The values of one field of a message.
local function all(message, field)
  local list = {}
  for _, f in ipairs(fields(message)) do
    if f.field == field then list[#list + 1] = f.value end
  end
  return list
end

-- Runs models by onnxruntime-web, which NODE_PATH leads to.
local RUNNER = [[
const ort = require("onnxruntime-web"), fs = require("fs");
ort.env.wasm.numThreads = 1;
ort.env.logLevel = "error";
(async () => {
  for (const [path, shape, x] of JSON.parse(fs.readFileSync(process.argv[2]))) {
    const session = await ort.InferenceSession.create(new Uint8Array(fs.readFileSync(path)));
    const input = new ort.Tensor("float32", Float32Array.from(x), shape);
    const y = (await session.run({ input })).output;
    console.log(y.dims.join(",") + " " + Array.from(y.data).join(" "));
  }
})().catch(e => { console.log(String(e)); process.exit(1); });
]]

describe("export.onnx", function()
  after_each(helper.remove_files)

  it("writes a model whose nodes read only what there is, for each kind of layer", function()
    local path = helper.file ""
    nets.each(function(net, _, y, name, shape)
      assert(mg.export.onnx(net, path, { input = shape }))
      local model = helper.read(path)
      assert.same({ "moongrad" }, all(model, 2))
      assert.same({ 13 }, all(all(model, 8)[1], 2))
      local graph = all(model, 7)[1]
      local known = { input = true, [""] = true }
      for _, tensor in ipairs(all(graph, 5)) do
        known[all(tensor, 8)[1]] = true
        local n = all(tensor, 2)[1] == 7 and 8 or 4
        for _, size in ipairs(all(tensor, 1)) do n = n * size end
        assert.equal(n, #all(tensor, 9)[1], name)
      end
      for _, node in ipairs(all(graph, 1)) do
        for _, input in ipairs(all(node, 1)) do assert(known[input], name .. ": " .. input) end
        for _, output in ipairs(all(node, 2)) do
          assert(not known[output])
          known[output] = true
        end
      end
      assert(known.output)
      local dims = all(all(all(all(all(graph, 12)[1], 2)[1], 1)[1], 2)[1], 1)
      assert.same({ "batch" }, all(dims[1], 2))
      assert.equal(y:dim(), #dims)
      for d = 2, y:dim() do assert.same({ y:size(d) }, all(dims[d], 1), name) end
    end)
  end)

  it("writes Gemm, Conv, MaxPool, LSTM for layers of these names", function()
    local path, ops = helper.file "", {}
    local function export(net)
      assert(mg.export.onnx(net, path))
      for _, node in ipairs(all(all(helper.read(path), 7)[1], 1)) do ops[all(node, 4)[1]] = true end
    end
    export(mg.sequential { { 1, 4, 4 }, mg.conv2d(2, 3), mg.batchnorm(), mg.maxpool2d(2),
                           mg.flatten(), mg.dense(2), "softmax" })
    export(mg.sequential { { 3, 2 }, mg.lstm(2) })
    for _, op in ipairs { "Conv", "BatchNormalization", "MaxPool", "Gemm", "Softmax", "LSTM" } do
      assert(ops[op], op)
    end
  end)

  local found = "node -e 'require.resolve(\"onnxruntime-web\"); console.log(1)'"
  if not nets.output_of(found):find "^1" then
    pending "skipped, there is no onnxruntime-web (npm install it, set NODE_PATH)"
    return
  end

  it("writes what onnxruntime answers as the net does, for each kind of layer", function()
    local jobs, expected, names = {}, {}, {}
    nets.each(function(net, x, y, name, shape)
      local path = helper.file ""
      assert(mg.export.onnx(net, path, { input = shape }))
      jobs[#jobs + 1] = ('["%s",[%s],[%s]]'):format(path, nets.numbers(x.shape),
        nets.numbers(x))
      expected[#expected + 1], names[#names + 1] = y, name
    end)
    local runner = helper.file(RUNNER)
    local input = helper.file("[" .. table.concat(jobs, ",") .. "]")
    local k = 0
    for line in nets.output_of(("node %s %s"):format(runner, input)):gmatch "[^\n]+" do
      k = k + 1
      local dims, numbers = line:match "^([%d,]+) (.*)$"
      assert(dims, (names[k] or "") .. ": " .. line:sub(1, 300))
      assert.equal(table.concat(expected[k].shape, ","), dims)
      local ok, err = pcall(nets.compare, { expected[k] }, numbers)
      assert(ok, names[k] .. ": " .. tostring(err))
    end
    assert.equal(#expected, k)
  end)
end)
