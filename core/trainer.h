/*
** trainer.h - what a trainer is made of, for the files that work on one.
*/
#ifndef MGRAD_TRAINER_H
#define MGRAD_TRAINER_H

#include "backup.h"
#include "layer.h"
#include "optimizer.h"
#include "dataset.h"
#include "judge.h"
#include "plan.h"

enum { MGRAD_TRAINER_PLANS = 4 }; /* of different batch shapes; a whole and a last batch, usually */

/* A batch of the data that a run has left in its middle. */
typedef struct mgrad_begun {
  mgrad_plan *plan;             /* NULL: there is none */
  uint64_t seed, stream, drawn; /* of the generator, before it; and its own numbers */
  mgrad_held held;              /* of the tally */
  bool judged;                  /* it is on the way back */
  double loss;
} mgrad_begun;

struct mgrad_trainer {
  mgrad_context *ctx;
  mgrad_layer *net;
  mgrad_optimizer *optimizer;
  mgrad_judge judge;
  bool no_plan, anomaly;
  /* where the run stands */
  mgrad_dataset *data;
  int64_t batch, epochs, epoch, at; /* 'at' examples of 'epoch' are done */
  int64_t count;                    /* of the data */
  int64_t accumulate, gathered;     /* batches for one update; those of them that are done */
  int64_t *order;                   /* of the epoch under way */
  bool shuffle, draws;              /* the data are changed at random */
  bool waiting;                     /* a run was restored; data is NULL until it goes on */
  mgrad_draw draw;                  /* what the epoch's order and changes are drawn from */
  mgrad_tally tally;                /* of the epoch under way */
  mgrad_tally exam;                 /* of the last evaluation */
  mgrad_plan *plans[MGRAD_TRAINER_PLANS];         /* the latest first */
  mgrad_plan *usual;                /* that of the last batch from the data, or NULL */
  int64_t usual_n;                  /* its examples */
  bool busy;                        /* a step is under way */
  bool last;                        /* its batch ends an epoch */
  mgrad_array input;                /* the shape of an input, once there was one */
  mgrad_backup backup;              /* of the net's buffers, for a step that fails */
  mgrad_begun begun;                /* all else is as before it */
  bool late;                        /* it was given up: the next is done in one go */
  uint64_t unrehearsed;             /* changes of the context, and 1, when no plan could be
                                       made without numbers */
};

/* Its net and its loss may call the host, which may call this trainer. */
mgrad_status mgrad_trainer_idle(const mgrad_trainer *t);
/* Is it a number of examples? */
mgrad_status mgrad_trainer_check_batch(mgrad_context *ctx, int64_t batch);
/* Lets go of the data. */
void mgrad_trainer_end_run(mgrad_trainer *t);
/* Gives up a batch that was begun, as if it never had been. */
void mgrad_trainer_drop_begun(mgrad_trainer *t);
/* Forgets the gradients of batches that were to share an update. */
void mgrad_trainer_drop_gathered(mgrad_trainer *t);

#endif
