/* lib/store/audit_name.h - what the rows of the audit log are about, by name: the thing, and the mailbox or domain that it concerns.
 *
 * Kept      as they were called when it was written, as the last member of the payload: ,"named":{"object":"…","scope":"…"}. So they are
 *           under its hash, outlive what they name, and go when the payload is erased.
 * Not kept  what a message is called: its subject stays as long as the message log has it, and no longer. */
#ifndef POSTERN_STORE_AUDIT_NAME_H
#define POSTERN_STORE_AUDIT_NAME_H

#include "base/buf.h"
#include "store/audit.h"

/* For who writes: the payload (a JSON object) with the names that can be found now. */
int audit_put_named(struct store *s, const char *kind, const struct uuid *object, struct store_scope scope,
                    struct span payload, struct buf *out, struct err *e);

/* For who reads. Texts are in `a` or the payload. */
struct store_audit_names {
    struct span object, scope; /* empty: not known. Where the object was gone already, what it was called before */
    struct span what;          /* the payload without them; {NULL, 0} where it was erased */
};
void store_audit_names(struct span payload, struct arena *a, struct store_audit_names *out);

#endif
