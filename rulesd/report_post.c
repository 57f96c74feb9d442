/* rulesd/report_post.c - see report_post.h. */
#include "report_post.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/json_read.h"
#include "base/log.h"
#include "base/rate.h"
#include "custody/report.h"
#include "endpoints.h"
#include "store/address.h"

#define ARENA_MAX ((size_t)32 << 20) /* the fields of a hostile message */
#define JSON_BODY_MAX ((size_t)4 << 10)

struct report_posts {
    const struct settings *settings;
    struct rate           *rate;
    pthread_mutex_t        lock; /* guards what follows; vault and ring, once open, belong to any thread */
    struct keyring        *ring;
    struct vault          *vault;
};

struct report_posts *report_posts_new(const struct settings *settings)
{
    struct report_posts *p = calloc(1, sizeof *p);

    if (p == NULL)
        panic("out of memory");
    p->settings = settings;
    p->rate = rate_new();
    pthread_mutex_init(&p->lock, NULL);
    return p;
}

void report_posts_free(struct report_posts **pp)
{
    struct report_posts *p = *pp;

    *pp = NULL;
    if (p == NULL)
        return;
    vault_close(&p->vault);
    keyring_close(&p->ring);
    rate_free(&p->rate);
    pthread_mutex_destroy(&p->lock);
    free(p);
}

/* Opened for the first message that has to be kept. */
static int open_vault(struct report_posts *p, struct vault **out, struct err *e)
{
    const struct settings *s = p->settings;
    int                    rc = 0;

    pthread_mutex_lock(&p->lock);
    if (p->ring == NULL)
        rc = keyring_open(s->quarantine.keys, &p->ring, e);
    const struct vault_how how = {s->quarantine.url, p->ring, s->quarantine.min_free};
    if (rc == 0 && p->vault == NULL)
        rc = vault_open(&how, &p->vault, e);
    *out = p->vault;
    pthread_mutex_unlock(&p->lock);
    return rc;
}

/* ---- what is said ---- */

struct posting {
    struct visit *v;
    struct store *s;
    struct arena  arena;
    struct span class, recipient, uid;
    struct address       to;
    struct store_message record;
    struct report_said   said;
    struct report_made   made;
};

static int read_json(struct posting *p, struct err *e)
{
    const struct {
        const char  *name;
        struct span *to;
    } members[] = {{"class", &p->class}, {"recipient", &p->recipient}, {"uid", &p->uid}};
    struct json_read  json = {.in = p->v->x->http.body, .arena = &p->arena};
    struct json_value key, v;
    int               rc;

    if (json.in.n > JSON_BODY_MAX)
        return err_set(e, ERR_LIMIT, "more than %zu bytes", JSON_BODY_MAX);
    if (json_value(&json, &v, e) < 0 || v.type != JSON_OBJECT)
        return err_set(e, ERR_INVALID, "the report is no JSON object");
    while ((rc = json_member(&json, &key, e)) > 0) {
        size_t i = 0;

        while (i < COUNT(members) && !span_is(key.text, members[i].name))
            i++;
        if (i == COUNT(members))
            return err_set(e, ERR_INVALID, "a report has class, recipient and uid, and nothing else");
        if (json_value(&json, &v, e) < 0 || v.type != JSON_STRING)
            return err_set(e, ERR_INVALID, "%s has to be a string", members[i].name);
        *members[i].to = v.text;
    }
    return rc < 0 || json_end(&json, e) < 0 ? -1 : 0;
}

/* What is asked for, whichever way it is said. */
static int read_words(struct posting *p)
{
    const struct http_request *r = &p->v->x->http;
    struct err                 e = ERR_INIT;
    size_t                     i = 0;

    if (span_starts_ci(http_header_get(r, "Content-Type"), SPAN("application/json"))) {
        if (read_json(p, &e) < 0)
            return visit_refuse(p->v, e.code == ERR_LIMIT ? 413 : 400, "%s", e.text);
        if (p->uid.n == 0)
            return visit_refuse(p->v, 400, "uid is missing: which message?");
    } else {
        p->class = http_header_get(r, "class");
        p->recipient = http_header_get(r, "recipient");
        p->said.message = r->body;
        if (r->body.n == 0)
            return visit_refuse(p->v, 400, "the message is missing");
    }
    while (report_class_words[i] != NULL && !span_is(p->class, report_class_words[i]))
        i++;
    if (report_class_words[i] == NULL)
        return visit_refuse(p->v, 400, "class is spam, ham or forget");
    p->said.class = (enum report_class)i;
    if (address_parse_path(p->recipient, &p->arena, &p->to, &e) < 0 || p->to.full.n == 0)
        return visit_refuse(p->v, 400, "recipient has to be an address");
    return 0;
}

/* Only for people whom the token speaks for. */
static int check_recipient(struct posting *p)
{
    struct report_posts        *posts = p->v->at->reports;
    const struct store_api_key *key = p->v->token.key;
    struct store_resolved       who;
    struct err                  e = ERR_INIT;
    int64_t                     now_us;

    if (store_resolve(p->s, p->to.full, &who, &e) < 0)
        return visit_refuse(p->v, 503, "the database does not answer");
    if (!who.ours || !api_key_for_domain(key, &who.domain))
        return visit_refuse(p->v, 404, "the recipient is of no domain that this token is for");
    p->said.recipient = p->to.full;
    p->said.who = who.has_mailbox ? arena_dup(&p->arena, span_of(who.mailbox_address)) : p->to.full;
    now_us = clock_mono_us();
    if (!rate_take(posts->rate, span_make(key->id.b, sizeof key->id.b), 1, REPORTS_PER_TOKEN, now_us) ||
        !rate_take(posts->rate, p->said.who, 1, REPORTS_PER_RECIPIENT, now_us))
        return visit_refuse(p->v, 429, "too many reports in a minute, try again later");
    return 0;
}

static int find_message(struct posting *p)
{
    struct uuid uid;
    struct err  e = ERR_INIT;

    if (!uuid_parse(p->uid, &uid))
        return visit_refuse(p->v, 400, "that is no uid");
    if (report_find(p->s, &uid, &p->arena, &p->said, &e) == 0)
        return 0;
    return e.code == ERR_NOT_FOUND ? visit_refuse(p->v, 404, "the log has no such message for this recipient")
                                   : visit_refuse(p->v, 503, "the database does not answer");
}

static int keep_message(struct posting *p)
{
    struct vault *vault;
    struct err    e = ERR_INIT;

    report_record(&p->record, p->v->x->client->listener->at.text, p->said.message.n, clock_wall_us());
    p->said.record = &p->record;
    p->said.has_body = true;
    if (open_vault(p->v->at->reports, &vault, &e) == 0 &&
        report_keep(p->s, vault, &p->record, p->said.message, &p->arena, &e) == 0)
        return 0;
    log_err(LOG_LEVEL_WARNING, "a report could not be kept", &e);
    return visit_refuse(p->v, 503, "the report could not be kept, try again later");
}

/* ---- the work ---- */

static void tell(const struct posting *p, const char *peer)
{
    struct log_line l;
    char            uid[UUID_TEXT + 1];

    uuid_format(&p->said.record->uid, uid);
    log_begin(&l, LOG_LEVEL_INFO, "report taken");
    log_str(&l, "uid", uid);
    log_str(&l, "class", report_class_words[p->said.class]);
    log_str(&l, "channel", "report");
    log_span(&l, "token", p->v->token.key->name);
    log_str(&l, "by", peer);
    log_span(&l, "for", p->said.recipient);
    if (p->made.entry.sender.n > 0)
        log_span(&l, "sender", p->made.entry.sender);
    if (p->made.entry.why != NULL)
        log_str(&l, "why", p->made.entry.why);
    log_end(&l);
}

static int make(struct posting *p)
{
    const struct store_api_key *key = p->v->token.key;
    const struct report_site    site = {&p->v->at->reports->settings->rulesd.scanner, &p->v->trust->origin};
    char                        peer[PEER_TEXT];
    struct actor                by = {.kind = ACTOR_API_KEY, .id = key->id, .source = peer};
    struct err                  e = ERR_INIT;

    peer_format(&p->v->x->client->peer, peer);
    if ((by.name = arena_str(&p->arena, key->name)) == NULL ||
        report_make(p->s, &site, &by, &p->said, &p->arena, &p->made, &e) < 0) {
        log_err(LOG_LEVEL_WARNING, "a report could not be kept", &e);
        return visit_refuse(p->v, 503, "the report could not be kept, try again later");
    }
    report_put_json(&p->v->body, p->said.class, &p->made);
    tell(p, peer);
    return 0;
}

int report_post(struct visit *v, struct store *s)
{
    struct posting p = {.v = v, .s = s, .said = {.channel = SPAN("report")}};
    int            rc;

    if (s == NULL)
        return visit_refuse(v, 503, "the database is away");
    arena_init(&p.arena, ARENA_MAX);
    if ((rc = read_words(&p)) == 0 && (rc = check_recipient(&p)) == 0 &&
        (rc = p.uid.n > 0 ? find_message(&p) : keep_message(&p)) == 0)
        rc = make(&p);
    arena_fini(&p.arena);
    return rc;
}
