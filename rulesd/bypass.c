/* rulesd/bypass.c - see bypass.h. */
#include "bypass.h"

#include <stddef.h>
#include <stdlib.h>

#include "base/log.h"
#include "mail/own_mark.h"
#include "vault/keyring.h"

struct bypasses {
    uint8_t      key[BYPASS_KEY_BYTES], own[OWN_MARK_KEY_BYTES];
    struct desk *desk;
};

int bypasses_new(const struct settings *settings, struct bypasses **out, struct err *e)
{
    const struct desk_how how = {.url = settings->store.url, .threads = 1};
    struct bypasses      *b = calloc(1, sizeof *b);
    struct err            none = ERR_INIT;

    if (b == NULL)
        panic("out of memory");
    *out = NULL;
    if (keyring_secret(settings->quarantine.keys, BYPASS_SECRET, b->key, &none) < 0 ||
        keyring_secret(settings->quarantine.keys, OWN_MARK_SECRET, b->own, &none) < 0) {
        log_err(LOG_LEVEL_WARNING, "released mail, and our own, get no way past the scan", &none);
        free(b);
        return 0;
    }
    if (desk_new(&how, &b->desk, e) < 0) {
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
    return bypass_check(b->key, message, recipient, now_us, out);
}

bool bypasses_own(const struct bypasses *b, struct span message, struct span recipient, int64_t now_us)
{
    return own_mark_check(b->own, message, recipient, now_us);
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
