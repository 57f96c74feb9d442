/* tests/fuzz/mail.h - what the fuzz targets of lib/mail share. */
#ifndef POSTERN_TESTS_FUZZ_MAIL_H
#define POSTERN_TESTS_FUZZ_MAIL_H

#include <stdio.h>
#include <stdlib.h>

#include "base/utf8.h"
#include "mail/address.h"
#include "mail/leaf.h"
#include "mail/text.h"

#define REQUIRE(condition)                                                                                             \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition);                                    \
            abort();                                                                                                   \
        }                                                                                                              \
    } while (0)

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    mail_init();
    return 0;
}

static inline bool lies_in(struct span inner, struct span outer)
{
    return inner.n == 0 || (inner.p >= outer.p && inner.p + inner.n <= outer.p + outer.n);
}

/* What every address promises. */
static inline void check_address(const struct address *one, struct arena *a)
{
    struct span again;

    REQUIRE(one->full.n == one->local.n + 1 + one->domain.n);
    REQUIRE(span_rchr(one->full, '@') == one->local.n);
    REQUIRE(one->local.n > 0 && utf8_valid(one->local));
    REQUIRE(domain_normalise(one->domain, a, &again, NULL) == 0 && span_eq(again, one->domain));
    REQUIRE(span_ends(one->domain, domain_org(one->domain)));
    REQUIRE(domain_is_within(one->domain, domain_org(one->domain)));
    for (size_t i = 0; i < one->full.n; i++)
        REQUIRE((unsigned char)one->full.p[i] >= ' ' && one->full.p[i] != 0x7f);
    domain_is_public_suffix(one->domain);
    domain_is_freemail(one->domain);
    REQUIRE(utf8_valid(domain_display(one->domain, a)));
}

#endif
