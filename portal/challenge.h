/* portal/challenge.h - what a browser does before it may ask to sign in: a small piece of work, or what a challenge service asks for.
 *
 * A challenge is signed text with its own end and difficulty; nothing of it is stored until it is answered, and then only that it was
 * (for all nodes). Answer: a number whose SHA-256 behind the challenge's text begins with so many zero bits.
 * Where a service is set (siteverify.h), the challenge's text is CHALLENGE_SERVICE, and its answer the service's token. While the service is
 * away, challenges are pieces of work again: it must not stand between people and their mail, and one who makes it fail for everybody gains no
 * more than what guards every site without a service. A piece of work is taken whenever it was given. */
#ifndef POSTERN_PORTAL_CHALLENGE_H
#define POSTERN_PORTAL_CHALLENGE_H

#include "call.h"

#define CHALLENGE_TEXT 120
#define CHALLENGE_SERVICE "siteverify"
#define CHALLENGE_BITS 14      /* some tenths of a second in a slow browser */
#define CHALLENGE_BITS_HARD 18 /* for networks that ask a lot */
#define CHALLENGE_US (5 * 60 * INT64_C(1000000))

/* Makes the key that signs, once, at start. */
void challenge_init(struct portal *p);
void challenge_make(const struct portal *p, unsigned bits, int64_t now_us, char out[CHALLENGE_TEXT]);
/* 0: answered, and spent now; it was of at least so many bits. ERR_DENIED with a sentence else. */
int challenge_check(struct call *c, struct span text, struct span answer, unsigned least, struct err *e);

#endif
