/* lib/mail/text.h - text as people read it.
 *
 * Everything comes out as valid UTF-8 in the arena. Folding is simple case folding, one code point to one code
 * point: fold(c) = lower(upper(c)) of the Unicode simple mappings, which is a superset of what PCRE2 calls the
 * other case, so a literal found in folded text is a safe prefilter for a caseless regex. */
#ifndef POSTERN_MAIL_TEXT_H
#define POSTERN_MAIL_TEXT_H

#include "base/arena.h"

/* Case-folded copy (ASCII at memcpy speed). The result may be up to 1.5 times as long. The input may be damaged UTF-8:
 * bad bytes become U+FFFD. {NULL, 0} with s.n > 0 means the arena is full. */
struct span text_fold(struct span s, struct arena *a);
uint32_t    text_fold_char(uint32_t cp);
bool        text_is_folded_ascii(struct span s); /* no copy needed */

/* An unstructured header body: unfolded, RFC 2047 decoded (adjacent words joined, also split characters), charset to
 * UTF-8, outer blanks trimmed, inner runs kept. *clean_out (may be NULL) is false when some word could not be decoded
 * (unknown charset, damaged) and stands as written. At most `max` bytes of input are looked at. */
struct span text_decode_header(struct span body, size_t max, struct arena *a, bool *clean_out);

/* Bytes in a named charset to UTF-8 (iconv); bad sequences become U+FFFD. Unknown charset: tries UTF-8, then
 * windows-1252, and *clean_out is false. */
struct span text_from_charset(struct span bytes, struct span charset, struct arena *a, bool *clean_out);

/* What a reader of the HTML would see: tags out, script/style/title/head/comments out, entities decoded, block
 * elements and <br> as line ends, white space runs as one blank, elements hidden by display:none/visibility:hidden/
 * font-size:0/opacity:0 or `hidden` out, zero-width and soft-hyphen characters out. Iterative and linear; open elements
 * to a depth of 256, deeper ones are treated as flat. */
struct span text_html_seen(struct span html, struct arena *a);

#endif
