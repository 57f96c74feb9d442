/* portal/identify.h - who calls: a browser with a session's cookie, a program with a key, or nobody.
 *
 * Cookie   "__Host-session" under https, else "session"; HttpOnly, SameSite=Lax, path /. A call that has both a cookie and a key is
 *          refused.
 * Guard    a call that changes something, with a cookie, must come from a page of ours: Sec-Fetch-Site same-origin where the browser
 *          says it, Origin public_url's or that of the Host asked, when it is a brand's, localhost or an address in digits, and X-CSRF-Token as GET /session says it. Calls without a session (signing
 *          in) need the same but for the token. Keys need nothing of it: no browser sends them by itself.
 *          One call takes a form of another site, and does nothing by itself: POST /handoffs/arrive (handoff.h).
 * Address  that of who connected, or, where that is one of [portal] trusted_proxies, the last of X-Forwarded-For that is none of them. */
#ifndef POSTERN_PORTAL_IDENTIFY_H
#define POSTERN_PORTAL_IDENTIFY_H

#include "call.h"
#include "letter/words.h"

#define CSRF_TEXT 43

int identify(struct call *c, struct err *e);
int guard(const struct call *c, struct err *e);
/* Of it, whether the page is ours that asks, as far as the browser says: for what is no call of the API. */
int  guard_origin(const struct call *c, struct err *e);
void client_address(const struct portal *p, const struct httpd_request *r, struct ip *out, char text_out[IP_TEXT]);

const char *identify_cookie_name(const struct portal *p);
/* The cookie of a session; token empty: takes it away. */
void identify_set_cookie(struct call *c, struct span token, int64_t max_age_s);
/* The session's text as the request has it; empty: none. */
struct span identify_token(const struct call *c);
/* What X-CSRF-Token has to be for it. */
void csrf_of(struct span token, char out[CSRF_TEXT + 1]);
/* What the browser would rather read, of the languages that letters and pages without a script have. */
enum language identify_language(const struct call *c);
/* The host that the page was asked for, as the browser says it: to choose a brand by, and nothing else. */
struct span identify_host(const struct call *c);

#endif
