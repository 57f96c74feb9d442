/* portal/digest_choice.h - what a person chooses of a digest, in calls and in replies. */
#ifndef POSTERN_PORTAL_DIGEST_CHOICE_H
#define POSTERN_PORTAL_DIGEST_CHOICE_H

#include "route.h"
#include "store/digest.h"

struct digest_choice_body {
    uint64_t           given;
    int                kind, language;
    struct span        of, zone;
    bool               hourly, quiet;
    int64_t            minute;
    struct field_texts days, tells;
};
/* Tables for it: one of its own, with its time and zone; what changes one; and a new one with what it is of. */
extern const struct field digest_choice_fields[], digest_set_fields[], digest_add_fields[];

/* What one begins with who says nothing else. */
struct store_digest_choice digest_choice_first(const struct call *c);
/* What is given changes the choice; then it has to be one that runs. *next_out: when it does. */
int  digest_choice_take(struct call *c, const struct digest_choice_body *in, struct store_digest_choice *x,
                        int64_t *next_out, struct err *e);
void digest_choice_put(struct buf *b, const struct store_digest_choice *x);
/* Its members, in a schema of openapi. */
#define DIGEST_CHOICE_SCHEMA                                                                                           \
    "\"hourly\":{\"type\":\"boolean\"},\"minute\":{\"type\":\"integer\"},\"days\":{\"type\":\"array\",\"items\":{"     \
    "\"type\":\"string\"}},\"zone\":{\"type\":\"string\"},\"language\":{\"type\":\"string\"},\"tells\":{\"type\":"     \
    "\"array\",\"items\":{\"type\":\"string\"}},\"quiet\":{\"type\":\"boolean\"}"

#endif
