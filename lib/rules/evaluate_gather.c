/* lib/rules/evaluate_gather.c - from facts to the rules that could match: each fact is looked up at the places that a scope
 * uses, and the texts are scanned for literals. What comes out is sorted, so that rules stay in the order of their ids and the
 * entries of one rule stand together. */
#include <stdlib.h>

#include "rules/evaluation.h"

#define FIELDS_FEW 8
#define FIELD_NAME_MAX 256
#define KEYS_TIDY 4096

/* At the places that all rules share, or, with `own`, at that of one condition. */
struct gathering {
    struct evaluation        *ev;
    const struct ruleset     *rs;
    struct keys              *keys;
    uint32_t                  own;
    const struct literal_set *own_literals;
    bool                      incomplete; /* there may be more, or an entry that is not true may be unknown */
};

static bool uses(const struct gathering *g, enum place place) { return g->own != 0 || ruleset_uses(g->rs, place); }

static const struct literal_set *literals_at(const struct gathering *g, enum place place)
{
    return g->own != 0 ? g->own_literals : g->rs->literals[place];
}

static int key_order(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

static void tidy(struct keys *k)
{
    size_t kept = 0;

    if (k->n > 1)
        qsort(k->list, k->n, sizeof *k->list, key_order);
    for (size_t i = 0; i < k->n; i++) {
        if (kept == 0 || k->list[kept - 1] != k->list[i])
            k->list[kept++] = k->list[i];
    }
    k->n = kept;
}

static void add_key(struct gathering *g, uint64_t key)
{
    struct keys *k = g->keys;

    if (k->n == k->cap && k->cap >= KEYS_TIDY)
        tidy(k); /* most were there before: a text that repeats what is looked for */
    if (k->n == k->cap || (k->cap >= KEYS_TIDY && 2 * k->n > k->cap)) {
        size_t    cap = k->cap > 0 ? 2 * k->cap : 32;
        uint64_t *list = arena_alloc(g->ev->arena, cap * sizeof *list);

        if (list == NULL)
            return; /* the arena remembers */
        if (k->n > 0)
            memcpy(list, k->list, k->n * sizeof *list);
        k->list = list;
        k->cap = cap;
    }
    k->list[k->n++] = key;
}

static bool add_entry(struct gathering *g, uint32_t entry)
{
    uint32_t rule = g->rs->conditions[g->rs->entries[entry].condition].rule;

    add_key(g, (uint64_t)rule << 32 | entry);
    return !evaluation_spend(g->ev, 1);
}

static void look_up(struct gathering *g, uint64_t hash, uint32_t place)
{
    uint32_t ref = ruleset_find(g->rs, hash, g->own != 0 ? g->own : place), entry;

    while (ref_next(g->rs, &ref, &entry) && add_entry(g, entry))
        ;
}

static void look_up_all(struct gathering *g, const struct hashes *h, enum place place)
{
    for (size_t i = 0; i < h->n && !g->ev->busy; i++)
        look_up(g, h->list[i], place);
}

static bool literal_found(void *ctx, uint32_t id, size_t at)
{
    (void)at;
    return add_entry(ctx, id);
}

static void scan(struct gathering *g, const struct literal_set *set, struct span folded)
{
    if (set == NULL || folded.n == 0 || g->ev->busy)
        return;
    if (literal_scan(set, folded, literal_found, g) < 0)
        g->incomplete = true;
    evaluation_spend(g->ev, folded.n / 16);
}

static void look_up_ip(struct gathering *g, const struct ip *ip, enum place place)
{
    const bool *used = g->rs->prefixes[place == PLACE_NEXTHOP_IP];

    for (unsigned bits = 0; bits <= 128; bits++) {
        if (used[bits])
            look_up(g, prefix_hash(ip, bits), place);
    }
}

static void gather_senders(struct gathering *g)
{
    const struct literal_set *literals = literals_at(g, PLACE_SENDER);
    const struct address     *list;
    size_t                    n;

    if (!uses(g, PLACE_SENDER))
        return;
    look_up_all(g, evaluation_sender_hashes(g->ev), PLACE_SENDER);
    if (literals == NULL)
        return;
    evaluation_from(g->ev, &list, &n);
    for (size_t i = 0; i < n; i++)
        scan(g, literals, list[i].full);
    if (g->ev->facts->has_envelope_from)
        scan(g, literals, g->ev->facts->envelope_from.full);
}

static void gather_client(struct gathering *g)
{
    if (uses(g, PLACE_IP) && g->ev->facts->has_ip)
        look_up_ip(g, &g->ev->facts->ip, PLACE_IP);
}

static void gather_host(struct gathering *g)
{
    if (!uses(g, PLACE_HOST))
        return;
    look_up_all(g, evaluation_server_hashes(g->ev), PLACE_HOST);
    scan(g, literals_at(g, PLACE_HOST), evaluation_host(g->ev));
    scan(g, literals_at(g, PLACE_HOST), evaluation_helo(g->ev));
}

static void gather_signers(struct gathering *g)
{
    const struct proof *p = &g->ev->facts->proof;

    if (!uses(g, PLACE_SIGNED))
        return;
    look_up_all(g, evaluation_signer_hashes(g->ev), PLACE_SIGNED);
    for (size_t i = 0; i < p->ndkim; i++)
        scan(g, literals_at(g, PLACE_SIGNED), p->dkim[i]);
}

static void gather_header(struct gathering *g, const struct stored_field *f, size_t header)
{
    bool        clean; /* what is not makes a condition unknown later */
    struct span folded = message_header_folded(g->ev->message, header, &clean);

    if (f->exact || g->own != 0)
        look_up(g, span_hash(span_trim(folded)), PLACE_HEADER + (uint32_t)(f - g->rs->fields));
    scan(g, g->own != 0 ? g->own_literals : f->literals, folded);
}

static void gather_field(struct gathering *g, const struct stored_field *f)
{
    struct span name = ruleset_text(g->rs, f->name, f->n);
    size_t      at = 0;

    while (!g->ev->busy && message_header_next(g->ev->message, name, &at) != NULL)
        gather_header(g, f, at - 1);
}

static bool field_is_filed(const struct stored_field *f) { return f->exact || f->literals != NULL; }

/* Few fields are looked for in the message; of many, those that the message has are looked for in the scope. */
static void gather_headers(struct gathering *g)
{
    struct message *m = g->ev->message;
    size_t          n = g->rs->nfields;
    char            lower[FIELD_NAME_MAX];
    bool            limit_hit;

    for (size_t i = 0; n <= FIELDS_FEW && i < n; i++) {
        if (field_is_filed(&g->rs->fields[i]))
            gather_field(g, &g->rs->fields[i]);
    }
    if (n <= FIELDS_FEW)
        return;
    n = message_nheaders(m, &limit_hit);
    for (size_t i = 0; i < n && !evaluation_spend(g->ev, 1); i++) {
        struct span                name = message_header_at(m, i)->name;
        const struct stored_field *f;

        if (name.n > sizeof lower)
            continue;
        for (size_t k = 0; k < name.n; k++)
            lower[k] = name.p[k] >= 'A' && name.p[k] <= 'Z' ? (char)(name.p[k] | 0x20) : name.p[k];
        f = map_get(&g->rs->fields_by_name, span_make(lower, name.n));
        if (f != NULL && field_is_filed(f))
            gather_header(g, f, i);
    }
}

static void gather_texts(struct gathering *g, enum place place)
{
    const struct message_text *list;
    size_t                     n;

    if (!uses(g, place) || g->ev->busy)
        return;
    evaluation_texts(g->ev, place == PLACE_SOURCE, &list, &n);
    for (size_t i = 0; i < n && !g->ev->busy; i++) {
        look_up(g, span_hash(span_trim(list[i].folded)), place);
        scan(g, literals_at(g, place), list[i].folded);
    }
}

static void gather_attachments(struct gathering *g)
{
    const uint32_t places = 1u << PLACE_EXTENSION | 1u << PLACE_MIME | 1u << PLACE_FILENAME | 1u << PLACE_ATTACHED;
    const struct attachment *list;
    size_t                   n;
    bool                     limit_hit;

    if ((g->own == 0 && !(g->rs->places & places)) || g->ev->busy)
        return;
    list = evaluation_attachments(g->ev, &n, &limit_hit);
    g->incomplete |= limit_hit;
    look_up(g, span_hash(n > 0 ? ATTACHED_YES : ATTACHED_NO), PLACE_ATTACHED);
    for (size_t i = 0; i < n && !g->ev->busy; i++) {
        g->incomplete |= !list[i].clean;
        look_up(g, span_hash(list[i].extension), PLACE_EXTENSION);
        look_up(g, span_hash(list[i].type), PLACE_MIME);
        look_up(g, span_hash(list[i].name), PLACE_FILENAME);
        scan(g, literals_at(g, PLACE_FILENAME), list[i].name);
    }
}

/* Where this is incomplete, what was not found is not tried, and so does not apply: these are anchors, and have no `not`. */
bool gather_message(struct evaluation *ev, const struct ruleset *rs, struct keys *out)
{
    struct gathering g = {.ev = ev, .rs = rs, .keys = out};

    out->n = 0;
    for (size_t i = 0; i < rs->nalways; i++) {
        add_key(&g, (uint64_t)rs->always[i] << 32 | KEY_ALWAYS);
        evaluation_spend(ev, 1);
    }
    gather_senders(&g);
    gather_client(&g);
    gather_host(&g);
    gather_signers(&g);
    gather_headers(&g);
    gather_attachments(&g);
    gather_texts(&g, PLACE_BODY);
    gather_texts(&g, PLACE_SOURCE);
    if (!ev->busy)
        tidy(out);
    return !ev->busy;
}

static void gather_name(struct gathering *g, struct span whole, struct span domain, enum place place)
{
    struct hashes *h = &g->ev->rcpt_hashes;

    h->n = 0;
    hashes_add(g->ev, h, whole);
    hashes_add_domain(g->ev, h, domain);
    look_up_all(g, h, place);
    scan(g, literals_at(g, place), whole);
}

static void gather_rcpt(struct gathering *g, const struct rcpt_facts *rcpt)
{
    if (!uses(g, PLACE_RCPT))
        return;
    gather_name(g, rcpt->given.full, rcpt->given.domain, PLACE_RCPT);
    if (rcpt->resolved.n > 0 && !span_eq(rcpt->resolved, rcpt->given.full))
        gather_name(g, rcpt->resolved, rcpt->resolved_domain, PLACE_RCPT);
}

static void gather_nexthop(struct gathering *g, const struct rcpt_facts *rcpt)
{
    if (uses(g, PLACE_NEXTHOP))
        gather_name(g, rcpt->nexthop, rcpt->nexthop, PLACE_NEXTHOP);
}

static void gather_nexthop_ip(struct gathering *g, const struct rcpt_facts *rcpt)
{
    if (uses(g, PLACE_NEXTHOP_IP) && rcpt->has_nexthop_ip)
        look_up_ip(g, &rcpt->nexthop_ip, PLACE_NEXTHOP_IP);
}

const struct keys *gather_recipient(struct evaluation *ev, const struct ruleset *rs, const struct rcpt_facts *rcpt)
{
    struct gathering g = {.ev = ev, .rs = rs, .keys = &ev->rcpt_keys};

    g.keys->n = 0;
    if (rcpt != NULL) {
        gather_rcpt(&g, rcpt);
        gather_nexthop(&g, rcpt);
        gather_nexthop_ip(&g, rcpt);
        tidy(g.keys);
    }
    return g.keys;
}

const struct keys *gather_own(struct evaluation *ev, const struct ruleset *rs, const struct stored_condition *c,
                              const struct rcpt_facts *rcpt, bool by_rcpt)
{
    uint32_t         index = (uint32_t)(c - rs->conditions);
    struct gathering g = {
        .ev = ev, .rs = rs, .keys = &ev->own_keys, .own = PLACE_OWN + index, .own_literals = ruleset_own(rs, index)};

    g.keys->n = 0;
    look_up(&g, span_hash(NOT_FILED), 0);
    switch ((enum condition_kind)c->kind) {
    case COND_SENDER:
    case COND_RECIPIENT:
        if (!by_rcpt)
            gather_senders(&g);
        else if (rcpt != NULL)
            gather_rcpt(&g, rcpt);
        if (!by_rcpt && !ev->facts->has_envelope_from)
            look_up(&g, span_hash(SPAN("<>")), 0); /* then that is unknown */
        break;
    case COND_IP:
        if (!by_rcpt)
            gather_client(&g);
        else if (rcpt != NULL)
            gather_nexthop_ip(&g, rcpt);
        break;
    case COND_HOST:
        if (!by_rcpt)
            gather_host(&g);
        else if (rcpt != NULL)
            gather_nexthop(&g, rcpt);
        break;
    case COND_SUBJECT:
    case COND_HEADER: gather_field(&g, &rs->fields[c->extra]); break;
    case COND_BODY: gather_texts(&g, c->match == MATCH_REGEX ? PLACE_SOURCE : PLACE_BODY); break;
    case COND_ATTACHMENT: gather_attachments(&g); break;
    case COND_SIGNED_BY: gather_signers(&g); break;
    case COND_SIZE:
    case COND_KINDS: break;
    }
    tidy(g.keys);
    return g.incomplete ? NULL : g.keys;
}
