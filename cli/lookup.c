/* cli/lookup.c - postern lookup: what the other programs are told, the lines that they need, and what they cannot be told. */
#include <stdio.h>

#include "cli.h"
#include "store/lookup.h"
#include "store/mailbox.h"

static bool on_sqlite(const struct cli *c) { return span_starts(span_of(c->settings->store.url), SPAN("sqlite:")); }

/* ---- SpamAssassin ---- */

/* SQL text differs where a tag is cut off: anna+list@ours.example reads what anna@ours.example reads. Whose address nobody knows reads
 * what the catch-all does, @ours.example; apart, or SQLite would look at every row. */
#define TAG_SQLITE "lower(substr(_MAILBOX_, 1, instr(_MAILBOX_ || '+', '+') - 1) || '@' || _DOMAIN_)"
#define TAG_PGSQL "lower(split_part(_MAILBOX_, '+', 1) || '@' || _DOMAIN_)"
static const char query[] =
    "user_scores_sql_custom_query SELECT preference, value FROM (SELECT preference, value, prio FROM"
    " %1$sspamassassin_userpref WHERE username IN ('@GLOBAL', '%%' || lower(_DOMAIN_), lower(_USERNAME_), %2$s)"
    " UNION ALL SELECT preference, value, prio FROM %1$sspamassassin_userpref WHERE username = '@' || lower(_DOMAIN_)"
    " AND NOT EXISTS (SELECT 1 FROM %1$sspamassassin_known WHERE address IN (lower(_USERNAME_), %2$s))) p"
    " WHERE prio < 10 OR prio >= 50 OR lower(_MAILBOX_) NOT IN ('postmaster', 'abuse') ORDER BY prio ASC\n";

static void print_spamassassin(const struct cli *c)
{
    puts("# SpamAssassin reads thresholds, allows and blocks by sender from Postern. Into local.cf, for a spamd with "
         "-q and -x:");
    if (on_sqlite(c)) {
        printf("user_scores_dsn DBI:SQLite:dbname=%s/spamassassin/lookup.db\n", c->settings->lookup.dir);
        printf(query, "", TAG_SQLITE);
        return;
    }
    puts("user_scores_dsn DBI:Pg:dbname=postern;host=/run/postgresql\n"
         "user_scores_sql_username postern_spamassassin");
    printf(query, "postern.", TAG_PGSQL);
}

/* Walks the scopes, and counts. */
struct unsupported {
    struct cli  *c;
    const char  *scope; /* being listed; printed once, before its first rule */
    size_t       not_told, in_part;
    struct uuid *ids;
    size_t       n, cap;
    struct span *names;
};

static int print_unsupported(void *ctx, const struct uuid *rule, struct span name, bool part, const char *why)
{
    struct unsupported *u = ctx;
    char                id[9];

    if (u->scope != NULL)
        printf("%s\n", u->scope);
    u->scope = NULL;
    rule_short_id(rule, id);
    printf("  %s  %-8s  ", id, part ? "in part" : "not");
    cli_print_padded(name, 30);
    printf("  %s\n", why);
    u->not_told += !part;
    u->in_part += part;
    return 0;
}

static int list_scope(struct unsupported *u, struct store_scope scope, struct err *e)
{
    struct span text;

    if (cli_scope_text(u->c, scope, &text, e) < 0)
        return -1;
    u->scope = arena_str(&u->c->arena, text);
    return store_lookup_unsupported(u->c->store, scope, print_unsupported, u, e);
}

static int note_domain(void *ctx, const struct store_domain *d)
{
    struct unsupported *u = ctx;

    u->ids[u->n++] = d->id;
    return u->n == u->cap;
}

static int note_mailbox(void *ctx, const struct store_mailbox *m)
{
    struct unsupported *u = ctx;

    u->ids[u->n] = m->id;
    u->names[u->n++] = arena_dup(&u->c->arena, span_head(span_of(m->address), span_rchr(span_of(m->address), '@')));
    return u->n == u->cap;
}

static int list_mailboxes(struct cli *c, struct unsupported *all, struct uuid domain, struct err *e)
{
    struct unsupported u = {.c = c, .cap = STORE_LIST_MAX};
    struct span        after = SPAN_NONE;

    u.ids = arena_array(&c->arena, u.cap, sizeof *u.ids);
    u.names = arena_array(&c->arena, u.cap, sizeof *u.names);
    if (u.ids == NULL || u.names == NULL)
        return err_set(e, ERR_LIMIT, "too many mailboxes");
    do {
        u.n = 0;
        if (store_mailbox_list(c->store, domain, after, u.cap, note_mailbox, &u, e) < 0)
            return -1;
        for (size_t i = 0; i < u.n; i++)
            if (list_scope(all, store_scope_mailbox(u.ids[i]), e) < 0)
                return -1;
        after = u.n > 0 ? u.names[u.n - 1] : SPAN_NONE;
    } while (u.n == u.cap);
    return 0;
}

static int list_domains(struct cli *c, struct unsupported *all, struct err *e)
{
    struct unsupported  u = {.c = c, .cap = STORE_LIST_MAX};
    struct store_domain d;
    struct span         after = SPAN_NONE;

    if ((u.ids = arena_array(&c->arena, u.cap, sizeof *u.ids)) == NULL)
        return err_set(e, ERR_LIMIT, "too many domains");
    do {
        u.n = 0;
        if (store_domain_list(c->store, after, u.cap, note_domain, &u, e) < 0)
            return -1;
        for (size_t i = 0; i < u.n; i++) {
            if (list_scope(all, store_scope_domain(u.ids[i]), e) < 0 || list_mailboxes(c, all, u.ids[i], e) < 0 ||
                store_domain_get(c->store, u.ids[i], &d, e) < 0)
                return -1;
        }
        after = u.n > 0 ? arena_dup(&c->arena, span_of(d.name)) : SPAN_NONE;
    } while (u.n == u.cap);
    return 0;
}

static int lookup_spamassassin(struct cli *c, int argc, char **argv, struct err *e)
{
    bool                     unsupported = false;
    const char              *text = NULL;
    size_t                   n = 0;
    struct store_scope       scope;
    struct unsupported       u = {.c = c};
    const struct args_option options[] = {
        {"unsupported", NULL, NULL, NULL, &unsupported, "list the rules that SpamAssassin cannot be told, and why"},
    };

    if (args_read(argc, argv, options, COUNT(options), "[--unsupported [SCOPE]]", 0, 1, &text, &n, e) < 0)
        return -1;
    if (!unsupported) {
        print_spamassassin(c);
        return 0;
    }
    if (cli_store(c, e) < 0)
        return -1;
    if (n == 1) {
        if (cli_parse_scope(c, span_of(text), &scope, e) < 0 || list_scope(&u, scope, e) < 0)
            return -1;
    } else if (list_scope(&u, STORE_SCOPE_GLOBAL, e) < 0 || list_domains(c, &u, e) < 0) {
        return -1;
    }
    printf("%zu rules are not told, %zu in part. Learned senders, greylisting and thresholds but add_header are not "
           "told either.\n",
           u.not_told, u.in_part);
    return 0;
}

/* ---- Postfix ---- */

static int lookup_postfix(struct cli *c, int argc, char **argv, struct err *e)
{
    if (args_read(argc, argv, NULL, 0, "", 0, 0, NULL, NULL, e) < 0)
        return -1;
    puts("# Postfix refuses blocked senders. Into main.cf:");
    printf("postern_blocked = proxy:%s:/etc/postfix/postern-blocked.cf\n", on_sqlite(c) ? "sqlite" : "pgsql");
    puts("# to the service submission in master.cf, before all else of its kind:\n"
         "    -o smtpd_sender_restrictions=check_sasl_access,$postern_blocked\n"
         "# once, by the shell (proxymap serves what is named here):\n"
         "#   postconf -e \"proxy_read_maps = \\$postern_blocked $(postconf -h proxy_read_maps)\"\n"
         "# and into /etc/postfix/postern-blocked.cf:");
    if (on_sqlite(c))
        printf("dbpath = %s/postfix/lookup.db\n"
               "query = SELECT action FROM postfix_blocked_sender WHERE login = '%%s'\n",
               c->settings->lookup.dir);
    else
        puts("hosts = unix:/run/postgresql\nuser = postern_postfix\ndbname = postern\n"
             "query = SELECT action FROM postern.postfix_blocked_sender WHERE login = '%s'");
    return 0;
}

/* ---- PostgreSQL's roles ---- */

static int lookup_sql(struct cli *c, int argc, char **argv, struct err *e)
{
    static const char *const views[LOOKUP_KINDS] = {"postern.spamassassin_userpref, postern.spamassassin_known",
                                                    "postern.postfix_blocked_sender"};

    (void)c;
    if (args_read(argc, argv, NULL, 0, "", 0, 0, NULL, NULL, e) < 0)
        return -1;
    puts("-- One role for each program that reads Postern's data, with its views alone. Run it as the owner of the "
         "database:\n"
         "--     postern lookup sql | psql -v ON_ERROR_STOP=1 postern");
    for (int i = 0; i < LOOKUP_KINDS; i++) {
        printf("CREATE ROLE postern_%s LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE;\n", lookup_words[i]);
        printf("ALTER ROLE postern_%s SET default_transaction_read_only = on;\n", lookup_words[i]);
        printf("ALTER ROLE postern_%s SET statement_timeout = '10s';\n", lookup_words[i]);
        printf("GRANT USAGE ON SCHEMA postern TO postern_%s;\n", lookup_words[i]);
        printf("GRANT SELECT ON %s TO postern_%s;\n", views[i], lookup_words[i]);
    }
    puts("-- Each then needs a password (\\password), or a line in pg_hba.conf and pg_ident.conf that maps its system "
         "user.");
    return 0;
}

int cli_lookup(struct cli *c, int argc, char **argv, struct err *e)
{
    static const struct cli_verb verbs[] = {
        {"spamassassin", "[--unsupported [SCOPE]]", "the lines for local.cf; or the rules that it cannot be told",
         lookup_spamassassin},
        {"postfix", "", "the lines for main.cf and master.cf", lookup_postfix},
        {"sql", "", "the roles that PostgreSQL needs for them", lookup_sql},
    };

    return cli_dispatch(c, "lookup", verbs, COUNT(verbs), argc, argv, e);
}
