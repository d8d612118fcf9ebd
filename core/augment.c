/*
** augment.c - flipping, shifting, turning and scaling pictures, and noise.
*/
#include "augment.h"

bool mgrad_augment_moves(const mgrad_augment *a) {
  return a->flip || a->shift > 0 || a->rotate > 0 || a->scale > 0;
}

/* ---- what is drawn ---- */

/* Four words of an example: of its moves 0 and 1, of its noise from 2 on. The highest bit
** of the stream keeps them apart from what else is drawn from it (its order). */
static void draw_words(mgrad_draw draw, int64_t example, int64_t block, uint32_t words[4]) {
  mgrad_philox(draw.seed, draw.stream | UINT64_C(1) << 63,
               (uint64_t)example << 32 | (uint64_t)block, words);
}

/* From -range to range: a real number, a whole one. */
static double spread(uint32_t word, double range) {
  return ((double)word * 0x1p-31 - 1) * range;
}

static int64_t spread_whole(uint32_t word, int64_t range) {
  return (int64_t)((uint64_t)word * (uint64_t)(2 * range + 1) >> 32) - range;
}

/* Pixel (i, j) of the result is at row y + yi i + yj j of the source, and at column
** x + xi i + xj j. */
typedef struct mapping {
  double y, yi, yj, x, xi, xj;
} mapping;

/* Turned and scaled about the centre, then shifted, going back from the result. */
static mapping draw_mapping(const mgrad_augment *a, int64_t h, int64_t w, mgrad_draw draw,
                            int64_t example) {
  uint32_t words[4], more[4];
  double cosine, sine;
  draw_words(draw, example, 0, words);
  draw_words(draw, example, 1, more);
  double turns = spread(words[3], a->rotate) / 360, size = 1 + spread(more[0], a->scale);
  mgrad_circle((uint32_t)(int64_t)(turns * 0x1p32), &cosine, &sine);
  double along = cosine / size, across = sine / size;
  double cy = (double)(h - 1) / 2, cx = (double)(w - 1) / 2;
  double i0 = cy + (double)spread_whole(words[1], a->shift); /* the centre in the result */
  double j0 = cx + (double)spread_whole(words[2], a->shift);
  mapping m = { .yi = along, .yj = across, .xi = -across, .xj = along };
  m.y = cy - m.yi * i0 - m.yj * j0;
  m.x = cx - m.xi * i0 - m.xj * j0;
  if (a->flip && words[0] >> 31) {
    m.x = (double)(w - 1) - m.x;
    m.xi = -m.xi;
    m.xj = -m.xj;
  }
  return m;
}

/* ---- reading ---- */

static int64_t clamp(int64_t v, int64_t high) { return v < 0 ? 0 : v > high ? high : v; }

/* A pixel of the channel that begins at 'from'. */
static double pixel(const mgrad_picture *p, bool edge, int64_t from, int64_t y, int64_t x) {
  int64_t h = p->size[1], w = p->size[2];
  bool inside = y >= 0 && y < h && x >= 0 && x < w;
  if (!inside && !edge) return p->bytes != NULL ? p->offset : 0;
  if (!inside) {
    y = clamp(y, h - 1);
    x = clamp(x, w - 1);
  }
  int64_t at = from + y * p->stride[1] + x * p->stride[2];
  return p->bytes != NULL ? (double)p->bytes[at] * p->scale + p->offset : (double)p->data[at];
}

static int64_t floor_of(double v) {
  int64_t whole = (int64_t)v;
  return whole - (v < (double)whole);
}

/* The picture's value at any place; at a pixel it is that pixel, whatever lies beside. */
static double value(const mgrad_picture *p, bool edge, int64_t from, double y, double x) {
  int64_t y0 = floor_of(y), x0 = floor_of(x);
  double down = y - (double)y0, right = x - (double)x0;
  double v = pixel(p, edge, from, y0, x0);
  if (right > 0) v += right * (pixel(p, edge, from, y0, x0 + 1) - v);
  if (down == 0) return v;
  double below = pixel(p, edge, from, y0 + 1, x0);
  if (right > 0) below += right * (pixel(p, edge, from, y0 + 1, x0 + 1) - below);
  return v + down * (below - v);
}

/* Row i of a channel. */
static void read_row(const mgrad_picture *p, const mapping *m, bool edge, int64_t from,
                     int64_t i, mgrad_real *to) {
  double y = m->y + m->yi * (double)i, x = m->x + m->xi * (double)i;
  bool whole = m->yi == 1 && m->yj == 0; /* neither turned nor scaled: pixels fall on pixels */
  int64_t step = m->xj > 0 ? 1 : -1;
  for (int64_t j = 0; j < p->size[2]; j++) {
    to[j] = (mgrad_real)(whole ? pixel(p, edge, from, (int64_t)y, (int64_t)x + step * j)
                               : value(p, edge, from, y + m->yj * (double)j,
                                       x + m->xj * (double)j));
  }
}

void mgrad_augment_picture(const mgrad_augment *a, const mgrad_picture *p, mgrad_draw draw,
                           int64_t example, mgrad_real *to) {
  mapping m = draw_mapping(a, p->size[1], p->size[2], draw, example);
  for (int64_t c = 0; c < p->size[0]; c++) {
    for (int64_t i = 0; i < p->size[1]; i++, to += p->size[2]) {
      read_row(p, &m, a->edge != 0, c * p->stride[0], i, to);
    }
  }
}

void mgrad_augment_noise(const mgrad_augment *a, mgrad_draw draw, int64_t example, int64_t n,
                         mgrad_real *x) {
  for (int64_t i = 0; a->noise > 0 && i < n; i += 4) {
    uint32_t words[4];
    mgrad_real z[4];
    draw_words(draw, example, 2 + i / 4, words);
    mgrad_normal(words, z);
    for (int64_t k = i; k < n && k < i + 4; k++) {
      x[k] = (mgrad_real)((double)x[k] + a->noise * (double)z[k - i]);
    }
  }
}
