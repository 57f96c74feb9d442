/* lib/net/redis.c - see redis.h. The home of hiredis. */
#include <hiredis/hiredis.h>
#include <stdlib.h>
#include <sys/time.h>

#include "base/clock.h"
#include "net/redis.h"

#define PORT 6379
#define BACK_OFF_MIN_US 100000
#define BACK_OFF_MAX_US 5000000

/* Owns everything. `lost_until_us` is a time of the monotonic clock: until then nobody tries to connect. */
struct redis {
    char          *host, *path, *password; /* host or path */
    int            port, db;
    struct timeval timeout;
    redisContext  *c;
    int64_t        lost_until_us, back_off_us;
};

/* ---- the address ---- */

static char *keep(struct span s) { return s.n > 0 ? span_strdup(s) : NULL; }

/* "host", "host:6379", "[::1]:6379" */
static int parse_host(struct redis *r, struct span s, struct err *e)
{
    size_t      colon = span_rchr(s, ':');
    struct span host = s;
    uint64_t    port = PORT;

    if (colon < s.n && s.p[s.n - 1] != ']') {
        host = span_head(s, colon);
        if (!span_u64(span_skip(s, colon + 1), &port) || port == 0 || port > 65535)
            return err_set(e, ERR_INVALID, "the port in the Redis address must be a number from 1 to 65535");
    }
    if (host.n > 1 && host.p[0] == '[' && host.p[host.n - 1] == ']')
        host = span_head(span_skip(host, 1), host.n - 2);
    r->port = (int)port;
    r->host = keep(host);
    return r->host != NULL ? 0 : err_set(e, ERR_INVALID, "the Redis address names no host");
}

static int parse_url(struct redis *r, struct span url, struct err *e)
{
    uint64_t db = 0;

    if (span_starts(url, SPAN("redis+unix:"))) {
        r->path = keep(span_skip(url, 11));
        return r->path != NULL ? 0 : err_set(e, ERR_INVALID, "redis+unix: needs the path of a socket");
    }
    if (!span_starts(url, SPAN("redis://")))
        return err_set(e, ERR_INVALID, "a Redis address is redis://[:PASSWORD@]HOST:PORT/DB or redis+unix:/PATH");
    url = span_skip(url, 8);
    size_t at = span_rchr(url, '@');
    if (at < url.n) {
        struct span login = span_head(url, at);
        r->password = keep(span_skip(login, span_chr(login, ':') + 1));
        url = span_skip(url, at + 1);
    }
    size_t slash = span_chr(url, '/');
    if (slash + 1 < url.n && (!span_u64(span_skip(url, slash + 1), &db) || db > 1000000))
        return err_set(e, ERR_INVALID, "the database in the Redis address must be a number");
    r->db = (int)db;
    return parse_host(r, span_head(url, slash), e);
}

int redis_new(const char *url, int64_t timeout_ms, struct redis **out, struct err *e)
{
    struct redis *r = calloc(1, sizeof *r);

    if (r == NULL)
        panic("out of memory");
    r->timeout = (struct timeval){timeout_ms / 1000, timeout_ms % 1000 * 1000};
    *out = r;
    if (parse_url(r, span_of(url), e) == 0)
        return 0;
    redis_free(out);
    return -1;
}

void redis_free(struct redis **r)
{
    if (*r == NULL)
        return;
    if ((*r)->c != NULL)
        redisFree((*r)->c);
    free((*r)->host);
    free((*r)->path);
    free((*r)->password);
    free(*r);
    *r = NULL;
}

/* ---- the connection ---- */

/* Gives the connection up, and says for how long nobody tries again. */
static int lost(struct redis *r, const char *doing, struct err *e)
{
    const char *why = r->c == NULL ? "out of memory" : r->c->err ? r->c->errstr : "the connection is unusable";

    err_set(e, ERR_LOST, "%s Redis at %s: %s", doing, r->path != NULL ? r->path : r->host, why);
    if (r->c != NULL)
        redisFree(r->c);
    r->c = NULL;
    r->back_off_us = r->back_off_us == 0 ? BACK_OFF_MIN_US : 2 * r->back_off_us;
    if (r->back_off_us > BACK_OFF_MAX_US)
        r->back_off_us = BACK_OFF_MAX_US;
    r->lost_until_us = clock_mono_us() + r->back_off_us;
    return -1;
}

/* One command of the greeting; an error reply (a wrong password) counts as lost. */
static int greet(struct redis *r, const char *command, const char *argument, struct err *e)
{
    redisReply *reply = redisCommand(r->c, "%s %s", command, argument);

    if (reply == NULL)
        return lost(r, "greet", e);
    int rc = 0;
    if (reply->type == REDIS_REPLY_ERROR) {
        lost(r, "greet", NULL);
        rc = err_set(e, ERR_DENIED, "Redis at %s refuses %s: %s", r->path != NULL ? r->path : r->host, command,
                     reply->str);
    }
    freeReplyObject(reply);
    return rc;
}

static int connected(struct redis *r, struct err *e)
{
    char db[16];

    if (r->c != NULL)
        return 0;
    if (clock_mono_us() < r->lost_until_us)
        return err_set(e, ERR_LOST, "Redis at %s is away; trying again soon", r->path != NULL ? r->path : r->host);
    r->c = r->path != NULL ? redisConnectUnixWithTimeout(r->path, r->timeout)
                           : redisConnectWithTimeout(r->host, r->port, r->timeout);
    if (r->c == NULL || r->c->err || redisSetTimeout(r->c, r->timeout) != REDIS_OK)
        return lost(r, "connect to", e);
    if (r->password != NULL && greet(r, "AUTH", r->password, e) < 0)
        return -1;
    snprintf(db, sizeof db, "%d", r->db);
    if (r->db != 0 && greet(r, "SELECT", db, e) < 0)
        return -1;
    r->back_off_us = 0;
    return 0;
}

/* ---- commands ---- */

/* The reply to one command, to be freed, or NULL with e filled. A command is asked once: if the connection broke on the
 * way, nobody knows whether it was carried out, and the caller decides. */
static redisReply *ask(struct redis *r, int n, const struct span *words, struct err *e)
{
    const char *argv[8];
    size_t      lengths[8];

    if (connected(r, e) < 0)
        return NULL;
    for (int i = 0; i < n; i++) {
        argv[i] = words[i].p != NULL ? words[i].p : "";
        lengths[i] = words[i].n;
    }
    redisReply *reply = redisCommandArgv(r->c, n, argv, lengths);
    if (reply == NULL) {
        lost(r, "ask", e);
        return NULL;
    }
    if (reply->type != REDIS_REPLY_ERROR)
        return reply;
    err_set(e, ERR_IO, "Redis refuses %.*s: %s", SPAN_ARG(words[0]), reply->str);
    freeReplyObject(reply);
    return NULL;
}

struct millis {
    char text[24];
};

static struct span millis(struct millis *m, int64_t ttl_ms)
{
    return span_make(m->text, (size_t)snprintf(m->text, sizeof m->text, "%lld", (long long)ttl_ms));
}

int redis_set(struct redis *r, struct span key, struct span value, int64_t ttl_ms, struct err *e)
{
    struct millis m;
    struct span   words[] = {SPAN("SET"), key, value, SPAN("PX"), millis(&m, ttl_ms)};
    redisReply   *reply = ask(r, COUNT(words), words, e);

    if (reply == NULL)
        return -1;
    freeReplyObject(reply);
    return 0;
}

int redis_add(struct redis *r, struct span key, int64_t by, int64_t ttl_ms, int64_t *total_out, struct err *e)
{
    struct millis n, ttl;
    struct span   add[] = {SPAN("INCRBY"), key, millis(&n, by)}, live[] = {SPAN("PEXPIRE"), key, millis(&ttl, ttl_ms)};
    redisReply   *reply = ask(r, COUNT(add), add, e);

    if (reply == NULL)
        return -1;
    *total_out = reply->integer;
    freeReplyObject(reply);
    if ((reply = ask(r, COUNT(live), live, e)) == NULL)
        return -1;
    freeReplyObject(reply);
    return 0;
}

int redis_get(struct redis *r, struct span key, struct arena *a, struct span *value_out, struct err *e)
{
    struct span words[] = {SPAN("GET"), key};
    redisReply *reply = ask(r, COUNT(words), words, e);
    int         rc = 0;

    *value_out = SPAN_NONE;
    if (reply == NULL)
        return -1;
    if (reply->type == REDIS_REPLY_STRING) {
        *value_out = arena_dup(a, span_make(reply->str, reply->len));
        rc = value_out->p != NULL ? 1 : err_set(e, ERR_LIMIT, "the value of a Redis key exceeds the arena");
    }
    freeReplyObject(reply);
    return rc;
}

/* SET … NX GET would need Redis 7. The value may lapse between the two commands: then we are first after all. */
int redis_set_first(struct redis *r, struct span key, struct span value, int64_t ttl_ms, struct arena *a,
                    struct span *value_out, struct err *e)
{
    struct millis m;
    struct span   words[] = {SPAN("SET"), key, value, SPAN("NX"), SPAN("PX"), millis(&m, ttl_ms)};

    *value_out = value;
    for (int tries = 0; tries < 3; tries++) {
        redisReply *reply = ask(r, COUNT(words), words, e);

        if (reply == NULL)
            return -1;
        bool set = reply->type == REDIS_REPLY_STATUS;
        freeReplyObject(reply);
        if (set)
            return 1;
        int found = redis_get(r, key, a, value_out, e);
        if (found != 0)
            return found < 0 ? -1 : 0;
        *value_out = value;
    }
    return err_set(e, ERR_BUSY, "a Redis key lapses faster than it can be read");
}

/* ---- what others keep there ---- */

/* Puts what is not there yet. How many there are now. */
static size_t put_new(const redisReply *from, size_t max, struct arena *a, struct span *out, size_t n)
{
    for (size_t i = 0; i < from->elements && n < max; i++) {
        const redisReply *one = from->element[i];
        struct span       text = one->type == REDIS_REPLY_STRING ? span_make(one->str, one->len) : SPAN_NONE;
        size_t            at = 0;

        while (at < n && !span_eq(out[at], text))
            at++;
        if (at == n && text.p != NULL && (out[n] = arena_dup(a, text)).p != NULL)
            n++;
    }
    return n;
}

/* SSCAN, page by page: a large set never keeps the server from others. */
int redis_members(struct redis *r, struct span key, size_t max, struct arena *a, struct span *out, struct err *e)
{
    struct span cursor = SPAN("0");
    size_t      n = 0;

    do {
        struct span words[] = {SPAN("SSCAN"), key, cursor, SPAN("COUNT"), SPAN("500")};
        redisReply *reply = ask(r, COUNT(words), words, e);

        if (reply == NULL)
            return -1;
        if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 2 || reply->element[0]->type != REDIS_REPLY_STRING) {
            freeReplyObject(reply);
            return err_set(e, ERR_PROTOCOL, "Redis answers SSCAN in a way that it does not have");
        }
        n = put_new(reply->element[1], max, a, out, n);
        cursor = arena_dup(a, span_make(reply->element[0]->str, reply->element[0]->len));
        freeReplyObject(reply);
        if (a->full)
            return err_set(e, ERR_LIMIT, "a set in Redis exceeds the arena");
    } while (!span_is(cursor, "0") && n < max);
    return (int)n;
}

int redis_field(struct redis *r, struct span key, struct span field, int64_t *out, struct err *e)
{
    struct span words[] = {SPAN("HGET"), key, field};
    redisReply *reply = ask(r, COUNT(words), words, e);
    int         rc = 0;

    if (reply == NULL)
        return -1;
    if (reply->type == REDIS_REPLY_STRING)
        rc = span_i64(span_make(reply->str, reply->len), out);
    freeReplyObject(reply);
    return rc;
}
