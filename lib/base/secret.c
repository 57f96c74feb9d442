/* lib/base/secret.c - see secret.h. */
#include "base/secret.h"

#include <sodium.h>

#include "base/crlf.h"
#include "base/err.h"

#define VARIANT sodium_base64_VARIANT_URLSAFE_NO_PADDING

/* May be called by any number of threads; the first one does it. */
static void start(void)
{
    if (sodium_init() < 0)
        panic("libsodium finds no source of random numbers");
}

void secret_bytes(void *out, size_t n)
{
    start();
    randombytes_buf(out, n);
}

uint32_t secret_below(uint32_t below)
{
    start();
    return randombytes_uniform(below);
}

void secret_token(char text_out[SECRET_TOKEN_TEXT + 1])
{
    uint8_t bytes[32];

    secret_bytes(bytes, sizeof bytes);
    secret_text(span_make(bytes, sizeof bytes), text_out);
    sodium_memzero(bytes, sizeof bytes);
}

void secret_hash(struct span text, uint8_t out[SECRET_HASH])
{
    crypto_hash_sha256(out, (const uint8_t *)text.p, text.n);
}

void secret_hash_parts(const struct span *parts, size_t n, uint8_t out[SECRET_HASH])
{
    crypto_hash_sha256_state state;

    crypto_hash_sha256_init(&state);
    for (size_t i = 0; i < n; i++) {
        uint64_t length = parts[i].n;
        uint8_t  bytes[8];

        for (int k = 0; k < 8; k++)
            bytes[k] = (uint8_t)(length >> (56 - 8 * k));
        crypto_hash_sha256_update(&state, bytes, sizeof bytes);
        crypto_hash_sha256_update(&state, (const uint8_t *)parts[i].p, parts[i].n);
    }
    crypto_hash_sha256_final(&state, out);
}

void secret_hash_message(struct span message, uint8_t out[SECRET_HASH])
{
    crypto_hash_sha256_state h;
    struct span              line;

    crypto_hash_sha256_init(&h);
    while (crlf_line(&message, &line)) {
        if (line.n > 0)
            crypto_hash_sha256_update(&h, (const uint8_t *)line.p, line.n);
        crypto_hash_sha256_update(&h, (const uint8_t *)"\r\n", 2);
    }
    crypto_hash_sha256_final(&h, out);
}

void secret_mac(const uint8_t key[32], struct span text, uint8_t out[SECRET_HASH])
{
    crypto_auth_hmacsha256(out, (const uint8_t *)text.p, text.n, key);
}

bool secret_eq(struct span a, struct span b) { return a.n == b.n && (a.n == 0 || sodium_memcmp(a.p, b.p, a.n) == 0); }

size_t secret_text_size(size_t bytes) { return sodium_base64_encoded_len(bytes, VARIANT); }

void secret_text(struct span bytes, char *out)
{
    sodium_bin2base64(out, secret_text_size(bytes.n), (const uint8_t *)bytes.p, bytes.n, VARIANT);
}

bool secret_from_text(struct span text, char *out, size_t *n_out)
{
    const char *end = NULL;

    /* libsodium 1.0.18 takes some bytes above 127 for digits. */
    return span_is_ascii(text) &&
           sodium_base642bin((uint8_t *)out, text.n * 3 / 4, text.p, text.n, NULL, n_out, &end, VARIANT) == 0 &&
           end == text.p + text.n;
}

/* ---- sealed text: a nonce, then the box ---- */

#define NONCE crypto_secretbox_NONCEBYTES
#define SEAL (NONCE + crypto_secretbox_MACBYTES)

static void took(struct buf *b, size_t n)
{
    b->n += n;
    b->p[b->n] = '\0';
}

void secret_seal(const uint8_t key[32], struct span text, struct buf *out)
{
    uint8_t *room = (uint8_t *)buf_reserve(out, text.n + SEAL);

    if (room == NULL)
        return;
    secret_bytes(room, NONCE);
    crypto_secretbox_easy(room + NONCE, (const uint8_t *)text.p, text.n, room, key);
    took(out, text.n + SEAL);
}

bool secret_unseal(const uint8_t key[32], struct span sealed, struct buf *out)
{
    const uint8_t *in = (const uint8_t *)sealed.p;
    uint8_t       *room = sealed.n > SEAL ? (uint8_t *)buf_reserve(out, sealed.n - SEAL) : NULL;

    if (room == NULL || crypto_secretbox_open_easy(room, in + NONCE, sealed.n - NONCE, in, key) != 0)
        return false;
    took(out, sealed.n - SEAL);
    return true;
}
