/* lib/vault/purge.h - may what is past its time go? The guards of the purge, and what they remember from run to run.
 *
 * Times are kept when a message is: all that can make too much go at once is a clock. So a run stops, and asks, when
 *   PURGE_CLOCK  the wall clock and the monotonic one disagree on how long ago the last run was; or, when this process has had
 *                none yet, when the last one seems to lie in the future, or longer ago than a week;
 *   PURGE_MANY   more than a tenth of what is held is due at once (and not just a few).
 * It goes on by itself when the reason is gone, and at once when somebody allows it: purge_allow(), in the same directory.
 * What is remembered are two files beside the objects: `purged`, when the last run was; `purge-allowed`. */
#ifndef POSTERN_VAULT_PURGE_H
#define POSTERN_VAULT_PURGE_H

#include "vault/vault.h"

enum purge_verdict { PURGE_GO, PURGE_CLOCK, PURGE_MANY };
struct purge_facts {
    int64_t now_us, now_mono_us;
    int64_t last_us;      /* of the last run; 0: never */
    int64_t last_mono_us; /* 0: not in this process */
    int64_t count, due;   /* objects that are held; of them past their time */
};
#define PURGE_STEP_US (600 * INT64_C(1000000))       /* clocks that differ by less agree */
#define PURGE_AWAY_US (7 * 86400 * INT64_C(1000000)) /* longer than this nobody is switched off */
#define PURGE_FEW 50                                 /* that go without asking */
enum purge_verdict purge_judge(const struct purge_facts *f);

/* When the last run was; 0: never. */
int purge_last(const struct vault *v, int64_t *us_out, struct err *e);
int purge_mark(const struct vault *v, int64_t us, struct err *e);

/* Lets the next run go whatever the guards say. Takes that leave: true once. */
int  purge_allow(const struct vault *v, struct err *e);
bool purge_take_leave(const struct vault *v);

#endif
