/* lib/scan/lift.c - see lift.h. */
#include "scan/lift.h"

#include "base/secret.h"
#include "scan/findings.h"

#define NAME_MAX_BYTES 255 /* as far as the log keeps a virus's name */
#define HEX (2 * LIFT_DIGEST)

static const char *const family_words[] = {[FAMILY_VIRUS] = "virus",
                                           [FAMILY_FILE_TYPE] = "file_type",
                                           [FAMILY_MIME] = "mime",
                                           [FAMILY_GEOGRAPHY] = "geography",
                                           [FAMILY_LISTED] = "listed"};

static bool is_exact(enum finding_family f) { return f == FAMILY_VIRUS || f == FAMILY_LISTED; }

static struct lift_exact exactly(enum finding_family family, struct span symbol, struct span name)
{
    const struct span parts[] = {symbol, span_head(name, NAME_MAX_BYTES)};
    struct lift_exact x = {.family = (int)family};
    uint8_t           hash[SECRET_HASH];

    secret_hash_parts(parts, COUNT(parts), hash);
    memcpy(x.digest, hash, sizeof x.digest);
    return x;
}

static bool has(const struct lift *l, const struct lift_exact *x)
{
    for (size_t i = 0; i < l->n; i++)
        if (l->exact[i].family == x->family && memcmp(l->exact[i].digest, x->digest, sizeof x->digest) == 0)
            return true;
    return false;
}

static void add_exact(struct lift *l, struct lift_exact x)
{
    if (l->n < LIFT_EXACT_MAX && !has(l, &x))
        l->exact[l->n++] = x;
}

/* A virus has the names that stand in its options; a listed symbol is meant as it is. */
static size_t names_of(enum finding_family family, const struct rspamd_symbol *s)
{
    return family == FAMILY_VIRUS && s->noptions > 0 ? s->noptions : 1;
}

static struct lift_exact name_at(enum finding_family family, const struct rspamd_symbol *s, size_t i)
{
    return exactly(family, s->name, family == FAMILY_VIRUS && s->noptions > 0 ? s->options[i] : SPAN(""));
}

void lift_add(struct lift *l, const struct rspamd_symbol *symbols, size_t n, bool spamd, const struct conf_list *more)
{
    for (size_t i = 0; i < n; i++) {
        enum finding_family family = findings_family(symbols[i].name, spamd, more);

        if (is_exact(family))
            for (size_t k = 0; k < names_of(family, &symbols[i]); k++)
                add_exact(l, name_at(family, &symbols[i], k));
        else if (family != FAMILY_NONE)
            l->families |= 1u << family;
    }
}

bool lift_covers(const struct lift *l, const struct rspamd_symbol *s, bool spamd, const struct conf_list *more)
{
    enum finding_family family = findings_family(s->name, spamd, more);

    if (!is_exact(family))
        return family != FAMILY_NONE && (l->families & 1u << family) != 0;
    for (size_t k = 0; k < names_of(family, s); k++) {
        struct lift_exact x = name_at(family, s, k);

        if (!has(l, &x))
            return false;
    }
    return true;
}

/* ---- as text ---- */

void lift_put(struct buf *b, const struct lift *l)
{
    const char *comma = "";

    for (size_t f = 0; f < COUNT(family_words); f++)
        if ((l->families & 1u << f) != 0) {
            buf_printf(b, "%s%s", comma, family_words[f]);
            comma = ",";
        }
    for (size_t i = 0; i < l->n; i++, comma = ",") {
        buf_printf(b, "%s%s:", comma, family_words[l->exact[i].family]);
        for (size_t k = 0; k < LIFT_DIGEST; k++)
            buf_printf(b, "%02x", l->exact[i].digest[k]);
    }
}

static int hex_digit(char c) { return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1; }

static bool read_digest(struct span text, uint8_t out[LIFT_DIGEST])
{
    if (text.n != HEX)
        return false;
    for (size_t i = 0; i < LIFT_DIGEST; i++) {
        int high = hex_digit(text.p[2 * i]), low = hex_digit(text.p[2 * i + 1]);

        if (high < 0 || low < 0)
            return false;
        out[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

static bool read_word(struct span word, struct lift *out)
{
    size_t colon = span_chr(word, ':');

    for (size_t f = 0; f < COUNT(family_words); f++) {
        if (family_words[f] == NULL || !span_is(span_head(word, colon), family_words[f]))
            continue;
        if (!is_exact((enum finding_family)f)) {
            out->families |= 1u << f;
            return colon == word.n;
        }
        if (colon == word.n || out->n == LIFT_EXACT_MAX)
            return false;
        out->exact[out->n].family = (int)f;
        return read_digest(span_skip(word, colon + 1), out->exact[out->n++].digest);
    }
    return false;
}

bool lift_read(struct span text, struct lift *out)
{
    struct span word;

    *out = (struct lift){0};
    if (text.n == 0)
        return true;
    while (span_next(&text, ',', &word))
        if (!read_word(word, out)) {
            *out = (struct lift){0};
            return false;
        }
    return true;
}
