/* digest/main.c - postern-digest: composes and sends digests at each subscriber's hour, and takes answers to them (answers.h).
 *
 *   postern-digest             runs, and sends what is due when it is
 *   postern-digest --once      sends what is due, and ends: for a timer
 *   postern-digest --preview ADDRESS|ID   writes to standard output what would be sent now, and sends nothing
 *   --now TIME                 with these two: as if it were then (RFC 3339)
 *
 * SIGTERM and SIGINT: finish the letter at hand, leave. SIGHUP: read settings and templates again. Several may run at once, here and on
 * other machines. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "answers.h"
#include "base/log.h"
#include "base/program.h"
#include "health.h"
#include "mail/leaf.h"
#include "mail/own_mark.h"
#include "post.h"
#include "round.h"
#include "slot.h"
#include "vault/keyring.h"

#define PROGRAM "postern-digest"
#define IDLE_MS 500
#define AWAY_MS 5000 /* the database */
#define ARENA_MAX ((size_t)64 << 20)
#define TRIM_US (3600 * INT64_C(1000000))
#define FREE_US (15 * INT64_C(1000000))

/* What the command line says besides. */
static const char               *once, *now_text, *preview;
static const struct program_word words[] = {
    {"--once", NULL, "send what is due, and end", &once},
    {"--preview", "ADDRESS", "write what would be sent now for a mailbox, a domain or a digest's id; send nothing",
     &preview},
    {"--now", "TIME", "with these: as if it were then (RFC 3339)", &now_text},
};

static struct digest_counts counts;

/* All of it borrows from conf. */
struct parts {
    struct conf             *conf;
    struct slot              slot;
    struct store            *store;
    struct letter_templates *templates;
    struct link_keys         keys;
    uint8_t                  own_key[OWN_MARK_KEY_BYTES];
    struct arena             arena;
    struct round             round;
    struct post              post;
    struct answers          *answers;
    struct health           *health;
    int64_t                  now_us;               /* 0: the clock's */
    int64_t                  trimmed_us, freed_us; /* by the monotonic clock; 0: not yet */
};

static int64_t now_us(const struct parts *p) { return p->now_us != 0 ? p->now_us : clock_wall_us(); }

/* ---- working ---- */

/* What a daemon of this machine had when it died is there for the others at once. */
static int free_one(void *ctx, struct span name, struct err *e)
{
    struct store *s = ctx;

    return store_digest_free(s, name, e) < 0 ? -1 : store_run_free(s, name, e);
}

static int free_dead(struct parts *p, struct err *e)
{
    return slot_each_free(span_of(conf_settings(p->conf)->store.url), free_one, p->store, e);
}

/* What is done now and then. */
static int tidy(struct parts *p, struct err *e)
{
    int64_t now = clock_mono_us();

    if (p->freed_us != 0 && now - p->freed_us < FREE_US)
        return 0;
    p->freed_us = now;
    if (free_dead(p, e) < 0)
        return -1;
    if (p->trimmed_us != 0 && now - p->trimmed_us < TRIM_US)
        return 0;
    p->trimmed_us = now;
    return store_run_trim(p->store, clock_wall_us(), e);
}

/* Everything that is due now, until a signal: which it returns, or 0. rc_out: -1 when it cannot go on for now. */
static int work(struct parts *p, int *rc_out, struct err *e)
{
    int got = 0, rc = tidy(p, e);

    while (rc >= 0 && (rc = round_step(&p->round, now_us(p), e)) > 0 && got == 0)
        got = program_wait_us(0);
    while (rc >= 0 && got == 0 && (rc = post_step(&p->post, now_us(p), e)) > 0)
        got = program_wait_us(post_rest_us(&p->post));
    *rc_out = rc;
    return got;
}

/* Until a signal, which it returns. */
static int serve(struct parts *p)
{
    bool away = false;
    int  got = 0, rc;

    while (got == 0) {
        struct err e = ERR_INIT;

        got = work(p, &rc, &e);
        if (rc < 0 && !away)
            log_err(LOG_LEVEL_WARNING, "digests wait", &e);
        away = rc < 0;
        if (got == 0)
            got = program_wait_us((away ? AWAY_MS : IDLE_MS) * INT64_C(1000));
    }
    return got;
}

/* ---- what would be sent ---- */

/* By its own name: the first of that mailbox or domain; or by its id. */
struct wanted {
    struct span         of;
    struct uuid         id;
    bool                found;
    struct store_digest d;
};

static int each_due(void *ctx, const struct store_digest *d)
{
    struct wanted *w = ctx;

    w->found = span_eq(w->of, span_of(d->of)) || uuid_cmp(&w->id, &d->id) == 0;
    if (w->found)
        w->d = *d;
    return w->found;
}

static int write_preview(struct parts *p, struct err *e)
{
    struct wanted         w = {.of = span_of(preview)};
    struct digest_content c;
    struct letter_what    what = {.subscription = &w.d, .content = &c, .now_us = now_us(p)};

    uuid_parse(w.of, &w.id);
    if (store_digest_each(p->store, each_due, &w, e) < 0)
        return -1;
    if (!w.found)
        return err_set(e, ERR_NOT_FOUND, "there is no digest of %s", preview);
    if (digest_content_new(&p->post.look, &w.d, what.now_us, &p->arena, &c, e) < 0 ||
        post_brand(&p->post, &w.d, &what.brand, e) < 0 ||
        letter_put(&p->post.site, &what, &p->arena, &p->post.letter, e) < 0)
        return -1;
    fwrite(p->post.letter.p, 1, p->post.letter.n, stdout);
    return fflush(stdout) == 0 ? 0 : err_errno(e, "write");
}

/* ---- from start to end ---- */

static int read_now(struct parts *p, struct err *e)
{
    if (now_text == NULL)
        return 0;
    if (once == NULL && preview == NULL)
        return err_set(e, ERR_INVALID, "--now goes with --once or --preview");
    return clock_parse_utc(span_of(now_text), &p->now_us)
               ? 0
               : err_set(e, ERR_INVALID, "--now %s: this is no time like 2026-11-22T07:00:00Z", now_text);
}

static void join_parts(struct parts *p, const struct settings *s)
{
    struct digest_look look = {p->store, &s->rulesd.scanner, &s->rules.protected_symbols};

    p->round = (struct round){look, span_of(p->slot.name), &counts.round, &p->arena};
    p->post = (struct post){.settings = s,
                            .look = look,
                            .site = {.templates = p->templates,
                                     .keys = &p->keys,
                                     .own_key = p->own_key,
                                     .public_url = s->portal.public_url,
                                     .from = s->smtp.from,
                                     .name = s->portal.name,
                                     .reply_to = s->digest.reply_to},
                            .by = span_of(p->slot.name),
                            .counts = &counts.post,
                            .a = &p->arena};
    post_init(&p->post);
}

static int begin(const struct program_options *o, struct parts *p, struct err *e)
{
    const struct settings *s;

    if (read_now(p, e) < 0 || conf_load(o->conf_path, !o->conf_given, &p->conf, e) < 0)
        return -1;
    s = conf_settings(p->conf);
    log_open(PROGRAM, (enum log_target)s->log.target, (enum log_level)s->log.level);
    if (letter_templates_open(s->digest.templates, &p->templates, e) < 0 ||
        link_keys_read(s->quarantine.keys, &p->keys, e) < 0 ||
        keyring_secret(s->quarantine.keys, OWN_MARK_SECRET, p->own_key, e) < 0 ||
        smtp_client_check(s->smtp.url, e) < 0 || store_open(s->store.url, STORE_EXISTING, &p->store, e) < 0)
        return -1;
    if (preview == NULL && (slot_take(span_of(s->store.url), &p->slot, e) < 0 ||
                            store_digest_free(p->store, span_of(p->slot.name), e) < 0 ||
                            store_run_free(p->store, span_of(p->slot.name), e) < 0))
        return -1;
    join_parts(p, s);
    if (once != NULL || preview != NULL)
        return 0;
    return answers_start(s, p->store, &counts.answers, &p->answers, e) < 0 ? -1
                                                                           : health_start(s, &counts, &p->health, e);
}

static void end(struct parts *p)
{
    health_stop(&p->health);
    answers_stop(&p->answers);
    if (p->store != NULL && p->slot.fd >= 0)
        store_run_free(p->store, span_of(p->slot.name),
                       NULL); /* what is claimed and not sent: nobody has to wait for the lease */
    post_fini(&p->post);
    store_close(&p->store);
    slot_leave(&p->slot);
    letter_templates_close(&p->templates);
    conf_free(&p->conf);
    arena_fini(&p->arena);
}

/* What it ended with: a signal, or 0 for --once and --preview, or -1. */
static int run_with(const struct program_options *o, bool first)
{
    struct err   e = ERR_INIT;
    struct parts p = {.slot = {.fd = -1}};
    int          got = 0, rc;

    arena_init(&p.arena, ARENA_MAX);
    if (begin(o, &p, &e) < 0) {
        end(&p);
        if (first)
            fatal(&e);
        log_err(LOG_LEVEL_ERROR, "settings not read again, and digests wait", &e);
        return program_wait_us(3600 * INT64_C(1000000));
    }
    if (preview != NULL)
        rc = write_preview(&p, &e);
    else if (once != NULL)
        work(&p, &rc, &e);
    else
        rc = 0, got = serve(&p);
    end(&p);
    if (rc < 0)
        fatal(&e);
    return got;
}

int main(int argc, char **argv)
{
    struct program_options o = program_options_and(PROGRAM, argc, argv, words, COUNT(words));
    sigset_t               set = program_signals();
    int                    got = SIGHUP;

    log_open(PROGRAM, LOG_TO_STDERR, LOG_LEVEL_INFO);
    sigprocmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
    mail_init();
    if (once != NULL || preview != NULL) {
        run_with(&o, true);
        return EXIT_SUCCESS;
    }
    for (bool first = true; got == SIGHUP || got == 0; first = false)
        got = run_with(&o, first);
    log_text(LOG_LEVEL_INFO, "stopped");
    return EXIT_SUCCESS;
}
