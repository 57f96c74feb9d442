/* rulesd/server.h - what all loops share. Made and taken down by main.c; constant while loops run, but for the atomics. */
#ifndef POSTERN_RULESD_SERVER_H
#define POSTERN_RULESD_SERVER_H

#include "listener.h"
#include "metrics.h"
#include "scan.h"
#include "worker.h"

struct loop;
struct reports;
struct endpoints;
struct follower;
struct retention;
struct lookup;
struct server {
    struct scan_tools  tools;
    struct endpoints  *endpoints;
    struct workers    *workers;
    struct lookup     *lookup;    /* NULL: no program wants one */
    struct follower   *follower;  /* NULL: no log of an MTA is followed */
    struct retention  *retention; /* NULL: no log is kept */
    struct listener   *listeners;
    size_t             nlisteners;
    struct loop      **loops;
    size_t             nloops;
    struct wire_limits limits[2];       /* by enum caller_class */
    size_t             in_max;          /* the ceiling of a connection's input: head, body and some */
    size_t             buffered_max;    /* of `buffered`; half of it for class scan */
    long               connections_max; /* three quarters of it for class scan */
    int64_t            head_us, body_us, idle_us;
    int64_t            started_us; /* wall clock */
    struct reports    *reports;    /* NULL: there is no backend that could learn */
    char               host[64];

    atomic_size_t buffered; /* bytes of requests in memory, beyond the first of each connection */
    atomic_long   connections;
    atomic_bool   draining; /* accept nobody, finish what is under way */
    atomic_uint   closed;   /* loops that accept nobody any more */
    atomic_bool   stopping; /* the time for that is over */
};

/* Everything that /metrics tells about. `room` has space for nloops pointers. */
struct metrics_view server_view(const struct server *s, const struct metrics **room);

#endif
