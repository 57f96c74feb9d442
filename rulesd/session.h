/* rulesd/session.h - a protocol's side of a connection: between the codecs of lib/net and the scan.
 *
 * conn.c moves bytes and keeps time; it knows the protocols by this table alone. Requests never see the socket. */
#ifndef POSTERN_RULESD_SESSION_H
#define POSTERN_RULESD_SESSION_H

#include "net/http.h"
#include "net/rspamd.h"
#include "net/spamd.h"
#include "server.h"

/* Who is at the other end of a connection. */
struct client {
    const struct listener *listener;
    struct peer            peer;
    enum caller_class class; /* by the connection; a password may raise it for one request */
};

enum answer {
    ANSWER_READY, /* the reply is in out */
    ANSWER_SCAN,  /* req is filled: run a scan, then put_scan() */
    ANSWER_LATER, /* x->errand is to be started, then its put() */
};

struct exchange;
/* What a request wants that is no scan and may take long: it asks the database, or waits for the disk. Part of whatever does it.
 * start() never blocks; afterwards wake() is called exactly once, on any thread, at the latest when who does it is stopped. */
struct errand {
    void (*start)(struct errand *er);
    /* It is done: the reply, or (ANSWER_SCAN) what is to be scanned now; that must not be in the errand, which ends here. */
    enum answer (*put)(struct errand *er, struct exchange *x, struct scan_request *req, struct buf *out);
    void (*end)(struct errand *er); /* frees it; nobody works on it */
    void (*wake)(void *ctx);        /* conn.c sets it */
    void *wake_ctx;
};

struct session;
/* One request and its reply. Kept by the loop and used again. */
struct exchange {
    const struct session *session;
    const struct client  *client;
    const struct server  *server;
    struct trust         *trust; /* the loop's, for the time of a call */
    struct metrics       *metrics;
    struct arena          arena;  /* of the codec */
    struct buf            plain;  /* a decompressed body */
    struct scan          *scan;   /* NULL while there is none */
    struct errand        *errand; /* the same */
    size_t                used;   /* bytes of the input that were this request */
    bool                  keep;   /* the connection may stay open behind this reply */
    bool                  linger; /* the client may still be sending: wait for its end before closing */
    struct exchange      *next;
    union {
        struct http_request  http;
        struct spamd_request spamd;
    };
    struct rspamd_envelope envelope; /* HTTP */
    struct span            rcpt;     /* where one recipient is all that there is */
    const struct route    *route;    /* HTTP */
};

struct session {
    void (*begin)(struct exchange *x, const struct wire_limits *limits);
    enum wire_step (*step)(struct exchange *x, struct buf *in, bool eof);
    bool (*head_done)(const struct exchange *x);
    size_t (*wants)(const struct exchange *x, const struct buf *in);
    bool (*packed)(
        const struct exchange *x); /* after WIRE_DONE: the body wants unpack(), on a worker, before answer() */
    enum wire_step (*unpack)(struct exchange *x);
    void (*expire)(struct exchange *x);                    /* too slow: put_bad() comes next */
    void (*put_bad)(struct exchange *x, struct buf *out);  /* after WIRE_BAD; nothing: close without a word */
    void (*put_busy)(struct exchange *x, struct buf *out); /* we are short of something: try again */
    enum answer (*answer)(struct exchange *x, struct scan_request *req, struct buf *out); /* after WIRE_DONE */
    void (*put_scan)(struct exchange *x, struct buf *out);                                /* x->scan is done */
};
extern const struct session session_spamd, session_http;

#endif
