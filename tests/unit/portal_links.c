/* Links of digests: what they may do, of all that there is to do, and that their pages speak two languages. */
#include "../../portal/links_inside.h"

#include "../../portal/links.h"
#include "../../portal/permit.h"
#include "check.h"

static const struct store_scope mailbox = {SCOPE_MAILBOX, {{1}}}, other = {SCOPE_MAILBOX, {{2}}},
                                domain = {SCOPE_DOMAIN, {{1}}}, everything = {.kind = SCOPE_GLOBAL};

/* The operator's own: it makes no difference. */
static struct who pressed(struct store_scope scope)
{
    return (struct who){.kind = WHO_LINK, .account = {.admin = true, .active = true}, .link_scope = scope};
}

static bool may(struct who w, enum deed deed, const struct store_scope *scope)
{
    struct err e = ERR_INIT;

    return permit(NULL, &w, deed, scope, "message", &e) == 0;
}

static void a_link_does_three_things_in_its_one_scope(void **state)
{
    (void)state;
    for (enum deed d = 0; d < DEEDS; d++) {
        bool wanted = d == DEED_OPEN || d == DEED_SEE_MAIL || d == DEED_ACT_ON_MAIL || d == DEED_WRITE_RULES;

        CHECK(deed_rows[d].word, may(pressed(mailbox), d, &mailbox) == wanted);
        if (d == DEED_OPEN)
            continue;
        CHECK(deed_rows[d].word, !may(pressed(mailbox), d, &other));
        CHECK(deed_rows[d].word, !may(pressed(mailbox), d, &domain));
        CHECK(deed_rows[d].word, !may(pressed(mailbox), d, &everything));
    }
}

static void it_is_nobody_of_its_own(void **state)
{
    (void)state;
    CHECK("no account's settings", !may(pressed(mailbox), DEED_SELF, NULL));
    CHECK("no digests", !may(pressed(mailbox), DEED_SUBSCRIBE, NULL));
    CHECK("no secrets", !may(pressed(mailbox), DEED_SELF_SECRET, NULL));
}

static void what_holds_for_a_domain_is_not_a_links(void **state)
{
    (void)state;
    CHECK("a message that is nobody's in particular", may(pressed(domain), DEED_ACT_ON_MAIL, &domain));
    CHECK("but no rule of the domain", !may(pressed(domain), DEED_WRITE_RULES, &domain));
    CHECK("nor an owner's decision", !may(pressed(domain), DEED_DECIDE_RELEASE, &domain));
}

static void its_page_says_everything_in_both_languages(void **state)
{
    (void)state;
    for (enum link_word w = SAYS_NOTHING + 1; w < LINK_WORDS; w++) {
        const char *en = link_word_text(LANGUAGE_EN, w), *de = link_word_text(LANGUAGE_DE, w);

        assert_non_null(en);
        assert_non_null(de);
        CHECK(en, en[0] != '\0' && de[0] != '\0' && strcmp(en, de) != 0);
    }
}

static void only_what_begins_like_a_link_is_one(void **state)
{
    struct span token;

    (void)state;
    CHECK("a link", links_is_path(SPAN("/d/abc"), &token) && span_is(token, "abc"));
    CHECK("without a token", links_is_path(SPAN("/d/"), &token) && token.n == 0);
    CHECK("a page", !links_is_path(SPAN("/domains"), &token) && !links_is_path(SPAN("/d"), &token));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_link_does_three_things_in_its_one_scope),
        cmocka_unit_test(it_is_nobody_of_its_own),
        cmocka_unit_test(what_holds_for_a_domain_is_not_a_links),
        cmocka_unit_test(its_page_says_everything_in_both_languages),
        cmocka_unit_test(only_what_begins_like_a_link_is_one),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
