/* cli/policy.c - postern policy and thresholds: what surrounds the rules of a scope. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "cli.h"
#include "store/mailbox.h"
#include "store/policy.h"

static int find_policy(struct cli *c, const char *scope_text, const char *name, struct store_policy *out, struct err *e)
{
    struct store_scope scope;

    if (cli_parse_scope(c, span_of(scope_text), &scope, e) < 0)
        return -1;
    if (store_policy_find(c->store, scope, span_of(name), out, e) == 0)
        return 0;
    if (e->code == ERR_NOT_FOUND)
        return err_set(e, ERR_NOT_FOUND,
                       "there is no policy \"%s\" in %s; \"postern policy list %s\" shows what there is", name,
                       scope_text, scope_text);
    return -1;
}

struct policy_options {
    const char *name, *priority, *locked, *is_default, *enabled;
};

#define POLICY_OPTIONS(o)                                                                                              \
    {"priority", "N", .text = &(o).priority, .help = "the lower decides; 100 unless said otherwise"},                  \
        {"locked", "on|off", .text = &(o).locked, .help = "stronger than those below it"},                             \
        {"default", "on|off", .text = &(o).is_default, .help = "global: holds where no other policy matched"},         \
        {"enabled", "on|off", .text = &(o).enabled, .help = "off: its rules do nothing"},                              \
    {                                                                                                                  \
        "name", "TEXT", .text = &(o).name, .help = "a new name"                                                        \
    }

static int read_policy(const struct policy_options *o, struct store_policy *p, struct err *e)
{
    int64_t priority;

    if (o->name != NULL && (size_t)snprintf(p->name, sizeof p->name, "%s", o->name) >= sizeof p->name)
        return err_set(e, ERR_INVALID, "the name is longer than %d bytes", STORE_NAME_MAX);
    if (o->priority != NULL) {
        if (cli_number(o->priority, "--priority", -1000000, 1000000, &priority, e) < 0)
            return -1;
        p->priority = (int32_t)priority;
    }
    if ((o->locked != NULL && cli_on_off(o->locked, "--locked", &p->locked, e) < 0) ||
        (o->is_default != NULL && cli_on_off(o->is_default, "--default", &p->is_default, e) < 0) ||
        (o->enabled != NULL && cli_on_off(o->enabled, "--enabled", &p->enabled, e) < 0))
        return -1;
    return 0;
}

static int policy_add(struct cli *c, int argc, char **argv, struct err *e)
{
    struct policy_options    o = {0};
    struct store_policy      p = {.priority = POLICY_PRIORITY, .enabled = true};
    const char              *words[2];
    struct uuid              id;
    const struct args_option options[] = {POLICY_OPTIONS(o)};

    if (args_read(argc, argv, options, COUNT(options), "SCOPE NAME", 2, 2, words, NULL, e) < 0 || cli_store(c, e) < 0)
        return -1;
    if (o.name == NULL)
        o.name = words[1];
    if (cli_parse_scope(c, span_of(words[0]), &p.scope, e) < 0 || read_policy(&o, &p, e) < 0 ||
        store_policy_add(c->store, &c->actor, &p, &id, e) < 0)
        return -1;
    printf("Policy \"%s\" added to %s.\n", p.name, words[0]);
    if (p.scope.kind == SCOPE_GLOBAL && !p.locked && !p.is_default)
        printf("It does nothing until it is assigned: postern policy assign \"%s\" DOMAIN\n", p.name);
    return 0;
}

static int policy_set(struct cli *c, int argc, char **argv, struct err *e)
{
    struct policy_options    o = {0};
    struct store_policy      p;
    const char              *words[2];
    const struct args_option options[] = {POLICY_OPTIONS(o)};

    if (args_read(argc, argv, options, COUNT(options), "SCOPE NAME", 2, 2, words, NULL, e) < 0 || cli_store(c, e) < 0 ||
        find_policy(c, words[0], words[1], &p, e) < 0 || read_policy(&o, &p, e) < 0 ||
        store_policy_set(c->store, &c->actor, &p, e) < 0)
        return -1;
    printf("Policy \"%s\" changed.\n", p.name);
    return 0;
}

static const char *policy_state(const struct store_policy *p)
{
    if (!p->enabled)
        return "off";
    if (p->locked)
        return "locked";
    if (p->is_default)
        return "default";
    if (p->scope.kind == SCOPE_GLOBAL && p->nassigned == 0)
        return "inert: neither locked, assigned nor default";
    return p->scope.kind == SCOPE_GLOBAL ? "assigned" : "";
}

static int print_policy(void *ctx, const struct store_policy *p)
{
    (void)ctx;
    cli_print_padded(span_of(p->name), 28);
    printf(" priority %-6d %8lld rules  %s", p->priority, (long long)p->nrules, policy_state(p));
    if (p->nassigned > 0)
        printf(" (%lld domains)", (long long)p->nassigned);
    putchar('\n');
    return 0;
}

static int policy_list(struct cli *c, int argc, char **argv, struct err *e)
{
    const char        *text = "global";
    struct store_scope scope;

    if (args_read(argc, argv, NULL, 0, "[SCOPE]", 0, 1, &text, NULL, e) < 0 || cli_store(c, e) < 0 ||
        cli_parse_scope(c, span_of(text), &scope, e) < 0)
        return -1;
    return store_policy_list(c->store, scope, print_policy, NULL, e);
}

static int policy_delete(struct cli *c, int argc, char **argv, struct err *e)
{
    struct store_policy      p;
    const char              *words[2];
    bool                     yes = false;
    char                     what[STORE_NAME_MAX + 100];
    const struct args_option options[] = {{"yes", NULL, .on = &yes, .help = "do not ask"}};

    if (args_read(argc, argv, options, COUNT(options), "SCOPE NAME", 2, 2, words, NULL, e) < 0 || cli_store(c, e) < 0 ||
        find_policy(c, words[0], words[1], &p, e) < 0)
        return -1;
    snprintf(what, sizeof what, "delete the policy \"%s\" with its rules", p.name);
    if (cli_confirm(yes, what, e) < 0 || store_policy_delete(c->store, &c->actor, p.id, e) < 0)
        return -1;
    printf("Policy \"%s\" deleted.\n", p.name);
    return 0;
}

static int assign(struct cli *c, int argc, char **argv, bool on, struct err *e)
{
    struct store_policy p;
    struct store_domain d;
    const char         *words[2];

    if (args_read(argc, argv, NULL, 0, "NAME DOMAIN", 2, 2, words, NULL, e) < 0 || cli_store(c, e) < 0 ||
        find_policy(c, "global", words[0], &p, e) < 0 || cli_find_domain(c, words[1], &d, e) < 0)
        return -1;
    if ((on ? store_policy_assign : store_policy_unassign)(c->store, &c->actor, p.id, d.id, e) < 0)
        return -1;
    printf(on ? "\"%s\" now holds in %s.\n" : "\"%s\" no longer holds in %s.\n", p.name, d.name);
    return 0;
}

static int policy_assign(struct cli *c, int argc, char **argv, struct err *e) { return assign(c, argc, argv, true, e); }
static int policy_unassign(struct cli *c, int argc, char **argv, struct err *e)
{
    return assign(c, argc, argv, false, e);
}

int cli_policy(struct cli *c, int argc, char **argv, struct err *e)
{
    static const struct cli_verb verbs[] = {
        {"add", "SCOPE NAME [--priority N] [--locked on] [--default on]", "a named set of rules", policy_add},
        {"set", "SCOPE NAME [the options of add] [--name TEXT] [--enabled off]", "change what was given", policy_set},
        {"list", "[SCOPE]", "those of a scope (global unless said otherwise)", policy_list},
        {"assign", "NAME DOMAIN", "let a global policy hold in a domain", policy_assign},
        {"unassign", "NAME DOMAIN", "no longer", policy_unassign},
        {"delete", "SCOPE NAME [--yes]", "with its rules", policy_delete},
    };

    return cli_dispatch(c, "policy", verbs, COUNT(verbs), argc, argv, e);
}

/* ---- thresholds ---- */

static double *threshold_field(struct store_setting *s, struct span name)
{
    if (span_is(name, "reject"))
        return &s->reject;
    if (span_is(name, "add_header"))
        return &s->add_header;
    return span_is(name, "greylist") ? &s->greylist : NULL;
}

static int read_score(struct span text, double *out, struct err *e)
{
    char  z[32];
    char *end;

    if (span_is(text, "off")) {
        *out = THRESHOLD_OFF;
        return 0;
    }
    if (text.n > 0 && text.n < sizeof z) {
        memcpy(z, text.p, text.n);
        z[text.n] = 0;
        *out = strtod(z, &end);
        if (*end == 0 && isfinite(*out) && *out > 0 && *out <= THRESHOLD_OFF)
            return 0;
    }
    return err_set(e, ERR_INVALID, "\"%.*s\" is no threshold; it is a number above 0 and up to 999, or off",
                   SPAN_ARG(text));
}

static void print_threshold(const char *name, double holds, double own)
{
    printf("  %-11s ", name);
    if (holds >= THRESHOLD_OFF)
        fputs("off", stdout);
    else
        printf("%g", holds);
    puts(isnan(own) ? "  (inherited)" : "");
}

static int thresholds_show(struct cli *c, int argc, char **argv, struct err *e)
{
    const char               *text = "global";
    struct store_scope        scope;
    struct store_setting      own;
    struct store_domain_view  d;
    struct store_mailbox_view m;
    struct thresholds         t;

    if (args_read(argc, argv, NULL, 0, "[SCOPE]", 0, 1, &text, NULL, e) < 0 || cli_store(c, e) < 0 ||
        cli_parse_scope(c, span_of(text), &scope, e) < 0 || store_setting_get(c->store, scope, &own, e) < 0)
        return -1;
    if (scope.kind == SCOPE_MAILBOX) {
        if (store_mailbox_view(c->store, scope.id, &m, e) < 0)
            return -1;
        t = m.thresholds;
    } else {
        if (store_domain_view(c->store, scope.kind == SCOPE_DOMAIN ? &scope.id : NULL, &c->arena, &d, e) < 0)
            return -1;
        t = d.thresholds;
    }
    printf("%s: a score of at least\n", text);
    print_threshold("reject", t.reject, own.reject);
    print_threshold("add_header", t.add_header, own.add_header);
    print_threshold("greylist", t.greylist, own.greylist);
    return 0;
}

/* set: NAME=SCORE words; reset: NAME words, or none for all. */
static int thresholds_change(struct cli *c, int argc, char **argv, bool reset, struct err *e)
{
    const char          *words[4];
    size_t               n;
    struct store_scope   scope;
    struct store_setting s;

    if (args_read(argc, argv, NULL, 0,
                  reset ? "SCOPE [reject] [add_header] [greylist]" : "SCOPE reject=15 add_header=6 …", reset ? 1 : 2, 4,
                  words, &n, e) < 0 ||
        cli_store(c, e) < 0 || cli_parse_scope(c, span_of(words[0]), &scope, e) < 0 ||
        store_setting_get(c->store, scope, &s, e) < 0)
        return -1;
    if (reset && n == 1)
        s.reject = s.add_header = s.greylist = (double)NAN;
    for (size_t i = 1; i < n; i++) {
        struct span word = span_of(words[i]);
        size_t      equals = span_chr(word, '=');
        double     *field = threshold_field(&s, span_head(word, equals));

        if (field == NULL)
            return err_set(e, ERR_INVALID, "there is no threshold \"%.*s\"; there are reject, add_header and greylist",
                           SPAN_ARG(span_head(word, equals)));
        if (reset)
            *field = (double)NAN;
        else if (read_score(span_skip(word, equals + 1), field, e) < 0)
            return -1;
    }
    if (store_setting_set(c->store, &c->actor, scope, &s, e) < 0)
        return -1;
    return thresholds_show(c, 1, (char *[]){argv[0]}, e);
}

static int thresholds_set(struct cli *c, int argc, char **argv, struct err *e)
{
    return thresholds_change(c, argc, argv, false, e);
}
static int thresholds_reset(struct cli *c, int argc, char **argv, struct err *e)
{
    return thresholds_change(c, argc, argv, true, e);
}

int cli_thresholds(struct cli *c, int argc, char **argv, struct err *e)
{
    static const struct cli_verb verbs[] = {
        {"show", "[SCOPE]", "what holds, and what of it is inherited", thresholds_show},
        {"set", "SCOPE reject=15 add_header=6 greylist=4", "those that are given; off switches one off",
         thresholds_set},
        {"reset", "SCOPE [reject] [add_header] [greylist]", "inherit again", thresholds_reset},
    };

    return cli_dispatch(c, "thresholds", verbs, COUNT(verbs), argc, argv, e);
}
