/* lib/mail/html_safe.h - HTML mail that is safe to look at.
 *
 * Nothing of the input is passed on as it stands: it is taken apart (html_token.h), and a new document written of what a list knows.
 * Stays    text, structure, tables and basic presentation; of `style` the properties of a list, with values that can load, cover and
 *          move nothing. Each attribute is checked by its kind, and written in quotes.
 * Goes     all else: scripts, style sheets, frames, objects, forms, svg, math, meta, base, link, on…, id, class, comments.
 * Links    none. Their text stays, and behind it stands, in brackets and in a style that the mail cannot change, the host that a browser
 *          would have gone to: "Click here [evil.example]".
 * Pictures from the message itself alone, as data: of PNG, JPEG, GIF and WebP, told by their first bytes; for others stands the
 *          alternative text in brackets. Those of a point or none are left out: nobody was to see them.
 * Output   a whole document: well-formed UTF-8, elements closed in order, at most HTML_SAFE_DEPTH open at once, none that parses its
 *          content in a way of its own: what a browser makes of it is what is written. Who serves it still forbids scripts and loading.
 * Cost     linear in the input, of which HTML_SAFE_INPUT_MAX bytes are read; one pass, no recursion. */
#ifndef POSTERN_MAIL_HTML_SAFE_H
#define POSTERN_MAIL_HTML_SAFE_H

#include "base/arena.h"
#include "base/buf.h"

#define HTML_SAFE_MAX ((size_t)2 << 20)       /* bytes of output */
#define HTML_SAFE_INPUT_MAX ((size_t)4 << 20) /* bytes of input, all parts together */
#define HTML_SAFE_PICTURE_MAX ((size_t)512 << 10)
#define HTML_SAFE_PICTURES_MAX 100
#define HTML_SAFE_DEPTH 256

/* Where pictures of the same message come from: the bytes of the part with that Content-ID (without brackets), at most
 * HTML_SAFE_PICTURE_MAX; SPAN_NONE: there is none. Called at most HTML_SAFE_PICTURES_MAX times. May be NULL. */
typedef struct span (*html_safe_picture_fn)(void *ctx, struct span content_id);

/* Appends the document of these HTML texts (UTF-8; bad bytes become U+FFFD), a line between them, to `out`. False: something at the end
 * was left out, by a limit of ours or the arena's. */
bool html_safe(const struct span *parts, size_t n, html_safe_picture_fn picture, void *ctx, struct arena *a,
               struct buf *out);

#endif
