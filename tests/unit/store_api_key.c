/* tests/unit/store_api_key.c - twin of lib/store/api_key.c. */
#include "store/api_key.h"

#include "store_world.h"

static struct store_api_key a_key(const char *name, const char *scopes)
{
    return (struct store_api_key){.name = span_of(name), .scopes = span_of(scopes), .role = ROLE_USER};
}

struct made {
    struct uuid id;
    char        text[API_KEY_TEXT + 1];
};

static struct made make(struct world *w, const struct store_api_key *k)
{
    struct made made;

    OK(w, store_api_key_add(w->more, &root, k, &made.id, made.text, &w->e));
    return made;
}

/* What a list says of one key. */
struct found {
    const char *text; /* whose hash is looked for */
    int         n;
    bool        bound;
    size_t      ndomains;
    struct uuid domain;
    int64_t     expires_us, last_used_us, revoked_us;
    char        scopes[200], name[100];
};

static int each_key(void *ctx, const struct store_api_key *k, const uint8_t hash[API_KEY_HASH])
{
    struct found *f = ctx;
    uint8_t       wanted[API_KEY_HASH];

    if (!api_key_hash(span_of(f->text), wanted) || memcmp(wanted, hash, API_KEY_HASH) != 0)
        return 0;
    f->n++;
    f->bound = k->bound;
    f->ndomains = k->ndomains;
    if (k->ndomains > 0)
        f->domain = k->domains[0];
    f->expires_us = k->expires_us;
    f->last_used_us = k->last_used_us;
    f->revoked_us = k->revoked_us;
    snprintf(f->scopes, sizeof f->scopes, "%.*s", SPAN_ARG(k->scopes));
    snprintf(f->name, sizeof f->name, "%.*s", SPAN_ARG(k->name));
    return 0;
}

static struct found look(struct world *w, const char *text)
{
    struct found f = {.text = text};

    OK(w, store_api_key_list(w->more, each_key, &f, &w->e));
    return f;
}

static void a_key_is_told_once_and_found_by_its_hash(void **state)
{
    struct world        *w = world_of(state);
    struct store_api_key k = a_key("exporter at mx1", "ingest:rspamd report"), other = a_key("other", "report");
    struct made          made, second;
    struct found         f;

    k.expires_us = 5000000;
    made = make(w, &k);
    second = make(w, &other);
    assert_int_equal(strlen(made.text), API_KEY_TEXT);
    assert_memory_equal(made.text, "pst_", 4);
    assert_string_not_equal(made.text, second.text);
    f = look(w, made.text);
    assert_int_equal(f.n, 1);
    assert_string_equal(f.name, "exporter at mx1");
    assert_string_equal(f.scopes, "ingest:rspamd report");
    assert_int_equal(f.expires_us, 5000000);
    assert_false(f.bound);
    assert_int_equal(f.revoked_us, 0);
}

static void no_table_holds_the_text_of_a_key(void **state)
{
    struct world        *w = world_of(state);
    struct store_api_key k = a_key("secret", "report");
    struct made          made = make(w, &k);
    char                 sql[300];
    struct db_rows      *r = NULL;

    snprintf(sql, sizeof sql, "SELECT COUNT(*) FROM api_key WHERE name LIKE '%%%s%%' OR scopes LIKE '%%%s%%'",
             made.text, made.text + 4);
    OK(w, db_query(((struct store *)w->more)->main, sql, NULL, 0, &r, &w->e));
    assert_int_equal(db_next(r, &w->e), 1);
    assert_int_equal(db_i64(r, 0), 0);
    db_rows_free(&r);
}

static void what_has_not_the_form_of_a_key_has_no_hash(void **unused)
{
    static const char *const bad[] = {
        "",
        "pst_",
        "pst_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",   /* one too few */
        "pst_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", /* one too many */
        "pst_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA+",  /* the other alphabet */
        "pst_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA ",
        "PST_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
    };
    uint8_t hash[API_KEY_HASH];

    (void)unused;
    for (size_t i = 0; i < COUNT(bad); i++)
        CHECK(bad[i], !api_key_hash(span_of(bad[i]), hash));
    assert_true(api_key_hash(SPAN("pst_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"), hash));
}

static void a_revoked_key_stays_in_the_list_and_moves_the_feed(void **state)
{
    struct world        *w = world_of(state);
    struct store_api_key k = a_key("gone", "report");
    struct made          made = make(w, &k);
    int64_t              before = change_head(w), first;

    OK(w, store_api_key_revoke(w->more, &root, made.id, &w->e));
    first = look(w, made.text).revoked_us;
    assert_true(first > 0);
    assert_int_equal(change_head(w), before + 1);
    OK(w, store_api_key_revoke(w->more, &root, made.id, &w->e));
    assert_int_equal(look(w, made.text).revoked_us, first);
    assert_int_equal(store_api_key_revoke(w->more, &root, uuid_zero, &w->e), -1);
    assert_int_equal(w->e.code, ERR_NOT_FOUND);
}

static void a_key_bound_to_a_domain_means_nothing_once_that_is_deleted(void **state)
{
    struct world        *w = world_of(state);
    struct uuid          ours = add_domain(w, "ours.example"), other = add_domain(w, "other.example");
    struct store_api_key k = a_key("bound", "ingest:rspamd"), held = {0};
    struct found         f;
    struct made          made;

    k.domains = &ours;
    k.ndomains = 1;
    made = make(w, &k);
    f = look(w, made.text);
    assert_true(f.bound);
    assert_int_equal(f.ndomains, 1);
    assert_true(uuid_eq(&f.domain, &ours));
    held = (struct store_api_key){.bound = f.bound, .domains = &f.domain, .ndomains = f.ndomains};
    assert_true(api_key_for_domain(&held, &ours));
    assert_false(api_key_for_domain(&held, &other));
    OK(w, store_domain_delete(w->more, &root, ours, &w->e));
    f = look(w, made.text);
    assert_true(f.bound);
    assert_int_equal(f.ndomains, 0);
    held = (struct store_api_key){.bound = f.bound, .ndomains = 0};
    assert_false(api_key_for_domain(&held, &other));
}

static void wrong_words_are_refused_and_nothing_is_stored(void **state)
{
    static const struct {
        const char *holds, *name, *scopes, *networks;
    } cases[] = {
        {"a scope that is none", "n", "ingest:everything", ""},
        {"maps of nothing", "n", "maps:", ""},
        {"an empty scope between two", "n", "report  ingest:rspamd", ""},
        {"no scope", "n", "", ""},
        {"no name", "", "report", ""},
        {"a control character in the name", "a\nb", "report", ""},
        {"a damaged network", "n", "report", "192.0.2.300"},
        {"a network with host bits", "n", "report", "192.0.2.1/24"},
    };
    struct world *w = world_of(state);

    for (size_t i = 0; i < COUNT(cases); i++) {
        struct store_api_key k = a_key(cases[i].name, cases[i].scopes);
        struct uuid          id;
        char                 text[API_KEY_TEXT + 1];
        int64_t              before = change_head(w);

        k.networks = span_of(cases[i].networks);
        CHECK(cases[i].holds, store_api_key_add(w->more, &root, &k, &id, text, &w->e) < 0);
        CHECK(cases[i].holds, w->e.code == ERR_INVALID);
        CHECK(cases[i].holds, change_head(w) == before);
    }
}

static void a_scope_is_a_whole_word_and_all_maps_hold_every_map(void **unused)
{
    static const struct {
        const char *scopes, *asked;
        bool        has;
    } cases[] = {
        {"ingest:rspamd report", "report", true},
        {"ingest:rspamd report", "ingest:rspamd", true},
        {"ingest:rspamd", "ingest:delivery", false},
        {"ingest:rspamd", "ingest", false},
        {"maps:ours.example", "maps:ours.example", true},
        {"maps:ours.example", "maps:other.example", false},
        {"maps:ours.example", "maps:global", false},
        {"maps:ours.example", "maps:ours", false},
        {"report maps:global", "maps:other.example", true},
        {"maps:global", "report", false},
        {"", "report", false},
    };

    (void)unused;
    for (size_t i = 0; i < COUNT(cases); i++)
        CHECK(cases[i].asked, api_key_has_scope(span_of(cases[i].scopes), span_of(cases[i].asked)) == cases[i].has);
}

static void a_key_holds_where_and_while_it_may(void **unused)
{
    static const struct {
        const char *holds, *networks, *ip;
        int64_t     expires_us, revoked_us;
        bool        is;
    } cases[] = {
        {"anywhere", "", "192.0.2.1", 0, 0, true},
        {"anywhere, by a Unix socket", "", NULL, 0, 0, true},
        {"in its network", "198.51.100.0/24 192.0.2.0/24", "192.0.2.1", 0, 0, true},
        {"not in another", "198.51.100.0/24", "192.0.2.1", 0, 0, false},
        {"not by a Unix socket, where networks are named", "127.0.0.0/8", NULL, 0, 0, false},
        {"before its end", "", "192.0.2.1", 1001, 0, true},
        {"not at its end", "", "192.0.2.1", 1000, 0, false},
        {"not when it was revoked", "", "192.0.2.1", 0, 999, false},
    };

    (void)unused;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct store_api_key k = {.networks = span_of(cases[i].networks),
                                  .expires_us = cases[i].expires_us,
                                  .revoked_us = cases[i].revoked_us};
        struct ip            ip;

        if (cases[i].ip != NULL)
            assert_true(ip_parse(span_of(cases[i].ip), false, &ip));
        CHECK(cases[i].holds, api_key_holds(&k, cases[i].ip != NULL ? &ip : NULL, 1000) == cases[i].is);
    }
}

static bool is_good(struct world *w, struct uuid id, int64_t now_us)
{
    bool good = false;

    OK(w, store_api_key_good(w->more, id, now_us, &good, &w->e));
    return good;
}

static void a_key_is_good_until_its_end_or_its_revocation(void **state)
{
    struct world        *w = world_of(state);
    struct store_api_key k = a_key("for ever", "report"), ends = a_key("ends", "report");
    struct made          made = make(w, &k), ending;

    ends.expires_us = 1000;
    ending = make(w, &ends);
    assert_true(is_good(w, made.id, INT64_MAX));
    assert_true(is_good(w, ending.id, 999));
    assert_false(is_good(w, ending.id, 1000));
    OK(w, store_api_key_revoke(w->more, &root, made.id, &w->e));
    assert_false(is_good(w, made.id, 0));
    assert_false(is_good(w, uuid_zero, 0));
}

static void a_key_is_found_by_what_a_person_types(void **state)
{
    struct world        *w = world_of(state);
    struct store_api_key k = a_key("mx1", "report"), twin = a_key("twin", "report");
    struct made          made = make(w, &k);
    char                 text[UUID_TEXT + 1];
    struct uuid          id;

    make(w, &twin);
    make(w, &twin);
    uuid_format(&made.id, text);
    OK(w, store_api_key_find(w->more, span_of(text), &id, &w->e));
    assert_true(uuid_eq(&id, &made.id));
    OK(w, store_api_key_find(w->more, span_of(text + UUID_TEXT - 8), &id, &w->e));
    assert_true(uuid_eq(&id, &made.id));
    OK(w, store_api_key_find(w->more, SPAN("mx1"), &id, &w->e));
    assert_true(uuid_eq(&id, &made.id));
    assert_int_equal(store_api_key_find(w->more, SPAN("nobody"), &id, &w->e), -1);
    assert_int_equal(w->e.code, ERR_NOT_FOUND);
    assert_int_equal(store_api_key_find(w->more, SPAN("twin"), &id, &w->e), -1);
    assert_int_equal(w->e.code, ERR_CONFLICT);
}

static void a_use_is_noted_without_moving_the_feed(void **state)
{
    struct world        *w = world_of(state);
    struct store_api_key k = a_key("used", "report");
    struct made          made = make(w, &k);
    int64_t              before = change_head(w);

    OK(w, store_api_key_used(w->more, made.id, 7000, &w->e));
    OK(w, store_api_key_used(w->more, made.id, 6000, &w->e));
    assert_int_equal(look(w, made.text).last_used_us, 7000);
    assert_int_equal(change_head(w), before);
}

int main(void)
{
    static const struct both_test tests[] = {
        STORE(a_key_is_told_once_and_found_by_its_hash),
        STORE(no_table_holds_the_text_of_a_key),
        STORE(what_has_not_the_form_of_a_key_has_no_hash),
        STORE(a_revoked_key_stays_in_the_list_and_moves_the_feed),
        STORE(a_key_bound_to_a_domain_means_nothing_once_that_is_deleted),
        STORE(wrong_words_are_refused_and_nothing_is_stored),
        STORE(a_scope_is_a_whole_word_and_all_maps_hold_every_map),
        STORE(a_key_holds_where_and_while_it_may),
        STORE(a_key_is_good_until_its_end_or_its_revocation),
        STORE(a_key_is_found_by_what_a_person_types),
        STORE(a_use_is_noted_without_moving_the_feed),
    };

    return run_on_both(tests, COUNT(tests));
}
