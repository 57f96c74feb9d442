/* tests/unit/store_audit.c - twin of lib/store/audit.c. */
#include "store_world.h"

struct seen {
    int  n;
    char text[4096];
};

static int each_row(void *ctx, const struct store_audit_row *r)
{
    struct seen *seen = ctx;

    seen->n++;
    snprintf(seen->text + strlen(seen->text), sizeof seen->text - strlen(seen->text), "%.*s by %.*s from %.*s: %.*s\n",
             SPAN_ARG(r->action), SPAN_ARG(r->actor_name), SPAN_ARG(r->source), SPAN_ARG(r->payload));
    return 0;
}

static struct store_audit_verified verify(struct world *w)
{
    struct store_audit_verified v;

    OK(w, store_audit_verify(w->more, &v, &w->e));
    return v;
}

static void a_change_leaves_who_what_before_and_after(void **state)
{
    struct world      *w = world_of(state);
    struct store      *s = w->more;
    struct store_scope scope = store_scope_domain(add_domain(w, "ours.example"));
    struct store_rule  r = a_rule(policy_id(w, scope, POLICY_RULES), "with \"quotes\"");
    struct seen        seen = {0};

    OK(w, store_rule_add(s, &owner, &r, &r.id, &w->e));
    OK(w, store_rule_enable(s, &owner, r.id, false, &w->e));
    OK(w, store_audit_list(s, &scope, INT64_MAX, 1, each_row, &seen, &w->e));
    assert_int_equal(seen.n, 1);
    assert_non_null(strstr(
        seen.text, "rule.disable by owner@ours.example from 192.0.2.1: {\"before\":{\"name\":\"with \\\"quotes\\\"\""));
    assert_non_null(strstr(seen.text, "\"enabled\":true"));
    assert_non_null(strstr(seen.text, "\"after\":{"));
    assert_non_null(strstr(seen.text, "\"conditions\":[{\"kind\":\"sender\""));
    seen = (struct seen){0};
    OK(w, store_audit_list(s, NULL, INT64_MAX, 0, each_row, &seen, &w->e));
    assert_int_equal(seen.n, 5); /* the domain, its two policies, the rule, the switch */
}

/* The actions of what is found, newest first, as one text. */
static int each_action(void *ctx, const struct store_audit_row *r)
{
    struct seen *seen = ctx;

    seen->n++;
    snprintf(seen->text + strlen(seen->text), sizeof seen->text - strlen(seen->text), "%.*s ", SPAN_ARG(r->action));
    return 0;
}

static const char *found(struct world *w, struct store_audit_query q)
{
    static struct seen seen;

    seen = (struct seen){0};
    OK(w, store_audit_find(w->more, &q, each_action, &seen, &w->e));
    return seen.text;
}

static void each_is_found_by_whom_it_concerns(void **state)
{
    struct world        *w = world_of(state);
    struct store        *s = w->more;
    struct store_account person = {.login = "anna@ours.example", .active = true};
    struct uuid          ours, theirs, account, mailbox, other;
    struct actor         anna = {.kind = ACTOR_ACCOUNT, .name = "Anna@ours.example", .source = "192.0.2.2"};

    ours = add_domain(w, "ours.example");
    theirs = add_domain(w, "theirs.example");
    OK(w, store_account_add(s, &root, &person, &account, &w->e));
    OK(w, store_mailbox_add(s, &root, ours, SPAN("anna"), &account, &mailbox, &w->e));
    OK(w, store_mailbox_add(s, &root, theirs, SPAN("cleo"), NULL, &other, &w->e));
    anna.id = account;
    OK(w, store_audit_note(s, &owner, "body.open", "message", NULL, store_scope_mailbox(mailbox), SPAN_NONE, &w->e));
    OK(w, store_audit_note(s, &anna, "body.open", "message", NULL, store_scope_mailbox(mailbox), SPAN_NONE, &w->e));
    OK(w, store_audit_note(s, &owner, "body.open", "message", NULL, store_scope_mailbox(other), SPAN_NONE, &w->e));
    OK(w, store_audit_note(s, &anna, "export.start", "export", NULL, STORE_SCOPE_GLOBAL, SPAN_NONE, &w->e));

    assert_string_equal(found(w, (struct store_audit_query){.where = AUDIT_LOOKED, .of = account}), "body.open ");
    assert_string_equal(found(w, (struct store_audit_query){.where = AUDIT_SCOPE, .scope = store_scope_mailbox(other)}),
                        "body.open policy.add ");
    assert_string_equal(found(w, (struct store_audit_query){.where = AUDIT_SCOPE,
                                                            .scope = store_scope_domain(theirs),
                                                            .action = SPAN("body")}),
                        "body.open ");
    assert_null(strstr(found(w, (struct store_audit_query){.where = AUDIT_SCOPE, .scope = store_scope_domain(theirs)}),
                       "export"));
    assert_string_equal(
        found(w, (struct store_audit_query){.where = AUDIT_PERSON, .of = account, .action = SPAN("export")}),
        "export.start ");
    assert_string_equal(found(w, (struct store_audit_query){.where = AUDIT_PERSON, .of = account, .limit = 3}),
                        "export.start body.open body.open ");
    assert_string_equal(found(w, (struct store_audit_query){.where = AUDIT_ALL, .actor = SPAN("anna@")}),
                        "export.start body.open ");
    assert_string_equal(found(w, (struct store_audit_query){.where = AUDIT_ALL, .action = SPAN("bod")}), "");
    assert_string_equal(found(w, (struct store_audit_query){.where = AUDIT_ALL, .since_us = INT64_MAX - 1}), "");
    assert_string_equal(found(w, (struct store_audit_query){.where = AUDIT_ALL, .until_us = 1}), "");
}

struct last {
    struct store_audit_query *next;
    int                       n;
};

static int keep_last(void *ctx, const struct store_audit_row *r)
{
    struct last *l = ctx;

    l->n++;
    l->next->before_us = r->at_us;
    l->next->before_seq = r->seq;
    l->next->before_node = r->node;
    return 0;
}

static void pages_of_what_is_found_have_no_gap_and_no_double(void **state)
{
    struct world            *w = world_of(state);
    struct store_audit_query q = {.where = AUDIT_ALL, .limit = 2};
    struct last              all = {.n = 0};

    for (char name[] = "a.example"; name[0] <= 'd'; name[0]++)
        add_domain(w, name);
    for (int before = -1; before != all.n;) {
        struct store_audit_query next = q;

        all.next = &next;
        before = all.n;
        OK(w, store_audit_find(w->more, &q, keep_last, &all, &w->e));
        q = next;
    }
    assert_int_equal(all.n, 12); /* four domains with two policies each */
}

static void what_was_rolled_back_was_never_done(void **state)
{
    struct world *w = world_of(state);
    struct store *s = w->more;
    struct seen   seen = {0};

    OK(w, store_begin(s, &w->e));
    add_domain(w, "ours.example");
    store_rollback(s);
    OK(w, store_audit_list(s, NULL, INT64_MAX, 0, each_row, &seen, &w->e));
    assert_int_equal(seen.n, 0);
    add_domain(w, "ours.example");
    assert_string_equal(verify(w).broken, "");
}

static void the_chain_of_untouched_rows_holds(void **state)
{
    struct world               *w = world_of(state);
    struct store_audit_verified v;
    uint8_t                     hash[32], zero[32] = {0};
    int64_t                     seq;

    OK(w, store_audit_head(w->more, &seq, hash, &w->e));
    assert_int_equal(seq, 0);
    assert_memory_equal(hash, zero, 32);
    for (char name[] = "a.example"; name[0] <= 'e'; name[0]++)
        add_domain(w, name);
    v = verify(w);
    assert_int_equal(v.nodes, 1);
    assert_int_equal(v.rows, 15);
    assert_string_equal(v.broken, "");
    OK(w, store_audit_head(w->more, &seq, hash, &w->e));
    assert_int_equal(seq, 15);
    assert_memory_not_equal(hash, zero, 32);
}

static const struct {
    const char *holds, *sql, *says;
} forgeries[] = {
    {"another name", "UPDATE audit SET actor_name = 'somebody' WHERE seq = 5", "number 5 was changed"},
    {"another source", "UPDATE audit SET source = 'elsewhere' WHERE seq = 5", "number 5 was changed"},
    {"another person behind it", "UPDATE audit SET acting_for = 'somebody' WHERE seq = 5", "number 5 was changed"},
    {"another kind of actor", "UPDATE audit SET actor_kind = 'system' WHERE seq = 5", "number 5 was changed"},
    {"another actor", "UPDATE audit SET actor_id = object_id WHERE seq = 5", "number 5 was changed"},
    {"another action", "UPDATE audit SET action = 'rule.delete' WHERE seq = 5", "number 5 was changed"},
    {"another kind of object", "UPDATE audit SET object_kind = 'domain2' WHERE seq = 5", "number 5 was changed"},
    {"another object", "UPDATE audit SET object_id = scope_id WHERE seq = 5", "number 5 was changed"},
    {"another missing object", "UPDATE audit SET object_id = NULL WHERE seq = 5", "number 5 was changed"},
    {"another scope", "UPDATE audit SET scope_id = actor_id WHERE seq = 5", "number 5 was changed"},
    {"another kind of scope", "UPDATE audit SET scope_kind = 'mailbox' WHERE seq = 5", "number 5 was changed"},
    {"another digest of the payload", "UPDATE audit SET payload_sha256 = hash WHERE seq = 5", "number 5 was changed"},
    {"another time", "UPDATE audit SET at_us = at_us + 1 WHERE seq = 5", "number 5 was changed"},
    {"a name moved into the next field", "UPDATE audit SET actor_name = 'roo', source = 't' || source WHERE seq = 5",
     "number 5 was changed"},
    {"another payload", "UPDATE audit SET payload = '{}' WHERE seq = 5", "number 5 had its payload changed"},
    {"a row taken out", "DELETE FROM audit WHERE seq = 5", "number 6 does not follow"},
    {"the first taken out", "DELETE FROM audit WHERE seq = 1", "number 2 does not follow"},
    {"the last taken out", "DELETE FROM audit WHERE seq = 15", "ends at number 14, its row says 15"},
    {"another hash", "UPDATE audit SET hash = previous WHERE seq = 5", "number 5 was changed"},
    {"a row put in twice", "UPDATE audit SET seq = 4 WHERE seq = 3", "number 4 does not follow"},
};

static void every_forgery_breaks_the_chain(void **state)
{
    struct world *w = world_of(state);
    struct store *s = w->more;

    for (char name[] = "a.example"; name[0] <= 'e'; name[0]++)
        add_domain(w, name);
    for (size_t i = 0; i < COUNT(forgeries); i++) {
        struct store_audit_verified v;

        if (strstr(forgeries[i].sql, "seq = 4 WHERE") != NULL)
            OK(w,
               db_script(s->main, "CREATE TABLE kept AS SELECT * FROM audit; DELETE FROM audit WHERE seq = 4", &w->e));
        else
            OK(w, db_script(s->main, "CREATE TABLE kept AS SELECT * FROM audit", &w->e));
        OK(w, db_script(s->main, forgeries[i].sql, &w->e));
        v = verify(w);
        if (strstr(v.broken, forgeries[i].says) == NULL)
            fail_msg("%s: \"%s\" instead of \"%s\"", forgeries[i].holds, v.broken, forgeries[i].says);
        OK(w, db_script(s->main, "DELETE FROM audit; INSERT INTO audit SELECT * FROM kept; DROP TABLE kept", &w->e));
        assert_string_equal(verify(w).broken, "");
    }
}

static void an_erased_payload_leaves_the_chain_whole(void **state)
{
    struct world *w = world_of(state);
    struct store *s = w->more;
    struct uuid   node;

    add_domain(w, "ours.example");
    OK(w, store_node(s, &node, &w->e));
    OK(w, store_audit_erase(s, &root, node, 1, &w->e));
    assert_int_equal(verify(w).erased, 1);
    assert_int_equal(verify(w).rows, 4); /* the erasing is on record itself */
    assert_string_equal(verify(w).broken, "");
    REFUSED(w, ERR_NOT_FOUND, store_audit_erase(s, &root, node, 99, &w->e));
}

static void two_processes_write_one_chain(void **state)
{
    enum { WRITERS = 2, EACH = 50 };
    struct world               *w = world_of(state);
    struct store_audit_verified v;
    int                         status;
    pid_t                       pids[WRITERS];

    for (int i = 0; i < WRITERS; i++) {
        if ((pids[i] = fork()) != 0)
            continue;
        w->more = open_store(w);
        for (int k = 0; k < EACH; k++)
            OK(w,
               store_audit_note(w->more, &owner, "body.open", "message", NULL, STORE_SCOPE_GLOBAL, SPAN("{}"), &w->e));
        _exit(0);
    }
    for (int i = 0; i < WRITERS; i++) {
        waitpid(pids[i], &status, 0);
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }
    v = verify(w);
    assert_int_equal(v.nodes, 1);
    assert_int_equal(v.rows, WRITERS * EACH);
    assert_string_equal(v.broken, "");
}

int main(void)
{
    static const struct both_test tests[] = {
        STORE(a_change_leaves_who_what_before_and_after),
        STORE(what_was_rolled_back_was_never_done),
        STORE(each_is_found_by_whom_it_concerns),
        STORE(what_was_rolled_back_was_never_done),
        STORE(pages_of_what_is_found_have_no_gap_and_no_double),
        STORE(what_was_rolled_back_was_never_done),
        STORE(the_chain_of_untouched_rows_holds),
        STORE(every_forgery_breaks_the_chain),
        STORE(an_erased_payload_leaves_the_chain_whole),
        STORE(two_processes_write_one_chain),
    };

    return run_on_both(tests, COUNT(tests));
}
