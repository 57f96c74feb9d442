/* rulesd/maillog.h - one line of an MTA's log, read into what it says about a queued message. Pure.
 *
 * Lines    Postfix (all instances and syslog_names: PREFIX/SERVICE[PID]) and Exim's main log, behind a syslog stamp (RFC 3164 or RFC
 *          3339), Postfix's own maillog_file form (the same as RFC 3164) or Exim's stamp.
 * Hearsay  Read from left to right, each field where its writer puts it; what a stranger wrote (a reply, an address, a HELO) stands
 *          behind them and cannot become a field. A line counts only where its program is one that writes such lines: a delivery
 *          is the word of smtp, lmtp, … alone, "removed" that of qmgr and postsuper. Who may write to the log under those names is
 *          believed: so events annotate, and decide nothing.
 * Copies   Nothing: spans point into the line. Texts are as they stand there; who stores them cleans them.
 * Stamps   Without year and zone: of local time, in the year that puts them nearest to now. */
#ifndef POSTERN_RULESD_MAILLOG_H
#define POSTERN_RULESD_MAILLOG_H

#include "base/span.h"

#define MAILLOG_LINE_MAX 65536 /* bytes; who reads files passes over what is longer */
#define MAILLOG_QUEUE_ID_MAX 32

enum mail_event_kind {
    MAIL_ARRIVED,    /* a queue id was given; after an XFORWARD, parent_id is where it came from */
    MAIL_MESSAGE_ID, /* message_id */
    MAIL_QUEUED,     /* accepted, in the queue (again at every retry); Exim: message_id too */
    MAIL_ATTEMPT,    /* outcome, to, orig_to, host …, response */
    MAIL_EXPIRED,    /* in the queue too long: given back to the sender */
    MAIL_REFUSED,    /* at the door, before it was queued */
    MAIL_HELD,       /* on hold */
    MAIL_FREED,      /* from hold */
    MAIL_DELETED,    /* out of the queue by its administrator */
    MAIL_REMOVED,    /* out of the queue: nothing more will come */
    MAIL_TLS,        /* a connection of `process` to ip and port is encrypted: tls. It has no queue id */
};
extern const char *const mail_event_words[]; /* "arrived", …, NULL */

enum mail_outcome { MAIL_SENT, MAIL_DEFERRED, MAIL_BOUNCED };
extern const char *const mail_outcome_words[]; /* "sent", "deferred", "bounced", NULL */

struct mail_event {
    enum mail_event_kind kind;
    enum mail_outcome    outcome;
    int64_t              at_us;
    struct span          queue_id, parent_id;
    struct span          message_id; /* with its brackets where the log has them */
    struct span          sender, to, orig_to;
    struct span          host, ip; /* of who was talked to; "": nobody */
    unsigned             port;     /* 0: not told */
    unsigned             code;     /* 0: the reply has none */
    struct span          tls, dsn;
    struct span          response; /* the other side's words, without what the log puts around them */
    struct span          process;  /* "postfix/smtp[3298]" */
    bool                 reused;   /* a connection that had been used before */
};

/* What a reader of lines keeps between them. */
struct maillog_clock {
    int64_t now_us; /* set by the caller, every second or so */
    char    minute[16];
    int64_t minute_us; /* what `minute` was resolved to */
};

/* True: *out has what it says. False: it says nothing about a message's way (most lines do not), or is none. */
bool maillog_read(struct span line, struct maillog_clock *clock, struct mail_event *out);

/* The halves of it, for maillog.c and tests. Postfix: what stands behind "TAG: "; the tag is PREFIX/SERVICE[PID]. Exim: what stands
 * behind the stamp. */
bool maillog_read_postfix(struct span tag, struct span text, struct mail_event *out);
bool maillog_read_exim(struct span text, struct mail_event *out);
/* "250 2.0.0 Ok", "host mx[192.0.2.1] said: 550 5.1.1 no (in reply to RCPT TO command)" -> the reply alone, its code and its DSN. */
struct span maillog_reply(struct span response, unsigned *code_out, struct span *dsn_out);

#endif
