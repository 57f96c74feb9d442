/* lib/rules/trace.h - why it came out as it did: the matches of one recipient, for people and programs. Pure. */
#ifndef POSTERN_RULES_TRACE_H
#define POSTERN_RULES_TRACE_H

#include "base/buf.h"
#include "rules/decide.h"

/* Why a rule that matched did not decide, or that it did; NULL where the match itself says it (not applied, unknown …).
 * role_address: postmaster@, abuse@. */
const char *trace_why_lost(const struct layered *l, const struct decision *d, bool role_address);

/* [{"id","name","layer","policy","action","applied","why","because"}, …] ("because": match_put_facts()), the strongest first; at most `max` matches (0: all), the decider always among them. Names are empty
 * where the scope keeps no text. `a` is for the sentences. */
void trace_put_json(struct buf *out, const struct decision *d, size_t max, struct arena *a);

#endif
