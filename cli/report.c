/* cli/report.c - postern report: what is spam and what is not, and what became of that. */
#include <inttypes.h>
#include <stdio.h>

#include "base/fd.h"
#include "base/json_write.h"
#include "custody/report.h"
#include "held.h"
#include "timeline.h"

#define LIST_DEFAULT "50"
#define LIST_MAX 100000
#define JSON_MAX ((size_t)64 << 20)

/* ---- spam, ham, forget ---- */

struct reporting {
    struct cli          *c;
    const char          *rcpt, *uid, *file;
    struct held          held;
    struct buf           message;
    struct store_message record;
    struct report_said   said;
    struct report_made   made;
    struct origin_trust  trust;
};

static int take_file(struct reporting *x, struct err *e)
{
    struct cli *c = x->c;

    if (fd_read_file(x->file, (size_t)c->settings->rulesd.max_message, &x->message, e) < 0)
        return -1;
    if (x->message.n == 0)
        return err_set(e, ERR_INVALID, "%s is empty: there is nothing to learn from", x->file);
    if (held_open(c, &x->held, e) < 0 || held_check_owner(&x->held, e) < 0)
        return -1;
    x->said.message = buf_span(&x->message);
    report_record(&x->record, "command", x->message.n, clock_wall_us());
    x->said.record = &x->record;
    x->said.has_body = true;
    return report_keep(c->store, x->held.vault, &x->record, x->said.message, &c->arena, e);
}

static int take_uid(struct reporting *x, struct err *e)
{
    struct uuid uid;

    if (!uuid_parse(span_of(x->uid), &uid))
        return err_set(e, ERR_INVALID, "\"%s\" is no UID; \"postern trace\" finds it by queue id or Message-ID",
                       x->uid);
    return report_find(x->c->store, &uid, &x->c->arena, &x->said, e);
}

static void say(const struct reporting *x)
{
    static const char *const added[] = {[REPORT_NEW] = "Reported as %s.\n",
                                        [REPORT_TURNED] = "Reported as %s; what was said before is taken back.\n",
                                        [REPORT_SAID] = "That was reported as %s before.\n"};
    const struct learnable  *l = &x->made.entry;

    printf(added[x->made.added], report_class_words[x->said.class]);
    if (x->made.note != NULL)
        printf("%c%s.\n", x->made.note[0] - 'a' + 'A', x->made.note + 1);
    if (x->made.added == REPORT_SAID)
        return;
    if (l->sender.n == 0) {
        printf("No learned sender: %s.\n", l->why);
        return;
    }
    fputs(x->said.class == REPORT_FORGET ? "Learned sender taken away: "
          : x->said.class == REPORT_SPAM ? "Learned sender, held from now on: "
                                         : "Learned sender, let through more easily from now on: ",
          stdout);
    cli_print(l->sender);
    if (l->proof.n > 0) {
        fputs(" (", stdout);
        cli_print(l->proof);
        putchar(')');
    }
    printf("%s%s\n", l->why != NULL ? "; " : "", l->why != NULL ? l->why : "");
}

static void say_json(const struct reporting *x)
{
    struct buf b;

    buf_init(&b, 1 << 20);
    report_put_json(&b, x->said.class, &x->made);
    printf("%.*s\n", SPAN_ARG(buf_span(&b)));
    buf_fini(&b);
}

static int make(struct reporting *x, struct err *e)
{
    const struct settings   *s = x->c->settings;
    const struct report_site site = {&s->rulesd.scanner, &x->trust};
    struct span              full;

    if (cli_parse_address(x->c, x->rcpt, &full, NULL, NULL, e) < 0 || cli_store(x->c, e) < 0 ||
        origin_trust_read(&s->rulesd.trusted_relays, s->rules.authserv_id, &x->c->arena, &x->trust, e) < 0)
        return -1;
    x->said.recipient = full;
    if ((x->uid != NULL ? take_uid : take_file)(x, e) < 0)
        return -1;
    return report_make(x->c->store, &site, &x->c->actor, &x->said, &x->c->arena, &x->made, e);
}

static int report_as(struct cli *c, enum report_class class, int argc, char **argv, struct err *e)
{
    struct reporting         x = {.c = c, .said = {.class = class, .channel = SPAN("command")}};
    bool                     json = false;
    int                      rc;
    const struct args_option options[] = {
        {"rcpt", "ADDRESS", .text = &x.rcpt, .help = "whose report it is: one of the message's recipients"},
        {"uid", "UID", .text = &x.uid, .help = "a message of the log, instead of a file"},
        {"json", NULL, .on = &json, .help = "for programs"},
    };

    if (args_read(argc, argv, options, COUNT(options), "[FILE]", 0, 1, &x.file, NULL, e) < 0)
        return -1;
    if (x.rcpt == NULL)
        return err_set(e, ERR_USAGE, "whose report is it? --rcpt ADDRESS");
    if ((x.uid != NULL) == (x.file != NULL))
        return err_set(e, ERR_USAGE, "one message: a FILE (- for standard input), or --uid UID");
    x.said.who = span_of(c->actor.name);
    buf_init(&x.message, (size_t)c->settings->rulesd.max_message);
    rc = make(&x, e);
    if (rc == 0)
        (json ? say_json : say)(&x);
    if (rc == 0 && c->settings->trainer.backend.n == 0)
        fputs("No [trainer] backend is configured: the report waits until there is one.\n", stderr);
    held_close(&x.held);
    buf_fini(&x.message);
    return rc;
}

static int report_spam(struct cli *c, int argc, char **argv, struct err *e)
{
    return report_as(c, REPORT_SPAM, argc, argv, e);
}
static int report_ham(struct cli *c, int argc, char **argv, struct err *e)
{
    return report_as(c, REPORT_HAM, argc, argv, e);
}
static int report_forget(struct cli *c, int argc, char **argv, struct err *e)
{
    return report_as(c, REPORT_FORGET, argc, argv, e);
}

/* ---- list ---- */

struct listing {
    bool       json;
    int64_t    shown;
    struct buf out;
};

static void put_row(struct buf *b, const struct store_report *r)
{
    json_open(b, NULL, '{');
    json_add_uuid(b, "id", &r->id);
    json_add_string(b, "class", span_of(report_class_words[r->class]));
    json_add_string(b, "state", span_of(report_state_words[r->state]));
    json_add_string(b, "subject", r->subject);
    json_add_string(b, "who", r->who);
    json_add_string(b, "for", r->recipient);
    json_add_string(b, "channel", r->channel);
    json_add_time(b, "created", r->created_us);
    json_add_time(b, "changed", r->changed_us);
    json_add_i64(b, "attempts", r->attempts);
    json_add_string(b, "answer", r->answer);
    json_add_string(b, "sender", r->sender);
    json_add_string(b, "why", r->why);
    json_close(b, '}');
}

/* What it left behind, on a line of its own where there is something to say. */
static void print_sender(const struct store_report *r, const char *indent)
{
    if (r->sender.n > 0) {
        printf("%ssender %s: ", indent,
               r->class == REPORT_FORGET ? "taken away"
               : r->class == REPORT_SPAM ? "held from now on"
                                         : "let through more easily");
        cli_print(r->sender);
        printf("%s", r->why.n > 0 ? "; " : "\n");
    } else if (r->why.n > 0) {
        printf("%sno learned sender: ", indent);
    }
    if (r->why.n > 0) {
        cli_print(r->why);
        putchar('\n');
    }
}

static int each_report(void *ctx, const struct store_report *r)
{
    struct listing *l = ctx;

    l->shown++;
    if (l->json) {
        put_row(&l->out, r);
        return 0;
    }
    printf("%s  %-6s  %-10s  ", time_text(r->changed_us).text, report_class_words[r->class],
           report_state_words[r->state]);
    cli_print_padded(r->recipient.n > 0 ? r->recipient : SPAN("(everybody)"), 24);
    fputs("  ", stdout);
    cli_print_padded(r->who, 28);
    printf("  %-8.*s  ", SPAN_ARG(r->channel));
    cli_print(r->answer);
    putchar('\n');
    print_sender(r, "                       ");
    return 0;
}

/* What a state means, for who asks about one report. */
static const char *const state_sentences[] = {
    [REPORT_WAITING] = "its turn has not come, or the filter could not be asked yet",
    [REPORT_LEARNT] = "the filter has learnt it",
    [REPORT_KNOWN] = "there was nothing more to learn",
    [REPORT_SHORT] = "too few words in it to learn from",
    [REPORT_REFUSED] = "it is not going to be learnt",
    [REPORT_SUPERSEDED] = "the opposite was said later, or what others say holds again",
    [REPORT_UNDECIDED] = "people of the domain disagree: the filter learns neither; each keeps a learned sender",
};

static void print_fact(const char *name, struct span text)
{
    if (text.n == 0)
        return;
    printf("  %-10s ", name);
    cli_print(text);
    putchar('\n');
}

static int each_shown(void *ctx, const struct store_report *r)
{
    struct listing *l = ctx;
    char            id[UUID_TEXT + 1];

    l->shown++;
    if (l->json) {
        put_row(&l->out, r);
        return 0;
    }
    uuid_format(&r->id, id);
    printf("%s%s: %s, %s\n", l->shown > 1 ? "\n" : "", id, report_class_words[r->class], report_state_words[r->state]);
    print_fact("means", span_of(state_sentences[r->state]));
    print_fact("answer", r->answer);
    print_fact("message", r->subject);
    print_fact("by", r->who);
    print_fact("learnt for", r->recipient.n > 0 ? r->recipient : SPAN("everybody"));
    print_fact("channel", r->channel);
    printf("  %-10s %s UTC\n  %-10s %s UTC\n", "said", time_text(r->created_us).text, "changed",
           time_text(r->changed_us).text);
    if (r->attempts > 0)
        printf("  %-10s %" PRId64 "\n", "attempts", r->attempts);
    if (r->state == REPORT_WAITING)
        printf("  %-10s %s UTC\n", "not before", time_text(r->next_us).text);
    print_sender(r, "  ");
    return 0;
}

static int report_show(struct cli *c, int argc, char **argv, struct err *e)
{
    struct listing           l = {.json = false};
    const char              *text;
    struct uuid              id;
    int                      rc;
    const struct args_option options[] = {{"json", NULL, .on = &l.json, .help = "for programs"}};

    if (args_read(argc, argv, options, COUNT(options), "ID|UID", 1, 1, &text, NULL, e) < 0)
        return -1;
    if (!uuid_parse(span_of(text), &id))
        return err_set(e, ERR_INVALID, "\"%s\" is neither a report's id nor a message's UID", text);
    if (cli_store(c, e) < 0)
        return -1;
    buf_init(&l.out, JSON_MAX);
    buf_puts(&l.out, "{\"reports\":[");
    rc = store_report_show(c->store, &id, each_shown, &l, e);
    buf_puts(&l.out, "]}");
    if (rc == 0 && l.json)
        printf("%.*s\n", SPAN_ARG(buf_span(&l.out)));
    buf_fini(&l.out);
    return rc;
}

static int report_list(struct cli *c, int argc, char **argv, struct err *e)
{
    const char              *domain = NULL, *mailbox = NULL, *limit = LIST_DEFAULT;
    struct listing           l = {.json = false};
    struct store_scope       scope;
    int64_t                  n;
    int                      rc;
    const struct args_option options[] = {
        {"domain", "NAME", .text = &domain, .help = "of a domain"},
        {"mailbox", "ADDRESS", .text = &mailbox, .help = "of a mailbox"},
        {"limit", "N", .text = &limit, .help = "at most so many (" LIST_DEFAULT ")"},
        {"json", NULL, .on = &l.json, .help = "for programs"},
    };

    if (args_read(argc, argv, options, COUNT(options), "", 0, 0, NULL, NULL, e) < 0 ||
        cli_number(limit, "--limit", 1, LIST_MAX, &n, e) < 0 || cli_store(c, e) < 0 ||
        cli_read_scope(c, domain, mailbox, &scope, e) < 0)
        return -1;
    buf_init(&l.out, JSON_MAX);
    buf_puts(&l.out, "{\"reports\":[");
    rc = store_report_list(c->store, scope, 0, (size_t)n, each_report, &l, e);
    buf_puts(&l.out, "]}");
    if (rc == 0 && l.out.failed)
        rc = err_set(e, ERR_LIMIT, "that is too much to print at once; use --limit");
    if (rc == 0 && l.json)
        printf("%.*s\n", SPAN_ARG(buf_span(&l.out)));
    if (rc == 0 && !l.json && l.shown == 0)
        puts("Nothing was reported.");
    buf_fini(&l.out);
    return rc;
}

int cli_report(struct cli *c, int argc, char **argv, struct err *e)
{
    static const struct cli_verb verbs[] = {
        {"spam", "--rcpt ADDRESS FILE|--uid UID [--json]", "this is spam", report_spam},
        {"ham", "--rcpt ADDRESS FILE|--uid UID [--json]", "this is not", report_ham},
        {"forget", "--rcpt ADDRESS FILE|--uid UID [--json]", "neither: take back what was learnt", report_forget},
        {"list", "[--domain NAME|--mailbox ADDRESS] [--limit N] [--json]", "what was reported, and what came of it",
         report_list},
        {"show", "ID|UID [--json]", "one report, or all of a message, in words", report_show},
    };

    return cli_dispatch(c, "report", verbs, COUNT(verbs), argc, argv, e);
}
