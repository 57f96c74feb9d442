/* rulesd/discreet.c - see discreet.h. */
#include "discreet.h"

static struct span bare(struct span path)
{
    path = span_trim(path);
    return path.n >= 2 && path.p[0] == '<' && path.p[path.n - 1] == '>' ? span_make(path.p + 1, path.n - 2) : path;
}

/* Does the address stand in the text, with its last '@' at this place? */
static bool stands_at(struct span text, size_t at, struct span address)
{
    size_t local = span_rchr(address, '@');

    return local < address.n && local <= at && address.n - local <= text.n - at &&
           span_eq_ci(span_make(text.p + at - local, address.n), address);
}

bool discreet_names(struct span text, const struct span *addresses, size_t n)
{
    size_t steps = 0;

    for (size_t at = 0; (at += span_chr(span_skip(text, at), '@')) < text.n; at++) {
        if ((steps += n) > DISCREET_STEPS_MAX)
            return true;
        for (size_t i = 0; i < n; i++)
            if (stands_at(text, at, bare(addresses[i])))
                return true;
    }
    return false;
}
