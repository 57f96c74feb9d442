/* lib/letter/view.h - a digest as its templates see it (mail/mustache.h). All texts are fit for a line; the templates escape.
 *
 *   brand, of, title, period, counts, language, accent, accent_dark, portal, settings, unsubscribe, support, reply, and every t_… of words.h
 *   groups       [title, hint, items [number, time, from, address, other_sender, sent_by, subject, reason, recipient, to, state,
 *                                     actions, release, release_allow, block]]
 *   more         text                       (there are some without a line)
 *   blocked      title, senders [n, address]
 *   recipients   title, rows [n, address]   (of a domain) */
#ifndef POSTERN_LETTER_VIEW_H
#define POSTERN_LETTER_VIEW_H

#include "letter/letter.h"
#include "letter/words.h"

/* shown: how many items have a line, at most. ERR_LIMIT: no memory. */
int view_make(const struct letter_site *site, const struct letter_what *w, size_t shown, struct arena *a,
              struct mustache_value **out, struct err *e);
/* scheme://host of the portal, without a slash behind it. */
struct span view_portal(const struct letter_site *site, const struct letter_what *w);

/* The line of one item into an object, as the letter has it but for its number, its state and what can be done about it. */
int view_put_line(const struct store_digest *d, const struct digest_item *i, struct arena *a,
                  struct mustache_value *into, struct err *e);

#endif
