-- Many random programs (programs.lua), in processes of a few hundred each. The seed of one
-- that crashes, hangs or is wrong is found by halving, and its program made small: calls
-- are left out as long as it still fails. What is left is printed, with all that it calls.
--
--   lua tests/fuzz/campaign.lua [--seed N] [--programs N] [--block N] [--seconds N]
--
-- Each process gets another limit of memory. Ends with counts and, after a failure, with
-- exit status 1.

local options = { seed = 1, programs = 10000, block = 500, seconds = 1e9 }
for i = 1, #arg, 2 do
  local name = arg[i]:match("^%-%-(%a+)$")
  if not options[name] or not tonumber(arg[i + 1]) then
    io.stderr:write("usage: see the head of campaign.lua\n")
    os.exit(2)
  end
  options[name] = tonumber(arg[i + 1])
end

io.stdout:setvbuf "no"
local LIMITS = { 32, 1, 8, 2 } -- MB
local PATIENCE = 600           -- seconds for a process

local function quoted(text) return "'" .. text:gsub("'", "'\\''") .. "'" end

--- Runs n programs from a seed on, of 'keep' only the calls in it; whether all went well,
-- and what was written.
local function run(seed, n, limit, keep, more)
  local list, output = os.tmpname(), os.tmpname()
  local command = ("timeout %d %s tests/fuzz/programs.lua --seed %d --programs %d --limit %d %s")
    :format(PATIENCE, quoted(arg[-1]), seed, n, limit, more or "")
  if keep then
    local f = assert(io.open(list, "w"))
    for _, call in ipairs(keep) do f:write(call, "\n") end
    f:close()
    command = command .. " --keep " .. list
  end
  local status, _, code = os.execute(command .. " > " .. output .. " 2>&1")
  local f = assert(io.open(output))
  local text = f:read("*a")
  f:close()
  os.remove(list)
  os.remove(output)
  return status == 0 or status == true and code == 0, text
end

--- The seed of a single program that fails, among n; nil where none does so alone.
local function find(seed, n, limit)
  if run(seed, n, limit) then return nil end
  if n == 1 then return seed end
  local half = math.floor(n / 2)
  return find(seed, half, limit) or find(seed + half, n - half, limit)
end

--- The calls of a program that are enough for it to fail.
local function shrink(seed, limit)
  local keep = {}
  for i = 1, 200 do keep[i] = i end
  local size = 64
  while size >= 1 do
    local at = 1
    while at <= #keep do
      local less = {}
      for i, call in ipairs(keep) do
        if i < at or i >= at + size then less[#less + 1] = call end
      end
      if run(seed, 1, limit, less) then at = at + size else keep = less end
    end
    size = math.floor(size / 2)
  end
  return keep
end

local function report(seed, n, limit, text)
  print(text:sub(-4000))
  local one = find(seed, n, limit)
  if not one then
    return print(("programs %d to %d fail together, none alone"):format(seed, seed + n - 1))
  end
  local keep = shrink(one, limit)
  local _, trace = run(one, 1, limit, keep, "--trace")
  print(("program %d with a limit of %d MB fails by its calls %s:\n%s"):format(one, limit,
    table.concat(keep, ", "), trace:sub(-8000)))
end

local totals, failures, start = { 0, 0, 0, 0 }, 0, os.time()
local done = 0
while done < options.programs and os.time() - start < options.seconds and failures < 3 do
  local seed, n = options.seed + done, math.min(options.block, options.programs - done)
  local limit = LIMITS[math.floor(done / options.block) % #LIMITS + 1]
  local ok, text = run(seed, n, limit)
  if not ok then
    failures = failures + 1
    report(seed, n, limit, text)
  end
  local i = 0
  for count in (text:match("programs: [^\n]*") or ""):gmatch("(%d+) [sewc]%w") do
    i = i + 1
    if i <= 3 then totals[i] = totals[i] + count end
  end
  done = done + n
  io.stderr:write(("\r%d of %d programs, %d failures"):format(done, options.programs, failures))
end
io.stderr:write "\n"
print(("campaign: %d programs from seed %d, %d steps, %d without error, %d calls of the API,"
  .. " %d s; %d passed, %d failed"):format(done, options.seed, totals[1], totals[2], totals[3],
  os.time() - start, done - failures, failures))
os.exit(failures == 0 and 0 or 1)
