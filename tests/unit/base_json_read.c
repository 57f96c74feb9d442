#include "base/json_read.h"

#include "check.h"

static struct arena arena;

/* Reads any value whole, depth-first, with a stack of its own; the types it met, as letters. */
static int read_all(struct span json, char *met, size_t max, struct err *e)
{
    struct json_read  r = {.in = json, .arena = &arena};
    struct json_value v, key;
    char              open[64];
    size_t            depth = 0, n = 0;
    int               rc;

    if (json_value(&r, &v, e) < 0)
        return -1;
    for (;;) {
        if (n + 2 < max)
            met[n++] = "zbns[{"[v.type];
        if (v.type >= JSON_ARRAY)
            open[depth++] = v.type == JSON_ARRAY ? '[' : '{';
        while (depth > 0) {
            rc = open[depth - 1] == '[' ? json_item(&r, e) : json_member(&r, &key, e);
            if (rc < 0)
                return -1;
            if (rc > 0)
                break;
            met[n++] = open[--depth] == '[' ? ']' : '}';
        }
        if (depth == 0)
            break;
        if (depth == sizeof open || json_value(&r, &v, e) < 0)
            return -1;
    }
    met[n] = '\0';
    return json_end(&r, e);
}

static const struct {
    const char *json, *met;
} good[] = {
    {"null", "z"},
    {" true ", "b"},
    {"[false,-1.5e+3]", "[bn]"},
    {"{}", "{}"},
    {"[]", "[]"},
    {"[[],[[]],{}]", "[[][[]]{}]"},
    {"{\"a\":[1,{\"b\":\"c\"}],\"d\":0}", "{[n{s}]n}"},
    {"\"\\u00fc\"", "s"},
    {"\t{\r\n\"a\" : 1 }\n", "{n}"},
    {"0", "n"},
};

static void good_json_is_read_in_order(void **unused)
{
    char       met[64];
    struct err e = ERR_INIT;

    (void)unused;
    for (size_t i = 0; i < COUNT(good); i++) {
        CHECK(good[i].json, read_all(span_of(good[i].json), met, sizeof met, &e) == 0);
        CHECK(good[i].json, strcmp(met, good[i].met) == 0);
    }
}

static const struct {
    const char *json;
    size_t      at;
    const char *says;
} bad[] = {
    {"", 0, "ends where a value was expected"},
    {"  ", 2, "ends where a value was expected"},
    {"nul", 0, "a value was expected"},
    {"[1,]", 3, "byte 4: a value was expected"},
    {"[1 2]", 3, "a comma or \"]\" was expected"},
    {"{\"a\":1,}", 7, "a key in quotes was expected"},
    {"{\"a\" 1}", 5, "a colon was expected"},
    {"{a:1}", 1, "a key in quotes"},
    {"{\"a\":1", 6, "ends where a comma or \"}\""},
    {"[1}", 2, "a comma or \"]\""},
    {"1 2", 2, "behind the end"},
    {"01", 1, "a number was expected"},
    {"-", 1, "ends where a number"},
    {"1.", 2, "a number"},
    {"1e", 2, "a number"},
    {"+1", 0, "a value"},
    {"\"abc", 0, "no closing quote"},
    {"\"abc\\", 0, "no closing quote"},
    {"\"abc\\\"", 0, "no closing quote"},
    {"\"a\nb\"", 2, "write it as \\u000a"},
    {"\"a\\qb\"", 2, "no such escape - write \"\\\\\""},
    {"\"\\u12\"", 1, "no character that may stand"},
    {"\"a\\u0000\"", 2, "no character that may stand"},
    {"\"\\ud800\"", 1, "no character"},
    {"\"\\ud800\\u0041\"", 1, "no character"},
    {"\"\\udc00\"", 1, "no character"},
    {"\"a\xff\"", 2, "not valid UTF-8"},
    {"// c\n1", 0, "a value"},
    {"[1]]", 3, "behind the end"},
    {"NaN", 0, "a value"},
};

static void bad_json_is_refused_with_the_byte(void **unused)
{
    char met[64];

    (void)unused;
    for (size_t i = 0; i < COUNT(bad); i++) {
        struct err e = ERR_INIT;

        CHECK(bad[i].json, read_all(span_of(bad[i].json), met, sizeof met, &e) < 0);
        if (e.at != bad[i].at || strstr(e.text, bad[i].says) == NULL)
            fail_msg("%s: at %zu: %s", bad[i].json, e.at, e.text);
    }
}

static const struct {
    const char *json, *text;
} texts[] = {
    {"\"plain\"", "plain"},
    {"\"\"", ""},
    {"\"a\\\"b\\\\c\\/d\"", "a\"b\\c/d"},
    {"\"\\b\\f\\n\\r\\t\"", "\b\f\n\r\t"},
    {"\"\\u00FC\\u20ac\"", "ü€"},
    {"\"\\uD83D\\uDE00!\"", "😀!"},
    {"\"grüße\"", "grüße"},
};

static void texts_come_out_decoded(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < COUNT(texts); i++) {
        struct json_read  r = {.in = span_of(texts[i].json), .arena = &arena};
        struct json_value v;
        struct err        e = ERR_INIT;

        CHECK(texts[i].json, json_value(&r, &v, &e) == 0 && v.type == JSON_STRING);
        CHECK(texts[i].json, span_is(v.text, texts[i].text));
    }
}

static void whole_numbers_are_told_from_others(void **unused)
{
    static const struct {
        const char *json;
        bool        whole;
        int64_t     is;
    } numbers[] = {
        {"0", true, 0},
        {"-17", true, -17},
        {"9223372036854775807", true, INT64_MAX},
        {"9223372036854775808", false, 0},
        {"1.0", false, 0},
        {"1e3", false, 0},
        {"-0", false, 0},
    };

    (void)unused;
    for (size_t i = 0; i < COUNT(numbers); i++) {
        struct json_read  r = {.in = span_of(numbers[i].json), .arena = &arena};
        struct json_value v;
        int64_t           n = 0;

        CHECK(numbers[i].json, json_value(&r, &v, NULL) == 0);
        CHECK(numbers[i].json, json_i64(&v, &n) == numbers[i].whole && n == numbers[i].is);
    }
}

static void a_nul_byte_is_never_part_of_json(void **unused)
{
    char met[64];

    (void)unused;
    CHECK("between", read_all(SPAN("[1,\0 2]"), met, sizeof met, NULL) < 0);
    CHECK("in a text", read_all(SPAN("\"a\0b\""), met, sizeof met, NULL) < 0);
    CHECK("behind", read_all(SPAN("1\0"), met, sizeof met, NULL) < 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_json_is_read_in_order),       cmocka_unit_test(bad_json_is_refused_with_the_byte),
        cmocka_unit_test(texts_come_out_decoded),           cmocka_unit_test(whole_numbers_are_told_from_others),
        cmocka_unit_test(a_nul_byte_is_never_part_of_json),
    };
    int rc;

    arena_init(&arena, 1 << 20);
    rc = cmocka_run_group_tests(tests, NULL, NULL);
    arena_fini(&arena);
    return rc;
}
