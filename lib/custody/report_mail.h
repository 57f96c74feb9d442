/* lib/custody/report_mail.h - reports that come by mail: people forward messages as attachments to spam@ or ham@.
 *
 * Class     by the address that it came to: [trainer] report_spam, report_ham.
 * Whose     the From address has to be a mailbox of ours, or lead to one, and it has to be proven (custody/author.h).
 * Dropped   whatever else comes: of strangers, unproven, from <>, sent by a program, by Postern itself; without a message in it, with too
 *           many, too deep, too large. Nobody is told, ever: who sent it may be somebody else than who is named. The caller logs it.
 * Each      attached message (mail/attached.h) is a report of the mailbox's. One that the mailbox itself sent is none. Where the log has
 *           exactly one message to the mailbox with its Message-ID and author, within AUTHOR_NEAR_US of its date, that is the one
 *           reported; else the attached one is, by its bytes. Either way there is something to learn from.
 * Rate      what a mailbox reports beyond report_mail_count.h's bound is told to come again later (ERR_BUSY).
 * Again     the same mail taken twice changes nothing but the sums of report_mail_count.h, where each is counted. */
#ifndef POSTERN_CUSTODY_REPORT_MAIL_H
#define POSTERN_CUSTODY_REPORT_MAIL_H

#include "custody/author.h"
#include "custody/report.h"
#include "mail/attached.h"

#define REPORT_MAIL_ARENA_MAX(message_max) ((size_t)(message_max) + ((size_t)64 << 20))

/* All is borrowed. A store belongs to one thread. */
struct report_mail_site {
    const struct settings *settings;
    struct store          *store;
    struct vault          *vault;
    struct origin_trust    trust;
    const char            *listener; /* where it came in, as the log has it: "command", "unix:/run/…" */
    int64_t                wait_us;  /* AUTHOR_WAIT_US */
};

/* Why all of a mail is dropped. */
enum report_mail_reason {
    REPORT_MAIL_TAKEN,
    REPORT_MAIL_TOO_LARGE,
    REPORT_MAIL_NO_SENDER,
    REPORT_MAIL_NO_AUTHOR,
    REPORT_MAIL_OURS,
    REPORT_MAIL_STRANGER,
    REPORT_MAIL_AUTOMATIC,
    REPORT_MAIL_NOTHING,
    REPORT_MAIL_SHAPE,
    REPORT_MAIL_OTHER_SIGNED_IN,
    REPORT_MAIL_NOT_TO_US,
    REPORT_MAIL_UNPROVEN,
    REPORT_MAIL_REASONS
};
/* In a word, for /metrics: "stranger". */
extern const char *const report_mail_reason_words[REPORT_MAIL_REASONS];

/* As it came. */
struct report_mail {
    struct span recipient, sender; /* of the envelope, as written; sender empty: null */
    struct span message;           /* empty where it is too large */
    bool        too_large;
};

/* One attached message. */
struct report_mail_one {
    struct uuid        uid; /* of the log, or of what is held */
    bool               matched;
    const char        *none; /* why it is no report, or NULL */
    struct report_made made;
};
struct report_mail_done {
    enum report_class class;
    struct span             from, message_id; /* of the mail; may be empty */
    struct span             mailbox;          /* whose report it is */
    const char             *proof;            /* "signed in", "log", "authentication-results" */
    enum report_mail_reason reason;
    const char             *dropped; /* the same in a sentence, or NULL */
    struct report_mail_one  ones[ATTACHED_MAX];
    size_t                  n;
};

/* [trainer] report_spam and report_ham: no name in both, each an address or a local part. */
int report_mail_check(const struct settings *settings, struct arena *a, struct err *e);
/* Is this an address for reports, and for which? ERR_NOT_FOUND: it is none. */
int report_mail_class(const struct report_mail_site *site, struct span recipient, struct arena *a,
                      enum report_class *out, struct err *e);
/* Taken or dropped: texts of *out are in `a`. -1: to be tried again; what was taken of it stays. */
int report_mail_take(const struct report_mail_site *site, const struct report_mail *mail, struct arena *a,
                     struct report_mail_done *out, struct err *e);
/* The log's lines of it, for the program that took it: one if it was dropped, else one a message. */
void report_mail_log(const struct report_mail *mail, const struct report_mail_done *done);

#endif
