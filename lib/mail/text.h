/* lib/mail/text.h - text as people read it.
 *
 * Everything comes out as valid UTF-8, in the arena; where nothing had to change it is the input itself (or a part of
 * it). {NULL, 0} for an input that was not empty means that the arena is full.
 *
 * Folding is simple case folding, one code point to one code point: fold(c) = lower(upper(c)) of the Unicode simple
 * mappings, which is a superset of what PCRE2 calls the other case, so a literal found in folded text is a safe
 * prefilter for a caseless regex. */
#ifndef POSTERN_MAIL_TEXT_H
#define POSTERN_MAIL_TEXT_H

#include "base/arena.h"

/* Case-folded (ASCII at memcpy speed). The result may be up to 1.5 times as long, and three times where bytes are
 * bad UTF-8, since each becomes U+FFFD. */
struct span text_fold(struct span s, struct arena *a);
uint32_t    text_fold_char(uint32_t cp);
bool        text_is_folded_ascii(struct span s); /* no copy needed */

/* An unstructured header body: unfolded, RFC 2047 decoded (adjacent words joined, also split characters), charset to
 * UTF-8, outer blanks trimmed, inner runs kept. *clean_out (may be NULL) is false when some word could not be decoded
 * (unknown charset, damaged encoding) and stands as written, or when bytes had no meaning in their charset (U+FFFD). Bare
 * 8-bit bytes are UTF-8, else windows-1252 and not clean. At most `max` bytes of input are looked at. */
struct span text_decode_header(struct span body, size_t max, struct arena *a, bool *clean_out);

/* Bytes in a named charset to UTF-8; bad sequences become U+FFFD and *clean_out false. The charsets are a table of those
 * that mail uses: no other converter of the C library ever sees a stranger's bytes. None or us-ascii: UTF-8, else
 * windows-1252 and not clean. Unknown charset: the same, and never clean unless all is ASCII. A leading BOM is dropped. */
struct span text_from_charset(struct span bytes, struct span charset, struct arena *a, bool *clean_out);
/* Behind the white space and the comments (nested, RFC 5322 3.2.2) at the front. *closed_out (may be NULL) is false when a comment has
 * no end: then nothing is left. */
struct span text_skip_comments(struct span s, bool *closed_out);

/* The value of a hexadecimal digit, or -1. */
int text_hex_value(char c);
/* What a byte of windows-1252 means; U+FFFD for its five holes. */
uint32_t text_windows_1252(unsigned char c);

#endif
