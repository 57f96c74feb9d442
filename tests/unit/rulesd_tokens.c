/* tests/unit/rulesd_tokens.c - twin of rulesd/tokens.c. */
#include "../../rulesd/tokens.h"

#include <pthread.h>

#include "rulesd_world.h"

static const struct peer unix_peer = {.is_unix = true, .uid = 1};

static struct peer peer_at(const char *ip)
{
    struct peer p = {0};

    assert_true(ip_parse(span_of(ip), false, &p.ip));
    return p;
}

struct made {
    struct uuid id;
    char        text[API_KEY_TEXT + 1];
};

static struct made make(struct world *w, const char *scopes, const char *networks, int64_t expires_us)
{
    struct store_api_key k = {
        .name = SPAN("n"), .scopes = span_of(scopes), .networks = span_of(networks), .expires_us = expires_us};
    struct made made;

    OK(w, store_api_key_add(w->more, &root, &k, &made.id, made.text, &w->e));
    return made;
}

static void refresh(struct world *w, struct tokens *t, int64_t now_us)
{
    OK(w, tokens_refresh(t, w->more, change_head(w), now_us, &w->e));
}

static enum token_answer ask(struct tokens *t, const char *text, const char *scope, const struct peer *from,
                             int64_t now_us)
{
    struct token      k;
    enum token_answer a = tokens_ask(t, span_of(text), span_of(scope), from, now_us, &k);

    token_drop(&k);
    return a;
}

static void a_token_is_good_for_what_it_says_and_nothing_else(void **state)
{
    struct world  *w = world_of(state);
    struct tokens *t = tokens_new();
    struct made    m = make(w, "ingest:rspamd maps:ours.example", "", 0);
    struct peer    p = peer_at("192.0.2.1");
    int64_t        now = clock_wall_us();

    assert_int_equal(ask(t, m.text, "ingest:rspamd", &p, now), TOKEN_UNKNOWN); /* not read yet */
    refresh(w, t, now);
    assert_int_equal(ask(t, m.text, "ingest:rspamd", &p, now), TOKEN_OK);
    assert_int_equal(ask(t, m.text, "ingest:rspamd", &unix_peer, now), TOKEN_OK);
    assert_int_equal(ask(t, m.text, "maps:ours.example", &p, now), TOKEN_OK);
    assert_int_equal(ask(t, m.text, "ingest:delivery", &p, now), TOKEN_DENIED);
    assert_int_equal(ask(t, m.text, "maps:other.example", &p, now), TOKEN_DENIED);
    m.text[10] = m.text[10] == 'A' ? 'B' : 'A';
    assert_int_equal(ask(t, m.text, "ingest:rspamd", &p, now), TOKEN_UNKNOWN);
    assert_int_equal(ask(t, "", "ingest:rspamd", &p, now), TOKEN_UNKNOWN);
    assert_int_equal(ask(t, "secret", "ingest:rspamd", &p, now), TOKEN_UNKNOWN);
    tokens_free(&t);
}

static void a_token_that_is_revoked_lapsed_or_elsewhere_is_unknown(void **state)
{
    struct world  *w = world_of(state);
    struct tokens *t = tokens_new();
    int64_t        now = clock_wall_us();
    struct made    gone = make(w, "report", "", 0), lapsing = make(w, "report", "", now + 1000),
                bound = make(w, "report", "198.51.100.0/24", 0);
    struct peer there = peer_at("198.51.100.7"), here = peer_at("192.0.2.1");

    refresh(w, t, now);
    assert_int_equal(ask(t, gone.text, "report", &here, now), TOKEN_OK);
    assert_int_equal(ask(t, lapsing.text, "report", &here, now), TOKEN_OK);
    assert_int_equal(ask(t, lapsing.text, "report", &here, now + 1000), TOKEN_UNKNOWN);
    assert_int_equal(ask(t, bound.text, "report", &there, now), TOKEN_OK);
    assert_int_equal(ask(t, bound.text, "report", &here, now), TOKEN_UNKNOWN);
    assert_int_equal(ask(t, bound.text, "report", &unix_peer, now), TOKEN_UNKNOWN);
    OK(w, store_api_key_revoke(w->more, &root, gone.id, &w->e));
    assert_int_equal(ask(t, gone.text, "report", &here, now), TOKEN_OK); /* not heard of yet */
    refresh(w, t, now);
    assert_int_equal(ask(t, gone.text, "report", &here, now), TOKEN_UNKNOWN);
    assert_int_equal(tokens_count(t), 2);
    tokens_free(&t);
}

static void without_the_database_the_last_tokens_go_on(void **state)
{
    struct world  *w = world_of(state);
    struct tokens *t = tokens_new();
    struct made    m = make(w, "report", "", 0);
    int64_t        now = clock_wall_us();

    refresh(w, t, now);
    OK(w, tokens_refresh(t, NULL, change_head(w) + 5, now, &w->e));
    assert_int_equal(ask(t, m.text, "report", &unix_peer, now), TOKEN_OK);
    tokens_free(&t);
}

static void a_token_that_is_held_outlives_the_table_that_it_came_from(void **state)
{
    struct world  *w = world_of(state);
    struct tokens *t = tokens_new();
    struct uuid    ours = add_domain(w, "ours.example"), other = add_domain(w, "other.example");
    int64_t        now = clock_wall_us();
    struct token   k;
    struct uuid    id;
    char           text[API_KEY_TEXT + 1];

    struct store_api_key bound = {.name = SPAN("b"), .scopes = SPAN("report"), .domains = &ours, .ndomains = 1};
    OK(w, store_api_key_add(w->more, &root, &bound, &id, text, &w->e));
    refresh(w, t, now);
    assert_int_equal(tokens_ask(t, span_of(text), SPAN("report"), &unix_peer, now, &k), TOKEN_OK);
    OK(w, store_api_key_revoke(w->more, &root, id, &w->e));
    refresh(w, t, now);
    assert_true(api_key_for_domain(k.key, &ours));
    assert_false(api_key_for_domain(k.key, &other));
    token_drop(&k);
    tokens_free(&t);
}

struct used {
    struct uuid id;
    int64_t     at_us;
};

static int each_key(void *ctx, const struct store_api_key *k, const uint8_t hash[API_KEY_HASH])
{
    struct used *u = ctx;

    (void)hash;
    if (uuid_eq(&k->id, &u->id))
        u->at_us = k->last_used_us;
    return 0;
}

static int64_t last_used(struct world *w, struct uuid id)
{
    struct used u = {id, -1};

    OK(w, store_api_key_list(w->more, each_key, &u, &w->e));
    return u.at_us;
}

static void a_use_is_written_once_in_a_while(void **state)
{
    struct world  *w = world_of(state);
    struct tokens *t = tokens_new();
    struct made    m = make(w, "report", "", 0);
    int64_t        now = clock_wall_us();

    refresh(w, t, now);
    assert_int_equal(last_used(w, m.id), 0);
    ask(t, m.text, "report", &unix_peer, now);
    refresh(w, t, now);
    assert_int_equal(last_used(w, m.id), now);
    ask(t, m.text, "report", &unix_peer, now + 1000);
    refresh(w, t, now + 1000);
    assert_int_equal(last_used(w, m.id), now);
    make(w, "report", "", 0); /* the table is read anew: the use is not forgotten */
    refresh(w, t, now + 2000);
    ask(t, m.text, "report", &unix_peer, now + TOKENS_USED_US);
    refresh(w, t, now + TOKENS_USED_US);
    assert_int_equal(last_used(w, m.id), now + TOKENS_USED_US);
    tokens_free(&t);
}

/* ---- several threads ---- */

struct asking {
    struct tokens *t;
    const char    *text;
    size_t         good;
};

static void *ask_much(void *arg)
{
    struct asking *a = arg;

    for (int i = 0; i < 5000; i++) {
        struct token k;

        if (tokens_ask(a->t, span_of(a->text), SPAN("report"), &unix_peer, clock_wall_us(), &k) == TOKEN_OK)
            a->good += span_is(k.key->scopes, "report");
        token_drop(&k);
    }
    return NULL;
}

static void who_asks_is_answered_while_the_table_changes(void **state)
{
    struct world  *w = world_of(state);
    struct tokens *t = tokens_new();
    struct made    m = make(w, "report", "", 0);
    struct asking  a[2] = {{t, m.text, 0}, {t, m.text, 0}};
    pthread_t      threads[2];

    refresh(w, t, clock_wall_us());
    for (size_t i = 0; i < COUNT(a); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, ask_much, &a[i]), 0);
    for (int i = 0; i < 30; i++) {
        make(w, "ingest:rspamd", "", 0);
        refresh(w, t, clock_wall_us());
    }
    for (size_t i = 0; i < COUNT(a); i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(a[i].good, 5000);
    }
    assert_int_equal(tokens_count(t), 31);
    tokens_free(&t);
}

int main(void)
{
    static const struct both_test tests[] = {
        STORE(a_token_is_good_for_what_it_says_and_nothing_else),
        STORE(a_token_that_is_revoked_lapsed_or_elsewhere_is_unknown),
        STORE(without_the_database_the_last_tokens_go_on),
        STORE(a_token_that_is_held_outlives_the_table_that_it_came_from),
        STORE(a_use_is_written_once_in_a_while),
        STORE(who_asks_is_answered_while_the_table_changes),
    };

    return run_on_both(tests, COUNT(tests));
}
