/* lib/rules/regex.h - PCRE2 on hostile patterns and hostile text, with caps that decide the same way each time.
 *
 * PCRE2 8-bit, JIT, UTF, UCP; caseless unless asked; multiline on bodies (there CR, LF and CRLF end a line). Refused: (*VERB)s,
 * \C, \G, callouts, more than REGEX_SOURCE_MAX bytes, more than REGEX_CODE_MAX when compiled. Text is valid UTF-8, as
 * mail/text.h makes it, and capped (4 KiB of a header, 64 KiB of body, at a character) by the caller: neither is checked again.
 * Matching runs in windows of at most 64 start positions (PCRE2_USE_OFFSET_LIMIT), match limit 10,000 at each start; the whole
 * text is the subject, so lookbehind sees across windows. Beyond 8 KiB of text the match limit falls in proportion, to 1,250 at
 * 64 KiB: one step may walk all of the text, and the time of one start is what no clock can cut. Between windows the clock is
 * read against the budgets. A limit that is hit gives REGEX_LIMIT: the condition is unknown.
 * Threads   Patterns are immutable once compiled; each thread has its own match data and JIT stack, freed when it ends. The
 *           first match compiles (and JITs) a lazily held pattern; threads may race, one wins. */
#ifndef POSTERN_RULES_REGEX_H
#define POSTERN_RULES_REGEX_H

#include "base/buf.h"
#include "base/err.h"

#define REGEX_SOURCE_MAX 1024
#define REGEX_CODE_MAX 8192
#define REGEX_HEADER_MAX 4096
#define REGEX_BODY_MAX 65536
#define REGEX_MATCH_LIMIT 10000
#define REGEX_LIMIT_TEXT 8192 /* bytes of text up to which it holds undivided */
#define REGEX_WINDOW 64
#define REGEX_SCOPE_US 20000
#define REGEX_MESSAGE_US 100000

enum regex_outcome { REGEX_NO, REGEX_YES, REGEX_LIMIT };
#define REGEX_CASELESS 1u
#define REGEX_MULTILINE 2u

/* CPU left, shared by all regexes of a scope / of a message; the circuit breaker. */
struct regex_budget {
    int64_t left_us;
    bool    tripped;
};

struct regex; /* opaque */
/* Compiles and checks: for saving. e has the offset, PCRE2's reason, and a cure where we know one. */
int regex_check(struct span source, unsigned flags, struct err *e);
/* A lazily compiled pattern over `source` (borrowed for its life). At most 48 bytes until first used. */
void          regex_init(struct regex *r, struct span source, unsigned flags);
struct regex *regex_array(size_t n); /* zeroed, calloc'd; regex_at(array, i) */
struct regex *regex_at(struct regex *array, size_t i);
void          regex_array_free(struct regex **array, size_t n);
/* Budgets may be NULL. One that has tripped stays so: every further match against it is REGEX_LIMIT. */
enum regex_outcome regex_match(struct regex *r, struct span text, struct regex_budget *scope,
                               struct regex_budget *message);
/* Has a match of it been seen to take a millisecond of CPU? Then it should not be tried where others wait. Only where budgets
 * are given is time measured. */
bool   regex_took_long(const struct regex *r);
size_t regex_memory(const struct regex *r);
/* Appends the longest literal (ASCII, lower-cased when caseless) that every match must contain; conservative: nothing when
 * in doubt (alternation at that level, optional parts, classes, groups, inline options, lookarounds; \Q…\E is fine). True if
 * any. Whatever a caseless regex matches holds its literal once it is folded by text_fold(). */
bool regex_literal(struct span source, unsigned flags, struct buf *out);
bool regex_jit_on(void);

#endif
