/* lib/letter/words.h - what a digest says, in English and German.
 *
 * Templates get every text whose name begins with "t_" by that name; sentences with numbers are made here. */
#ifndef POSTERN_LETTER_WORDS_H
#define POSTERN_LETTER_WORDS_H

#include "letter/content.h"
#include "mail/mustache.h"

enum language { LANGUAGE_EN, LANGUAGE_DE, LANGUAGES };
/* Of a tag like "de-AT": by its first two letters; any other is English. */
enum language            words_language(const char *tag);
extern const char *const words_tags[]; /* "en", "de", NULL */

enum word {
    WORD_RELEASE,
    WORD_RELEASE_ALLOW,
    WORD_BLOCK,
    WORD_FROM,
    WORD_TO,
    WORD_SENT_BY,
    WORD_OPEN,
    WORD_SETTINGS,
    WORD_UNSUBSCRIBE,
    WORD_WHY,
    WORD_SUPPORT,
    WORD_NO_SUBJECT,
    WORD_NO_SENDER,
    WORD_PROBABLY_FINE,
    WORD_PROBABLY_FINE_HINT,
    WORD_PROBABLY_SPAM,
    WORD_PROBABLY_SPAM_HINT,
    WORD_BY_YOUR_RULE,
    WORD_BY_SITE_RULE,
    WORD_BY_ATTACHMENT,
    WORD_BY_VIRUS,
    WORD_BY_SCORE,
    WORD_RELEASED,
    WORD_DELIVERED,
    WORD_GONE,
    WORD_ASK_THE_OWNER,
    WORD_DECIDE,
    WORD_BY_RECIPIENT,
    WORDS
};
const char *words_say(enum language l, enum word w);
void        words_put_all(struct arena *a, struct mustache_value *in, enum language l);

/* "3 messages in your quarantine"; where it tells of none that is, of how many marked or else blocked ones. */
struct span words_title(enum language l, const struct digest_content *c, bool quiet, struct arena *a);
/* "3 quarantined · 12 blocked · 40 delivered", in all of the time. */
struct span words_counts(enum language l, const struct digest_content *c, struct arena *a);
/* "Score 9.4; your domain's limit is 6." */
struct span words_by_score(enum language l, double score, double threshold, struct arena *a);
struct span words_blocked(enum language l, size_t n, struct arena *a);
struct span words_more(enum language l, size_t n, bool beyond, struct arena *a);
/* number: of a message that an answer can release, as the example. */
struct span words_reply(enum language l, int64_t number, struct arena *a);

#endif
