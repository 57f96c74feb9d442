/* lib/base/utf8.h - UTF-8 as strangers write it, and how we show it.
 *
 * Decoding never fails: a bad byte yields U+FFFD and advances by one. Overlong forms, surrogates and values
 * above U+10FFFF are bad. */
#ifndef POSTERN_BASE_UTF8_H
#define POSTERN_BASE_UTF8_H

#include "base/buf.h"

#define UTF8_BAD 0xFFFDu

/* The code point at *at; moves *at behind it. *at < s.n. *ok_out (may be NULL) tells good bytes from bad. */
uint32_t utf8_next(struct span s, size_t *at, bool *ok_out);
size_t   utf8_put(uint32_t cp, char out[4]); /* bytes written */
bool     utf8_valid(struct span s);
/* Length of the valid prefix of s that is at most n bytes, never cutting a character. */
size_t utf8_clip(struct span s, size_t n);

/* The character at *at as one-line safe text: itself, or \n, \t, \r, \xNN (also each bad byte) or \u{NNNN} for what
 * utf8_put_escaped() names. Returns the bytes written, not NUL-terminated. For who writes into fixed memory. */
#define UTF8_SAFE_MAX 16
size_t utf8_next_safe(struct span s, size_t *at, char out[UTF8_SAFE_MAX]);

/* Appends s as one-line safe text: C0, DEL, C1, ESC, line separators, bidi controls and bad bytes come out as
 * \n, \t, \xNN or \u{NNNN}; backslash and `quote` (0: none) are escaped with a backslash. For logs and SMTP. */
void utf8_put_escaped(struct buf *b, struct span s, char quote);

/* Appends s as the inside of a JSON string: valid UTF-8, raw (no surrogate escapes), control bytes as \u00XX,
 * bad bytes as U+FFFD (protocols.md 0.10). */
void json_put_chars(struct buf *b, struct span s);
/* The same with the quotes around it. */
void json_put_string(struct buf *b, struct span s);

#endif
