/* lib/mail/domain.c - domain names in one form. The sole user of libidn2 and libpsl. */
#include "mail/domain.h"

#include <idn2.h>
#include <libpsl.h>
#include <stdlib.h>

#include "base/utf8.h"

#define LABEL_MAX 63
/* The longest name in UTF-8 that may still come out as 253 bytes of A-labels. */
#define IDN_INPUT_MAX ((size_t)DOMAIN_MAX * 4)

/* What a character may be in a name: 1 as it is, 2 an upper-case letter, 0 nothing. */
static inline int name_char(unsigned char c)
{
    if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_')
        return 1;
    return c >= 'A' && c <= 'Z' ? 2 : 0;
}

static struct span lowered(struct span s, struct arena *a)
{
    char *p = arena_alloc(a, s.n + 1);

    if (p == NULL)
        return SPAN_NONE;
    for (size_t i = 0; i < s.n; i++)
        p[i] = (char)(s.p[i] >= 'A' && s.p[i] <= 'Z' ? s.p[i] + 32 : s.p[i]);
    p[s.n] = 0;
    return span_make(p, s.n);
}

/* Labels and lengths of an ASCII name without its final dot. */
static int check_ascii(struct span d, bool *upper_out, struct err *e)
{
    size_t label = 0;

    if (d.n > DOMAIN_MAX)
        return err_at(e, DOMAIN_MAX, "domain of %zu bytes, at most %d", d.n, DOMAIN_MAX);
    for (size_t i = 0; i < d.n; i++) {
        int kind = name_char((unsigned char)d.p[i]);

        if (d.p[i] == '.') {
            if (label == 0)
                return err_at(e, i, "empty label in domain \"%.*s\"", SPAN_ARG(d));
            label = 0;
            continue;
        }
        if (kind == 0)
            return err_at(e, i, "character \"%.1s\" cannot be in a domain", d.p + i);
        *upper_out |= kind == 2;
        if (++label > LABEL_MAX)
            return err_at(e, i, "a label of more than %d bytes in domain \"%.*s\"", LABEL_MAX, SPAN_ARG(d));
    }
    return label > 0 ? 0 : err_at(e, d.n, "empty label in domain \"%.*s\"", SPAN_ARG(d));
}

static int normalise_literal(struct span d, struct arena *a, struct span *out, struct err *e)
{
    if (d.n < 3 || d.p[d.n - 1] != ']')
        return err_at(e, d.n, "address literal without its closing bracket");
    if (d.n > DOMAIN_MAX)
        return err_at(e, DOMAIN_MAX, "address literal of %zu bytes, at most %d", d.n, DOMAIN_MAX);
    for (size_t i = 1; i + 1 < d.n; i++) {
        if (name_char((unsigned char)d.p[i]) == 0 && d.p[i] != '.' && d.p[i] != ':')
            return err_at(e, i, "character \"%.1s\" cannot be in an address literal", d.p + i);
    }
    *out = lowered(d, a);
    return out->p != NULL ? 0 : err_set(e, ERR_LIMIT, "no memory left for a domain");
}

static bool has_high_bytes(struct span s)
{
    for (size_t i = 0; i < s.n; i++) {
        if ((unsigned char)s.p[i] >= 0x80)
            return true;
    }
    return false;
}

/* UTF-8 to A-labels, copied into the arena. */
static int to_alabels(struct span d, struct arena *a, struct span *out, struct err *e)
{
    char     in[IDN_INPUT_MAX + 1];
    uint8_t *made = NULL;
    int      rc;

    if (d.n > IDN_INPUT_MAX)
        return err_at(e, IDN_INPUT_MAX, "domain of %zu bytes, at most %d", d.n, DOMAIN_MAX);
    if (memchr(d.p, 0, d.n) != NULL || !utf8_valid(d))
        return err_at(e, 0, "domain \"%.*s\" is not valid UTF-8", SPAN_ARG(d));
    memcpy(in, d.p, d.n);
    in[d.n] = 0;
    rc = idn2_lookup_u8((const uint8_t *)in, &made, IDN2_NONTRANSITIONAL | IDN2_NFC_INPUT);
    if (rc != IDN2_OK)
        return err_at(e, 0, "domain \"%.*s\": %s", SPAN_ARG(d), idn2_strerror(rc));
    *out = arena_dup(a, span_of((const char *)made));
    idn2_free(made);
    return out->p != NULL ? 0 : err_set(e, ERR_LIMIT, "no memory left for a domain");
}

int domain_normalise(struct span domain, struct arena *a, struct span *out, struct err *e)
{
    bool upper = false;

    *out = SPAN_NONE;
    if (domain.n > 0 && domain.p[0] == '[')
        return normalise_literal(domain, a, out, e);
    if (has_high_bytes(domain) && to_alabels(domain, a, &domain, e) < 0)
        return -1;
    if (domain.n > 1 && domain.p[domain.n - 1] == '.')
        domain.n--;
    if (check_ascii(domain, &upper, e) < 0)
        return -1;
    *out = upper ? lowered(domain, a) : domain;
    return out->p != NULL ? 0 : err_set(e, ERR_LIMIT, "no memory left for a domain");
}

struct span domain_display(struct span domain, struct arena *a)
{
    char        in[DOMAIN_MAX + 1];
    char       *made = NULL;
    struct span shown = SPAN_NONE;

    if (domain.n > DOMAIN_MAX || span_find(domain, SPAN("xn--")) == domain.n || memchr(domain.p, 0, domain.n) != NULL)
        return domain;
    memcpy(in, domain.p, domain.n);
    in[domain.n] = 0;
    if (idn2_to_unicode_8z8z(in, &made, IDN2_NONTRANSITIONAL) == IDN2_OK && utf8_valid(span_of(made)))
        shown = arena_dup(a, span_of(made));
    idn2_free(made);
    return shown.n > 0 ? shown : domain;
}

/* Names that have no owner below a suffix: literals, and what ends in a number (an IPv4 address). */
static bool is_address_like(struct span domain)
{
    if (domain.n == 0 || domain.p[0] == '[')
        return true;
    for (size_t i = domain.n; i > 0 && domain.p[i - 1] != '.'; i--) {
        if (domain.p[i - 1] < '0' || domain.p[i - 1] > '9')
            return false;
    }
    return true;
}

/* A NUL-terminated copy for libpsl; false when it cannot be a name. */
static bool psl_input(struct span domain, char out[DOMAIN_MAX + 1])
{
    if (domain.n > DOMAIN_MAX || is_address_like(domain) || memchr(domain.p, 0, domain.n) != NULL)
        return false;
    memcpy(out, domain.p, domain.n);
    out[domain.n] = 0;
    return true;
}

struct span domain_org(struct span domain)
{
    char        in[DOMAIN_MAX + 1];
    const char *org;

    if (!psl_input(domain, in) || (org = psl_registrable_domain(psl_builtin(), in)) == NULL)
        return domain;
    return span_skip(domain, (size_t)(org - in));
}

bool domain_is_public_suffix(struct span domain)
{
    char in[DOMAIN_MAX + 1];

    return psl_input(domain, in) && psl_is_public_suffix(psl_builtin(), in) == 1;
}

/* Sorted by bytes: searched by halving. */
/* clang-format off */
static const char *const freemail[] = {
    "126.com", "163.com", "aim.com", "alice.it", "aliyun.com", "aol.com", "aol.de", "arcor.de", "bk.ru", "bluewin.ch",
    "bol.com.br", "btinternet.com", "centrum.cz", "comcast.net", "daum.net", "email.cz", "fastmail.com", "fastmail.fm",
    "foxmail.com", "free.fr", "freenet.de", "gmail.com", "gmx.at", "gmx.ch", "gmx.com", "gmx.de", "gmx.net",
    "googlemail.com", "hanmail.net", "hey.com", "hotmail.be", "hotmail.ca", "hotmail.co.uk", "hotmail.com",
    "hotmail.com.br", "hotmail.de", "hotmail.es", "hotmail.fr", "hotmail.it", "icloud.com", "inbox.lv", "inbox.ru",
    "interia.pl", "laposte.net", "libero.it", "list.ru", "live.at", "live.ca", "live.co.uk", "live.com", "live.de",
    "live.fr", "live.it", "live.nl", "mac.com", "mail.com", "mail.de", "mail.ee", "mail.ru", "mailbox.org", "me.com",
    "msn.com", "naver.com", "o2.pl", "onet.pl", "op.pl", "orange.fr", "outlook.at", "outlook.be", "outlook.com",
    "outlook.com.br", "outlook.de", "outlook.dk", "outlook.es", "outlook.fr", "outlook.it", "pm.me", "posteo.de",
    "posteo.net", "proton.me", "protonmail.ch", "protonmail.com", "qq.com", "rambler.ru", "rediffmail.com",
    "rocketmail.com", "runbox.com", "seznam.cz", "sfr.fr", "sina.cn", "sina.com", "sohu.com", "t-online.de", "terra.com.br",
    "tiscali.it", "tuta.com", "tuta.io", "tutanota.com", "tutanota.de", "uol.com.br", "virgilio.it", "vodafone.de",
    "wanadoo.fr", "web.de", "wp.pl", "ya.ru", "yahoo.at", "yahoo.ca", "yahoo.co.id", "yahoo.co.in", "yahoo.co.jp",
    "yahoo.co.uk", "yahoo.com", "yahoo.com.ar", "yahoo.com.au", "yahoo.com.br", "yahoo.com.mx", "yahoo.de", "yahoo.es",
    "yahoo.fr", "yahoo.in", "yahoo.it", "yandex.com", "yandex.ru", "ymail.com", "zoho.com", "zohomail.com",
};
/* clang-format on */

static int freemail_cmp(const void *key, const void *row)
{
    return span_cmp(*(const struct span *)key, span_of(*(const char *const *)row));
}

bool domain_is_freemail(struct span domain)
{
    return bsearch(&domain, freemail, COUNT(freemail), sizeof freemail[0], freemail_cmp) != NULL;
}

bool domain_is_within(struct span domain, struct span parent)
{
    if (parent.n == 0 || !span_ends(domain, parent))
        return false;
    return domain.n == parent.n || domain.p[domain.n - parent.n - 1] == '.';
}
