/* tests/unit/portal_live.c - twin of portal/live.c: many listen, come and go, while mail is written and told. */
#include "../../portal/live.h"

#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#include "../../portal/route.h"
#include "httpd_world.h"
#include "log_world.h"
#include "store/session.h"

#define LISTENERS 8
#define LETTERS 20
#define COMING 3
#define GET_OF(person) "GET /" person " HTTP/1.1\r\nHost: here\r\n\r\n"

extern const struct route_family live_family;

/* A portal that serves nothing but events, to two who may hear everything. */
struct house {
    struct settings settings;
    struct portal   portal;
    struct endpoint ep;
    struct worker   workers[4];
    struct who      anna, berta; /* fixed once it is open */
};

static int worker_open(void *ctx, size_t index, void **out, struct err *e)
{
    struct house *h = ctx;

    *out = &h->workers[index];
    h->workers[index].portal = &h->portal;
    return store_open(h->settings.store.url, STORE_EXISTING, &h->workers[index].store, e);
}

static void worker_close(void *ctx, void *worker)
{
    (void)ctx;
    store_close(&((struct worker *)worker)->store);
}

static size_t no_body(void *ctx, enum httpd_method method, struct span path)
{
    (void)ctx;
    (void)method;
    (void)path;
    return 0;
}

static void serve(void *ctx, void *worker, const struct httpd_request *r, struct httpd_reply *out)
{
    struct house  *h = ctx;
    struct worker *w = worker;
    struct call    c = {.portal = &h->portal, .worker = w, .store = w->store, .request = r, .reply = out};
    struct err     e = ERR_INIT;

    c.who = span_is(r->path, "/anna") ? h->anna : h->berta;
    out->status = 200;
    if (live_family.rows[0].run(&c, &e) < 0)
        out->status = 429;
}

static void sign_in(struct world *w, const char *login, struct who *out)
{
    struct store_session x = {.methods = "password"};
    char                 token[SESSION_TOKEN_TEXT + 1];

    out->kind = WHO_SESSION;
    out->account.admin = out->account.active = true;
    snprintf(out->account.login, sizeof out->account.login, "%s", login);
    OK(w, store_account_add(w->more, &root, &out->account, &out->account.id, &w->e));
    x.account = out->account.id;
    OK(w, store_session_begin(w->more, &root, &x, clock_wall_us(), &out->session, token, &w->e));
}

static void house_open(struct house *h, struct world *w)
{
    struct httpd_config config = {.listen = &h->ep,
                                  .nlisten = 1,
                                  .workers = COUNT(h->workers),
                                  .worker_open = worker_open,
                                  .worker_close = worker_close,
                                  .body_max = no_body,
                                  .serve = serve,
                                  .ctx = h};

    memset(h, 0, sizeof *h);
    h->settings.store.url = w->url;
    h->portal.settings = &h->settings;
    sign_in(w, "anna@ours.example", &h->anna);
    sign_in(w, "berta@ours.example", &h->berta);
    OK(w, endpoint_parse("127.0.0.1:0", &h->ep, NULL, &w->e));
    OK(w, live_start(&h->portal, &h->portal.live, &w->e));
    OK(w, httpd_start(&config, &h->portal.httpd, &w->e));
}

static void house_close(struct house *h)
{
    httpd_stop(&h->portal.httpd);
    live_stop(&h->portal.live);
    assert_null(h->portal.live);
}

/* The sum of what "mail" events said. */
static size_t told(struct span s)
{
    size_t sum = 0;

    for (size_t at = 0; (at = span_find(s, SPAN("{\"n\":"))) < s.n;) {
        s = span_skip(s, at + 5);
        sum += (size_t)atoi(s.p);
    }
    return sum;
}

/* One who listens until all letters were told, each of which goes to two. */
struct listener {
    const struct endpoint *ep;
    atomic_size_t          ready;
    size_t                 told;
};

static void *listen_on(void *arg)
{
    struct listener *l = arg;
    struct buf       in;
    int              fd = must_connect(l->ep);

    buf_init(&in, 1 << 20);
    send_text(fd, GET_OF("anna"));
    while (l->told < 2 * LETTERS && read_some(fd, &in, SIZE_MAX)) {
        if (span_find(buf_span(&in), SPAN("event: ready")) < in.n)
            atomic_store(&l->ready, 1);
        l->told = told(buf_span(&in));
    }
    fd_close(&fd);
    buf_fini(&in);
    return NULL;
}

struct coming {
    const struct endpoint *ep;
    atomic_bool           *over;
};

static void *come_and_go(void *arg)
{
    struct coming *c = arg;

    while (!atomic_load(c->over)) {
        int fd = must_connect(c->ep);

        send_text(fd, GET_OF("berta"));
        usleep(2000);
        fd_close(&fd);
    }
    return NULL;
}

static void write_letters(struct world *w, size_t n)
{
    struct letter               l;
    const struct store_message *m = &l.m;

    for (size_t i = 0; i < n; i++) {
        a_letter(&l);
        OK(w, store_message_put(w->more, &m, 1, &w->e));
        usleep(5000);
    }
}

static void all_who_listen_are_told_of_each_delivery_once_while_others_come_and_go(void **state)
{
    static struct house    h;
    static struct listener listeners[LISTENERS];
    struct world          *w = world_of(state);
    atomic_bool            over = false;
    struct coming          coming = {&h.ep, &over};
    pthread_t              threads[LISTENERS + COMING];

    house_open(&h, w);
    for (size_t i = 0; i < LISTENERS; i++) {
        listeners[i] = (struct listener){.ep = &h.ep};
        pthread_create(&threads[i], NULL, listen_on, &listeners[i]);
    }
    for (size_t i = 0; i < LISTENERS; i++)
        AWAIT("all listen", atomic_load(&listeners[i].ready) == 1);
    for (size_t i = 0; i < COMING; i++)
        pthread_create(&threads[LISTENERS + i], NULL, come_and_go, &coming);
    write_letters(w, LETTERS);
    for (size_t i = 0; i < LISTENERS; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(listeners[i].told, 2 * LETTERS);
    }
    atomic_store(&over, true);
    for (size_t i = 0; i < COMING; i++)
        pthread_join(threads[LISTENERS + i], NULL);
    house_close(&h);
}

static void who_has_lost_the_session_hears_no_more(void **state)
{
    static struct house h;
    struct world       *w = world_of(state);
    struct buf          in;

    house_open(&h, w);
    buf_init(&in, 1 << 20);
    int fd = must_connect(&h.ep);
    send_text(fd, GET_OF("anna"));
    while (span_find(buf_span(&in), SPAN("event: ready")) == in.n)
        assert_true(read_some(fd, &in, SIZE_MAX));
    OK(w, store_session_revoke(w->more, &root, h.anna.account.id, h.anna.session, &w->e));
    while (!span_ends(buf_span(&in), SPAN("0\r\n\r\n")))
        assert_true(read_some(fd, &in, SIZE_MAX));
    fd_close(&fd);
    buf_fini(&in);
    house_close(&h);
}

static void it_stops_while_somebody_listens(void **state)
{
    static struct house h;
    struct world       *w = world_of(state);
    struct buf          in;

    house_open(&h, w);
    buf_init(&in, 1 << 20);
    int fd = must_connect(&h.ep);
    send_text(fd, GET_OF("anna"));
    while (span_find(buf_span(&in), SPAN("event: ready")) == in.n)
        assert_true(read_some(fd, &in, SIZE_MAX));
    house_close(&h);
    while (read_some(fd, &in, SIZE_MAX))
        ;
    fd_close(&fd);
    buf_fini(&in);
}

int main(void)
{
    static const struct both_test tests[] = {
        STORE_SQLITE(all_who_listen_are_told_of_each_delivery_once_while_others_come_and_go),
        STORE_SQLITE(who_has_lost_the_session_hears_no_more),
        STORE_SQLITE(it_stops_while_somebody_listens),
    };

    return run_on_both(tests, COUNT(tests));
}
