/* lib/base/fingerprint.c - see fingerprint.h. */
#include "base/fingerprint.h"

#include <xxhash.h>

static void put(XXH128_hash_t hash, uint8_t out[FINGERPRINT_BYTES])
{
    XXH128_canonical_t canonical; /* big-endian on every machine */

    XXH128_canonicalFromHash(&canonical, hash);
    memcpy(out, canonical.digest, FINGERPRINT_BYTES);
}

void fingerprint(struct span bytes, uint8_t out[FINGERPRINT_BYTES])
{
    put(XXH3_128bits(bytes.p ? bytes.p : "", bytes.n), out);
}

void fingerprint_seeded(struct span bytes, uint8_t out[FINGERPRINT_BYTES])
{
    put(XXH3_128bits_withSeed(bytes.p ? bytes.p : "", bytes.n, span_seed()), out);
}
