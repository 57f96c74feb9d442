/* cli/common.c - what the subcommands share: names to rows, words to numbers, strangers' text to the terminal. */
#include <stdio.h>
#include <unistd.h>

#include "base/utf8.h"
#include "cli.h"
#include "mail/address.h"
#include "store/mailbox.h"

int cli_store(struct cli *c, struct err *e)
{
    if (c->store != NULL)
        return 0;
    return store_open(c->settings->store.url, STORE_EXISTING, &c->store, e);
}

static void print_verbs(FILE *out, const char *noun, const struct cli_verb *verbs, size_t n)
{
    for (size_t i = 0; i < n; i++)
        fprintf(out, "  postern %s %s %s\n      %s\n", noun, verbs[i].name, verbs[i].usage, verbs[i].help);
}

bool cli_asks_help(int argc, char **argv)
{
    return argc > 0 && (strcmp(argv[0], "help") == 0 || strcmp(argv[0], "--help") == 0);
}

int cli_dispatch(struct cli *c, const char *noun, const struct cli_verb *verbs, size_t nverbs, int argc, char **argv,
                 struct err *e)
{
    static char help[] = "--help";

    if (cli_asks_help(argc, argv)) {
        print_verbs(stdout, noun, verbs, nverbs);
        return 0;
    }
    for (size_t i = 0; argc > 0 && i < nverbs; i++) {
        if (strcmp(argv[0], verbs[i].name) != 0)
            continue;
        if (cli_asks_help(argc - 1, argv + 1)) {
            print_verbs(stdout, noun, &verbs[i], 1);
            return verbs[i].run(c, 1, (char *[]){help}, e);
        }
        return verbs[i].run(c, argc - 1, argv + 1, e);
    }
    print_verbs(stderr, noun, verbs, nverbs);
    return argc == 0 ? err_set(e, ERR_USAGE, "%s what?", noun)
                     : err_set(e, ERR_USAGE, "there is no \"postern %s %s\"", noun, argv[0]);
}

int cli_find_domain(struct cli *c, const char *name, struct store_domain *out, struct err *e)
{
    struct span normal;

    if (domain_normalise(span_of(name), &c->arena, &normal, e) < 0)
        return -1;
    if (store_domain_find(c->store, normal, out, e) == 0)
        return 0;
    if (e->code == ERR_NOT_FOUND)
        return err_set(e, ERR_NOT_FOUND, "there is no domain %s; \"postern domain add %s\" adds it", name, name);
    return -1;
}

int cli_parse_address(struct cli *c, const char *text, struct span *full, struct span *local, struct span *domain,
                      struct err *e)
{
    struct address a;

    if (address_parse_path(span_of(text), &c->arena, &a, e) < 0)
        return err_wrap(e, "%s", text);
    if (a.full.n == 0)
        return err_set(e, ERR_INVALID, "an address is needed, such as anna@ours.example");
    if (full != NULL)
        *full = a.full;
    if (local != NULL)
        *local = a.local;
    if (domain != NULL)
        *domain = a.domain;
    return 0;
}

int cli_parse_scope(struct cli *c, struct span text, struct store_scope *out, struct err *e)
{
    struct store_domain  d;
    struct store_mailbox m;
    struct span          address;
    char                *name;

    if (span_is(text, "global")) {
        *out = STORE_SCOPE_GLOBAL;
        return 0;
    }
    if (span_starts(text, SPAN("domain:"))) {
        if ((name = arena_str(&c->arena, span_skip(text, 7))) == NULL || cli_find_domain(c, name, &d, e) < 0)
            return -1;
        *out = store_scope_domain(d.id);
        return 0;
    }
    if (!span_starts(text, SPAN("mailbox:")))
        return err_set(e, ERR_INVALID, "\"%.*s\" is no scope; say global, domain:NAME or mailbox:ADDRESS",
                       SPAN_ARG(text));
    if ((name = arena_str(&c->arena, span_skip(text, 8))) == NULL ||
        cli_parse_address(c, name, &address, NULL, NULL, e) < 0)
        return -1;
    if (store_mailbox_find(c->store, address, &m, e) < 0)
        return e->code != ERR_NOT_FOUND
                   ? -1
                   : err_set(e, ERR_NOT_FOUND, "there is no mailbox %s; \"postern mailbox add %s\" adds it", name,
                             name);
    *out = store_scope_mailbox(m.id);
    return 0;
}

int cli_read_scope(struct cli *c, const char *domain, const char *mailbox, struct store_scope *out, struct err *e)
{
    struct span text;

    *out = STORE_SCOPE_GLOBAL;
    if (domain == NULL && mailbox == NULL)
        return 0;
    if (domain != NULL && mailbox != NULL)
        return err_set(e, ERR_USAGE, "--domain or --mailbox, not both");
    text = arena_printf(&c->arena, "%s:%s", domain != NULL ? "domain" : "mailbox", domain != NULL ? domain : mailbox);
    return cli_parse_scope(c, text, out, e);
}

int cli_scope_text(struct cli *c, struct store_scope scope, struct span *out, struct err *e)
{
    struct store_domain  d;
    struct store_mailbox m;

    if (scope.kind == SCOPE_GLOBAL) {
        *out = SPAN("global");
    } else if (scope.kind == SCOPE_DOMAIN) {
        if (store_domain_get(c->store, scope.id, &d, e) < 0)
            return -1;
        *out = arena_printf(&c->arena, "domain:%s", d.name);
    } else {
        if (store_mailbox_get(c->store, scope.id, &m, e) < 0)
            return -1;
        *out = arena_printf(&c->arena, "mailbox:%s", m.address);
    }
    return 0;
}

int cli_word_index(const char *const *words, const char *word, const char *what, int *out, struct err *e)
{
    char   list[200] = "";
    size_t at = 0;

    for (int i = 0; words[i] != NULL; i++) {
        if (strcmp(words[i], word) == 0) {
            *out = i;
            return 0;
        }
        if (at < sizeof list - 32)
            at += (size_t)snprintf(list + at, sizeof list - at, "%s%.30s", i == 0 ? "" : ", ", words[i]);
    }
    return err_set(e, ERR_INVALID, "%s cannot be \"%s\"; it is one of: %s", what, word, list);
}

int cli_on_off(const char *text, const char *what, bool *out, struct err *e)
{
    *out = strcmp(text, "on") == 0;
    return *out || strcmp(text, "off") == 0 ? 0 : err_set(e, ERR_INVALID, "%s is on or off, not \"%s\"", what, text);
}

int cli_number(const char *text, const char *what, int64_t min, int64_t max, int64_t *out, struct err *e)
{
    if (!span_i64(span_of(text), out) || *out < min || *out > max)
        return err_set(e, ERR_INVALID, "%s must be a whole number from %lld to %lld, not \"%s\"", what, (long long)min,
                       (long long)max, text);
    return 0;
}

int cli_size(const char *text, const char *what, int64_t *out, struct err *e)
{
    if (!conf_size(span_of(text), out))
        return err_set(e, ERR_INVALID, "%s must be a size such as 512K, 50M or 2G, not \"%s\"", what, text);
    return 0;
}

int cli_until(const char *text, int64_t *out, struct err *e)
{
    struct span s = span_of(text);
    uint64_t    n;
    char        unit = s.n > 0 ? s.p[s.n - 1] : '\0';

    if (clock_parse_utc(s, out))
        return 0;
    if ((unit == 'h' || unit == 'd') && span_u64(span_head(s, s.n - 1), &n) && n > 0 && n < 100000) {
        *out = clock_wall_us() + (int64_t)n * (unit == 'h' ? 3600 : 86400) * INT64_C(1000000);
        return 0;
    }
    return err_set(e, ERR_INVALID, "\"%s\" is no time; say 8h, 2d, 2026-12-24, or a time as in 2026-12-24T12:00:00Z",
                   text);
}

int cli_confirm(bool yes, const char *what, struct err *e)
{
    char answer[8] = "";

    if (yes)
        return 0;
    if (!isatty(STDIN_FILENO))
        return err_set(e, ERR_DENIED, "this would %s; add --yes if that is meant", what);
    fprintf(stderr, "This will %s. Really? [y/N] ", what);
    if (fgets(answer, sizeof answer, stdin) != NULL && (answer[0] == 'y' || answer[0] == 'Y'))
        return 0;
    return err_set(e, ERR_DENIED, "nothing was changed");
}

void cli_print_padded(struct span text, size_t width)
{
    struct buf b;
    size_t     shown = 0;

    buf_init(&b, 64 << 10);
    utf8_put_escaped(&b, text, 0);
    fwrite(b.p != NULL ? b.p : "", 1, b.n, stdout);
    for (size_t i = 0; i < b.n; i++)
        shown += ((unsigned char)b.p[i] & 0xC0) != 0x80;
    for (; shown < width; shown++)
        putchar(' ');
    buf_fini(&b);
}

void cli_print(struct span text) { cli_print_padded(text, 0); }
