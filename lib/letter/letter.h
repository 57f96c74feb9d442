/* lib/letter/letter.h - a digest as a mail: from its content through the templates to the bytes that are sent.
 *
 * Templates  digest.html and digest.txt of the program; an operator's own in [digest] templates, or in a folder below it that has a
 *            brand's name, stand in for them, file by file (mail/mustache.h). Read when they are opened. What they are given: view.h.
 * Strangers  subjects and names come through mail/person_text.h: no control characters, bidi isolated, cut by grapheme; then escaped by
 *            the template. None of them is in the header of our mail.
 * Size       under LETTER_MAX bytes: items are left to the count from the last on until it fits.
 * Header     From of the brand, Subject "3 messages in your quarantine", Date, Message-ID of the run, References of the subscription
 *            (so that they thread), Auto-Submitted: auto-generated, List-Id, List-Unsubscribe with List-Unsubscribe-Post (RFC 8058),
 *            and the mark of our own mail (mail/own_mark.h). */
#ifndef POSTERN_LETTER_LETTER_H
#define POSTERN_LETTER_LETTER_H

#include "letter/content.h"
#include "letter/link.h"
#include "store/brand.h"

#define LETTER_MAX ((size_t)100 * 1000)

#define LETTER_BRANDS_MAX 64 /* folders of brands */

struct letter_templates; /* compiled; shared by threads */
/* dir "": the program's own alone. An error names file, line and column. */
int  letter_templates_open(const char *dir, struct letter_templates **out, struct err *e);
void letter_templates_close(struct letter_templates **t);

/* How a site sends; all borrowed. */
struct letter_site {
    const struct letter_templates *templates;
    const struct link_keys        *keys;
    const uint8_t                 *own_key;    /* 32 bytes: of the mark */
    const char                    *public_url; /* [portal] public_url, where the brand has none of its own */
    const char                    *from;       /* [smtp] from, likewise */
    const char                    *name;       /* [portal] name, likewise */
    const char                    *reply_to;   /* [digest] reply_to: where "release 2" is read; "": nowhere */
};
struct letter_what {
    const struct store_digest   *subscription;
    const struct store_brand    *brand; /* NULL: none */
    const struct digest_content *content;
    struct uuid                  run; /* zero: a preview, whose links lead nowhere */
    int64_t                      again, now_us;
};
/* The whole message. */
int letter_put(const struct letter_site *site, const struct letter_what *w, struct arena *a, struct buf *out,
               struct err *e);
/* Its HTML part alone: for the page's preview. */
int letter_put_html(const struct letter_site *site, const struct letter_what *w, struct arena *a, struct buf *out,
                    struct err *e);
/* "Name <address>": the brand's, else the site's. */
struct span letter_from(const struct letter_site *site, const struct store_brand *brand, struct arena *a);
/* Without brackets: "digest.RUN.AGAIN@host of the sender's address"; and back, of an answer's In-Reply-To or References. */
void letter_message_id(const struct uuid *run, int64_t again, struct span from, struct buf *out);
bool letter_run_of(struct span message_id, struct uuid *run_out);

#endif
