/* lib/rules/plain.c - see plain.h. */
#include "rules/plain.h"

bool rule_is_list(const struct rule *r)
{
    const struct condition *c = r->conditions;

    if (!r->enabled || r->test_only || r->expires_us != 0 || r->flow != FLOW_FROM || r->nconditions != 1 ||
        c->negated || (c->kind != COND_IP && (c->kind != COND_SENDER || c->source != SOURCE_FROM)))
        return false;
    return r->action == RULE_BLOCK || c->kind == COND_IP || r->require_proof;
}

static void put_text(struct buf *out, struct span text)
{
    buf_put_u64(out, text.n);
    buf_putc(out, text.p != NULL ? ':' : '-');
    buf_put(out, text);
}

static void put_entry(struct buf *out, const struct entry *x)
{
    const struct attachment_entry *t = &x->attachment;

    buf_put_u64(out, x->kind);
    if (x->kind == ENTRY_IP) {
        put_text(out, span_make(x->ip.first.b, sizeof x->ip.first.b));
        put_text(out, span_make(x->ip.last.b, sizeof x->ip.last.b));
        return;
    }
    put_text(out, x->text);
    if (x->kind != ENTRY_ATTACHMENT)
        return;
    put_text(out, t->extension);
    put_text(out, t->mime_type);
    put_text(out, t->filename);
    buf_put_u64(out, t->has_present ? 1 + t->present : 0);
}

static void put_condition(struct buf *out, const struct condition *c, const struct entry *any, size_t nany)
{
    unsigned how = (unsigned)c->match << 4 | (unsigned)c->source << 2 | (unsigned)c->negated << 1 | c->case_sensitive;

    buf_printf(out, " %u.%u.%llu-%llu", (unsigned)c->kind, how, (unsigned long long)c->size_min,
               (unsigned long long)c->size_max);
    put_text(out, c->header);
    for (size_t i = 0; i < nany; i++)
        put_entry(out, &any[i]);
}

/* Proof is asked of an allow alone. */
static void put_rule(struct buf *out, const struct rule *r)
{
    buf_printf(out, "%d%d%d%d%d.%lld", r->action, r->flow, r->enabled, r->test_only,
               r->action == RULE_ALLOW && r->require_proof, (long long)r->expires_us);
}

void rule_put_key(struct buf *out, const struct rule *r)
{
    put_rule(out, r);
    for (size_t i = 0; i < r->nconditions; i++)
        put_condition(out, &r->conditions[i], r->conditions[i].any, r->conditions[i].nany);
}

void rule_put_entry_key(struct buf *out, const struct rule *r, const struct entry *x)
{
    put_rule(out, r);
    put_condition(out, &r->conditions[0], x, 1);
}
