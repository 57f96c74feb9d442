/* rulesd/tokens.h - the keys of programs (store/api_key.h), in memory.
 *
 * A table of all keys, read whole and swapped; held while a request looks at its key. It is read again when the change feed has
 * moved since (cache_feed_seq()), by who asks, on a thread that may wait for the database; while the database is away the last
 * table goes on deciding. Uses are noted here, and written now and then. */
#ifndef POSTERN_RULESD_TOKENS_H
#define POSTERN_RULESD_TOKENS_H

#include "caller.h"
#include "store/api_key.h"

#define TOKENS_USED_US (600 * INT64_C(1000000)) /* a use is written this long after the last that was */

struct tokens;
struct token_table;

struct tokens *tokens_new(void);
void           tokens_free(struct tokens **t); /* when no token is held */

/* Reads the table anew unless it is as new as seq, and writes uses that are due. s NULL: the database is away, nothing is done.
 * Any thread, each with a store of its own. -1: the table is as it was. */
int tokens_refresh(struct tokens *t, struct store *s, int64_t seq, int64_t now_us, struct err *e);

/* One key, held: good until token_drop(). */
struct token {
    struct token_table         *table;
    const struct store_api_key *key;
};
enum token_answer {
    TOKEN_OK,
    TOKEN_UNKNOWN, /* none, wrong, revoked, lapsed, or not from there: who guesses learns no more */
    TOKEN_DENIED,  /* a good one, for something else */
};
/* scope empty: any will do. *out is held when the answer is TOKEN_OK. Any thread, takes a lock for a moment. */
enum token_answer tokens_ask(struct tokens *t, struct span text, struct span scope, const struct peer *from,
                             int64_t now_us, struct token *out);
void              token_drop(struct token *k);

size_t tokens_count(struct tokens *t);

#endif
