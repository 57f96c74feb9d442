/* tests/unit/store_address.c - twin of lib/store/address.c. */
#include "store_world.h"

static struct uuid add_address(struct world *w, struct uuid domain, const char *local, enum address_kind kind,
                               const char *targets)
{
    struct span list[16], rest = span_of(targets), one;
    size_t      n = 0;
    struct uuid id = uuid_zero;

    while (rest.n > 0 && span_next(&rest, ' ', &one))
        list[n++] = one;
    OK(w, store_address_add(w->more, &root, domain, span_of(local), kind, list, n, &id, &w->e));
    return id;
}

static void add_state(struct world *w, const char *name, enum domain_state domain_state)
{
    struct store_domain d;

    OK(w, store_domain_get(w->more, add_domain(w, name), &d, &w->e));
    d.state = domain_state;
    OK(w, store_domain_set(w->more, &root, &d, &w->e));
}

/* Two domains of ours, with all that can lead somewhere. */
static void furnish(struct world *w)
{
    struct store        *s = w->more;
    struct uuid          ours = add_domain(w, "ours.example"), second = add_domain(w, "second.example");
    struct store_mailbox off;
    struct store_domain  plain;

    OK(w, store_domain_alias_add(s, &root, ours, SPAN("also.example"), &w->e));
    add_mailbox(w, ours, "anna");
    add_mailbox(w, ours, "bob+tag");
    add_mailbox(w, ours, "bob");
    add_mailbox(w, ours, "a@b");
    add_mailbox(w, second, "carl");
    OK(w, store_mailbox_get(s, add_mailbox(w, ours, "off"), &off, &w->e));
    off.enabled = false;
    OK(w, store_mailbox_set(s, &root, &off, &w->e));
    add_address(w, ours, "info", ADDRESS_ALIAS, "anna@ours.example");
    add_address(w, ours, "hello", ADDRESS_ALIAS, "info+x@also.example");
    add_address(w, ours, "team", ADDRESS_ALIAS, "anna@ours.example bob@ours.example");
    add_address(w, ours, "far", ADDRESS_ALIAS, "someone@elsewhere.example");
    add_address(w, ours, "cross", ADDRESS_ALIAS, "carl@second.example");
    add_address(w, ours, "ring1", ADDRESS_ALIAS, "ring2@ours.example");
    add_address(w, ours, "ring2", ADDRESS_ALIAS, "ring1@ours.example");
    add_address(w, ours, "list", ADDRESS_LIST, "anna@ours.example");
    add_address(w, ours, "group", ADDRESS_GROUP, "anna@ours.example");
    add_address(w, ours, "noreply", ADDRESS_SENDER, "");
    add_address(w, ours, "toff", ADDRESS_ALIAS, "off@ours.example");
    add_address(w, ours, "postmaster", ADDRESS_ALIAS, "anna@ours.example");
    add_address(w, second, "", ADDRESS_CATCHALL, "anna@ours.example");
    add_state(w, "pending.example", DOMAIN_PENDING);
    add_state(w, "disabled.example", DOMAIN_DISABLED);
    OK(w, store_domain_get(s, add_domain(w, "plain.example"), &plain, &w->e));
    plain.delimiter = '\0';
    OK(w, store_domain_set(s, &root, &plain, &w->e));
    add_mailbox(w, plain.id, "dora");
}

static const struct {
    const char *holds, *address;
    bool        ours, known, special;
    const char *domain, *mailbox;
} cases[] = {
    {"a mailbox", "anna@ours.example", true, true, false, "ours.example", "anna@ours.example"},
    {"a mailbox by the domain's other name", "anna@also.example", true, true, false, "ours.example",
     "anna@ours.example"},
    {"a tag is stripped", "anna+shop@ours.example", true, true, false, "ours.example", "anna@ours.example"},
    {"at the first delimiter", "anna+a+b@ours.example", true, true, false, "ours.example", "anna@ours.example"},
    {"an address with the delimiter in it comes first", "bob+tag@ours.example", true, true, false, "ours.example",
     "bob+tag@ours.example"},
    {"and its own tags are of the shorter one", "bob+tag2@ours.example", true, true, false, "ours.example",
     "bob@ours.example"},
    {"an at in the local part", "a@b@ours.example", true, true, false, "ours.example", "a@b@ours.example"},
    {"tags stay where the domain has none", "dora+x@plain.example", true, false, false, "plain.example", ""},
    {"an alias leads to its one target", "info@ours.example", true, true, false, "ours.example", "anna@ours.example"},
    {"with a tag too", "info+x@ours.example", true, true, false, "ours.example", "anna@ours.example"},
    {"an alias of an alias, tag and other name", "hello@ours.example", true, true, false, "ours.example",
     "anna@ours.example"},
    {"into another domain, whose rules then hold", "cross@ours.example", true, true, false, "second.example",
     "carl@second.example"},
    {"several targets: the domain alone", "team@ours.example", true, true, false, "ours.example", ""},
    {"a foreign target: the domain alone", "far@ours.example", true, true, false, "ours.example", ""},
    {"a circle ends", "ring1@ours.example", true, true, false, "ours.example", ""},
    {"a list is the domain's", "list@ours.example", true, true, false, "ours.example", ""},
    {"and so is a group", "group@ours.example", true, true, false, "ours.example", ""},
    {"nothing is received at a sender", "noreply@ours.example", true, false, false, "ours.example", ""},
    {"a mailbox that is switched off: the domain alone", "off@ours.example", true, true, false, "ours.example", ""},
    {"an alias of it too", "toff@ours.example", true, true, false, "ours.example", ""},
    {"nobody", "nobody@ours.example", true, false, false, "ours.example", ""},
    {"the catch-all", "nobody@second.example", true, true, false, "ours.example", "anna@ours.example"},
    {"a real mailbox goes before it", "carl@second.example", true, true, false, "second.example",
     "carl@second.example"},
    {"a tagged one too", "carl+x@second.example", true, true, false, "second.example", "carl@second.example"},
    {"postmaster leads on, and is special", "postmaster@ours.example", true, true, true, "ours.example",
     "anna@ours.example"},
    {"abuse is special even where it is not there", "abuse@plain.example", true, false, true, "plain.example", ""},
    {"with a tag", "abuse+x@ours.example", true, false, true, "ours.example", ""},
    {"another domain's is not", "postmaster@elsewhere.example", false, false, false, "", ""},
    {"a stranger", "x@elsewhere.example", false, false, false, "", ""},
    {"a subdomain is not the domain", "anna@sub.ours.example", false, false, false, "", ""},
    {"a domain that is not verified yet", "x@pending.example", false, false, false, "", ""},
    {"a domain that is switched off", "x@disabled.example", false, false, false, "", ""},
    {"no local part", "@ours.example", false, false, false, "", ""},
    {"no domain", "anna", false, false, false, "", ""},
    {"nothing at all", "", false, false, false, "", ""},
    {"bytes that are no text", "\xff\xfe@ours.example", true, false, false, "ours.example", ""},
    {"bytes that are no text, at a catch-all", "\xff@second.example", true, true, false, "ours.example",
     "anna@ours.example"},
    {"a domain that is no text", "anna@\xff.example", false, false, false, "", ""},
    {"what is no address", "'; DROP TABLE address; --@ours.example", true, false, false, "ours.example", ""},
};

static void an_address_leads_where_the_manual_says(void **state)
{
    struct world *w = world_of(state);

    furnish(w);
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct store_resolved r;

        OK(w, store_resolve(w->more, span_of(cases[i].address), &r, &w->e));
        CHECK(cases[i].holds, r.ours == cases[i].ours);
        CHECK(cases[i].holds, r.known == cases[i].known);
        CHECK(cases[i].holds, r.special == cases[i].special);
        CHECK(cases[i].holds, strcmp(r.domain_name, cases[i].domain) == 0);
        CHECK(cases[i].holds, strcmp(r.mailbox_address, cases[i].mailbox) == 0);
        CHECK(cases[i].holds, r.has_mailbox == (cases[i].mailbox[0] != '\0'));
    }
}

static void a_chain_of_aliases_is_followed_so_far_and_no_further(void **state)
{
    struct world         *w = world_of(state);
    struct uuid           ours = add_domain(w, "ours.example");
    struct store_resolved r;
    char                  local[16], target[32];

    add_mailbox(w, ours, "a0");
    for (int i = 1; i <= STORE_ALIAS_DEPTH + 1; i++) {
        snprintf(local, sizeof local, "a%d", i);
        snprintf(target, sizeof target, "a%d@ours.example", i - 1);
        add_address(w, ours, local, ADDRESS_ALIAS, target);
    }
    OK(w, store_resolve(w->more, SPAN("a8@ours.example"), &r, &w->e));
    assert_string_equal(r.mailbox_address, "a0@ours.example");
    OK(w, store_resolve(w->more, SPAN("a9@ours.example"), &r, &w->e));
    assert_false(r.has_mailbox);
    assert_string_equal(r.domain_name, "ours.example");
}

static void a_mailbox_tells_its_person(void **state)
{
    struct world         *w = world_of(state);
    struct uuid           ours = add_domain(w, "ours.example"), account, ignored;
    struct store_account  a = {.login = "anna@ours.example", .active = true};
    struct store_resolved r;

    OK(w, store_account_add(w->more, &root, &a, &account, &w->e));
    OK(w, store_mailbox_add(w->more, &root, ours, SPAN("anna"), &account, &ignored, &w->e));
    OK(w, store_resolve(w->more, SPAN("anna@ours.example"), &r, &w->e));
    assert_true(r.has_account && uuid_eq(&r.account, &account));
    OK(w, store_account_delete(w->more, &root, account, &w->e));
    OK(w, store_resolve(w->more, SPAN("anna@ours.example"), &r, &w->e));
    assert_true(r.has_mailbox && !r.has_account);
}

static void no_address_is_given_twice(void **state)
{
    struct world *w = world_of(state);
    struct store *s = w->more;
    struct uuid   ours = add_domain(w, "ours.example"), ignored;
    struct span   target = SPAN("anna@ours.example");

    add_mailbox(w, ours, "anna");
    REFUSED(w, ERR_CONFLICT,
            store_address_add(s, &root, ours, SPAN("anna"), ADDRESS_ALIAS, &target, 1, &ignored, &w->e));
    REFUSED(w, ERR_CONFLICT, store_mailbox_add(s, &root, ours, SPAN("anna"), NULL, &ignored, &w->e));
    add_address(w, ours, "", ADDRESS_CATCHALL, "anna@ours.example");
    REFUSED(w, ERR_CONFLICT,
            store_address_add(s, &root, ours, SPAN_NONE, ADDRESS_CATCHALL, &target, 1, &ignored, &w->e));
}

static void a_split_domain_has_no_catch_all(void **state)
{
    struct world       *w = world_of(state);
    struct store       *s = w->more;
    struct store_domain d = {.name = "split.example", .kind = DOMAIN_SDR, .state = DOMAIN_ACTIVE};
    struct uuid         id, ignored;
    struct span         target = SPAN("anna@ours.example");

    OK(w, store_domain_add(s, &root, &d, &id, &w->e));
    REFUSED(w, ERR_CONFLICT, store_address_add(s, &root, id, SPAN_NONE, ADDRESS_CATCHALL, &target, 1, &ignored, &w->e));
}

static const struct {
    const char       *holds, *local;
    enum address_kind kind;
    const char       *target;
} refused[] = {
    {"a mailbox by this way", "x", ADDRESS_MAILBOX, "a@b.example"},
    {"a catch-all with a local part", "x", ADDRESS_CATCHALL, "a@b.example"},
    {"an alias without one", "", ADDRESS_ALIAS, "a@b.example"},
    {"an alias to nowhere", "x", ADDRESS_ALIAS, NULL},
    {"a target that is no address", "x", ADDRESS_ALIAS, "nowhere"},
    {"a control character", "x\ty", ADDRESS_ALIAS, "a@b.example"},
};

static void what_is_no_address_is_refused(void **state)
{
    struct world *w = world_of(state);
    struct uuid   ours = add_domain(w, "ours.example"), ignored;

    for (size_t i = 0; i < COUNT(refused); i++) {
        struct span target = span_of(refused[i].target);

        CHECK(refused[i].holds, store_address_add(w->more, &root, ours, span_of(refused[i].local), refused[i].kind,
                                                  &target, target.p != NULL, &ignored, &w->e) < 0);
        CHECK(refused[i].holds, w->e.code == ERR_INVALID);
    }
}

static int each_text(void *ctx, const struct store_address *a)
{
    char *text = ctx;

    sprintf(text + strlen(text), "%.*s(%.*s) ", SPAN_ARG(a->local), SPAN_ARG(a->targets));
    return 0;
}

static void addresses_are_listed_with_their_targets_and_deleted(void **state)
{
    struct world        *w = world_of(state);
    struct store        *s = w->more;
    struct uuid          ours = add_domain(w, "ours.example"), id;
    char                 text[512] = "";
    struct arena         a;
    struct store_address one;

    add_mailbox(w, ours, "anna");
    id = add_address(w, ours, "team", ADDRESS_ALIAS, "b@x.example anna@ours.example b@x.example");
    add_address(w, ours, "", ADDRESS_CATCHALL, "anna@ours.example");
    OK(w, store_address_list(s, ours, SPAN_NONE, 0, each_text, text, &w->e));
    assert_string_equal(text, "(anna@ours.example) anna() team(anna@ours.example\nb@x.example) ");
    text[0] = '\0';
    OK(w, store_address_list(s, ours, SPAN(""), 1, each_text, text, &w->e));
    assert_string_equal(text, "anna() ");
    arena_init(&a, 1 << 20);
    OK(w, store_address_find(s, SPAN("team@ours.example"), &a, &one, &w->e));
    assert_true(uuid_eq(&one.id, &id) && one.kind == ADDRESS_ALIAS);
    OK(w, store_address_delete(s, &root, id, &w->e));
    REFUSED(w, ERR_NOT_FOUND, store_address_find(s, SPAN("team@ours.example"), &a, &one, &w->e));
    OK(w, store_address_find(s, SPAN("anna@ours.example"), &a, &one, &w->e));
    REFUSED(w, ERR_INVALID, store_address_delete(s, &root, one.id, &w->e));
    arena_fini(&a);
}

int main(void)
{
    static const struct both_test tests[] = {
        STORE(an_address_leads_where_the_manual_says),
        STORE(a_chain_of_aliases_is_followed_so_far_and_no_further),
        STORE(a_mailbox_tells_its_person),
        STORE(no_address_is_given_twice),
        STORE(a_split_domain_has_no_catch_all),
        STORE(what_is_no_address_is_refused),
        STORE(addresses_are_listed_with_their_targets_and_deleted),
    };

    return run_on_both(tests, COUNT(tests));
}
