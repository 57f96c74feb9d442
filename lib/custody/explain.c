/* lib/custody/explain.c - see explain.h. */
#include "custody/explain.h"

#include "rules/trace.h"
#include "store/compile.h"
#include "store/setting.h"
#include "base/utf8.h"

const char *const explain_verdict_words[] = {
    [VERDICT_NONE] = "none", [VERDICT_ALLOW] = "allow", [VERDICT_BLOCK] = "block"};

/* ---- gathering: what rulesd would know ---- */

int explain_begin(struct explain *x, struct store *s, const struct settings *settings, const struct explain_message *m,
                  struct arena *a, struct err *e)
{
    struct origin_trust  trust;
    struct origin_stated stated = {m->ip, m->host, m->helo};
    struct ip            ignored;

    *x = (struct explain){.store = s,
                          .arena = a,
                          .facts = {.arena = a, .now_us = clock_wall_us()},
                          .score = {.none = !m->has_score, .total = m->score},
                          .authenticated = m->authenticated};
    if (m->ip.n > 0 && !ip_parse(m->ip, true, &ignored))
        return err_set(e, ERR_INVALID, "\"%.*s\" is not an IP address", SPAN_ARG(m->ip));
    if (origin_trust_read(&settings->rulesd.trusted_relays, settings->rules.authserv_id, a, &trust, e) < 0)
        return -1;
    if ((x->facts.message = message_open(m->raw, a)) == NULL)
        return err_set(e, ERR_LIMIT, "the message is too large");
    if (m->has_from) {
        if (address_parse_path(m->from, a, &x->facts.envelope_from, e) < 0)
            return err_wrap(e, "the envelope sender");
        x->facts.has_envelope_from = true;
        if (x->facts.envelope_from.full.n > 0 && store_resolve(s, x->facts.envelope_from.full, &x->sender, e) < 0)
            return -1;
    }
    origin_facts(&trust, &stated, &x->facts);
    return 0;
}

static int load_scopes(struct explain *x, const struct store_resolved *who, struct explained *out, struct err *e)
{
    struct store_scope at[3] = {STORE_SCOPE_GLOBAL, store_scope_domain(who->domain), store_scope_mailbox(who->mailbox)};
    bool               there[3] = {true, who->ours, who->ours && who->has_mailbox};
    struct compile_how how = {.keep_text = true};

    for (size_t k = 0; k < 3; k++) {
        if (!there[k])
            continue;
        if (store_scope_compile(x->store, at[k], &how, &out->scopes[k], e) < 0)
            return -1;
        out->judged.scopes[k] = out->scopes[k];
    }
    return 0;
}

/* Whose thresholds and dispositions. */
static int load_views(struct explain *x, const struct store_resolved *who, struct explained *out, struct err *e)
{
    struct judge_rcpt        *j = &out->judged;
    struct store_domain_view  view;
    struct store_mailbox_view mailbox;

    if (store_domain_view(x->store, who->ours ? &who->domain : NULL, x->arena, &view, e) < 0)
        return -1;
    j->assigned = (struct assigned){view.assigned, view.nassigned};
    j->thresholds = view.thresholds;
    j->dispositions = view.dispositions;
    j->greylisting = view.greylisting && out->direction == DIRECTION_INBOUND;
    if (out->direction != DIRECTION_OUTBOUND)
        origin_nexthop(span_of(view.route), x->arena, &j->rcpt);
    if (!who->ours || !who->has_mailbox)
        return 0;
    if (store_mailbox_view(x->store, who->mailbox, &mailbox, e) < 0)
        return -1;
    j->thresholds = mailbox.thresholds;
    return 0;
}

static int load_rcpt(struct explain *x, struct span given, struct explained *out, struct err *e)
{
    struct judge_rcpt    *j = &out->judged;
    struct store_resolved who;

    if (address_parse_path(given, x->arena, &j->rcpt.given, e) < 0)
        return err_wrap(e, "the recipient %.*s", SPAN_ARG(given));
    if (store_resolve(x->store, j->rcpt.given.full, &who, e) < 0)
        return -1;
    j->rcpt.resolved = arena_dup(x->arena, span_of(who.ours ? who.mailbox_address : ""));
    j->rcpt.resolved_domain = arena_dup(x->arena, span_of(who.ours ? who.domain_name : ""));
    out->direction = origin_direction(x->authenticated, x->sender.ours, who.ours);
    j->role_address = who.ours && who.special && out->direction != DIRECTION_OUTBOUND;
    if (out->direction == DIRECTION_OUTBOUND && x->sender.ours)
        who = x->sender;
    return load_views(x, &who, out, e) < 0 ? -1 : load_scopes(x, &who, out, e);
}

int explain_rcpt(struct explain *x, struct span rcpt, struct explained *out, struct err *e)
{
    struct evaluation *evaluation;
    struct verdict    *verdict;

    *out = (struct explained){.direction = DIRECTION_INBOUND};
    if (load_rcpt(x, rcpt, out, e) < 0)
        return -1;
    x->facts.direction = out->direction;
    if (judge(&x->facts, &out->judged, 1, &x->score, true, &verdict, &evaluation, e) < 0)
        return -1;
    out->verdict = *verdict;
    return 0;
}

void explained_drop(struct explained *r)
{
    for (size_t k = 0; k < 3; k++)
        scope_drop(&r->scopes[k]);
}

/* ---- telling ---- */

void explained_put_json(struct buf *b, const struct explained *r, struct arena *a)
{
    const struct verdict *v = &r->verdict;
    const struct layered *w = v->decision.decider;
    char                  text[UUID_TEXT + 1];

    buf_puts(b, "{\"rcpt\":");
    json_put_string(b, r->judged.rcpt.given.full);
    buf_printf(b,
               ",\"verdict\":\"%s\",\"action\":\"%s\",\"score\":%.3f,\"thresholds\":{\"reject\":%g,\"add_header\":%g,"
               "\"greylist\":%g},\"layer\":",
               explain_verdict_words[v->rule], action_word(v->action), v->score, v->thresholds.reject,
               v->thresholds.add_header, v->thresholds.greylist);
    if (w != NULL) {
        uuid_format(&w->m.id, text);
        buf_printf(b, "\"%s\",\"rule\":{\"id\":\"%s\",\"name\":", layer_word(w->layer), text);
        json_put_string(b, match_rule_name(&w->m));
        buf_puts(b, "},\"matches\":");
    } else {
        buf_puts(b, "null,\"rule\":null,\"matches\":");
    }
    trace_put_json(b, &v->decision, 0, a);
    buf_putc(b, '}');
}
