/* portal/fields.h - what a call takes, as a table: the query and the JSON body are read by it, and openapi.json is written from it.
 *
 * A table ends with a row whose name is NULL. The struct that it fills begins with `uint64_t given`: bit i is set when row i was
 * there (and not null). Spans live in the call's arena, or point into its body. Unknown members are refused by name; so are wrong types,
 * lengths and values, each with the member's name and, in a body, the byte. */
#ifndef POSTERN_PORTAL_FIELDS_H
#define POSTERN_PORTAL_FIELDS_H

#include <stddef.h>

#include "base/arena.h"
#include "base/err.h"

enum field_type {
    FIELD_TEXT,  /* struct span; min..max bytes, UTF-8 without control characters but LF and TAB */
    FIELD_BOOL,  /* bool */
    FIELD_I64,   /* int64_t, min..max */
    FIELD_F64,   /* double, min..max */
    FIELD_UUID,  /* struct uuid */
    FIELD_TIME,  /* int64_t: RFC 3339 to microseconds */
    FIELD_WORD,  /* int: index into words */
    FIELD_TEXTS, /* struct field_texts: an array of strings, at most max items of 1,000 bytes each */
    FIELD_JSON,  /* struct span: any JSON value as written, at most max bytes; in bodies alone */
};
struct field_texts {
    const struct span *items;
    size_t             n;
};

#define FIELD_REQUIRED 1u
struct field {
    const char        *name;
    enum field_type    type;
    unsigned           flags;
    int64_t            min, max;
    const char *const *words;
    size_t             offset;
    const char        *doc; /* a sentence */
};
#define FIELDS_END                                                                                                     \
    {                                                                                                                  \
        .name = NULL                                                                                                   \
    }

/* Reads a JSON object. e->at is the byte; *member_out the member that is wrong, or NULL. */
int fields_from_json(const struct field *table, struct span json, struct arena *a, void *out, const char **member_out,
                     struct err *e);
/* Reads an urlencoded query or form. Of a FIELD_TEXTS each occurrence is an item. */
int fields_from_query(const struct field *table, struct span query, struct arena *a, void *out, const char **member_out,
                      struct err *e);
static inline bool field_given(const void *filled, size_t i) { return *(const uint64_t *)filled >> i & 1; }

#endif
