/* cli/rule_import.c - postern rule import.
 *
 * Import reads the whole file, checks every line, and only then writes, in one transaction: on an error nothing has changed.
 * What comes in, and how a line becomes a rule, is rules/import.h's; scope and policy that a line does not name come from the options. Lines
 * that are no rules are passed over and counted. */
#include <stdio.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/map.h"
#include "base/utf8.h"
#include "cli.h"
#include "rules/import.h"
#include "store/policy.h"

#define IMPORT_FILE_MAX ((size_t)4 << 30)
#define IMPORT_ERRORS_SHOWN 20
#define IMPORT_POLICIES_MAX 1000000

/* Where a line's rule goes: one a (scope, policy) pair that the file names. */
struct target {
    struct span        key; /* "scope\npolicy" */
    struct store_scope scope;
    struct uuid        policy;
    struct target     *next;
};

struct import {
    struct cli          *c;
    enum import_format   format;
    struct import_reader reader;
    const char          *scope, *policy, *action, *kind;
    bool                 confirm;
    struct map           by_key; /* -> struct target */
    struct target       *targets;
    size_t               ntargets;
    struct arena         line; /* of one line */
    struct buf           conditions;
    size_t               number, rules, passed_over, errors, notes;
    struct store_import *into; /* second pass */
    bool                 tty;
    size_t               bytes, done;
};

static void progress(const struct import *im, const char *what, bool last)
{
    int percent = im->bytes == 0 ? 100 : (int)(im->done * 100 / im->bytes);

    if (!im->tty || (!last && im->number % 5000 != 0))
        return;
    fprintf(stderr, "\r%s [%-40.*s] %3d %%  %zu rules%s", what, percent * 40 / 100,
            "########################################", percent, im->rules, last ? "\n" : "");
}

static struct target *add_target(struct import *im, struct span key, struct span scope, struct span policy,
                                 struct err *e)
{
    struct arena       *a = &im->c->arena;
    struct target      *t = arena_zalloc(a, sizeof *t);
    struct store_policy p;

    if (t == NULL || im->ntargets == IMPORT_POLICIES_MAX) {
        err_set(e, ERR_LIMIT, "more than %d policies in one import", IMPORT_POLICIES_MAX);
        return NULL;
    }
    if (scope.n == 0) {
        err_set(e, ERR_INVALID, "the line names no scope; add \"scope\", or --scope");
        return NULL;
    }
    if (cli_parse_scope(im->c, scope, &t->scope, e) < 0 ||
        cli_default_policy(im->c, t->scope, policy.n > 0 ? arena_str(&im->line, policy) : NULL, &p, e) < 0)
        return NULL;
    t->key = arena_dup(a, key);
    t->policy = p.id;
    t->next = im->targets;
    im->targets = t;
    im->ntargets++;
    map_put(&im->by_key, t->key, t);
    return t;
}

static int find_target(struct import *im, struct span scope, struct span policy, struct target **out, struct err *e)
{
    struct span key = arena_printf(&im->line, "%.*s\n%.*s", SPAN_ARG(scope), SPAN_ARG(policy));

    *out = map_get(&im->by_key, key);
    if (*out == NULL)
        *out = add_target(im, key, scope, policy, e);
    return *out == NULL ? -1 : 0;
}

/* One line to a rule and its target: as import_line(). */
static int read_line(struct import *im, struct span line, struct rule_check *check, struct rule *r, struct target **t,
                     struct err *e)
{
    struct span scope, policy;
    int         rc = import_line(&im->reader, line, &im->line, check, r, &scope, &policy, e);

    if (rc != IMPORT_RULE) {
        im->passed_over += rc >= 0 && span_trim(line).n > 0;
        return rc;
    }
    if (scope.n == 0)
        scope = span_of(im->scope);
    if (policy.n == 0)
        policy = span_of(im->policy);
    return find_target(im, scope, policy, t, e) < 0 ? -1 : IMPORT_RULE;
}

static void complain(struct import *im, const char *file, const struct err *e)
{
    if (im->errors++ < IMPORT_ERRORS_SHOWN)
        fprintf(stderr, "%s:%zu: %s\n", file, im->number, e->text);
    else if (im->errors == IMPORT_ERRORS_SHOWN + 1)
        fprintf(stderr, "… and more\n");
}

/* Whoever imports such lines must know. */
static void tell_of_list(struct import *im, const char *file, struct span line)
{
    struct span text = span_trim(line), word = span_head(text, span_chr(text, ' '));
    struct buf  safe;

    if (im->notes++ < IMPORT_ERRORS_SHOWN) {
        buf_init(&safe, 4 * IMPORT_LINE_MAX);
        utf8_put_escaped(&safe, span_head(word, span_chr(word, '\t')), 0);
        fprintf(stderr, "%s:%zu: passed over, as no rule can say it: %.*s\n", file, im->number,
                SPAN_ARG(buf_span(&safe)));
        buf_fini(&safe);
    } else if (im->notes == IMPORT_ERRORS_SHOWN + 1) {
        fprintf(stderr, "… and more\n");
    }
}

/* Each pass reads the lines from the first. */
static void restart(struct import *im)
{
    import_fini(&im->reader);
    import_init(&im->reader, im->format, im->action, im->kind);
}

/* First pass: is every line good? */
static int check_all(struct import *im, const char *file, struct span text, struct err *e)
{
    struct span rest = text, line;

    restart(im);
    for (im->number = 1; span_line(&rest, &line); im->number++) {
        struct rule_check check = {.may_regex = im->c->actor.admin, .freemail_confirmed = im->confirm};
        struct err        why = ERR_INIT;
        struct target    *t;
        struct rule       r;
        int               rc = read_line(im, line, &check, &r, &t, &why);

        if (rc < 0) {
            if (why.code == ERR_CONFLICT && !im->confirm)
                err_wrap(&why, "add --confirm if that is meant");
            complain(im, file, &why);
        } else if (rc == IMPORT_UNSAYABLE) {
            tell_of_list(im, file, line);
        } else if (rc == IMPORT_RULE) {
            im->rules++;
        }
        arena_reset(&im->line);
        im->done = text.n - rest.n;
        progress(im, "checking ", false);
    }
    progress(im, "checking ", true);
    if (im->errors > 0)
        return err_set(e, ERR_INVALID, "%zu of %zu lines cannot be imported; nothing was changed", im->errors,
                       im->number - 1);
    return 0;
}

/* Second pass: write. */
static int put_all(struct import *im, struct span text, struct err *e)
{
    struct span rest = text, line;

    im->passed_over = im->rules = 0;
    restart(im);
    for (im->number = 1; span_line(&rest, &line); im->number++) {
        struct store_rule row;
        struct target    *t;
        struct rule       r;
        int               rc = read_line(im, line, NULL, &r, &t, e);

        if (rc < 0)
            return -1;
        if (rc == IMPORT_RULE) {
            buf_clear(&im->conditions);
            rule_put_conditions_json(&im->conditions, &r);
            row = store_rule_of(&r, &t->policy, buf_span(&im->conditions));
            if (store_import_put(&im->into, &row, e) < 0)
                return -1;
            im->rules++;
        }
        arena_reset(&im->line);
        im->done = text.n - rest.n;
        progress(im, "importing", false);
    }
    progress(im, "importing", true);
    return store_import_commit(&im->into, e);
}

static int import_text(struct import *im, const char *file, struct span text, struct err *e)
{
    struct uuid *policies;
    size_t       n = 0;
    int          rc;

    im->bytes = text.n;
    if (check_all(im, file, text, e) < 0)
        return -1;
    if (im->ntargets == 0) {
        puts("Nothing to import in that file.");
        return 0;
    }
    if ((policies = arena_array(&im->c->arena, im->ntargets, sizeof *policies)) == NULL)
        return err_set(e, ERR_LIMIT, "too many policies");
    for (const struct target *t = im->targets; t != NULL; t = t->next)
        policies[n++] = t->policy;
    if (store_import_begin(im->c->store, &im->c->actor, policies, im->ntargets, &im->into, e) < 0)
        return -1;
    rc = put_all(im, text, e);
    store_import_abort(&im->into);
    if (rc == 0) {
        printf("%zu rules imported.", im->rules);
        if (im->passed_over > 0)
            printf(" %zu lines were passed over.", im->passed_over);
        putchar('\n');
    }
    return rc;
}

static int read_options(struct import *im, int argc, char **argv, const char **file, struct err *e)
{
    const char              *format = "json";
    int                      word;
    const struct args_option options[] = {
        {"scope", "SCOPE", .text = &im->scope, .help = "for lines that name none"},
        {"policy", "NAME", .text = &im->policy, .help = "for lines that name none; Rules unless said otherwise"},
        {"format", "json|csv|spamassassin|map", .text = &format, .help = "what the file is"},
        {"action", "allow|block", .text = &im->action, .help = "csv, map: what a match does, where a row does not say"},
        {"kind", "sender|recipient|ip|host|subject", .text = &im->kind, .help = "csv, map: what a key is"},
        {"confirm", NULL, .on = &im->confirm, .help = "free-mail domains are meant"},
    };

    if (args_read(argc, argv, options, COUNT(options), "FILE (- for standard input)", 1, 1, file, NULL, e) < 0 ||
        cli_word_index(import_format_words, format, "--format", &word, e) < 0)
        return -1;
    im->format = (enum import_format)word;
    if (im->format == IMPORT_MAP && (im->action == NULL || im->kind == NULL))
        return err_set(e, ERR_USAGE, "a map says neither what its keys are nor what they do: --kind and --action");
    if ((im->kind != NULL && cli_word_index(import_kind_words, im->kind, "--kind", &word, e) < 0) ||
        (im->action != NULL && cli_word_index(rule_action_words, im->action, "--action", &word, e) < 0))
        return -1;
    return 0;
}

int cli_rule_import(struct cli *c, int argc, char **argv, struct err *e)
{
    static struct import im; /* large; one a process */
    struct buf           text;
    const char          *file;
    int                  rc = -1;

    memset(&im, 0, sizeof im);
    im.c = c;
    im.tty = isatty(STDERR_FILENO) != 0;
    c->actor.over_quota = true;
    buf_init(&text, IMPORT_FILE_MAX);
    buf_init(&im.conditions, RULE_JSON_MAX);
    arena_init(&im.line, (size_t)64 << 20);
    map_init(&im.by_key);
    if (read_options(&im, argc, argv, &file, e) == 0 && cli_store(c, e) == 0 &&
        fd_read_file(file, IMPORT_FILE_MAX, &text, e) == 0)
        rc = import_text(&im, file, buf_span(&text), e);
    map_fini(&im.by_key);
    arena_fini(&im.line);
    buf_fini(&im.conditions);
    import_fini(&im.reader);
    buf_fini(&text);
    return rc;
}
