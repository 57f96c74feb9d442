/* lib/custody/report.h - "this is spam", "this is not": from somebody's word to the row that postern-trainer drains (store/report.h), and
 * the learned sender that it leaves behind in a mailbox (scan/learnable.h, store/learned.h).
 *
 * Which     either a message of the log (report_find()), to learn from while its body is held; or one that came with the report, which
 *           is kept for REPORT_KEEP_US first.
 * Sender    a report of a mailbox's leaves an entry: spam blocks, ham allows, the opposite turns it, "forget" takes it away. Keyed on what
 *           was proven: by the scanner's symbols for a message of the log, by Authentication-Results of our own for one that came with
 *           the report. Where none is made, the report counts all the same, and `why` says why.
 * Together  row, entry and audit: what fails leaves nothing but, at worst, the row alone (two databases).
 * Who       a report for a mailbox is the mailbox's, whoever hands it over (he is in the audit log).
 * Gone      where the message is not stored any more, the filter cannot learn it, but the entry is made from what the log knows.
 * Opposite  two mailboxes of a domain may say the opposite: the filter learns neither (store/report.h), each has its own entry.
 * Said      the same again changes nothing, not even an entry that was taken away meanwhile. */
#ifndef POSTERN_CUSTODY_REPORT_H
#define POSTERN_CUSTODY_REPORT_H

#include "base/conf.h"
#include "rules/origin.h"
#include "scan/learnable.h"
#include "store/learned.h"
#include "store/message.h"
#include "store/report.h"
#include "vault/vault.h"

#define REPORTS_PER_RECIPIENT 60 /* a minute, for ways that are open to many: by POST /report and by mail, each */
#define REPORT_KEEP_US (7 * 86400 * INT64_C(1000000))

/* All is borrowed. */
struct report_said {
    enum report_class class;
    struct span                 who, channel; /* who says so; "command", "tell", … */
    struct span                 recipient;    /* for whom: an address; empty: for everybody */
    const struct store_message *record;
    bool                        logged;   /* it is in the log */
    bool                        has_body; /* and held: there is something to learn from */
    struct span                 message;  /* the bytes that came with the report, or empty */
    const struct uuid          *body;     /* under which they are held; NULL: under the record's own */
    const struct store_delivery
        *delivery; /* of the log, to the recipient, or NULL: what decided there goes before a learned sender */
};

/* What stands in the log of a message that came with a report at `listener`. */
void report_record(struct store_message *out, const char *listener, size_t bytes, int64_t now_us);
/* Holds it, and writes its row: for who may wait. */
int report_keep(struct store *s, struct vault *v, struct store_message *m, struct span message, struct arena *a,
                struct err *e);
/* A message of the log as one of its recipients may see it: record, logged, delivery and has_body of *said, whose recipient is set.
 * ERR_NOT_FOUND: there is none, or it was not for them: nobody learns which. */
int report_find(struct store *s, const struct uuid *uid, struct arena *a, struct report_said *said, struct err *e);

struct report_made {
    struct uuid       id;
    enum report_added added;
    enum report_state state; /* to begin with: WAITING, or where it ends already */
    bool              has_body;
    const char       *note;  /* for a person, where the filter will not learn it as it was said, or NULL */
    struct learnable  entry; /* sender empty: nothing changed there, and `why` (may be NULL) says why */
};
/* Whose word on a sender counts here. Borrowed. */
struct report_site {
    const struct conf_list    *scanner; /* [rulesd] scanner */
    const struct origin_trust *trust;
};
/* Who sent it, as far as it is proven: by what the scanner's symbols said of a message of the log when it was scanned; by fields of our
 * own in the bytes of one that an MTA of ours hands over. */
void report_prove_by_log(const struct report_site *site, const struct store_message *m, struct arena *a,
                         struct proof *proof);
void report_prove_by_fields(const struct report_site *site, struct span bytes, struct arena *a, struct proof *proof);

/* Texts of *out are in `a`. */
int report_make(struct store *s, const struct report_site *site, const struct actor *by, const struct report_said *said,
                struct arena *a, struct report_made *out, struct err *e);
/* {"id", "class", "added": "new|turned|said", "state", "note", "body", "sender", "proof", "why"} */
void report_put_json(struct buf *out, enum report_class class, const struct report_made *made);

#endif
