/* tests/unit/portal_programs.c - twin of portal/programs.c: programs that are there, ail, or do not answer, asked by several at once. */
#include "../../portal/programs.h"

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "sockets.h"

#define DOORS 5
#define CALLERS 4
#define ROUNDS 3 /* of each of them */
#define TRIES 20

#define NODE(start, up, rest) "postern_rulesd_start_time_seconds " start "\npostern_rulesd_database_up " up "\n" rest
#define SCANNER(asked, failed, seconds, answered)                                                                      \
    "postern_rulesd_scanner_asked_total " asked "\npostern_rulesd_scanner_failed_total " failed                        \
    "\npostern_rulesd_scanner_timeouts_total 1\npostern_rulesd_scanner_well "                                          \
    "1\npostern_rulesd_scanner_seconds_total " seconds "\npostern_rulesd_scanner_answered_total " answered "\n"
#define MACHINE(room, load, processors)                                                                                \
    "postern_rulesd_custody_room_bytes " room "\npostern_rulesd_machine_load1 9\npostern_rulesd_machine_load5 " load   \
    "\npostern_rulesd_machine_load15 1\npostern_rulesd_machine_processors " processors "\n"

/* What each door says of itself; the last is the trainer's. */
static const struct {
    int         status;
    const char *told;
} says[DOORS] = {
    {200, NODE("1000", "1", SCANNER("10", "1", "5", "10") MACHINE("5e9", "2", "4"))},
    {200, NODE("900", "1", SCANNER("20", "3", "4", "4") MACHINE("7e9", "3", "2"))},
    {200, NODE("1100", "0", "")},
    {500, NODE("1", "1", SCANNER("1000", "1000", "1000", "1"))},
    {200, "postern_trainer_start_time_seconds 1200\npostern_trainer_database_up 1\n"},
};

/* A house with that many doors, on sockets of its own. together: nobody is answered until there was a knock at each of them. */
struct house {
    char            dir[40], at[DOORS][80], gone[80];
    int             doors[DOORS], stop[2];
    const char     *nodes[DOORS], *trainer[2];
    struct settings settings;
    pthread_t       thread;
    bool            together;
};

static void answer(int *fd, size_t door)
{
    struct buf b;

    buf_init(&b, 1 << 16);
    while (span_find(buf_span(&b), SPAN("\r\n\r\n")) == b.n && read_some(*fd, &b, 4096))
        ;
    buf_clear(&b);
    buf_printf(&b, "HTTP/1.1 %d X\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n%s", says[door].status,
               strlen(says[door].told), says[door].told);
    send_bytes(*fd, buf_span(&b));
    buf_fini(&b);
    fd_close(fd);
}

static bool all_knock(const int waiting[DOORS])
{
    size_t n = 0;

    while (n < DOORS && waiting[n] >= 0)
        n++;
    return n == DOORS;
}

/* Who knocks again where somebody waits is there instead: the one before has given up. */
static void *open_doors(void *arg)
{
    struct house *h = arg;
    struct pollfd p[DOORS + 1];
    int           waiting[DOORS];

    for (size_t i = 0; i < DOORS; i++) {
        p[i] = (struct pollfd){.fd = h->doors[i], .events = POLLIN};
        waiting[i] = -1;
    }
    p[DOORS] = (struct pollfd){.fd = h->stop[0], .events = POLLIN};
    while (poll(p, DOORS + 1, -1) > 0 && p[DOORS].revents == 0) {
        for (size_t i = 0; i < DOORS; i++) {
            if ((p[i].revents & POLLIN) == 0)
                continue;
            fd_close(&waiting[i]);
            waiting[i] = accept(h->doors[i], NULL, NULL);
            if (!h->together)
                answer(&waiting[i], i);
        }
        for (size_t i = 0, all = all_knock(waiting); all && i < DOORS; i++)
            answer(&waiting[i], i);
    }
    for (size_t i = 0; i < DOORS; i++)
        fd_close(&waiting[i]);
    return NULL;
}

/* Four nodes and one that is gone; a trainer behind the second of its addresses; of a digest nothing is said. */
static void house_open(struct house *h, bool together)
{
    struct endpoint at;
    struct span     query;
    struct err      e = ERR_INIT;

    *h = (struct house){.dir = "/tmp/postern-programs-XXXXXX", .together = together};
    assert_non_null(mkdtemp(h->dir));
    assert_int_equal(pipe(h->stop), 0);
    for (size_t i = 0; i < DOORS; i++) {
        snprintf(h->at[i], sizeof h->at[i], "unix:%s/%zu", h->dir, i);
        assert_int_equal(endpoint_parse(h->at[i], &at, &query, &e), 0);
        if ((h->doors[i] = endpoint_listen(&at, false, &e)) < 0)
            fail_msg("%s", e.text);
        h->nodes[i] = h->at[i];
    }
    snprintf(h->gone, sizeof h->gone, "unix:%s/gone", h->dir);
    h->nodes[DOORS - 1] = h->trainer[0] = h->gone;
    h->trainer[1] = h->at[DOORS - 1];
    h->settings.portal.rulesd_nodes = (struct conf_list){h->nodes, DOORS};
    h->settings.trainer.listen_http = (struct conf_list){h->trainer, 2};
    assert_int_equal(pthread_create(&h->thread, NULL, open_doors, h), 0);
}

static void house_close(struct house *h)
{
    fd_close(&h->stop[1]);
    pthread_join(h->thread, NULL);
    fd_close(&h->stop[0]);
    for (size_t i = 0; i < DOORS; i++) {
        fd_close(&h->doors[i]);
        unlink(h->at[i] + strlen("unix:"));
    }
    rmdir(h->dir);
}

static void fini_all(struct program *all, size_t n)
{
    for (size_t i = 0; i < n; i++)
        program_fini(&all[i]);
}

static const struct {
    const char        *name;
    enum program_state state;
    int64_t            since_s;
} expected[] = {
    {"postern-rulesd", PROGRAM_RUNS, 1000}, {"postern-rulesd", PROGRAM_RUNS, 900},
    {"postern-rulesd", PROGRAM_AILS, 1100}, {"postern-rulesd", PROGRAM_SILENT, 0},
    {"postern-rulesd", PROGRAM_SILENT, 0},  {"postern-trainer", PROGRAM_RUNS, 1200},
    {"postern-digest", PROGRAM_UNKNOWN, 0},
};

/* Is it what they said? A slow machine may have kept one from answering in time: then it is asked once more. */
static bool is_told(const struct program *all, size_t n)
{
    size_t i = 0;

    while (i < n && n == COUNT(expected) && strcmp(all[i].name, expected[i].name) == 0 &&
           all[i].state == expected[i].state && all[i].since_us == expected[i].since_s * 1000000)
        i++;
    return i == COUNT(expected);
}

static bool asks_and_is_told(const struct settings *s)
{
    struct program all[PROGRAMS_MAX];
    size_t         n = programs_ask(s, all);
    bool           told = is_told(all, n);

    fini_all(all, n);
    return told;
}

static void all_are_asked_at_once_and_each_tells_of_itself_alone(void **state)
{
    struct house h;

    (void)state;
    house_open(&h, true);
    AWAIT("each door is knocked at while the others wait", asks_and_is_told(&h.settings));
    house_close(&h);
}

/* NULL: somebody was told something else, however often they asked. */
static void *call(void *arg)
{
    struct house *h = arg;
    int           told = 0;

    for (int i = 0; i < TRIES && told < ROUNDS; i++)
        told += asks_and_is_told(&h->settings);
    return told == ROUNDS ? h : NULL;
}

static void several_ask_at_the_same_moment(void **state)
{
    struct house h;
    pthread_t    callers[CALLERS];
    void        *told;
    int          all = 0;

    (void)state;
    house_open(&h, false);
    for (size_t i = 0; i < CALLERS; i++)
        assert_int_equal(pthread_create(&callers[i], NULL, call, &h), 0);
    for (size_t i = 0; i < CALLERS; i++) {
        pthread_join(callers[i], &told);
        all += told != NULL;
    }
    house_close(&h);
    assert_int_equal(all, CALLERS);
}

static struct program program_of(const char *name, const char *at, const char *told)
{
    struct program p = {.name = name, .at = at, .state = PROGRAM_RUNS, .since_us = 1};

    buf_init(&p.told, 1 << 16);
    buf_puts(&p.told, told);
    return p;
}

static void what_nodes_count_adds_up_and_of_the_rest_the_worst_is_named(void **state)
{
    struct program        all[] = {program_of("postern-rulesd", "one", says[0].told),
                                   program_of("postern-rulesd", "two", says[1].told),
                                   program_of("postern-trainer", "three", says[3].told)};
    struct rulesd_figures f;

    (void)state;
    rulesd_figures_read(all, COUNT(all), &f);
    assert_true(f.nodes == 2 && f.scanners == 2 && f.asked == 30 && f.failed == 4 && f.timeouts == 2 && f.well == 2);
    assert_true(f.mean_ms == 1000 && strcmp(f.slowest_at, "two") == 0);
    assert_true(f.has_room && f.room == 5e9 && strcmp(f.room_at, "one") == 0);
    assert_true(f.has_load && f.load[1] == 3 && f.processors == 2 && strcmp(f.load_at, "two") == 0);
    rulesd_figures_read(all, 1, &f);
    assert_true(f.mean_ms == 500 && f.slowest_at == NULL && f.room_at == NULL && f.load_at == NULL);
    rulesd_figures_read(all + 2, 1, &f);
    assert_true(f.nodes == 0 && isnan(f.mean_ms) && !f.has_room && !f.has_load);
    fini_all(all, COUNT(all));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_are_asked_at_once_and_each_tells_of_itself_alone),
        cmocka_unit_test(several_ask_at_the_same_moment),
        cmocka_unit_test(what_nodes_count_adds_up_and_of_the_rest_the_worst_is_named),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
