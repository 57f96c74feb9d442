/* portal/handoff.h - from an operator's dashboard into the portal, without a second password.
 *
 *   1. The browser comes to GET /handoff/start: it gets a cookie, and goes on to [portal] sso_url with a nonce. (Optional.)
 *   2. The dashboard, which knows who sits there, asks POST /handoffs with its API key, and gets a token: a minute, once.
 *   3. Its page posts the token to POST /handoffs/arrive: the one call that takes a form of another site. It signs nobody in: it puts the
 *      token into a cookie (HttpOnly, SameSite=Strict) and sends the browser to the page /handoff.
 *   4. That page, ours, asks GET /handoffs/pending what the token is about, and POST /handoffs/use begins the session: with the nonce's
 *      cookie at once; without it, or over a session that is there, after a press on "go on as …" (confirm).
 *
 * Why so    Login CSRF: a stranger's page can post a token of the stranger's own, but not press; and with a nonce only the browser that
 *           asked for it can use what was made from it. Fixation: the session's token is made in step 4 and known to nobody before. What
 *           step 3 takes is looked at in step 4 alone, by a call that the guard protects as any other. It redirects to one place.
 * Key       scope sso, bound to domains and to networks, role owner and no higher. It brings people all of whose mailboxes and roles
 *           are in its domains; the operator never. Whom it may not bring is for it as if they were not there.
 * Session   self: an ordinary one, but without the fresh proof that signing in gives. staff: half an hour, and what permit.c's column says;
 *           the page has a banner, the audit log both names. */
#ifndef POSTERN_PORTAL_HANDOFF_H
#define POSTERN_PORTAL_HANDOFF_H

#include "route.h"

extern const struct route_family handoff_family;

#endif
