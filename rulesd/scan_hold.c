/* rulesd/scan_hold.c - see scan_hold.h. */
#include "scan_hold.h"

#include "record.h"
#include "scan_people.h"

bool scan_may_hold(const struct scan *s)
{
    return s->tools->custody != NULL && custody_is_open(s->tools->custody) && s->req.class == CLASS_MTA &&
           s->req.nrcpt > 0 && !s->observes;
}

bool scan_holds(const struct scan *s, bool at_reject)
{
    if (!scan_may_hold(s) || s->outcome.action > ACTION_TAG)
        return false;
    for (size_t i = 0; i < s->nverdicts; i++) {
        const struct dispositions *d = &audience_domain(scan_rcpt_audience(s, i))->dispositions;
        enum action                a = at_reject ? d->at_reject : d->at_add_header;

        if (s->verdicts[i].action <= ACTION_TAG && a != ACTION_QUARANTINE && a != ACTION_DISCARD)
            return false;
    }
    return true;
}

static void held(struct custody_job *job)
{
    struct scan *s = HOLDER(job, struct scan, hold);

    s->wake(s->wake_ctx);
}

/* What the domain permits to be held for it and for each of its mailboxes. Recipients of one domain mostly stand
 * together. */
static size_t list_caps(struct scan *s, struct custody_cap *caps)
{
    size_t n = 0;

    for (size_t i = 0; i < s->nverdicts; i++) {
        const struct audience          *a = scan_rcpt_audience(s, i);
        const struct store_domain_view *d = audience_domain(a);
        const struct store_resolved    *who = audience_who(a);

        if (!who->ours || !record_keeps(&s->record, i))
            continue;
        if (d->held_max > 0 && (n == 0 || uuid_cmp(&caps[n - 1].owner, &who->domain) != 0))
            caps[n++] = (struct custody_cap){who->domain, d->held_max};
        if (d->mailbox_held_max > 0 && who->has_mailbox)
            caps[n++] = (struct custody_cap){who->mailbox, d->mailbox_held_max};
    }
    return n;
}

int scan_hold(struct scan *s)
{
    struct custody_cap *caps = arena_array(&s->arena, 2 * s->nverdicts, sizeof *caps);

    if (caps == NULL)
        return scan_full(s);
    s->hold = (struct custody_job){.record = &s->record,
                                   .message = s->req.message,
                                   .arena = &s->arena,
                                   .caps = caps,
                                   .ncaps = list_caps(s, caps),
                                   .done = held};
    if (s->req.no_log)
        record_settled_only(s);
    custody_put(s->tools->custody, &s->hold);
    return 0;
}
