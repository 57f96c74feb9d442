/* What Bayes knows, in words, and where it is read. */
#include <hiredis/hiredis.h>

#include "base/clock.h"
#include "check.h"
#include "net/bayes.h"
#include "redis_server.h"

static const struct {
    const char        *holds;
    struct learn_known known;
    const char        *words;
} words[] = {
    {"too little of one kind", {312, 48}, "Bayes acts from 200 of each: spam 312, ham 48 - 152 more ham"},
    {"too little of both", {0, 199}, "Bayes acts from 200 of each: spam 0, ham 199 - 200 more spam, 1 more ham"},
    {"enough", {200, 200}, "Bayes acts: spam 200, ham 200"},
    {"out of balance", {4000, 200}, "Bayes acts: spam 4000, ham 200 - but far more spam than ham: report ham too"},
    {"the other way", {200, 9000}, "Bayes acts: spam 200, ham 9000 - but far more ham than spam: report spam too"},
};

static void what_is_missing_is_said_in_words(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < COUNT(words); i++) {
        struct buf b;

        buf_init(&b, 1024);
        bayes_put_words(&b, &words[i].known, 200);
        CHECK(words[i].holds, span_is(buf_span(&b), words[i].words));
        buf_fini(&b);
    }
}

#define MAGIC(spam, ham)                                                                                               \
    "0.000          0          3          0  non-token data: bayes db version\n"                                       \
    "0.000          0 " spam "          0  non-token data: nspam\n"                                                    \
    "0.000          0 " ham "          0  non-token data: nham\n"                                                      \
    "0.000          0     133570          0  non-token data: ntokens\n"

static const struct {
    const char *holds, *printed;
    int         rc;
    int64_t     spam, ham;
} magics[] = {
    {"as sa-learn prints it", MAGIC("      1234", "       567"), 0, 1234, 567},
    {"one is missing", "0.000 0 12 0  non-token data: nspam\n", -1, 0, 0},
    {"no number", MAGIC("many", "567"), -1, 0, 0},
    {"nothing", "", -1, 0, 0},
    {"something else", "ERROR: Bayes dump returned an error\n", -1, 0, 0},
};

static void what_sa_learn_prints_is_read(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < COUNT(magics); i++) {
        struct learn_known known;
        struct err         e = ERR_INIT;

        CHECK(magics[i].holds, bayes_read_magic(span_of(magics[i].printed), &known, &e) == magics[i].rc);
        CHECK(magics[i].holds, magics[i].rc < 0 || (known.spam == magics[i].spam && known.ham == magics[i].ham));
    }
}

static const struct {
    const char *holds, *command, *why;
} commands[] = {
    {"it prints something else", "echo 0.0 0 7 0 non-token data: nspam", "did not print"},
    {"there is none of that name", "/nowhere/sa-learn --dump magic", "run /nowhere/sa-learn"},
    {"it fails", "false", "false failed"},
    {"it prints without end", "yes", "without end"},
};

static void a_command_that_does_not_tell_says_why(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < COUNT(commands); i++) {
        const struct settings    s = {.trainer = {.bayes_redis = "", .bayes_command = commands[i].command}};
        static struct bayes_view views[BAYES_VIEWS_MAX];

        CHECK(commands[i].holds, bayes_look(&s, -1, views) == 1);
        CHECK(commands[i].holds, !views[0].counted && !views[0].backend);
        if (strstr(views[0].why.text, commands[i].why) == NULL)
            fail_msg("%s: %s", commands[i].holds, views[0].why.text);
    }
}

static void a_command_tells(void **unused)
{
    char                     path[] = "/tmp/net_bayes_XXXXXX", command[64];
    static struct bayes_view views[BAYES_VIEWS_MAX];
    int                      fd = mkstemp(path);

    (void)unused;
    assert_true(write(fd, MAGIC("12", "34"), sizeof MAGIC("12", "34") - 1) > 0);
    close(fd);
    snprintf(command, sizeof command, "cat  %s", path);
    const struct settings s = {.trainer = {.bayes_redis = "", .bayes_command = command}};
    assert_int_equal(bayes_look(&s, -1, views), 1);
    assert_true(views[0].counted && views[0].known.spam == 12 && views[0].known.ham == 34);
    unlink(path);
}

static void a_command_that_hangs_is_ended_when_the_program_stops(void **unused)
{
    const struct settings    s = {.trainer = {.bayes_redis = "", .bayes_command = "sleep 60"}};
    static struct bayes_view views[BAYES_VIEWS_MAX];
    const int64_t            began = clock_mono_us();
    int                      stop[2];

    (void)unused;
    assert_int_equal(pipe(stop), 0);
    pid_t teller = fork();
    if (teller == 0) {
        usleep(300000);
        _exit(write(stop[1], "x", 1) == 1 ? 0 : 1);
    }
    assert_int_equal(bayes_look(&s, stop[0], views), 1);
    assert_true(!views[0].counted && strstr(views[0].why.text, "this program stops") != NULL);
    assert_true(clock_mono_us() - began < 10 * INT64_C(1000000));
    assert_int_equal(bayes_look(&s, stop[0], views), 0); /* and nothing is begun */
    waitpid(teller, NULL, 0);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* nobody is left */
    close(stop[0]);
    close(stop[1]);
}

/* ---- Redis ---- */

static void rspamds_redis_tells_for_each_whom_it_learns_for(void **unused)
{
    static const char *const commands_of_rspamd[] = {
        "SADD BAYES_SPAM_keys RSours.example RS",
        "SADD BAYES_HAM_keys RSours.example RStheirs.example",
        "HSET RSours.example learns_spam 312 learns_ham 48",
        "HSET RStheirs.example learns_ham 5",
        "HSET RS learns_spam nonsense version 2",
    };
    static struct bayes_person people[BAYES_PEOPLE_MAX];
    static struct bayes_view   views[BAYES_VIEWS_MAX];
    char                       dir[] = "/tmp/net_bayes_XXXXXX";
    struct redis_server        w;
    struct arena               a;
    struct err                 e = ERR_INIT;

    (void)unused;
    assert_true(mkdtemp(dir) != NULL && redis_server_start(&w, dir));
    redisContext *c = redisConnectUnix(w.socket);
    for (size_t i = 0; i < COUNT(commands_of_rspamd); i++)
        freeReplyObject(redisCommand(c, commands_of_rspamd[i]));
    arena_init(&a, 4 << 20);
    if (bayes_people(w.url, &a, people, &e) != 3)
        fail_msg("%s", e.text);
    assert_true(people[0].name.n == 0 && people[0].known.spam == 0);
    assert_true(span_is(people[1].name, "ours.example") && people[1].known.spam == 312 && people[1].known.ham == 48);
    assert_true(span_is(people[2].name, "theirs.example") && people[2].known.ham == 5);
    const struct settings s = {.trainer = {.bayes_redis = w.url, .bayes_command = ""}};
    assert_int_equal(bayes_look(&s, -1, views), 1);
    assert_true(views[0].up && views[0].known.spam == 312 && views[0].known.ham == 53);

    /* A domain's owner may make as many names as they like: what is read of them has an end. */
    for (int i = 0; i < BAYES_PEOPLE_MAX + 200; i++)
        redisAppendCommand(c, "SADD BAYES_SPAM_keys RSn%d", i);
    for (int i = 0; i < BAYES_PEOPLE_MAX + 200; i++) {
        void *reply = NULL;
        redisGetReply(c, &reply);
        freeReplyObject(reply);
    }
    assert_int_equal(bayes_people(w.url, &a, people, &e), BAYES_PEOPLE_MAX);
    redisFree(c);
    arena_fini(&a);
    redis_server_stop(&w);
    assert_int_equal(rmdir(dir), 0);
    assert_int_equal(bayes_look(&s, -1, views), 1);
    assert_true(!views[0].up && views[0].why.code == ERR_LOST);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_missing_is_said_in_words),
        cmocka_unit_test(what_sa_learn_prints_is_read),
        cmocka_unit_test(a_command_that_does_not_tell_says_why),
        cmocka_unit_test(a_command_tells),
        cmocka_unit_test(a_command_that_hangs_is_ended_when_the_program_stops),
        cmocka_unit_test(rspamds_redis_tells_for_each_whom_it_learns_for),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
