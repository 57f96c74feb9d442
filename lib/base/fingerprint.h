/* lib/base/fingerprint.h - 128 bits that stand for some bytes (XXH3).
 *
 * The same on every machine and in every run, so that nodes can compare them and databases keep them. Whoever may choose the
 * bytes could with effort make two with one fingerprint: where that would hurt, use a cryptographic hash. */
#ifndef POSTERN_BASE_FINGERPRINT_H
#define POSTERN_BASE_FINGERPRINT_H

#include "base/span.h"

#define FINGERPRINT_BYTES 16

void fingerprint(struct span bytes, uint8_t out[FINGERPRINT_BYTES]);
/* With a seed drawn once a process: nobody outside can make two alike, and it means nothing elsewhere. */
void fingerprint_seeded(struct span bytes, uint8_t out[FINGERPRINT_BYTES]);

#endif
