/* portal/breadths.c - see breadths.h. */
#include "breadths.h"

#include "route.h"
#include "rules.h"
#include "sentence.h"
#include "rules/wildcard.h"
#include "scan/learnable.h"
#include "store/search.h"

#define PAST_US (30 * 86400 * INT64_C(1000000))
#define PAST_ROWS 5000
#define PAST_WAIT_US INT64_C(1000000)

/* ---- how far ---- */

static const char *const reach_words[] = {"address", "stable", "domain", "subdomains", NULL};

static void add(struct breadths *b, enum reach reach, struct span sender)
{
    for (size_t i = 0; i < b->n; i++)
        if (span_eq(b->items[i].sender, sender))
            return;
    if (sender.n > 0)
        b->items[b->n++] = (struct breadth){.reach = reach, .sender = sender};
}

static int find_sender(struct call *c, const struct mail_delivery *m, struct breadths *out, struct err *e)
{
    const struct store_message *msg = &m->t.message;
    struct span                 text = msg->from_address.n > 0 ? msg->from_address : msg->sender;

    out->envelope = msg->from_address.n == 0;
    if (msg->direction == DIRECTION_OUTBOUND)
        return err_set(e, ERR_CONFLICT, "This message was sent from here: there is no stranger to decide about.");
    if (text.n == 0 || address_parse_path(text, c->arena, &out->sender, e) < 0 || out->sender.full.n == 0)
        return err_set(e, ERR_CONFLICT, "This message names no sender that a rule could be about.");
    return 0;
}

int breadths_find(struct call *c, const struct mail_delivery *m, struct breadths *out, struct err *e)
{
    struct learnable stable;
    struct span      domain;

    *out = (struct breadths){0};
    if (find_sender(c, m, out, e) < 0)
        return -1;
    domain = out->sender.domain;
    learnable_breadth(&out->sender, c->arena, &stable);
    if (stable.sender.n > 0)
        add(out, REACH_ADDRESS, out->sender.full);
    out->shared = domain_is_freemail(domain) || domain_is_public_suffix(domain);
    if (stable.sender.n > 0 && !span_starts(stable.sender, SPAN("*@")))
        add(out, REACH_STABLE, stable.sender);
    if (!out->shared && domain.n > 0 && domain.p[0] != '[') {
        add(out, REACH_DOMAIN, arena_printf(c->arena, "*@%.*s", SPAN_ARG(domain)));
        add(out, REACH_SUBDOMAINS, domain);
    }
    return out->n > 0 ? 0 : err_set(e, ERR_CONFLICT, "The sender's address cannot stand in a rule.");
}

static bool covers(const struct breadth *b, const struct address *sender, const struct address *one)
{
    switch (b->reach) {
    case REACH_ADDRESS: return span_eq(one->full, sender->full);
    case REACH_STABLE: return wildcard_match(b->sender, one->full);
    case REACH_DOMAIN: return span_eq(one->domain, sender->domain);
    case REACH_SUBDOMAINS: return domain_is_within(one->domain, sender->domain);
    case REACHES: break;
    }
    return false;
}

/* ---- how much it would have caught ---- */

struct past {
    struct breadths *b;
    struct arena     arena; /* of one row */
    size_t           rows;
};

static int count_row(void *ctx, const struct store_row *row)
{
    struct past   *p = ctx;
    struct address one;

    p->rows++;
    arena_reset(&p->arena);
    if (row->direction == DIRECTION_OUTBOUND ||
        address_parse_path(p->b->envelope ? row->sender : row->from_address, &p->arena, &one, NULL) < 0)
        return 0;
    for (size_t i = 0; i < p->b->n; i++)
        p->b->items[i].messages += covers(&p->b->items[i], &p->b->sender, &one);
    return 0;
}

/* *more_out: there may be others; nobody has looked at all. */
static int count_past(struct call *c, struct breadths *b, bool *more_out, struct err *e)
{
    struct store_words      words = {SEARCH_FROM, b->sender.domain, false};
    struct store_search     s = {.scope = c->scope, .words = &words, .nwords = 1, .since_us = c->now_us - PAST_US};
    struct store_search_end end = {.more = true};
    struct past             p = {.b = b};
    int64_t                 from = clock_mono_us();
    int                     rc = 0;

    arena_init(&p.arena, (size_t)1 << 20);
    while (rc == 0 && end.more && p.rows < PAST_ROWS && clock_mono_us() - from < PAST_WAIT_US) {
        if ((rc = store_search(c->store, &s, count_row, &p, &end, e)) == 0 && end.more) {
            s.before = end.next;
            s.has_before = true;
        }
    }
    arena_fini(&p.arena);
    *more_out = end.more;
    return rc;
}

/* ---- GET …/breadths ---- */

static const char *warning_of(const struct call *c, const struct breadths *b, enum rule_action action)
{
    if (action == RULE_ALLOW && !rules_can_prove(c))
        return "Nothing here can prove who sent a message, and anybody can write any sender: until a filter can, "
               "this will let nothing through.";
    if (b->shared)
        return "Anybody may have an address at this domain: only the whole address can be meant.";
    if (action == RULE_ALLOW)
        return "It holds only for mail that is proven to come from there; a forged sender is judged as before.";
    return NULL;
}

const struct field breadths_fields[] = {{"action", FIELD_WORD, FIELD_REQUIRED, 0, 0, rule_action_words,
                                         offsetof(struct breadths_query, action), "allow or block"},
                                        FIELDS_END};

int breadths_call(struct call *c, struct err *e)
{
    const struct breadths_query *in = c->query;
    struct mail_delivery         m;
    struct breadths              b;
    struct buf                  *out;
    const char                  *warning;
    bool                         more;

    if (mail_find(c, &m, e) < 0 || breadths_find(c, &m, &b, e) < 0 || count_past(c, &b, &more, e) < 0)
        return -1;
    out = call_reply(c, 200);
    json_open(out, NULL, '{');
    json_open(out, "items", '[');
    for (size_t i = 0; i < b.n; i++) {
        json_open(out, NULL, '{');
        json_add_str(out, "kind", reach_words[b.items[i].reach]);
        json_add_text(out, "sender", b.items[i].sender);
        json_add_i64(out, "messages", b.items[i].messages);
        json_close(out, '}');
    }
    json_close(out, ']');
    json_add_bool(out, "more", more);
    warning = warning_of(c, &b, (enum rule_action)in->action);
    json_add_str(out, "warning", warning);
    sentence_put(out, "warning_said", span_of(warning));
    json_close(out, '}');
    return 0;
}
