/*
** backup.h - the buffers of a net as they were before a step, for a step that fails.
**
** Weights change at the very end of a step, when nothing can fail any more. Buffers,
** such as the running means of batchnorm, change on the way.
*/
#ifndef MGRAD_BACKUP_H
#define MGRAD_BACKUP_H

#include "layer.h"

/* All zeros before the first use. */
typedef struct mgrad_backup {
  mgrad_context *ctx;
  struct mgrad_kept_buffer *list;
  int n;
  mgrad_real *numbers;   /* of all of them */
  int64_t numel;
  uint64_t changes;      /* of the context, when the list was made */
  bool begun;            /* a step is under way */
  bool packed;           /* all of them are */
} mgrad_backup;

/* Before a step: remembers the buffers of a net. Allocates only where layers have
** changed since the last time, and copies only those buffers that have. */
mgrad_status mgrad_backup_begin(mgrad_backup *b, mgrad_layer *net);
/* After it, if it was begun: unless all went well the buffers are as they were. */
void mgrad_backup_end(mgrad_backup *b, bool well);
/* Exchanges what buffers are and what they were before, in the middle of a step; and back. */
void mgrad_backup_exchange(mgrad_backup *b);
void mgrad_backup_free(mgrad_backup *b);

#endif
