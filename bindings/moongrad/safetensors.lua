--- The format of model files, safetensors: eight bytes with the length of a header, the
-- header in JSON (names, shapes and places of tensors, texts under "__metadata__"), numbers.
--
-- Files of ours have the CRC-32 of all their bytes, computed as if its own digits were
-- zeros, as the first text.

return function(mg, core, require)
  local check, files = require "moongrad.check", require "moongrad.files"
  local safetensors = { files = files }

  local MOST_HEADER = 16 * 2 ^ 20
  local ZEROS = "00000000"
  local TYPE, BYTES = "F32", 4
  if core.real == "float64" then TYPE, BYTES = "F64", 8 end

  --- Bytes that what a header of n bytes tells of may take, so that loading takes at most
  -- twice the file and 1 MB in all (more only where numbers of fewer than 32 bits become
  -- longer). A text that is put together of pieces takes four times its length meanwhile.
  local function allowance(size, n) return size - 3 * n + 2 ^ 20 - 2 * files.PIECE end

  -------------------------------------------------------------------- writing

  local escapes = { ['"'] = '\\"', ["\\"] = "\\\\" }

  --- A text as JSON has it; what is no UTF-8 would be refused by all who read it.
  local function quote(s)
    return '"' .. s:gsub('[%z\1-\31"\\]', function(c)
      return escapes[c] or ("\\u%04x"):format(c:byte())
    end) .. '"'
  end

  local function integers(list)
    local words = {}
    for i, v in ipairs(list) do words[i] = ("%d"):format(v) end
    return "[" .. table.concat(words, ",") .. "]"
  end

  --- The length and the header of a file with these tensors and texts.
  local function header(tensors, texts)
    local entries, at = {}, 0
    for i, t in ipairs(tensors) do
      local last = at + t.tensor:numel() * BYTES
      entries[i] = ('%s:{"dtype":"%s","shape":%s,"data_offsets":%s}'):format(
        quote(t.name), TYPE, integers(t.tensor.shape), integers { at, last })
      at = last
    end
    local keys, pairs_ = {}, { '"crc32":"' .. ZEROS .. '"' }
    for key in pairs(texts) do keys[#keys + 1] = key end
    table.sort(keys)
    for i, key in ipairs(keys) do pairs_[i + 1] = quote(key) .. ":" .. quote(texts[key]) end
    table.insert(entries, 1, '"__metadata__":{' .. table.concat(pairs_, ",") .. "}")
    local text = "{" .. table.concat(entries, ",") .. "}"
    text = text .. (" "):rep(-#text % 8) -- numbers begin at a multiple of 8
    local length, left = {}, #text
    for i = 1, 8 do
      length[i] = string.char(left % 256)
      left = math.floor(left / 256)
    end
    return table.concat(length), text, at
  end

  --- Calls f with all bytes of all tensors, a piece at a time.
  local function each_piece(tensors, f)
    local most = files.PIECE / BYTES
    for _, t in ipairs(tensors) do
      local tensor = t.tensor:contiguous()
      local n = tensor:numel()
      for first = 1, n, most do
        f(tensor:to_string(core.real == "float64" and "f64" or "f32", first,
          math.min(most, n - first + 1)))
      end
    end
  end

  --- Refuses names that a reader would, before anything is written.
  local function check_names(tensors)
    local seen = {}
    for _, t in ipairs(tensors) do
      local name = t.name
      local wrong = (#name < 1 or #name > 255) and "has not 1 to 255 bytes"
        or name:find("\0", 1, true) and "has a zero byte" or seen[name] and "is there twice"
        or name == "__metadata__" and "means something else"
      if wrong then check.fail("save", 'the name "%s" %s', name, wrong) end
      seen[name] = true
    end
  end

  --- Writes tensors, a list of {name=, tensor=}, and texts by key.
  function safetensors.write(write, tensors, texts)
    check_names(tensors)
    local length, text, bytes = header(tensors, texts)
    if #text > MOST_HEADER then check.fail("save", "names and texts are more than 16 MB") end
    local found, wrong = core.read_header(text, allowance(#text + bytes, #text))
    if not found then check.fail("save", "the header %s", (wrong:gsub("^its header ", ""))) end
    local crc = core.crc32(core.crc32(0, length), text)
    each_piece(tensors, function(piece) crc = core.crc32(crc, piece) end)
    write(length .. (text:gsub(ZEROS, ("%08x"):format(crc), 1)))
    each_piece(tensors, write)
  end

  -------------------------------------------------------------------- reading

  local damaged = "it is damaged: "

  --- Length and text of the header, its entries and texts.
  local function read_header(read, size)
    if size < 8 then files.fail "it is no safetensors file: it has less than 8 bytes" end
    local length = read(8)
    local n = 0
    for i = 8, 1, -1 do n = n * 256 + length:byte(i) end
    if n > MOST_HEADER or n > size - 8 or n < 2 then
      files.fail "it is no safetensors file, or cut off: the length of its header is wrong"
    end
    if allowance(size, n) < 0 then files.fail "its header is too long for the rest of it" end
    local text = read(n)
    if text:byte() ~= 123 then files.fail "it is no safetensors file" end
    local tensors, texts = core.read_header(text, allowance(size, n))
    if not tensors then files.fail(damaged .. texts) end
    return length, text, tensors, texts
  end

  --- Do the tensors, in the order of their bytes, fill the data?
  local function check_places(tensors, size)
    table.sort(tensors, function(a, b) return a.first < b.first end)
    local at = 0
    for _, t in ipairs(tensors) do
      if t.first ~= at then
        files.fail(('%sthe bytes of tensor "%s" overlap others, or leave a hole'):format(
          damaged, t.name))
      end
      at = t.last
    end
    if at ~= size then
      files.fail(at > size and "it is cut off, or damaged"
        or damaged .. "bytes follow that belong to no tensor")
    end
  end

  --- A function that gives a tensor's bytes in pieces, counted into the checksum.
  local function pieces(read, t, sum)
    local left = t.last - t.first
    return function()
      local piece = read(left, true)
      left = left - #piece
      sum.crc = core.crc32(sum.crc, piece)
      return piece
    end
  end

  --- Reads a list of {name=, tensor=, type=, shape=} in the order of their bytes, and the
  -- texts by key.
  function safetensors.read(read, size)
    local length, text, tensors, texts = read_header(read, size)
    check_places(tensors, size - 8 - #text)
    local own, sum = texts.crc32, { crc = core.crc32(0, length) }
    local at = own and #own == 8 and text:find('"crc32":"' .. own .. '"', 1, true)
    if at then -- its own digits count as zeros
      at = at + #'"crc32":"'
      sum.crc = core.crc32(core.crc32(sum.crc, text, 1, at - 1), ZEROS)
    end
    sum.crc = core.crc32(sum.crc, text, at and at + 8 or 1)
    for _, t in ipairs(tensors) do
      t.tensor = mg.from_string(pieces(read, t, sum), t.shape, t.type)
    end
    if own and own ~= ("%08x"):format(sum.crc) or (texts.moongrad and not own) then
      files.fail(damaged .. "its checksum is another one")
    end
    return tensors, texts
  end

  return safetensors
end
