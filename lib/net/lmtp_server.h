/* lib/net/lmtp_server.h - the server's side of LMTP (RFC 2033), for whoever takes mail from an MTA over it.
 *
 * A machine fed with bytes: it takes them off the front of `in`, puts replies into `out`, keeps the place at which it stands, and never
 * reads, writes, waits or logs. Input may be cut anywhere; what comes out is the same. One session a struct; any thread.
 *
 *     LHLO ── MAIL ── RCPT … ── DATA ── message ── a reply for each recipient that was taken ── MAIL …
 *                      └ asked of the caller         └ asked of the caller
 *
 * Strict    Command lines end in CRLF and hold no other control byte; a message ends in CRLF.CRLF alone, so nobody smuggles a second
 *           one in. Commands out of their order, unknown ones, unknown parameters are refused.
 * Lenient   about the sender: whatever stands between < and > is taken, for a refusal would become a bounce to whoever it names. So is a
 *           message that is too large: it is read to its end and dropped, and the caller decides what to say. No SIZE is announced.
 * DSN       is announced, so that the MTA leaves success notices to us; there are none.
 * Bounds    LMTP_LINE_MAX, struct lmtp_limits. Time is the caller's affair. */
#ifndef POSTERN_NET_LMTP_SERVER_H
#define POSTERN_NET_LMTP_SERVER_H

#include "base/arena.h"
#include "base/buf.h"

#define LMTP_LINE_MAX ((size_t)16 << 10) /* of a command, its line end included */

struct lmtp_limits {
    size_t message_max; /* bytes, line ends as they came, without the dots that the protocol adds */
    size_t rcpt_max;    /* recipients of one message; more are put off */
    size_t idle_max;    /* commands in a row without a message: then it is over */
    size_t errors_max;  /* of one session: then it is over */
};

enum lmtp_step {
    LMTP_MORE,    /* write what is in `out`, then append to `in` */
    LMTP_RCPT,    /* `recipient` is named: lmtp_server_rcpt(), then step again */
    LMTP_MESSAGE, /* a message is there: lmtp_server_answer() once for each of rcpts, in order, then step again */
    LMTP_END,     /* write what is in `out`, and close */
};

/* Owns nothing: what is named is the caller's, and outlives it. */
struct lmtp_server {
    struct span        recipient; /* at LMTP_RCPT, as written between < and > */
    struct span        sender;    /* at LMTP_MESSAGE; empty: the null sender */
    const struct span *rcpts;     /* those that were taken */
    size_t             nrcpts;
    struct buf        *message;
    bool               too_large; /* then message is empty */

    /* the machine's own */
    struct lmtp_limits limits;
    const char        *host;
    struct arena      *arena; /* of one transaction: reset behind it */
    struct span       *taken;
    enum lmtp_state { LMTP_FRESH, LMTP_READY, LMTP_MAIL, LMTP_ASKING, LMTP_DATA, LMTP_ANSWERING, LMTP_OVER } state;
    enum lmtp_place { AT_START, IN_LINE, BEHIND_CR, BEHIND_DOT, BEHIND_DOT_CR } place; /* in a message */
    size_t scan;                                                                       /* no line end before here */
    size_t idle, errors, answered;
};

/* message and arena are emptied. The ceiling of message has to be limits->message_max at least. host: our name, for the greeting,
 * which goes into out. */
void lmtp_server_begin(struct lmtp_server *s, const struct lmtp_limits *limits, const char *host, struct buf *message,
                       struct arena *a, struct buf *out);
/* Takes from `in` what it can. eof: the client has hung up; a message that is not complete is none. */
enum lmtp_step lmtp_server_step(struct lmtp_server *s, struct buf *in, bool eof, struct buf *out);

/* later: 4xx, to be tried again; else 250. Nothing here can refuse for good. text: ours, a line, or NULL. */
void lmtp_server_rcpt(struct lmtp_server *s, bool later, const char *text, struct buf *out);
void lmtp_server_answer(struct lmtp_server *s, bool later, const char *text, struct buf *out);

/* The session ends now, for this reason: "421 4.4.2 text". */
void lmtp_server_quit(struct lmtp_server *s, const char *text, struct buf *out);

#endif
