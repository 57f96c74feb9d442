/* Who may open a held message, and that it is written down. */
#include "custody/body.h"
#include "held_world.h"
#include "store/audit.h"

#define MAIL "Subject: held\r\n\r\nbody\r\n"

/* Three people beside the operator, and a message held for the first one's mailbox. */
struct people {
    struct held_world h;
    struct uuid       domain, mailbox, anna, keeper, stranger, uid;
};

static struct uuid add_account(struct world *w, const char *login, bool admin)
{
    struct store_account a = {.admin = admin, .active = true};
    struct uuid          id = uuid_zero;

    snprintf(a.login, sizeof a.login, "%s", login);
    OK(w, store_account_add(w->more, &root, &a, &id, &w->e));
    return id;
}

static void open_people_as(struct people *p, struct world *w, enum delivery_verdict verdict)
{
    struct letter l;

    *p = (struct people){.domain = uuid_zero};
    open_held(&p->h, w);
    p->domain = add_domain(w, "ours.example");
    p->anna = add_account(w, "anna@ours.example", false);
    p->keeper = add_account(w, "keeper@ours.example", false);
    p->stranger = add_account(w, "stranger@ours.example", false);
    OK(w, store_mailbox_add(w->more, &root, p->domain, SPAN("anna"), &p->anna, &p->mailbox, &w->e));
    OK(w, store_role_set(w->more, &root, p->keeper, p->domain, ROLE_CLERK, &w->e));
    a_letter(&l);
    l.to[0].verdict = l.to[1].verdict = verdict;
    l.to[0].domain = p->domain;
    l.to[0].mailbox = p->mailbox;
    hold_letter(&p->h, &l, SPAN(MAIL), HELD_WHOLE);
    p->uid = l.m.uid;
}

static void open_people(struct people *p, struct world *w) { open_people_as(p, w, DELIVERY_QUARANTINED); }

static int count_opened(void *ctx, const struct store_audit_row *r)
{
    *(int *)ctx += span_is(r->action, "body.open");
    return 0;
}

static int opened(struct people *p)
{
    struct store_scope scope = store_scope_mailbox(p->mailbox);
    int                n = 0;

    OK(p->h.w, store_audit_list(p->h.w->more, &scope, INT64_MAX, 100, count_opened, &n, &p->h.w->e));
    return n;
}

/* 0: opened, with the bytes as they came. */
static int try_open(struct people *p, const struct actor *by, int64_t n, const char *reason)
{
    struct buf message;
    int        rc;

    p->h.w->e = ERR_INIT;
    buf_init(&message, 1 << 20);
    rc = body_open(p->h.w->more, p->h.vault, by, &p->uid, n, reason, &message, &p->h.w->e);
    if (rc == 0 ? !span_is(buf_span(&message), MAIL) : message.n > 0)
        fail_msg("what came out is not what it should be: %.*s", SPAN_ARG(buf_span(&message)));
    buf_fini(&message);
    return rc;
}

static struct actor account(struct uuid id, bool admin)
{
    return (struct actor){.kind = ACTOR_ACCOUNT, .id = id, .name = "somebody", .source = "192.0.2.1", .admin = admin};
}

static void people_open_what_was_held_for_them_and_keepers_what_is_in_their_domain(void **state)
{
    struct people p;
    struct actor  anna, keeper, stranger;

    open_people(&p, world_of(state));
    anna = account(p.anna, false);
    keeper = account(p.keeper, false);
    stranger = account(p.stranger, false);
    assert_int_equal(try_open(&p, &anna, 1, NULL), 0);
    assert_int_equal(try_open(&p, &keeper, 1, NULL), 0);
    assert_int_equal(opened(&p), 2);
    CHECK("nobody else's", try_open(&p, &stranger, 1, "I would like to") < 0 && p.h.w->e.code == ERR_DENIED);
    CHECK("not even the copy of another recipient", try_open(&p, &anna, 2, NULL) < 0);
    CHECK("nor one of another domain", try_open(&p, &keeper, 2, NULL) < 0);
    CHECK("nor one that is not there", try_open(&p, &anna, 3, NULL) < 0 && p.h.w->e.code == ERR_NOT_FOUND);
    CHECK("and what was refused did not happen", opened(&p) == 2);
    close_held(&p.h);
}

static void a_copy_of_what_was_delivered_is_its_recipients_alone(void **state)
{
    struct people p;
    struct actor  anna, keeper;

    open_people_as(&p, world_of(state), DELIVERY_CLEAN);
    anna = account(p.anna, false);
    keeper = account(p.keeper, false);
    CHECK("not the keeper of the domain's", try_open(&p, &keeper, 1, NULL) < 0 && p.h.w->e.code == ERR_DENIED);
    assert_int_equal(try_open(&p, &anna, 1, NULL), 0);
    CHECK("the operator needs a reason", try_open(&p, &root, 1, NULL) < 0);
    assert_int_equal(try_open(&p, &root, 1, "asked by Anna"), 0);
    close_held(&p.h);
}

static void an_operator_opens_it_for_a_reason_alone(void **state)
{
    struct people p;
    struct actor  admin;
    struct actor  machine = {.kind = ACTOR_API_KEY, .name = "key", .source = "192.0.2.1"};
    char          endless[BODY_REASON_MAX + 10];

    open_people(&p, world_of(state));
    admin = account(p.stranger, true);
    memset(endless, 'x', sizeof endless);
    endless[sizeof endless - 1] = '\0';
    CHECK("none", try_open(&p, &root, 1, NULL) < 0 && p.h.w->e.code == ERR_DENIED);
    CHECK("an empty one", try_open(&p, &root, 1, "") < 0);
    CHECK("blanks", try_open(&p, &root, 1, "            ") < 0);
    CHECK("a short one", try_open(&p, &root, 1, "x y z") < 0);
    CHECK("an endless one", try_open(&p, &root, 1, endless) < 0);
    CHECK("an admin is asked too", try_open(&p, &admin, 1, NULL) < 0);
    CHECK("a machine never may", try_open(&p, &machine, 1, "for the backup") < 0);
    assert_int_equal(opened(&p), 0);
    assert_int_equal(try_open(&p, &root, 1, "asked by Anna"), 0);
    assert_int_equal(try_open(&p, &admin, 1, "asked by Anna"), 0);
    assert_int_equal(opened(&p), 2);
    close_held(&p.h);
}

int main(void)
{
    static const struct both_test tests[] = {
        STORE_SQLITE(people_open_what_was_held_for_them_and_keepers_what_is_in_their_domain),
        STORE_SQLITE(a_copy_of_what_was_delivered_is_its_recipients_alone),
        STORE_SQLITE(an_operator_opens_it_for_a_reason_alone),
    };

    return run_on_both(tests, COUNT(tests));
}
