/* lib/letter/tally.c - see tally.h. */
#include "letter/tally.h"

#include <stdlib.h>

#include "base/map.h"

static int by_number(const void *x, const void *y)
{
    const struct digest_count *a = x, *b = y;

    return a->n != b->n ? (a->n > b->n ? -1 : 1) : span_cmp(a->address, b->address);
}

static struct span sender_of(const struct digest_item *i)
{
    return i->from_address.n > 0 ? i->from_address : i->envelope_sender;
}

static size_t tally(const struct digest_item *items, size_t n, bool blocked, struct arena *a, struct digest_count *out,
                    size_t max)
{
    struct digest_count *all = arena_array(a, n + 1, sizeof *all), *one;
    struct map           by_address;
    size_t               found = 0;

    if (all == NULL)
        return 0;
    map_init(&by_address);
    for (size_t i = 0; i < n; i++) {
        struct span who = blocked ? sender_of(&items[i]) : items[i].recipient;

        if (items[i].gone || (items[i].place == LISTED_BLOCKED) != blocked)
            continue;
        if ((one = map_get(&by_address, who)) == NULL) {
            one = &all[found++];
            *one = (struct digest_count){.address = who};
            map_put(&by_address, who, one);
        }
        one->n++;
    }
    map_fini(&by_address);
    qsort(all, found, sizeof *all, by_number);
    found = found < max ? found : max;
    memcpy(out, all, found * sizeof *all);
    return found;
}

size_t tally_senders_blocked(const struct digest_item *items, size_t n, struct arena *a, struct digest_count *out,
                             size_t max)
{
    return tally(items, n, true, a, out, max);
}

size_t tally_recipients(const struct digest_item *items, size_t n, struct arena *a, struct digest_count *out,
                        size_t max)
{
    return tally(items, n, false, a, out, max);
}
