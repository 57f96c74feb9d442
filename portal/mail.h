/* portal/mail.h - the log as people see it: what the calls about lists, single deliveries and exports share. */
#ifndef POSTERN_PORTAL_MAIL_H
#define POSTERN_PORTAL_MAIL_H

#include "call.h"
#include "custody/known.h"
#include "custody/report.h"
#include "mail_query.h"
#include "store/request.h"

/* The scopes that a caller asks about at once: one, or all mailboxes of a person. */
#define MAIL_SCOPES_MAX 64
struct mail_scopes {
    struct store_scope scopes[MAIL_SCOPES_MAX];
    size_t             n;
};
/* Every mailbox of who calls. */
int mail_scopes_of_person(struct call *c, struct mail_scopes *out, struct err *e);

/* A page, the newest first, over all scopes together. */
struct mail_page {
    const struct store_row *rows; /* their spans in the call's arena */
    size_t                  n;
    bool                    more;
    struct store_key        next;
};
int mail_search(struct call *c, const struct mail_scopes *where, const struct mail_query *what,
                const struct store_key *before, size_t limit, struct mail_page *out, struct err *e);

/* Rows that somebody has put away go out of the page, which may end up empty with more behind it. */
int mail_leave_out_deleted(struct call *c, struct mail_page *page, struct err *e);
/* A page of those that were put away in the last days, in mailboxes and domains. */
int mail_deleted(struct call *c, const struct mail_scopes *where, const struct store_key *before, size_t limit,
                 struct mail_page *out, struct err *e);
/* As text for a row of ours, and back. */
struct span mail_scopes_text(const struct mail_scopes *s, struct arena *a);
int         mail_scopes_read(struct span text, struct mail_scopes *out, struct err *e);

/* The delivery that the call is about, with its message, and how far it has come on its way out of the quarantine. */
struct mail_delivery {
    struct store_timeline                 t;
    const struct store_timeline_delivery *d;
    struct store_release                  release;
    bool                                  has_release;
};
int mail_find(struct call *c, struct mail_delivery *out, struct err *e);
/* "code", "reply" and "reply_said": what the mail server said, or why it was not asked. */
void mail_put_reply(struct buf *b, const struct store_release *r);

/* By whose hand may it go, for the reason for which it is held? The table is there. known_out (may be NULL): what there is to decide. */
enum deed mail_release_deed(const struct call *c, const struct mail_delivery *m, struct known *known_out);
bool      mail_is_held(const struct mail_delivery *m);
/* Lets the call's delivery go, if who calls may. 0 also when it cannot leave yet: it goes on by itself. A request for it that waits
 * is granted by it. */
struct mail_release_how {
    bool again, confirmed_virus;
};
int mail_release(struct call *c, const struct mail_release_how *asked, struct store_release *row, struct err *e);
/* Takes that back while it is not sent, for who asked for it; what it had granted waits for an answer again. Twice is once. -1 with
 * *gone_out: it is too late. */
int mail_unrelease(struct call *c, bool *gone_out, struct err *e);
/* Puts the call's held delivery away, or takes it back. */
int mail_put_away(struct call *c, bool away, struct err *e);
int mail_report(struct call *c, enum report_class class, struct report_made *made, struct err *e);

/* A row of a list: schema Delivery. */
void mail_put_row(struct buf *b, const char *key, const struct store_row *r);
/* With what the filter alone made of it: "spam" or "ham"; NULL: not said. */
void mail_put_held_row(struct buf *b, const char *key, const struct store_row *r, const char *likely);

void mail_put_request(struct buf *b, const char *key, const struct store_request *r);

struct span mail_cursor(struct call *c, const struct store_key *key);
int         mail_cursor_read(struct call *c, struct span text, struct store_key *out, struct err *e);

#endif
