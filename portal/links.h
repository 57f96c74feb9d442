/* portal/links.h - the pages behind a digest's links: GET /d/TOKEN shows, POST /d/TOKEN acts, and nobody has to be signed in.
 *
 * GET, HEAD  change nothing, whoever asks and how often: mail scanners open every link. The page shows the digest's own line, how things
 *            stand, and at most one button. It runs no script and loads nothing but the brand's logo.
 * POST       acts for the browser that has the page open: GET sets a cookie ("__Host-link_…" under https, one a link; HttpOnly,
 *            SameSite=Strict, LINKS_OPEN_S) and the form carries an HMAC over cookie and token. Then 303 back to the page.
 * One-click  "List-Unsubscribe=One-Click" (RFC 8058) needs neither, as mail providers send it: it stops the digest, and does nothing else.
 * May        what a user may about the one delivery, whoever the digest was sent to (permit.h: WHO_LINK). The audit log names the account, and
 *            "digest link" as where from.
 * Ends       with its subscription, account, mailbox or ownership (store/digest.h `stands`): 410. One that has expired shows how things
 *            stand. One that we never wrote is 404; too many of those from one network are 429, which never keeps a good one out.
 * Keys       letter/link.h, read at start, every minute, on SIGHUP, and when a link seems forged that may be of a new key. */
#ifndef POSTERN_PORTAL_LINKS_H
#define POSTERN_PORTAL_LINKS_H

#include "call.h"

#define LINKS_OPEN_S (30 * 60)
#define LINKS_UNDO_US (10 * 60 * INT64_C(1000000)) /* how long an allow or a block can be undone */
#define LINKS_FORGED_MOST 60                       /* in ten minutes, from one network */

struct links; /* the keys; any thread */
struct links *links_open(const char *keys_dir);
void          links_reload(struct links *l);
void          links_close(struct links **l);

/* Is it one of ours? Then *token_out is what stands behind "/d/". */
bool links_is_path(struct span path, struct span *token_out);
void links_serve(struct call *c, struct span token);

#endif
