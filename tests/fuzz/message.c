/* A message answers every question, twice alike, in any order, and alike with either kind of line end; what it answers lies in
 * the message or is valid UTF-8.
 * Aims at lib/mail/message.c, lib/mail/part.c, lib/mail/mime.c, lib/mail/header.c, lib/mail/leaf.c, lib/mail/html.c and
 * lib/mail/text.c. */
#include "mail.h"

#include "base/ip.h"
#include "mail/mime.h"
#include "mail/message.h"

#define ARENA_MAX (1u << 30)

static void check_header(struct message *m, struct arena *a)
{
    struct span head = message_header_block(m), body = message_body_raw(m), raw = message_raw(m);
    size_t      n = message_nheaders(m, NULL), at = head.n;

    REQUIRE(lies_in(head, raw) && lies_in(body, raw) && head.n + body.n <= raw.n);
    for (size_t i = n; i-- > 0;) {
        const struct header *h = message_header_at(m, i);
        struct span          text, folded;
        size_t               next = i;
        bool                 clean;

        REQUIRE(lies_in(h->name, h->whole) && lies_in(h->body, h->whole) && h->name.n > 0);
        REQUIRE(lies_in(h->whole, span_head(head, at)));
        at = (size_t)(h->whole.p - head.p);
        REQUIRE(message_header_next(m, h->name, &next) == h && next == i + 1);
        text = message_header_text(m, i, &clean);
        folded = message_header_folded(m, i, &clean);
        REQUIRE(utf8_valid(text) && utf8_valid(folded));
        REQUIRE(span_eq(text_fold(folded, a), folded));
    }
    for (size_t i = 0; i < n && i < 8; i++) { /* the chain finds what a plain search does */
        const struct header *h = message_header_at(m, i);
        size_t               next = 0;

        for (size_t j = 0; j < n; j++) {
            if (span_eq_ci(message_header_at(m, j)->name, h->name))
                REQUIRE(message_header_next(m, h->name, &next) == message_header_at(m, j));
        }
        REQUIRE(message_header_next(m, h->name, &next) == NULL);
    }
}

static void check_addresses(struct message *m, struct arena *a)
{
    const struct address *list;
    struct span           ip;
    size_t                n;
    enum fact             fact = message_from(m, &list, &n);

    REQUIRE(fact != FACT_NO || n == 0);
    REQUIRE(fact != FACT_YES || n > 0);
    for (size_t i = 0; i < n; i++)
        check_address(&list[i], a);
    REQUIRE(lies_in(message_id(m), message_raw(m)));
    for (size_t i = 0; message_received_ip(m, i, &ip); i++) {
        struct ip parsed;

        REQUIRE(ip.n == 0 || (lies_in(ip, message_raw(m)) && ip_parse(ip, false, &parsed)));
    }
}

static void check_parts(struct message *m)
{
    bool   limit_hit;
    size_t n = message_parts(m, &limit_hit);

    REQUIRE(n <= MESSAGE_PARTS_MAX && (n > 0 || limit_hit || message_raw(m).n > 0));
    REQUIRE(!limit_hit || message_limit(m) != NULL);
    for (size_t i = 0; i < n; i++) {
        const struct message_part *p = message_part_at(m, i);

        REQUIRE(lies_in(p->raw, message_raw(m)));
        REQUIRE(mime_is_type(p->type) && p->depth <= MESSAGE_DEPTH_MAX);
        REQUIRE(p->attachment == (p->detached || p->filename.n > 0 || p->kind == LEAF_MESSAGE));
        REQUIRE(utf8_valid(p->filename));
        for (size_t j = 0; j < p->filename.n; j++)
            REQUIRE((unsigned char)p->filename.p[j] >= ' ' && strchr("/\\\x7f", p->filename.p[j]) == NULL);
    }
}

static void check_texts(struct message *m, struct arena *a)
{
    const struct message_text *seen, *all;
    size_t                     nseen, nall;
    enum fact                  fact = message_texts(m, false, &seen, &nseen);

    REQUIRE(message_texts(m, true, &all, &nall) == fact && nall >= nseen && all == seen);
    REQUIRE(fact != FACT_NO || nseen == 0);
    for (size_t i = 0; i < nall; i++) {
        REQUIRE(all[i].html_source == (i >= nseen));
        REQUIRE(utf8_valid(all[i].text) && utf8_valid(all[i].folded));
        REQUIRE(span_eq(text_fold(all[i].text, a), all[i].folded));
        REQUIRE(fact != FACT_YES || all[i].clean);
    }
}

/* The same answers, though asked for in another order. */
static void check_same(struct message *one, struct message *two)
{
    const struct message_text *t1, *t2;
    size_t                     n1, n2;

    REQUIRE(message_texts(two, true, &t2, &n2) == message_texts(one, true, &t1, &n1) && n1 == n2);
    for (size_t i = 0; i < n1; i++)
        REQUIRE(span_eq(t1[i].text, t2[i].text) && t1[i].clean == t2[i].clean);
    REQUIRE(message_size_crlf(one) == message_size_crlf(two));
}

/* The same structure, though every line ends in CRLF. */
static void check_crlf(struct message *lf, struct span raw, struct arena *a)
{
    char           *p = arena_alloc(a, raw.n * 2 + 1);
    size_t          n = 0;
    struct message *crlf;

    for (size_t i = 0; i < raw.n; i++) {
        if (raw.p[i] == '\n' && (i == 0 || raw.p[i - 1] != '\r'))
            p[n++] = '\r';
        p[n++] = raw.p[i];
    }
    crlf = message_open(span_make(p, n), a);
    REQUIRE(message_nheaders(crlf, NULL) == message_nheaders(lf, NULL));
    REQUIRE(message_parts(crlf, NULL) == message_parts(lf, NULL));
    REQUIRE(message_size_crlf(crlf) == message_size_crlf(lf));
    REQUIRE(message_size_crlf(crlf) == message_header_block(crlf).n + message_body_raw(crlf).n);
    for (size_t i = 0; i < message_parts(lf, NULL); i++) {
        const struct message_part *one = message_part_at(lf, i), *two = message_part_at(crlf, i);

        REQUIRE(one->kind == two->kind && span_eq(one->type, two->type) && span_eq(one->filename, two->filename));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span     raw = span_make(data, size);
    struct arena    a;
    struct message *m;

    arena_init(&a, ARENA_MAX);
    m = message_open(raw, &a);
    check_header(m, &a);
    check_addresses(m, &a);
    check_parts(m);
    check_texts(m, &a);
    check_same(m, message_open(raw, &a));
    if (size < 30000)
        check_crlf(m, raw, &a);
    arena_fini(&a);

    arena_init(&a, 1024 + size * 7 % 65536); /* one that is full somewhere on the way */
    if ((m = message_open(raw, &a)) != NULL) {
        const struct message_text *texts;
        const struct address      *from;
        size_t                     n;
        bool                       clean;

        for (size_t i = 0; i < message_nheaders(m, NULL); i++)
            message_header_folded(m, i, &clean);
        message_from(m, &from, &n);
        message_texts(m, true, &texts, &n);
        REQUIRE(!a.full || message_limit(m) != NULL);
    }
    arena_fini(&a);
    return 0;
}
