/* lib/letter/link.c - see link.h. */
#include "letter/link.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/secret.h"
#include "vault/keyring.h"

#define VERSION 1
#define SECOND_US INT64_C(1000000)
#define SIGNED_BYTES (1 + 2 + 1 + 5 + 16 + 16 + 2) /* version, key id, action, expiry, subscription, UID, n */
#define MAC_BYTES 16
#define TOKEN_BYTES (SIGNED_BYTES + MAC_BYTES)
#define KEY_ID_MOST 65535u
#define PREFIX "link-"

_Static_assert((TOKEN_BYTES * 4 + 2) / 3 + 1 <= LINK_TEXT, "a token fits");
_Static_assert(STORE_DELIVERIES_MAX <= 65535, "n fits in two bytes");

/* ---- keys ---- */

/* The number in "link-N.secret", or 0. */
static unsigned key_number(const char *name)
{
    struct span text = span_of(name);
    int64_t     n;

    if (!span_starts(text, SPAN(PREFIX)) || !span_ends(text, SPAN(".secret")))
        return 0;
    text = span_skip(text, sizeof PREFIX - 1);
    text.n -= sizeof ".secret" - 1;
    return span_i64(text, &n) && n > 0 && n <= KEY_ID_MOST ? (unsigned)n : 0;
}

/* Keeps the newest ones, in order. */
static void take_number(struct link_keys *k, unsigned id)
{
    size_t at = k->n;

    while (at > 0 && k->id[at - 1] < id)
        at--;
    if (at == LINK_KEYS_MAX)
        return;
    if (k->n < LINK_KEYS_MAX)
        k->n++;
    memmove(&k->id[at + 1], &k->id[at], (k->n - 1 - at) * sizeof k->id[0]);
    k->id[at] = id;
}

static int list_keys(const char *dir, struct link_keys *out, struct err *e)
{
    struct dirent *entry;
    DIR           *d = opendir(dir);

    *out = (struct link_keys){0};
    if (d == NULL)
        return err_errno(e, "open %s", dir);
    while ((entry = readdir(d)) != NULL) {
        unsigned id = key_number(entry->d_name);

        if (id > 0)
            take_number(out, id);
    }
    closedir(d);
    return 0;
}

static int read_key(const char *dir, unsigned id, uint8_t out[32], struct err *e)
{
    char purpose[32];

    snprintf(purpose, sizeof purpose, PREFIX "%u", id);
    return keyring_secret(dir, purpose, out, e);
}

int link_keys_read(const char *dir, struct link_keys *out, struct err *e)
{
    if (list_keys(dir, out, e) < 0)
        return -1;
    if (out->n == 0)
        out->id[out->n++] = 1;
    for (size_t i = 0; i < out->n; i++)
        if (read_key(dir, out->id[i], out->key[i], e) < 0)
            return -1;
    return 0;
}

int link_keys_rotate(const char *dir, unsigned *id_out, struct err *e)
{
    struct link_keys k;
    uint8_t          key[32];

    if (link_keys_read(dir, &k, e) < 0)
        return -1;
    if (k.id[0] == KEY_ID_MOST)
        return err_set(e, ERR_LIMIT, "there have been %u keys of links: begin anew with an empty directory",
                       KEY_ID_MOST);
    *id_out = k.id[0] + 1;
    return read_key(dir, *id_out, key, e);
}

/* ---- tokens ---- */

static void put_be(uint8_t *out, size_t n, uint64_t value)
{
    for (size_t i = 0; i < n; i++)
        out[i] = (uint8_t)(value >> (8 * (n - 1 - i)));
}

static uint64_t get_be(const uint8_t *p, size_t n)
{
    uint64_t value = 0;

    for (size_t i = 0; i < n; i++)
        value = value << 8 | p[i];
    return value;
}

static void sign(const uint8_t key[32], const uint8_t bytes[SIGNED_BYTES], uint8_t mac_out[MAC_BYTES])
{
    const struct span parts[] = {SPAN("postern link"), span_make(bytes, SIGNED_BYTES)};
    uint8_t           hash[SECRET_HASH], mac[SECRET_HASH];

    secret_hash_parts(parts, COUNT(parts), hash);
    secret_mac(key, span_make(hash, sizeof hash), mac);
    memcpy(mac_out, mac, MAC_BYTES);
}

void link_make(const struct link_keys *k, const struct link *what, char out[LINK_TEXT])
{
    uint8_t t[TOKEN_BYTES], *p = t;

    put_be(p, 1, VERSION);
    put_be(p += 1, 2, k->id[0]);
    put_be(p += 2, 1, (uint64_t)what->action);
    put_be(p += 1, 5, (uint64_t)(what->expires_us / SECOND_US));
    memcpy(p += 5, what->subscription.b, 16);
    memcpy(p += 16, what->key.uid.b, 16);
    put_be(p + 16, 2, (uint64_t)what->key.n);
    sign(k->key[0], t, t + SIGNED_BYTES);
    secret_text(span_make(t, sizeof t), out);
}

static const uint8_t *key_of(const struct link_keys *k, uint64_t id)
{
    for (size_t i = 0; i < k->n; i++)
        if (k->id[i] == id)
            return k->key[i];
    return NULL;
}

static void read_signed(const uint8_t *p, struct link *out)
{
    out->action = (enum link_action)get_be(p + 3, 1);
    out->expires_us = (int64_t)get_be(p + 4, 5) * SECOND_US;
    memcpy(out->subscription.b, p + 9, 16);
    memcpy(out->key.uid.b, p + 25, 16);
    out->key.n = (int64_t)get_be(p + 41, 2);
}

enum link_check link_read(const struct link_keys *k, struct span token, int64_t now_us, struct link *out)
{
    uint8_t        t[LINK_TEXT], mac[MAC_BYTES];
    const uint8_t *key;
    size_t         n;

    *out = (struct link){0};
    if (token.n >= LINK_TEXT || !secret_from_text(token, (char *)t, &n) || n != TOKEN_BYTES || t[0] != VERSION ||
        (key = key_of(k, get_be(t + 1, 2))) == NULL)
        return LINK_FORGED;
    sign(key, t, mac);
    if (!secret_eq(span_make(mac, sizeof mac), span_make(t + SIGNED_BYTES, MAC_BYTES)))
        return LINK_FORGED;
    read_signed(t, out);
    return out->expires_us <= now_us ? LINK_EXPIRED : LINK_GOOD;
}
