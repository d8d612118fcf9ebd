local mg = require "moongrad"
local helper = require "tests.spec.helper"
local core = mg.core

describe("files of a host", function()
  -- A disk in memory that notes what is called, and lets the n-th call fail.
  local function disk()
    local d = { files = {}, log = {}, at = 0 }
    local function called(name)
      d.log[#d.log + 1] = name
      d.at = d.at - 1
      if d.at == 0 then return nil, d.message or "fault", 5 end
      return true
    end
    local host = {}
    local function add(name, f)
      host[name] = function(...)
        local ok, message, code = called(name)
        if not ok then return nil, message, code end
        return f(...)
      end
    end
    add("open", function(name, mode)
      if mode == "r" and not d.files[name] then return nil, "not there", 2 end
      if mode == "w" then d.files[name] = "" end
      return { name = name, at = 1 }
    end)
    add("size", function(h) return #d.files[h.name] end)
    add("read", function(h, n)
      h.at = h.at + math.min(n, d.most or n)
      return d.files[h.name]:sub(h.at - math.min(n, d.most or n), h.at - 1)
    end)
    add("write", function(h, bytes)
      bytes = bytes:sub(1, d.most)
      d.files[h.name] = d.files[h.name] .. bytes
      return #bytes
    end)
    add("sync", function() return true end)
    add("sync_folder", function() return true end)
    add("close", function() return true end)
    add("rename", function(from, to)
      d.files[to], d.files[from] = d.files[from], nil
      return true
    end)
    add("remove", function(name)
      d.files[name] = nil
      return true
    end)
    d.host = host
    return d
  end

  after_each(function() mg.set_files(nil) end)

  it("are synced before they take their name, the folder after it", function()
    local d = disk()
    mg.set_files(d.host)
    mg.save("net", { a = mg.ones(3) })
    assert.same({ "open", "write", "write", "sync", "close", "rename", "sync_folder" }, d.log)
    helper.near({ 1, 1, 1 }, mg.load("net").a)
  end)

  it("may take and give odd parts", function()
    local d, t = disk(), mg.randn(50)
    d.most = 7
    mg.set_files(d.host)
    assert.is_true(mg.save("net", { a = t }))
    helper.near(t, mg.load("net").a, 0)
  end)

  it("may have no sync", function()
    local d = disk()
    d.host.sync, d.host.sync_folder = nil, nil
    mg.set_files(d.host)
    assert.is_true(mg.save("net", { a = mg.ones(1) }))
  end)

  it("need the other functions", function()
    helper.fails("rename is nil, expected a function", mg.set_files,
      { open = print, size = print, read = print, write = print, close = print })
    helper.fails("functions is a number", mg.set_files, 3)
  end)

  it("may fail at any call: the old file is there, nothing else", function()
    local d = disk()
    mg.set_files(d.host)
    mg.save("net", { a = mg.zeros(3) })
    local old = d.files.net
    d.log = {}
    mg.save("other", { a = mg.ones(3) })
    local new, calls = d.files.other, d.log
    d.files.other, d.log = nil, {}
    for n, name in ipairs(calls) do
      d.files.net, d.at = old, n
      local value, message, code = mg.save("net", { a = mg.ones(3) })
      assert.is_nil(value)
      assert.equal("net: fault", message)
      assert.equal(5, code)
      assert.equal(name == "sync_folder" and new or old, d.files.net, name)
      d.files.net = nil
      assert.is_nil(next(d.files), name)
    end
    d.files.net, d.log = new, {}
    mg.load "net"
    calls, d.log = d.log, {}
    for n, name in ipairs(calls) do
      d.at = n
      assert.is_true(mg.load "net" == nil or name == "close", name)
    end
  end)

  it("may end before their size, or give too much", function()
    local d = disk()
    mg.set_files(d.host)
    mg.save("net", { a = mg.ones(3) })
    local size = d.host.size
    d.host.size = function(h) return size(h) + 4 end
    mg.set_files(d.host)
    helper.refuses("no tensor", mg.load, "net")
    d.host.read = function() return ("x"):rep(1e5) end
    mg.set_files(d.host)
    helper.refuses("more bytes come", mg.load, "net")
  end)

  it("leave nothing behind when memory runs out", function()
    local d = disk()
    d.host.write = function() error("not enough memory", 0) end
    mg.set_files(d.host)
    helper.fails("^not enough memory$", mg.save, "net", { a = mg.ones(3) })
    assert.is_nil(next(d.files))
  end)
end)

describe("a bad file", function()
  -- A file of that header and so many bytes of data.
  local function file(header, bytes)
    local n = #header
    return string.char(n % 256, math.floor(n / 256) % 256, math.floor(n / 65536), 0, 0, 0, 0, 0)
      .. header
      .. ("\0"):rep(bytes or 0)
  end
  local function entry(text) return '{"a":{' .. text .. "}}" end

  local bad = {
    { "less than 8 bytes", "abc" }, { "length of its header", ("\255"):rep(20) },
    { "no safetensors", file "[]" }, { "no JSON", file "{x}" }, { "followed", file "{}}" },
    { "no JSON", file '{"a":' }, { "no JSON", file '{"a":{"dtype":"F32"' },
    { "without dtype", file(entry '"dtype":"F32","shape":[1]') },
    { "of a type that is none", file(entry '"dtype":"F8"', 4) },
    { "no integer", file(entry '"dtype":"F32","shape":[-1],"data_offsets":[0,4]', 4) },
    { "no integer", file(entry '"dtype":"F32","shape":[01],"data_offsets":[0,4]', 4) },
    { "no JSON", file(entry '"dtype":"F32","shape":[1.5],"data_offsets":[0,4]', 4) },
    { "size of 0", file(entry '"dtype":"F32","shape":[0],"data_offsets":[0,0]') },
    { "not that of its bytes", file(entry '"dtype":"F32","shape":[2],"data_offsets":[0,4]', 4) },
    { "not that of its bytes", file(entry('"dtype":"F32","shape":[4294967296,4294967296,4],'
        .. '"data_offsets":[0,4]'), 4) },
    { "beyond 2%^53", file(entry '"dtype":"F32","shape":[99999999999999999999]') },
    { "ends before", file(entry '"dtype":"F32","shape":[1],"data_offsets":[4,0]', 4) },
    { "8 dimensions", file(entry '"dtype":"F32","shape":[1,1,1,1,1,1,1,1,1]', 4) },
    { "two offsets", file(entry '"dtype":"F32","shape":[1],"data_offsets":[0]', 4) },
    { "two offsets", file(entry '"dtype":"F32","shape":[1],"data_offsets":[0,4,8]', 4) },
    { "more than dtype", file(entry '"dtype":"F32","dtype":"F32"', 4) },
    { "more than dtype", file(entry '"code":"os.exit()"', 4) },
    { "cut off", file(entry '"dtype":"F32","shape":[2],"data_offsets":[0,8]', 4) },
    { "no tensor", file(entry '"dtype":"F32","shape":[1],"data_offsets":[0,4]', 8) },
    { "hole", file(entry '"dtype":"F32","shape":[1],"data_offsets":[4,8]', 8) },
    { "overlap", file('{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},'
        .. '"b":{"dtype":"F32","shape":[1],"data_offsets":[2,6]}}', 6) },
    { "name twice", file('{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},'
        .. '"\\u0061":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}', 8) },
    { "1 to 255", file('{"":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}', 4) },
    { "1 to 255", file('{"' .. ("x"):rep(256)
        .. '":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}', 4) },
    { "escape", file '{"\\x":1}' }, { "escape", file '{"\\u12":1}' },
    { "escape", file '{"\\ud800":1}' }, { "escape", file '{"\\ud800\\u0041":1}' },
    { "escape", file '{"\\udc00":1}' }, { "escape", file '{"\\u0000":1}' },
    { "UTF%-8", file '{"\255":1}' }, { "UTF%-8", file '{"\192\128":1}' },
    { "UTF%-8", file '{"\237\160\128":1}' }, { "UTF%-8", file '{"\1":1}' },
    { "UTF%-8", file '{"\128":1}' }, { "UTF%-8", file '{"\195A":1}' },
    { "UTF%-8", file '{"\244\144\128\128":1}' }, { "UTF%-8", file '{"\240\159' },
    { "escape", file '{"\\u00g0":1}' }, { "escape", file '{"\\u0' }, { "escape", file '{"\\' },
    { "escape", file '{"\\ud800\\n12345":1}' }, { "escape", file '{"\\ud800x12345":1}' },
    { "escape", file '{"\\ud800\\ue000":1}' }, { "escape", file '{"\\ud800\\u00"' },
    { "escape", file '{"\\\0z":1}' }, { "no JSON", file '{"abc' }, { "no JSON", file '{"a" 1' },
    { "no JSON", file '{"a":[' }, { "no JSON", file '{1' },
    { "no JSON", file '{"__metadata__":3}' },
    { "no JSON", file '{"__metadata__":{3' }, { "no JSON", file '{"__metadata__":{"a" 3' },
    { "no JSON", file(entry '3') }, { "no JSON", file(entry '"shape" 3') },
    { "no JSON", file(entry '"shape":3') }, { "no JSON", file(entry '"dtype":3') },
    { "no JSON", file '{"a":{"shape":[1' }, { "no JSON", file '{"__metadata__":{}3}' },
    { "more than dtype", file(entry '"shape":[1],"shape":[1]') },
    { "more than dtype", file(entry '"data_offsets":[0,4],"data_offsets":[0,4]') },
    { "without dtype", file(entry '"dtype":"F32","data_offsets":[0,4]', 4) },
    { "without dtype", file(entry '"shape":[1],"data_offsets":[0,4]', 4) },
    { 'two "__metadata__"', file '{"__metadata__":{},"__metadata__":{}}' },
    { "name twice", file '{"__metadata__":{"x":"1","x":"2"}}' },
    { "no JSON", file '{"__metadata__":{"x":1}}' }, { "no JSON", file '{"__metadata__":{"x":"1"' },
    { "checksum", file '{"__metadata__":{"crc32":"00000001"}}' },
    { "checksum", file '{"__metadata__":{"crc32":"%"}}' },
    { "checksum", file '{"__metadata__":{"moongrad":"{}"}}' },
  }
  for i, case in ipairs(bad) do
    it(("is refused: %d, %s"):format(i, case[1]), function()
      helper.refuses(case[1], mg.undump, case[2])
    end)
  end

  -- A file of ours whose architecture says something else, with a number as "weight".
  local function net(text)
    local text_in_json = text:gsub('"', '\\"')
    local header = '{"__metadata__":{"crc32":"00000000","moongrad":"' .. text_in_json .. '"},'
      .. '"weight":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}'
    local bytes = file(header, 4)
    return (bytes:gsub("00000000", ("%08x"):format(core.crc32(0, bytes)), 1))
  end

  local nonsense = {
    { "no JSON of ours", "x" }, { "no JSON of ours", "{}" }, { "no JSON of ours", '{"net":3}' },
    { "version 2", '{"version":2,"net":{}}' },
    { "kind .* unknown", '{"version":1,"net":{"layer":"os"}}' },
    { "class \"x\"", '{"version":1,"net":{"class":"x"}}' },
    { "is missing", '{"version":1,"net":{"layer":"dense","options":{"out":3},"input":[1,2],'
      .. '"tensors":["bias"]}}' },
    { "the net has tensors that it cannot take", '{"version":1,"net":{"layer":"dense","options":'
      .. '{"out":3},"tensors":["weight"]}}' },
    { "belongs to no layer", '{"version":1,"net":{"layer":"dense","options":{"out":3}}}' },
    { "weight is missing", '{"version":1,"net":{"layer":"dense","options":{"out":3},'
      .. '"input":[1,2]}}' },
    { "there is no option \"a%?b\"", '{"version":1,"net":{"layer":"dense","options":'
      .. '{"a\\\\nb":1}}}' },
    { "out is", '{"version":1,"net":{"layer":"dense","options":{"out":-3}}}' },
    { "there is no option", '{"version":1,"net":{"layer":"dense","options":{"x":1}}}' },
    { "part has no name", '{"version":1,"net":{"layer":"sequential","parts":[3]}}' },
    { "shared layer", '{"version":1,"net":{"layer":"sequential","parts":[{"part":"0",'
      .. '"same":"9"}]}}' },
    { "deep", '{"version":1,"net":' .. ('{"part":"0","layer":"sequential","parts":['):rep(150)
      .. ("]}"):rep(150) .. "}" },
  }
  for i, case in ipairs(nonsense) do
    it(("of a strange net is refused: %d, %s"):format(i, case[1]), function()
      helper.refuses(case[1], mg.undump, net(case[2]))
    end)
  end

  it("is not what it seems to be: space, order and escapes do no harm", function()
    local text = '{ "b" : { "shape" : [ ] , "data_offsets" : [ 4, 8 ] , "dtype" : "F32" } ,\n'
      .. '"__metadata__" : { } , "\\ud83c\\udf19" : { "dtype":"F32",'
      .. '"shape":[1],"data_offsets":[0,4]}}  '
    local t = mg.undump(file(text, 8))
    helper.near(0, t.b)
    helper.near({ 0 }, t["\240\159\140\153"])
    assert.is_truthy(mg.undump(file('{"\\ue000\238\128\128":{"dtype":"F32",'
      .. '"shape":[1],"data_offsets":[0,4]}}', 4))["\238\128\128\238\128\128"])
    assert.same({}, mg.undump(file '{"__metadata__":{}}'))
    assert.same({}, mg.undump(file "{}"))
  end)

  it("has a header that is a string", function()
    helper.fails("text is table, expected a string", core.read_header, {})
    assert.is_nil((core.read_header "x"))
  end)

  it("tells of no more tensors than its size pays for, and save writes no such file", function()
    local entries, few = {}, {}
    for i = 1, 2000 do
      entries[i] = ('"t%d":{"dtype":"F32","shape":[1],"data_offsets":[%d,%d]}'):format(i, 4 * i - 4,
        4 * i)
      few["t" .. i] = mg.ones(1)
    end
    helper.refuses("too much in it: tensors", mg.undump,
      file("{" .. table.concat(entries, ",") .. "}", 8000))
    helper.fails("too much in it: tensors, layers or texts, for the size", mg.dump, few)
    for i = 501, 2000 do few["t" .. i] = nil end
    assert.truthy(mg.undump(mg.dump(few)).t500)
    helper.refuses("too much in it: tensors", mg.undump,
      file('{"__metadata__":{"moongrad":"' .. ("["):rep(50000) .. '"}}'))
    helper.refuses("header is too long for the rest", mg.undump,
      file('{"__metadata__":{"x":"' .. ("y"):rep(500000) .. '"}}'))
  end)

  it("has a checksum of a part of a text, as of the whole", function()
    local whole = core.crc32(0, "moongrad")
    assert.equal(whole, core.crc32(core.crc32(0, "moongrad", 1, 4), "moongrad", 5))
    assert.equal(0, core.crc32(0, "moongrad", 9))
    helper.fails("last is 9, expected an integer from 0 to 8", core.crc32, 0, "moongrad", 1, 9)
    helper.fails("first is 6, expected an integer from 1 to 5", core.crc32, 0, "moongrad", 6, 4)
  end)

  it("costs no memory for sizes that it only claims", function()
    local _, _, _, before = mg.memory()
    helper.refuses("not that of", mg.undump,
      file(entry '"dtype":"F32","shape":[1000000000],"data_offsets":[0,4]', 4))
    helper.refuses("cut off", mg.undump,
      file(entry '"dtype":"F32","shape":[1000000000],"data_offsets":[0,4000000000]', 4))
    local _, _, _, after = mg.memory()
    assert.equal(before, after)
  end)
end)
