/* cli/rule_export.c - postern rule export: JSON lines as import reads them, of one scope or of all. */
#include <stdio.h>

#include "base/utf8.h"
#include "cli.h"
#include "store/mailbox.h"

struct exporter {
    struct span  scope;
    struct arena arena;
    struct buf   line;
    struct err  *e;
    bool         failed;
};

static int export_rule(void *ctx, const struct store_rule *row)
{
    struct exporter *x = ctx;
    struct rule      r = {.id = row->id,
                          .name = row->name,
                          .note = row->note,
                          .action = row->action,
                          .flow = row->flow,
                          .priority = row->priority,
                          .enabled = row->enabled,
                          .require_proof = row->require_proof,
                          .test_only = row->test_only,
                          .expires_us = row->expires_us};

    arena_reset(&x->arena);
    if (rule_conditions_from_json(row->conditions, &x->arena, NULL, &r, x->e) < 0) {
        x->failed = true;
        return 1;
    }
    buf_clear(&x->line);
    buf_puts(&x->line, "{\"scope\":");
    json_put_string(&x->line, x->scope);
    buf_puts(&x->line, ",\"policy\":");
    json_put_string(&x->line, row->policy_name);
    buf_putc(&x->line, ',');
    fwrite(x->line.p, 1, x->line.n, stdout);
    buf_clear(&x->line);
    rule_put_json(&x->line, &r);
    fwrite(x->line.p + 1, 1, x->line.n - 1, stdout); /* behind its opening brace */
    putchar('\n');
    return 0;
}

static int export_scope(struct cli *c, struct store_scope scope, struct err *e)
{
    struct exporter x = {.e = e};
    int             rc;

    if (cli_scope_text(c, scope, &x.scope, e) < 0)
        return -1;
    arena_init(&x.arena, (size_t)64 << 20);
    buf_init(&x.line, RULE_JSON_MAX);
    rc = store_rule_list(c->store, scope, NULL, NULL, 0, export_rule, &x, e);
    buf_fini(&x.line);
    arena_fini(&x.arena);
    return x.failed ? -1 : rc;
}

/* The store is busy while it lists, so a page of scopes is gathered before their rules are read. */
struct scope_page {
    struct store_scope scopes[STORE_LIST_MAX];
    size_t             n;
    char               last[STORE_ADDRESS_MAX + 1]; /* the domain, or the local part, to go on behind */
};

static int take_domain(void *ctx, const struct store_domain *d)
{
    struct scope_page *p = ctx;

    p->scopes[p->n++] = store_scope_domain(d->id);
    snprintf(p->last, sizeof p->last, "%s", d->name);
    return 0;
}

static int take_mailbox(void *ctx, const struct store_mailbox *m)
{
    struct scope_page *p = ctx;

    p->scopes[p->n++] = store_scope_mailbox(m->id);
    snprintf(p->last, sizeof p->last, "%.*s", (int)span_rchr(span_of(m->address), '@'), m->address);
    return 0;
}

static int export_mailboxes(struct cli *c, struct uuid domain, struct err *e)
{
    struct scope_page p = {.n = STORE_LIST_MAX};

    for (bool first = true; p.n == STORE_LIST_MAX; first = false) {
        char after[sizeof p.last];

        memcpy(after, p.last, sizeof after);
        p.n = 0;
        if (store_mailbox_list(c->store, domain, first ? SPAN_NONE : span_of(after), STORE_LIST_MAX, take_mailbox, &p,
                               e) < 0)
            return -1;
        for (size_t i = 0; i < p.n; i++)
            if (export_scope(c, p.scopes[i], e) < 0)
                return -1;
    }
    return 0;
}

static int export_all(struct cli *c, struct err *e)
{
    struct scope_page p = {.n = STORE_LIST_MAX};

    if (export_scope(c, STORE_SCOPE_GLOBAL, e) < 0)
        return -1;
    for (bool first = true; p.n == STORE_LIST_MAX; first = false) {
        char after[sizeof p.last];

        memcpy(after, p.last, sizeof after);
        p.n = 0;
        if (store_domain_list(c->store, first ? SPAN_NONE : span_of(after), STORE_LIST_MAX, take_domain, &p, e) < 0)
            return -1;
        for (size_t i = 0; i < p.n; i++)
            if (export_scope(c, p.scopes[i], e) < 0 || export_mailboxes(c, p.scopes[i].id, e) < 0)
                return -1;
    }
    return 0;
}

int cli_rule_export(struct cli *c, int argc, char **argv, struct err *e)
{
    const char              *text = NULL;
    struct store_scope       scope;
    const struct args_option options[] = {
        {"scope", "SCOPE", .text = &text, .help = "whose; all unless said otherwise"}};

    if (args_read(argc, argv, options, COUNT(options), "", 0, 0, NULL, NULL, e) < 0 || cli_store(c, e) < 0)
        return -1;
    if (text == NULL)
        return export_all(c, e);
    return cli_parse_scope(c, span_of(text), &scope, e) < 0 ? -1 : export_scope(c, scope, e);
}
