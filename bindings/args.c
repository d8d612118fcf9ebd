/*
** args.c - reading arguments and options by the specs of the core.
*/
#include "args.h"

#include <string.h>

/* ---- numbers ---- */

const char *lmgrad_number_text(lua_State *L, lua_Number v) {
  if (v != v) lua_pushliteral(L, "nan"); /* C libraries differ in its sign */
  else if (v >= -LMGRAD_EXACT && v <= LMGRAD_EXACT && v == (lua_Number)(lua_Integer)v)
    lua_pushinteger(L, (lua_Integer)v);
  else lua_pushnumber(L, v);
  return lua_tostring(L, -1);
}

int64_t lmgrad_integer(lua_State *L, int i, const char *who, const char *what, int64_t low,
                       int64_t high) {
  if (lua_type(L, i) != LUA_TNUMBER) lmgrad_type_error(L, i, who, what, "an integer");
  lua_Number v = lua_tonumber(L, i);
  /* the comparison also fails for NaN */
  if (v >= (lua_Number)low && v <= (lua_Number)high && v == (lua_Number)(int64_t)v) {
    return (int64_t)v;
  }
  const char *came = lmgrad_number_text(L, v);
  if (high >= LMGRAD_EXACT && low < 0) { /* any, or a size, which -1 may stand for */
    lmgrad_error(L, "%s: %s is %s, expected an integer", who, what, came);
  } else if (high >= LMGRAD_EXACT) {
    lmgrad_error(L, "%s: %s is %s, expected an integer from %d", who, what, came, (int)low);
  }
  lmgrad_error(L, "%s: %s is %s, expected an integer from %s to %s", who, what, came,
               lmgrad_number_text(L, (lua_Number)low), lmgrad_number_text(L, (lua_Number)high));
  return 0;
}

double lmgrad_number(lua_State *L, int i, const char *who, const char *what) {
  if (lua_type(L, i) != LUA_TNUMBER) lmgrad_type_error(L, i, who, what, "a number");
  return (double)lua_tonumber(L, i);
}

int lmgrad_sizes(lua_State *L, int i, const char *who, int64_t size[MGRAD_MAX_DIMS]) {
  int table = lua_type(L, i) == LUA_TTABLE, last = lua_gettop(L);
  int n = table ? (int)lua_rawlen(L, i) : last - i + 1;
  if (n < 0) n = 0;
  if (n > MGRAD_MAX_DIMS) {
    lmgrad_error(L, "%s: %d sizes, expected at most %d", who, n, MGRAD_MAX_DIMS);
  }
  if (table && i != last && !lua_isnoneornil(L, i + 1)) {
    lmgrad_type_error(L, i + 1, who, "what follows the table of sizes", "nothing");
  }
  for (int k = 0; k < n; k++) {
    char what[32] = "size ?";
    what[5] = (char)('1' + k);
    if (table) lua_rawgeti(L, i, k + 1);
    else lua_pushvalue(L, i + k);
    size[k] = lmgrad_integer(L, -1, who, what, -1, LMGRAD_EXACT);
    lua_pop(L, 1);
  }
  return n;
}

/* ---- attributes ---- */

/* The position of 'word' among "a|b|c", or -1. */
static int choice_index(const char *choices, const char *word) {
  size_t n = strlen(word);
  for (int k = 0;; k++) {
    size_t length = strcspn(choices, "|");
    if (length == n && memcmp(choices, word, n) == 0) return k;
    if (choices[length] == '\0') return -1;
    choices += length + 1;
  }
}

static int activation_index(const char *name) {
  for (int k = 0; k < mgrad_op_count(); k++) {
    mgrad_op_info info;
    mgrad_op_describe(mgrad_op_at(k), &info);
    if (info.activation && strcmp(info.name, name) == 0) return k;
  }
  return -1;
}

/* The names that a word may have, for error texts. */
static void push_names(lua_State *L, const mgrad_attr_spec *spec) {
  luaL_Buffer b;
  luaL_buffinit(L, &b);
  int n = spec->type == MGRAD_ATTR_ACT ? mgrad_op_count() : mgrad_init_count(), any = 0;
  for (int k = 0; k < n; k++) {
    mgrad_op_info info = { .name = mgrad_init_name(k), .activation = 1 };
    if (spec->type == MGRAD_ATTR_ACT) mgrad_op_describe(mgrad_op_at(k), &info);
    if (!info.activation) continue;
    if (any++) luaL_addstring(&b, ", ");
    luaL_addstring(&b, info.name);
  }
  luaL_pushresult(&b);
}

/* A word that stands for a number: a choice, an activation, an initialiser. */
static int word_index(lua_State *L, int i, const char *who, const mgrad_attr_spec *spec) {
  if (lua_type(L, i) != LUA_TSTRING) lmgrad_type_error(L, i, who, spec->name, "a string");
  const char *word = lua_tostring(L, i), *names = spec->choices;
  int k;
  switch (spec->type) {
    case MGRAD_ATTR_PAIR:
    case MGRAD_ATTR_CHOICE: k = choice_index(spec->choices, word); break;
    case MGRAD_ATTR_ACT: k = activation_index(word); break;
    default: k = mgrad_init_find(word); break;
  }
  if (k >= 0) return k;
  if (spec->choices == NULL) {
    push_names(L, spec);
    names = lua_tostring(L, -1);
  }
  return lmgrad_error(L, "%s: %s is \"%s\", expected %s %s", who, spec->name, word,
                      spec->type == MGRAD_ATTR_PAIR ? "a number, {h, w} or" : "one of", names);
}

static int64_t pair_side(lua_State *L, int i, const char *who, const mgrad_attr_spec *spec) {
  return lmgrad_integer(L, i, who, spec->name, (int64_t)spec->low, (int64_t)spec->high);
}

/* A number for both, {h, w}, or a word. */
static double pair(lua_State *L, int i, const char *who, const mgrad_attr_spec *spec) {
  int type = lua_type(L, i);
  if (type == LUA_TSTRING && spec->choices != NULL) return -1 - word_index(L, i, who, spec);
  if (type == LUA_TNUMBER) {
    int64_t side = pair_side(L, i, who, spec);
    return MGRAD_PAIR(side, side);
  }
  if (type != LUA_TTABLE || lua_rawlen(L, i) != 2) {
    lmgrad_type_error(L, i, who, spec->name, "a number or {h, w}");
  }
  lua_rawgeti(L, i, 1);
  lua_rawgeti(L, i, 2);
  int top = lua_gettop(L);
  int64_t h = pair_side(L, top - 1, who, spec), w = pair_side(L, top, who, spec);
  lua_pop(L, 2);
  return MGRAD_PAIR(h, w);
}

void lmgrad_attribute(lua_State *L, int i, const char *who, const mgrad_attr_spec *spec,
                      mgrad_attrs *attrs, int position) {
  double *value = &attrs->value[position];
  switch (spec->type) {
    case MGRAD_ATTR_REAL: *value = lmgrad_number(L, i, who, spec->name); break;
    case MGRAD_ATTR_INT:
    case MGRAD_ATTR_DIM:
      *value = (double)lmgrad_integer(L, i, who, spec->name, -LMGRAD_EXACT, LMGRAD_EXACT);
      if (spec->type == MGRAD_ATTR_DIM && *value == 0) {
        lmgrad_error(L, "%s: %s is 0, dimensions count from 1", who, spec->name);
      }
      break;
    case MGRAD_ATTR_BOOL:
      if (lua_type(L, i) != LUA_TBOOLEAN) {
        lmgrad_type_error(L, i, who, spec->name, "true or false");
      }
      *value = lua_toboolean(L, i);
      break;
    case MGRAD_ATTR_PAIR: *value = pair(L, i, who, spec); break;
    case MGRAD_ATTR_SIZES: attrs->nlist = lmgrad_sizes(L, i, who, attrs->list); break;
    default: *value = word_index(L, i, who, spec); break;
  }
}

void lmgrad_known_option(lua_State *L, int i, const char *who, const char *name) {
  if (lua_type(L, i) != LUA_TTABLE) lmgrad_type_error(L, i, who, "options", "a table");
  for (lua_pushnil(L); lua_next(L, i) != 0; lua_pop(L, 1)) {
    if (lua_type(L, -2) != LUA_TSTRING) {
      lmgrad_error(L, "%s: an option has no name, expected name = value", who);
    } else if (strcmp(lua_tostring(L, -2), name) != 0) {
      lmgrad_error(L, "%s: there is no option \"%s\"", who, lua_tostring(L, -2));
    }
  }
}

/* ---- signatures ---- */

static lmgrad_slot *add_slot(lmgrad_signature *s, const char *name, size_t n) {
  lmgrad_slot *slot = &s->slots[s->nslots++];
  if (n >= sizeof slot->name) n = sizeof slot->name - 1;
  memcpy(slot->name, name, n);
  slot->name[n] = '\0';
  slot->operand = slot->attr = -1;
  return slot;
}

static int attr_index(const mgrad_attr_spec *specs, const char *name, size_t n) {
  for (int k = 0; specs[k].type != MGRAD_ATTR_NONE; k++) {
    if (strlen(specs[k].name) == n && memcmp(specs[k].name, name, n) == 0) return k;
  }
  return -1;
}

static int operand_index(const char *operands, const char *name, size_t n) {
  for (int k = 0; *operands != '\0'; k++) {
    size_t length = strcspn(operands, " "), bare = strcspn(operands, " ?.");
    if (bare == n && memcmp(operands, name, n) == 0) return k;
    operands += length + (operands[length] == ' ');
  }
  return -1;
}

void lmgrad_signature_make(lmgrad_signature *s, const char *name, const void *def,
                           const char *operands, const char *order,
                           const mgrad_attr_spec *attrs) {
  memset(s, 0, sizeof *s);
  s->name = name;
  s->def = def;
  s->attrs = attrs;
  s->list = strchr(operands, '.') != NULL;
  for (const char *p = operands; *p != '\0'; s->operands++) {
    size_t length = strcspn(p, " ");
    if (order == NULL) add_slot(s, p, strcspn(p, " ?."))->operand = s->operands;
    p += length + (p[length] == ' ');
  }
  for (const char *p = order; p != NULL && *p != '\0';) {
    size_t length = strcspn(p, " ");
    lmgrad_slot *slot = add_slot(s, p, strcspn(p, " ?."));
    slot->operand = operand_index(operands, slot->name, strlen(slot->name));
    slot->attr = attr_index(attrs, slot->name, strlen(slot->name));
    p += length + (p[length] == ' ');
  }
  for (int k = 0; attrs[k].type != MGRAD_ATTR_NONE; k++) {
    size_t n = strlen(attrs[k].name);
    int there = 0;
    for (int j = 0; j < s->nslots; j++) there |= s->slots[j].attr == k;
    if (!there) add_slot(s, attrs[k].name, n)->attr = k;
  }
}

/* ---- arguments ---- */

static const lmgrad_slot *find_slot(const lmgrad_signature *s, const char *name) {
  for (int k = 0; k < s->nslots; k++) {
    if (strcmp(s->slots[k].name, name) == 0) return &s->slots[k];
  }
  return NULL;
}

/* One argument into its slot; an operand's place into 'at'. */
static void read_slot(lua_State *L, lmgrad_state *S, const lmgrad_signature *s,
                      const lmgrad_slot *slot, int i, int *at, mgrad_attrs *attrs) {
  if (slot->operand >= 0) {
    lmgrad_to_tensor(L, S, i, s->name, slot->name);
    at[slot->operand] = i;
  } else {
    lmgrad_attribute(L, i, s->name, &s->attrs[slot->attr], attrs, slot->attr);
  }
}

/* The error for an unknown option, which tells the nearest that there is. */
static int no_option(lua_State *L, const lmgrad_signature *s, const char *key) {
  const char *nearest = NULL;
  int least = (int)strlen(key) <= LMGRAD_NEAR ? (int)strlen(key) : LMGRAD_NEAR + 1;
  for (int k = 0; k < s->nslots; k++) {
    int far = lmgrad_distance(key, s->slots[k].name);
    if (far < least) least = far, nearest = s->slots[k].name;
  }
  if (nearest == NULL) return lmgrad_error(L, "%s: there is no option \"%s\"", s->name, key);
  return lmgrad_error(L, "%s: there is no option \"%s\", did you mean \"%s\"?", s->name, key,
                      nearest);
}

static void read_options(lua_State *L, lmgrad_state *S, const lmgrad_signature *s, int table,
                         mgrad_tensor **x, mgrad_attrs *attrs, lmgrad_other other, void *ud) {
  lua_pushnil(L);
  while (lua_next(L, table) != 0) {
    if (lua_type(L, -2) != LUA_TSTRING) {
      lmgrad_error(L, "%s: an option has no name, expected name = value", s->name);
    }
    const char *key = lua_tostring(L, -2);
    const lmgrad_slot *slot = find_slot(s, key);
    if (slot != NULL && slot->operand >= 0) {
      lua_pushvalue(L, -1); /* below the table, which may lose it */
      x[slot->operand] = lmgrad_to_tensor(L, S, lua_gettop(L), s->name, key);
      lua_insert(L, table++);
    } else if (slot != NULL) {
      lmgrad_attribute(L, lua_gettop(L), s->name, &s->attrs[slot->attr], attrs, slot->attr);
    } else if (other == NULL || !other(L, ud, key)) {
      no_option(L, s, key);
    }
    lua_pop(L, 1);
  }
}

/* The tensors at the places 'at' (0 = left out), all being made. */
static void take_operands(lua_State *L, const lmgrad_signature *s, const int *at,
                          mgrad_tensor **x) {
  for (int k = 0; k < s->operands; k++) {
    x[k] = at[k] != 0 ? lmgrad_check_tensor(L, at[k], s->name, "an operand") : NULL;
  }
}

static int takes_word(const lmgrad_signature *s, const lmgrad_slot *slot, const char *word) {
  const char *choices = slot->attr >= 0 ? s->attrs[slot->attr].choices : NULL;
  return choices != NULL && choice_index(choices, word) >= 0;
}

/* Is the argument at i a word that slot k, of a pair, does not take, but a later one? */
static int passes_by(lua_State *L, const lmgrad_signature *s, int k, int i) {
  const lmgrad_slot *slot = &s->slots[k];
  if (slot->attr < 0 || s->attrs[slot->attr].type != MGRAD_ATTR_PAIR) return 0;
  if (lua_type(L, i) != LUA_TSTRING || takes_word(s, slot, lua_tostring(L, i))) return 0;
  while (++k < s->nslots && !takes_word(s, &s->slots[k], lua_tostring(L, i))) continue;
  return k < s->nslots && s->attrs[slot->attr].initial != MGRAD_REQUIRED;
}

void lmgrad_arguments(lua_State *L, lmgrad_state *S, const lmgrad_signature *s, int first,
                      mgrad_tensor **x, mgrad_attrs *attrs, lmgrad_other other, void *ud) {
  int last = lua_gettop(L), i = first, at[LMGRAD_MAX_SLOTS] = { 0 };
  mgrad_attrs_default(s->attrs, attrs);
  for (int k = 0; k < s->nslots && i <= last; k++) {
    const lmgrad_slot *slot = &s->slots[k];
    int sizes = slot->attr >= 0 && s->attrs[slot->attr].type == MGRAD_ATTR_SIZES;
    int named = i == last && lua_type(L, i) == LUA_TTABLE && lua_rawlen(L, i) == 0;
    if (sizes && !named) {
      lmgrad_attribute(L, i, s->name, &s->attrs[slot->attr], attrs, slot->attr);
      take_operands(L, s, at, x);
      return;
    }
    /* a table is the options, unless an operand must come first or it is {h, w} */
    int pairs = slot->attr >= 0 && s->attrs[slot->attr].type == MGRAD_ATTR_PAIR;
    if (lua_type(L, i) == LUA_TTABLE && (slot->operand < 0 || k > 0) && i == last &&
        (lua_rawlen(L, i) == 0 || (slot->operand < 0 && !pairs))) {
      break;
    }
    if (passes_by(L, s, k, i)) continue;
    if (!lua_isnil(L, i)) read_slot(L, S, s, slot, i, at, attrs);
    i++;
  }
  take_operands(L, s, at, x);
  if (i < last || (i == last && lua_type(L, i) != LUA_TTABLE)) {
    if (!lua_isnil(L, i)) lmgrad_error(L, "%s: too many arguments", s->name);
  } else if (i == last) {
    read_options(L, S, s, i, x, attrs, other, ud);
  }
}
