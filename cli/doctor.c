/* cli/doctor.c - see doctor.h: the table of checks, and how findings are told. */
#include "doctor.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/json_write.h"
#include "timeline.h"

#define WAIT_DEFAULT_S 30
#define JSON_MAX ((size_t)1 << 20)

/* In the order of a message's way, what everything else needs first. */
static const struct check {
    const char *name;
    void (*run)(struct doctor *d);
} checks[] = {
    {"database", doctor_database}, {"clock", doctor_clock},       {"keys", doctor_keys},
    {"owners", doctor_owners},     {"room", doctor_room},         {"rulesd", doctor_rulesd},
    {"trust", doctor_trust},       {"scanner", doctor_scanner},   {"timeouts", doctor_timeouts},
    {"mail", doctor_mail},         {"envelope", doctor_envelope}, {"senders", doctor_senders},
    {"release", doctor_release},   {"lookups", doctor_lookups},   {"trainer", doctor_trainer},
    {"portal", doctor_portal},
};

static const char *const level_words[] = {"ok", "note", "wrong"};

void doctor_find(struct doctor *d, enum finding_level level, const char *cure, const char *fmt, ...)
{
    struct buf b;
    va_list    ap;

    if (d->n == FINDINGS_MAX)
        return;
    buf_init(&b, 2000);
    va_start(ap, fmt);
    buf_vprintf(&b, fmt, ap);
    va_end(ap);
    d->all[d->n++] = (struct finding){
        .level = level, .check = d->check, .text = arena_dup(&d->c->arena, buf_span(&b)), .cure = cure};
    buf_fini(&b);
}

static size_t count_wrong(const struct doctor *d)
{
    size_t wrong = 0;

    for (size_t i = 0; i < d->n; i++)
        wrong += d->all[i].level == FINDING_WRONG;
    return wrong;
}

static void print_finding(const struct finding *f)
{
    printf("%-5s  %-9s  ", level_words[f->level], f->check);
    cli_print(f->text);
    putchar('\n');
    if (f->cure != NULL)
        printf("                  -> %s\n", f->cure);
}

static void print_json(const struct doctor *d)
{
    struct buf b;

    buf_init(&b, JSON_MAX);
    buf_puts(&b, "{\"findings\":[");
    for (size_t i = 0; i < d->n; i++) {
        json_open(&b, NULL, '{');
        json_add_string(&b, "check", span_of(d->all[i].check));
        json_add_string(&b, "level", span_of(level_words[d->all[i].level]));
        json_add_string(&b, "text", d->all[i].text);
        if (d->all[i].cure != NULL)
            json_add_string(&b, "cure", span_of(d->all[i].cure));
        json_close(&b, '}');
    }
    buf_puts(&b, "]");
    json_add_i64(&b, "wrong", (int64_t)count_wrong(d));
    buf_puts(&b, "}\n");
    fwrite(b.p, 1, b.n, stdout);
    buf_fini(&b);
}

/* Findings come as they are found: some checks take a while. */
static void run_checks(struct doctor *d, bool json)
{
    for (size_t i = 0; i < COUNT(checks); i++) {
        size_t before = d->n;

        d->check = checks[i].name;
        checks[i].run(d);
        for (size_t k = before; k < d->n && !json; k++)
            print_finding(&d->all[k]);
        fflush(stdout);
    }
    if (json)
        print_json(d);
}

int cli_doctor(struct cli *c, int argc, char **argv, struct err *e)
{
    struct doctor           *d = arena_zalloc(&c->arena, sizeof *d);
    const char              *wait = NULL;
    bool                     json = false;
    size_t                   wrong;
    const struct args_option options[] = {
        {"mail", "ADDRESS", .text = &d->mail, .help = "send a test message there, and follow it through every hop"},
        {"wait", "SECONDS", .text = &wait, .help = "how long the test message may take (default 30)"},
        {"json", NULL, .on = &json, .help = "for programs"},
    };

    if (d == NULL)
        return err_set(e, ERR_LIMIT, "no memory for that");
    d->c = c;
    d->mail_wait_s = WAIT_DEFAULT_S;
    if (args_read(argc, argv, options, COUNT(options), "", 0, 0, NULL, NULL, e) < 0 ||
        (wait != NULL && cli_number(wait, "--wait", 1, 3600, &d->mail_wait_s, e) < 0))
        return -1;
    run_checks(d, json);
    wrong = count_wrong(d);
    return wrong == 0 ? 0 : err_set(e, ERR_INVALID, "%zu of %zu findings are wrong", wrong, d->n);
}
