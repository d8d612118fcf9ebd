/*
** backup.c - the buffers of a net as they were before a step.
*/
#include "backup.h"
#include "kernels/kernels.h"

typedef struct mgrad_kept_buffer {
  mgrad_tensor *t;  /* held */
  mgrad_real *numbers;
  uint64_t version; /* of its storage, when it was copied */
  bool exchanged;
} kept_buffer;

static mgrad_array kept(const kept_buffer *k) {
  mgrad_array a = k->t->a;
  mgrad_shape_pack(&a);
  a.data = k->numbers;
  return a;
}

static void copy(kept_buffer *k) {
  mgrad_array to = kept(k);
  mgrad_array_copy(&to, &k->t->a);
  k->version = k->t->storage->version;
}

/* Counts first; then, with a list to fill, fills it. */
static mgrad_status add(void *ud, const char *name, mgrad_tensor *t, int buffer) {
  mgrad_backup *b = ud;
  (void)name;
  if (!buffer) return MGRAD_OK;
  if (b->list != NULL) {
    b->list[b->n] = (kept_buffer){ .t = mgrad_tensor_retain(t),
                                   .numbers = b->numbers + b->numel };
    copy(&b->list[b->n]);
  }
  b->n++;
  b->packed = b->packed && mgrad_shape_packed(&t->a);
  b->numel += mgrad_tensor_numel(t);
  return MGRAD_OK;
}

void mgrad_backup_free(mgrad_backup *b) {
  for (int i = 0; i < b->n; i++) mgrad_tensor_release(b->list[i].t);
  if (b->n > 0) mgrad_free(b->ctx, b->list);
  *b = (mgrad_backup){ 0 };
}

static mgrad_status list_buffers(mgrad_backup *b, mgrad_layer *net) {
  mgrad_backup fresh = { .ctx = net->ctx, .changes = net->ctx->changes, .packed = true };
  mgrad_backup_free(b);
  MGRAD_TRY(mgrad_layer_visit(net, add, &fresh));
  if (fresh.n > 0) {
    fresh.list = mgrad_new(fresh.ctx, (size_t)fresh.n * sizeof *fresh.list +
                                      (size_t)fresh.numel * sizeof *fresh.numbers);
    if (fresh.list == NULL) return MGRAD_NOMEM;
    fresh.numbers = (mgrad_real *)(void *)(fresh.list + fresh.n);
    fresh.n = 0;
    fresh.numel = 0;
    MGRAD_TRY(mgrad_layer_visit(net, add, &fresh));
  }
  *b = fresh;
  return MGRAD_OK;
}

mgrad_status mgrad_backup_begin(mgrad_backup *b, mgrad_layer *net) {
  if (b->ctx == NULL || b->changes != b->ctx->changes) MGRAD_TRY(list_buffers(b, net));
  for (int i = 0; i < b->n; i++) {
    b->list[i].exchanged = false;
    if (b->list[i].version != b->list[i].t->storage->version) copy(&b->list[i]);
  }
  b->begun = true;
  return MGRAD_OK;
}

void mgrad_backup_end(mgrad_backup *b, bool well) {
  bool back = b->begun && !well;
  b->begun = false;
  for (int i = 0; back && i < b->n; i++) {
    kept_buffer *k = &b->list[i];
    if (k->version == k->t->storage->version) continue;
    mgrad_array from = kept(k);
    mgrad_array_copy(&k->t->a, &from);
    k->version = ++k->t->storage->version;
  }
}

void mgrad_backup_exchange(mgrad_backup *b) {
  b->begun = !b->begun;
  for (int i = 0; i < b->n; i++) {
    kept_buffer *k = &b->list[i];
    mgrad_real *data = k->t->a.data;
    if (!k->exchanged && k->version == k->t->storage->version) continue;
    for (int64_t j = 0; j < mgrad_tensor_numel(k->t); j++) {
      mgrad_real x = data[j];
      data[j] = k->numbers[j];
      k->numbers[j] = x;
    }
    k->exchanged = !k->exchanged;
    k->t->storage->version++;
  }
}
