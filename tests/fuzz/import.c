/* A list in any form, line by line: what was read is a rule that can be written and read again, what was not has a reason.
 * Aims at lib/rules/import.c. */
#include "rules/import.h"

#include "rules.h"

static void again(const struct rule *r, struct span scope, struct span policy, struct arena *a)
{
    struct rule read;
    struct span scope_read, policy_read;
    struct buf  once, twice;

    buf_init(&once, 16 << 20);
    buf_init(&twice, 16 << 20);
    rule_put_line_json(&once, r, scope, policy);
    REQUIRE(rule_line_from_json(buf_span(&once), a, NULL, &read, &scope_read, &policy_read, NULL) == 0);
    rule_put_line_json(&twice, &read, scope_read, policy_read);
    REQUIRE(span_eq(buf_span(&once), buf_span(&twice)));
    buf_fini(&once);
    buf_fini(&twice);
}

static void read_as(enum import_format format, struct span text, const char *action, const char *kind)
{
    struct import_reader r;
    struct arena         a;
    struct span          line, scope, policy;
    struct rule          rule;

    import_init(&r, format, action, kind);
    arena_init(&a, 64 << 20);
    while (span_line(&text, &line)) {
        struct rule_check check = {.may_regex = true};
        struct err        e = ERR_INIT;
        int               rc = import_line(&r, line, &a, &check, &rule, &scope, &policy, &e);

        REQUIRE(rc >= 0 || (e.code != ERR_NONE && e.text[0] != '\0'));
        if (rc == IMPORT_RULE)
            again(&rule, scope, policy, &a);
        arena_reset(&a);
    }
    arena_fini(&a);
    import_fini(&r);
}

/* The first byte: the form, and whether the list says what it does. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span text = span_make(data + (size > 0), size - (size > 0));
    unsigned    how = size > 0 ? data[0] : 0;

    import_guess(text);
    read_as((enum import_format)(how & 3), text,
            how & 4   ? NULL
            : how & 8 ? "allow"
                      : "block",
            how & 16 ? import_kind_words[(how >> 5) % 5] : NULL);
    return 0;
}
