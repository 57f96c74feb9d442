/* lib/net/redis.h - the few Redis commands that nodes share state with (hiredis). Blocking with a deadline; one thread
 * at a time; a lost connection is made again on the next call, after a back-off (0.1 … 5 s) during which calls fail at
 * once. hiredis writes without MSG_NOSIGNAL: the program ignores SIGPIPE. */
#ifndef POSTERN_NET_REDIS_H
#define POSTERN_NET_REDIS_H

#include "base/arena.h"
#include "base/err.h"

struct redis;
/* redis://[:password@]host:port/db or redis+unix:/path. Does not connect yet. */
int  redis_new(const char *url, int64_t timeout_ms, struct redis **out, struct err *e);
void redis_free(struct redis **r);
/* SET key value NX PX ttl: 1 set by us, 0 somebody was first (then *value_out is theirs, in the arena), -1. */
int redis_set_first(struct redis *r, struct span key, struct span value, int64_t ttl_ms, struct arena *a,
                    struct span *value_out, struct err *e);
int redis_set(struct redis *r, struct span key, struct span value, int64_t ttl_ms, struct err *e);
/* INCRBY, and the key lives for ttl from now: what it then is. */
int redis_add(struct redis *r, struct span key, int64_t by, int64_t ttl_ms, int64_t *total_out, struct err *e);
/* 1 found, 0 not, -1. */
int redis_get(struct redis *r, struct span key, struct arena *a, struct span *value_out, struct err *e);
/* The members of a set, each once, at most `max` of them, in `a`: how many, or -1. */
int redis_members(struct redis *r, struct span key, size_t max, struct arena *a, struct span *out, struct err *e);
/* A field of a hash as a number: 1 found, 0 not (or no number), -1. */
int redis_field(struct redis *r, struct span key, struct span field, int64_t *out, struct err *e);

#endif
