/* lib/net/httpd_inside.h - what the files of the HTTP server share; nobody else includes it.
 *
 * One connection (struct httpd_conn) has one request at a time (struct httpd_call). libmicrohttpd calls us on one of its threads, always
 * the same for a connection. Before a call goes to a worker its connection is suspended, so that at any time either its I/O thread
 * or one worker has the call: nothing in it is locked.
 *
 * Locks, in the order in which they may be taken together: httpd.lock, httpd_stream.lock, httpd.queue_lock. None is held while serve()
 * or another callback of the configuration runs. */
#ifndef POSTERN_NET_HTTPD_INSIDE_H
#define POSTERN_NET_HTTPD_INSIDE_H

#include <microhttpd.h>
#include <pthread.h>
#include <stdatomic.h>

#include "base/map.h"
#include "net/httpd_head.h"

/* What a connection is about, and therefore what it means that its deadline passed. */
enum httpd_phase {
    CONN_FIRST, /* nothing of a request came yet: cut */
    CONN_IDLE,  /* the same between two requests */
    CONN_HEAD,  /* 408 */
    CONN_BODY,  /* 408 */
    CONN_DRAIN, /* refused by our own write; the client still sends: cut */
    CONN_SERVE, /* a worker has it, or a stream has nothing to say: no deadline */
    CONN_REPLY, /* the client does not take it: cut */
    CONN_CUT,   /* over; whoever comes now leaves it alone */
};

struct httpd_conn {
    struct httpd_conn     *prev, *next; /* httpd.conns; under httpd.lock */
    struct httpd          *d;
    struct MHD_Connection *mhd;
    int                    fd;
    bool                   by_unix;
    struct ip              peer;
    struct httpd_peer     *counted; /* in httpd.peers; NULL: it is not */
    /* Deadline in ms << 8 | enum httpd_phase: one word, so that a phase never ends by another's deadline. */
    atomic_uint_fast64_t watch;
    struct httpd_stream *stream;  /* under httpd.lock, as the next */
    bool                 busy;    /* has a call */
    struct httpd_call   *call;    /* the I/O thread's, as the next */
    int64_t              head_by; /* of the first request; else 0 */
};

struct httpd_out_field {
    struct httpd_out_field *next;
    const char             *name, *value;
};

enum httpd_stage {
    CALL_NEW,      /* the request line came */
    CALL_READING,  /* the head was fine, or refused; its body comes */
    CALL_WAITING,  /* for a worker, or with one */
    CALL_ANSWERED, /* the reply is there, and is to be queued */
    CALL_REPLYING,
};

struct httpd_call {
    struct httpd_call   *next; /* httpd.queue */
    struct httpd        *d;
    struct httpd_conn   *conn;
    struct httpd_head    head;
    struct httpd_request request;
    struct arena         arena;
    struct span          target; /* as sent, in the arena */
    struct buf           body;
    size_t               body_max;
    enum httpd_stage     stage;
    enum httpd_refusal   refused;
    int64_t              began_us, began_ms; /* its first line; its body */
    bool                 drains;             /* refused past libmicrohttpd */

    struct httpd_reply      reply;
    struct httpd_out_field *fields;        /* newest first */
    struct httpd_out_field  of_refusal[3]; /* not in the arena: it may be the reason */
    struct buf              encoded;
    struct span             bytes; /* what goes out, unless it comes in chunks */
    bool                    close, one_piece;
    uint64_t                sent;

    struct buf chunk; /* of more */
    size_t     chunk_at;
    int        chunk_rc;
};

struct httpd_stream {
    struct httpd_stream *next; /* httpd.streams, while a connection has it; under httpd.lock */
    pthread_mutex_t      lock;
    unsigned             refs; /* from here on under lock */
    struct httpd_conn   *conn; /* NULL: none yet, or no more */
    struct buf           queue;
    size_t               at; /* what of the queue has gone out */
    bool                 ended, gone, asleep;
};

struct httpd_peer {
    struct ip     ip;
    size_t        n;
    atomic_size_t bodies; /* bytes of theirs in memory */
};

struct httpd {
    struct httpd_config config;
    struct httpd_listener {
        struct MHD_Daemon *daemon;
        struct endpoint    ep;
    } * listeners;
    size_t               nlisteners;
    atomic_bool          stopping, cutting;
    atomic_uint_fast64_t requests, refused;
    atomic_size_t        bodies; /* bytes of them in memory */

    pthread_mutex_t      lock;
    pthread_cond_t       calm; /* calls became 0 */
    struct httpd_conn   *conns;
    struct httpd_stream *streams;
    struct map           peers;
    size_t               nconns, nstreams, calls;

    pthread_mutex_t    queue_lock;
    pthread_cond_t     queued;
    struct httpd_call *queue, **queue_end;
    size_t             waiting;
    bool               closed; /* nothing more goes to the workers */
    struct httpd_worker {
        struct httpd *d;
        pthread_t     thread;
        void         *own;
        bool          opened, runs;
    } * workers;

    pthread_t watcher;
    bool      watches;
    int       epoll, wake;
};

int64_t httpd_now_ms(void);

/* httpd_watch.c - deadlines, and clients that leave while nobody reads. */
/* False: the connection was cut meanwhile. */
bool httpd_enter(struct httpd_conn *c, enum httpd_phase phase, int64_t deadline_ms);
/* With httpd.lock held. */
void httpd_cut(struct httpd_conn *c);
int  httpd_watch_start(struct httpd *d, struct err *e);
void httpd_watch_stop(struct httpd *d);

/* httpd_call.c - libmicrohttpd's callbacks about requests. */
void           *httpd_on_target(void *d, const char *target, struct MHD_Connection *mhd);
enum MHD_Result httpd_on_request(void *d, struct MHD_Connection *mhd, const char *url, const char *method,
                                 const char *version, const char *data, size_t *n, void **call);
void httpd_on_completed(void *d, struct MHD_Connection *mhd, void **call, enum MHD_RequestTerminationCode how);
void httpd_call_end(struct httpd_conn *c, bool whole); /* the request under way is over */

/* httpd_reply.c */
/* What serve() left in the reply, made ready: fields, coding, 304. On a worker. */
void            httpd_reply_finish(struct httpd_call *call);
void            httpd_reply_refuse(struct httpd_call *call, enum httpd_refusal why);
enum MHD_Result httpd_reply_queue(struct httpd_call *call);
/* Writes a refusal past libmicrohttpd, which cannot be asked to while it reads, and says that nothing follows. */
void httpd_refuse_now(struct httpd_conn *c, enum httpd_refusal why);

/* httpd_worker.c */
int  httpd_workers_start(struct httpd *d, struct err *e);
void httpd_workers_stop(struct httpd *d);
/* Suspends the connection and hands its call to a worker: HTTPD_FINE, or why not. A chunk always has room. */
enum httpd_refusal httpd_submit(struct httpd_call *call);

/* httpd_stream.c - replies that come in pieces; MHD_ContentReaderCallbacks. */
ssize_t httpd_chunk_read(void *call, uint64_t pos, char *out, size_t max);
ssize_t httpd_stream_read(void *call, uint64_t pos, char *out, size_t max);
void    httpd_stream_attach(struct httpd_stream *s, struct httpd_conn *c);
void    httpd_stream_detach(struct httpd_stream *s, struct httpd_conn *c);
void    httpd_stream_lose(struct httpd_stream *s); /* its client has gone */
void    httpd_streams_end(struct httpd *d);

#endif
