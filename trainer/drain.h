/* trainer/drain.h - reports to the filter, one after the other: claim, read the message, teach, write down what came of it.
 *
 * Lost      never: a report is only ended by the filter's word, and only by who holds its lease. Who dies in between leaves a lease that
 *           lapses; the filter then says that it knows the message already.
 * Patience  5 s, doubling up to an hour, with jitter; a minute at least where somebody has to change something first (a wrong
 *           password). Several backends: the first that is well.
 * Poison    a message that cannot be opened, or that the filter refuses, ends with the reason; the next is taken. */
#ifndef POSTERN_TRAINER_DRAIN_H
#define POSTERN_TRAINER_DRAIN_H

#include "base/conf.h"

struct drain;
int  drain_new(const struct settings *settings, struct drain **out, struct err *e);
void drain_free(struct drain **d);
/* 1: one was taken; 0: none is due; -1: the database or the keys are away. */
int drain_step(struct drain *d, struct err *e);

#endif
