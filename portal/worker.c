/* portal/worker.c - what a thread of the HTTP server has for itself: see portal.h. */
#include <stdlib.h>

#include "portal.h"
#include "vault/vault.h"
#include "worker.h"

#define ARENA_MAX ((size_t)64 << 20) /* of one call */

int worker_open(void *ctx, size_t index, void **out, struct err *e)
{
    struct portal *p = ctx;
    struct worker *w = calloc(1, sizeof *w);

    (void)index;
    if (w == NULL)
        panic("out of memory");
    w->portal = p;
    arena_init(&w->arena, ARENA_MAX);
    *out = w;
    return store_open(p->settings->store.url, STORE_EXISTING, &w->store, e);
}

void worker_close(void *ctx, void *worker)
{
    struct worker *w = worker;

    (void)ctx;
    if (w == NULL)
        return;
    vault_close(&w->vault);
    keyring_close(&w->keys);
    store_close(&w->store);
    arena_fini(&w->arena);
    free(w);
}

int worker_vault(struct worker *w, struct vault **out, struct err *e)
{
    const struct settings *s = w->portal->settings;
    struct vault_how       how = {.url = s->quarantine.url, .min_free = s->quarantine.min_free};

    if (w->vault == NULL) {
        keyring_close(&w->keys);
        if (keyring_open(s->quarantine.keys, &w->keys, e) < 0)
            return -1;
        how.keys = w->keys;
        if (vault_open(&how, &w->vault, e) < 0)
            return -1;
    }
    *out = w->vault;
    return 0;
}
