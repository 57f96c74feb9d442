/* cli/digest.c - postern digest: who gets a digest of what, and when; and what a domain's new mailboxes begin with. */
#include <stdio.h>

#include "base/when.h"
#include "cli.h"
#include "letter/content.h"
#include "store/mailbox.h"

static const char *const tell_words[] = {"quarantined", "blocked", "spam", NULL};
static const char *const day_words[] = {"sun", "mon", "tue", "wed", "thu", "fri", "sat", NULL};
static const char *const languages[] = {"en", "de", NULL};

#define EVERY_DAY 127u
#define WEEKDAYS 62u
#define SEVEN_O_CLOCK 420

/* ---- what is chosen ---- */

/* NULL: not given. */
struct choice_options {
    const char *at, *hourly, *days, *zone, *language, *tells, *quiet;
};
#define CHOICE_OPTIONS(o)                                                                                              \
    {"at", "HH:MM", .text = &(o).at, .help = "of the local day; 07:00 unless said"},                                   \
        {"hourly", "MINUTE", .text = &(o).hourly, .help = "of each hour, rather than once a day"},                     \
        {"days", "mon,tue,…|weekdays|daily", .text = &(o).days, .help = "daily unless said"},                          \
        {"zone", "NAME", .text = &(o).zone, .help = "Europe/Berlin; the person's own unless said, else UTC"},          \
        {"language", "en|de", .text = &(o).language, .help = "of the letter"},                                         \
        {"tells", "quarantined,blocked,spam", .text = &(o).tells, .help = "of what; quarantined unless said"},         \
    {                                                                                                                  \
        "quiet", "on|off", .text = &(o).quiet, .help = "a letter a week also where nothing was held"                   \
    }

static int read_words(const char *text, const char *const *words, const char *what, unsigned *bits, struct err *e)
{
    struct span rest = span_of(text);

    for (*bits = 0; rest.n > 0;) {
        size_t      at = span_chr(rest, ','), i = 0;
        struct span word = span_head(rest, at);

        while (words[i] != NULL && !span_is(word, words[i]))
            i++;
        if (words[i] == NULL)
            return err_set(e, ERR_USAGE, "%s: \"%.*s\" is none of the words for it", what, SPAN_ARG(word));
        *bits |= 1u << i;
        rest = span_skip(rest, at < rest.n ? at + 1 : at);
    }
    return 0;
}

static int read_days(const char *text, unsigned *out, struct err *e)
{
    bool daily = strcmp(text, "daily") == 0;

    if (!daily && strcmp(text, "weekdays") != 0)
        return read_words(text, day_words, "--days", out, e);
    *out = daily ? EVERY_DAY : WEEKDAYS;
    return 0;
}

static int read_clock(const char *text, int64_t *minute, struct err *e)
{
    struct span s = span_of(text);
    size_t      at = span_chr(s, ':');
    uint64_t    h, m;

    if (at == s.n || !span_u64(span_head(s, at), &h) || !span_u64(span_skip(s, at + 1), &m) || h > 23 || m > 59)
        return err_set(e, ERR_USAGE, "--at is a time of the day: 07:00");
    *minute = (int64_t)(h * 60 + m);
    return 0;
}

/* *next_out: when that would be for the first time. */
static int read_choice(const struct choice_options *o, struct store_digest_choice *x, int64_t *next_out, struct err *e)
{
    int word;

    if (o->at != NULL && o->hourly != NULL)
        return err_set(e, ERR_USAGE, "once a day (--at), or each hour (--hourly)?");
    if (o->at != NULL || o->hourly != NULL)
        x->hourly = o->hourly != NULL;
    if ((o->at != NULL && read_clock(o->at, &x->minute, e) < 0) ||
        (o->hourly != NULL && cli_number(o->hourly, "--hourly", 0, 59, &x->minute, e) < 0) ||
        (o->days != NULL && read_days(o->days, &x->weekdays, e) < 0) ||
        (o->tells != NULL && read_words(o->tells, tell_words, "--tells", &x->filters, e) < 0) ||
        (o->language != NULL && cli_word_index(languages, o->language, "--language", &word, e) < 0) ||
        (o->quiet != NULL && cli_on_off(o->quiet, "--quiet", &x->quiet, e) < 0))
        return -1;
    if (o->zone != NULL && (size_t)snprintf(x->zone, sizeof x->zone, "%s", o->zone) >= sizeof x->zone)
        return err_set(e, ERR_USAGE, "--zone: that is no time zone");
    if (o->language != NULL)
        snprintf(x->language, sizeof x->language, "%s", o->language);
    return store_digest_choice_check(x, e) < 0 ? -1 : store_digest_choice_next(x, clock_wall_us(), next_out, e);
}

static struct store_digest_choice first_choice(const char *zone, const char *language)
{
    struct store_digest_choice x = {.minute = SEVEN_O_CLOCK, .weekdays = EVERY_DAY, .filters = DIGEST_QUARANTINED};

    snprintf(x.zone, sizeof x.zone, "%s", zone[0] != '\0' ? zone : "UTC");
    snprintf(x.language, sizeof x.language, "%s", language[0] != '\0' ? language : "en");
    return x;
}

/* ---- what is printed ---- */

static void print_words(const char *const *words, unsigned bits)
{
    const char *between = "";

    for (size_t i = 0; words[i] != NULL; i++)
        if ((bits >> i & 1) != 0) {
            printf("%s%s", between, words[i]);
            between = ",";
        }
}

static void print_choice(const struct store_digest_choice *x)
{
    if (x->hourly)
        printf("each hour at :%02d", (int)x->minute);
    else
        printf("%02d:%02d ", (int)x->minute / 60, (int)x->minute % 60);
    if (!x->hourly && x->weekdays == EVERY_DAY)
        fputs("daily", stdout);
    else if (!x->hourly)
        print_words(day_words, x->weekdays);
    printf(" %s, in %s, of what is ", x->zone, x->language);
    print_words(tell_words, x->filters);
}

/* "Monday 23 November, 07:00", as clocks there show it. */
static void print_next(const struct store_digest_choice *x, int64_t us)
{
    struct err         unused = ERR_INIT;
    const struct zone *z = zone_open(span_of(x->zone), &unused);
    struct buf         b;

    if (z == NULL)
        return;
    buf_init(&b, 200);
    when_put_time(&b, z, "en", us);
    printf("%.*s", SPAN_ARG(buf_span(&b)));
    buf_fini(&b);
    zone_close(&z);
}

static void print_state(const struct store_digest *d)
{
    if (!d->stands)
        fputs("theirs no more", stdout);
    else if (d->paused_until_us == DIGEST_PAUSED_FOR_GOOD)
        fputs("paused", stdout);
    else if (d->paused_until_us > clock_wall_us()) {
        fputs("paused until ", stdout);
        print_next(&d->choice, d->paused_until_us);
    } else {
        fputs("next ", stdout);
        print_next(&d->choice, d->next_us);
    }
}

static int print_refusal(void *ctx, const struct store_run *r)
{
    (void)ctx;
    if (r->state == RUN_FAILED) {
        fputs("          the mail server refused the last letter: ", stdout);
        cli_print(r->answer);
        putchar('\n');
    }
    return 1;
}

struct listing {
    struct cli *cli;
    struct err *e;
    size_t      n;
    int         rc;
};

static int print_digest(void *ctx, const struct store_digest *d)
{
    struct listing *l = ctx;
    char            shown[9];

    l->n++;
    rule_short_id(&d->id, shown);
    printf("%s  ", shown);
    cli_print_padded(span_of(d->of), 30);
    fputs(" to ", stdout);
    cli_print(span_of(d->address));
    fputs("\n          ", stdout);
    print_choice(&d->choice);
    fputs("\n          ", stdout);
    print_state(d);
    putchar('\n');
    l->rc = store_run_list(l->cli->store, d->id, 1, print_refusal, NULL, l->e);
    return l->rc < 0;
}

/* ---- the verbs ---- */

static int digest_list(struct cli *c, int argc, char **argv, struct err *e)
{
    const char          *who = NULL;
    struct store_account a;
    struct listing       l = {.cli = c, .e = e};
    size_t               n;
    int                  rc;

    if (args_read(argc, argv, NULL, 0, "[ACCOUNT]", 0, 1, &who, &n, e) < 0 || cli_store(c, e) < 0 ||
        (n > 0 && cli_find_account(c, who, &a, e) < 0))
        return -1;
    rc = n > 0 ? store_digest_list(c->store, a.id, print_digest, &l, e)
               : store_digest_each(c->store, print_digest, &l, e);
    if (rc == 0 && l.rc == 0 && l.n == 0)
        puts("There are no digests. postern digest add ADDRESS asks for one.");
    return rc < 0 || l.rc < 0 ? -1 : 0;
}

/* What has an @ is a mailbox, else it is a domain. */
static int find_what(struct cli *c, const char *of, struct store_digest *d, struct err *e)
{
    struct store_mailbox m;
    struct store_domain  domain;
    struct span          full;

    if (strchr(of, '@') == NULL) {
        d->kind = DIGEST_DOMAIN;
        if (cli_find_domain(c, of, &domain, e) < 0)
            return -1;
        d->domain = domain.id;
        return 0;
    }
    if (cli_parse_address(c, of, &full, NULL, NULL, e) < 0 || store_mailbox_find(c->store, full, &m, e) < 0)
        return -1;
    d->mailbox = m.id;
    return 0;
}

static int digest_add(struct cli *c, int argc, char **argv, struct err *e)
{
    struct choice_options    o = {0};
    struct store_digest      d = {.kind = DIGEST_MAILBOX};
    struct store_account     a;
    const char              *who, *of = NULL;
    char                     shown[9];
    const struct args_option options[] = {
        {"of", "ADDRESS|DOMAIN", .text = &of, .help = "a mailbox of theirs, or a domain that they own; else their own"},
        CHOICE_OPTIONS(o)};

    if (args_read(argc, argv, options, COUNT(options), "ACCOUNT", 1, 1, &who, NULL, e) < 0 || cli_store(c, e) < 0 ||
        cli_find_account(c, who, &a, e) < 0 || find_what(c, of != NULL ? of : a.login, &d, e) < 0)
        return -1;
    d.account = a.id;
    d.choice = first_choice(a.zone, a.language);
    if (read_choice(&o, &d.choice, &d.next_us, e) < 0 || store_digest_add(c->store, &c->actor, &d, &d.id, e) < 0)
        return -1;
    rule_short_id(&d.id, shown);
    printf("Digest %s added; the first one: ", shown);
    print_next(&d.choice, d.next_us);
    puts(".");
    return 0;
}

struct wanted {
    const char         *text;
    struct store_digest found;
    size_t              n;
};

static int each_wanted(void *ctx, const struct store_digest *d)
{
    struct wanted *w = ctx;
    char           whole[UUID_TEXT + 1], shown[9];

    uuid_format(&d->id, whole);
    rule_short_id(&d->id, shown);
    if (strcmp(w->text, whole) == 0 || strcmp(w->text, shown) == 0) {
        w->found = *d;
        w->n++;
    }
    return 0;
}

static int find_digest(struct cli *c, const char *text, struct store_digest *out, struct err *e)
{
    struct wanted w = {.text = text};

    if (cli_store(c, e) < 0 || store_digest_each(c->store, each_wanted, &w, e) < 0)
        return -1;
    if (w.n != 1)
        return err_set(e, ERR_NOT_FOUND,
                       w.n == 0 ? "there is no digest %s; postern digest list shows their ids"
                                : "several digests begin with %s: give the whole id",
                       text);
    *out = w.found;
    return 0;
}

static int digest_set(struct cli *c, int argc, char **argv, struct err *e)
{
    struct choice_options    o = {0};
    struct store_digest      d;
    const char              *id;
    const struct args_option options[] = {CHOICE_OPTIONS(o)};

    if (args_read(argc, argv, options, COUNT(options), "ID", 1, 1, &id, NULL, e) < 0 || find_digest(c, id, &d, e) < 0 ||
        read_choice(&o, &d.choice, &d.next_us, e) < 0 || store_digest_set(c->store, &c->actor, &d, e) < 0)
        return -1;
    fputs("Digest changed; the next one: ", stdout);
    print_next(&d.choice, d.next_us);
    puts(".");
    return 0;
}

static int digest_delete(struct cli *c, int argc, char **argv, struct err *e)
{
    struct store_digest d;
    const char         *id;

    if (args_read(argc, argv, NULL, 0, "ID", 1, 1, &id, NULL, e) < 0 || find_digest(c, id, &d, e) < 0 ||
        store_digest_delete(c->store, &c->actor, d.id, e) < 0)
        return -1;
    puts("Digest deleted; its links do nothing any more.");
    return 0;
}

static int digest_pause(struct cli *c, int argc, char **argv, struct err *e)
{
    struct store_digest      d;
    const char              *id, *until = NULL;
    bool                     off = false;
    int64_t                  until_us = DIGEST_PAUSED_FOR_GOOD;
    const struct args_option options[] = {
        {"until", "TIME", .text = &until, .help = "14d, a date or a time; for good unless said"},
        {"off", NULL, .on = &off, .help = "it goes on"}};

    if (args_read(argc, argv, options, COUNT(options), "ID", 1, 1, &id, NULL, e) < 0 || find_digest(c, id, &d, e) < 0 ||
        (until != NULL && cli_until(until, &until_us, e) < 0) ||
        store_digest_pause(c->store, &c->actor, d.id, off ? 0 : until_us, e) < 0)
        return -1;
    puts(off ? "Digest goes on." : "Digest paused.");
    return 0;
}

static int digest_send(struct cli *c, int argc, char **argv, struct err *e)
{
    struct digest_look  look = {NULL, &c->settings->rulesd.scanner, &c->settings->rules.protected_symbols};
    struct store_digest d;
    struct uuid         run;
    const char         *id;
    int64_t             now = clock_wall_us();
    int                 rc;

    if (args_read(argc, argv, NULL, 0, "ID", 1, 1, &id, NULL, e) < 0 || find_digest(c, id, &d, e) < 0)
        return -1;
    if (!d.stands)
        return err_set(e, ERR_CONFLICT, "%s is theirs no more", d.of);
    look.store = c->store;
    if ((rc = digest_begin(&look, &d, now, now, &c->arena, &run, e)) < 0)
        return -1;
    puts(rc > 0 ? "A letter is on its way: postern-digest sends it." : "There is nothing new to tell.");
    return 0;
}

static int set_default(struct cli *c, const struct store_domain *d, const struct choice_options *o, struct err *e)
{
    struct store_digest_choice x = first_choice("", "");
    int64_t                    next;

    if (store_digest_default(c->store, d->id, &x, e) < 0 || read_choice(o, &x, &next, e) < 0 ||
        store_digest_default_set(c->store, &c->actor, d->id, &x, e) < 0)
        return -1;
    printf("Who gets a mailbox of %s begins with a digest: ", d->name);
    print_choice(&x);
    puts(".");
    return 0;
}

static int digest_default(struct cli *c, int argc, char **argv, struct err *e)
{
    struct choice_options    o = {0};
    struct store_domain      d;
    const char              *name;
    bool                     off = false;
    const struct args_option options[] = {{"off", NULL, .on = &off, .help = "without a digest"}, CHOICE_OPTIONS(o)};

    if (args_read(argc, argv, options, COUNT(options), "DOMAIN", 1, 1, &name, NULL, e) < 0 || cli_store(c, e) < 0 ||
        cli_find_domain(c, name, &d, e) < 0)
        return -1;
    if (!off)
        return set_default(c, &d, &o, e);
    if (store_digest_default_set(c->store, &c->actor, d.id, NULL, e) < 0)
        return -1;
    printf("Who gets a mailbox of %s begins without a digest.\n", d.name);
    return 0;
}

int cli_digest(struct cli *c, int argc, char **argv, struct err *e)
{
    static const struct cli_verb verbs[] = {
        {"list", "[ACCOUNT]", "whose, of what, when; what the mail server refused", digest_list},
        {"add", "ACCOUNT [--of ADDRESS|DOMAIN] [--at HH:MM] [--days …] [--zone NAME] …", "sends them one", digest_add},
        {"set", "ID [the options of add but --of]", "change what was given", digest_set},
        {"pause", "ID [--until TIME | --off]", "sends none until then; or goes on", digest_pause},
        {"send", "ID", "one now, if there is anything new", digest_send},
        {"delete", "ID", "ends it", digest_delete},
        {"default", "DOMAIN [the options of add but --of | --off]", "what who gets a mailbox there begins with",
         digest_default},
    };

    return cli_dispatch(c, "digest", verbs, COUNT(verbs), argc, argv, e);
}
