/*
** resume.c - the state of trainers and optimizers as tables of Lua: tensors, texts and
** lists of numbers by name. Files are written and read in Lua (resume.lua).
*/
#include "args.h"

#include <string.h>

/* The trainer or the optimizer at index 1: exactly one is set. */
typedef struct owner {
  mgrad_trainer *trainer;
  mgrad_optimizer *optimizer;
} owner;

static owner check_owner(lua_State *L, const char *who) {
  owner o = { lmgrad_test(L, 1, LMGRAD_TRAINER), NULL };
  if (o.trainer == NULL) o.optimizer = lmgrad_test(L, 1, LMGRAD_OPTIMIZER);
  if (o.trainer == NULL && o.optimizer == NULL) {
    lmgrad_type_error(L, 1, who, "self", "a trainer or an optimizer");
  }
  return o;
}

/* ---- out ---- */

/* One item in memory of Lua; texts and numbers are places in the listing's. */
typedef struct entry {
  mgrad_tensor **box; /* made before, filled where it is a tensor */
  char *name, *text;
  double *numbers;
  int64_t count;
} entry;

typedef struct listing {
  mgrad_context *ctx;
  entry *list; /* NULL while counting */
  char *text;
  double *numbers;
  int n;
  size_t texts, count;       /* bytes and numbers so far */
  int room;                  /* for so many */
  size_t text_room, number_room;
} listing;

/* A copy of a text where there is room, or the room it takes. */
static char *keep_text(listing *l, const char *text) {
  size_t size = strlen(text) + 1;
  char *to = l->list != NULL ? l->text + l->texts : NULL;
  if (to != NULL) memcpy(to, text, size);
  l->texts += size;
  return to;
}

static mgrad_status keep_tensor(listing *l, const mgrad_item *item, mgrad_tensor **out) {
  if (item->tensor != NULL) {
    *out = mgrad_tensor_retain(item->tensor);
    return MGRAD_OK;
  }
  const mgrad_array *a = item->array;
  mgrad_status status = mgrad_tensor_new(l->ctx, a->ndim, a->size, out);
  return status == MGRAD_OK ? mgrad_tensor_write(*out, a->data) : status;
}

/* What a finalizer may have added since the items were counted does not fit. */
static int fits(const listing *l, const mgrad_item *item) {
  size_t texts = strlen(item->name) + 1 + (item->text != NULL ? strlen(item->text) + 1 : 0);
  return l->list == NULL ||
         (l->n < l->room && texts <= l->text_room - l->texts &&
          (size_t)item->count <= l->number_room - l->count);
}

static mgrad_status list_item(void *ud, const mgrad_item *item) {
  listing *l = ud;
  entry e = { .count = item->count };
  if (!fits(l, item)) return mgrad_error_set(l->ctx, MGRAD_INVALID, "state: changed meanwhile");
  e.name = keep_text(l, item->name);
  if (item->text != NULL) e.text = keep_text(l, item->text);
  if (l->list != NULL) {
    e.box = l->list[l->n].box;
    if (item->numbers != NULL) {
      e.numbers = l->numbers + l->count;
      memcpy(e.numbers, item->numbers, (size_t)item->count * sizeof *e.numbers);
    } else if (item->text == NULL) {
      mgrad_status status = keep_tensor(l, item, e.box);
      if (status != MGRAD_OK) return status;
    }
    l->list[l->n] = e;
  }
  l->count += (size_t)item->count;
  l->n++;
  return MGRAD_OK;
}

static mgrad_status list_items(lua_State *L, lmgrad_state *S, owner o, listing *l) {
  l->n = 0;
  l->texts = l->count = 0;
  for (int i = 0; i < l->room; i++) { /* of a call before that failed */
    mgrad_tensor_release(*l->list[i].box);
    *l->list[i].box = NULL;
  }
  lmgrad_entered before = lmgrad_enter(S, L);
  mgrad_status status = o.trainer != NULL ? mgrad_trainer_state(o.trainer, list_item, l)
                                          : mgrad_optimizer_state(o.optimizer, list_item, l);
  lmgrad_leave(S, before);
  return status;
}

/* Memory of Lua for all that was counted, left on the stack; the boxes in a table at the
** top. */
static void make_room(lua_State *L, listing *l) {
  l->room = l->n;
  l->text_room = l->texts;
  l->number_room = l->count;
  l->text = lmgrad_room(L, l->texts + 1);
  l->numbers = lmgrad_room(L, (l->count + 1) * sizeof *l->numbers);
  entry *list = lmgrad_room(L, (size_t)(l->n + 1) * sizeof *list);
  lua_createtable(L, l->n, 0);
  for (int i = 0; i < l->n; i++) {
    list[i].box = lmgrad_box_tensor(L);
    lua_rawseti(L, -2, i + 1);
  }
  l->list = list;
}

static void push_entry(lua_State *L, const entry *e, int boxes, int i) {
  if (e->text != NULL) {
    lua_pushstring(L, e->text);
  } else if (e->numbers != NULL) {
    lua_createtable(L, (int)e->count, 0);
    for (int64_t k = 0; k < e->count; k++) {
      lua_pushnumber(L, e->numbers[k]);
      lua_rawseti(L, -2, (int)(k + 1));
    }
  } else {
    lua_rawgeti(L, boxes, i + 1);
  }
}

/* state_out(trainer or optimizer) -> {name = tensor, text or list of numbers} */
static int state_out(lua_State *L) {
  lmgrad_state *S = LMGRAD_STATE(L);
  lua_settop(L, 1);
  listing l = { .ctx = S->ctx };
  owner o = check_owner(L, "save");
  LMGRAD_TRY(L, S, list_items(L, S, o, &l));
  make_room(L, &l);
  o = check_owner(L, "save");
  LMGRAD_TRY(L, S, list_items(L, S, o, &l));
  int boxes = lua_gettop(L);
  lua_newtable(L);
  for (int i = 0; i < l.n; i++) {
    lua_pushstring(L, l.list[i].name);
    lua_pushvalue(L, -1);
    lua_rawget(L, -3);
    if (!lua_isnil(L, -1)) {
      return lmgrad_error(L, "save: a parameter is called \"%s\", as a part of the state is",
                          l.list[i].name);
    }
    lua_pop(L, 1);
    push_entry(L, &l.list[i], boxes, i);
    lua_rawset(L, -3);
  }
  return 1;
}

/* ---- in ---- */

static mgrad_status restore_items(lua_State *L, lmgrad_state *S, owner o, mgrad_item *items,
                                  int n) {
  lmgrad_entered before = lmgrad_enter(S, L);
  mgrad_status status = o.trainer != NULL ? mgrad_trainer_restore(o.trainer, items, n)
                                          : mgrad_optimizer_restore(o.optimizer, items, n);
  lmgrad_leave(S, before);
  return status;
}

/* The items, from lists at 2 to 4 that nobody else has; nothing is allocated here. */
static void read_items(lua_State *L, mgrad_item *items, int n, double *numbers, int m) {
  for (int i = 0; i < m; i++) {
    lua_rawgeti(L, 4, i + 1);
    numbers[i] = (double)lua_tonumber(L, -1);
    lua_pop(L, 1);
  }
  for (int i = 0; i < n; i++) {
    mgrad_item item = { .name = "" };
    lua_rawgeti(L, 2, i + 1);
    lua_rawgeti(L, 3, i + 1);
    if (lua_type(L, -2) == LUA_TSTRING) item.name = lua_tostring(L, -2);
    if (lua_type(L, -1) == LUA_TSTRING) {
      item.text = lua_tostring(L, -1);
    } else if (lua_type(L, -1) == LUA_TNUMBER) {
      double count = (double)lua_tonumber(L, -1);
      item.count = count >= 1 && count <= m ? (int64_t)count : 0;
      item.numbers = item.count > 0 ? numbers : NULL;
      numbers += item.count;
      m -= (int)item.count;
    } else {
      item.tensor = lmgrad_test(L, -1, LMGRAD_TENSOR);
    }
    lua_pop(L, 2);
    items[i] = item;
  }
}

/* state_in(trainer or optimizer, names, values, numbers): a value is a tensor, a text, or
** how many numbers come next in that list -> true, or nil and what does not fit */
static int state_in(lua_State *L) {
  lmgrad_state *S = LMGRAD_STATE(L);
  lua_settop(L, 4);
  int n = lmgrad_own_list(L, 2, "load", "names");
  int values = lmgrad_own_list(L, 3, "load", "values");
  int m = lmgrad_own_list(L, 4, "load", "numbers");
  mgrad_item *items = lmgrad_room(L, (size_t)(n + 1) * sizeof *items);
  double *numbers = lmgrad_room(L, (size_t)(m + 1) * sizeof *numbers);
  owner o = check_owner(L, "load");
  read_items(L, items, n < values ? n : values, numbers, m);
  if (values < n) n = values;
  mgrad_status status = restore_items(L, S, o, items, n);
  if (status != MGRAD_OK) { /* garbage may hold on to a weight or to memory */
    lmgrad_collect(L, S);
    status = restore_items(L, S, o, items, n);
  }
  if (status == MGRAD_NOMEM || status == MGRAD_CALLBACK) {
    return lmgrad_raise_as(L, S, status, NULL);
  }
  if (status == MGRAD_OK) {
    lua_pushboolean(L, 1);
    return 1;
  }
  lua_pushnil(L);
  lmgrad_push_text(L, mgrad_error(S->ctx));
  return 2;
}

static const lmgrad_function functions[] = {
  { "state_out", state_out }, { "state_in", state_in }, { NULL, NULL }
};

void lmgrad_open_resume(lua_State *L, int index) { lmgrad_register(L, index, functions); }
