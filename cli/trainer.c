/* cli/trainer.c - postern trainer: what waits, what the filter has learnt, and whether that is enough. */
#include <inttypes.h>
#include <stdio.h>

#include "cli.h"
#include "base/json_write.h"
#include "net/bayes.h"
#include "store/report.h"
#include "timeline.h"

#define STATES_MAX 16
#define PEOPLE_SHOWN 20
#define JSON_MAX ((size_t)4 << 20)

struct status {
    int64_t              of[STATES_MAX]; /* by state, as far as report_state_words goes */
    int64_t              oldest_us;
    int64_t              needed;
    struct bayes_view    views[BAYES_VIEWS_MAX];
    size_t               nviews;
    struct bayes_person *people; /* of Redis; NULL: it is not asked */
    int                  npeople;
    struct err           no_people;
};

static int each_sum(void *ctx, enum report_state state, int64_t count)
{
    struct status *st = ctx;

    if ((size_t)state < COUNT(st->of))
        st->of[state] += count;
    return 0;
}

static int look(struct cli *c, struct status *st, struct err *e)
{
    const struct settings *s = c->settings;

    st->oldest_us = INT64_MAX;
    st->needed = s->trainer.bayes_needed;
    if (store_report_sums(c->store, each_sum, st, e) < 0 || store_report_oldest(c->store, &st->oldest_us, e) < 0)
        return -1;
    st->nviews = bayes_look(s, -1, st->views);
    if (s->trainer.bayes_redis[0] == '\0')
        return 0;
    if ((st->people = arena_array(&c->arena, BAYES_PEOPLE_MAX, sizeof *st->people)) == NULL)
        return err_set(e, ERR_LIMIT, "out of memory for what Redis knows");
    st->npeople = bayes_people(s->trainer.bayes_redis, &c->arena, st->people, &st->no_people);
    return 0;
}

/* ---- for people ---- */

static void print_words(const struct status *st, const struct learn_known *k)
{
    struct buf b;

    buf_init(&b, 1024);
    bayes_put_words(&b, k, st->needed);
    printf("%.*s\n", SPAN_ARG(buf_span(&b)));
    buf_fini(&b);
}

static void print_view(const struct status *st, const struct bayes_view *v)
{
    printf("%s: ", v->from);
    if (v->counted) {
        print_words(st, &v->known);
    } else if (v->up && v->why.text[0] == '\0') {
        puts("it answers; spamd cannot be asked what it knows, [trainer] bayes_command can");
    } else {
        cli_print(span_of(v->why.text));
        putchar('\n');
    }
}

/* Where the filter learns for each domain or user, it acts for each when it knows enough for that one. */
static void print_people(const struct status *st)
{
    int shown = st->npeople < PEOPLE_SHOWN ? st->npeople : PEOPLE_SHOWN;

    if (st->npeople <= 0 || (st->npeople == 1 && st->people[0].name.n == 0))
        return;
    for (int i = 0; i < shown; i++) {
        fputs("  ", stdout);
        cli_print(st->people[i].name.n > 0 ? st->people[i].name : SPAN("(everybody)"));
        fputs(": ", stdout);
        print_words(st, &st->people[i].known);
    }
    if (shown < st->npeople)
        printf("  and %d%s others (--json has them)\n", st->npeople - shown,
               st->npeople == BAYES_PEOPLE_MAX ? " or more" : "");
}

static void print_status(const struct settings *s, const struct status *st)
{
    for (size_t i = 0; report_state_words[i] != NULL; i++)
        printf("%s%" PRId64 " %s", i > 0 ? ", " : "", st->of[i], report_state_words[i]);
    putchar('\n');
    if (st->oldest_us != INT64_MAX)
        printf("The oldest that waits is of %s UTC.\n", time_text(st->oldest_us).text);
    for (size_t i = 0; i < st->nviews; i++)
        print_view(st, &st->views[i]);
    print_people(st);
    if (s->trainer.backend.n == 0)
        puts("No [trainer] backend is configured: nothing is taught.");
}

/* ---- for programs ---- */

static void put_known(struct buf *b, const struct learn_known *k, int64_t needed)
{
    json_add_i64(b, "spam", k->spam);
    json_add_i64(b, "ham", k->ham);
    json_add_i64(b, "needed", needed);
    json_add_i64(b, "more_spam", k->spam < needed ? needed - k->spam : 0);
    json_add_i64(b, "more_ham", k->ham < needed ? needed - k->ham : 0);
    json_add_bool(b, "acts", bayes_acts(k, needed));
}

static void put_view(struct buf *b, const struct bayes_view *v, int64_t needed)
{
    json_open(b, NULL, '{');
    json_add_string(b, v->backend ? "url" : "from", span_of(v->from));
    json_add_bool(b, "up", v->up);
    if (v->counted)
        put_known(b, &v->known, needed);
    if (v->why.text[0] != '\0')
        json_add_string(b, "error", span_of(v->why.text));
    json_close(b, '}');
}

static void put_views(struct buf *b, const struct status *st, const char *key, bool backends)
{
    json_open(b, key, '[');
    for (size_t i = 0; i < st->nviews; i++)
        if (st->views[i].backend == backends)
            put_view(b, &st->views[i], st->needed);
    json_close(b, ']');
}

static void put_people(struct buf *b, const struct status *st)
{
    json_open(b, "people", '[');
    for (int i = 0; i < st->npeople; i++) {
        json_open(b, NULL, '{');
        json_add_string(b, "name", st->people[i].name);
        put_known(b, &st->people[i].known, st->needed);
        json_close(b, '}');
    }
    json_close(b, ']');
}

static int print_json(const struct status *st, struct err *e)
{
    struct buf b;
    int        rc = 0;

    buf_init(&b, JSON_MAX);
    json_open(&b, NULL, '{');
    for (size_t i = 0; report_state_words[i] != NULL; i++)
        json_add_i64(&b, report_state_words[i], st->of[i]);
    if (st->oldest_us != INT64_MAX)
        json_add_time(&b, "oldest", st->oldest_us);
    put_views(&b, st, "backends", true);
    put_views(&b, st, "bayes", false);
    if (st->people != NULL)
        put_people(&b, st);
    json_close(&b, '}');
    if (b.failed)
        rc = err_set(e, ERR_LIMIT, "that is too much to print at once");
    else
        printf("%.*s\n", SPAN_ARG(buf_span(&b)));
    buf_fini(&b);
    return rc;
}

static int trainer_status(struct cli *c, int argc, char **argv, struct err *e)
{
    static struct status     st; /* large */
    bool                     json = false;
    const struct args_option options[] = {{"json", NULL, .on = &json, .help = "for programs"}};

    if (args_read(argc, argv, options, COUNT(options), "", 0, 0, NULL, NULL, e) < 0 || cli_store(c, e) < 0 ||
        look(c, &st, e) < 0)
        return -1;
    if (json)
        return print_json(&st, e);
    print_status(c->settings, &st);
    return 0;
}

int cli_trainer(struct cli *c, int argc, char **argv, struct err *e)
{
    static const struct cli_verb verbs[] = {
        {"status", "[--json]", "what waits, what the filter has learnt, and whether it is enough", trainer_status},
    };

    return cli_dispatch(c, "trainer", verbs, COUNT(verbs), argc, argv, e);
}
