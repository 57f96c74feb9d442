/* tests/unit/vault.h - a folder of its own for each test of the vault, with a keyring and a spool in it. */
#ifndef POSTERN_TESTS_UNIT_VAULT_H
#define POSTERN_TESTS_UNIT_VAULT_H

#include "check.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "vault/vault.h"

struct home {
    char            dir[64], keys[96], url[512];
    struct keyring *ring;
    struct vault   *vault;
    struct err      e;
};

#define OK(h, call)                                                                                                    \
    do {                                                                                                               \
        (h)->e = ERR_INIT;                                                                                             \
        if ((call) < 0)                                                                                                \
            fail_msg("%s: %s", #call, (h)->e.text);                                                                    \
    } while (0)

/* Fails, with this code and these words in the text. */
#define FAILS(h, call, with, words)                                                                                    \
    do {                                                                                                               \
        (h)->e = ERR_INIT;                                                                                             \
        if ((call) == 0)                                                                                               \
            fail_msg("%s: worked", #call);                                                                             \
        if ((h)->e.code != (with) || strstr((h)->e.text, (words)) == NULL)                                             \
            fail_msg("%s: %s: %s", #call, err_word((h)->e.code), (h)->e.text);                                         \
    } while (0)

static inline int home_begin(void **state)
{
    struct home *h = calloc(1, sizeof *h);

    strcpy(h->dir, "/tmp/postern-vault-XXXXXX");
    if (mkdtemp(h->dir) == NULL)
        return -1;
    snprintf(h->keys, sizeof h->keys, "%s/keys", h->dir);
    snprintf(h->url, sizeof h->url, "file:%s/held", h->dir);
    *state = h;
    return 0;
}

static inline int home_end(void **state)
{
    struct home *h = *state;
    char         command[128];

    vault_close(&h->vault);
    keyring_close(&h->ring);
    snprintf(command, sizeof command, "rm -rf %s", h->dir);
    free(h);
    return system(command);
}

/* A path below the home; valid until the fourth after it. */
static inline const char *inside(struct home *h, const char *path)
{
    static char texts[4][256];
    static int  at;
    char       *text = texts[at++ % 4];

    snprintf(text, sizeof texts[0], "%s/%s", h->dir, path);
    return text;
}

static inline void open_vault(struct home *h, int64_t min_free)
{
    if (h->ring == NULL) {
        OK(h, keyring_create(h->keys, &h->e));
        OK(h, keyring_open(h->keys, &h->ring, &h->e));
    }
    OK(h, vault_open(&(struct vault_how){.url = h->url, .keys = h->ring, .min_free = min_free}, &h->vault, &h->e));
}

static inline void reopen_vault(struct home *h)
{
    vault_close(&h->vault);
    open_vault(h, 0);
}

/* Where the object of a UID lies. */
static inline const char *object_path(struct home *h, const struct uuid *uid)
{
    char    relative[128], text[28], name[UUID_TEXT + 1];
    int64_t ms = 0;

    for (size_t i = 0; i < 6; i++)
        ms = ms << 8 | uid->b[i];
    clock_format_utc(ms * 1000, text);
    uuid_format(uid, name);
    snprintf(relative, sizeof relative, "held/%.10s/%s", text, name);
    return inside(h, relative);
}

static inline bool exists(const char *path) { return access(path, F_OK) == 0; }

#endif
