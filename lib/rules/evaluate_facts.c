/* lib/rules/evaluate_facts.c - what an evaluation knows of its message, prepared once and only when asked for. */
#include "base/clock.h"
#include "base/utf8.h"
#include "mail/text.h"
#include "rules/evaluation.h"

#define BODY_BYTES_PER_US 100 /* slower than bodies are decoded */

/* The clock starts at the first look: a short evaluation, which most are, reads none. */
static void look(struct evaluation *ev)
{
    int64_t now = clock_thread_cpu_us();

    ev->look_at = ev->work + LOOK_EVERY;
    if (!ev->clock_runs) {
        ev->clock_runs = true;
        ev->cpu_begun_us = now;
    }
    if (ev->facts->yield_us > 0 && now - ev->cpu_begun_us >= ev->facts->yield_us)
        ev->busy = true;
    if (now - ev->cpu_begun_us >= EVALUATE_CPU_US)
        ev->late = true;
}

bool evaluation_spend(struct evaluation *ev, size_t steps)
{
    ev->work += steps;
    if (ev->work >= ev->look_at)
        look(ev);
    return ev->busy || ev->late;
}

enum fact evaluation_from(struct evaluation *ev, const struct address **list_out, size_t *n_out)
{
    if (!ev->from_read) {
        ev->from = message_from(ev->message, &ev->from_list, &ev->nfrom);
        ev->from_read = true;
    }
    *list_out = ev->from_list;
    *n_out = ev->nfrom;
    return ev->from;
}

/* A long body is not begun by who has little time. */
static bool too_long(struct evaluation *ev)
{
    int64_t yield_us = ev->facts->yield_us;

    if (yield_us > 0 && (int64_t)(message_raw(ev->message).n / BODY_BYTES_PER_US) >= yield_us)
        ev->busy = true;
    return ev->busy;
}

enum fact evaluation_texts(struct evaluation *ev, bool source, const struct message_text **list_out, size_t *n_out)
{
    enum fact known;

    *list_out = NULL;
    *n_out = 0;
    if (too_long(ev))
        return FACT_UNKNOWN;
    ev->touched_body = true;
    known = message_texts(ev->message, source, list_out, n_out);
    for (size_t i = 0; i < *n_out; i++)
        evaluation_spend(ev, 1 + (*list_out)[i].text.n / 64);
    return known;
}

static struct span extension_of(struct span name)
{
    size_t dot = span_rchr(name, '.');

    return dot < name.n ? span_skip(name, dot + 1) : SPAN_NONE;
}

static void read_attachments(struct evaluation *ev)
{
    size_t n = message_parts(ev->message, &ev->attachments_limit);

    ev->attachments = arena_array(ev->arena, n, sizeof *ev->attachments);
    for (size_t i = 0; i < n && ev->attachments != NULL; i++) {
        const struct message_part *p = message_part_at(ev->message, i);
        struct attachment         *a = &ev->attachments[ev->nattachments];

        if (!p->attachment)
            continue;
        a->name = text_fold(p->filename, ev->arena);
        a->extension = extension_of(a->name);
        a->type = p->type;
        a->clean = p->filename_clean;
        ev->nattachments++;
    }
    evaluation_spend(ev, n);
}

const struct attachment *evaluation_attachments(struct evaluation *ev, size_t *n_out, bool *limit_out)
{
    *n_out = 0;
    *limit_out = true;
    if (!ev->attachments_read && too_long(ev))
        return NULL;
    ev->touched_body = true;
    if (!ev->attachments_read)
        read_attachments(ev);
    ev->attachments_read = true;
    *n_out = ev->nattachments;
    *limit_out = ev->attachments_limit;
    return ev->attachments;
}

/* Names that come over the wire may be any bytes: regexes must not see those. */
static struct span fit(struct evaluation *ev, struct span name)
{
    return text_is_folded_ascii(name) ? name : text_fold(name, ev->arena);
}

struct span evaluation_host(struct evaluation *ev)
{
    if (ev->host.p == NULL)
        ev->host = fit(ev, ev->facts->host);
    return ev->host;
}

struct span evaluation_helo(struct evaluation *ev)
{
    if (ev->helo.p == NULL)
        ev->helo = fit(ev, ev->facts->helo);
    return ev->helo;
}

/* ---- What is looked up ---- */

void hashes_add(struct evaluation *ev, struct hashes *h, struct span text)
{
    if (h->n == h->cap) {
        size_t    cap = h->cap > 0 ? 2 * h->cap : 16;
        uint64_t *list = arena_alloc(ev->arena, cap * sizeof *list);

        if (list == NULL)
            return; /* the arena remembers */
        if (h->n > 0)
            memcpy(list, h->list, h->n * sizeof *list);
        h->list = list;
        h->cap = cap;
    }
    h->list[h->n++] = span_hash(text);
}

void hashes_add_domain(struct evaluation *ev, struct hashes *h, struct span domain)
{
    while (domain.n > 0) {
        hashes_add(ev, h, domain);
        domain = span_skip(domain, span_chr(domain, '.') + 1);
    }
}

static void add_address(struct evaluation *ev, struct hashes *h, const struct address *a)
{
    hashes_add(ev, h, a->full.n > 0 ? a->full : SPAN("<>"));
    hashes_add_domain(ev, h, a->domain);
}

const struct hashes *evaluation_sender_hashes(struct evaluation *ev)
{
    const struct address *list;
    size_t                n;

    if (ev->sender.made)
        return &ev->sender;
    ev->sender.made = true;
    evaluation_from(ev, &list, &n);
    for (size_t i = 0; i < n; i++)
        add_address(ev, &ev->sender, &list[i]);
    if (ev->facts->has_envelope_from)
        add_address(ev, &ev->sender, &ev->facts->envelope_from);
    return &ev->sender;
}

const struct hashes *evaluation_server_hashes(struct evaluation *ev)
{
    if (ev->server.made)
        return &ev->server;
    ev->server.made = true;
    hashes_add_domain(ev, &ev->server, evaluation_host(ev));
    if (!span_eq(evaluation_host(ev), evaluation_helo(ev)))
        hashes_add_domain(ev, &ev->server, evaluation_helo(ev));
    return &ev->server;
}

const struct hashes *evaluation_signer_hashes(struct evaluation *ev)
{
    const struct proof *p = &ev->facts->proof;

    if (ev->signers.made)
        return &ev->signers;
    ev->signers.made = true;
    for (size_t i = 0; i < p->ndkim; i++)
        hashes_add_domain(ev, &ev->signers, p->dkim[i]);
    return &ev->signers;
}

/* ---- A table in the arena ---- */

static struct table_cell *cell_of(const struct table *t, uint64_t key)
{
    size_t at = (size_t)(key * UINT64_C(0x9e3779b97f4a7c15) >> 20) & (t->cap - 1);

    while (t->cells[at].key != 0 && t->cells[at].key != key)
        at = (at + 1) & (t->cap - 1);
    return &t->cells[at];
}

static bool table_grow(struct evaluation *ev, struct table *t)
{
    struct table bigger = {.n = t->n, .cap = t->cap > 0 ? 4 * t->cap : 8};

    if ((bigger.cells = arena_array(ev->arena, bigger.cap, sizeof *bigger.cells)) == NULL)
        return false;
    for (size_t i = 0; i < t->cap; i++) {
        if (t->cells[i].key != 0)
            *cell_of(&bigger, t->cells[i].key) = t->cells[i];
    }
    *t = bigger;
    return true;
}

void **table_at(struct evaluation *ev, struct table *t, uint64_t key)
{
    struct table_cell *c;

    if (2 * (t->n + 1) > t->cap && !table_grow(ev, t))
        return NULL;
    c = cell_of(t, key);
    if (c->key == 0) {
        c->key = key;
        t->n++;
    }
    return &c->value;
}
