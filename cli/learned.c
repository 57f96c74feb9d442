/* cli/learned.c - postern learned: the senders that reports left behind in mailboxes, and how they go again. */
#include <stdio.h>

#include "cli.h"
#include "base/json_write.h"
#include "store/learned.h"
#include "timeline.h"

#define JSON_MAX ((size_t)64 << 20)

/* ---- list ---- */

struct listing {
    struct cli *c;
    bool        json;
    int64_t     shown, page;
    struct uuid last;
    struct buf  out;
};

static void put_row(struct buf *b, const struct store_learned *l, struct span mailbox)
{
    json_open(b, NULL, '{');
    json_add_uuid(b, "id", &l->id);
    json_add_string(b, "mailbox", mailbox);
    json_add_string(b, "action", l->action == RULE_ALLOW ? SPAN("allow") : SPAN("block"));
    json_add_string(b, "sender", l->sender);
    json_add_string(b, "proof", l->proof);
    json_add_string(b, "message", l->report_uid);
    json_add_time(b, "created", l->created_us);
    json_add_time(b, "expires", l->expires_us);
    json_close(b, '}');
}

static int each_entry(void *ctx, const struct store_learned *l, struct span mailbox)
{
    struct listing *to = ctx;
    char            id[UUID_TEXT + 1];

    to->shown++;
    to->page++;
    to->last = l->id;
    if (to->json) {
        put_row(&to->out, l, mailbox);
        return 0;
    }
    uuid_format(&l->id, id);
    printf("%s  %-5s  ", id, l->action == RULE_ALLOW ? "allow" : "block");
    cli_print_padded(mailbox, 28);
    fputs("  ", stdout);
    cli_print_padded(l->sender, 36);
    printf("  until %.10s  (", time_text(l->expires_us).text);
    cli_print(l->proof);
    puts(")");
    return 0;
}

static int list_pages(struct cli *c, struct store_scope scope, struct listing *l, struct err *e)
{
    const int64_t now = clock_wall_us();

    do {
        const struct uuid after = l->last;

        l->page = 0;
        if (store_learned_list(c->store, scope, &after, now, STORE_LIST_MAX, each_entry, l, e) < 0)
            return -1;
    } while (l->page == STORE_LIST_MAX);
    return 0;
}

static int learned_list(struct cli *c, int argc, char **argv, struct err *e)
{
    const char              *domain = NULL, *mailbox = NULL;
    struct listing           l = {.c = c};
    struct store_scope       scope;
    int                      rc;
    const struct args_option options[] = {
        {"domain", "NAME", .text = &domain, .help = "of a domain's mailboxes"},
        {"mailbox", "ADDRESS", .text = &mailbox, .help = "of a mailbox"},
        {"json", NULL, .on = &l.json, .help = "for programs"},
    };

    if (args_read(argc, argv, options, COUNT(options), "", 0, 0, NULL, NULL, e) < 0 || cli_store(c, e) < 0 ||
        cli_read_scope(c, domain, mailbox, &scope, e) < 0)
        return -1;
    buf_init(&l.out, JSON_MAX);
    buf_puts(&l.out, "{\"learned\":[");
    rc = list_pages(c, scope, &l, e);
    buf_puts(&l.out, "]}");
    if (rc == 0 && l.out.failed)
        rc = err_set(e, ERR_LIMIT, "that is too much to print at once; use --domain or --mailbox");
    if (rc == 0 && l.json)
        printf("%.*s\n", SPAN_ARG(buf_span(&l.out)));
    if (rc == 0 && !l.json && l.shown == 0)
        puts("No sender is learned.");
    buf_fini(&l.out);
    return rc;
}

/* ---- undo ---- */

struct finding {
    struct span sender;
    struct uuid id;
    bool        found;
};

static int each_of_mailbox(void *ctx, const struct store_learned *l)
{
    struct finding *f = ctx;

    f->found = span_eq_ci(l->sender, f->sender);
    f->id = l->id;
    return f->found;
}

/* "SENDER" of a mailbox, or an id. */
static int find(struct cli *c, const char *text, const char *mailbox, struct uuid *out, struct err *e)
{
    struct finding     f = {.sender = span_of(text)};
    struct store_scope scope;

    if (mailbox == NULL)
        return uuid_parse(f.sender, out) ? 0
                                         : err_set(e, ERR_USAGE,
                                                   "\"%s\" is no id; \"postern learned list\" shows them, or say whose "
                                                   "it is with --mailbox",
                                                   text);
    if (cli_read_scope(c, NULL, mailbox, &scope, e) < 0 ||
        store_learned_load(c->store, scope.id, clock_wall_us(), each_of_mailbox, &f, e) < 0)
        return -1;
    *out = f.id;
    return f.found ? 0 : err_set(e, ERR_NOT_FOUND, "%s has learned nothing about %s", mailbox, text);
}

static int learned_undo(struct cli *c, int argc, char **argv, struct err *e)
{
    const char              *text, *mailbox = NULL;
    struct uuid              id;
    const struct args_option options[] = {
        {"mailbox", "ADDRESS", .text = &mailbox, .help = "whose entry it is, where the sender is named"},
    };

    if (args_read(argc, argv, options, COUNT(options), "ID, or SENDER with --mailbox", 1, 1, &text, NULL, e) < 0 ||
        cli_store(c, e) < 0 || find(c, text, mailbox, &id, e) < 0 ||
        store_learned_delete(c->store, &c->actor, id, e) < 0)
        return -1;
    puts("Undone. What the filter learnt from the report stays; \"postern report forget\" takes that back, too.");
    return 0;
}

int cli_learned(struct cli *c, int argc, char **argv, struct err *e)
{
    static const struct cli_verb verbs[] = {
        {"list", "[--domain NAME|--mailbox ADDRESS] [--json]", "who is learned for whom, and until when", learned_list},
        {"undo", "ID | --mailbox ADDRESS SENDER", "one of them goes", learned_undo},
    };

    return cli_dispatch(c, "learned", verbs, COUNT(verbs), argc, argv, e);
}
