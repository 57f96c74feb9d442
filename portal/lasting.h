/* portal/lasting.h - exports: replies that go out piece by piece, for as long as a client takes them.
 *
 * Who asked may be shut out meanwhile: the session ended or revoked, its account disabled or deleted, the API key revoked or
 * expired. So they are asked about again before each piece. Who holds no more gets none: the connection is cut, so that nobody takes
 * for whole what came, and the log says so once ("export cut"). */
#ifndef POSTERN_PORTAL_LASTING_H
#define POSTERN_PORTAL_LASTING_H

#include "call.h"

/* Who asked, and for what. No pointers into the call. */
struct lasting {
    enum { LASTING_SESSION, LASTING_KEY } kind;
    struct uuid         id;
    const struct route *route;
};
struct lasting lasting_of(const struct call *c);
/* Does whoever asked still hold? Else -1 with e: ERR_DENIED, or what keeps the store from saying it. */
int lasting_check(const struct lasting *l, struct store *s, struct err *e);
/* For httpd_reply.more: says in the log why no more comes; -1. */
int lasting_cut(const struct lasting *l, const struct err *e);

/* The reply of this call is made: what is more than LASTING_WHOLE bytes goes out in pieces that are asked about, uncompressed. */
#define LASTING_WHOLE ((size_t)256 << 10)
void lasting_body(struct call *c);

#endif
