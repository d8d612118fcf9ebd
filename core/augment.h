/*
** augment.h - random changes of pictures while they are read.
**
** All that is drawn for an example is a function of (seed, stream, example): threads,
** batches and the order of reading cannot change it.
*/
#ifndef MGRAD_AUGMENT_H
#define MGRAD_AUGMENT_H

#include "random.h"

/* Which numbers are drawn: those of an epoch, say. */
typedef struct mgrad_draw {
  uint64_t seed, stream;
} mgrad_draw;

/* Where the numbers of one picture {c, h, w} are: in 'data', or bytes that become
** b * scale + offset. */
typedef struct mgrad_picture {
  const mgrad_real *data;
  const unsigned char *bytes;
  double scale, offset;
  int64_t size[3], stride[3];
} mgrad_picture;

/* Does anything change the place of pixels? */
bool mgrad_augment_moves(const mgrad_augment *a);
/* Writes the picture, moved, row-major. What comes in from outside is 0 (the byte 0), or
** the nearest pixel; between pixels values are bilinear. */
void mgrad_augment_picture(const mgrad_augment *a, const mgrad_picture *p, mgrad_draw draw,
                           int64_t example, mgrad_real *to);
/* Adds noise to n numbers of an example. */
void mgrad_augment_noise(const mgrad_augment *a, mgrad_draw draw, int64_t example, int64_t n,
                         mgrad_real *x);

#endif
