/* portal/siteverify.h - a challenge service in place of our own piece of work (challenge.h): Turnstile, or what speaks its `siteverify`.
 *
 * The page runs the service's script, which gives it a token; we ask the service whether the token is right. It is spent by that.
 * Away     A service that cannot be asked is left alone for SITEVERIFY_AWAY_US, and browsers get our own piece of work meanwhile. It is
 *          also away when it does not know our secret: that is for the operator to mend, and the log says so.
 * Bounds   SITEVERIFY_MS and SITEVERIFY_ANSWER_MAX bytes a question. Any thread. */
#ifndef POSTERN_PORTAL_SITEVERIFY_H
#define POSTERN_PORTAL_SITEVERIFY_H

#include "base/arena.h"
#include "base/conf.h"

#define SITEVERIFY_MS 3000
#define SITEVERIFY_ANSWER_MAX ((size_t)16 << 10)
#define SITEVERIFY_AWAY_US (60 * INT64_C(1000000))

struct siteverify;
/* *out NULL: [portal] challenge_site_key is empty. -1: the settings do not fit, or the secret cannot be read. */
int  siteverify_open(const struct settings *s, struct siteverify **out, struct err *e);
void siteverify_close(struct siteverify **v);

/* "https://HOST" of its script: what the pages' policy has to let through. */
const char *siteverify_origin(const struct siteverify *v);
bool        siteverify_is_away(const struct siteverify *v);

enum siteverify_says { SITEVERIFY_YES, SITEVERIFY_NO, SITEVERIFY_AWAY };
enum siteverify_says siteverify_ask(struct siteverify *v, struct span token, const char *ip, struct arena *a);

/* What an answer of the service says. Pure. AWAY: it is none, or it says that the fault is ours or its own. */
enum siteverify_says siteverify_read(struct span answer, struct arena *a);

#endif
