local mg = require "moongrad"
local helper = require "tests.spec.helper"

local near, refuses, fails = helper.near, helper.refuses, helper.fails

local function u16(v) return string.char(v % 256, math.floor(v / 256)) end

-- A .npy file with that header and data.
local function npy(header, data, version)
  local length = u16(#header) .. (version == 2 and "\0\0" or "")
  return "\147NUMPY" .. string.char(version or 1) .. "\0" .. length .. header .. data
end

local function header(descr, shape, order)
  return ("{'descr': '%s', 'fortran_order': %s, 'shape': %s, }\n"):format(descr,
    order or "False", shape)
end

local read = mg.npy.undump

-- Every truncation and every flipped bit of a file: 'judge' is called with what is read.
local function damage(bytes, judge)
  for n = 0, #bytes - 1 do judge(false, read(bytes:sub(1, n))) end
  for at = 1, #bytes do
    for bit = 0, 7 do
      local b, mask = bytes:byte(at), 2 ^ bit
      local flipped = math.floor(b / mask) % 2 == 1 and b - mask or b + mask
      judge(true, read(bytes:sub(1, at - 1) .. string.char(flipped) .. bytes:sub(at + 1)))
    end
  end
end

local function python()
  local pipe = io.popen "/usr/bin/python3 -c 'import numpy; print(1)' 2>/dev/null"
  local found = pipe:read "*a" == "1\n"
  pipe:close()
  return found
end

-- Runs a Python program on a path and gives what it prints.
local function numpy(code, path)
  local file = helper.file("import sys\nimport numpy as np\npath = sys.argv[1]\n" .. code)
  local pipe = io.popen(("/usr/bin/python3 -W ignore %s %s 2>&1"):format(file, path))
  local text = pipe:read "*a"
  pipe:close()
  return text
end

describe("npy", function()
  after_each(helper.remove_files)

  it("reads back what it has written, of any dimensions", function()
    local path = helper.file ""
    for _, v in ipairs { 3, { 1, 2, 3 }, { { 1, 2.5 }, { -3, 4 } }, { { { 1 } }, { { 2 } } } } do
      assert.is_true(mg.npy.write(path, mg.tensor(v)))
      near(v, mg.npy.read(path), 0)
    end
  end)

  it("writes a view by its own shape", function()
    local path = helper.file ""
    mg.npy.write(path, mg.tensor { { 1, 2, 3 }, { 4, 5, 6 } }:transpose(1, 2))
    near({ { 1, 4 }, { 2, 5 }, { 3, 6 } }, mg.npy.read(path), 0)
  end)

  it("aligns the data at 64 bytes, as NumPy does", function()
    for n = 1, 40 do assert.equal(0, (#mg.npy.dump(mg.zeros(n, 3)) - 12 * n) % 64) end
  end)

  it("reads big-endian numbers, numbers by columns, version 2", function()
    near({ 1, 258 }, read(npy(header(">i2", "(2,)"), "\0\1\1\2")), 0)
    near({ { 1, 3, 5 }, { 2, 4, 6 } },
      read(npy(header("|u1", "(2, 3)", "True"), "\1\2\3\4\5\6", 2)), 0)
  end)

  it("reads half precision: subnormal, largest, infinite", function()
    near({ 1, -2, 2 ^ -24, 65504, math.huge, -0.33325195 },
      read(npy(header("<f2", "(6,)"), u16(0x3c00) .. u16(0xc000) .. u16(1) .. u16(0x7bff)
        .. u16(0x7c00) .. u16(0xb555))), 1e-7)
  end)

  it("reads and writes a table of tensors as npz", function()
    local path = helper.file ""
    local w, b = mg.randn(4, 3), mg.tensor(7)
    assert.is_true(mg.npy.write(path, { ["0.weight"] = w, b = b }))
    local back = mg.npy.read(path)
    near(w, back["0.weight"], 0)
    near(7, back.b, 0)
    assert.is_true(mg.npy.write(path, {}))
    assert.same({}, mg.npy.read(path))
  end)

  it("says what a file is not", function()
    refuses("No such file", mg.npy.read, "/nowhere/x.npy")
    refuses("not a NumPy file", read, "")
    refuses("not a NumPy file", read, "hello")
    refuses("version 9", read, "\147NUMPY\9\0\0\0\0\0\0\0")
    refuses("type '<c16'", read, npy(header("<c16", "(1,)"), ("x"):rep(16)))
    refuses("type '|O'", read, npy(header("|O", "(1,)"), "x"))
    refuses("no numbers", read, npy(header("<f4", "(0,)"), ""))
    refuses("9 dimensions", read, npy(header("<f4", "(1, 1, 1, 1, 1, 1, 1, 1, 1)"), "abcd"))
    refuses("3 bytes of data, expected 4", read, npy(header("<f4", "()"), "abc"))
    refuses("bytes of data", read, npy(header("<f4", "(99999999999999999999, 9)"), "abcd"))
    refuses("shape cannot be read", read, npy(header("<f4", "(-1,)"), "abcd"))
    refuses("header cannot be read", read, npy("{'descr': __import__('os')}", ""))
    refuses("longer than 65536", read, "\147NUMPY\2\0\0\0\0\9abcd")
    refuses("not a zip file", read, "PK\3\4 and so on")
  end)

  it("names a file that is damaged", function()
    refuses("^/tmp.*: not a NumPy file", mg.npy.read, helper.file "x")
  end)

  it("gives the system's code where a file cannot be written", function()
    local ok, message, code = mg.npy.write("/nowhere/x.npy", mg.zeros(1))
    assert.is_nil(ok)
    assert.equal("/nowhere/x.npy: No such file or directory", message)
    assert.equal(2, code)
  end)

  it("raises an error for what is no tensor", function()
    fails("npy.write: value is nil, expected a tensor", mg.npy.write, "x")
    fails("npy.write: a key is a number", mg.npy.write, "x", { 1 })
    fails('npy.write: "a" is a string, expected a tensor', mg.npy.write, "x", { a = "b" })
    fails("npy.read: path is nil, expected a string", mg.npy.read)
  end)

  it("refuses every truncation of an array, and no flipped bit does harm", function()
    damage(npy(header("<f4", "(2, 3)"), ("\0\0\128\63"):rep(6)), function(flipped, t, message)
      assert(message or flipped)
      if t then assert.equal(24 / t:numel() % 1, 0) else assert.is_string(message) end
    end)
  end)

  it("refuses every truncation of an archive, and every flipped bit of its data", function()
    local a, b = mg.randn(2, 3), mg.tensor(7)
    local harmless = 0
    damage(mg.npy.dump { a = a, b = b }, function(flipped, t, message)
      assert(message or flipped)
      if not t then return assert.is_string(message) end
      harmless = harmless + 1 -- a time, an attribute, a name
      for _, v in pairs(t) do
        assert(v:dim() == 0 and v:item() == 7 or (v - a):abs():sum():item() == 0)
      end
    end)
    assert(harmless < 800, harmless)
  end)

  -- An archive of one stored entry whose sizes and places are in 64 bits.
  local function zip64(v)
    local bytes = mg.npy.dump { a = v }
    local function u64(n) return u16(n % 65536) .. u16(math.floor(n / 65536)) .. ("\0"):rep(4) end
    local first = bytes:find("PK\1\2", 1, true)
    local last, size = bytes:find("PK\5\6", first, true), #mg.npy.dump(v)
    local full = ("\255"):rep(4)
    local list = bytes:sub(first, first + 19) .. full:rep(2) .. bytes:sub(first + 28, first + 29)
      .. u16(32) .. bytes:sub(first + 32, first + 41) .. full .. "a.npy" -- another field first
      .. "\7\0\0\0" .. "\1\0\24\0" .. u64(size) .. u64(size) .. u64(0)
    local place = first - 1 + #list
    return bytes:sub(1, first - 1) .. list
      .. "PK\6\6" .. u64(44) .. "\45\0\45\0" .. ("\0"):rep(8) .. u64(1):rep(2) .. u64(#list)
      .. u64(first - 1) .. "PK\6\7" .. ("\0"):rep(4) .. u64(place) .. "\1\0\0\0"
      .. bytes:sub(last, last + 7) .. "\255\255\255\255" .. bytes:sub(last + 12, last + 15) .. full
      .. "\0\0"
  end

  it("reads an archive with sizes in 64 bits, and no damaged one", function()
    local t = mg.tensor { 1, -2 }
    near({ 1, -2 }, read(zip64(t)).a, 0)
    damage(zip64(t), function(flipped, all, message)
      assert(message or flipped)
      if not all then return assert.is_string(message) end
      for _, v in pairs(all) do near({ 1, -2 }, v, 0) end
    end)
  end)

  if not python() then
    pending "skipped, there is no NumPy (Debian: python3-numpy)"
    return
  end

  it("reads every type that NumPy writes, in both byte orders and both orders", function()
    local path = helper.file ""
    local names = numpy([[
a = np.arange(24).reshape(2, 3, 4) % 7
all = {}
for code in "f2 f4 f8 i1 i2 i4 i8 u1 u2 u4 u8 b1".split():
    for order in "<>":
        for layout in "CF":
            name = code + ("l" if order == "<" else "b") + layout
            all[name] = np.array(a, dtype=order + code, order=layout)
            print(name)
np.savez(open(path, "wb"), **all)
]], path)
    local stored = mg.npy.read(path)
    numpy("z = dict(np.load(path)); np.savez_compressed(open(path, 'wb'), **z)", path)
    local deflated, expected, n = mg.npy.read(path), {}, 0
    for i = 1, 2 do
      expected[i] = {}
      for j = 1, 3 do
        expected[i][j] = {}
        for k = 1, 4 do expected[i][j][k] = (i * 12 + j * 4 + k - 17) % 7 end
      end
    end
    for name in names:gmatch "%S+" do
      n = n + 1
      local truth = name:find "^b1" and mg.tensor(expected):gt(0) or expected
      near(truth, stored[name], 0)
      near(truth, deflated[name], 0)
    end
    assert.equal(48, n)
  end)

  it("reads an archive of Python's with sizes in 64 bits", function()
    local path = helper.file ""
    for _, save in ipairs { "savez", "savez_compressed" } do
      assert.equal("", numpy(([[
import zipfile
zipfile.ZIP64_LIMIT = zipfile.ZIP_FILECOUNT_LIMIT = 0
np.%s(open(path, "wb"), a=np.arange(6.0).reshape(2, 3), b=np.arange(4, dtype=">i2"))
assert b"PK\6\6" in open(path, "rb").read()
]]):format(save), path))
      local all = mg.npy.read(path)
      near({ { 0, 1, 2 }, { 3, 4, 5 } }, all.a, 0)
      near({ 0, 1, 2, 3 }, all.b, 0)
    end
  end)

  it("writes what NumPy reads", function()
    local path = helper.file ""
    mg.npy.write(path, mg.tensor { { 1, 2 }, { 3, 4.5 } })
    assert.equal("float32 (2, 2) [[1.0, 2.0], [3.0, 4.5]]\n",
      numpy("a = np.load(path); print(a.dtype, a.shape, a.tolist())", path))
    mg.npy.write(path, { a = mg.tensor(1), b = mg.tensor { 2 } })
    assert.equal("[('a', 1.0), ('b', [2.0])]\n", numpy(
      "z = np.load(path); print(sorted((k, v.tolist()) for k, v in z.items()))", path))
  end)

  it("converts to half precision as NumPy does", function()
    local path = helper.file ""
    local values = { 0, 1, -1 / 3, 65519, 65520, 1e-5, 6e-8, 2 ^ -25, 1e9, -1e-9, 2049, 2051 }
    local t = mg.tensor(values)
    mg.npy.write(path, t)
    local bits = t:to_string "f16"
    local words = {}
    for i = 1, #bits, 2 do words[#words + 1] = bits:byte(i) + 256 * bits:byte(i + 1) end
    assert.equal(table.concat(words, " ") .. "\n",
      numpy("print(*np.load(path).astype('<f2').view('<u2').tolist())", path))
  end)
end)
