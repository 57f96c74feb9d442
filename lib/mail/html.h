/* lib/mail/html.h - what a reader of HTML mail would see.
 *
 * Our own tokenizer, in one pass and linear time, without recursion: it follows a browser where that decides what is
 * visible, and builds no tree. Style sheets are not applied; styles written at an element are. */
#ifndef POSTERN_MAIL_HTML_H
#define POSTERN_MAIL_HTML_H

#include "base/arena.h"

#define HTML_DEPTH_MAX 256 /* open elements; deeper ones are treated as flat */

/* The visible text as UTF-8 in the arena ({NULL, 0} when that is full): tags out, script/style/title/template/comments
 * out, entities decoded, block elements and <br> as line ends, white space runs (no-break space too) as one blank,
 * elements hidden by display:none/visibility:hidden/font-size:0/opacity:0 or `hidden` out, zero-width and soft-hyphen
 * characters out. The input is UTF-8; bad bytes become U+FFFD. */
struct span html_seen(struct span html, struct arena *a);

#endif
