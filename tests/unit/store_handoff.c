/* tests/unit/store_handoff.c - twin of lib/store/handoff.c. */
#include "store/handoff.h"

#include "store/api_key.h"
#include "store_world.h"

#define NOW_US (INT64_C(1700000000) * 1000000)
#define SECOND_US INT64_C(1000000)
#define HERE SPAN("https://mail.ours.example")

/* Who is brought, by which key, where to. */
struct party {
    struct store_account account;
    struct uuid          key, domain;
};

static struct party a_party(struct world *w)
{
    struct party         p = {.domain = add_domain(w, "ours.example")};
    struct store_api_key k = {.name = SPAN("dashboard"), .scopes = SPAN("sso"), .role = ROLE_OWNER};
    char                 text[API_KEY_TEXT + 1];

    p.account.active = true;
    snprintf(p.account.login, sizeof p.account.login, "anna@ours.example");
    OK(w, store_account_add(w->more, &root, &p.account, &p.account.id, &w->e));
    OK(w, store_api_key_add(w->more, &root, &k, &p.key, text, &w->e));
    return p;
}

static int add(struct world *w, const struct party *p, const char *staff, struct span nonce, int64_t now_us,
               char token[HANDOFF_TOKEN_TEXT + 1])
{
    struct store_handoff h = {.key = p->key, .account = p->account.id, .domain = p->domain};

    w->e = ERR_INIT;
    snprintf(h.staff_name, sizeof h.staff_name, "%s", staff);
    return store_handoff_add(w->more, &root, &h, HERE, nonce, now_us, token, &w->e);
}

struct seen {
    int                  rc;
    enum err_code        code;
    struct store_handoff h;
    struct store_account account;
};

static struct seen look(struct world *w, const char *token, struct span audience, struct span browser, int64_t now_us)
{
    struct seen s = {0};

    w->e = ERR_INIT;
    s.rc = store_handoff_look(w->more, span_of(token), audience, browser, now_us, &s.h, &s.account, &w->e);
    s.code = s.rc < 0 ? w->e.code : ERR_NONE;
    return s;
}

static struct seen use(struct world *w, const char *token, struct span browser, int64_t now_us)
{
    struct seen s = {0};

    w->e = ERR_INIT;
    s.rc = store_handoff_use(w->more, span_of(token), HERE, browser, now_us, &s.h, &s.account, &w->e);
    s.code = s.rc < 0 ? w->e.code : ERR_NONE;
    return s;
}

static void it_says_who_is_brought_by_whom_and_is_good_once(void **state)
{
    struct world *w = world_of(state);
    struct party  p = a_party(w);
    char          token[HANDOFF_TOKEN_TEXT + 1], other[HANDOFF_TOKEN_TEXT + 1];
    struct seen   s;

    OK(w, add(w, &p, "", SPAN_NONE, NOW_US, token));
    OK(w, add(w, &p, "Sam of support", SPAN_NONE, NOW_US, other));
    s = look(w, token, HERE, SPAN_NONE, NOW_US + SECOND_US);
    assert_int_equal(s.rc, 0);
    assert_string_equal(s.account.login, "anna@ours.example");
    assert_true(uuid_eq(&s.h.key, &p.key) && uuid_eq(&s.h.domain, &p.domain) && !s.h.same_browser);
    assert_string_equal(s.h.staff_name, "");
    CHECK("a look uses nothing", use(w, token, SPAN_NONE, NOW_US + SECOND_US).rc == 0);
    CHECK("the second finds none", use(w, token, SPAN_NONE, NOW_US + SECOND_US).code == ERR_NOT_FOUND);
    CHECK("nor a look", look(w, token, HERE, SPAN_NONE, NOW_US + SECOND_US).code == ERR_NOT_FOUND);
    s = use(w, other, SPAN_NONE, NOW_US + SECOND_US);
    assert_int_equal(s.rc, 0);
    assert_string_equal(s.h.staff_name, "Sam of support");
}

static void it_is_for_one_portal_and_a_minute(void **state)
{
    static const struct {
        const char *holds, *audience;
        int64_t     after_us;
        bool        good;
    } cases[] = {
        {"here and at once", "https://mail.ours.example", 0, true},
        {"in the last second", "https://mail.ours.example", HANDOFF_US - SECOND_US, true},
        {"not after the minute", "https://mail.ours.example", HANDOFF_US, false},
        {"not elsewhere", "https://mail.theirs.example", 0, false},
        {"not by another scheme", "http://mail.ours.example", 0, false},
        {"not by a longer name", "https://mail.ours.example.evil.example", 0, false},
    };
    struct world *w = world_of(state);
    struct party  p = a_party(w);
    char          token[HANDOFF_TOKEN_TEXT + 1];

    OK(w, add(w, &p, "", SPAN_NONE, NOW_US, token));
    for (size_t i = 0; i < COUNT(cases); i++)
        CHECK(cases[i].holds, (look(w, token, span_of(cases[i].audience), SPAN_NONE, NOW_US + cases[i].after_us).rc ==
                               0) == cases[i].good);
    CHECK("no token is none", look(w, "", HERE, SPAN_NONE, NOW_US).code == ERR_NOT_FOUND);
    CHECK("nor is a guess",
          look(w, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", HERE, SPAN_NONE, NOW_US).code == ERR_NOT_FOUND);
}

static void with_a_nonce_it_is_that_browsers_and_the_nonce_is_good_once(void **state)
{
    struct world *w = world_of(state);
    struct party  p = a_party(w);
    char          nonce[HANDOFF_TOKEN_TEXT + 1], late[HANDOFF_TOKEN_TEXT + 1], token[HANDOFF_TOKEN_TEXT + 1];
    char          again[HANDOFF_TOKEN_TEXT + 1];

    OK(w, store_handoff_nonce(w->more, SPAN("the browser"), NOW_US, nonce, &w->e));
    OK(w, store_handoff_nonce(w->more, SPAN("the browser"), NOW_US, late, &w->e));
    OK(w, add(w, &p, "", span_of(nonce), NOW_US + SECOND_US, token));
    CHECK("once", add(w, &p, "", span_of(nonce), NOW_US + SECOND_US, again) < 0 && w->e.code == ERR_INVALID);
    CHECK("in time", add(w, &p, "", span_of(late), NOW_US + HANDOFF_NONCE_US, again) < 0 && w->e.code == ERR_INVALID);
    CHECK("and one of ours", add(w, &p, "", SPAN("made up"), NOW_US, again) < 0 && w->e.code == ERR_INVALID);
    CHECK("another browser's is told so", use(w, token, SPAN("another"), NOW_US + SECOND_US).code == ERR_DENIED);
    CHECK("who has no token of a browser too", use(w, token, SPAN_NONE, NOW_US + SECOND_US).code == ERR_DENIED);
    CHECK("and did not use it up", use(w, token, SPAN("the browser"), NOW_US + SECOND_US).h.same_browser);
}

static void it_ends_with_its_key_and_its_account(void **state)
{
    struct world *w = world_of(state);
    struct party  p = a_party(w);
    char          token[HANDOFF_TOKEN_TEXT + 1];

    OK(w, add(w, &p, "", SPAN_NONE, NOW_US, token));
    p.account.active = false;
    OK(w, store_account_set(w->more, &root, &p.account, &w->e));
    CHECK("an account that was shut out", look(w, token, HERE, SPAN_NONE, NOW_US).code == ERR_NOT_FOUND);
    p.account.active = p.account.admin = true;
    OK(w, store_account_set(w->more, &root, &p.account, &w->e));
    CHECK("one that became an admin's", look(w, token, HERE, SPAN_NONE, NOW_US).code == ERR_NOT_FOUND);
    p.account.admin = false;
    OK(w, store_account_set(w->more, &root, &p.account, &w->e));
    CHECK("as it was", look(w, token, HERE, SPAN_NONE, NOW_US).rc == 0);
    OK(w, store_api_key_revoke(w->more, &root, p.key, &w->e));
    CHECK("a key that was revoked", use(w, token, SPAN_NONE, NOW_US).code == ERR_NOT_FOUND);
}

/* The session that it begins may fail to begin: then it is there for another press. */
static void it_is_used_with_the_transaction_that_it_is_part_of(void **state)
{
    struct world *w = world_of(state);
    struct party  p = a_party(w);
    char          token[HANDOFF_TOKEN_TEXT + 1];

    OK(w, add(w, &p, "", SPAN_NONE, NOW_US, token));
    OK(w, store_begin(w->more, &w->e));
    assert_int_equal(use(w, token, SPAN_NONE, NOW_US).rc, 0);
    store_rollback(w->more);
    assert_int_equal(use(w, token, SPAN_NONE, NOW_US).rc, 0);
}

static void what_is_over_is_swept_and_what_is_not_stays(void **state)
{
    struct world *w = world_of(state);
    struct party  p = a_party(w);
    char          token[HANDOFF_TOKEN_TEXT + 1], nonce[HANDOFF_TOKEN_TEXT + 1], fresh[HANDOFF_TOKEN_TEXT + 1];
    int64_t       later = NOW_US + 2 * 3600 * SECOND_US;

    OK(w, store_handoff_nonce(w->more, SPAN("the browser"), NOW_US, nonce, &w->e));
    OK(w, add(w, &p, "", SPAN_NONE, NOW_US, token));
    OK(w, add(w, &p, "", SPAN_NONE, later, fresh));
    OK(w, store_handoff_trim(w->more, later, &w->e));
    CHECK("gone, even by its own time", look(w, token, HERE, SPAN_NONE, NOW_US).code == ERR_NOT_FOUND);
    CHECK("its nonce too", add(w, &p, "", span_of(nonce), NOW_US, token) < 0);
    CHECK("the fresh one is there", look(w, fresh, HERE, SPAN_NONE, later).rc == 0);
}

int main(void)
{
    static const struct both_test tests[] = {
        STORE(it_says_who_is_brought_by_whom_and_is_good_once),
        STORE(it_is_for_one_portal_and_a_minute),
        STORE(with_a_nonce_it_is_that_browsers_and_the_nonce_is_good_once),
        STORE(it_ends_with_its_key_and_its_account),
        STORE(it_is_used_with_the_transaction_that_it_is_part_of),
        STORE(what_is_over_is_swept_and_what_is_not_stays),
    };

    return run_on_both(tests, COUNT(tests));
}
