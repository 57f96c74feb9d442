/* rulesd/conn.h - one connection: bytes in, requests, replies, bytes out.
 *
 * Rules of the wire (protocols.md 0): one write a reply; never close on unread input (a reset would destroy the reply), so
 * where more may come: shut down our side, and read on for a while; pipelined requests are answered in order, one at a time.
 * Cost      a request that has come whole is read, answered and done without epoll hearing of it.
 * Memory    while nothing has come a connection has no buffer; while little has come, a little one. */
#ifndef POSTERN_RULESD_CONN_H
#define POSTERN_RULESD_CONN_H

#include "loop.h"

enum conn_state { CONN_READ, CONN_SCAN, CONN_WRITE, CONN_DRAIN };

struct conn {
    enum watch            watch;
    int                   fd;
    struct loop          *loop;
    struct client         client;
    enum conn_state       state;
    enum waiting          waiting;
    bool                  waits;   /* is in the list of `waiting` */
    bool                  watched; /* epoll knows it */
    bool                  watches_out;
    bool                  readable; /* there may be something to read */
    bool                  hung_up;  /* the client has shut down its side: reads end with 0 */
    bool                  eof;      /* … and did */
    bool                  parsed;   /* nothing in `in` that the codec has not seen */
    bool                  asked;    /* at least one request was answered */
    bool                  queued;   /* is in the loop's `again` */
    const struct session *session;
    struct exchange      *x; /* the request that is being read or answered */
    struct buf            in, out;
    size_t                sent, drained, charged, charged_in;
    size_t                turn;     /* what it has done since its turn began: bytes, and a good deal a request */
    bool                  replied;  /* put_scan() was called, by a worker */
    enum scan_step        step;     /* what a worker's run of the scan came to */
    bool                  unpacks;  /* a worker undoes the compression of the message */
    enum wire_step        unpacked; /* what that came to */
    int64_t               deadline_us;
    struct conn          *prev, *next; /* in the list of `waiting` */
    struct conn          *again_next;
    struct conn          *inbox_next;
};

/* A new connection, with whatever it has sent already. Takes fd. */
void conn_open(struct loop *l, int fd, const struct client *client);
void conn_event(struct conn *c, uint32_t events);
void conn_resume(struct conn *c);        /* given back by the cache or a worker */
void conn_again(struct conn *c);         /* its turn comes again */
void conn_expire(struct conn *c);        /* its deadline passed */
void conn_close(struct conn *c);         /* at once, also under way: when its loop ends */
bool conn_is_idle(const struct conn *c); /* no request has begun */

#endif
