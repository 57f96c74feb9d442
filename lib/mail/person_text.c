/* lib/mail/person_text.c - see person_text.h. First what may stay of the code points, then the cut by clusters; libunistring knows what
 * Unicode says of each. */
#include "mail/person_text.h"

#include <unictype.h>
#include <unigbrk.h>

#include "base/buf.h"
#include "base/utf8.h"

#define MARKS_MAX 4
#define CLUSTER_MAX 16                               /* code points; the longest emoji in use have ten */
#define CLEAN_MAX ((size_t)3 * PERSON_TEXT_LOOK + 4) /* each byte may be a U+FFFD; the last character may end behind */

#define FSI "\xE2\x81\xA8"
#define PDI "\xE2\x81\xA9"
#define ELLIPSIS "\xE2\x80\xA6"

enum fate { OUT, BLANK, STAYS };

static bool directional_mark(uint32_t cp) { return cp == 0x200E || cp == 0x200F || cp == 0x061C; }

/* Goes with the character before it: a combining mark, a joiner, a variation selector. */
static bool leans_back(uint32_t cp)
{
    return cp == 0x200C || cp == 0x200D || (cp >= 0x300 && uc_is_general_category_withtable(cp, UC_CATEGORY_MASK_M));
}

static enum fate fate_of(uint32_t cp)
{
    if (cp == ' ' || (cp >= '\t' && cp <= '\r') || cp == 0x85)
        return BLANK;
    if (cp < 0x20 || (cp >= 0x7F && cp < 0xA0))
        return OUT;
    if (cp < 0x7F || directional_mark(cp) || cp == 0x200C || cp == 0x200D || uc_is_property_variation_selector(cp))
        return STAYS;
    if (uc_is_general_category_withtable(cp, UC_CATEGORY_MASK_Z))
        return BLANK;
    if (uc_is_property_default_ignorable_code_point(cp) ||
        (cp >= 0xFFF9 && cp <= 0xFFFB)) /* annotations between lines */
        return OUT;
    return STAYS;
}

static bool from_right(struct span s)
{
    for (size_t at = 0; at < s.n;) {
        uint32_t cp = utf8_next(s, &at, NULL);
        int      category = cp >= 0x590 ? uc_bidi_category(cp) : UC_BIDI_L;

        if (category == UC_BIDI_R || category == UC_BIDI_AL || category == UC_BIDI_AN)
            return true;
    }
    return false;
}

struct clean {
    char   text[CLEAN_MAX];
    size_t n;
    bool   shows; /* something that can be seen */
    bool   more;  /* there was more than we look at */
};

static void clean(struct span text, struct clean *c)
{
    size_t at = 0, leaning = 0;
    bool   gap = false;

    c->n = 0;
    c->shows = false;
    while (at < text.n && at < PERSON_TEXT_LOOK) {
        uint32_t  cp = utf8_next(text, &at, NULL);
        enum fate fate = fate_of(cp);

        gap = gap || (fate == BLANK && c->n > 0);
        if (fate != STAYS)
            continue;
        leaning = leans_back(cp) ? leaning + 1 : 0;
        if (leaning > MARKS_MAX || (leaning > 0 && c->n == 0)) /* at the front it would lean on what is ours */
            continue;
        if (gap)
            c->text[c->n++] = ' ';
        gap = false;
        c->n += utf8_put(cp, c->text + c->n);
        c->shows = c->shows || (leaning == 0 && !directional_mark(cp));
    }
    c->more = at < text.n;
}

/* The bytes of the cluster at *at that stay; moves *at behind all of it. begins[i]: a cluster begins at byte i. */
static struct span next_cluster(struct span s, const char *begins, size_t *at)
{
    size_t from = *at, end = from + 1, kept = from;

    while (end < s.n && begins[end] == 0)
        end++;
    for (size_t i = 0; i < CLUSTER_MAX && kept < end; i++)
        utf8_next(s, &kept, NULL);
    *at = end;
    return span_between(s.p + from, s.p + kept);
}

/* At most max clusters; where some are left out the last of them is the dots. */
static void put_clusters(struct buf *b, const struct clean *c, size_t max)
{
    struct span s = span_make(c->text, c->n);
    char        begins[CLEAN_MAX];
    size_t      count = 0, keep;
    bool        more;

    u8_grapheme_breaks((const uint8_t *)s.p, s.n, begins);
    for (size_t at = 0; at < s.n && count <= max; count++)
        next_cluster(s, begins, &at);
    more = c->more || count > max;
    keep = more && count >= max ? max - 1 : count;
    for (size_t at = 0, n = 1; n <= keep; n++) {
        struct span cluster = next_cluster(s, begins, &at);

        if (!more || n < keep || !span_is(cluster, " ")) /* no blank before the dots */
            buf_put(b, cluster);
    }
    if (more)
        buf_puts(b, ELLIPSIS);
}

struct span person_text(struct span text, size_t max, struct arena *a)
{
    struct clean c;
    struct buf   b;
    struct span  done;

    clean(text, &c);
    if (!c.shows)
        return SPAN("");
    buf_init(&b, sizeof c.text + sizeof ELLIPSIS);
    put_clusters(&b, &c, max);
    done = from_right(buf_span(&b)) ? arena_printf(a, FSI "%s" PDI, b.p) : arena_dup(a, buf_span(&b));
    buf_fini(&b);
    return done;
}
