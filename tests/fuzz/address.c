/* Envelope paths, address lists and domain names: what comes out is normal and stays so, and a path that is accepted reads
 * the same in a header field.
 * Aims at lib/mail/address.c and lib/mail/domain.c. */
#include "mail.h"

static void check_path(struct span text, struct arena *a)
{
    struct address      path, one;
    struct err          e = ERR_INIT;
    struct address_walk w = {.rest = text, .arena = a};

    if (address_parse_path(text, a, &path, &e) < 0) {
        REQUIRE(e.code != ERR_NONE && e.at <= (text.n > ADDRESS_MAX ? text.n : ADDRESS_MAX));
        return;
    }
    if (path.full.n == 0)
        return;
    check_address(&path, a);
    if (span_trim(text).p[0] == '@') /* a route without brackets is for envelopes alone */
        return;
    REQUIRE(address_next(&w, &one));
    REQUIRE(span_eq(one.full, path.full));
    REQUIRE(!address_next(&w, &one) && !w.damaged);
}

static void check_list(struct span text, struct arena *a)
{
    struct address_walk w = {.rest = text, .arena = a};
    struct address      one;
    size_t              n = 0;

    while (address_next(&w, &one)) {
        check_address(&one, a);
        REQUIRE(lies_in(one.name, text));
        n++;
    }
    REQUIRE(w.rest.n == 0 && n == w.count);
}

static void check_domain(struct span text, struct arena *a)
{
    struct span out, again;
    struct err  e = ERR_INIT;

    if (domain_normalise(text, a, &out, &e) < 0) {
        REQUIRE(e.code != ERR_NONE);
        return;
    }
    REQUIRE(out.n > 0 && out.n <= DOMAIN_MAX && text_is_folded_ascii(out));
    REQUIRE(domain_normalise(out, a, &again, NULL) == 0 && span_eq(out, again));
    REQUIRE(domain_is_within(out, domain_org(out)));
    REQUIRE(utf8_valid(domain_display(out, a)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span  text = span_make(data, size);
    struct arena a;

    for (size_t max = 256u << 20; max > 0; max = max > 1024 ? 256 + size % 701 : 0) { /* then one that is soon full */
        arena_init(&a, max);
        if (max > 1024) {
            check_path(text, &a);
            check_list(text, &a);
            check_domain(text, &a);
        } else {
            struct address_walk w = {.rest = text, .arena = &a};
            struct address      one;

            while (address_next(&w, &one))
                continue;
            address_parse_path(text, &a, &one, NULL);
        }
        arena_fini(&a);
    }
    return 0;
}
