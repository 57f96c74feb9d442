/* rulesd/hits.h - hit counters of rules and entries: counted by the scans, written once a second, never lost by a clean stop. */
#ifndef POSTERN_RULESD_HITS_H
#define POSTERN_RULESD_HITS_H

#include "base/conf.h"
#include "rules/evaluate.h"

struct hits;
int  hits_new(const struct settings *settings, struct hits **out, struct err *e); /* starts the writing thread */
void hits_free(struct hits **h);                                                  /* writes what is left */
/* One match that applied or would have (test only). Any thread; per-thread buckets, no global lock. Learned entries too. */
void   hits_count(struct hits *h, const struct match *m, int64_t now_us);
size_t hits_waiting(struct hits *h);

#endif
