/* cli/release.c - postern quarantine release: held mail to its recipients after all, one row a recipient. */
#include <stdio.h>

#include "base/utf8.h"
#include "custody/body.h"
#include "custody/known.h"
#include "held.h"
#include "net/scanner.h"

struct releasing {
    struct cli        *c;
    struct held        held;
    struct release_how how;
    const char        *rcpt; /* or NULL: everybody for whom it was held */
    bool               again, with_virus;
    size_t             sent, failed;
};

static int begin(struct releasing *x, struct err *e)
{
    const struct settings *s = x->c->settings;

    if (cli_store(x->c, e) < 0 || release_check(x->c->store, s->delivery.url, e) < 0 ||
        held_open(x->c, &x->held, e) < 0 ||
        scanner_new(&s->rulesd.scanner, s->rulesd.scanner_timeout_ms, &x->how.scanner, e) < 0)
        return -1;
    x->how.store = x->c->store;
    x->how.vault = x->held.vault;
    x->how.keys = s->quarantine.keys;
    x->how.url = s->delivery.url;
    x->how.protected_symbols = &s->rules.protected_symbols;
    x->how.unscanned_ok = s->rulesd.scanner_down == SCANNER_DOWN_ACCEPT;
    x->how.prefix = s->rules.prefix;
    x->how.message_max = held_message_max(x->c);
    return 0;
}

static void end(struct releasing *x)
{
    scanner_free(&x->how.scanner);
    held_close(&x->held);
}

/* One line for each, on stdout what went well and on stderr what did not: the others go on. */
static void say(struct releasing *x, const struct uuid *uid, struct span rcpt, const struct store_release *r,
                const struct err *why)
{
    struct buf b;
    char       text[UUID_TEXT + 1];

    uuid_format(uid, text);
    x->sent += why == NULL;
    x->failed += why != NULL;
    buf_init(&b, 16 << 10);
    buf_puts(&b, text);
    if (rcpt.n > 0) {
        buf_puts(&b, " for ");
        utf8_put_escaped(&b, rcpt, 0);
    }
    buf_puts(&b, ": ");
    if (why == NULL)
        buf_printf(&b, "released, %lld ", (long long)r->code);
    utf8_put_escaped(&b, span_of(why != NULL ? why->text : r->reply), 0);
    fprintf(why == NULL ? stdout : stderr, "%.*s\n", SPAN_ARG(buf_span(&b)));
    buf_fini(&b);
}

/* Who commands here may decide about all there is; about a virus by saying so twice. */
static int decide(struct releasing *x, const struct store_message *m, int64_t n, struct lift *out, struct err *e)
{
    const struct conf_list *scanner = &x->c->settings->rulesd.scanner;
    bool                    spamd = scanner->n > 0 && span_starts(span_of(scanner->items[0]), SPAN("spamd"));
    struct store_release    row;
    struct known            known;
    int                     rc = store_release_get(x->c->store, m->uid, n, &row, e);

    if (rc < 0)
        return -1;
    known_read(m->symbols, rc > 0 ? &row : NULL, spamd, x->how.protected_symbols, &x->c->arena, &known);
    *out = known.lift;
    return known.gravest < FINDING_VIRUS || x->with_virus
               ? 0
               : err_set(e, ERR_DENIED, "the filter found a virus in it (%.*s); it leaves only --with-virus",
                         SPAN_ARG(known.names));
}

static void release_one(struct releasing *x, const struct store_message *m, struct span rcpt, int64_t n)
{
    struct release_asked asked = {.again = x->again};
    struct store_release row;
    struct err           why = ERR_INIT;
    int                  rc = decide(x, m, n, &asked.decided, &why);

    if (rc == 0)
        rc = release_send(&x->how, &x->c->actor, m->uid, n, &asked, &row, &why);
    say(x, &m->uid, rcpt, &row, rc < 0 ? &why : NULL);
}

static int release_message(struct releasing *x, const char *text, struct err *e)
{
    struct store_message m;
    struct uuid          uid;
    size_t               found = 0;

    if (held_uid(text, &uid, e) < 0 || body_record(x->held.vault, &uid, &x->c->arena, &m, e) < 0)
        return err_wrap(e, "%s", text);
    for (size_t i = 0; i < m.ndeliveries; i++) {
        const struct store_delivery *d = &m.deliveries[i];

        if (x->rcpt != NULL ? !span_eq_ci(d->recipient, span_of(x->rcpt)) : !release_held(d->verdict))
            continue;
        found++;
        release_one(x, &m, d->recipient, (int64_t)i + 1);
    }
    if (found == 0 && x->rcpt != NULL)
        return err_set(e, ERR_NOT_FOUND, "%s: %s is not among its recipients", text, x->rcpt);
    return found > 0 ? 0 : err_set(e, ERR_NOT_FOUND, "%s: it was not held for anybody", text);
}

static int each_unfinished(void *ctx, const struct store_release *r, const struct err *why)
{
    say(ctx, &r->uid, SPAN_NONE, r, why);
    return 0;
}

static int release_all(struct releasing *x, const char *const *texts, size_t n, bool unfinished, struct err *e)
{
    if (unfinished && release_unfinished(&x->how, &x->c->actor, 0, each_unfinished, x, e) < 0)
        return -1;
    for (size_t i = 0; i < n; i++)
        if (release_message(x, texts[i], e) < 0)
            return -1;
    if (x->failed > 0)
        return err_set(e, ERR_BUSY, "%zu released, %zu not", x->sent, x->failed);
    if (unfinished && x->sent == 0)
        puts("Nothing was left unfinished.");
    return 0;
}

int cli_quarantine_release(struct cli *c, int argc, char **argv, struct err *e)
{
    struct releasing         x = {.c = c};
    const char              *texts[ARGS_MANY];
    size_t                   n = 0;
    bool                     unfinished = false;
    int                      rc = -1;
    const struct args_option options[] = {
        {"rcpt", "ADDRESS", .text = &x.rcpt, .help = "this recipient alone"},
        {"again", NULL, .on = &x.again,
         .help = "also where nobody knows whether it arrived: the recipient may get it twice"},
        {"with-virus", NULL, .on = &x.with_virus, .help = "also mail in which the filter has found a virus"},
        {"unfinished", NULL, .on = &unfinished, .help = "go on with what was asked for and never left"},
    };

    if (args_read(argc, argv, options, COUNT(options), "UID …", 0, COUNT(texts), texts, &n, e) < 0)
        return -1;
    if ((n == 0) == !unfinished)
        return err_set(e, ERR_USAGE, "say which messages, by their UIDs, or --unfinished");
    if (begin(&x, e) == 0)
        rc = release_all(&x, texts, n, unfinished, e);
    end(&x);
    return rc;
}
