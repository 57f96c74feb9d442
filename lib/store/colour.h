/* lib/store/colour.h - an accent colour, and what can be read on it and beside it (WCAG 2 contrast). Pure. */
#ifndef POSTERN_STORE_COLOUR_H
#define POSTERN_STORE_COLOUR_H

#include "base/err.h"
#include "base/span.h"

#define COLOUR_TEXT 7 /* "#rrggbb" */
#define COLOUR_CONTRAST 4.5

/* What stands beside the accent on a page: the sheet's and the ground's colours (portal/web/style.css has the same). */
enum scheme { SCHEME_LIGHT, SCHEME_DARK, SCHEMES };

struct accent {
    char accent[COLOUR_TEXT + 1], on[COLOUR_TEXT + 1],
        soft[COLOUR_TEXT + 1]; /* on: text on it; soft: ground under it */
};
/* From "#rrggbb". ERR_INVALID: it is none, or cannot be read at 4.5:1 on the pages of that scheme. */
int    accent_make(struct span text, enum scheme scheme, struct accent *out, struct err *e);
double colour_contrast(struct span a, struct span b); /* of two "#rrggbb"; 0: one is none */

#endif
