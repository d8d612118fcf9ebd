# moongrad: "make help" lists the targets.

LUA     ?= 5.4
REAL    ?= float
CC      ?= cc
CFLAGS  ?= -O3
PREFIX  ?= /usr/local
BUILD   ?= build

VERSION := $(shell sed -n 's/^.define MGRAD_VERSION "\(.*\)"/\1/p' core/moongrad.h)

# ---- which Lua: 5.1 to 5.5, or jit. LUA_INCDIR names its headers' folder. ----

ifeq ($(LUA),jit)
LUA_PACKAGE := luajit
LUA_BIN     ?= luajit
LUA_FOLDER  := 5.1
LUA_DEBIAN  := luajit libluajit-5.1-dev
else
LUA_PACKAGE := lua$(LUA)
LUA_BIN     ?= lua$(LUA)
LUA_FOLDER  := $(LUA)
LUA_DEBIAN  := lua$(LUA) $(if $(filter 5.1,$(LUA)),liblua5.1-0-dev,liblua$(LUA)-dev)
endif
LUA_LIB := -l$(if $(filter jit,$(LUA)),luajit-5.1,$(LUA_PACKAGE))
# One that has no package is built of the sources in the folder LUA_SRC, and cjson for it of
# those in CJSON_SRC.
ifdef LUA_SRC
LUA_INCDIR := $(LUA_SRC)
LUA_HOME   := $(CURDIR)/$(BUILD)/luas
LUA_BIN    := $(LUA_HOME)/lua$(LUA)
LUA_SHARE  := ;/usr/share/lua/5.4/?.lua;/usr/share/lua/5.4/?/init.lua
LDFLAGS    += -L$(LUA_HOME) -Wl,-rpath,$(LUA_HOME)
endif
LIBDIR  ?= $(PREFIX)/lib
LUA_LIBDIR   ?= $(PREFIX)/lib/lua/$(LUA_FOLDER)
LUA_SHAREDIR ?= $(PREFIX)/share/lua/$(LUA_FOLDER)
# asked for when used, not now: "make demo" may install it first
LUA_CFLAGS = $(if $(LUA_INCDIR),-I$(LUA_INCDIR),$(or \
  $(shell pkg-config --cflags-only-I $(LUA_PACKAGE) 2>/dev/null),-I/usr/include/$(LUA_PACKAGE)))

# ---- building ----

# KIND keeps builds with other options apart: make KIND_SUFFIX=-asan CFLAGS=..
KIND     := $(REAL)$(KIND_SUFFIX)
CORE_DIR := $(BUILD)/core-$(KIND)
BIND_DIR := $(BUILD)/bind-$(LUA)-$(KIND)
LUA_OUT  := $(BUILD)/lua$(LUA)$(KIND_SUFFIX)

# Results must not depend on how a compiler fuses a * b + c.
STRICT := -std=c11 -fPIC -fvisibility=hidden -ffp-contract=off -fno-math-errno \
          -fno-trapping-math -ffunction-sections -fdata-sections
# MGRAD_EACH allows vectors, it does not demand them: clang need not say where it has none.
WARN   := -Werror=implicit-function-declaration -Wall -Wextra -Wshadow -Wno-missing-field-initializers -Wno-psabi -Wno-pass-failed
STERN  := -Wconversion -Wsign-conversion # these too, in "make lint"
REAL_FLAG := $(if $(filter double,$(REAL)),-DMGRAD_REAL_DOUBLE)
COMPILE = $(CC) $(STRICT) $(WARN) $(REAL_FLAG) $(CFLAGS) -MMD -MP
SHARED  = $(CC) $(CFLAGS) $(LDFLAGS) -shared -Wl,-z,nodelete,--gc-sections

CORE_SRC := $(wildcard core/*.c core/ops/*.c core/layers/*.c core/kernels/*.c)

# What is compiled once more for an instruction set, without what ops.def marks as S: for
# AVX-512 the files of what is marked as W and what these call; the rest is taken from AVX2.
ISA_SRC  := $(filter-out core/ops/conv%,$(wildcard core/ops/*.c core/kernels/*.c)) \
  core/optimizers.c core/table.c
ISA_SRC_avx2   := $(ISA_SRC)
ISA_SRC_avx512 := $(wildcard core/kernels/*.c) core/table.c \
  $(addprefix core/ops/,elementwise.c linear.c recurrent.c attention.c softmax.c)
ISAS     ?= $(if $(filter x86_64-float,$(shell $(CC) -dumpmachine | cut -d- -f1)-$(REAL)),avx2 avx512)
ISA_avx2   := -mavx2 -mfma
ISA_avx512 := -mavx512f -mavx512bw -mavx512dq -mavx512vl -mfma -mprefer-vector-width=512 \
              -DMGRAD_NARROWER=avx2

CORE_OBJ := $(CORE_SRC:%.c=$(CORE_DIR)/%.o) \
            $(foreach isa,$(ISAS),$(ISA_SRC_$(isa):%.c=$(CORE_DIR)/$(isa)/%.o))
CORE_LIB := $(CORE_DIR)/libmoongrad.a
SYS_SRC  := bindings/system.c bindings/posix.c
PNG_SRC  := bindings/png.c bindings/crc.c
BIND_SRC := $(filter-out $(SYS_SRC) bindings/png.c,$(wildcard bindings/*.c))
BIND_OBJ := $(BIND_SRC:%.c=$(BIND_DIR)/%.o)
SYS_OBJ  := $(SYS_SRC:%.c=$(BIND_DIR)/%.o)
PNG_OBJ  := $(PNG_SRC:%.c=$(BIND_DIR)/%.o)
MODULES  := $(addprefix $(LUA_OUT)/moongrad/,core.so system.so png.so)

# No target that is a plain word is a file.
.PHONY: $(shell sed -n 's/^\([a-z][a-z-]*\):[^=].*/\1/p;s/^\([a-z][a-z-]*\):$$/\1/p' $(firstword $(MAKEFILE_LIST)))

all: $(MODULES) ## build the Lua module (LUA=5.1 .. 5.4, jit)

core: $(CORE_LIB) ## build the C library alone

ifdef LUA_SRC
all: $(LUA_BIN) $(CJSON_SRC:%=$(LUA_OUT)/cjson.so)

$(LUA_BIN): tests/lua.c
	@mkdir -p $(@D)
	$(CC) -O2 -fPIC -shared -DLUA_USE_LINUX $(filter-out %/lua.c %/luac.c %/onelua.c,\
	  $(wildcard $(LUA_SRC)/*.c)) -o $(@D)/lib$(@F).so -lm -ldl
	$(CC) -O2 -I$(LUA_SRC) $< -o $@ -L$(@D) -l$(@F) -Wl,-rpath,$(@D)

$(LUA_OUT)/cjson.so: $(addprefix $(CJSON_SRC)/,lua_cjson.c strbuf.c fpconv.c)
	@mkdir -p $(@D)
	$(CC) -O2 -w -fPIC -shared -I$(LUA_SRC) $^ -o $@ -lm
endif

$(CORE_DIR)/%.o: %.c
	@mkdir -p $(@D)
	$(COMPILE) -c $< -o $@

$(CORE_DIR)/core/code.o: COMPILE += $(if $(ISAS),-DMGRAD_X86_SETS)

GNU := $(findstring Free Software,$(shell $(CC) --version))

# Where jumps lead needs no alignment, where loops begin does.
$(CORE_OBJ) $(BIND_OBJ): COMPILE += $(if $(GNU),-fno-align-jumps)

# Ops are many short loops. GCC would unroll the tail of each, a quarter of their code.
TAILS := $(if $(GNU),--param=max-completely-peeled-insns=20)
SHORT := core/optimizers.c $(addprefix core/kernels/,philox.c walk.c windows.c) $(wildcard core/ops/*.c)
$(filter $(addprefix %/,$(SHORT:.c=.o)),$(CORE_OBJ)): COMPILE += $(TAILS)

# -O3 makes code faster where loops are all there is. It would double the size of the
# other ops, for which vectors are enough, and of what has no loops that matter. What is
# as small as can be: layers, which call ops, what runs once where ops run often, ops for
# machines without AVX2, and what makes objects for Lua.
O2     = $(if $(filter -O3,$(CFLAGS)),-O2)
LOOPS := core/optimizers.c core/table.c $(wildcard core/kernels/*.c) \
         $(addprefix core/ops/,elementwise.c softmax.c)
OPS   := $(filter-out $(LOOPS),$(wildcard core/ops/*.c))
FAST  := $(if $(ISAS),$(ISAS:%=$(CORE_DIR)/%/),$(CORE_DIR)/)
$(foreach o,$(OPS:.c=.o),$(FAST:%=%$(o))): \
  COMPILE += $(O2) $(if $(and $(O2),$(GNU)),-ftree-vectorize -fvect-cost-model=dynamic)
$(if $(ISAS),$(ISA_SRC:%.c=$(CORE_DIR)/%.o)): COMPILE += $(O2)
$(filter-out $(addprefix %/,$(ISA_SRC:.c=.o) $(LOOPS:.c=.o)),$(CORE_OBJ)) $(BIND_OBJ): \
  COMPILE += $(O2)
ONCE  := $(addprefix core/,anomaly.c attrs.c augment.c backup.c call.c further.c fuse.c init.c \
         layer.c lbfgs.c metric.c minimise.c params.c recall.c resume.c state.c where.c)
SMALL := $(ONCE) $(wildcard core/layers/*.c) $(if $(ISAS),core/optimizers.c $(wildcard core/ops/*.c))
BUILDERS := $(filter-out $(addprefix bindings/,args.c box.c gunzip.c ops.c trainer.c),$(BIND_SRC))
$(SMALL:%.c=$(CORE_DIR)/%.o) $(BUILDERS:%.c=$(BIND_DIR)/%.o): COMPILE += $(if $(O2),-Os)

# Exceptions never pass through the core: a Lua that throws them is called in protected
# mode only. The bindings need the tables that the core goes without.
$(CORE_OBJ): COMPILE += -fno-asynchronous-unwind-tables

define isa_rule
$(CORE_DIR)/$(1)/%.o: %.c
	@mkdir -p $$(@D)
	$$(COMPILE) $(ISA_$(1)) -DMGRAD_ISA=$(1) -c $$< -o $$@
endef
$(foreach isa,$(ISAS),$(eval $(call isa_rule,$(isa))))

$(BIND_DIR)/%.o: %.c
	@mkdir -p $(@D)
	$(COMPILE) -D_POSIX_C_SOURCE=200809L $(LUA_CFLAGS) -c $< -o $@

$(CORE_LIB): $(CORE_OBJ)
	@rm -f $@
	$(AR) rcs $@ $^

$(LUA_OUT)/moongrad/core.so: $(BIND_OBJ) $(CORE_LIB)
	@mkdir -p $(@D)
	$(SHARED) -o $@ $^ -lm

$(LUA_OUT)/moongrad/png.so: $(PNG_OBJ)
$(LUA_OUT)/moongrad/system.so: $(SYS_OBJ)
$(LUA_OUT)/moongrad/png.so $(LUA_OUT)/moongrad/system.so:
	@mkdir -p $(@D)
	$(SHARED) -o $@ $^

-include $(CORE_OBJ:.o=.d) $(BIND_OBJ:.o=.d) $(SYS_OBJ:.o=.d) $(PNG_OBJ:.o=.d)

# ---- running ----

JOBS = -j$(shell nproc 2>/dev/null || echo 1)

demo: deps-demo ## install what is missing, build, learn Fashion-MNIST
	@echo 'building moongrad for $(LUA_BIN)'
	@$(MAKE) --no-print-directory -s $(JOBS) all
	$(LUA_BIN) scripts/fashion_mnist.lua

env: ## the lines that let this tree be used: eval "$(make env)"
	@echo 'export LUA_PATH$(LUA_SUFFIX)="$(CURDIR)/bindings/?.lua;$(CURDIR)/bindings/?/init.lua;./?.lua;;"'
	@echo 'export LUA_CPATH$(LUA_SUFFIX)="$(CURDIR)/$(LUA_OUT)/?.so;;"'

# ---- tests: each target runs a part, "make test" all of them ----

# One process with the built tree in its paths. 5.1 and LuaJIT know no versioned names.
LUA_ENV = LUA_PATH$(LUA_SUFFIX)='$(CURDIR)/bindings/?.lua;$(CURDIR)/bindings/?/init.lua;./?.lua$(LUA_SHARE);;' \
          LUA_CPATH$(LUA_SUFFIX)='$(CURDIR)/$(LUA_OUT)/?.so;;' $(LUA_HOME:%=PATH='%':"$$PATH")
LUA_SUFFIX := $(if $(filter jit 5.1,$(LUA)),,_$(subst .,_,$(LUA)))
BUSTED = $(LUA_ENV) MOONGRAD_LUA=$(LUA_BIN) busted --lua=$(LUA_BIN) --output=TAP --loaders=lua

TEST_DIR := $(BUILD)/tests-$(KIND)

$(TEST_DIR)/%: tests/c/%.c $(CORE_LIB)
	@mkdir -p $(@D)
	$(COMPILE) $< $(CORE_LIB) -o $@ $(LDFLAGS) -lm

-include $(wildcard $(TEST_DIR)/*.d)

test: deps-test ## install what is missing, build, run all tests
	@SCRIPT_SEEDS=1 tests/run test-c 'test-lua test-luas' 'test-torch test-scripts' \
	  test-package-quick test-amalgamation torture-quick fuzz-quick asan 'determinism-quick lint'

# The functions of maths.h as each instruction set compiles them.
HERE  = $(foreach isa,$(ISAS),$(if $(shell \
  grep -owm1 $(isa:avx512=avx512f) /proc/cpuinfo),$(isa))) # those this machine has
MATHS = $(TEST_DIR)/maths $(HERE:%=$(TEST_DIR)/maths-%)
$(ISAS:%=$(TEST_DIR)/maths-%): $(TEST_DIR)/maths-%: tests/c/maths.c $(CORE_LIB)
	$(COMPILE) $(ISA_$*) $< -o $@ -lm

maths: ## the error of exp, tanh .. over every float32 (takes a quarter of an hour)
	@$(MAKE) --no-print-directory -s $(MATHS)
	@for m in $(MATHS); do $$m --all || exit 1; done

maths-quick:
	@$(MAKE) --no-print-directory -s $(MATHS)
	@for m in $(MATHS); do $$m || exit 1; done

test-c: ## C tests of the core, in float and double
	@$(MAKE) --no-print-directory -s $(BUILD)/tests-float/core $(BUILD)/tests-float/tree \
	  $(BUILD)/tests-float/pool $(BUILD)/tests-float/resume $(BUILD)/tests-float/pause \
	  $(BUILD)/tests-float/extreme
	@$(MAKE) --no-print-directory -s REAL=double $(BUILD)/tests-double/core
	$(BUILD)/tests-float/core
	$(BUILD)/tests-float/tree
	$(BUILD)/tests-float/resume
	$(BUILD)/tests-float/pause
	$(BUILD)/tests-float/pool
	$(BUILD)/tests-float/extreme
	$(BUILD)/tests-double/core
	@$(MAKE) --no-print-directory maths-quick
	@$(MAKE) --no-print-directory grad

grad: ## the gradient table: every op and layer against differences, in double
	@$(MAKE) --no-print-directory -s REAL=double $(BUILD)/tests-double/grad
	$(BUILD)/tests-double/grad

test-lua: all ## the specs of the Lua API
	$(BUSTED) tests/spec

test-plain: all ## the same without busted: LUA=5.5 LUA_SRC=folder CJSON_SRC=folder
	$(LUA_ENV) MOONGRAD_LUA=$(LUA_BIN) $(LUA_BIN) tests/plain.lua tests/spec/*_spec.lua

LUAS ?= 5.1 5.2 5.3 jit
test-luas: $(LUAS:%=test-lua-%) ## the same under the other Luas

# Luas may be tested at once, so what they share is built before.
test-lua-%: all
	@$(MAKE) --no-print-directory -s LUA=$* test-lua

test-torch: all ## the same formulas as PyTorch's, where it is installed
	$(BUSTED) tests/torch

test-scripts: all ## the experiments, each with its claim, for SCRIPT_SEEDS=3 seeds
	@! command -v love >/dev/null || $(MAKE) --no-print-directory -s LUA=jit all
	$(BUSTED) tests/scripts

test-amalgamation: all amalgamation ## it builds everywhere here, with the same bits; guides in C
	@tests/amalgamation
	@$(LUA_BIN) tests/guides.lua $(BUILD)/amalgamation

mingw: deps-mingw ## build for Windows, run core, C tests and the module under wine
	@$(MAKE) --no-print-directory -s all amalgamation $(BUILD)/tests-float/determinism
	@tests/mingw

ALLOC := $(TEST_DIR)/alloc-$(LUA)
$(ALLOC): tests/torture/alloc.c
	@mkdir -p $(@D)
	$(COMPILE) $(LUA_CFLAGS) $< -o $@ $(LDFLAGS) $(LUA_LIB)

INTERRUPT := $(BUILD)/interrupt
$(INTERRUPT): tests/torture/interrupt.c
	@mkdir -p $(@D)
	$(CC) -O1 -Wall $< -o $@

# A host of many states, threads and processes.
STATES := $(TEST_DIR)/states-$(LUA)
$(STATES): tests/torture/states.c
	@mkdir -p $(@D)
	$(COMPILE) $(LUA_CFLAGS) $< -o $@ $(LDFLAGS) $(LUA_LIB) -lpthread -ldl -lm

# Preloaded: lets calls for files fail.
FAULT := $(BUILD)/fault.so
$(FAULT): tests/torture/fault.c
	@mkdir -p $(@D)
	$(CC) -O1 -Wall -shared -fPIC $< -o $@ -ldl

EVERY ?= 1
torture-alloc: all $(ALLOC)
	$(LUA_ENV) $(ALLOC) --every $(EVERY)

torture: torture-alloc interrupts $(FAULT) ## allocations and calls for files failing in turn, kill -9, stops, Ctrl-C
	$(LUA_ENV) LD_PRELOAD=$(CURDIR)/$(FAULT) $(LUA_BIN) tests/torture/faults.lua
	$(LUA_ENV) $(LUA_BIN) tests/torture/kill.lua 1000
	$(LUA_ENV) $(LUA_BIN) tests/torture/resume.lua 50

INTERRUPTS ?= 1000
interrupts: all $(INTERRUPT)
	$(LUA_ENV) $(INTERRUPT) $(LUA_BIN) $(INTERRUPTS)

torture-quick: all $(ALLOC) $(FAULT) $(INTERRUPT) $(STATES)
	@$(MAKE) --no-print-directory torture-alloc EVERY=700
	$(LUA_ENV) $(LUA_BIN) tests/torture/dropped.lua --count 50
	$(LUA_ENV) $(LUA_BIN) tests/torture/drift.lua --scale 0.002
	$(LUA_ENV) $(LUA_BIN) tests/torture/steady.lua
	$(LUA_ENV) $(LUA_BIN) tests/torture/finite.lua
	$(LUA_ENV) $(STATES) threads
	$(LUA_ENV) $(STATES) forks 5
	$(LUA_ENV) $(STATES) cycles 20
	$(LUA_ENV) $(STATES) unload 10 $(LUA_OUT)/moongrad/core.so
	$(LUA_ENV) $(STATES) soak 10000
	$(LUA_ENV) $(STATES) host
	$(LUA_ENV) LD_PRELOAD=$(CURDIR)/$(FAULT) $(LUA_BIN) tests/torture/faults.lua quick
	$(LUA_ENV) $(LUA_BIN) tests/torture/kill.lua 25
	$(LUA_ENV) $(LUA_BIN) tests/torture/resume.lua 3
	$(LUA_ENV) $(INTERRUPT) $(LUA_BIN) 14

PROGRAMS ?= 100000
fuzz: all ## hostile arguments for every function; PROGRAMS=100000 random programs, files
	$(LUA_ENV) $(LUA_BIN) tests/fuzz/hostile.lua
	$(LUA_ENV) $(LUA_BIN) tests/fuzz/campaign.lua --programs $(PROGRAMS)
	$(LUA_ENV) $(LUA_BIN) tests/fuzz/files.lua --rounds $(PROGRAMS)

fuzz-asan: ## random programs in a sanitized build
	+@$(ASAN) asan-lua
	+$(ASAN_ENV) $(ASAN) fuzz-built

fuzz-asan-luas: ## the same under every Lua, by all cores, the slowest first
	+@set -e; for v in 5.4 $(LUAS); do $(ASAN) LUA=$$v asan-lua; done
	+@printf '%s\n' 5.4 5.3 $(filter-out 5.3,$(LUAS)) | \
	  xargs -P $$(nproc) -I LUA_HERE env $(ASAN_ENV) $(ASAN) LUA=LUA_HERE fuzz-built

# A share of the same, under every Lua.
fuzz-quick: fuzz-files-quick $(addprefix fuzz-share-,$(LUA) $(LUAS))

fuzz-files-quick: all
	$(LUA_ENV) $(LUA_BIN) tests/fuzz/files.lua --rounds 300
	@$(MAKE) --no-print-directory replay
	@mkdir -p $(BUILD)/large
	$(LUA_ENV) $(LUA_BIN) tests/fuzz/seeds.lua $(BUILD)/large large
	$(LUA_ENV) $(TEST_DIR)/fuzz-loader $(BUILD)/large

fuzz-share-%: all
	@$(MAKE) --no-print-directory -s LUA=$* fuzz-share

fuzz-share: all
	$(LUA_ENV) $(LUA_BIN) tests/fuzz/hostile.lua --every 20
	$(LUA_ENV) $(LUA_BIN) tests/fuzz/programs.lua --programs 150

fuzz-built:
	$(LUA_ENV) $(LUA_BIN) tests/fuzz/campaign.lua --programs $(PROGRAMS)

# The loader of model files, with Lua and without, fed by libFuzzer or, without clang, by
# replay.c.
FUZZERS   := $(TEST_DIR)/fuzz-header $(TEST_DIR)/fuzz-loader
FUZZ_MAIN ?= tests/fuzz/replay.c
FUZZ_SRC   = tests/fuzz/mutate.c $(FUZZ_MAIN)
$(TEST_DIR)/fuzz-header: FUZZ_OBJ := $(BIND_DIR)/bindings/header.o $(BIND_DIR)/bindings/crc.o
$(TEST_DIR)/fuzz-loader: FUZZ_OBJ := $(BIND_OBJ)
$(TEST_DIR)/fuzz-loader: FUZZ_LIB := $(LUA_LIB)
$(FUZZERS): $(TEST_DIR)/fuzz-%: tests/fuzz/%.c $(wildcard tests/fuzz/*.[ch]) $(BIND_OBJ) $(CORE_LIB)
	@mkdir -p $(@D)
	$(COMPILE) -D_POSIX_C_SOURCE=200809L $(LUA_CFLAGS) $< $(FUZZ_SRC) $(FUZZ_OBJ) $(CORE_LIB) \
	  -o $@ $(LDFLAGS) $(FUZZ_LIB) -lm

CORPUS  := tests/fuzz/corpus
CHANGES ?= 20
replay: $(FUZZERS) ## the corpus of model files, and CHANGES=20 changes of each
	$(TEST_DIR)/fuzz-header $(CORPUS) $(CHANGES)
	$(LUA_ENV) $(TEST_DIR)/fuzz-loader $(CORPUS) $(CHANGES)

# Inputs that add something go to build/corpus; each fuzzer has its own share of the runs.
INPUTS     ?= 10000000
FUZZ_FLAGS := -O2 -g -fsanitize=address,undefined,fuzzer-no-link -fno-sanitize-recover=undefined \
  -fno-sanitize-coverage=trace-cmp
FUZZ_LIMIT := -timeout=2 -malloc_limit_mb=64 -rss_limit_mb=1024 -max_len=8192 -print_final_stats=1
fuzz-files: ## INPUTS=10000000 model files by libFuzzer (clang), under the sanitizers
	@$(MAKE) --no-print-directory -s CC=clang KIND_SUFFIX=-fuzz ISAS= CFLAGS='$(FUZZ_FLAGS)' \
	  FUZZ_MAIN= LDFLAGS=-fsanitize=fuzzer $(FUZZERS:$(TEST_DIR)/%=$(TEST_DIR)-fuzz/%)
	@mkdir -p $(BUILD)/corpus
	$(TEST_DIR)-fuzz/fuzz-header $(FUZZ_LIMIT) -runs=$(INPUTS) $(BUILD)/corpus $(CORPUS)
	$(LUA_ENV) $(TEST_DIR)-fuzz/fuzz-loader $(FUZZ_LIMIT) -runs=$$(($(INPUTS) / 50)) \
	  $(BUILD)/corpus $(CORPUS)

HOSTS ?=
hosts: deps-hosts ## train, infer and load in real programs; HOSTS='love wrk' for some
	@set -e; for v in jit 5.3 5.4; do $(MAKE) --no-print-directory -s LUA=$$v all; done
	@tests/hosts/run $(HOSTS)

WORKLOADS ?= $(patsubst tests/bench/%.lua,%,$(wildcard tests/bench/w[0-9].lua))
ROUNDS    ?= 1
bench: all $(BUILD)/bench-core ## figures of workloads w1 to w8; PEERS=folder shows built peers beside
	@for round in $$(seq $(ROUNDS)); do $(BUILD)/bench-core; for w in $(WORKLOADS); do \
	  $(LUA_ENV) PEERS='$(PEERS)' $(LUA_BIN) tests/bench/$$w.lua; \
	  [ -z '$(PEERS)' ] || $(MAKE) --no-print-directory -s -C '$(PEERS)' run W=$$w; \
	done; done | tee $(BUILD)/bench.txt
	@$(LUA_BIN) tests/bench/table.lua $(BUILD)/bench.txt

$(BUILD)/bench-core: tests/bench/core.c $(CORE_LIB)
	$(COMPILE) $< $(CORE_LIB) -lm -o $@

# OpenBLAS and oneDNN 2, where they are, run in the same process.
GEMM_ISA   = $(lastword $(HERE))
GEMM_PEERS = $(if $(wildcard /usr/lib/*/libopenblas.so),-DPEER_CBLAS -lopenblas) \
             $(if $(wildcard /usr/lib/*/libdnnl.so),-DPEER_DNNL -ldnnl)
bench-gemm: core ## speed of the matrix product by shape, SHAPE='m n k' for one
	@$(COMPILE) $(if $(GEMM_ISA),$(ISA_$(GEMM_ISA)) -DMGRAD_ISA=$(GEMM_ISA)) \
	  tests/bench/gemm.c $(CORE_LIB) $(GEMM_PEERS) -lm -o $(BUILD)/gemm
	@OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1 $(BUILD)/gemm $(SHAPE)

count: all ## instructions of steps of w1, w2, w3 under valgrind: the same on a busy machine
	@$(LUA_ENV) $(LUA_BIN) tests/bench/count.lua

count-checks: all ## instructions of a step that looking for NaN and infinity takes, in percent
	@$(MAKE) --no-print-directory -s KIND_SUFFIX=-unchecked CFLAGS='$(CFLAGS) -DMGRAD_UNCHECKED' all
	@$(LUA_ENV) $(LUA_BIN) tests/bench/count.lua --unchecked $(BUILD)/lua$(LUA)-unchecked

COVER = $(MAKE) --no-print-directory -s KIND_SUFFIX=-cov ISAS= CFLAGS='-O0 -g --coverage'
.PHONY: coverage coverage-run
coverage: ## branches and lines of what saves and loads that tests reach
	+@$(COVER) coverage-run
coverage-run: all $(TEST_DIR)/resume $(FUZZERS) $(FAULT) $(ALLOC)
	@$(LUA_ENV) tests/coverage $(CORE_DIR) $(BIND_DIR) $(TEST_DIR)

SEEDS ?= 100
determinism: ## the same bits for each seed under all instruction sets, gcc, clang, AArch64
	+@tests/determinism $(SEEDS)

determinism-quick:
	+@tests/determinism 4

SANITIZE := -O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=undefined
ASAN = $(MAKE) --no-print-directory -s KIND_SUFFIX=-asan CFLAGS='$(SANITIZE)'
# By an interpreter whose memory is malloc's, LuaJIT's too: else sanitizers see none of it.
ASAN_BIN = $(CURDIR)/$(BUILD)/tests-float-asan/bin
ASAN_ENV = PATH=$(ASAN_BIN):$$PATH UBSAN_OPTIONS=print_stacktrace=1 \
  ASAN_OPTIONS=detect_leaks=0:allocator_may_return_null=1
asan: asan-c asan-specs ## C tests and specs under the address and undefined-behaviour sanitizers
	+@$(ASAN) LUA=jit asan-lua
	+$(ASAN_ENV) $(ASAN) fuzz-built PROGRAMS=300
	+$(ASAN_ENV) $(ASAN) LUA=jit fuzz-built PROGRAMS=300
	+ASAN_OPTIONS=detect_leaks=0 $(ASAN) replay

asan-c:
	+@$(ASAN) REAL=double $(patsubst %,$(BUILD)/tests-double-asan/%,core tree resume grad)
	$(BUILD)/tests-double-asan/core
	$(BUILD)/tests-double-asan/resume
	$(BUILD)/tests-double-asan/tree
	$(BUILD)/tests-double-asan/grad

asan-specs:
	+@$(ASAN) asan-lua
	+$(ASAN_ENV) $(ASAN) specs-built

specs-built:
	ls tests/spec/*_spec.lua | \
	  $(LUA_ENV) MOONGRAD_LUA=$(LUA_BIN) xargs -n 5 -P $$(nproc) $(LUA_BIN) tests/plain.lua

TSAN = $(MAKE) --no-print-directory -s KIND_SUFFIX=-tsan CFLAGS='-O1 -g -fsanitize=thread'
TSAN_STATES = $(BUILD)/tests-float-tsan/states-$(LUA)
tsan: ## the pool, many contexts and Lua states at once under the thread sanitizer
	+@$(TSAN) $(BUILD)/tests-float-tsan/pool
	TSAN_OPTIONS=die_after_fork=0 setarch -R $(BUILD)/tests-float-tsan/pool
	+@$(TSAN) all $(TSAN_STATES)
	+@$(TSAN) tsan-built

tsan-built:
	$(LUA_ENV) setarch -R $(TSAN_STATES) threads

# Both keep what has been freed, so memory may grow. Each must find a leak first.
GROWN := 1000000
VALGRIND := valgrind -q --error-exitcode=1 --leak-check=full --errors-for-leak-kinds=definite,possible
valgrind: all $(STATES) ## C tests, specs, states on threads, all ops and layers under valgrind: no leak, no error
	@$(MAKE) --no-print-directory -s $(addprefix $(TEST_DIR)/,core tree resume)
	! $(VALGRIND) $(STATES) leak 2>/dev/null
	$(VALGRIND) $(TEST_DIR)/core
	$(VALGRIND) $(TEST_DIR)/tree
	$(VALGRIND) $(TEST_DIR)/resume
	$(LUA_ENV) $(VALGRIND) $(STATES) threads
	$(LUA_ENV) $(VALGRIND) $(STATES) soak 500 $(GROWN)
	$(LUA_ENV) $(VALGRIND) $(STATES) work
	$(LUA_ENV) MOONGRAD_LUA=$(LUA_BIN) $(VALGRIND) $(LUA_BIN) tests/plain.lua tests/spec/*_spec.lua
	@echo figure C3 errors 0

# An interpreter that is sanitized itself, under the name that the specs call.
asan-lua: all $(TEST_DIR)/bin/$(LUA_BIN)
$(TEST_DIR)/bin/$(LUA_BIN): tests/lua.c
	@mkdir -p $(@D)
	$(COMPILE) $(LUA_CFLAGS) $< -o $@ $(LDFLAGS) $(LUA_LIB)

ASAN_STATES = $(BUILD)/tests-float-asan/states-$(LUA)
leaks: ## Lua states of a C host, specs, all ops and layers under the leak sanitizer
	+@$(ASAN) asan-lua $(ASAN_STATES)
	+@$(ASAN) leaks-built

leaks-built:
	! $(ASAN_STATES) leak 2>/dev/null
	$(LUA_ENV) $(ASAN_STATES) cycles 5 $(GROWN)
	$(LUA_ENV) $(ASAN_STATES) soak 2000 $(GROWN)
	$(LUA_ENV) $(ASAN_STATES) work
	$(LUA_ENV) PATH=$(ASAN_BIN):$$PATH MOONGRAD_LUA=$(LUA_BIN) ASAN_OPTIONS=allocator_may_return_null=1 \
	  $(LUA_BIN) tests/plain.lua tests/spec/*_spec.lua
	@echo figure C3 errors 0

# One program of S under this Lua or all; specs ("luarocks test"); the host of many states.
run: all
	$(LUA_ENV) $(LUA_BIN) $(or $(S),$(error S=.. names the program))

spec: all
	$(BUSTED:TAP=plainTerminal) $(S)

states: all $(STATES)
	$(LUA_ENV) $(STATES) $(S)

run-luas:
	@set -e; for v in 5.4 $(LUAS); do $(MAKE) --no-print-directory -s LUA=$$v run S='$(S)'; done

asan-luas: ## one program S in a sanitized build, under every Lua
	+@set -e; for v in 5.4 $(LUAS); do \
	  $(ASAN) LUA=$$v asan-lua; $(ASAN_ENV) $(ASAN) LUA=$$v run S='$(S)'; done

ROWS ?=
reliability: ## run the commands of all promises, ROWS='C5 F2' for some (help lists them), and write build/reliability.md
	@QUICK='$(QUICK)' $(LUA_BIN) tests/reliability.lua '$(ROWS)'

soak: all $(STATES) ## 518,400 frames of a game, with states reopened and faults in between
	$(LUA_ENV) $(STATES) soak

lint: all ## include directions, imported symbols, warnings as errors, luacheck, tidy
	$(LUA_BIN) tests/lint.lua $(CORE_LIB) $(MODULES)
	luacheck -q bindings scripts tests
	$(LUA_ENV) $(LUA_BIN) bindings/reference/generate.lua --check
	@for cc in $(CC) $$(command -v clang); do \
	  echo "warnings of $$cc"; \
	  $(MAKE) --no-print-directory -s CC=$$cc KIND_SUFFIX=-strict-$${cc##*/} \
	    CFLAGS='-O2 -Werror $(STERN)' all || exit 1; \
	  for std in c99 c11 c++11 c++17; do \
	    $$cc -x $${std%%[0-9]*} -std=$$std -fsyntax-only -pedantic -Wall -Wextra -Werror $(STERN) \
	      core/moongrad.h || exit 1; \
	  done; \
	done
	@$(MAKE) --no-print-directory tidy

# clang-tidy counts what it was told not to say; any other word of it is a finding.
CHECKED := $(CORE_SRC) $(wildcard bindings/*.c tests/*/*.c)
tidy: ## what clang-tidy (.clang-tidy) and cppcheck (tests/cppcheck.txt) find in C
	@if command -v clang-tidy >/dev/null; then echo clang-tidy; \
	  ! echo $(CHECKED) | xargs -n 12 -P 2 sh -c 'clang-tidy -quiet "$$@" -- -std=c11 \
	    -D_POSIX_C_SOURCE=200809L -Icore $(LUA_CFLAGS)' tidy 2>&1 | grep -v ' generated\.$$'; \
	else echo 'clang-tidy is not here'; fi
	@if command -v cppcheck >/dev/null; then echo cppcheck; cppcheck -q --error-exitcode=1 \
	  --std=c11 -D_POSIX_C_SOURCE=200809L --enable=warning,performance,portability \
	  --suppressions-list=tests/cppcheck.txt $(CHECKED); else echo 'cppcheck is not here'; fi

# ---- documentation, installation ----

# Those that README.md of the scripts shows.
PICTURES := line neuron similarity train_and activations bend train_xor regression \
            descent learning_rate line_fit sigmoid_fit initialization regularization \
            fashion_mnist vanishing_gradient
pictures: all ## write the pictures in scripts/pictures, by the scripts themselves
	@mkdir -p scripts/pictures
	@set -e; for s in $(PICTURES); do echo $$s; \
	  $(LUA_ENV) $(LUA_BIN) scripts/$$s.lua --plot scripts/pictures/$$s.png > /dev/null; done

AMALGAMATION := $(addprefix $(BUILD)/amalgamation/,moongrad.c moongrad.h lmoongrad.c)
LUA_SRC := $(wildcard bindings/moongrad/*.lua)
amalgamation: $(firstword $(AMALGAMATION)) ## all sources as moongrad.c, moongrad.h, lmoongrad.c
$(firstword $(AMALGAMATION)): $(wildcard bindings/amalgamation/*) $(CORE_SRC) $(BIND_SRC) $(SYS_SRC) \
    $(LUA_SRC) $(wildcard core/*.h core/*.def core/*/*.h bindings/*.h)
	@mkdir -p $(@D)
	$(LUA_BIN) bindings/amalgamation/generate.lua out=$(@D) version=$(VERSION) cc='$(CC)' \
	  flags='$(LUA_CFLAGS)' core='$(CORE_SRC)' bind='$(BIND_SRC) bindings/png.c' system='$(SYS_SRC)' \
	  lua='$(LUA_SRC)' isa='$(ISA_SRC)' wide='$(ISA_SRC_avx512)' sets='avx2 avx512' \
	  avx2='$(ISA_avx2)' avx512='$(ISA_avx512)'

docs: all ## write the reference and the annotations for editors, bindings/reference
	$(LUA_ENV) $(LUA_BIN) bindings/reference/generate.lua

# A rock has folders of its own, and needs no library for C.
install: install-module core ## copy module, command, C library to PREFIX (/usr/local), below DESTDIR
	install -d $(DESTDIR)$(LIBDIR)/pkgconfig $(DESTDIR)$(PREFIX)/include $(DESTDIR)$(PREFIX)/bin
	install -m 644 $(CORE_LIB) $(DESTDIR)$(LIBDIR)
	install -m 644 core/moongrad.h $(DESTDIR)$(PREFIX)/include
	sed -e '1s,env lua,env $(LUA_BIN),' \
	  -e '2a package.path = "$(LUA_SHAREDIR)/?.lua;$(LUA_SHAREDIR)/?/init.lua;" .. package.path' \
	  -e '2a package.cpath = "$(LUA_LIBDIR)/?.so;" .. package.cpath' \
	  bindings/command > $(DESTDIR)$(PREFIX)/bin/moongrad
	chmod 755 $(DESTDIR)$(PREFIX)/bin/moongrad
	printf '%s\n' 'prefix=$(PREFIX)' 'Name: moongrad' 'Version: $(VERSION)' \
	  'Description: Neural networks for everything that runs Lua' \
	  'Cflags: -I$${prefix}/include' 'Libs: -L$(LIBDIR:$(PREFIX)%=$${prefix}%) -lmoongrad -lm -pthread' \
	  > $(DESTDIR)$(LIBDIR)/pkgconfig/moongrad.pc
	chmod 644 $(DESTDIR)$(LIBDIR)/pkgconfig/moongrad.pc

install-module: all
	install -d $(DESTDIR)$(LUA_LIBDIR)/moongrad $(DESTDIR)$(LUA_SHAREDIR)/moongrad
	install -m 755 $(MODULES) $(DESTDIR)$(LUA_LIBDIR)/moongrad
	install -m 644 bindings/moongrad/*.lua $(DESTDIR)$(LUA_SHAREDIR)/moongrad

rock: ## install the rock into build/rocks, as its users would
	luarocks --lua-version $(LUA_FOLDER) make --deps-mode=none --tree $(CURDIR)/$(BUILD)/rocks \
	  moongrad-$(VERSION)-1.rockspec

test-package: ## make install, make dist and the rock, for Lua 5.1 to 5.4, without a network
	tests/package

test-package-quick: all
	@tests/package 5.4

dist: ## the sources of the last commit as moongrad-VERSION.tar.gz
	git archive --prefix=moongrad-$(VERSION)/ -o moongrad-$(VERSION).tar.gz HEAD

clean: ## remove everything built
	rm -rf $(BUILD)

help: ## this list
	@echo 'make TARGET [LUA=5.4] [REAL=float]     moongrad $(VERSION)'
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/  \1|\2/p' $(MAKEFILE_LIST) | \
	  while IFS='|' read -r t d; do printf '%-16s %s\n' "$$t" "$$d"; done

# ---- Debian packages ----

DEMO_PACKAGES := gcc libc6-dev $(LUA_DEBIAN) dataset-fashion-mnist
TEST_PACKAGES := $(DEMO_PACKAGES) pkg-config lua-busted lua-cjson lua-argparse luarocks lua-check gzip \
  lua5.1 liblua5.1-0-dev lua5.2 liblua5.2-dev lua5.3 liblua5.3-dev luajit libluajit-5.1-dev \
  clang-tidy cppcheck

HOST_PACKAGES := $(TEST_PACKAGES) love xvfb xauth zip haproxy wrk curl lighttpd \
  lighttpd-modules-lua minetest-server neovim pandoc

MINGW_PACKAGES := $(TEST_PACKAGES) gcc-mingw-w64-x86-64-win32 wine wine64

deps-demo:
	@$(MAKE) --no-print-directory deps PACKAGES='$(DEMO_PACKAGES)'

deps-test:
	@$(MAKE) --no-print-directory deps PACKAGES='$(TEST_PACKAGES)'

deps-mingw:
	@$(MAKE) --no-print-directory deps PACKAGES='$(MINGW_PACKAGES)'

deps-hosts:
	@$(MAKE) --no-print-directory deps PACKAGES='$(HOST_PACKAGES)'

# Installs those of PACKAGES that are missing, or says which they are.
deps:
	@missing=; for p in $(PACKAGES); do \
	  dpkg-query -W -f='$${db:Status-Status}\n' $$p 2>/dev/null | grep -qx installed \
	    || missing="$$missing $$p"; done; \
	if [ -z "$$missing" ]; then exit 0; fi; \
	if ! command -v apt-get >/dev/null; then \
	  echo "Please install what Debian calls$$missing, then run make again."; exit 1; fi; \
	if [ "$$(id -u)" = 0 ]; then as=; elif command -v sudo >/dev/null; then as=sudo; else \
	  echo "Please install$$missing (apt-get install, as root), then run make again."; exit 1; fi; \
	echo "installing$$missing"; \
	$$as apt-get update -qq && \
	$$as env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing >/dev/null
