/* Requests for release: asked once, answered once, and read by the owners of that domain alone. */
#include "log_world.h"
#include "store/request.h"

static struct store_request asked_for(int64_t n)
{
    return (struct store_request){.key = {uuid7_make(), n},
                                  .domain = first_domain,
                                  .mailbox = first_box,
                                  .has_mailbox = true,
                                  .who = SPAN("anna@ours.example"),
                                  .why = SPAN("It is ours.")};
}

static struct store_request now(struct world *w, const struct store_request *r, struct arena *a)
{
    struct store_request out;

    assert_int_equal(store_request_get(w->more, &r->key, a, &out, &w->e), 1);
    return out;
}

static void what_is_asked_twice_is_asked_once(void **state)
{
    struct world        *w = world_of(state);
    struct store_request r = asked_for(1), again = r, is;
    struct arena         a;

    arena_init(&a, 4096);
    again.why = SPAN("Please!");
    OK(w, store_request_ask(w->more, &r, 1000, &w->e));
    OK(w, store_request_ask(w->more, &again, 2000, &w->e));
    is = now(w, &r, &a);
    assert_true(span_is(is.why, "It is ours."));
    assert_int_equal(is.asked_us, 1000);
    assert_int_equal(is.state, REQUEST_WAITING);
    arena_fini(&a);
}

static void an_answer_is_given_once_and_stays(void **state)
{
    struct world        *w = world_of(state);
    struct store_request r = asked_for(1);
    struct arena         a;

    arena_init(&a, 4096);
    OK(w, store_request_ask(w->more, &r, 1000, &w->e));
    OK(w,
       store_request_answer(w->more, &r.key, REQUEST_WAITING, REQUEST_REFUSED, SPAN("owen"), SPAN("No."), 2000, &w->e));
    assert_int_equal(store_request_answer(w->more, &r.key, REQUEST_WAITING, REQUEST_GRANTED, SPAN("olga"), SPAN("Yes."),
                                          3000, &w->e),
                     -1);
    assert_int_equal(w->e.code, ERR_CONFLICT);
    assert_true(span_is(now(w, &r, &a).answer, "No."));
    assert_int_equal(store_request_ask(w->more, &r, 4000, &w->e), -1);
    assert_int_equal(w->e.code, ERR_CONFLICT);
    arena_fini(&a);
}

struct seen {
    size_t           n;
    struct store_key last;
};

static int each(void *ctx, const struct store_request *r)
{
    struct seen *s = ctx;

    s->n++;
    s->last = r->key;
    return 0;
}

static void a_domains_queue_has_what_waits_there_page_by_page(void **state)
{
    struct world        *w = world_of(state);
    struct store_request all[4];
    struct seen          s = {0};

    for (size_t i = 0; i < COUNT(all); i++) {
        all[i] = asked_for(1);
        if (i == 3)
            all[i].domain = second_domain;
        OK(w, store_request_ask(w->more, &all[i], 1000, &w->e));
    }
    OK(w, store_request_list(w->more, first_domain, REQUEST_WAITING, NULL, 2, each, &s, &w->e));
    assert_int_equal(s.n, 2);
    OK(w, store_request_list(w->more, first_domain, REQUEST_WAITING, &s.last, 2, each, &s, &w->e));
    assert_int_equal(s.n, 3);
    assert_true(uuid_eq(&s.last.uid, &all[2].key.uid));
    OK(w, store_request_answer(w->more, &all[0].key, REQUEST_WAITING, REQUEST_GRANTED, SPAN("owen"), SPAN(""), 2000,
                               &w->e));
    s = (struct seen){0};
    OK(w, store_request_list(w->more, first_domain, REQUEST_GRANTED, NULL, 0, each, &s, &w->e));
    assert_int_equal(s.n, 1);
}

int main(void)
{
    static const struct both_test tests[] = {
        STORE(what_is_asked_twice_is_asked_once),
        STORE(an_answer_is_given_once_and_stays),
        STORE(a_domains_queue_has_what_waits_there_page_by_page),
    };

    return run_on_both(tests, COUNT(tests));
}
