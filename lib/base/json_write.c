/* lib/base/json_write.c - see json_write.h. */
#include "base/json_write.h"

#include <math.h>

#include "base/utf8.h"

void json_key(struct buf *b, const char *key)
{
    char before = b->n > 0 ? b->p[b->n - 1] : '{';

    if (before != '{' && before != '[' && before != ':')
        buf_putc(b, ',');
    if (key == NULL)
        return;
    json_put_string(b, span_of(key));
    buf_putc(b, ':');
}

void json_open(struct buf *b, const char *key, char bracket)
{
    json_key(b, key);
    buf_putc(b, bracket);
}

void json_close(struct buf *b, char bracket) { buf_putc(b, bracket); }

void json_add_text(struct buf *b, const char *key, struct span value)
{
    json_key(b, key);
    if (value.p == NULL)
        buf_puts(b, "null");
    else
        json_put_string(b, value);
}

void json_add_string(struct buf *b, const char *key, struct span value)
{
    json_key(b, key);
    json_put_string(b, value);
}

void json_add_str(struct buf *b, const char *key, const char *value) { json_add_text(b, key, span_of(value)); }

void json_add_i64(struct buf *b, const char *key, int64_t value)
{
    json_key(b, key);
    buf_printf(b, "%lld", (long long)value);
}

void json_add_f64(struct buf *b, const char *key, double value)
{
    json_key(b, key);
    if (isfinite(value))
        buf_printf(b, "%.15g", value);
    else
        buf_puts(b, "null");
}

void json_add_bool(struct buf *b, const char *key, bool value)
{
    json_key(b, key);
    buf_puts(b, value ? "true" : "false");
}

void json_add_null(struct buf *b, const char *key)
{
    json_key(b, key);
    buf_puts(b, "null");
}

void json_add_uuid(struct buf *b, const char *key, const struct uuid *value)
{
    char text[UUID_TEXT + 1];

    if (value == NULL) {
        json_add_null(b, key);
        return;
    }
    uuid_format(value, text);
    json_add_str(b, key, text);
}

void json_add_time(struct buf *b, const char *key, int64_t us)
{
    char text[28];

    if (us == 0) {
        json_add_null(b, key);
        return;
    }
    clock_format_utc(us, text);
    json_add_str(b, key, text);
}

void json_add_json(struct buf *b, const char *key, struct span value)
{
    json_key(b, key);
    if (value.n == 0)
        buf_puts(b, "null");
    else
        buf_put(b, value);
}
