/* cli/domain.c - postern domain: add, set, list, show, delete, alias. */
#include <math.h>
#include <stdio.h>

#include "base/fd.h"
#include "cli.h"
#include "mail/address.h"
#include "net/smtp_client.h"
#include "store/domain_admin.h"

/* What both add and set take. NULL: not given. */
struct domain_options {
    const char *kind, *state, *delimiter, *route;
    const char *at_block, *at_reject, *at_add_header, *retention_days, *held_max, *mailbox_held_max, *copies;
    const char *greylisting, *regex_role, *mailbox_thresholds, *rules_max, *mailbox_rules_max;
    const char *admin;
};

#define DOMAIN_OPTIONS(o)                                                                                              \
    {"kind", "local|relay|sdr", .text = &(o).kind, .help = "where its mailboxes are"},                                 \
        {"state", "active|pending|disabled", .text = &(o).state, .help = "disabled: its mail is not judged"},          \
        {"delimiter", "CHAR|off", .text = &(o).delimiter, .help = "between a mailbox and its +tag"},                   \
        {"route", "URL", .text = &(o).route,                                                                           \
         .help = "its own mail server, smtp://HOST:PORT; empty: as all mail goes"},                                    \
        {"at-block", "reject|quarantine|discard|tag", .text = &(o).at_block, .help = "what a block does"},             \
        {"at-reject", "reject|quarantine|discard|tag", .text = &(o).at_reject,                                         \
         .help = "what happens to a score from the threshold reject on"},                                              \
        {"at-add-header", "tag|quarantine|discard|reject", .text = &(o).at_add_header,                                 \
         .help = "what happens to a score from the threshold add_header on"},                                          \
        {"retention-days", "N", .text = &(o).retention_days, .help = "how long held mail is kept"},                    \
        {"held-max", "SIZE", .text = &(o).held_max, .help = "bytes held for the domain; 0: no limit"},                 \
        {"mailbox-held-max", "SIZE", .text = &(o).mailbox_held_max, .help = "and for each mailbox"},                   \
        {"copies", "on|off", .text = &(o).copies,                                                                      \
         .help = "keep what is delivered for [copies] delivered_hours, so that reports of it can be learnt"},          \
        {"greylisting", "on|off", .text = &(o).greylisting,                                                            \
         .help = "defer once what scores from the greylist threshold; without a scanner, what no rule knows"},         \
        {"regex-role", "user|clerk|owner|admin", .text = &(o).regex_role,                                              \
         .help = "who may write regular expressions"},                                                                 \
        {"mailbox-thresholds", "on|off", .text = &(o).mailbox_thresholds, .help = "may mailboxes have their own"},     \
        {"admin", "ADDRESS|off", .text = &(o).admin, .help = "owns the domain, and gets its digest without asking"},   \
        {"rules-max", "N", .text = &(o).rules_max, .help = "rules of the domain"},                                     \
    {                                                                                                                  \
        "mailbox-rules-max", "N", .text = &(o).mailbox_rules_max, .help = "rules of each of its mailboxes"             \
    }

/* Empty: where all mail goes. */
static int read_route(const char *text, struct store_domain *d, struct err *e)
{
    if (text[0] != '\0' && smtp_client_check(text, e) < 0)
        return err_wrap(e, "--route");
    if ((size_t)snprintf(d->route, sizeof d->route, "%s", text) >= sizeof d->route)
        return err_set(e, ERR_INVALID, "--route is longer than %zu bytes", sizeof d->route - 1);
    return 0;
}

static int read_row(const struct domain_options *o, struct store_domain *d, struct err *e)
{
    int word;

    if (o->kind != NULL) {
        if (cli_word_index(domain_kind_words, o->kind, "--kind", &word, e) < 0)
            return -1;
        d->kind = (enum domain_kind)word;
    }
    if (o->state != NULL) {
        if (cli_word_index(domain_state_words, o->state, "--state", &word, e) < 0)
            return -1;
        d->state = (enum domain_state)word;
    }
    if (o->delimiter != NULL) {
        bool off = strcmp(o->delimiter, "off") == 0;

        if (!off && (strlen(o->delimiter) != 1 || strchr("+-_.=#", o->delimiter[0]) == NULL))
            return err_set(e, ERR_INVALID, "--delimiter is one of + - _ . = # or off");
        d->delimiter = off ? 0 : o->delimiter[0];
    }
    return o->route != NULL ? read_route(o->route, d, e) : 0;
}

static int read_switch(const char *text, const char *what, int *out, struct err *e)
{
    bool on;

    if (text == NULL)
        return 0;
    if (cli_on_off(text, what, &on, e) < 0)
        return -1;
    *out = on;
    return 0;
}

static bool any_setting(const struct domain_options *o)
{
    return o->at_block || o->at_reject || o->at_add_header || o->retention_days || o->held_max || o->mailbox_held_max ||
           o->copies || o->greylisting || o->regex_role || o->mailbox_thresholds || o->rules_max ||
           o->mailbox_rules_max;
}

static int write_settings(struct cli *c, const struct domain_options *o, struct uuid id, struct err *e)
{
    struct store_setting s;

    if (!any_setting(o))
        return 0;
    if (store_setting_get(c->store, store_scope_domain(id), &s, e) < 0)
        return -1;
    if ((o->at_block && cli_word_index(disposition_words, o->at_block, "--at-block", &s.at_block, e) < 0) ||
        (o->at_reject && cli_word_index(disposition_words, o->at_reject, "--at-reject", &s.at_reject, e) < 0) ||
        (o->at_add_header &&
         cli_word_index(disposition_words, o->at_add_header, "--at-add-header", &s.at_add_header, e) < 0) ||
        (o->retention_days && cli_number(o->retention_days, "--retention-days", 1, 3650, &s.retention_days, e) < 0) ||
        (o->held_max && cli_size(o->held_max, "--held-max", &s.held_max, e) < 0) ||
        (o->mailbox_held_max && cli_size(o->mailbox_held_max, "--mailbox-held-max", &s.mailbox_held_max, e) < 0) ||
        (o->regex_role && cli_word_index(role_words, o->regex_role, "--regex-role", &s.regex_role, e) < 0) ||
        read_switch(o->copies, "--copies", &s.copies, e) < 0 ||
        read_switch(o->greylisting, "--greylisting", &s.greylisting, e) < 0 ||
        read_switch(o->mailbox_thresholds, "--mailbox-thresholds", &s.mailbox_thresholds, e) < 0 ||
        (o->rules_max && cli_number(o->rules_max, "--rules-max", 0, 100000000, &s.rules_max, e) < 0) ||
        (o->mailbox_rules_max &&
         cli_number(o->mailbox_rules_max, "--mailbox-rules-max", 0, 100000000, &s.mailbox_rules_max, e) < 0))
        return -1;
    return store_setting_set(c->store, &c->actor, store_scope_domain(id), &s, e);
}

static int name_admin(struct cli *c, const char *text, struct uuid id, struct err *e)
{
    struct span full;

    if (text == NULL)
        return 0;
    if (strcmp(text, "off") == 0)
        return store_domain_admin_clear(c->store, &c->actor, id, e);
    return cli_parse_address(c, text, &full, NULL, NULL, e) < 0
               ? -1
               : store_domain_admin_set(c->store, &c->actor, id, full, "", e);
}

static int domain_add(struct cli *c, int argc, char **argv, struct err *e)
{
    struct domain_options    o = {0};
    struct store_domain      d = {.state = DOMAIN_ACTIVE, .delimiter = '+'};
    const char              *name;
    struct span              normal;
    struct uuid              id;
    const struct args_option options[] = {DOMAIN_OPTIONS(o)};

    if (args_read(argc, argv, options, COUNT(options), "NAME", 1, 1, &name, NULL, e) < 0 || read_row(&o, &d, e) < 0 ||
        domain_normalise(span_of(name), &c->arena, &normal, e) < 0 || cli_store(c, e) < 0)
        return -1;
    memcpy(d.name, normal.p, normal.n);
    if (store_begin(c->store, e) < 0)
        return -1;
    if (store_domain_add(c->store, &c->actor, &d, &id, e) < 0 || write_settings(c, &o, id, e) < 0 ||
        name_admin(c, o.admin, id, e) < 0 || store_commit(c->store, e) < 0) {
        store_rollback(c->store);
        return -1;
    }
    printf("Domain %s added.\n", d.name);
    return 0;
}

/* A name a line, all or none. */
static int import_names(struct cli *c, struct span text, struct err *e)
{
    struct span line, normal;
    struct uuid id;
    size_t      number = 0, added = 0;

    if (store_begin(c->store, e) < 0)
        return -1;
    while (span_line(&text, &line)) {
        struct store_domain d = {.state = DOMAIN_ACTIVE, .delimiter = '+'};

        number++;
        line = span_trim(line);
        if (line.n == 0 || line.p[0] == '#')
            continue;
        if (domain_normalise(line, &c->arena, &normal, e) < 0)
            return err_wrap(e, "line %zu", number);
        memcpy(d.name, normal.p, normal.n);
        if (store_domain_add(c->store, &c->actor, &d, &id, e) < 0)
            return err_wrap(e, "line %zu", number);
        added++;
    }
    if (store_commit(c->store, e) < 0)
        return -1;
    printf("%zu domains added.\n", added);
    return 0;
}

static int domain_import(struct cli *c, int argc, char **argv, struct err *e)
{
    const char *file;
    struct buf  text;
    int         rc = -1;

    buf_init(&text, 256 << 20);
    if (args_read(argc, argv, NULL, 0, "FILE (- for standard input)", 1, 1, &file, NULL, e) == 0 &&
        cli_store(c, e) == 0 && fd_read_file(file, 256 << 20, &text, e) == 0 &&
        (rc = import_names(c, buf_span(&text), e)) < 0)
        store_rollback(c->store);
    buf_fini(&text);
    return rc;
}

static int domain_set(struct cli *c, int argc, char **argv, struct err *e)
{
    struct domain_options    o = {0};
    struct store_domain      d;
    const char              *name;
    const struct args_option options[] = {DOMAIN_OPTIONS(o)};

    if (args_read(argc, argv, options, COUNT(options), "NAME", 1, 1, &name, NULL, e) < 0 || cli_store(c, e) < 0 ||
        cli_find_domain(c, name, &d, e) < 0 || read_row(&o, &d, e) < 0 || store_begin(c->store, e) < 0)
        return -1;
    if (store_domain_set(c->store, &c->actor, &d, e) < 0 || write_settings(c, &o, d.id, e) < 0 ||
        name_admin(c, o.admin, d.id, e) < 0 || store_commit(c->store, e) < 0) {
        store_rollback(c->store);
        return -1;
    }
    printf("Domain %s changed.\n", d.name);
    return 0;
}

static int print_domain(void *ctx, const struct store_domain *d)
{
    struct span *last = ctx;
    size_t       n = strlen(d->name);

    memcpy((char *)last->p, d->name, n);
    last->n = n;
    printf("%-40s %-6s %s\n", d->name, domain_kind_words[d->kind], domain_state_words[d->state]);
    return 0;
}

static int domain_list(struct cli *c, int argc, char **argv, struct err *e)
{
    char        name[STORE_DOMAIN_MAX + 1] = "";
    struct span last = {name, 0};

    if (args_read(argc, argv, NULL, 0, "", 0, 0, NULL, NULL, e) < 0 || cli_store(c, e) < 0)
        return -1;
    for (;;) {
        char        from[STORE_DOMAIN_MAX + 1];
        struct span after = {from, last.n};

        memcpy(from, name, last.n);
        if (store_domain_list(c->store, after.n > 0 ? after : SPAN_NONE, STORE_LIST_MAX, print_domain, &last, e) < 0)
            return -1;
        if (span_eq(after, last))
            return 0;
    }
}

static int print_alias(void *ctx, struct span name, const struct uuid *domain)
{
    (void)ctx;
    (void)domain;
    printf("  also known as       %.*s\n", SPAN_ARG(name));
    return 0;
}

static int print_admin(struct cli *c, struct uuid domain, struct err *e)
{
    struct store_account a;
    int                  rc = store_domain_admin(c->store, domain, &a, e);

    if (rc > 0)
        printf("  admin address       %s\n", a.login);
    return rc < 0 ? -1 : 0;
}

static int domain_show(struct cli *c, int argc, char **argv, struct err *e)
{
    struct store_domain_view v;
    struct store_domain      d;
    const char              *name;

    if (args_read(argc, argv, NULL, 0, "NAME", 1, 1, &name, NULL, e) < 0 || cli_store(c, e) < 0 ||
        cli_find_domain(c, name, &d, e) < 0 || store_domain_view(c->store, &d.id, &c->arena, &v, e) < 0)
        return -1;
    printf("%s: %s, %s\n", d.name, domain_kind_words[d.kind], domain_state_words[d.state]);
    printf("  delimiter           %s%.1s\n", d.delimiter == 0 ? "off" : "", (char[2]){d.delimiter, 0});
    printf("  thresholds          reject %g, add_header %g, greylist %g\n", v.thresholds.reject,
           v.thresholds.add_header, v.thresholds.greylist);
    printf("  a block             %s\n", action_word(v.dispositions.at_block));
    printf("  at reject           %s\n", action_word(v.dispositions.at_reject));
    printf("  at add_header       %s\n", action_word(v.dispositions.at_add_header));
    if (v.retention_days > 0)
        printf("  held mail           %lld days\n", (long long)v.retention_days);
    if (v.held_max > 0 || v.mailbox_held_max > 0)
        printf("  held at most        %lld bytes, %lld a mailbox (0: no limit)\n", (long long)v.held_max,
               (long long)v.mailbox_held_max);
    printf("  copies of delivered %s\n", !v.copies ? "none"
                                         : c->settings->copies.delivered_hours == 0
                                             ? "on, but [copies] delivered_hours is 0"
                                             : "kept, to learn from reports");
    printf("  greylisting         %s\n", v.greylisting ? "on" : "off");
    printf("  regex-role          %s\n", role_words[v.regex_role]);
    printf("  mailbox thresholds  %s\n", v.mailbox_thresholds ? "on" : "off");
    printf("  rules               at most %lld, and %lld a mailbox\n", (long long)v.rules_max,
           (long long)v.mailbox_rules_max);
    printf("  global policies     %zu assigned\n", v.nassigned);
    if (print_admin(c, d.id, e) < 0)
        return -1;
    return store_domain_alias_list(c->store, d.id, print_alias, NULL, e);
}

static int domain_delete(struct cli *c, int argc, char **argv, struct err *e)
{
    struct store_domain      d;
    const char              *name;
    bool                     yes = false;
    char                     what[400];
    const struct args_option options[] = {{"yes", NULL, .on = &yes, .help = "do not ask"}};

    if (args_read(argc, argv, options, COUNT(options), "NAME", 1, 1, &name, NULL, e) < 0 || cli_store(c, e) < 0 ||
        cli_find_domain(c, name, &d, e) < 0)
        return -1;
    snprintf(what, sizeof what, "delete the domain %s with its mailboxes, addresses and rules", d.name);
    if (cli_confirm(yes, what, e) < 0 || store_domain_delete(c->store, &c->actor, d.id, e) < 0)
        return -1;
    printf("Domain %s deleted.\n", d.name);
    return 0;
}

static int domain_alias(struct cli *c, int argc, char **argv, struct err *e)
{
    struct store_domain      d;
    const char              *names[2];
    struct span              normal;
    bool                     remove = false;
    const struct args_option options[] = {{"delete", NULL, .on = &remove, .help = "take the other name away"}};

    if (args_read(argc, argv, options, COUNT(options), "NAME OTHER-NAME", 2, 2, names, NULL, e) < 0 ||
        cli_store(c, e) < 0 || cli_find_domain(c, names[0], &d, e) < 0 ||
        domain_normalise(span_of(names[1]), &c->arena, &normal, e) < 0)
        return -1;
    if (remove)
        return store_domain_alias_delete(c->store, &c->actor, normal, e);
    if (store_domain_alias_add(c->store, &c->actor, d.id, normal, e) < 0)
        return -1;
    printf("%.*s is now another name of %s.\n", SPAN_ARG(normal), d.name);
    return 0;
}

int cli_domain(struct cli *c, int argc, char **argv, struct err *e)
{
    static const struct cli_verb verbs[] = {
        {"add", "NAME [--kind local|relay|sdr] [--delimiter +] [--at-block …] [--greylisting on] …",
         "filter a domain's mail", domain_add},
        {"set", "NAME [the options of add] [--state active|disabled]", "change what was given", domain_set},
        {"import", "FILE", "a name a line, all or none", domain_import},
        {"list", "", "all domains", domain_list},
        {"show", "NAME", "what holds in a domain, inherited values included", domain_show},
        {"alias", "NAME OTHER-NAME [--delete]", "another name of the same domain", domain_alias},
        {"delete", "NAME [--yes]", "with its mailboxes, addresses and rules", domain_delete},
    };

    return cli_dispatch(c, "domain", verbs, COUNT(verbs), argc, argv, e);
}
