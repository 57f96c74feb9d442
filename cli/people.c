/* cli/people.c - postern account, mailbox and address: who there is and where mail for them leads. */
#include <stdio.h>
#include <unistd.h>

#include "cli.h"
#include "mail/domain.h"
#include "store/account.h"
#include "store/address.h"
#include "store/credential.h"
#include "store/mailbox.h"

int cli_find_account(struct cli *c, const char *login, struct store_account *out, struct err *e)
{
    struct span full;

    if (cli_parse_address(c, login, &full, NULL, NULL, e) < 0)
        return -1;
    if (store_account_find(c->store, full, out, e) == 0)
        return 0;
    if (e->code == ERR_NOT_FOUND)
        return err_set(e, ERR_NOT_FOUND, "there is no account %s; \"postern account add %s\" adds it", login, login);
    return -1;
}

/* ---- accounts ---- */

struct account_options {
    const char      *name, *language, *zone, *role, *admin, *active;
    struct args_list owner, clerk, drop;
    bool             password_stdin;
};

#define ACCOUNT_OPTIONS(o)                                                                                             \
    {"name", "TEXT", .text = &(o).name, .help = "as shown"},                                                           \
        {"language", "TAG", .text = &(o).language, .help = "BCP 47: en, de"},                                          \
        {"zone", "ZONE", .text = &(o).zone, .help = "IANA time zone: Europe/Berlin"},                                  \
        {"role", "admin|user", .text = &(o).role,                                                                      \
         .help = "admin: the operator; roles in a domain are --owner, --clerk"},                                       \
        {"admin", "on|off", .text = &(o).admin, .help = "the same as --role admin, --role user"},                      \
        {"active", "on|off", .text = &(o).active, .help = "off: cannot sign in"},                                      \
        {"owner", "DOMAIN", .list = &(o).owner, .help = "administers this domain"},                                    \
        {"clerk", "DOMAIN", .list = &(o).clerk, .help = "works in this domain's quarantine"},                          \
        {"no-role", "DOMAIN", .list = &(o).drop, .help = "no role in this domain any more"},                           \
    {                                                                                                                  \
        "password-stdin", NULL, .on = &(o).password_stdin, .help = "read a password from standard input"               \
    }

static int copy_text(char *to, size_t max, const char *from, const char *what, struct err *e)
{
    if (from == NULL)
        return 0;
    if (strlen(from) >= max)
        return err_set(e, ERR_INVALID, "%s is longer than %zu bytes", what, max - 1);
    strcpy(to, from);
    return 0;
}

static int read_role(const char *role, bool *admin_out, struct err *e)
{
    *admin_out = strcmp(role, "admin") == 0;
    return *admin_out || strcmp(role, "user") == 0
               ? 0
               : err_set(e, ERR_INVALID, "--role is admin or user; --owner and --clerk give a role in a domain");
}

static int read_account(const struct account_options *o, struct store_account *a, struct err *e)
{
    if (copy_text(a->name, sizeof a->name, o->name, "--name", e) < 0 ||
        copy_text(a->language, sizeof a->language, o->language, "--language", e) < 0 ||
        copy_text(a->zone, sizeof a->zone, o->zone, "--zone", e) < 0)
        return -1;
    if (o->role != NULL && read_role(o->role, &a->admin, e) < 0)
        return -1;
    if (o->admin != NULL && cli_on_off(o->admin, "--admin", &a->admin, e) < 0)
        return -1;
    return o->active != NULL ? cli_on_off(o->active, "--active", &a->active, e) : 0;
}

static int write_roles(struct cli *c, const struct args_list *domains, struct uuid account, enum role role,
                       struct err *e)
{
    struct store_domain d;

    for (size_t i = 0; i < domains->n; i++)
        if (cli_find_domain(c, domains->items[i], &d, e) < 0 ||
            store_role_set(c->store, &c->actor, account, d.id, role, e) < 0)
            return -1;
    return 0;
}

static int read_password(struct cli *c, struct uuid account, struct err *e)
{
    char   line[PASSWORD_LENGTH_MAX + 4];
    size_t n;
    int    rc;

    if (isatty(STDIN_FILENO))
        fputs("Password (it is shown as you type): ", stderr);
    if (fgets(line, sizeof line, stdin) == NULL)
        return err_set(e, ERR_INVALID, "no password on standard input");
    n = strcspn(line, "\r\n");
    rc = store_password_set(c->store, &c->actor, account, span_make(line, n), e);
    explicit_bzero(line, sizeof line);
    return rc;
}

static int write_account(struct cli *c, const struct account_options *o, struct uuid id, struct err *e)
{
    if (write_roles(c, &o->drop, id, ROLE_USER, e) < 0 || write_roles(c, &o->clerk, id, ROLE_CLERK, e) < 0 ||
        write_roles(c, &o->owner, id, ROLE_OWNER, e) < 0)
        return -1;
    return o->password_stdin ? read_password(c, id, e) : 0;
}

static int account_add(struct cli *c, int argc, char **argv, struct err *e)
{
    struct account_options   o = {0};
    struct store_account     a = {.active = true};
    const char              *login;
    struct span              full;
    struct uuid              id;
    const struct args_option options[] = {ACCOUNT_OPTIONS(o)};

    if (args_read(argc, argv, options, COUNT(options), "ADDRESS", 1, 1, &login, NULL, e) < 0 ||
        read_account(&o, &a, e) < 0 || cli_parse_address(c, login, &full, NULL, NULL, e) < 0 || cli_store(c, e) < 0)
        return -1;
    if (full.n > STORE_ADDRESS_MAX)
        return err_set(e, ERR_INVALID, "the address is longer than %d bytes", STORE_ADDRESS_MAX);
    memcpy(a.login, full.p, full.n);
    if (store_begin(c->store, e) < 0)
        return -1;
    if (store_account_add(c->store, &c->actor, &a, &id, e) < 0 || write_account(c, &o, id, e) < 0 ||
        store_commit(c->store, e) < 0) {
        store_rollback(c->store);
        return -1;
    }
    printf("Account %s added.\n", a.login);
    return 0;
}

static int account_set(struct cli *c, int argc, char **argv, struct err *e)
{
    struct account_options   o = {0};
    struct store_account     a;
    const char              *login;
    const struct args_option options[] = {ACCOUNT_OPTIONS(o)};

    if (args_read(argc, argv, options, COUNT(options), "ADDRESS", 1, 1, &login, NULL, e) < 0 || cli_store(c, e) < 0 ||
        cli_find_account(c, login, &a, e) < 0 || read_account(&o, &a, e) < 0 || store_begin(c->store, e) < 0)
        return -1;
    if (store_account_set(c->store, &c->actor, &a, e) < 0 || write_account(c, &o, a.id, e) < 0 ||
        store_commit(c->store, e) < 0) {
        store_rollback(c->store);
        return -1;
    }
    printf("Account %s changed.\n", a.login);
    return 0;
}

/* A page of a list: how far it came. */
struct page {
    char   last[STORE_ADDRESS_MAX + 1];
    size_t n;
};

static int print_account(void *ctx, const struct store_account *a)
{
    struct page *p = ctx;

    snprintf(p->last, sizeof p->last, "%s", a->login);
    p->n++;
    printf("%-40s %-6s %-8s ", a->login, a->admin ? "admin" : "", a->active ? "active" : "disabled");
    cli_print(span_of(a->name));
    putchar('\n');
    return 0;
}

static int account_list(struct cli *c, int argc, char **argv, struct err *e)
{
    char after[STORE_ADDRESS_MAX + 1] = "";

    if (args_read(argc, argv, NULL, 0, "", 0, 0, NULL, NULL, e) < 0 || cli_store(c, e) < 0)
        return -1;
    for (;;) {
        struct page p = {.n = 0};

        if (store_account_list(c->store, after[0] != 0 ? span_of(after) : SPAN_NONE, STORE_LIST_MAX, print_account, &p,
                               e) < 0)
            return -1;
        if (p.n < STORE_LIST_MAX)
            return 0;
        strcpy(after, p.last);
    }
}

static int print_role(void *ctx, const struct uuid *account, const struct uuid *domain, struct span domain_name,
                      enum role role)
{
    (void)ctx;
    (void)account;
    (void)domain;
    printf("  %-10s of %.*s\n", role_words[role], SPAN_ARG(domain_name));
    return 0;
}

static int print_own(void *ctx, const struct store_mailbox *m)
{
    (void)ctx;
    printf("  mailbox    %s%s\n", m->address, m->enabled ? "" : " (disabled)");
    return 0;
}

static int account_show(struct cli *c, int argc, char **argv, struct err *e)
{
    struct store_account a;
    const char          *login;

    if (args_read(argc, argv, NULL, 0, "ADDRESS", 1, 1, &login, NULL, e) < 0 || cli_store(c, e) < 0 ||
        cli_find_account(c, login, &a, e) < 0)
        return -1;
    printf("%s: %s%s\n  name       ", a.login, a.admin ? "admin, " : "", a.active ? "active" : "disabled");
    cli_print(span_of(a.name));
    printf("\n  language   %s\n  zone       %s\n", a.language, a.zone);
    if (store_role_list(c->store, a.id, print_role, NULL, e) < 0)
        return -1;
    return store_mailbox_of_account(c->store, a.id, print_own, NULL, e);
}

static int account_delete(struct cli *c, int argc, char **argv, struct err *e)
{
    struct store_account     a;
    const char              *login;
    bool                     yes = false;
    char                     what[STORE_ADDRESS_MAX + 100];
    const struct args_option options[] = {{"yes", NULL, .on = &yes, .help = "do not ask"}};

    if (args_read(argc, argv, options, COUNT(options), "ADDRESS", 1, 1, &login, NULL, e) < 0 || cli_store(c, e) < 0 ||
        cli_find_account(c, login, &a, e) < 0)
        return -1;
    snprintf(what, sizeof what, "delete the account %s; its mailboxes stay, without a person", a.login);
    if (cli_confirm(yes, what, e) < 0 || store_account_delete(c->store, &c->actor, a.id, e) < 0)
        return -1;
    printf("Account %s deleted.\n", a.login);
    return 0;
}

int cli_account(struct cli *c, int argc, char **argv, struct err *e)
{
    static const struct cli_verb verbs[] = {
        {"add", "ADDRESS [--name TEXT] [--owner DOMAIN] [--admin on] [--password-stdin]", "a person who signs in",
         account_add},
        {"set", "ADDRESS [the options of add] [--no-role DOMAIN] [--active off]", "change what was given", account_set},
        {"list", "", "all accounts", account_list},
        {"show", "ADDRESS", "one account, with its roles and mailboxes", account_show},
        {"delete", "ADDRESS [--yes]", "mailboxes stay", account_delete},
    };

    return cli_dispatch(c, "account", verbs, COUNT(verbs), argc, argv, e);
}

/* ---- mailboxes ---- */

static int split_ours(struct cli *c, const char *text, struct span *full, struct span *local, struct store_domain *d,
                      struct err *e)
{
    struct span domain;
    char       *name;

    if (cli_parse_address(c, text, full, local, &domain, e) < 0 || (name = arena_str(&c->arena, domain)) == NULL)
        return -1;
    return cli_find_domain(c, name, d, e);
}

static int mailbox_add(struct cli *c, int argc, char **argv, struct err *e)
{
    struct store_domain      d;
    struct store_account     a;
    const char              *text, *login = NULL;
    struct span              full, local;
    struct uuid              id;
    const struct args_option options[] = {{"account", "ADDRESS", .text = &login, .help = "whose it is"}};

    if (args_read(argc, argv, options, COUNT(options), "ADDRESS", 1, 1, &text, NULL, e) < 0 || cli_store(c, e) < 0 ||
        split_ours(c, text, &full, &local, &d, e) < 0 || (login != NULL && cli_find_account(c, login, &a, e) < 0) ||
        store_mailbox_add(c->store, &c->actor, d.id, local, login != NULL ? &a.id : NULL, &id, e) < 0)
        return -1;
    printf("Mailbox %.*s added.\n", SPAN_ARG(full));
    return 0;
}

static int mailbox_find(struct cli *c, const char *text, struct store_mailbox *m, struct err *e)
{
    struct span full;

    if (cli_parse_address(c, text, &full, NULL, NULL, e) < 0)
        return -1;
    if (store_mailbox_find(c->store, full, m, e) == 0)
        return 0;
    return e->code == ERR_NOT_FOUND ? err_set(e, ERR_NOT_FOUND, "there is no mailbox %s", text) : -1;
}

static int mailbox_set(struct cli *c, int argc, char **argv, struct err *e)
{
    struct store_mailbox     m;
    struct store_account     a;
    const char              *text, *login = NULL, *enabled = NULL;
    const struct args_option options[] = {
        {"account", "ADDRESS|none", .text = &login, .help = "whose it is"},
        {"enabled", "on|off", .text = &enabled, .help = "off: judged by the domain's rules alone"},
    };

    if (args_read(argc, argv, options, COUNT(options), "ADDRESS", 1, 1, &text, NULL, e) < 0 || cli_store(c, e) < 0 ||
        mailbox_find(c, text, &m, e) < 0 || (enabled != NULL && cli_on_off(enabled, "--enabled", &m.enabled, e) < 0))
        return -1;
    if (login != NULL) {
        m.has_account = strcmp(login, "none") != 0;
        if (m.has_account) {
            if (cli_find_account(c, login, &a, e) < 0)
                return -1;
            m.account = a.id;
        }
    }
    if (store_mailbox_set(c->store, &c->actor, &m, e) < 0)
        return -1;
    printf("Mailbox %s changed.\n", m.address);
    return 0;
}

static int print_mailbox(void *ctx, const struct store_mailbox *m)
{
    struct page *p = ctx;

    snprintf(p->last, sizeof p->last, "%.*s", (int)span_rchr(span_of(m->address), '@'), m->address);
    p->n++;
    printf("%-48s %s%s\n", m->address, m->enabled ? "enabled" : "disabled", m->has_account ? "" : ", without a person");
    return 0;
}

static int mailbox_list(struct cli *c, int argc, char **argv, struct err *e)
{
    struct store_domain d;
    const char         *name;
    char                after[STORE_ADDRESS_MAX + 1] = "";

    if (args_read(argc, argv, NULL, 0, "DOMAIN", 1, 1, &name, NULL, e) < 0 || cli_store(c, e) < 0 ||
        cli_find_domain(c, name, &d, e) < 0)
        return -1;
    for (;;) {
        struct page p = {.n = 0};

        if (store_mailbox_list(c->store, d.id, after[0] != 0 ? span_of(after) : SPAN_NONE, STORE_LIST_MAX,
                               print_mailbox, &p, e) < 0)
            return -1;
        if (p.n < STORE_LIST_MAX)
            return 0;
        strcpy(after, p.last);
    }
}

static int mailbox_delete(struct cli *c, int argc, char **argv, struct err *e)
{
    struct store_mailbox     m;
    const char              *text;
    bool                     yes = false;
    char                     what[STORE_ADDRESS_MAX + 100];
    const struct args_option options[] = {{"yes", NULL, .on = &yes, .help = "do not ask"}};

    if (args_read(argc, argv, options, COUNT(options), "ADDRESS", 1, 1, &text, NULL, e) < 0 || cli_store(c, e) < 0 ||
        mailbox_find(c, text, &m, e) < 0)
        return -1;
    snprintf(what, sizeof what, "delete the mailbox %s with its rules and learned senders", m.address);
    if (cli_confirm(yes, what, e) < 0 || store_mailbox_delete(c->store, &c->actor, m.id, e) < 0)
        return -1;
    printf("Mailbox %s deleted.\n", m.address);
    return 0;
}

int cli_mailbox(struct cli *c, int argc, char **argv, struct err *e)
{
    static const struct cli_verb verbs[] = {
        {"add", "ADDRESS [--account ADDRESS]", "an address with rules of its own", mailbox_add},
        {"set", "ADDRESS [--account ADDRESS|none] [--enabled on|off]", "change what was given", mailbox_set},
        {"list", "DOMAIN", "all mailboxes of a domain", mailbox_list},
        {"delete", "ADDRESS [--yes]", "with its rules and learned senders", mailbox_delete},
    };

    return cli_dispatch(c, "mailbox", verbs, COUNT(verbs), argc, argv, e);
}

/* ---- other addresses ---- */

static int address_add(struct cli *c, int argc, char **argv, struct err *e)
{
    struct args_list         to = {.n = 0};
    const char              *text, *kind_text = "alias";
    struct span              full, local, targets[ARGS_MANY];
    struct store_domain      d;
    struct uuid              id;
    int                      kind;
    bool                     catchall;
    const struct args_option options[] = {
        {"to", "ADDRESS", .list = &to, .help = "a target"},
        {"kind", "alias|list|catchall|sender|group", .text = &kind_text, .help = "alias unless said otherwise"},
    };

    if (args_read(argc, argv, options, COUNT(options), "ADDRESS (@DOMAIN for a catch-all)", 1, 1, &text, NULL, e) < 0 ||
        cli_store(c, e) < 0)
        return -1;
    catchall = text[0] == '@';
    if (catchall) {
        kind = ADDRESS_CATCHALL;
        full = span_of(text);
        local = SPAN_NONE;
        if (cli_find_domain(c, text + 1, &d, e) < 0)
            return -1;
    } else if (cli_word_index(address_kind_words, kind_text, "--kind", &kind, e) < 0 ||
               split_ours(c, text, &full, &local, &d, e) < 0) {
        return -1;
    }
    if (kind == ADDRESS_MAILBOX || (kind == ADDRESS_CATCHALL && !catchall))
        return err_set(e, ERR_INVALID,
                       kind == ADDRESS_MAILBOX ? "a mailbox is made by: postern mailbox add"
                                               : "a catch-all is written @DOMAIN");
    for (size_t i = 0; i < to.n; i++)
        if (cli_parse_address(c, to.items[i], &targets[i], NULL, NULL, e) < 0)
            return -1;
    if (to.n == 0 && kind != ADDRESS_SENDER)
        return err_set(e, ERR_USAGE, "where does it lead? --to ADDRESS");
    if (store_address_add(c->store, &c->actor, d.id, local, (enum address_kind)kind, targets, to.n, &id, e) < 0)
        return -1;
    printf("%s %.*s added.\n", address_kind_words[kind], SPAN_ARG(full));
    return 0;
}

static int print_address(void *ctx, const struct store_address *a)
{
    struct page *p = ctx;
    struct span  rest = a->targets, target;

    snprintf(p->last, sizeof p->last, "%.*s", SPAN_ARG(a->local));
    p->n++;
    printf("%-9s ", address_kind_words[a->kind]);
    cli_print(a->local);
    putchar('@');
    cli_print(a->domain_name);
    for (bool first = true; span_line(&rest, &target); first = false) {
        fputs(first ? " -> " : ", ", stdout);
        cli_print(target);
    }
    putchar('\n');
    return 0;
}

static int address_list(struct cli *c, int argc, char **argv, struct err *e)
{
    struct store_domain d;
    const char         *name;
    char                after[STORE_ADDRESS_MAX + 1] = "";
    bool                first = true;

    if (args_read(argc, argv, NULL, 0, "DOMAIN", 1, 1, &name, NULL, e) < 0 || cli_store(c, e) < 0 ||
        cli_find_domain(c, name, &d, e) < 0)
        return -1;
    for (;; first = false) {
        struct page p = {.n = 0};

        if (store_address_list(c->store, d.id, first ? SPAN_NONE : span_of(after), STORE_LIST_MAX, print_address, &p,
                               e) < 0)
            return -1;
        if (p.n < STORE_LIST_MAX)
            return 0;
        strcpy(after, p.last);
    }
}

static int address_delete(struct cli *c, int argc, char **argv, struct err *e)
{
    struct store_address a;
    const char          *text;
    struct span          full;

    if (args_read(argc, argv, NULL, 0, "ADDRESS", 1, 1, &text, NULL, e) < 0 || cli_store(c, e) < 0)
        return -1;
    if (text[0] == '@') { /* a catch-all */
        if (domain_normalise(span_of(text + 1), &c->arena, &full, e) < 0)
            return -1;
        full = arena_printf(&c->arena, "@%.*s", SPAN_ARG(full));
    } else if (cli_parse_address(c, text, &full, NULL, NULL, e) < 0) {
        return -1;
    }
    if (store_address_find(c->store, full, &c->arena, &a, e) < 0 ||
        store_address_delete(c->store, &c->actor, a.id, e) < 0)
        return -1;
    printf("Address %s deleted.\n", text);
    return 0;
}

static int address_resolve(struct cli *c, int argc, char **argv, struct err *e)
{
    struct store_resolved r;
    const char           *text;
    struct span           full;

    if (args_read(argc, argv, NULL, 0, "ADDRESS", 1, 1, &text, NULL, e) < 0 || cli_store(c, e) < 0 ||
        cli_parse_address(c, text, &full, NULL, NULL, e) < 0 || store_resolve(c->store, full, &r, e) < 0)
        return -1;
    if (!r.ours)
        printf("%.*s: not an address of ours\n", SPAN_ARG(full));
    else if (r.has_mailbox)
        printf("%.*s: the mailbox %s%s\n", SPAN_ARG(full), r.mailbox_address,
               r.special ? " (locked global rules only)" : "");
    else
        printf("%.*s: the rules of %s alone%s\n", SPAN_ARG(full), r.domain_name,
               r.known ? "" : "; no such address is known");
    return 0;
}

int cli_address(struct cli *c, int argc, char **argv, struct err *e)
{
    static const struct cli_verb verbs[] = {
        {"add", "ADDRESS --to ADDRESS … [--kind alias|list|sender|group]   (@DOMAIN --to ADDRESS: a catch-all)",
         "an address that leads elsewhere", address_add},
        {"list", "DOMAIN", "all addresses of a domain", address_list},
        {"delete", "ADDRESS", "not a mailbox", address_delete},
        {"resolve", "ADDRESS", "whose rules judge mail for it", address_resolve},
    };

    return cli_dispatch(c, "address", verbs, COUNT(verbs), argc, argv, e);
}
