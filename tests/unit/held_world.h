/* tests/unit/held_world.h - a vault and its keys beside a store, and messages to hold in it. */
#ifndef POSTERN_TESTS_UNIT_HELD_WORLD_H
#define POSTERN_TESTS_UNIT_HELD_WORLD_H

#include "log_world.h"
#include "vault/vault.h"

struct held_world {
    struct world   *w;
    char            keys[PATH_MAX], url[PATH_MAX + 8];
    struct keyring *ring;
    struct vault   *vault;
};

static inline void open_held(struct held_world *h, struct world *w)
{
    *h = (struct held_world){.w = w};
    snprintf(h->keys, sizeof h->keys, "%s/keys", w->dir);
    snprintf(h->url, sizeof h->url, "file:%s/held", w->dir);
    OK(w, keyring_create(h->keys, &w->e));
    OK(w, keyring_open(h->keys, &h->ring, &w->e));
    OK(w, vault_open(&(struct vault_how){.url = h->url, .keys = h->ring}, &h->vault, &w->e));
}

static inline void close_held(struct held_world *h)
{
    vault_close(&h->vault);
    keyring_close(&h->ring);
}

/* A UID of so long ago. */
static inline struct uuid uid_of_age(int64_t us)
{
    struct uuid u = uuid7_make();
    int64_t     ms = (clock_wall_us() - us) / 1000;

    for (int i = 5; i >= 0; i--, ms >>= 8)
        u.b[i] = (uint8_t)ms;
    return u;
}

enum held_as { HELD_WHOLE, HELD_FILE_ALONE, HELD_ROW_ALONE };

/* Holds the letter; without a row, or without the message. */
static inline void hold_letter(struct held_world *h, struct letter *l, struct span message, enum held_as as)
{
    const struct store_message *list[1] = {&l->m};
    struct vault_kept           kept;
    struct buf                  head;

    buf_init(&head, 1 << 20);
    l->m.kept = true;
    l->m.keep_us = l->m.at_us + 3600 * INT64_C(1000000);
    store_message_put_json(&head, &l->m);
    OK(h->w, vault_put(h->vault, &l->m.uid, buf_span(&head), message, &kept, &h->w->e));
    l->m.kept_bytes = kept.bytes;
    l->m.sha256 = span_make(kept.sha256, sizeof kept.sha256);
    l->m.key_id = span_of(kept.key_id);
    if (as != HELD_FILE_ALONE)
        OK(h->w, store_message_put(h->w->more, list, 1, &h->w->e));
    if (as == HELD_ROW_ALONE)
        OK(h->w, vault_delete(h->vault, &l->m.uid, &h->w->e));
    buf_fini(&head);
}

#endif
