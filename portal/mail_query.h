/* portal/mail_query.h - the one search box, as text: what people type into it, links hold, and programs send.
 *
 *     invoice from:billing@partner.example -subject:"final notice" status:quarantined,spam after:2026-11-01
 *
 * Tokens    from: to: subject: message-id: inbound: outbound: delivery: (words, or "a phrase") · status: (one or several of
 *           the seven, commas between) · uid: · rule: (its id) · domain: (a name of ours) · direction: · after: before: (a date or
 *           a time; days in UTC; after:2026-11-01 begins with that day, before:2026-11-02 ends in front of it) · date: (today,
 *           yesterday, 7d, 30d: the last so many days, today with them; in UTC too, and the pages send instants of the reader's
 *           zone instead) · is:held (quarantined, and not deleted) · without a name: subject, from or to.
 * Not       "-" in front of a token, but for times and is:. What has no rule, or no domain of ours, stays when one is excluded.
 * Refused   an unknown name before a colon only where it would be one: "Re:" and "12:30" are words; more than STORE_WORDS_MAX
 *           texts, or STORE_WITHOUT_MAX excluded ids and domains; a value that cannot be one, by name. Pure: rule and domain are looked up by who runs the search. */
#ifndef POSTERN_PORTAL_MAIL_QUERY_H
#define POSTERN_PORTAL_MAIL_QUERY_H

#include "base/arena.h"
#include "store/search.h"

#define MAIL_QUERY_MAX 2000 /* bytes */

/* A message, a rule or a domain to leave out. */
struct mail_without {
    struct store_without is;     /* of a domain not yet its id */
    struct span          domain; /* as typed */
};
struct mail_query {
    struct store_words  words[STORE_WORDS_MAX];
    size_t              nwords;
    struct mail_without without[STORE_WITHOUT_MAX];
    size_t              nwithout;
    unsigned            statuses, directions; /* bits; 0: any */
    bool                has_uid, has_rule;
    bool                held; /* and nobody has put it away: mail_leave_out_deleted() */
    struct uuid         uid, rule;
    struct span         domain; /* as typed; empty: none */
    int64_t             since_us, until_us;
};
/* e->at is the byte of the token that cannot be. */
int mail_query_read(struct span text, struct arena *a, struct mail_query *out, struct err *e);

#endif
