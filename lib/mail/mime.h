/* lib/mail/mime.h - the structured header fields of MIME: a value, and parameters behind it (RFC 2045, 2183, 2231).
 *
 * Takes the body of a field (still folded). Lenient as mail readers are: missing quotes, blanks, comments, parameters
 * split and out of order. Linear time; results lie in the input or the arena. */
#ifndef POSTERN_MAIL_MIME_H
#define POSTERN_MAIL_MIME_H

#include "base/arena.h"

#define MIME_SEGMENTS_MAX 256 /* pieces of one parameter that are put together (RFC 2231) */

/* The value in front of the first ';', in lower case, without comments: "text/plain", "attachment", "base64". Empty
 * when there is none. */
struct span mime_value(struct span body, struct arena *a);
/* Is it "type/subtype" in the characters that the RFC allows? */
bool mime_is_type(struct span value);

/* A parameter of that name (ASCII, no case): unquoted, its pieces joined, its charset (RFC 2231) made UTF-8. Empty when
 * absent; the first of several counts, but name* before name. *clean_out (may be NULL) is false when a piece is
 * missing or could not be decoded. `token`: the value ends at its first blank if it has no quotes. */
struct span mime_param(struct span body, const char *name, bool token, struct arena *a, bool *clean_out);

/* The file name of a leaf, from its Content-Disposition and Content-Type (either may be empty): filename before name;
 * RFC 2231, else 2047 inside; without the path in front, blanks around and control characters. UTF-8. */
struct span mime_filename(struct span disposition, struct span type, struct arena *a, bool *clean_out);

#endif
