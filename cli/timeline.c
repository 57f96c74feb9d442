/* cli/timeline.c - see timeline.h. */
#include "timeline.h"

#include <math.h>
#include <stdio.h>

#include "base/json_write.h"
#include "store/release.h"
#include "store/search.h"

/* One message, and what the main database still knows of it. Everything is in the command's arena. */
struct view {
    struct cli                 *c;
    struct store_timeline       t;
    const struct store_release *releases;
    size_t                      nreleases;
};

/* ---- words ---- */

static const char *const direction_names[] = {"inbound", "outbound", "local"};

struct time_text time_text(int64_t us)
{
    char             full[28];
    struct time_text t;

    clock_format_utc(us, full);
    snprintf(t.text, sizeof t.text, "%.10s %.8s", full, full + 11);
    return t;
}

static void put_score(struct buf *b, bool has, double score) { json_add_f64(b, "score", has ? score : NAN); }

/* What is JSON already; nothing is an empty list. */
static void put_list(struct buf *b, const char *key, struct span json)
{
    json_add_json(b, key, json.n > 0 ? json : SPAN("[]"));
}

/* ---- reading ---- */

struct releases {
    struct store_release *rows;
    size_t                n, max;
};

static int each_release(void *ctx, const struct store_release *r)
{
    struct releases *l = ctx;

    if (l->n < l->max)
        l->rows[l->n++] = *r;
    return 0;
}

static int read_view(struct cli *c, const struct uuid *uid, struct view *v, struct err *e)
{
    struct releases l = {0};

    *v = (struct view){.c = c};
    if (store_timeline(c->store, uid, STORE_SCOPE_GLOBAL, &c->arena, &v->t, e) < 0)
        return -1;
    l.max = v->t.ndeliveries;
    l.rows = arena_array(&c->arena, l.max > 0 ? l.max : 1, sizeof *l.rows);
    if (l.rows == NULL)
        return err_set(e, ERR_LIMIT, "a message with too many recipients to show");
    if (store_release_list(c->store, *uid, each_release, &l, e) < 0)
        return -1;
    v->releases = l.rows;
    v->nreleases = l.n;
    return 0;
}

static const struct store_release *release_of(const struct view *v, int64_t n)
{
    for (size_t i = 0; i < v->nreleases; i++)
        if (v->releases[i].n == n)
            return &v->releases[i];
    return NULL;
}

/* "": the rule is gone. */
static struct span rule_name(const struct view *v, const struct uuid *id)
{
    struct store_rule r;

    return store_rule_get(v->c->store, *id, &v->c->arena, &r, NULL) == 0 ? r.name : SPAN_NONE;
}

/* ---- for people ---- */

/* A line of what is known: nothing, where it is empty. */
static void print_fact(const char *name, struct span value)
{
    if (value.n == 0)
        return;
    printf("  %-12s ", name);
    cli_print(value);
    putchar('\n');
}

static void print_client(const struct store_message *m)
{
    printf("  %-12s ", "client");
    cli_print(m->ip.n > 0 ? m->ip : SPAN("not told"));
    if (m->host.n > 0) {
        fputs(", ", stdout);
        cli_print(m->host);
    }
    if (m->helo.n > 0) {
        fputs(", said it is ", stdout);
        cli_print(m->helo);
    }
    if (m->tls.n > 0) {
        fputs(", ", stdout);
        cli_print(m->tls);
    }
    putchar('\n');
}

static void print_message(const struct view *v)
{
    const struct store_message *m = &v->t.message;
    char                        uid[UUID_TEXT + 1];

    uuid_format(&m->uid, uid);
    printf("%s  %s UTC  %s, %lld bytes\n", uid, time_text(m->at_us).text, direction_names[m->direction],
           (long long)m->size);
    print_client(m);
    print_fact("user", m->auth_user);
    print_fact("sender", m->sender.n > 0 ? m->sender : SPAN("<>"));
    print_fact("from", m->from_address);
    print_fact("subject", m->subject);
    print_fact("message-id", m->message_id);
    print_fact("queue id", m->queue_id);
    print_fact("asked at", m->listener);
    if (m->has_score)
        printf("  %-12s %g\n", "score", m->score);
    print_fact("answered", m->inbound);
    if (v->t.has_custody && v->t.custody.lost.n > 0) {
        printf("  %-12s lost with the disk of ", v->t.custody.copy ? "copy" : "held");
        cli_print(v->t.custody.lost);
        printf(", %lld bytes\n", (long long)v->t.custody.bytes);
    } else if (v->t.has_custody)
        printf("  %-12s %s, %lld bytes sealed with key %.*s, until %s UTC\n", v->t.custody.copy ? "copy" : "held",
               v->t.custody.place == CUSTODY_GONE ? "no more" : custody_place_words[v->t.custody.place],
               (long long)v->t.custody.bytes, SPAN_ARG(v->t.custody.key_id), time_text(v->t.custody.keep_us).text);
}

static void print_rule(const struct view *v, const struct store_delivery *d)
{
    char        id[UUID_TEXT + 1];
    struct span name;

    if (!d->has_rule)
        return;
    uuid_format(&d->rule, id);
    name = rule_name(v, &d->rule);
    printf("    rule       %s ", id);
    cli_print(name.n > 0 ? name : SPAN("(deleted since)"));
    fputs(", ", stdout);
    cli_print(d->layer);
    putchar('\n');
}

static void print_release(const struct store_release *r)
{
    printf("    %s  release %s, asked for by ", time_text(r->changed_us).text, release_state_words[r->state]);
    cli_print(span_of(r->requested_by));
    if (r->code != 0)
        printf(": %lld", (long long)r->code);
    if (r->reply[0] != '\0') {
        fputs(r->code != 0 ? " " : ": ", stdout);
        cli_print(span_of(r->reply));
    }
    putchar('\n');
}

static void print_attempt(const struct store_attempt *a)
{
    printf("    %s  to ", time_text(a->at_us).text);
    cli_print(a->final_recipient);
    fputs(" at ", stdout);
    cli_print(a->host.n > 0 ? a->host : SPAN("nobody"));
    if (a->ip.n > 0) {
        fputs(" [", stdout);
        cli_print(a->ip);
        putchar(']');
    }
    if (a->port != 0)
        printf(":%lld", (long long)a->port);
    if (a->tls.n > 0) {
        fputs(", ", stdout);
        cli_print(a->tls);
    }
    fputs(": ", stdout);
    if (a->code != 0)
        printf("%lld ", (long long)a->code);
    cli_print(a->response);
    if (a->queue_id.n > 0) {
        fputs(" (queue id ", stdout);
        cli_print(a->queue_id);
        putchar(')');
    }
    putchar('\n');
}

static void print_delivery(const struct view *v, const struct store_timeline_delivery *d)
{
    const struct store_release *r = release_of(v, d->n);

    fputs("  for ", stdout);
    cli_print(d->delivery.recipient);
    printf(": %s, %s; shown as %s", delivery_verdict_words[d->delivery.verdict],
           delivery_state_words[d->delivery.state], delivery_status_words[d->status]);
    if (d->delivery.has_score)
        printf(" (score %g)", d->delivery.score);
    putchar('\n');
    print_rule(v, &d->delivery);
    if (r != NULL)
        print_release(r);
    for (size_t i = 0; i < d->nattempts; i++)
        print_attempt(&d->attempts[i]);
}

int timeline_print(struct cli *c, const struct uuid *uid, struct err *e)
{
    struct view v;

    if (read_view(c, uid, &v, e) < 0)
        return -1;
    print_message(&v);
    for (size_t i = 0; i < v.t.ndeliveries; i++)
        print_delivery(&v, &v.t.deliveries[i]);
    return 0;
}

/* ---- for programs ---- */

static void put_message(struct buf *b, const struct store_message *m)
{
    json_add_uuid(b, "uid", &m->uid);
    json_add_time(b, "at", m->at_us);
    json_add_string(b, "direction", span_of(direction_names[m->direction]));
    json_add_string(b, "listener", m->listener);
    json_add_string(b, "queue_id", m->queue_id);
    json_add_string(b, "ip", m->ip);
    json_add_string(b, "helo", m->helo);
    json_add_string(b, "host", m->host);
    json_add_string(b, "tls", m->tls);
    json_add_string(b, "user", m->auth_user);
    json_add_string(b, "sender", m->sender);
    json_add_string(b, "from", m->from_address);
    json_add_string(b, "from_name", m->from_name);
    json_add_string(b, "subject", m->subject);
    json_add_string(b, "message_id", m->message_id);
    json_add_i64(b, "size", m->size);
    put_score(b, m->has_score, m->score);
    put_list(b, "symbols", m->symbols);
    put_list(b, "attachments", m->attachments);
    json_add_string(b, "inbound", m->inbound);
}

static void put_custody(struct buf *b, const struct store_timeline *t)
{
    if (!t->has_custody) {
        json_add_null(b, "custody");
        return;
    }
    json_open(b, "custody", '{');
    json_add_string(b, "place", span_of(custody_place_words[t->custody.place]));
    json_add_i64(b, "bytes", t->custody.bytes);
    json_add_string(b, "key", t->custody.key_id);
    json_add_time(b, "keep_until", t->custody.keep_us);
    json_add_bool(b, "copy", t->custody.copy);
    json_add_bool(b, "lost", t->custody.lost.n > 0);
    json_close(b, '}');
}

static void put_rule(struct buf *b, const struct view *v, const struct store_delivery *d)
{
    struct span name;

    if (!d->has_rule) {
        json_add_null(b, "rule");
        return;
    }
    name = rule_name(v, &d->rule);
    json_open(b, "rule", '{');
    json_add_uuid(b, "id", &d->rule);
    json_add_text(b, "name", name.n > 0 ? name : SPAN_NONE);
    json_close(b, '}');
}

static void put_release(struct buf *b, const struct store_release *r)
{
    if (r == NULL) {
        json_add_null(b, "release");
        return;
    }
    json_open(b, "release", '{');
    json_add_string(b, "state", span_of(release_state_words[r->state]));
    json_add_i64(b, "attempt", r->attempt);
    json_add_time(b, "requested", r->requested_us);
    json_add_time(b, "changed", r->changed_us);
    json_add_string(b, "by", span_of(r->requested_by));
    json_add_string(b, "queue_id", span_of(r->queue_id));
    json_add_i64(b, "code", r->code);
    json_add_string(b, "reply", span_of(r->reply));
    json_close(b, '}');
}

static void put_attempt(struct buf *b, const struct store_attempt *a)
{
    json_open(b, NULL, '{');
    json_add_time(b, "at", a->at_us);
    json_add_string(b, "queue_id", a->queue_id);
    json_add_string(b, "final_recipient", a->final_recipient);
    json_add_string(b, "host", a->host);
    json_add_string(b, "ip", a->ip);
    json_add_i64(b, "port", a->port);
    json_add_string(b, "tls", a->tls);
    json_add_string(b, "dsn", a->dsn);
    json_add_i64(b, "code", a->code);
    json_add_string(b, "response", a->response);
    json_close(b, '}');
}

static void put_delivery(struct buf *b, const struct view *v, const struct store_timeline_delivery *d)
{
    json_open(b, NULL, '{');
    json_add_i64(b, "n", d->n);
    json_add_string(b, "recipient", d->delivery.recipient);
    json_add_string(b, "verdict", span_of(delivery_verdict_words[d->delivery.verdict]));
    json_add_string(b, "state", span_of(delivery_state_words[d->delivery.state]));
    json_add_string(b, "status", span_of(delivery_status_words[d->status]));
    put_score(b, d->delivery.has_score, d->delivery.score);
    put_rule(b, v, &d->delivery);
    json_add_string(b, "layer", d->delivery.layer);
    put_list(b, "matches", d->delivery.trace);
    json_add_string(b, "answer", d->answer);
    put_release(b, release_of(v, d->n));
    json_open(b, "attempts", '[');
    for (size_t i = 0; i < d->nattempts; i++)
        put_attempt(b, &d->attempts[i]);
    json_close(b, ']');
    json_close(b, '}');
}

int timeline_put_json(struct cli *c, const struct uuid *uid, struct buf *b, struct err *e)
{
    struct view v;

    if (read_view(c, uid, &v, e) < 0)
        return -1;
    json_open(b, NULL, '{');
    put_message(b, &v.t.message);
    put_custody(b, &v.t);
    json_open(b, "queue_ids", '[');
    for (size_t i = 0; i < v.t.nlinks; i++)
        json_add_string(b, NULL, v.t.links[i].queue_id);
    json_close(b, ']');
    json_open(b, "deliveries", '[');
    for (size_t i = 0; i < v.t.ndeliveries; i++)
        put_delivery(b, &v, &v.t.deliveries[i]);
    json_close(b, ']');
    json_close(b, '}');
    return 0;
}
