/* lib/store/words_everybody.c - everybody's words: as a moment has them, and how they are asked for. */
#include "store/words_inside.h"

#include <stdio.h>

#include "base/utf8.h"

/* What stands before a moment's words says of which set they are; and so there is none of which nothing is left when SQLite looks for
 * words in it. */
static char moment_mark(bool answers, bool pair) { return pair ? (answers ? 'v' : 'w') : (answers ? 'y' : 'x'); }

#define PAIR_DIGITS 3     /* of 16: the lists of 4,096 numbers are short, and take next to no room */
#define PAIR_ANY "any"    /* what goes beyond ASCII, where SQLite finds letters without their accents too */
#define PAIR_NEXT_CHARS 3 /* of the second word, which may only be begun */

static struct span span_of_word(const struct word *w) { return span_make(w->text, w->n); }

/* Two words side by side: a number of the first and of how the second begins. */
static void pair_of(const struct word *first, const struct word *second, char out[PAIR_DIGITS + 1])
{
    struct span next = span_head(span_of_word(second), PAIR_NEXT_CHARS);
    uint32_t    h = 2166136261u; /* FNV-1a */

    if (!span_is_ascii(span_of_word(first)) || !span_is_ascii(span_of_word(second))) {
        memcpy(out, PAIR_ANY, sizeof PAIR_ANY);
        return;
    }
    for (size_t i = 0; i < first->n; i++)
        h = (h ^ (unsigned char)first->text[i]) * 16777619u;
    h = (h ^ ' ') * 16777619u;
    for (size_t i = 0; i < next.n; i++)
        h = (h ^ (unsigned char)next.p[i]) * 16777619u;
    snprintf(out, PAIR_DIGITS + 1, "%03x", (h ^ h >> 12 ^ h >> 24) & 0xFFF);
}

static void put_marked(struct buf *b, char mark, struct span word)
{
    char *room = buf_reserve(b, word.n + 2);

    if (room == NULL)
        return;
    room[0] = mark;
    memcpy(room + 1, word.p, word.n);
    room[word.n + 1] = ' ';
    b->n += word.n + 2;
}

void words_put_moment(struct buf *b, bool answers, const struct span *texts, size_t n)
{
    struct word two[2];
    size_t      count = 0;
    char        pair[PAIR_DIGITS + 1];

    for (size_t i = 0; i < n; i++) {
        struct span text = words_head(texts[i]);
        size_t      at = 0;

        for (; words_next(text, &at, &two[count % 2]); count++) {
            put_marked(b, moment_mark(answers, false), span_of_word(&two[count % 2]));
            if (count == 0)
                continue;
            pair_of(&two[(count + 1) % 2], &two[count % 2], pair);
            put_marked(b, moment_mark(answers, true), span_of(pair));
        }
    }
}

/* In its place among the others. */
static void ask_all(struct words_of_all *all, struct span word, const struct store_words *one, bool begins, bool pair)
{
    size_t at = all->n;

    while (at > 0 && all->words[at - 1].n < word.n)
        at--;
    if (at == WORDS_OF_ALL)
        return;
    all->n += all->n < WORDS_OF_ALL;
    memmove(&all->words[at + 1], &all->words[at], (all->n - 1 - at) * sizeof all->words[0]);
    memcpy(all->words[at].text, word.p, word.n);
    all->words[at].n = word.n;
    all->words[at].begins = begins;
    all->words[at].answers = words_in_answers(one->field);
    all->words[at].pair = pair;
    all->words[at].letters = words_fields[one->field].letters;
}

/* A word that is begun says how it begins as far as it goes. Beyond ASCII nothing can be asked. */
static void ask_pair(struct words_of_all *all, const struct word *first, const struct word *second, bool begins,
                     const struct store_words *one)
{
    char pair[PAIR_DIGITS + 1];

    pair_of(first, second, pair);
    if ((!begins || second->n >= PAIR_NEXT_CHARS) && strcmp(pair, PAIR_ANY) != 0)
        ask_all(all, span_of(pair), one, false, true);
}

/* The last word of an address, which may be begun, is left out: all that begin like it would have to be collected. */
static void ask_all_of(struct words_of_all *all, const struct store_words *one, bool pairs)
{
    struct span text = span_head(one->text, utf8_clip(one->text, WORDS_ASKED_MAX));
    bool        of_address = words_of_address(words_fields[one->field].letters[0]), begins;
    struct word w, next, before;
    size_t      at = 0;
    bool        more = words_next(text, &at, &w);

    for (int i = 0; more; i++) {
        more = i + 1 < WORDS_ASKED && words_next(text, &at, &next);
        begins = !more && (w.chars >= WORD_PREFIX_MIN || text.n < one->text.n);
        if (more || i == 0 || !of_address)
            ask_all(all, span_of_word(&w), one, begins, false);
        if (pairs && i > 0)
            ask_pair(all, &before, &w, begins, one);
        before = w;
        if (more)
            w = next;
    }
}

void words_ask_all(struct words_of_all *out, const struct store_words *words, size_t n, bool moments)
{
    out->n = 0;
    for (size_t i = 0; i < n; i++)
        if (words_asks(&words[i], false, false) || (moments && words_asks(&words[i], true, false)))
            ask_all_of(out, &words[i], moments);
}

void words_query_moments(struct buf *b, const struct words_of_all *asked, size_t from, size_t n)
{
    for (size_t i = from; i < from + n; i++) {
        const struct words_one_of_all *one = &asked->words[i];
        char                           mark = moment_mark(one->answers, one->pair);

        if (one->pair)
            buf_printf(b, "%s(%c%.*s OR %c" PAIR_ANY ")", i > from ? " AND " : "", mark, (int)one->n, one->text, mark);
        else
            buf_printf(b, "%s\"%c%.*s\"%s", i > from ? " AND " : "", mark, (int)one->n, one->text,
                       one->begins ? " *" : "");
    }
}

/* Is the text, of ASCII alone, without one of the words? One with an accent may be there without it. */
static bool lacks(struct span text, struct span wanted)
{
    struct word w;
    size_t      at = 0;

    wanted = span_head(wanted, utf8_clip(wanted, WORDS_ASKED_MAX));
    for (int i = 0; i < WORDS_ASKED && words_next(wanted, &at, &w); i++)
        if (span_is_ascii(span_of_word(&w)) && span_find_ci(text, span_make(w.text, w.n)) == text.n)
            return true;
    return false;
}

bool words_may_hold(struct span text, enum search_field field, const struct store_words *words, size_t n)
{
    if (!span_is_ascii(text))
        return true;
    for (size_t i = 0; i < n; i++)
        if (words[i].field == field && !words[i].without && words_any(words[i].text) && lacks(text, words[i].text))
            return false;
    return true;
}
