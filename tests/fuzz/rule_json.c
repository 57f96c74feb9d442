/* A rule that was read is written, read again and written as the same; what may be stored is decided without harm.
 * Aims at lib/rules/rule_json.c, lib/rules/entry.c, lib/rules/rule.c and lib/base/json_read.c. */
#include "rules/rule.h"

#include "rules.h"

static void check_error(struct span json, const struct err *e)
{
    REQUIRE(e->code != ERR_NONE && e->text[0] != '\0');
    (void)json;
}

static void again(struct span json, struct arena *a, bool line, struct span scope, struct span policy)
{
    struct rule r;
    struct buf  twice;
    struct err  e = ERR_INIT;

    buf_init(&twice, 16 << 20);
    REQUIRE((line ? rule_line_from_json(json, a, NULL, &r, &scope, &policy, &e)
                  : rule_from_json(json, a, NULL, &r, &e)) == 0);
    if (line)
        rule_put_line_json(&twice, &r, scope, policy);
    else
        rule_put_json(&twice, &r);
    REQUIRE(span_eq(json, buf_span(&twice)));
    buf_fini(&twice);
}

static void conditions(struct span json, struct arena *a)
{
    struct rule r = {0};
    struct buf  once, twice;

    buf_init(&once, 16 << 20);
    buf_init(&twice, 16 << 20);
    if (rule_conditions_from_json(json, a, NULL, &r, NULL) == 0) {
        rule_put_conditions_json(&once, &r);
        REQUIRE(rule_conditions_from_json(buf_span(&once), a, NULL, &r, NULL) == 0);
        rule_put_conditions_json(&twice, &r);
        REQUIRE(span_eq(buf_span(&once), buf_span(&twice)));
    }
    buf_fini(&once);
    buf_fini(&twice);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span       json = span_make(data, size), scope, policy;
    struct rule_check check = {.may_regex = true};
    struct arena      a;
    struct rule       r;
    struct buf        once;
    struct err        e = ERR_INIT;

    arena_init(&a, 64 << 20);
    buf_init(&once, 16 << 20);
    if (rule_from_json(json, &a, NULL, &r, &e) == 0) {
        rule_put_json(&once, &r);
        again(buf_span(&once), &a, false, SPAN_NONE, SPAN_NONE);
        rule_vet(&r, &check, NULL);
    } else {
        check_error(json, &e);
    }
    buf_clear(&once);
    if (rule_line_from_json(json, &a, NULL, &r, &scope, &policy, NULL) == 0) {
        rule_put_line_json(&once, &r, scope, policy);
        again(buf_span(&once), &a, true, scope, policy);
    }
    conditions(json, &a);
    buf_fini(&once);
    arena_fini(&a);
    return 0;
}
