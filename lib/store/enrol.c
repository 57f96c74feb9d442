/* lib/store/enrol.c - see enrol.h. */
#include "store/enrol.h"

#include "mail/address.h"
#include "store/address.h"
#include "store/domain.h"
#include "store/search.h"
#include "store/setting.h"

#define DAY_US (86400 * INT64_C(1000000))
#define ARENA_MAX ((size_t)4 << 20)

/* ---- is it an address of a person's? ---- */

/* As far as what is listed tells. */
static int is_unlisted(struct store *s, struct span address, struct uuid *domain_out, bool *out, struct err *e)
{
    struct store_resolved to;
    struct store_domain   d;
    struct store_setting  holds;
    size_t                at = span_rchr(address, '@');
    struct span           local = span_head(address, at);

    *out = false;
    if (store_resolve(s, address, &to, e) < 0)
        return -1;
    if (!to.ours || to.known || to.special || !span_is(span_skip(address, at + 1), to.domain_name))
        return 0;
    *domain_out = to.domain;
    if (store_domain_get(s, to.domain, &d, e) < 0 || store_setting_holds(s, &to.domain, &holds, e) < 0)
        return -1;
    *out = holds.enrol == ENROL_DELIVERED && (d.delimiter == '\0' || span_chr(local, d.delimiter) == local.n);
    return 0;
}

/* ---- was it delivered to? ---- */

struct looking {
    struct span      address;
    struct arena    *arena; /* of one row */
    struct store_key keys[ENROL_LOOK];
    size_t           n;
};

static bool is_for(struct arena *a, struct span recipient, struct span address)
{
    struct address one;

    return address_parse_path(recipient, a, &one, NULL) == 0 && span_eq(one.full, address);
}

static int take(void *ctx, const struct store_row *row)
{
    struct looking *l = ctx;

    arena_reset(l->arena);
    if (is_for(l->arena, row->recipient, l->address))
        l->keys[l->n++] = row->key;
    return l->n == COUNT(l->keys);
}

/* Where the mail server took it: *itself there, *others elsewhere. */
static int follow(struct store *s, const struct looking *l, const struct store_key *key, struct uuid domain,
                  bool *itself, bool *others, struct err *e)
{
    struct store_timeline t;

    arena_reset(l->arena);
    if (store_timeline(s, &key->uid, store_scope_domain(domain), l->arena, &t, e) < 0)
        return -1;
    for (size_t i = 0; i < t.ndeliveries; i++)
        for (size_t k = 0; t.deliveries[i].n == key->n && k < t.deliveries[i].nattempts; k++) {
            const struct store_attempt *a = &t.deliveries[i].attempts[k];
            bool                        taken = a->code >= 200 && a->code < 300 && a->final_recipient.n > 0;

            *itself |= taken && is_for(l->arena, a->final_recipient, l->address);
            *others |= taken && !is_for(l->arena, a->final_recipient, l->address);
        }
    return 0;
}

static int was_delivered(struct store *s, struct looking *l, struct uuid domain, int64_t now_us, bool *out,
                         struct err *e)
{
    struct store_words      words = {SEARCH_TO, l->address, false};
    struct store_search     what = {.scope = store_scope_domain(domain),
                                    .words = &words,
                                    .nwords = 1,
                                    .statuses = 1u << STATUS_DELIVERED,
                                    .since_us = now_us - ENROL_DAYS * DAY_US};
    struct store_search_end end;
    bool                    itself = false, others = false;

    if (store_search(s, &what, take, l, &end, e) < 0)
        return -1;
    for (size_t i = 0; i < l->n; i++)
        if (follow(s, l, &l->keys[i], domain, &itself, &others, e) < 0)
            return -1;
    *out = itself && !others;
    return 0;
}

int store_enrol_delivered(struct store *s, struct span address, int64_t now_us, struct uuid *domain_out, bool *out,
                          struct err *e)
{
    struct arena   a;
    struct looking l = {.address = address, .arena = &a};
    int            rc = is_unlisted(s, address, domain_out, out, e);

    if (rc < 0 || !*out)
        return rc;
    *out = false;
    arena_init(&a, ARENA_MAX);
    rc = was_delivered(s, &l, *domain_out, now_us, out, e);
    arena_fini(&a);
    return rc;
}
