local mg = require "moongrad"
local helper = require "tests.spec.helper"
local nets = require "tests.spec.export_nets"

local fails, output_of = helper.fails, nets.output_of

-- A program that prints what each net answers to its three examples.
local function program_of(folder)
  local heads, main, expected = {}, {}, {}
  nets.each(function(net, x, y, _, shape)
    local k = #heads + 1
    local path, name = ("%s/net%d.h"):format(folder, k), "net" .. k
    assert(mg.export.c(net, path, { input = shape }))
    heads[k] = ('#include "%s"'):format(path)
    main[k] = ([[
  {
    static const double x[] = { %s };
    static float in[NET_INPUTS], y[NET_OUTPUTS], scratch[NET_SCRATCH + 1];
    scratch[NET_SCRATCH] = 12345;
    for (int n = 0; n < 3; n++) {
      for (int i = 0; i < NET_INPUTS; i++) in[i] = (float)x[n * NET_INPUTS + i];
      net_forward(in, y, scratch);
      for (int i = 0; i < NET_OUTPUTS; i++) printf("%%.9g\n", (double)y[i]);
    }
    if (scratch[NET_SCRATCH] != 12345) printf("scratch of net %d\n");
  }]]):format(nets.numbers(x), k):gsub("NET_", name:upper() .. "_"):gsub("net_", name .. "_")
    expected[k] = y
  end)
  return table.concat(heads, "\n") .. "\n#include <stdio.h>\nint main(void) {\n" ..
    table.concat(main, "\n") .. "\n  return 0;\n}\n", expected
end

describe("export.c", function()
  after_each(helper.remove_files)

  local compilers = { { "cc", "-x c -std=c99 -pedantic" }, { "c++", "-x c++ -std=c++11" } }
  for _, compiler in ipairs(compilers) do
    local name, options = compiler[1], compiler[2]
    if output_of(name .. " --version && nm --version && echo found"):find "found\n$" then
      it("gives a header that answers as the net and needs but functions of numbers, by "
        .. name, function()
        local folder = helper.file ""
        os.remove(folder)
        assert.equal("", output_of("mkdir " .. folder))
        local text, expected = program_of(folder)
        local source, object = helper.file(text), folder .. "/nets.o"
        assert.equal("", output_of(("%s %s -O1 -Wall -Wextra -Werror -c %s -o %s")
          :format(name, options, source, object)))
        assert.equal("", output_of(("nm -u %s | grep -vwE "
          .. "'U (expf|tanhf|logf|sqrtf|expm1f|log1pf|erff|printf|puts|__stack_chk_fail)'")
          :format(object))) -- the last ones are main's
        assert.equal("", output_of(("%s %s -o %s/program -lm"):format(name, object, folder)))
        nets.compare(expected, output_of(folder .. "/program"))
        os.execute("rm -r " .. folder)
      end)
    else
      pending(("skipped, there is no %s or nm"):format(name))
    end
  end

  it("calls nothing but functions of numbers", function()
    local path = helper.file ""
    local allowed = {}
    for name in ("expf tanhf logf sqrtf expm1f log1pf fabsf erff"):gmatch "%S+" do
      allowed[name] = true
    end
    nets.each(function(net, _, _, name, shape)
      assert(mg.export.c(net, path, { input = shape, name = "own" }))
      local f = assert(io.open(path))
      local text = f:read "*a"
      f:close()
      for include in text:gmatch "#include ([^\n]+)" do assert.equal("<math.h>", include) end
      for word in text:gsub("/%*.-%*/", ""):gmatch "([%a_][%w_]*)%(" do
        assert(allowed[word] or word:find "^own_" or word == "f" or word == "cell",
          name .. " calls " .. word)
      end
    end)
  end)

  it("names everything after the file, or as it is told", function()
    local folder = helper.file ""
    os.remove(folder)
    os.execute("mkdir " .. folder)
    local function first(name, path, options)
      assert(mg.export.c(mg.dense(1, { inputs = 2 }), path, options))
      local f = io.open(path)
      assert(f:read("*a"):find("#define " .. name:upper() .. "_INPUTS 2\n", 1, true))
      f:close()
    end
    first("gate_3", folder .. "/gate-3.h")
    first("net_3", folder .. "/3.h")
    first("other", folder .. "/x.h", { name = "other" })
    os.execute("rm -r " .. folder)
    fails('the net cannot have the name "a b" in C', mg.export.c, mg.dense(1, { inputs = 2 }),
      "x", { name = "a b" })
  end)
end)
