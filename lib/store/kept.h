/* lib/store/kept.h - statements about days of the log that stay prepared: most of what is asked for is of the same few days, and to plan
 * takes PostgreSQL longer than to look up. For lib/store alone. */
#ifndef POSTERN_STORE_KEPT_H
#define POSTERN_STORE_KEPT_H

#include "base/span.h"

struct store;
struct kept_texts;

/* The same text as one to be prepared, which lives until KEPT_TEXTS others have come. */
#define KEPT_TEXTS 24
const char *kept_text(struct store *s, struct span sql);
/* Before the connection goes. */
void kept_texts_free(struct kept_texts **t);

#endif
