/*
** table.c - the ops and update rules of one instruction set.
*/
#include "op.h"
#include "optimizer.h"
#include "kernels/windows.h"

#define W(name) extern const mgrad_op MGRAD_CODE(mgrad_op_##name);
#define X(name) extern const mgrad_op MGRAD_SHARED(mgrad_op_##name);
#define S(name)
#include "ops.def"
#undef S
#undef X
#undef W
#define W(name) &MGRAD_CODE(mgrad_op_##name),
#define X(name) &MGRAD_SHARED(mgrad_op_##name),
#define S(name) &mgrad_op_##name,
static const mgrad_op *const ops[] = {
#include "ops.def"
};
#undef S
#undef X
#undef W

#define X(name) extern const mgrad_optimizer_def MGRAD_SHARED(mgrad_optimizer_def_##name);
#include "optimizers.def"
#undef X
#define X(name) &MGRAD_SHARED(mgrad_optimizer_def_##name),
static const mgrad_optimizer_def *const optimizers[] = {
#include "optimizers.def"
};
#undef X

extern const mgrad_window_code MGRAD_CODE(mgrad_window_table);
extern const mgrad_code MGRAD_CODE(mgrad_code_table);
const mgrad_code MGRAD_CODE(mgrad_code_table) = {
  ops, optimizers, mgrad_all_finite, mgrad_bytes_to_numbers,
  &MGRAD_CODE(mgrad_window_table), mgrad_blend
};
