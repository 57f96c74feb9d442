/* lib/net/scanner.h - asking the filter behind us: an Rspamd by HTTP, or a SpamAssassin spamd (protocols.md 1.9, 2.3 … 2.6).
 *
 * One thread of its own drives all questions at once (libcurl's multi interface; spamd by sockets beside it): who asks never
 * waits. Several scanners: the first that is well is asked; one that fails is left alone for a while that doubles (1 s … 60 s), and
 * the next is asked within the same time limit. Connections to Rspamd are kept open.
 * Whatever comes back is hostile: too long, too deep, not JSON, a wrong length, cut, NaN: the question fails with an err that
 * names the scanner and the fault. */
#ifndef POSTERN_NET_SCANNER_H
#define POSTERN_NET_SCANNER_H

#include <stdatomic.h>

#include "base/conf.h"
#include "net/rspamd.h"

#define SCANNER_ANSWER_MAX ((size_t)4 << 20)

struct scanner_answer {
    bool                spamd;
    struct rspamd_reply reply;      /* what it said, in Rspamd's words; spamd: score, required_score, symbols, action */
    bool                names_only; /* spamd, of which the points of symbols could not be had: they are 0 */
    bool        envelope_told;      /* client and envelope sender were stated to it; where not, what spamd says of SPF
                                          may be about somebody whom the message names */
    bool        skipped;            /* Rspamd: is_skipped, and the like: not really scanned */
    const char *by;                 /* which scanner: text of the settings */
    int64_t     took_us;
};

/* One question. The asker owns it and everything that it points to, and leaves all of it alone until done() has been called, once,
 * on the scanner's thread (or, when it is full or stopping, from within scanner_put()): short, wakes somebody. */
struct scanner_ask {
    struct span        message;
    struct span        from; /* p == NULL: not stated */
    const struct span *rcpt;
    size_t             nrcpt;
    struct span        ip, helo, hostname, user, queue_id;
    struct span        deliver_to; /* for whom it scans and learns: spamd's User, Rspamd's Deliver-To; empty: nobody */
    struct arena      *arena;      /* for the answer */
    void (*done)(struct scanner_ask *ask);

    int                   rc; /* 0: answer is filled; -1: err */
    struct err            err;
    struct scanner_answer answer;

    struct scanner_ask *next; /* the scanner's own */
    void               *job;
};

struct scanner;
/* urls: "rspamd+http://HOST:PORT[/PATH]", "rspamd+http+unix:/PATH", "spamd://HOST:PORT", "spamd+unix:/PATH"; "none" alone, or nothing: *out is
 * NULL. All of one kind. timeout_ms: for one message, all tries together. */
int  scanner_new(const struct conf_list *urls, int64_t timeout_ms, struct scanner **out, struct err *e);
void scanner_put(struct scanner *s, struct scanner_ask *ask); /* any thread */
/* What is under way fails at once with ERR_LOST, each by its done(). */
void scanner_free(struct scanner **s);

struct scanner_stats {
    uint64_t asked, answered, failed, timeouts, retried;
    uint64_t us; /* of those that were answered */
    size_t   under_way, scanners, well;
};
void scanner_stats(struct scanner *s, struct scanner_stats *out);

#endif
