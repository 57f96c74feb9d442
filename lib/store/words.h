/* lib/store/words.h - the words that a delivery is found by, written beside its row and asked for by searches. For lib/store alone.
 *
 * Two sets of words a delivery: those of the message and its envelope, which never change, and those of what its attempts were
 * answered. SQLite holds them in the full-text tables of their day (FTS5, unicode61), PostgreSQL in tsvector columns whose words
 * are made here.
 * Scope    Both sets hold a word for everybody, one for the domain and one for the mailbox; every search asks for one of them.
 * Shelves  Every other word begins with the shelf of its domain: who searches one domain or mailbox reads the lists of one shelf, and
 *          not of how often everybody's mail has that word. Who searches all asks for each word on the shelves that may have it, as
 *          moment.h and shelf_words.h tell. */
#ifndef POSTERN_STORE_WORDS_H
#define POSTERN_STORE_WORDS_H

#include "store/day.h"
#include "store/search.h"

#define WORDS_TEXT_MAX 4096 /* bytes of a text whose words are kept */
#define WORDS_MAX 400       /* words of a text that are kept, on PostgreSQL */
#define WORDS_ASKED 32      /* words that a filter asks for */
#define WORDS_ASKED_MAX 256 /* and bytes: the rest of a longer text does not count */
#define WORDS_SHELVES 64

/* Whose row it is. */
struct words_of {
    int64_t            id; /* on SQLite */
    struct uuid        uid;
    int64_t            n;
    const struct uuid *domain, *mailbox; /* or NULL */
};
struct words_message {
    struct words_of of;
    struct span     subject, from_address, from_name, sender, recipient, message_id, inbound;
};
struct words_answers {
    struct words_of of;
    struct span     outbound; /* of all attempts, with their hosts */
    struct span     delivery; /* of the last one */
};
struct words_change {
    bool                 had; /* `before` is what stood there, exactly; else nothing did */
    struct words_answers before, now;
};

/* In a transaction. The days have to have their tables. */
int words_put_messages(struct store *s, const struct words_message *rows, size_t n, struct err *e);
int words_put_answers(struct store *s, const struct words_change *rows, size_t n, struct err *e);

/* Is there anything to look for in a text: a letter, a digit? */
bool words_any(struct span text);
/* Which of the two sets a field's words are in. */
bool words_in_answers(enum search_field f);
/* What everybody's mail is asked for, where its words stand once for many deliveries, the longest first, which few mails have. Each costs
 * the list of all that have it. It finds too much: not where words stand, nor whose they are. */
#define WORDS_OF_ALL 12
#define WORD_MAX 200 /* bytes of a word */
struct words_of_all {
    struct words_one_of_all {
        char        text[WORD_MAX + 4];
        size_t      n;
        bool        begins;  /* perhaps like this */
        int64_t     found;   /* where it was counted how many have it */
        bool        answers; /* of which set */
        bool        pair;    /* no word: the number of two that stand side by side */
        const char *letters; /* of its field on PostgreSQL: it stands behind one of them */
    } words[WORDS_OF_ALL];
    size_t n; /* 0: nothing is wanted */
};
/* Of the messages' words; as moments have them also of the answers', and what stands side by side. */
void words_ask_all(struct words_of_all *out, const struct store_words *words, size_t n, bool moments);

/* The words of texts that stand behind each other, as a moment has them (moment.h), and how they are asked for. */
void words_put_moment(struct buf *b, bool answers, const struct span *texts, size_t n);
void words_query_moments(struct buf *b, const struct words_of_all *asked, size_t from, size_t n);

/* Does the text hold what the filters want of `field`? It says yes too often: to words within words, and to all beyond ASCII. */
bool words_may_hold(struct span text, enum search_field field, const struct store_words *words, size_t n);

/* The shelf of a domain, or of none (NULL): always the same, since it is written beside the rows. */
int words_shelf(const struct uuid *domain);

/* Where a search looks: a scope, and the shelves (1 << shelf) that its rows may be on. */
#define WORDS_ALL_SHELVES UINT64_MAX
struct words_where {
    enum db_kind       kind;
    struct store_scope scope;
    uint64_t           shelves;
    bool
        quick; /* PostgreSQL: only what its index says quickly, which finds too much; the rest is asked of these rows */
};
/* What a search asks of one set, in the database's own words, appended to b, within the scope.
 * words_query: what the filters of the set want and (`without` too) do not want. words_query_one: one filter's phrase. */
void words_query(struct buf *b, const struct words_where *at, const struct store_words *words, size_t n, bool answers,
                 bool without);
void words_query_one(struct buf *b, const struct words_where *at, const struct store_words *one);

#endif
