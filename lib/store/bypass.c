/* lib/store/bypass.c - see bypass.h. */
#include "store/bypass.h"

#include <sodium.h>
#include <stdio.h>

#include "base/secret.h"
#include "mail/header.h"
#include "store/row.h"

#define HEX(bytes) (2 * (bytes) + 1)
#define KEEP_US ((int64_t)24 * 3600 * 1000000) /* a nonce is remembered that long after it has expired */

static const char add_sql[] = "INSERT INTO bypass (nonce, uid, expires_us) VALUES ($1, $2, $3)";
static const char spend_sql[] =
    "UPDATE bypass SET spent = 1 WHERE nonce = $1 AND uid = $2 AND spent = 0 AND expires_us > $3";
static const char trim_sql[] = "DELETE FROM bypass WHERE expires_us < $1";

/* ---- what is signed ---- */

/* All fields but the last two have a fixed length, and the NUL behind the lifts is in neither: no two bypasses have the same bytes. */
static void sign(const uint8_t key[BYPASS_KEY_BYTES], const struct bypass *b, struct span recipient,
                 struct span message, uint8_t out[crypto_auth_hmacsha512256_BYTES])
{
    static const char               what[] = "postern bypass 2";
    crypto_auth_hmacsha512256_state h;
    uint8_t                         hash[crypto_hash_sha256_BYTES], expires[8];

    for (int i = 0; i < 8; i++)
        expires[i] = (uint8_t)((uint64_t)b->expires_us >> (56 - 8 * i));
    secret_hash_message(message, hash);
    crypto_auth_hmacsha512256_init(&h, key, BYPASS_KEY_BYTES);
    crypto_auth_hmacsha512256_update(&h, (const uint8_t *)what, sizeof what);
    crypto_auth_hmacsha512256_update(&h, b->uid.b, sizeof b->uid.b);
    crypto_auth_hmacsha512256_update(&h, hash, sizeof hash);
    crypto_auth_hmacsha512256_update(&h, expires, sizeof expires);
    crypto_auth_hmacsha512256_update(&h, b->nonce, sizeof b->nonce);
    crypto_auth_hmacsha512256_update(&h, (const uint8_t *)b->lifts, strlen(b->lifts) + 1);
    if (recipient.n > 0)
        crypto_auth_hmacsha512256_update(&h, (const uint8_t *)recipient.p, recipient.n);
    crypto_auth_hmacsha512256_final(&h, out);
}

/* ---- writing ---- */

void bypass_put(const uint8_t key[BYPASS_KEY_BYTES], const struct uuid *uid, struct span recipient, struct span message,
                const char *lifts, int64_t now_us, struct bypass *made_out, struct buf *out)
{
    uint8_t mac[crypto_auth_hmacsha512256_BYTES];
    char    uid_text[UUID_TEXT + 1], nonce[HEX(BYPASS_NONCE_BYTES)], sealed[HEX(sizeof mac)];

    if (sodium_init() < 0)
        panic("libsodium does not start");
    *made_out = (struct bypass){.uid = *uid, .expires_us = now_us + BYPASS_TTL_US};
    snprintf(made_out->lifts, sizeof made_out->lifts, "%s", lifts);
    randombytes_buf(made_out->nonce, sizeof made_out->nonce);
    sign(key, made_out, recipient, message, mac);
    uuid_format(uid, uid_text);
    buf_printf(out, BYPASS_FIELD ": v=2; u=%s; t=%lld; n=%s; l=%s; s=%s\r\n", uid_text, (long long)made_out->expires_us,
               sodium_bin2hex(nonce, sizeof nonce, made_out->nonce, sizeof made_out->nonce), made_out->lifts,
               sodium_bin2hex(sealed, sizeof sealed, mac, sizeof mac));
}

/* ---- reading ---- */

static bool read_hex(struct span text, uint8_t *out, size_t size)
{
    size_t got = 0;

    return text.n == 2 * size && sodium_hex2bin(out, size, text.p, text.n, NULL, &got, NULL) == 0 && got == size;
}

static bool read_lifts(struct span text, char out[BYPASS_LIFTS_MAX + 1])
{
    if (text.n > BYPASS_LIFTS_MAX)
        return false;
    for (size_t i = 0; i < text.n; i++)
        if (strchr("abcdefghijklmnopqrstuvwxyz0123456789_:,", text.p[i]) == NULL || text.p[i] == '\0')
            return false;
    snprintf(out, BYPASS_LIFTS_MAX + 1, "%.*s", SPAN_ARG(text));
    return true;
}

/* "v=2; u=…; t=…; n=…; l=…; s=…", in this order and nothing else. */
static bool read_field(struct span body, struct bypass *out, uint8_t mac[crypto_auth_hmacsha512256_BYTES])
{
    static const char names[] = "vutnls";
    struct span       values[sizeof names - 1], part;

    for (size_t i = 0; i < COUNT(values); i++) {
        if (!span_next(&body, ';', &part))
            return false;
        part = span_trim(part);
        if (part.n < 2 || part.p[0] != names[i] || part.p[1] != '=')
            return false;
        values[i] = span_skip(part, 2);
    }
    return body.p == NULL && span_is(values[0], "2") && uuid_parse(values[1], &out->uid) &&
           span_i64(values[2], &out->expires_us) && read_hex(values[3], out->nonce, sizeof out->nonce) &&
           read_lifts(values[4], out->lifts) && read_hex(values[5], mac, crypto_auth_hmacsha512256_BYTES);
}

bool bypass_check(const uint8_t key[BYPASS_KEY_BYTES], struct span message, struct span recipient, int64_t now_us,
                  struct bypass *out)
{
    uint8_t       claimed[crypto_auth_hmacsha512256_BYTES], mac[sizeof claimed];
    struct header h;

    while (header_next(&message, &h)) {
        if (!span_is_ci(h.name, BYPASS_FIELD))
            continue;
        if (!read_field(h.body, out, claimed) || out->expires_us <= now_us || out->expires_us > now_us + BYPASS_TTL_US)
            return false;
        sign(key, out, recipient, span_between(h.whole.p + h.whole.n, message.p + message.n), mac);
        return sodium_memcmp(claimed, mac, sizeof mac) == 0;
    }
    return false;
}

/* ---- once ---- */

int store_bypass_add(struct store *s, const struct bypass *b, struct err *e)
{
    char uid[UUID_TEXT + 1];

    uuid_format(&b->uid, uid);
    if (store_bypass_trim(s, b->expires_us - BYPASS_TTL_US, e) < 0)
        return -1;
    return db_run(s->log, add_sql,
                  (struct db_val[]){dbv_bytes(b->nonce, sizeof b->nonce), dbv_str(uid), dbv_i64(b->expires_us)}, 3,
                  NULL, e);
}

int store_bypass_spend(struct store *s, const struct bypass *b, int64_t now_us, struct err *e)
{
    char    uid[UUID_TEXT + 1];
    int64_t changed = 0;

    uuid_format(&b->uid, uid);
    if (db_run(s->log, spend_sql,
               (struct db_val[]){dbv_bytes(b->nonce, sizeof b->nonce), dbv_str(uid), dbv_i64(now_us)}, 3, &changed,
               e) < 0)
        return -1;
    return changed == 1;
}

int store_bypass_trim(struct store *s, int64_t now_us, struct err *e)
{
    return db_run(s->log, trim_sql, (struct db_val[]){dbv_i64(now_us - KEEP_US)}, 1, NULL, e);
}
