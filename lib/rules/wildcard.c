/* lib/rules/wildcard.c - see wildcard.h.
 *
 * A pattern without alternatives is matched by the usual two pointers: only the last `*` can have to take more. With
 * alternatives of different lengths that is no longer true ("[a|ab]c"), so all possible positions in the pattern are kept at
 * once, a bit each, and moved over one character of text after the other. */
#include "rules/wildcard.h"

#include "base/utf8.h"

static struct span char_at(struct span s, size_t at)
{
    size_t end = at + 1;

    if ((uint8_t)s.p[at] >= 0x80) {
        end = at;
        utf8_next(s, &end, NULL);
    }
    return span_make(s.p + at, end - at);
}

struct wildcard_item wildcard_next(struct wildcard_walk *w)
{
    struct wildcard_item item = {.kind = WILDCARD_LITERAL, .at = w->at};

    if (w->at >= w->pattern.n) {
        item.kind = WILDCARD_END;
        return item;
    }
    switch (w->pattern.p[w->at]) {
    case '*': item.kind = w->inside ? WILDCARD_LITERAL : WILDCARD_RUN; break;
    case '?': item.kind = w->inside ? WILDCARD_LITERAL : WILDCARD_ONE; break;
    case '[': item.kind = w->inside ? WILDCARD_LITERAL : WILDCARD_OPEN; break;
    case '|': item.kind = w->inside ? WILDCARD_BAR : WILDCARD_LITERAL; break;
    case ']': item.kind = w->inside ? WILDCARD_CLOSE : WILDCARD_LITERAL; break;
    case '\\':
        item.cut = w->at + 1 == w->pattern.n;
        w->at += item.cut ? 0 : 1;
        break;
    default: break;
    }
    if (item.kind == WILDCARD_OPEN || item.kind == WILDCARD_CLOSE)
        w->inside = item.kind == WILDCARD_OPEN;
    item.text = char_at(w->pattern, w->at);
    w->at += item.text.n;
    return item;
}

/* Most entries hold none of the special characters, and there are many entries. */
static bool is_ordinary(struct span text)
{
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] == '*' || text.p[i] == '?' || text.p[i] == '[' || text.p[i] == '\\')
            return false;
    }
    return true;
}

bool wildcard_is(struct span text)
{
    struct wildcard_walk w = {.pattern = text};
    struct wildcard_item item;

    if (is_ordinary(text))
        return false;
    while ((item = wildcard_next(&w)).kind != WILDCARD_END) {
        if (item.kind != WILDCARD_LITERAL)
            return true;
    }
    return false;
}

int wildcard_check(struct span pattern, struct err *e)
{
    struct wildcard_walk w = {.pattern = pattern};
    struct wildcard_item item;
    size_t               open = 0, filled = 0;

    if (pattern.n > WILDCARD_MAX)
        return err_at(e, WILDCARD_MAX, "%zu bytes are too long for a wildcard, at most %d", pattern.n, WILDCARD_MAX);
    if (is_ordinary(pattern))
        return 0;
    while ((item = wildcard_next(&w)).kind != WILDCARD_END) {
        if (item.cut)
            return err_at(e, item.at, "nothing behind \"\\\" - write \"\\\\\" for the character itself");
        if (item.kind == WILDCARD_OPEN)
            open = item.at;
        else if ((item.kind == WILDCARD_BAR || item.kind == WILDCARD_CLOSE) && filled == 0)
            return err_at(e, item.at, "an empty alternative - write something between \"[\", \"|\" and \"]\"");
        else if (w.inside && item.text.n == 1 && item.at + 1 == w.at && strchr("*?[", item.text.p[0]) != NULL)
            return err_at(e, item.at, "alternatives hold no wildcards - write \"\\%c\" for the character itself",
                          item.text.p[0]);
        filled = item.kind == WILDCARD_LITERAL ? filled + 1 : 0;
    }
    if (w.inside)
        return err_at(e, open, "unclosed \"[\" - write \"\\[\" for the character itself");
    return 0;
}

/* Without alternatives. `star` is the walk behind the last `*`, `taken` the text that it has taken up to. */
static bool match_plain(struct span pattern, struct span text)
{
    struct wildcard_walk w = {.pattern = pattern}, star = w;
    size_t               at = 0, taken = 0;
    bool                 starred = false;

    for (;;) {
        struct wildcard_item item = wildcard_next(&w);
        struct span          c;

        if (item.kind == WILDCARD_RUN) {
            starred = true;
            star = w;
            taken = at;
            continue;
        }
        if (at == text.n)
            return item.kind == WILDCARD_END;
        if (item.kind != WILDCARD_END) {
            c = char_at(text, at);
            if (item.kind == WILDCARD_ONE || span_eq(item.text, c)) {
                at += c.n;
                continue;
            }
        }
        if (!starred)
            return false;
        taken += char_at(text, taken).n;
        at = taken;
        w = star;
    }
}

/* The positions in the pattern at which matching may stand; a bit for each byte and one for the end. */
struct places {
    uint64_t bits[WILDCARD_MAX / 64 + 1];
};

static void put(struct places *s, size_t at) { s->bits[at / 64] |= UINT64_C(1) << at % 64; }
static bool has(const struct places *s, size_t at) { return s->bits[at / 64] >> at % 64 & 1; }

/* From all places over the character c (empty: over nothing, for what needs no text). Every move goes forward in the pattern,
 * so one walk from left to right sees each place after those that lead to it. Alternatives: "[" leads behind itself and
 * behind each "|"; "|" and "]" lead behind "]". */
static bool step(struct span pattern, struct places *now, struct span c, struct places *next)
{
    struct wildcard_walk w = {.pattern = pattern};
    struct wildcard_item item;
    bool                 entered = false, ended = false, any = false;

    memset(next, 0, sizeof *next);
    for (; (item = wildcard_next(&w)).kind != WILDCARD_END;) {
        bool here = has(now, item.at);

        switch (item.kind) {
        case WILDCARD_OPEN:
            entered = here;
            ended = false;
            if (here)
                put(now, w.at);
            break;
        case WILDCARD_BAR:
            ended = ended || here;
            if (entered)
                put(now, w.at);
            break;
        case WILDCARD_CLOSE:
            if (ended || here)
                put(now, w.at);
            break;
        case WILDCARD_RUN:
            if (!here)
                break;
            put(now, w.at);
            if (c.n > 0) {
                put(next, item.at);
                any = true;
            }
            break;
        default:
            if (here && c.n > 0 && (item.kind == WILDCARD_ONE || span_eq(item.text, c))) {
                put(next, w.at);
                any = true;
            }
        }
    }
    return any;
}

static bool match_alternatives(struct span pattern, struct span text)
{
    struct places now = {0}, next;

    put(&now, 0);
    for (size_t at = 0; at < text.n;) {
        struct span c = char_at(text, at);

        if (!step(pattern, &now, c, &next))
            return false;
        now = next;
        at += c.n;
    }
    step(pattern, &now, SPAN_NONE, &next);
    return has(&now, pattern.n);
}

bool wildcard_match(struct span pattern, struct span text)
{
    if (pattern.n > WILDCARD_MAX)
        return false;
    if (pattern.n == 0)
        return text.n == 0;
    if (memchr(pattern.p, '[', pattern.n) == NULL)
        return match_plain(pattern, text);
    return match_alternatives(pattern, text);
}

void wildcard_unescape(struct span text, struct buf *out)
{
    struct wildcard_walk w = {.pattern = text};
    struct wildcard_item item;

    while ((item = wildcard_next(&w)).kind != WILDCARD_END)
        buf_put(out, item.text);
}

void wildcard_literal(struct span pattern, struct buf *out)
{
    struct wildcard_walk w = {.pattern = pattern};
    struct wildcard_item item;
    size_t               from = 0, n = 0, best_from = 0, best_to = 0, best = 0;

    do {
        item = wildcard_next(&w);
        if (item.kind == WILDCARD_LITERAL && !w.inside) {
            n += item.text.n;
            continue;
        }
        if (n > best) {
            best = n;
            best_from = from;
            best_to = item.at;
        }
        n = 0;
        from = w.at;
    } while (item.kind != WILDCARD_END);
    wildcard_unescape(span_make(pattern.p + best_from, best_to - best_from), out);
}
