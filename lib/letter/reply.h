/* lib/letter/reply.h - an answer to a digest, that releases: for people whose browser may open nothing.
 *
 * Which     digest: by In-Reply-To, else References (letter_run_of()). Which messages: by the numbers of its lines, as mail/answer.h reads
 *           them out of the answer's text.
 * Whose     the answer is from the address that the digest went to, and that is proven (custody/author.h). Whoever else writes, whatever
 *           they quote, is dropped.
 * May       what a user may: what others decide about (a virus, a forbidden file, a rule of the domain's) stays held. A subscription that
 *           stands no more releases nothing.
 * Dropped   and logged, as is what nobody wrote themselves: from <>, sent by a program, through a mailing list, by Postern. Nobody is told,
 *           ever; the digest's links and the portal show what was done.
 * Done      through custody/release.h, each in the audit log as the account's, from "digest answer". What cannot leave now leaves later
 *           (release_unfinished()). The same answer again finds it done.
 * Bounds    REPLY_MAIL_MAX bytes; ANSWER_NUMBERS_MAX numbers; REPLY_PER_MINUTE releases of a subscription: who asks for more is told to
 *           come again later (ERR_BUSY). */
#ifndef POSTERN_LETTER_REPLY_H
#define POSTERN_LETTER_REPLY_H

#include "custody/author.h"
#include "custody/release.h"
#include "mail/answer.h"

#define REPLY_MAIL_MAX ((size_t)2 << 20)
#define REPLY_PER_MINUTE 200
#define REPLY_ARENA_MAX ((size_t)64 << 20)

/* All is borrowed. A store belongs to one thread. */
struct reply_site {
    const struct settings *settings;
    struct release_how     release; /* with its store and its vault */
    struct origin_trust    trust;
    int64_t                wait_us; /* AUTHOR_WAIT_US */
};

enum reply_reason {
    REPLY_TAKEN,
    REPLY_TOO_LARGE,
    REPLY_NO_SENDER,
    REPLY_NO_AUTHOR,
    REPLY_OURS,
    REPLY_AUTOMATIC,
    REPLY_LIST,
    REPLY_NO_DIGEST,
    REPLY_NOT_THEIRS,
    REPLY_ENDED,
    REPLY_NO_COMMAND,
    REPLY_TOO_MANY,
    REPLY_OTHER_SIGNED_IN,
    REPLY_NOT_TO_US,
    REPLY_UNPROVEN,
    REPLY_SHAPE,
    REPLY_REASONS
};
/* In a sentence, for the log. */
extern const char *const reply_sentences[REPLY_REASONS];

/* As it came. */
struct reply_mail {
    struct span recipient, sender; /* of the envelope, as written; sender empty: null */
    struct span message;           /* empty where it is too large */
    bool        too_large;
};
/* One number. */
struct reply_one {
    uint32_t    number;
    bool        found; /* then uid is of what it stands for */
    struct uuid uid;
    const char *none;  /* why it is not released, or NULL */
    bool        waits; /* it leaves later */
};
struct reply_done {
    struct span       from, message_id; /* may be empty */
    const char       *proof;
    enum reply_reason reason;
    struct reply_one  ones[ANSWER_NUMBERS_MAX];
    size_t            n;
};

/* Can it work? [digest] reply_to is what it has to be, and there is a way for released mail (release_check()). */
int reply_check(struct store *store, const struct settings *s, struct arena *a, struct err *e);
/* Is this where answers come to? ERR_NOT_FOUND: it is not. */
int reply_is_for(const struct settings *s, struct span recipient, struct arena *a, struct err *e);
/* Taken or dropped: texts of *out are in `a`. -1: to be tried again; what was done of it stays. */
int reply_take(const struct reply_site *site, const struct reply_mail *mail, struct arena *a, struct reply_done *out,
               struct err *e);
/* The log's lines of it: one if it was dropped, else one a number. */
void reply_log(const struct reply_mail *mail, const struct reply_done *done);

#endif
