/* portal/change.h - changing what somebody else may be changing at the same moment.
 *
 * Version  Of what is written as a whole (ROUTE_VERSION): a text that is another when what can be written is another, made of that alone
 *          and kept nowhere. Calls that show it have it as `version`, and the one that shows it alone as ETag too.
 * If-Match a change that names a version is made to that one or not at all: 412. Without it the change is made to what is there.
 * Atomic   All other changes wait, from before the version is looked at until the change is committed: on both databases.
 * Not here What takes long (reading a large rule): it comes before, so that nobody waits for it.
 *
 * An ETag stands for what can be written and not for the bytes of a reply: counters move under the same one, and a weak one (of a reply
 * that was compressed) is as good. */
#ifndef POSTERN_PORTAL_CHANGE_H
#define POSTERN_PORTAL_CHANGE_H

#include "call.h"

#define VERSION_TEXT 22
struct version {
    char text[VERSION_TEXT + 1];
};
/* Of what can be written, as one canonical text. */
struct version version_of(struct span written);
/* The reply's ETag, of a GET. */
void version_tag(struct call *c, const struct version *v);

typedef int (*version_fn)(struct call *c, struct version *out, struct err *e);
typedef int (*change_fn)(struct call *c, void *ctx, struct err *e);
/* One transaction around run(): what it reads is what it writes over, and what it did stays when it returns 0. version NULL: there is
 * none. */
int change_make(struct call *c, version_fn version, change_fn run, void *ctx, struct err *e);

#endif
