/*
** state.c - places as items for the host, and items back to their places.
*/
#include "state.h"
#include "tensor.h"
#include "kernels/kernels.h"

/* ---- out ---- */

mgrad_status mgrad_place_give(void *ud, const mgrad_place *p) {
  const mgrad_giving *g = ud;
  char digits[24];
  mgrad_item item = { .name = p->name, .tensor = p->tensor, .numbers = p->numbers,
                      .count = p->count, .text = p->text };
  if (p->array.data != NULL) item.array = &p->array;
  if (p->whole != NULL) {
    mgrad_format(digits, sizeof digits, "%d", (int64_t)*p->whole);
    item.text = digits;
  }
  return g->fn(g->ud, &item);
}

/* ---- in ---- */

/* Shell's way, which needs no memory. */
static void sort(mgrad_item **list, int n) {
  int gap = 1;
  while (gap < n / 3) gap = 3 * gap + 1;
  for (; gap > 0; gap /= 3) {
    for (int i = gap; i < n; i++) {
      mgrad_item *item = list[i];
      int k = i;
      for (; k >= gap && strcmp(list[k - gap]->name, item->name) > 0; k -= gap) {
        list[k] = list[k - gap];
      }
      list[k] = item;
    }
  }
}

mgrad_status mgrad_items_open(mgrad_context *ctx, mgrad_item *list, int n, mgrad_items *out) {
  mgrad_item **sorted = mgrad_new(ctx, ((size_t)n + 1) * sizeof *sorted);
  if (sorted == NULL) return MGRAD_NOMEM;
  *out = (mgrad_items){ ctx, sorted, n };
  for (int i = 0; i < n; i++) {
    sorted[i] = &list[i];
    list[i].known = 0;
  }
  sort(sorted, n);
  for (int i = 1; i < n; i++) {
    if (strcmp(sorted[i - 1]->name, sorted[i]->name) != 0) continue;
    mgrad_status status = mgrad_fail(ctx, MGRAD_INVALID, "load: it has \"%s\" twice",
                                     sorted[i]->name);
    mgrad_items_close(out);
    return status;
  }
  return MGRAD_OK;
}

void mgrad_items_close(mgrad_items *items) {
  mgrad_free(items->ctx, items->sorted);
}

mgrad_item *mgrad_items_find(const mgrad_items *items, const char *name) {
  for (int low = 0, high = items->n; low < high;) {
    int middle = low + (high - low) / 2;
    int order = strcmp(items->sorted[middle]->name, name);
    if (order == 0) return items->sorted[middle];
    if (order < 0) low = middle + 1;
    else high = middle;
  }
  return NULL;
}

/* "-12" as a number of 64 bits; those above 2^63 are written as what they are below 0. */
static bool read_whole(const char *text, uint64_t *out) {
  uint64_t v = 0, most = (uint64_t)INT64_MAX;
  const char *s = text + (*text == '-');
  if (*s == '\0') return false;
  for (; *s != '\0'; s++) {
    uint64_t digit = (uint64_t)(*s - '0');
    if (*s < '0' || *s > '9' || v > (most + (*text == '-') - digit) / 10) return false;
    v = 10 * v + digit;
  }
  *out = *text == '-' ? 0 - v : v;
  return true;
}

static mgrad_status fail(const mgrad_items *items, const mgrad_place *p,
                         const char *expected) {
  return mgrad_fail(items->ctx, MGRAD_INVALID, "load: \"%s\" is no %s", p->name, expected);
}

static mgrad_status check_tensor(const mgrad_items *items, const mgrad_place *p,
                                 const mgrad_item *item) {
  const mgrad_array *own = p->tensor != NULL ? &p->tensor->a : &p->array;
  if (item->tensor == NULL) return fail(items, p, "tensor");
  if (!mgrad_shape_equal(own, &item->tensor->a)) {
    return mgrad_fail(items->ctx, MGRAD_INVALID, "load: \"%s\" is %a, expected %a", p->name,
                      &item->tensor->a, own);
  }
  return p->tensor != NULL ? mgrad_tensor_writable(p->tensor, "load") : MGRAD_OK;
}

mgrad_status mgrad_items_check(void *ud, const mgrad_place *p) {
  mgrad_items *items = ud;
  uint64_t whole;
  mgrad_item *item = mgrad_items_find(items, p->name);
  if (item == NULL) {
    return mgrad_fail(items->ctx, MGRAD_INVALID, "load: there is no \"%s\" in it, which is"
                      " needed here", p->name);
  }
  item->known = 1;
  if (p->tensor != NULL || p->array.data != NULL) return check_tensor(items, p, item);
  if (p->numbers != NULL) {
    bool fits = item->numbers != NULL && item->count == p->count;
    return fits ? MGRAD_OK : fail(items, p, "list of as many numbers");
  }
  if (item->text == NULL) return fail(items, p, "text");
  if (p->whole != NULL) {
    return read_whole(item->text, &whole) ? MGRAD_OK : fail(items, p, "whole number");
  }
  if (strcmp(item->text, p->text) == 0) return MGRAD_OK;
  return mgrad_fail(items->ctx, MGRAD_INVALID, "load: the %s is \"%s\", expected \"%s\"",
                    p->name, item->text, p->text);
}

mgrad_status mgrad_items_take(void *ud, const mgrad_place *p) {
  mgrad_items *items = ud;
  const mgrad_item *item = mgrad_items_find(items, p->name);
  if (p->tensor != NULL) {
    mgrad_array_copy(&p->tensor->a, &item->tensor->a);
    p->tensor->storage->version++;
  } else if (p->array.data != NULL) {
    mgrad_array_copy(&p->array, &item->tensor->a);
  } else if (p->numbers != NULL) {
    memcpy(p->numbers, item->numbers, (size_t)p->count * sizeof *p->numbers);
  } else if (p->whole != NULL) {
    read_whole(item->text, p->whole);
  }
  return MGRAD_OK;
}

mgrad_status mgrad_items_all_known(const mgrad_items *items) {
  for (int i = 0; i < items->n; i++) {
    if (items->sorted[i]->known) continue;
    return mgrad_fail(items->ctx, MGRAD_INVALID, "load: it has \"%s\", which is nothing here",
                      items->sorted[i]->name);
  }
  return MGRAD_OK;
}
