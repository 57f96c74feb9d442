/* cli/observe.c - postern observe: where we would have differed, and going live. */
#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/utf8.h"
#include "cli.h"
#include "store/observe.h"

#define DAY_US (86400 * INT64_C(1000000))
#define CONF_MAX ((size_t)1 << 20)
#define DIFFERENCES 50

/* ---- report ---- */

struct report {
    struct cli *c;
    struct buf  json;
    bool        as_json, any;
    int64_t     same, other;
};

static bool is_same(struct span ours, struct span theirs)
{
    return theirs.n == 0 ? span_is(ours, "pass") : span_eq(ours, theirs);
}

static int print_sum(void *ctx, const struct store_observed_sum *sum)
{
    struct report *r = ctx;

    *(is_same(sum->ours, sum->theirs) ? &r->same : &r->other) += sum->count;
    if (r->as_json)
        buf_printf(&r->json, "%s{\"ours\":\"%.*s\",\"theirs\":\"%.*s\",\"count\":%lld}", r->any ? "," : "",
                   SPAN_ARG(sum->ours), SPAN_ARG(sum->theirs), (long long)sum->count);
    else
        printf("  %8lld  we: %-10.*s the filter: %.*s\n", (long long)sum->count, SPAN_ARG(sum->ours),
               SPAN_ARG(sum->theirs.n > 0 ? sum->theirs : SPAN("not known")));
    r->any = true;
    return 0;
}

static int print_difference(void *ctx, const struct store_observed *o)
{
    struct report *r = ctx;
    char           at[28], rule[9] = "";

    clock_format_utc(o->at_us, at);
    if (o->has_rule)
        rule_short_id(&o->rule, rule);
    if (r->as_json) {
        buf_printf(&r->json, "%s{\"uid\":\"%.*s\",\"at\":\"%s\",\"ours\":\"%.*s\",\"theirs\":\"%.*s\",\"from\":",
                   r->any ? "," : "", SPAN_ARG(o->uid), at, SPAN_ARG(o->ours), SPAN_ARG(o->theirs));
        json_put_string(&r->json, o->sender);
        buf_printf(&r->json, ",\"recipients\":%lld,\"rule\":\"%s\"}", (long long)o->recipients, rule);
    } else {
        printf("  %.19sZ  %.*s instead of %.*s%s%s  from ", at, SPAN_ARG(o->ours),
               SPAN_ARG(o->theirs.n > 0 ? o->theirs : SPAN("pass")), rule[0] ? ", rule " : "", rule);
        cli_print(o->sender.n > 0 ? o->sender : SPAN("<>"));
        printf("  %.*s\n", SPAN_ARG(o->uid));
    }
    r->any = true;
    return 0;
}

static int report_text(struct report *r, int64_t since_us, int64_t days, struct err *e)
{
    printf("The last %lld days, in which listeners only observed:\n", (long long)days);
    if (store_observed_sums(r->c->store, since_us, print_sum, r, e) < 0)
        return -1;
    if (!r->any) {
        puts("  nothing was observed. A listener observes with mode = observe in [rulesd], or ?mode=observe behind its "
             "address.");
        return 0;
    }
    printf("We would have done the same %lld times, and something else %lld times%s\n", (long long)r->same,
           (long long)r->other, r->other > 0 ? ", most recently:" : ".");
    if (store_observed_list(r->c->store, since_us, DIFFERENCES, print_difference, r, e) < 0)
        return -1;
    if (r->other > 0)
        puts("\"postern trace UID\" says why. \"postern observe live\" lets the rules act.");
    return 0;
}

static int report_json(struct report *r, int64_t since_us, struct err *e)
{
    int rc;

    buf_init(&r->json, (size_t)16 << 20);
    buf_puts(&r->json, "{\"sums\":[");
    rc = store_observed_sums(r->c->store, since_us, print_sum, r, e);
    buf_puts(&r->json, "],\"differences\":[");
    r->any = false;
    if (rc == 0)
        rc = store_observed_list(r->c->store, since_us, STORE_LIST_MAX, print_difference, r, e);
    buf_puts(&r->json, "]}\n");
    if (rc == 0)
        fwrite(r->json.p, 1, r->json.n, stdout);
    buf_fini(&r->json);
    return rc;
}

static int observe_report(struct cli *c, int argc, char **argv, struct err *e)
{
    struct report            r = {.c = c};
    const char              *days_text = "7";
    int64_t                  days;
    const struct args_option options[] = {
        {"days", "N", .text = &days_text, .help = "how far back (default 7)"},
        {"json", NULL, .on = &r.as_json, .help = "for programs"},
    };

    if (args_read(argc, argv, options, COUNT(options), "", 0, 0, NULL, NULL, e) < 0 ||
        cli_number(days_text, "--days", 1, 3650, &days, e) < 0 || cli_store(c, e) < 0)
        return -1;
    int64_t since_us = clock_wall_us() - days * DAY_US;
    return r.as_json ? report_json(&r, since_us, e) : report_text(&r, since_us, days, e);
}

/* ---- live ---- */

/* The settings with every "mode = observe" and "mode=observe" turned; the number of places. */
static size_t rewrite(struct span text, const char *from, const char *to, struct buf *out)
{
    size_t      n = 0;
    struct span rest = text;

    while (rest.n > 0) {
        struct span line = span_head(rest, span_chr(rest, '\n') + 1), word = span_trim(line);
        bool        comment = word.n > 0 && (word.p[0] == ';' || word.p[0] == '#');

        rest = span_skip(rest, line.n);
        for (size_t at; !comment && (at = span_find(line, SPAN("mode"))) < line.n;) {
            struct span value = span_skip(line, at + 4);
            size_t      blank = 0;

            while (blank < value.n && (value.p[blank] == ' ' || value.p[blank] == '\t' || value.p[blank] == '='))
                blank++;
            buf_put(out, span_head(line, at + 4 + blank));
            line = span_skip(line, at + 4 + blank);
            if (blank == 0 || !span_starts(line, span_of(from)))
                continue;
            buf_puts(out, to);
            line = span_skip(line, strlen(from));
            n++;
        }
        buf_put(out, line);
    }
    return n;
}

static bool serves(const char *pid, const char *conf_path)
{
    char       path[300];
    struct buf b;
    struct err none = ERR_INIT;
    bool       is = false;

    snprintf(path, sizeof path, "/proc/%.20s/cmdline", pid);
    buf_init(&b, 64 << 10);
    if (fd_read_file(path, b.max, &b, &none) == 0 && b.n > 0) {
        struct span rest = buf_span(&b), word;
        bool        ours = false, same = false, given = false;

        for (size_t i = 0; span_next(&rest, '\0', &word); i++) {
            ours |= i == 0 && span_ends(word, SPAN("postern-rulesd"));
            same |= given && span_is(word, conf_path);
            given = span_is(word, "-c");
        }
        is = ours && (same || strcmp(conf_path, "/etc/postern/postern.conf") == 0);
    }
    buf_fini(&b);
    return is;
}

/* Every rulesd of these settings reads them again. */
static size_t signal_rulesd(const char *conf_path)
{
    DIR           *dir = opendir("/proc");
    struct dirent *d;
    size_t         n = 0;

    while (dir != NULL && (d = readdir(dir)) != NULL)
        if (d->d_name[0] >= '1' && d->d_name[0] <= '9' && serves(d->d_name, conf_path))
            n += kill((pid_t)atoi(d->d_name), SIGHUP) == 0;
    if (dir != NULL)
        closedir(dir);
    return n;
}

static int turn(struct cli *c, const char *from, const char *to, struct err *e)
{
    struct buf text, out;
    size_t     n = 0, signalled;
    int        rc;

    buf_init(&text, CONF_MAX);
    buf_init(&out, 2 * CONF_MAX);
    rc = fd_read_file(c->conf_path, CONF_MAX, &text, e);
    if (rc == 0 && (n = rewrite(buf_span(&text), from, to, &out)) == 0)
        rc = err_set(e, ERR_NOT_FOUND, "%s says mode = %s nowhere", c->conf_path, from);
    if (rc == 0)
        rc = fd_replace_file(c->conf_path, buf_span(&out), e);
    buf_fini(&text);
    buf_fini(&out);
    if (rc < 0)
        return -1;
    signalled = signal_rulesd(c->conf_path);
    printf("%s: mode = %s in %zu place%s. ", c->conf_path, to, n, n == 1 ? "" : "s");
    if (signalled > 0)
        printf("rulesd was told (%zu process%s).\n", signalled, signalled == 1 ? "" : "es");
    else
        puts("No rulesd with these settings runs here, or it may not be told: reload it.");
    return 0;
}

static int observe_live(struct cli *c, int argc, char **argv, struct err *e)
{
    bool                     yes = false;
    const struct args_option options[] = {{"yes", NULL, .on = &yes, .help = "do not ask"}};

    if (args_read(argc, argv, options, COUNT(options), "", 0, 0, NULL, NULL, e) < 0 ||
        cli_confirm(yes, "let the rules act on mail from now on", e) < 0)
        return -1;
    return turn(c, "observe", "live", e);
}

static int observe_again(struct cli *c, int argc, char **argv, struct err *e)
{
    if (args_read(argc, argv, NULL, 0, "", 0, 0, NULL, NULL, e) < 0)
        return -1;
    return turn(c, "live", "observe", e);
}

int cli_observe(struct cli *c, int argc, char **argv, struct err *e)
{
    static const struct cli_verb verbs[] = {
        {"report", "[--days N] [--json]", "where we would have done something else than the filter", observe_report},
        {"live", "[--yes]", "from now on the rules act: turns mode = observe in the settings, and tells rulesd",
         observe_live},
        {"again", "", "back to observing: turns mode = live", observe_again},
    };

    return cli_dispatch(c, "observe", verbs, COUNT(verbs), argc, argv, e);
}
