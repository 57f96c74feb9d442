/* rulesd/bypass.c - see bypass.h. */
#include "bypass.h"

#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>

#include "base/log.h"
#include "mail/own_mark.h"
#include "vault/keyring.h"

struct bypasses {
    const char  *dir; /* borrowed */
    atomic_bool  has_keys;
    uint8_t      key[BYPASS_KEY_BYTES], own[OWN_MARK_KEY_BYTES]; /* once has_keys, nobody writes to them */
    struct desk *desk;
};

static int read_keys(struct bypasses *b, struct err *e)
{
    if (keyring_secret(b->dir, BYPASS_SECRET, b->key, e) < 0 || keyring_secret(b->dir, OWN_MARK_SECRET, b->own, e) < 0)
        return -1;
    atomic_store(&b->has_keys, true);
    return 0;
}

bool bypasses_keys_again(struct bypasses *b) { return atomic_load(&b->has_keys) || read_keys(b, NULL) == 0; }

int bypasses_new(const struct settings *settings, struct bypasses **out, struct err *e)
{
    const struct desk_how how = {.url = settings->store.url, .threads = 1};
    struct bypasses      *b = calloc(1, sizeof *b);
    struct err            none = ERR_INIT;

    if (b == NULL)
        panic("out of memory");
    *out = NULL;
    b->dir = settings->quarantine.keys;
    if (read_keys(b, &none) < 0)
        log_err(LOG_LEVEL_WARNING, "released mail, and our own, get no way past the scan", &none);
    if (desk_new(&how, &b->desk, e) < 0) {
        explicit_bzero(b, sizeof *b);
        free(b);
        return -1;
    }
    *out = b;
    return 0;
}

static struct bypass_job *job_of(struct job *job)
{
    return (struct bypass_job *)(void *)((char *)job - offsetof(struct bypass_job, job));
}

void bypasses_free(struct bypasses **bp)
{
    struct bypasses *b = *bp;

    *bp = NULL;
    if (b == NULL)
        return;
    desk_stop(b->desk);
    for (struct job *job; (job = desk_left(b->desk)) != NULL;)
        job_of(job)->done(job_of(job));
    desk_free(&b->desk);
    explicit_bzero(b->key, sizeof b->key);
    explicit_bzero(b->own, sizeof b->own);
    free(b);
}

bool bypasses_check(const struct bypasses *b, struct span message, struct span recipient, int64_t now_us,
                    struct bypass *out)
{
    return atomic_load(&b->has_keys) && bypass_check(b->key, message, recipient, now_us, out);
}

bool bypasses_own(const struct bypasses *b, struct span message, struct span recipient, int64_t now_us)
{
    return atomic_load(&b->has_keys) && own_mark_check(b->own, message, recipient, now_us);
}

/* Without the database nothing is good: the message is judged like any other. */
static void spend(struct job *job, struct hand *hand)
{
    struct bypass_job *j = job_of(job);
    struct err         e = ERR_INIT;
    struct store      *s;
    int                rc;

    rc = hand_store(hand, &s, &e) < 0 ? -1 : store_bypass_spend(s, &j->bypass, clock_wall_us(), &e);
    if (rc < 0)
        log_err(LOG_LEVEL_WARNING, "a released message could not be recognised", &e);
    j->good = rc == 1;
    j->done(j);
}

void bypasses_spend(struct bypasses *b, struct bypass_job *j)
{
    j->all = b;
    j->good = false;
    j->job.run = spend;
    desk_put(b->desk, &j->job);
}
