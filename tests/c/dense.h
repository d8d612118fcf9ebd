/*
** dense.h - a dense layer by its number of results, which nets of the C tests are made of.
*/
#ifndef DENSE_H
#define DENSE_H

#include "../../core/layer.h"

static mgrad_layer *dense(mgrad_context *ctx, double out) {
  mgrad_attrs attrs;
  mgrad_attrs_default(mgrad_layer_def_dense.attrs, &attrs);
  attrs.value[0] = out;
  mgrad_layer *l = NULL;
  mgrad_layer_new(ctx, &mgrad_layer_def_dense, &attrs, &l);
  return l;
}

#endif
