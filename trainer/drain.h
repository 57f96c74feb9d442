/* trainer/drain.h - reports to the filter: take some, read each message, teach, write down what came of it.
 *
 * Lost      never: a report is only ended by the filter's word, and only by who holds its lease. Who dies in between leaves leases that
 *           lapse; the filter then says that it knows the message already.
 * Hand      what is taken at once: one report, and twice as many each time while the filter is quick, up to DRAIN_HAND_MAX. One
 *           transaction writes down what came of them and takes the next; a hand that takes longer is written down half a second after
 *           its first word, too. What could not be asked is given back as it was.
 * Patience  5 s, doubling up to an hour, with jitter; a minute at least where somebody has to change something first (a wrong
 *           password). Several backends: the first that is well. One that fails rests (net/scanner_choice.h), one that is closed to us
 *           for a minute; while all rest nothing is taken, so that a filter that is away hears one question a rest.
 * Poison    a message that cannot be opened, or that the filter refuses, ends with the reason; the next is taken. */
#ifndef POSTERN_TRAINER_DRAIN_H
#define POSTERN_TRAINER_DRAIN_H

#include <stdatomic.h>

#include "base/conf.h"
#include "store/report.h"

#define DRAIN_HAND_MAX 64

/* Since the start; written by the drain's thread alone, read by any. */
struct drain_counts {
    atomic_ullong attempts;       /* questions to a backend */
    atomic_ullong failed, closed; /* answers: down, slow, cut or nonsense; a wrong password and the like */
    atomic_ullong ended[REPORT_SUPERSEDED + 1]; /* reports by state; WAITING: put off */
    atomic_bool   away;                         /* the database, or the keys */
};

struct drain;
int drain_new(const struct settings *settings, struct drain_counts *counts, struct drain **out, struct err *e);
/* Writes down what is known and gives back what is not; where the database is away, that waits for the leases to lapse. */
void drain_free(struct drain **d);
/* 1: there may be more; 0: none is due, or the backends rest; -1: the database or the keys are away. */
int drain_step(struct drain *d, struct err *e);

#endif
