/* lib/custody/held.c - see held.h. */
#include "custody/held.h"

double held_own_score(bool has_rule, double score)
{
    return has_rule && score >= SCORE_BLOCK / 2 ? score - SCORE_BLOCK : score;
}

bool held_likely_spam(bool has_rule, bool has_score, double score, const struct thresholds *t)
{
    double limit = has_rule ? t->add_header : t->reject;

    if (limit >= THRESHOLD_OFF)
        limit = has_rule ? t->reject : 2 * t->add_header;
    return has_score && held_own_score(has_rule, score) >= limit;
}

bool held_by_themselves(bool has_rule, struct span layer)
{
    return !has_rule || span_starts(layer, SPAN("mailbox")) || span_starts(layer, SPAN("learned"));
}
