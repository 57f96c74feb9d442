/* portal/mail_said.c - see mail_said.h. */
#include "mail_said.h"

#include "store/report.h"

struct latest {
    struct arena                *arena;
    const struct store_delivery *of;
    struct span                  who; /* where it is nobody's mailbox */
    bool                         found;
    struct store_report          report;
};

/* What still holds is said before what was taken back, and of two the later. */
static bool is_ahead(const struct store_report *r, const struct store_report *of)
{
    bool gone = r->state == REPORT_SUPERSEDED, of_gone = of->state == REPORT_SUPERSEDED;

    return gone != of_gone ? of_gone : r->changed_us > of->changed_us;
}

static int look(void *ctx, const struct store_report *r)
{
    struct latest *l = ctx;
    bool           theirs = l->of->has_mailbox ? r->has_mailbox && uuid_eq(&r->mailbox, &l->of->mailbox)
                                               : !r->has_mailbox && span_eq(r->who, l->who);

    if (!theirs || (l->found && !is_ahead(r, &l->report)))
        return 0;
    l->found = true;
    l->report = *r;
    l->report.answer = arena_dup(l->arena, r->answer);
    return 0;
}

int mail_said_put(struct call *c, const struct store_delivery *of, struct buf *b, struct err *e)
{
    struct latest l = {.arena = c->arena, .of = of, .who = span_of(c->actor.name)};

    if (store_report_show(c->store, &c->delivery.uid, look, &l, e) < 0) {
        if (e->code != ERR_NOT_FOUND)
            return -1;
        *e = ERR_INIT;
    }
    if (!l.found) {
        json_add_null(b, "report");
        return 0;
    }
    json_open(b, "report", '{');
    json_add_str(b, "class", report_class_words[l.report.class]);
    json_add_str(b, "state", report_state_words[l.report.state]);
    json_add_time(b, "changed", l.report.changed_us);
    json_add_text(b, "answer", l.report.answer);
    json_close(b, '}');
    return 0;
}
