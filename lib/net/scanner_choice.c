/* lib/net/scanner_choice.c - see scanner_choice.h. */
#include "net/scanner_choice.h"

static bool may_be_asked(const struct scanner_health *h, int64_t now_us)
{
    return h->rest_us == 0 || (now_us >= h->until_us && !h->trying);
}

size_t scanner_choose(struct scanner_health *all, size_t n, const bool *tried, int64_t now_us, bool *trial_out)
{
    for (size_t i = 0; i < n; i++) {
        if (tried[i] || !may_be_asked(&all[i], now_us))
            continue;
        *trial_out = all[i].trying = all[i].rest_us > 0;
        return i;
    }
    return SIZE_MAX;
}

bool scanner_has_other(const struct scanner_health *all, size_t n, const bool *tried, size_t but, int64_t now_us)
{
    for (size_t i = 0; i < n; i++)
        if (i != but && !tried[i] && may_be_asked(&all[i], now_us))
            return true;
    return false;
}

void scanner_did_well(struct scanner_health *h) { *h = (struct scanner_health){0}; }

void scanner_did_badly(struct scanner_health *h, bool lost, bool trial, int64_t now_us)
{
    if (h->rest_us > 0 && !trial)
        return; /* asked before it went to rest */
    if (h->rest_us == 0 && !lost && ++h->faults < SCANNER_FAULTS_IN_A_ROW)
        return;
    h->rest_us = h->rest_us == 0                         ? SCANNER_REST_MIN_US
                 : h->rest_us >= SCANNER_REST_MAX_US / 2 ? SCANNER_REST_MAX_US
                                                         : 2 * h->rest_us;
    h->until_us = now_us + h->rest_us;
    h->trying = false;
}

void scanner_was_not_asked(struct scanner_health *h, bool trial) { h->trying &= !trial; }
