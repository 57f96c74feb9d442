/* lib/base/fingerprint.c - see fingerprint.h. */
#include "base/fingerprint.h"

#include <xxhash.h>

void fingerprint(struct span bytes, uint8_t out[FINGERPRINT_BYTES])
{
    XXH128_canonical_t canonical; /* big-endian on every machine */

    XXH128_canonicalFromHash(&canonical, XXH3_128bits(bytes.p ? bytes.p : "", bytes.n));
    memcpy(out, canonical.digest, FINGERPRINT_BYTES);
}
