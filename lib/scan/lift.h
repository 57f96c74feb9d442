/* lib/scan/lift.h - which protected findings of one held message somebody who may has decided to let through. Pure.
 *
 * Families  file types, MIME and geography are lifted as a family: whoever lets a forbidden file go lets it go by whichever symbol the
 *           filter calls it next time.
 * Exactly   a virus is lifted by its symbol and the name that the filter gave with it (a filter that gives none: by the symbol), another
 *           symbol of [rules] protected_symbols by that symbol. What was not there to be seen is not lifted.
 * Text      "file_type,virus:0123456789abcdef": words, and digests of what is meant exactly. It goes through a header field
 *           (store/bypass.h), whose HMAC is what makes it true: this file believes what it reads.
 * Bounds    LIFT_EXACT_MAX exact ones; of more, the rest stays where it is. */
#ifndef POSTERN_SCAN_LIFT_H
#define POSTERN_SCAN_LIFT_H

#include "base/buf.h"
#include "base/conf.h"
#include "net/rspamd.h"

#define LIFT_EXACT_MAX 16
#define LIFT_DIGEST 8
#define LIFT_TEXT_MAX 500

struct lift {
    unsigned families; /* bits of enum finding_family (scan/findings.h) */
    struct lift_exact {
        int     family;
        uint8_t digest[LIFT_DIGEST];
    } exact[LIFT_EXACT_MAX];
    size_t n;
};

/* Adds what there is to lift among these. */
void lift_add(struct lift *l, const struct rspamd_symbol *symbols, size_t n, bool spamd, const struct conf_list *more);
/* Is all that this symbol says lifted? False of one that is not protected. */
bool lift_covers(const struct lift *l, const struct rspamd_symbol *s, bool spamd, const struct conf_list *more);

void lift_put(struct buf *b, const struct lift *l);
/* False: it is none, and *out lifts nothing. The empty text lifts nothing too. */
bool lift_read(struct span text, struct lift *out);

#endif
