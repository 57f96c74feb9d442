/* tests/unit/rulesd_follower.c - twin of rulesd/follower.c: a log that is written, a thread that follows it, and the store. */
#include "../../rulesd/follower.h"

#include <unistd.h>

#include "log_world.h"

#define PATIENCE_MS 10000

struct site {
    struct world    *w;
    char             path[PATH_MAX];
    const char      *files[1];
    struct settings  settings;
    struct follower *f;
};

static void site_begin(struct site *s, struct world *w)
{
    memset(s, 0, sizeof *s);
    s->w = w;
    snprintf(s->path, sizeof s->path, "%s/mail.log", w->dir);
    s->files[0] = s->path;
    s->settings.store.url = w->url;
    s->settings.rulesd.maillog = (struct conf_list){s->files, 1};
}

static void site_start(struct site *s) { OK(s->w, follower_new(&s->settings, &s->f, &s->w->e)); }

static void put_mail(struct world *w, const char *queue_id)
{
    struct letter               l;
    const struct store_message *m = &l.m;

    a_letter(&l);
    l.m.queue_id = span_of(queue_id);
    l.m.ndeliveries = 1;
    l.to[0].recipient = SPAN("a@ours.example");
    OK(w, store_message_put(w->more, &m, 1, &w->e));
}

static void append_attempt(const struct site *s, const char *queue_id, const char *what)
{
    FILE *out = fopen(s->path, "a");
    char  stamp[28];

    assert_non_null(out);
    clock_format_utc(clock_wall_us(), stamp);
    fprintf(out,
            "%s mx postfix/smtp[1]: %s: to=<a@ours.example>, relay=mx[192.0.2.1]:25, delay=1, delays=0/0/0/0, %s\n",
            stamp, queue_id, what);
    fclose(out);
}

#define SENT "dsn=2.0.0, status=sent (250 2.0.0 ok)"
#define DEFERRED "dsn=4.0.0, status=deferred (450 later)"

#define DELIVERED "SELECT COUNT(*) FROM delivery WHERE state = 'delivered'"
#define ATTEMPTS "SELECT COUNT(*) FROM attempt"

static void wait_for(struct world *w, const char *sql, int64_t n)
{
    for (int ms = 0; ms < PATIENCE_MS; ms += 20) {
        if (log_number(w, sql) == n)
            return;
        nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
    }
    fail_msg("%s is %lld, not %lld", sql, (long long)log_number(w, sql), (long long)n);
}

static void a_line_is_in_the_store_a_moment_after_it_was_written(void **state)
{
    struct site s;

    site_begin(&s, world_of(state));
    put_mail(s.w, "4jX51P6jsYz1c738");
    site_start(&s);
    append_attempt(&s, "4jX51P6jsYz1c738", DEFERRED);
    wait_for(s.w, ATTEMPTS, 1);
    append_attempt(&s, "4jX51P6jsYz1c738", SENT);
    wait_for(s.w, DELIVERED, 1);
    follower_free(&s.f);
    assert_int_equal(log_number(s.w, ATTEMPTS), 2);
}

static void what_was_written_while_nobody_followed_is_read_at_the_start(void **state)
{
    struct site s;
    char        old[PATH_MAX + 2];

    site_begin(&s, world_of(state));
    put_mail(s.w, "4jX51P6jsYz1c738");
    put_mail(s.w, "4jX51P6jsYz1c739");
    put_mail(s.w, "4jX51P6jsYz1c740");
    append_attempt(&s, "4jX51P6jsYz1c738", SENT);
    site_start(&s);
    wait_for(s.w, DELIVERED, 1);
    follower_free(&s.f);
    append_attempt(&s, "4jX51P6jsYz1c739", SENT);
    snprintf(old, sizeof old, "%s.1", s.path);
    assert_int_equal(rename(s.path, old), 0);
    nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
    append_attempt(&s, "4jX51P6jsYz1c740", SENT);
    site_start(&s);
    wait_for(s.w, DELIVERED, 3);
    follower_free(&s.f);
    assert_int_equal(log_number(s.w, ATTEMPTS), 3);
    assert_int_equal(log_number(s.w, "SELECT COUNT(*) FROM follower"), 1);
}

static void a_stop_leaves_what_waits_to_be_read_again(void **state)
{
    struct site           s;
    struct follower_stats stats;

    site_begin(&s, world_of(state));
    site_start(&s);
    append_attempt(&s, "4jX51P6jsYz1c738", SENT);
    for (int ms = 0; ms < PATIENCE_MS; ms += 20) {
        follower_stats(s.f, &stats);
        if (stats.lines > 0)
            break;
        nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
    }
    assert_int_equal(stats.lines, 1);
    follower_free(&s.f);
    put_mail(s.w, "4jX51P6jsYz1c738");
    site_start(&s);
    wait_for(s.w, DELIVERED, 1);
    follower_free(&s.f);
}

static void without_a_log_there_is_no_follower(void **state)
{
    struct site           s;
    struct follower_stats stats;

    site_begin(&s, world_of(state));
    s.settings.rulesd.maillog.n = 0;
    site_start(&s);
    assert_null(s.f);
    follower_stats(s.f, &stats);
    assert_int_equal(stats.lines, 0);
    follower_free(&s.f);
}

int main(void)
{
#define STORED(test)                                                                                                   \
    {                                                                                                                  \
#test, test, store_begin_world, store_end_world, ON_BOTH                                                       \
    }
    const struct both_test tests[] = {
        STORED(a_line_is_in_the_store_a_moment_after_it_was_written),
        STORED(what_was_written_while_nobody_followed_is_read_at_the_start),
        STORED(a_stop_leaves_what_waits_to_be_read_again),
        STORED(without_a_log_there_is_no_follower),
    };

    return run_on_both(tests, COUNT(tests));
}
