/* lib/custody/release.h - a held message back on its way to its recipient, by SMTP (design.md 8).
 *
 * One delivery at a time: the row is claimed (store/release.h), the body opened, asked about at the scanner, and handed to the MTA at
 * [delivery] url, or the route of the recipient's domain where that is such a URL, with its first envelope, its bytes as they came, and
 * above them
 *
 *     X-Postern-Released: UID; DATE   by the prefix of the recipient's brand
 *     X-Release-Bypass: …             only with ?bypass=on behind the URL: where the way back leads through milters
 *
 * Decided  protected findings (virus, file type, …: design.md 2.3.4) are for some to decide about and not for others; who releases says
 *          what is decided (scan/lift.h; custody/known.h says what there is to decide). It is kept with the request, for whoever goes on
 *          with it, and goes into the bypass.
 * Scan     at a release judges protected findings alone. What is not decided stops it, and is known from then on.
 *          A scanner that does not answer stops it too, for now, unless `unscanned_ok`.
 * Audit    "quarantine.release", with what was decided, is written before the body is opened.
 * Ends     0: the MTA has it. -1: e says what to do. `out` (if it was claimed) has the row: SENT, FAILED (refused, or stopped), UNKNOWN
 *          (nobody knows; only `again` sends it once more), REQUESTED (nothing has left; release_unfinished() goes on with it). */
#ifndef POSTERN_CUSTODY_RELEASE_H
#define POSTERN_CUSTODY_RELEASE_H

#include "net/scanner.h"
#include "scan/lift.h"
#include "store/message.h"
#include "store/release.h"
#include "vault/vault.h"

/* All is borrowed. */
struct release_how {
    struct store           *store;
    struct vault           *vault;
    const char             *keys;    /* directory of the keyring: the secret of the bypass */
    const char             *url;     /* [delivery] url: of who has no route */
    struct scanner         *scanner; /* NULL: there is none */
    const struct conf_list *protected_symbols;
    bool                    unscanned_ok; /* [rulesd] scanner_down = accept */
    size_t                  message_max;  /* bytes of a message */
    const char             *prefix;       /* [rules] prefix: of our field, where the domain has no brand */
};

/* Can it work at all? [delivery] url is there, and one that we understand; or it is empty, and some domain has a route of its own: mail of
 * the others is then not to be released, and who asks for it is told so. */
int release_check(struct store *s, const char *url, struct err *e);

struct release_asked {
    bool        again;   /* also where nobody knows whether it arrived */
    struct lift decided; /* by who asks, and may */
};
int release_send(const struct release_how *how, const struct actor *by, struct uuid uid, int64_t n,
                 const struct release_asked *asked, struct store_release *out, struct err *e);

/* Goes on with what was requested and never left: its sender died, or the MTA could not be reached. What was requested less than
 * quiet_us ago is left to who requested it, and what lies on the disk of another node to that node. fn hears of each: err is NULL
 * where it was sent; other than 0 ends it. Returns how many were taken, or -1 when the store fails. */
typedef int (*release_fn)(void *ctx, const struct store_release *r, const struct err *err);
int release_unfinished(const struct release_how *how, const struct actor *by, int64_t quiet_us, release_fn fn,
                       void *ctx, struct err *e);

/* Was this recipient's copy held, rather than delivered, refused or deferred? */
bool release_held(enum delivery_verdict v);

#endif
