/* lib/base/json_write.h - JSON, written straight into a buffer.
 *
 * Commas come by themselves: a member or item knows from the byte before it whether it is the first. A key of NULL is an item of an
 * array, or the outermost value. Texts may be anything: bad bytes come out as U+FFFD (base/utf8.h). */
#ifndef POSTERN_BASE_JSON_WRITE_H
#define POSTERN_BASE_JSON_WRITE_H

#include "base/buf.h"
#include "base/clock.h"

void json_key(struct buf *b, const char *key);                /* and its comma; the value is the caller's to write */
void json_open(struct buf *b, const char *key, char bracket); /* '{' or '[' */
void json_close(struct buf *b, char bracket);                 /* '}' or ']' */
void json_add_text(struct buf *b, const char *key, struct span value);   /* {NULL, 0}: null */
void json_add_string(struct buf *b, const char *key, struct span value); /* {NULL, 0}: "" */
void json_add_str(struct buf *b, const char *key, const char *value);    /* NULL: null */
void json_add_i64(struct buf *b, const char *key, int64_t value);
void json_add_f64(struct buf *b, const char *key, double value); /* NAN, infinities: null */
void json_add_bool(struct buf *b, const char *key, bool value);
void json_add_null(struct buf *b, const char *key);
void json_add_uuid(struct buf *b, const char *key, const struct uuid *value); /* NULL: null */
void json_add_time(struct buf *b, const char *key, int64_t us);               /* RFC 3339 in UTC; 0: null */
void json_add_json(struct buf *b, const char *key, struct span value);        /* JSON already; empty: null */

#endif
