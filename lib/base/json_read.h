/* lib/base/json_read.h - strict JSON, pulled value by value by who knows what must come next.
 *
 * No tree is built and nothing is allocated but strings that hold escapes (in the arena). There is no depth to bound: a
 * reader goes as deep as its caller asks. Strict RFC 8259: no comments, no trailing commas, nothing behind the value; strings
 * are valid UTF-8 without NUL or lone surrogates. Every error names the byte, and e->at has it.
 *
 *     json_value(r, &v, e); v.type == JSON_OBJECT  →  while ((rc = json_member(r, &key, e)) > 0) json_value(r, …)
 *                           v.type == JSON_ARRAY   →  while ((rc = json_item(r, e)) > 0) json_value(r, …) */
#ifndef POSTERN_BASE_JSON_READ_H
#define POSTERN_BASE_JSON_READ_H

#include "base/arena.h"
#include "base/err.h"

enum json_type { JSON_NULL, JSON_BOOL, JSON_NUMBER, JSON_STRING, JSON_ARRAY, JSON_OBJECT };

struct json_read {
    struct span   in; /* borrowed: strings without escapes point into it */
    size_t        at;
    struct arena *arena;
    bool          first; /* ours: no item of the open container was read yet */
};
struct json_value {
    enum json_type type;
    struct span    text; /* a string decoded; a number as written */
    bool           yes;  /* JSON_BOOL */
    size_t         at;   /* where it starts */
};

/* The next value. Of an array or object only its bracket is read: its items follow. */
int json_value(struct json_read *r, struct json_value *out, struct err *e);
/* In an array: 1 a value follows, 0 it has ended. */
int json_item(struct json_read *r, struct err *e);
/* In an object: 1 a value follows, *key_out is its name; 0 it has ended. */
int json_member(struct json_read *r, struct json_value *key_out, struct err *e);
/* Reads over the rest of a value that json_value() has begun, however it is built, at most JSON_OVER_DEPTH deep: to keep it as it was
 * written, or to leave it out. */
#define JSON_OVER_DEPTH 32
int json_over(struct json_read *r, const struct json_value *begun, struct err *e);
/* Nothing but white space may follow. */
int json_end(struct json_read *r, struct err *e);

/* A number that is whole, without fraction and exponent, and fits. */
bool        json_i64(const struct json_value *v, int64_t *out);
const char *json_type_word(enum json_type t); /* "a string", "an object" */

#endif
