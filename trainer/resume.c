/* trainer/resume.c - see resume.h. A round opens what is missing, has release_unfinished() do the work, and says what came of it. */
#include "resume.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/pause.h"
#include "custody/release.h"
#include "net/smtp_client.h"
#include "store/domain.h"

static const struct actor trainer = {.kind = ACTOR_SYSTEM, .name = "postern-trainer", .source = "trainer"};

struct resume {
    const struct settings *settings;
    struct resume_counts  *counts;
    struct store          *store;
    struct keyring        *ring;
    struct vault          *vault;
    struct scanner        *scanner;
    char                   said[512]; /* why nothing can be done, as it was said last */
    size_t                 waiting;   /* of this round: that could not leave */

    pthread_t    thread;
    struct pause pause;
};

static void close_all(struct resume *r)
{
    scanner_free(&r->scanner);
    vault_close(&r->vault);
    keyring_close(&r->ring);
    store_close(&r->store);
}

/* ---- what it takes ---- */

static int current_opens(void *ctx, const struct key_info *key)
{
    *(bool *)ctx |= key->current && key->can_open;
    return 0;
}

/* Who cannot open would end each release with that for a reason. */
static int open_ring(struct resume *r, struct err *e)
{
    bool opens = false;

    if (r->ring == NULL && keyring_open(r->settings->quarantine.keys, &r->ring, e) < 0)
        return -1;
    if (keyring_refresh(r->ring, false, e) < 0)
        return -1;
    keyring_each(r->ring, current_opens, &opens);
    if (opens)
        return 0;
    keyring_close(&r->ring); /* read anew each time: somebody may put it there */
    return err_set(e, ERR_DENIED, "the secret half of the current key is not in %s, or not for us to read",
                   r->settings->quarantine.keys);
}

/* 1: there is a way for released mail, 0: there is none, and so nothing is left to go on with; -1. */
static int look_for_way(struct resume *r, struct err *e)
{
    const struct settings *s = r->settings;
    bool                   routed = true;

    if (r->store == NULL && store_open(s->store.url, STORE_EXISTING, &r->store, e) < 0)
        return -1;
    if (s->delivery.url[0] == '\0' && store_domain_routed(r->store, &routed, e) < 0)
        return -1;
    return routed;
}

static int open_all(struct resume *r, struct err *e)
{
    const struct settings *s = r->settings;

    if (r->vault == NULL && open_ring(r, e) < 0)
        return -1;
    const struct vault_how how = {s->quarantine.url, r->ring, s->quarantine.min_free};
    if (r->vault == NULL && vault_open(&how, &r->vault, e) < 0)
        return -1;
    return r->scanner != NULL ? 0 : scanner_new(&s->rulesd.scanner, s->rulesd.scanner_timeout_ms, &r->scanner, e);
}

/* ---- a round ---- */

/* What waits on is said once a round, as one: a mail server that is away would fill the log. */
static int each_one(void *ctx, const struct store_release *row, const struct err *why)
{
    struct resume  *r = ctx;
    struct log_line line;
    char            uid[UUID_TEXT + 1];

    if (why != NULL && row->state == RELEASE_REQUESTED) {
        r->waiting++;
        return pause_is_over(&r->pause);
    }
    atomic_fetch_add(why == NULL ? &r->counts->sent : &r->counts->ended, 1);
    uuid_format(&row->uid, uid);
    log_begin(&line, why == NULL ? LOG_LEVEL_INFO : LOG_LEVEL_WARNING,
              why == NULL ? "released what was left" : "not released");
    log_str(&line, "uid", uid);
    log_i64(&line, "recipient", row->n);
    log_str(&line, "asked_by", row->requested_by);
    log_str(&line, "state", release_state_words[row->state]);
    log_str(&line, "reply", why == NULL ? row->reply : why->text);
    log_end(&line);
    return pause_is_over(&r->pause);
}

static int go_on(struct resume *r, struct err *e)
{
    const struct settings   *s = r->settings;
    const struct release_how how = {.store = r->store,
                                    .vault = r->vault,
                                    .keys = s->quarantine.keys,
                                    .url = s->delivery.url,
                                    .scanner = r->scanner,
                                    .protected_symbols = &s->rules.protected_symbols,
                                    .prefix = s->rules.prefix,
                                    .unscanned_ok = s->rulesd.scanner_down == SCANNER_DOWN_ACCEPT,
                                    .message_max = (size_t)s->rulesd.max_message + (1 << 20)};

    r->waiting = 0;
    if (release_unfinished(&how, &trainer, RESUME_QUIET_US, each_one, r, e) < 0)
        return -1;
    atomic_store(&r->counts->waiting, r->waiting);
    return 0;
}

static void round_of(struct resume *r)
{
    struct err e = ERR_INIT;
    int        rc = look_for_way(r, &e);

    if (rc > 0)
        rc = open_all(r, &e) < 0 ? -1 : go_on(r, &e);
    atomic_store(&r->counts->unable, rc < 0);
    if (rc == 0 && r->waiting > 0)
        rc = err_set(&e, ERR_BUSY, "%zu could not leave; `postern trace` says why of each", r->waiting);
    if (rc == 0) {
        r->said[0] = '\0';
        return;
    }
    if (strcmp(r->said, e.text) != 0)
        log_err(LOG_LEVEL_WARNING, "releases wait", &e);
    memcpy(r->said, e.text, sizeof r->said);
}

static void *run(void *arg)
{
    struct resume *r = arg;

    do
        round_of(r);
    while (pause_for(&r->pause, RESUME_EVERY_MS));
    return NULL;
}

/* ---- start and stop ---- */

static void release(struct resume *r)
{
    close_all(r);
    pause_fini(&r->pause);
    free(r);
}

int resume_start(const struct settings *settings, struct resume_counts *counts, struct resume **out, struct err *e)
{
    struct resume *r;
    int            rc;

    *out = NULL;
    if (settings->delivery.url[0] != '\0' && smtp_client_check(settings->delivery.url, e) < 0)
        return err_wrap(e, "[delivery] url");
    if ((r = calloc(1, sizeof *r)) == NULL)
        panic("out of memory");
    r->settings = settings;
    r->counts = counts;
    pause_init(&r->pause);
    if ((rc = pthread_create(&r->thread, NULL, run, r)) != 0) {
        release(r);
        return err_set(e, ERR_IO, "start a thread: %s", strerror(rc));
    }
    *out = r;
    return 0;
}

void resume_stop(struct resume **at)
{
    struct resume *r = *at;

    *at = NULL;
    if (r == NULL)
        return;
    pause_stop(&r->pause);
    pthread_join(r->thread, NULL);
    release(r);
}
