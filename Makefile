# moongrad: "make help" lists the targets.

LUA      ?= 5.4
REAL     ?= float
CC       ?= gcc
CFLAGS   ?= -O3
PREFIX   ?= /usr/local
DESTDIR  ?=

VERSION  := $(shell sed -n 's/^\#define MGRAD_VERSION "\(.*\)"/\1/p' core/moongrad.h)

# Where Lua's headers are. LUA_INCDIR overrides it (LuaRocks sets it).
ifeq ($(LUA),jit)
LUA_PKG   = luajit
LUA_BIN  ?= luajit
LUA_DIR   = 5.1
else
LUA_PKG   = lua$(LUA)
LUA_BIN  ?= lua$(LUA)
LUA_DIR   = $(LUA)
endif
ifdef LUA_INCDIR
LUA_CFLAGS := -I$(LUA_INCDIR)
else
LUA_CFLAGS := $(or $(shell pkg-config --cflags-only-I $(LUA_PKG) 2>/dev/null), \
                -I/usr/include/lua$(LUA))
endif

BUILD    := build
KIND     := $(REAL)$(KIND_SUFFIX)
CORE_DIR := $(BUILD)/core-$(KIND)
BIND_DIR := $(BUILD)/bind-$(LUA)-$(KIND)
LUA_OUT  := $(BUILD)/lua$(LUA)$(OUT_SUFFIX)

# Results must not depend on how a compiler fuses a * b + c.
STRICT   := -std=c11 -fPIC -fvisibility=hidden -ffp-contract=off -fno-math-errno \
            -fno-trapping-math
WARN     := -Wall -Wextra -Wshadow -Wno-missing-field-initializers
ALL_CFLAGS = $(STRICT) $(WARN) $(CFLAGS) $(EXTRA_CFLAGS)
ifeq ($(REAL),double)
ALL_CFLAGS += -DMGRAD_REAL_DOUBLE
endif

CORE_SRC := $(wildcard core/*.c core/ops/*.c core/layers/*.c core/kernels/*.c)
CORE_OBJ := $(CORE_SRC:%.c=$(CORE_DIR)/%.o)
BIND_SRC := $(filter-out bindings/system.c,$(wildcard bindings/*.c))
BIND_OBJ := $(BIND_SRC:%.c=$(BIND_DIR)/%.o)
CORE_LIB := $(CORE_DIR)/libmoongrad.a

MODULE_LDFLAGS = -shared -Wl,-z,nodelete

.PHONY: all core
all: $(LUA_OUT)/moongrad/core.so $(LUA_OUT)/moongrad/system.so

core: $(CORE_LIB)

$(CORE_DIR)/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -MMD -MP -c $< -o $@

$(BIND_DIR)/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -D_POSIX_C_SOURCE=200809L $(LUA_CFLAGS) -MMD -MP -c $< -o $@

$(CORE_LIB): $(CORE_OBJ)
	@rm -f $@
	$(AR) rcs $@ $^

$(LUA_OUT)/moongrad/core.so: $(BIND_OBJ) $(CORE_LIB)
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) $(MODULE_LDFLAGS) -o $@ $^ -lm

$(LUA_OUT)/moongrad/system.so: $(BIND_DIR)/bindings/system.o
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) $(MODULE_LDFLAGS) -o $@ $^

-include $(CORE_OBJ:.o=.d) $(BIND_OBJ:.o=.d)

# ---- tests ----

C_TESTS := $(BUILD)/tests-$(KIND)/core $(BUILD)/tests-$(KIND)/grad

$(BUILD)/tests-$(KIND)/%: tests/c/%.c tests/c/check.h $(CORE_LIB)
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) $< $(CORE_LIB) -o $@ -lm
