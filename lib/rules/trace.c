/* lib/rules/trace.c - see trace.h. */
#include "rules/trace.h"

#include "base/utf8.h"

const char *trace_why_lost(const struct layered *l, const struct decision *d, bool role_address)
{
    const struct layered *w = d->decider;

    if (l == w)
        return "this one decides";
    if (l->m.why != WHY_APPLIED)
        return NULL;
    if (l->layer == LAYER_NONE && role_address)
        return "postmaster and abuse obey the operator's locked policies alone";
    if (l->layer == LAYER_NONE)
        return "inert: its policy is neither locked, assigned to the domain, nor the default";
    if (w == NULL)
        return NULL;
    if (l->layer != w->layer)
        return l->layer == LAYER_DEFAULT ? "the default policy counts only where nothing else matched"
                                         : "a stronger layer decides";
    if (l->m.policy->priority != w->m.policy->priority)
        return "its policy has the higher number as priority";
    if (l->m.priority != w->m.priority)
        return "it has the higher number as priority";
    return l->m.action != w->m.action ? "at the same priority an allow goes before a block"
                                      : "an older rule says the same";
}

static void put_match(struct buf *out, const struct layered *l, struct arena *a)
{
    char id[UUID_TEXT + 1];

    uuid_format(&l->m.id, id);
    buf_printf(out, "{\"id\":\"%s\",\"name\":", id);
    json_put_string(out, match_rule_name(&l->m));
    buf_printf(out, ",\"layer\":\"%s\",\"policy\":", layer_word(l->layer));
    json_put_string(out, span_of(l->m.policy->name));
    buf_printf(out, ",\"action\":\"%s\",\"applied\":%s,\"why\":", rule_action_word(l->m.action),
               l->m.why == WHY_APPLIED ? "true" : "false");
    json_put_string(out, match_sentence(&l->m, a));
    match_put_facts(out, "because", &l->m);
    buf_putc(out, '}');
}

void trace_put_json(struct buf *out, const struct decision *d, size_t max, struct arena *a)
{
    size_t told = max == 0 || d->n < max ? d->n : max;

    buf_putc(out, '[');
    for (size_t i = 0; i < told; i++) {
        bool decider_is_behind = i + 1 == told && d->decider != NULL && d->decider > &d->all[i];

        if (i > 0)
            buf_putc(out, ',');
        put_match(out, decider_is_behind ? d->decider : &d->all[i], a);
    }
    buf_putc(out, ']');
}
