/*
** attrs.c - the named options of ops, layers and optimizers: defaults, ranges.
*/
#include "context.h"
#include "op.h"

void mgrad_attrs_default(const mgrad_attr_spec *specs, mgrad_attrs *out) {
  memset(out, 0, sizeof *out);
  mgrad_attrs_initial(specs, out->value);
}

static int choice_count(const char *choices) {
  int n = 1;
  for (; *choices != '\0'; choices++) n += *choices == '|';
  return n;
}

static mgrad_status check_range(mgrad_context *ctx, const char *who,
                                const mgrad_attr_spec *spec, double v, double low,
                                double high) {
  if (v >= low && v <= high) return MGRAD_OK;
  const char *kind = spec->type == MGRAD_ATTR_REAL ? "a number" : "an integer";
  bool open = low == MGRAD_ABOVE_0, below = high == MGRAD_BELOW_1;
  return mgrad_fail(ctx, MGRAD_INVALID, "%s: %s is %g, expected %s %s %g %s %g", who,
                    spec->name, v, kind, open ? "above" : "from", open ? 0 : low,
                    below ? "to below" : "to", below ? 1 : high);
}

static mgrad_status check_one(mgrad_context *ctx, const char *who,
                              const mgrad_attr_spec *spec, double v) {
  if (v == MGRAD_REQUIRED) {
    return mgrad_fail(ctx, MGRAD_INVALID, "%s: %s is missing", who, spec->name);
  }
  bool bounded = spec->low != spec->high;
  if (spec->type == MGRAD_ATTR_REAL) {
    return bounded ? check_range(ctx, who, spec, v, spec->low, spec->high) : MGRAD_OK;
  }
  if (spec->type == MGRAD_ATTR_SIZES) return MGRAD_OK;
  if (!(v >= -9e15 && v <= 9e15) || v != (double)(int64_t)v) {
    return mgrad_fail(ctx, MGRAD_INVALID, "%s: %s is %g, expected an integer", who,
                      spec->name, v);
  }
  switch (spec->type) {
    case MGRAD_ATTR_PAIR:
      if (v < 0 && spec->choices != NULL) {
        return check_range(ctx, who, spec, v, -choice_count(spec->choices), -1);
      }
      MGRAD_TRY(check_range(ctx, who, spec, (double)MGRAD_PAIR_AT(v, 2), spec->low, spec->high));
      return check_range(ctx, who, spec, (double)MGRAD_PAIR_AT(v, 1), spec->low, spec->high);
    case MGRAD_ATTR_INT:
      return bounded ? check_range(ctx, who, spec, v, spec->low, spec->high) : MGRAD_OK;
    case MGRAD_ATTR_BOOL: return check_range(ctx, who, spec, v, 0, 1);
    case MGRAD_ATTR_CHOICE:
      return check_range(ctx, who, spec, v, 0, choice_count(spec->choices) - 1);
    case MGRAD_ATTR_ACT: {
      const mgrad_op *op = mgrad_op_at(v >= 0 && v < 1e6 ? (int)v : -1);
      if (v == -1 || (op != NULL && (op->flags & MGRAD_OP_ACTIVATION))) return MGRAD_OK;
      return mgrad_fail(ctx, MGRAD_INVALID, "%s: %s is not an activation", who, spec->name);
    }
    case MGRAD_ATTR_INIT: return check_range(ctx, who, spec, v, -1, mgrad_init_count() - 1);
    default: return MGRAD_OK; /* DIM: checked where the tensor is known */
  }
}

mgrad_status mgrad_attrs_check(mgrad_context *ctx, const char *who,
                               const mgrad_attr_spec *specs, const mgrad_attrs *attrs) {
  for (int i = 0; specs[i].type != MGRAD_ATTR_NONE; i++) {
    MGRAD_TRY(check_one(ctx, who, &specs[i], attrs->value[i]));
  }
  if (attrs->nlist < 0 || attrs->nlist > MGRAD_MAX_DIMS) {
    return mgrad_fail(ctx, MGRAD_INVALID, "%s: %d sizes, expected at most %d", who,
                      (int64_t)attrs->nlist, (int64_t)MGRAD_MAX_DIMS);
  }
  return MGRAD_OK;
}
