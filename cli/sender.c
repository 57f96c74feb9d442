/* cli/sender.c - postern sender: how much people may send, and who may not any more. */
#include <stdio.h>

#include "base/utf8.h"
#include "cli.h"
#include "store/sending.h"

/* ---- blocks ---- */

struct blocked_list {
    bool   json;
    size_t n;
    char   last[SENDING_LOGIN_MAX + 1];
};

static void print_json(struct span text)
{
    struct buf b;

    buf_init(&b, 8 * text.n + 16);
    json_put_string(&b, text);
    fwrite(b.p, 1, b.n, stdout);
    buf_fini(&b);
}

static void print_block_json(const struct store_blocked *b)
{
    char at[28], until[28];

    clock_format_utc(b->at_us, at);
    clock_format_utc(b->until_us, until);
    fputs("{\"login\":", stdout);
    print_json(b->login);
    fputs(",\"reason\":", stdout);
    print_json(b->reason);
    fputs(",\"by\":", stdout);
    print_json(b->blocked_by);
    printf(",\"automatic\":%s,\"at\":\"%s\",\"until\":", b->automatic ? "true" : "false", at);
    printf(b->until_us > 0 ? "\"%s\"" : "null", until);
    printf(",\"evidence\":%.*s}\n", SPAN_ARG(b->evidence));
}

static void print_block(const struct store_blocked *b)
{
    char at[28], until[28];

    clock_format_utc(b->at_us, at);
    clock_format_utc(b->until_us, until);
    cli_print(b->login);
    printf("\n    blocked %.19sZ by ", at);
    cli_print(b->blocked_by);
    printf(", until %.19s%s\n    ", b->until_us > 0 ? until : "unblocked", b->until_us > 0 ? "Z" : "");
    cli_print(b->reason);
    if (!span_is(b->evidence, "{}")) {
        fputs("\n    evidence: ", stdout);
        cli_print(b->evidence);
    }
    putchar('\n');
}

static int each_block(void *ctx, const struct store_blocked *b)
{
    struct blocked_list *l = ctx;

    l->n++;
    snprintf(l->last, sizeof l->last, "%.*s", SPAN_ARG(b->login));
    if (l->json)
        print_block_json(b);
    else
        print_block(b);
    return 0;
}

static int sender_list(struct cli *c, int argc, char **argv, struct err *e)
{
    struct blocked_list      l = {0};
    size_t                   all = 0;
    const struct args_option options[] = {{"json", NULL, NULL, NULL, &l.json, "one JSON object a line"}};

    if (args_read(argc, argv, options, COUNT(options), "", 0, 0, NULL, NULL, e) < 0 || cli_store(c, e) < 0)
        return -1;
    do {
        l.n = 0;
        if (store_blocked_list(c->store, clock_wall_us(), span_of(l.last), 0, each_block, &l, e) < 0)
            return -1;
        all += l.n;
    } while (l.n == STORE_LIST_MAX);
    if (all == 0 && !l.json)
        puts("Nobody is blocked.");
    return 0;
}

static int sender_block(struct cli *c, int argc, char **argv, struct err *e)
{
    const char              *login, *reason = NULL, *until = NULL;
    struct store_blocked     b = {0};
    const struct args_option options[] = {
        {"reason", "TEXT", &reason, NULL, NULL, "why, for whoever asks later"},
        {"until", "TIME", &until, NULL, NULL, "8h, 2d, a date or a time; without it until unblocked"},
    };

    if (args_read(argc, argv, options, COUNT(options), "LOGIN", 1, 1, &login, NULL, e) < 0)
        return -1;
    if (reason == NULL)
        return err_set(e, ERR_USAGE, "--reason is needed: somebody will ask");
    if ((until != NULL && cli_until(until, &b.until_us, e) < 0) || cli_store(c, e) < 0)
        return -1;
    b.login = span_of(login);
    b.reason = span_of(reason);
    if (store_blocked_put(c->store, &c->actor, &b, e) < 0)
        return -1;
    printf("%s may not send any more.\n", login);
    return 0;
}

static int sender_unblock(struct cli *c, int argc, char **argv, struct err *e)
{
    const char *login;

    if (args_read(argc, argv, NULL, 0, "LOGIN", 1, 1, &login, NULL, e) < 0 || cli_store(c, e) < 0 ||
        store_blocked_delete(c->store, &c->actor, span_of(login), e) < 0)
        return -1;
    printf("%s may send again, as far as the limits allow.\n", login);
    return 0;
}

/* ---- limits ---- */

static int print_limit(void *ctx, struct store_scope scope, struct span name, bool whole, const struct store_limit *l)
{
    (void)ctx;
    printf("%s%s", scope_kind_words[scope.kind], name.n > 0 ? ":" : "");
    cli_print(name);
    fputs(whole ? " (all senders together)" : " (each sender)", stdout);
    for (size_t i = 0; i < LIMIT_KEYS; i++) {
        if (l->of[i] == 0)
            printf(" %s=%s", sending_limit_words[i], i == LIMIT_BLOCK_AFTER ? "never" : "off");
        else if (l->of[i] > 0)
            printf(" %s=%lld", sending_limit_words[i], (long long)l->of[i]);
    }
    putchar('\n');
    return 0;
}

/* "messages_hour=200", "…=off", "…=inherit". */
static int read_limit(const char *word, struct store_limit *l, struct err *e)
{
    struct span w = span_of(word);
    size_t      equals = span_chr(w, '=');
    struct span value = span_skip(w, equals + 1);
    uint64_t    n;

    for (size_t i = 0; i < LIMIT_KEYS; i++) {
        if (!span_is(span_head(w, equals), sending_limit_words[i]))
            continue;
        if (span_is(value, "inherit"))
            l->of[i] = -1;
        else if (span_is(value, "off") || span_is(value, "never"))
            l->of[i] = 0;
        else if (span_u64(value, &n) && n > 0 && n <= SENDING_LIMIT_MAX)
            l->of[i] = (int64_t)n;
        else
            return err_set(e, ERR_INVALID, "%s is a number above 0, off, or inherit", sending_limit_words[i]);
        return 0;
    }
    return err_set(
        e, ERR_INVALID,
        "there is no limit \"%.*s\"; there are messages_hour, messages_day, recipients_hour, recipients_day and "
        "block_after",
        SPAN_ARG(span_head(w, equals)));
}

static int sender_limit(struct cli *c, int argc, char **argv, struct err *e)
{
    const char              *words[LIMIT_KEYS + 1];
    size_t                   n = 0;
    bool                     whole = false;
    struct store_scope       scope;
    struct store_limit       l;
    const struct args_option options[] = {
        {"whole", NULL, NULL, NULL, &whole, "of all senders of the domain together, not of each"},
    };

    if (args_read(argc, argv, options, COUNT(options), "[SCOPE LIMIT=NUMBER …]", 0, COUNT(words), words, &n, e) < 0 ||
        cli_store(c, e) < 0)
        return -1;
    if (n == 0)
        return store_limit_list(c->store, print_limit, NULL, e);
    if (cli_parse_scope(c, span_of(words[0]), &scope, e) < 0 || store_limit_get(c->store, scope, whole, &l, e) < 0)
        return -1;
    for (size_t i = 1; i < n; i++)
        if (read_limit(words[i], &l, e) < 0)
            return -1;
    if (n > 1 && store_limit_set(c->store, &c->actor, scope, whole, &l, e) < 0)
        return -1;
    return print_limit(NULL, scope, span_skip(span_of(words[0]), span_chr(span_of(words[0]), ':') + 1), whole, &l);
}

/* ---- what was counted ---- */

static int print_counter(void *ctx, const struct store_counter *k)
{
    char at[28];

    (void)ctx;
    clock_format_utc(k->slot_us, at);
    printf("  %.13sh  ", at);
    cli_print_padded(k->name, 24);
    printf(" %lld\n", (long long)k->value);
    return 0;
}

static int sender_show(struct cli *c, int argc, char **argv, struct err *e)
{
    const char *who;
    struct span subject;

    if (args_read(argc, argv, NULL, 0, "LOGIN|DOMAIN", 1, 1, &who, NULL, e) < 0 || cli_store(c, e) < 0)
        return -1;
    for (size_t i = 0; i < 2; i++) {
        subject = arena_printf(&c->arena, "%s:%s", i == 0 ? "user" : "domain", who);
        for (size_t k = 0; k < subject.n; k++)
            if (subject.p[k] >= 'A' && subject.p[k] <= 'Z')
                ((char *)subject.p)[k] += 32;
        if (store_counters_list(c->store, subject, clock_wall_us() - 8 * 86400 * INT64_C(1000000), print_counter, NULL,
                                e) < 0)
            return -1;
    }
    return 0;
}

int cli_sender(struct cli *c, int argc, char **argv, struct err *e)
{
    static const struct cli_verb verbs[] = {
        {"list", "[--json]", "who is blocked, why, and on what evidence", sender_list},
        {"block", "LOGIN --reason TEXT [--until TIME]", "nobody sends under this name any more", sender_block},
        {"unblock", "LOGIN", "they may again", sender_unblock},
        {"limit",
         "[SCOPE [--whole] [messages_hour=N] [messages_day=N] [recipients_hour=N] [recipients_day=N] [block_after=N]]",
         "show the limits, or set some: a number, off, or inherit", sender_limit},
        {"show", "LOGIN|DOMAIN", "what was sent, hour by hour and day by day", sender_show},
    };

    return cli_dispatch(c, "sender", verbs, COUNT(verbs), argc, argv, e);
}
