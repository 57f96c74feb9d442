/* cli/quarantine.c - postern quarantine: what is held, for whom, whether it is all there, and what goes. Releasing: release.c. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/json_write.h"
#include "custody/body.h"
#include "custody/orphans.h"
#include "held.h"
#include "store/audit.h"
#include "store/search.h"
#include "timeline.h"
#include "vault/purge.h"

#define LIST_DEFAULT "50"
#define LIST_MAX 100000
#define PURGE_BATCH 500
#define JSON_MAX ((size_t)256 << 20)

int held_open(struct cli *c, struct held *h, struct err *e)
{
    struct vault_how how = {.url = c->settings->quarantine.url, .min_free = c->settings->quarantine.min_free};

    *h = (struct held){0};
    if (cli_store(c, e) < 0 || store_node(c->store, &h->node, e) < 0 ||
        keyring_open(c->settings->quarantine.keys, &h->keys, e) < 0)
        return -1;
    how.keys = h->keys;
    return vault_open(&how, &h->vault, e);
}

void held_close(struct held *h)
{
    vault_close(&h->vault);
    keyring_close(&h->keys);
}

int held_check_owner(const struct held *h, struct err *e)
{
    struct stat st;

    if (stat(vault_path(h->vault), &st) < 0)
        return err_errno(e, "look at %s", vault_path(h->vault));
    return st.st_uid == geteuid() ? 0
                                  : err_set(e, ERR_DENIED,
                                            "%s belongs to another user, and what you keep there would be yours; use "
                                            "\"sudo -u postern postern report …\"",
                                            vault_path(h->vault));
}

int held_uid(const char *text, struct uuid *out, struct err *e)
{
    return uuid_parse(span_of(text), out)
               ? 0
               : err_set(e, ERR_INVALID, "\"%s\" is no UID; \"postern quarantine list\" shows them", text);
}

size_t held_message_max(const struct cli *c) { return (size_t)c->settings->rulesd.max_message + (1 << 20); }

/* ---- list ---- */

struct listing {
    struct span      rcpt; /* only those with this in the recipient */
    int64_t          since_us, limit, shown, seen;
    bool             json, over; /* over: what follows is older than since_us */
    struct store_key last;
    struct buf       out;
};

static void put_row(struct buf *b, const struct store_held *h)
{
    const struct store_row *r = &h->row;

    json_open(b, NULL, '{');
    json_add_uuid(b, "uid", &r->key.uid);
    json_add_i64(b, "n", r->key.n);
    json_add_time(b, "at", r->at_us);
    json_add_string(b, "recipient", r->recipient);
    json_add_string(b, "sender", r->sender);
    json_add_string(b, "from", r->from_address);
    json_add_string(b, "subject", r->subject);
    json_add_string(b, "verdict", span_of(delivery_verdict_words[r->verdict]));
    json_add_string(b, "state", span_of(delivery_state_words[r->state]));
    json_add_i64(b, "size", r->size);
    json_add_time(b, "keep_until", h->keep_us);
    json_close(b, '}');
}

static void print_row(const struct store_held *h)
{
    const struct store_row *r = &h->row;
    char                    uid[UUID_TEXT + 1];

    uuid_format(&r->key.uid, uid);
    printf("%s  %s  %-11s  ", uid, time_text(r->at_us).text,
           delivery_was_released(r->verdict, r->state) ? "released" : delivery_verdict_words[r->verdict]);
    cli_print_padded(r->recipient, 30);
    fputs("  ", stdout);
    cli_print_padded(r->from_address.n > 0 ? r->from_address : r->sender.n > 0 ? r->sender : SPAN("<>"), 30);
    fputs("  ", stdout);
    cli_print(r->subject);
    putchar('\n');
}

static int each_held(void *ctx, const struct store_held *h)
{
    struct listing *l = ctx;

    l->seen++;
    l->last = h->row.key;
    l->over = h->row.at_us < l->since_us;
    if (l->over || l->shown == l->limit)
        return 0;
    if (l->rcpt.n > 0 && span_find_ci(h->row.recipient, l->rcpt) == h->row.recipient.n)
        return 0;
    l->shown++;
    if (l->json)
        put_row(&l->out, h);
    else
        print_row(h);
    return 0;
}

/* "2026-11-22", RFC 3339, or how long ago: "36h", "7d". */
static int read_since(const char *text, int64_t *out, struct err *e)
{
    struct span s = span_of(text);
    uint64_t    n;
    char        unit = s.n > 0 ? s.p[s.n - 1] : '\0';

    if ((unit == 'h' || unit == 'd') && span_u64(span_head(s, s.n - 1), &n) && n < 1000000) {
        *out = clock_wall_us() - (int64_t)n * (unit == 'h' ? 3600 : 86400) * INT64_C(1000000);
        return 0;
    }
    return clock_parse_utc(s, out) ? 0
                                   : err_set(e, ERR_INVALID,
                                             "--since is a date such as 2026-11-22, a time such as "
                                             "2026-11-22T08:00:00Z, or how long ago: 36h, 7d; not \"%s\"",
                                             text);
}

static int list_pages(struct cli *c, struct store_scope scope, struct listing *l, struct err *e)
{
    for (bool first = true; first || (l->seen > 0 && !l->over && l->shown < l->limit); first = false) {
        struct store_key before = l->last;

        l->seen = 0;
        if (store_custody_list(c->store, scope, first ? NULL : &before, STORE_LIST_MAX, each_held, l, e) < 0)
            return -1;
    }
    return 0;
}

static int quarantine_list(struct cli *c, int argc, char **argv, struct err *e)
{
    const char              *domain = NULL, *mailbox = NULL, *since = NULL, *rcpt = NULL, *limit = LIST_DEFAULT;
    struct listing           l = {.since_us = INT64_MIN};
    struct store_scope       scope;
    int                      rc;
    const struct args_option options[] = {
        {"domain", "NAME", .text = &domain, .help = "held for a domain"},
        {"mailbox", "ADDRESS", .text = &mailbox, .help = "held for a mailbox"},
        {"rcpt", "TEXT", .text = &rcpt, .help = "with this in the recipient's address"},
        {"since", "WHEN", .text = &since, .help = "not older: 2026-11-22, 36h, 7d"},
        {"limit", "N", .text = &limit, .help = "at most so many (" LIST_DEFAULT ")"},
        {"json", NULL, .on = &l.json, .help = "for programs"},
    };

    if (args_read(argc, argv, options, COUNT(options), "", 0, 0, NULL, NULL, e) < 0 ||
        cli_number(limit, "--limit", 1, LIST_MAX, &l.limit, e) < 0 ||
        (since != NULL && read_since(since, &l.since_us, e) < 0) || cli_store(c, e) < 0 ||
        cli_read_scope(c, domain, mailbox, &scope, e) < 0)
        return -1;
    l.rcpt = span_of(rcpt);
    buf_init(&l.out, JSON_MAX);
    if (l.json)
        buf_puts(&l.out, "{\"held\":[");
    rc = list_pages(c, scope, &l, e);
    buf_puts(&l.out, "]}\n");
    if (rc == 0 && l.json)
        fwrite(l.out.p, 1, l.out.n, stdout);
    if (rc == 0 && !l.json && l.shown == 0)
        puts("Nothing is held.");
    buf_fini(&l.out);
    return rc;
}

/* ---- show ---- */

/* The recipient that is meant: the only one, or the one given. */
static int find_recipient(struct cli *c, struct held *h, const struct uuid *uid, const char *rcpt, int64_t *n_out,
                          struct err *e)
{
    struct store_message m;

    *n_out = 1;
    if (body_record(h->vault, uid, &c->arena, &m, e) < 0)
        return -1;
    if (rcpt == NULL && m.ndeliveries == 1)
        return 0;
    if (rcpt == NULL)
        return err_set(e, ERR_USAGE, "it has %zu recipients; say with --rcpt for whom it is opened", m.ndeliveries);
    for (size_t i = 0; i < m.ndeliveries; i++) {
        *n_out = (int64_t)i + 1;
        if (span_eq_ci(m.deliveries[i].recipient, span_of(rcpt)))
            return 0;
    }
    return err_set(e, ERR_NOT_FOUND, "%s is not among its recipients", rcpt);
}

static int show_body(struct cli *c, const struct uuid *uid, const char *rcpt, const char *reason, struct err *e)
{
    struct held h;
    struct buf  message;
    int64_t     n;
    int         rc = -1;

    buf_init(&message, held_message_max(c));
    if (held_open(c, &h, e) == 0 && find_recipient(c, &h, uid, rcpt, &n, e) == 0 &&
        (rc = body_open(c->store, h.vault, &c->actor, uid, n, reason, &message, e)) == 0)
        fwrite(message.p, 1, message.n, stdout);
    buf_fini(&message);
    held_close(&h);
    return rc;
}

static int show_json(struct cli *c, const struct uuid *uid, struct err *e)
{
    struct buf b;
    int        rc;

    buf_init(&b, JSON_MAX);
    rc = timeline_put_json(c, uid, &b, e);
    if (rc == 0 && b.failed)
        rc = err_set(e, ERR_LIMIT, "that is too much to print at once");
    if (rc == 0)
        printf("%.*s\n", SPAN_ARG(buf_span(&b)));
    buf_fini(&b);
    return rc;
}

static int quarantine_show(struct cli *c, int argc, char **argv, struct err *e)
{
    const char              *text, *reason = NULL, *rcpt = NULL;
    bool                     body = false, json = false;
    struct uuid              uid;
    const struct args_option options[] = {
        {"body", NULL, .on = &body, .help = "the message itself; needs --reason, and is in the audit log"},
        {"reason", "TEXT", .text = &reason, .help = "why you open other people's mail; they can read it"},
        {"rcpt", "ADDRESS", .text = &rcpt, .help = "whose copy is opened, where there are several"},
        {"json", NULL, .on = &json, .help = "for programs"},
    };

    if (args_read(argc, argv, options, COUNT(options), "UID", 1, 1, &text, NULL, e) < 0 ||
        held_uid(text, &uid, e) < 0 || cli_store(c, e) < 0)
        return -1;
    if (body)
        return show_body(c, &uid, rcpt, reason, e);
    return json ? show_json(c, &uid, e) : timeline_print(c, &uid, e);
}

/* ---- delete ---- */

int held_note(struct cli *c, const char *action, const struct uuid *uid, const struct store_delivery *d, struct err *e)
{
    struct buf b;
    int        rc;

    buf_init(&b, 16 << 10);
    json_open(&b, NULL, '{');
    json_add_string(&b, "recipient", d->recipient);
    json_close(&b, '}');
    rc = store_audit_note(c->store, &c->actor, action, "message", uid, body_scope(d), buf_span(&b), e);
    buf_fini(&b);
    return rc;
}

/* In the audit log of everybody whose copy it was, before it goes. */
static int delete_one(struct cli *c, struct held *h, const struct uuid *uid, struct err *e)
{
    struct store_message m;

    if (body_record(h->vault, uid, &c->arena, &m, e) < 0)
        return -1;
    for (size_t i = 0; i < m.ndeliveries; i++)
        if ((m.copy || release_held(m.deliveries[i].verdict)) &&
            held_note(c, "quarantine.delete", uid, &m.deliveries[i], e) < 0)
            return -1;
    if (vault_delete(h->vault, uid, e) < 0)
        return -1;
    return store_custody_move(c->store, uid, 1, CUSTODY_GONE, e);
}

static int delete_all(struct cli *c, struct held *h, const char *const *texts, size_t n, struct err *e)
{
    struct uuid uid;

    for (size_t i = 0; i < n; i++) {
        if (held_uid(texts[i], &uid, e) < 0 || delete_one(c, h, &uid, e) < 0)
            return err_wrap(e, "%s", texts[i]);
        printf("%s deleted.\n", texts[i]);
    }
    return 0;
}

static int quarantine_delete(struct cli *c, int argc, char **argv, struct err *e)
{
    const char              *texts[ARGS_MANY];
    char                     what[100];
    size_t                   n;
    bool                     yes = false;
    struct held              h;
    int                      rc = -1;
    const struct args_option options[] = {{"yes", NULL, .on = &yes, .help = "do not ask"}};

    if (args_read(argc, argv, options, COUNT(options), "UID …", 1, COUNT(texts), texts, &n, e) < 0)
        return -1;
    snprintf(what, sizeof what, "delete %zu held message%s for all of its recipients", n, n == 1 ? "" : "s");
    if (cli_confirm(yes, what, e) < 0)
        return -1;
    if (held_open(c, &h, e) == 0)
        rc = delete_all(c, &h, texts, n, e);
    held_close(&h);
    return rc;
}

/* ---- verify ---- */

struct verified {
    bool       json;
    struct buf out;
};

static void each_orphan(void *ctx, const struct orphan *o)
{
    struct verified *v = ctx;
    char             uid[UUID_TEXT + 1];

    if (v->json) {
        json_open(&v->out, NULL, '{');
        json_add_uuid(&v->out, "uid", &o->uid);
        json_add_string(&v->out, "fault", span_of(orphan_kind_words[o->kind]));
        json_add_string(&v->out, "why", span_of(o->why));
        json_add_bool(&v->out, "repaired", o->repaired);
        json_close(&v->out, '}');
        return;
    }
    uuid_format(&o->uid, uid);
    printf("%s  %-10s  %s%s\n", uid, orphan_kind_words[o->kind], o->repaired ? "repaired" : "", o->why);
}

static int say_sum(const struct verified *v, const struct orphans_sum *sum, struct err *e)
{
    if (v->json)
        printf("%.*s],\"files\":%lld,\"rows\":%lld,\"orphans\":%lld,\"repaired\":%lld}\n", SPAN_ARG(buf_span(&v->out)),
               (long long)sum->files, (long long)sum->rows, (long long)sum->orphans, (long long)sum->repaired);
    else
        printf("%lld messages, %lld rows: %lld fault%s, %lld repaired.\n", (long long)sum->files, (long long)sum->rows,
               (long long)sum->orphans, sum->orphans == 1 ? "" : "s", (long long)sum->repaired);
    return sum->orphans == sum->repaired
               ? 0
               : err_set(e, ERR_CORRUPT, "what is held and what the log says of it are not the same");
}

static int quarantine_verify(struct cli *c, int argc, char **argv, struct err *e)
{
    struct orphans_how       how = {.message_max = held_message_max(c)};
    struct orphans_sum       sum;
    struct verified          v = {0};
    struct held              h;
    int                      rc = -1;
    const struct args_option options[] = {
        {"open", NULL, .on = &how.open, .help = "open every body too; takes the secret keys, and time"},
        {"repair", NULL, .on = &how.repair, .help = "make missing rows again from the messages"},
        {"json", NULL, .on = &v.json, .help = "for programs"},
    };

    if (args_read(argc, argv, options, COUNT(options), "", 0, 0, NULL, NULL, e) < 0)
        return -1;
    buf_init(&v.out, JSON_MAX);
    buf_puts(&v.out, "{\"faults\":[");
    if (held_open(c, &h, e) == 0) {
        how.node = &h.node;
        rc = orphans_find(c->store, h.vault, &how, each_orphan, &v, &sum, e);
    }
    if (rc == 0)
        rc = say_sum(&v, &sum, e);
    held_close(&h);
    buf_fini(&v.out);
    return rc;
}

/* ---- purge ---- */

struct due {
    struct uuid uids[PURGE_BATCH];
    size_t      n;
};

static int each_due(void *ctx, const struct store_custody *c)
{
    struct due *d = ctx;

    if (d->n < COUNT(d->uids))
        d->uids[d->n++] = c->uid;
    return 0;
}

/* The message first: a row without one is found and shown, a message without a row might be forgotten. */
static int purge_batch(struct cli *c, struct held *h, struct due *d, struct err *e)
{
    for (size_t i = 0; i < d->n; i++)
        if (vault_delete(h->vault, &d->uids[i], e) < 0 && e->code != ERR_NOT_FOUND)
            return -1;
    return store_custody_move(c->store, d->uids, d->n, CUSTODY_GONE, e);
}

static int purge_kind(struct cli *c, struct held *h, bool copies, int64_t now_us, int64_t *gone, struct err *e)
{
    struct due *d = arena_zalloc(&c->arena, sizeof *d);

    for (d->n = 1; d->n > 0;) {
        d->n = 0;
        if (store_custody_due(c->store, &h->node, copies, now_us, PURGE_BATCH, each_due, d, e) < 0 ||
            (d->n > 0 && purge_batch(c, h, d, e) < 0))
            return -1;
        *gone += (int64_t)d->n;
    }
    return 0;
}

static int purge(struct cli *c, struct held *h, int64_t now_us, struct err *e)
{
    int64_t gone = 0;

    if (purge_kind(c, h, true, now_us, &gone, e) < 0 || purge_kind(c, h, false, now_us, &gone, e) < 0)
        return -1;
    printf("%lld messages deleted.\n", (long long)gone);
    return purge_allow(h->vault, e); /* rulesd need not ask about that clock any more */
}

static int ask_and_purge(struct cli *c, struct held *h, bool yes, struct err *e)
{
    struct store_custody_sum sum, copies;
    struct buf               b;
    char                     what[200];
    int64_t                  now_us = clock_wall_us();
    int                      rc;

    if (store_custody_sum(c->store, &h->node, false, now_us, &sum, e) < 0 ||
        store_custody_sum(c->store, &h->node, true, now_us, &copies, e) < 0)
        return -1;
    printf("%lld messages are held here; %lld of them (%lld bytes) are past their time at %s UTC.\n",
           (long long)sum.count, (long long)sum.due_count, (long long)sum.due_bytes, time_text(now_us).text);
    if (copies.count > 0)
        printf("And %lld copies of delivered mail, %lld past their time.\n", (long long)copies.count,
               (long long)copies.due_count);
    sum.due_count += copies.due_count;
    sum.due_bytes += copies.due_bytes;
    if (sum.due_count == 0)
        return yes ? purge_allow(h->vault, e) : 0;
    snprintf(what, sizeof what, "delete %lld messages for good", (long long)sum.due_count);
    if (cli_confirm(yes, what, e) < 0)
        return -1;
    buf_init(&b, 1000);
    buf_printf(&b, "{\"messages\":%lld,\"bytes\":%lld}", (long long)sum.due_count, (long long)sum.due_bytes);
    rc = store_audit_note(c->store, &c->actor, "quarantine.purge", "quarantine", NULL, STORE_SCOPE_GLOBAL, buf_span(&b),
                          e);
    buf_fini(&b);
    return rc < 0 ? -1 : purge(c, h, now_us, e);
}

static int quarantine_purge(struct cli *c, int argc, char **argv, struct err *e)
{
    bool                     yes = false;
    struct held              h;
    int                      rc = -1;
    const struct args_option options[] = {{"yes", NULL, .on = &yes, .help = "do not ask"}};

    if (args_read(argc, argv, options, COUNT(options), "", 0, 0, NULL, NULL, e) < 0)
        return -1;
    if (held_open(c, &h, e) == 0)
        rc = ask_and_purge(c, &h, yes, e);
    held_close(&h);
    return rc;
}

int cli_quarantine(struct cli *c, int argc, char **argv, struct err *e)
{
    static const struct cli_verb verbs[] = {
        {"list", "[--domain NAME | --mailbox ADDRESS] [--rcpt TEXT] [--since WHEN] [--limit N] [--json]",
         "what is held, the newest first", quarantine_list},
        {"show", "UID [--json] [--body --reason TEXT [--rcpt ADDRESS]]",
         "envelope, verdicts and what became of it; or the message itself", quarantine_show},
        {"release", "UID … [--rcpt ADDRESS] [--again] | --unfinished", "hand it to its recipients after all",
         cli_quarantine_release},
        {"delete", "UID … [--yes]", "for all recipients, at once and for good", quarantine_delete},
        {"verify", "[--open] [--repair] [--json]", "is every message in the log, and every row's message there?",
         quarantine_verify},
        {"forget-node", "[NAME] [--yes]", "mark as lost what lay on the disk of a machine that does not come back",
         cli_quarantine_forget_node},
        {"purge", "[--yes]", "delete what is past its time, where rulesd stopped and asks", quarantine_purge},
    };

    return cli_dispatch(c, "quarantine", verbs, COUNT(verbs), argc, argv, e);
}
