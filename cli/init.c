/* cli/init.c - postern init, migrate, config and audit: the installation as a whole. */
#include <stdio.h>

#include "cli.h"
#include "db/migrate.h"
#include "owner.h"
#include "store/account.h"
#include "store/audit.h"
#include "vault/keyring.h"

static int add_admin(struct cli *c, const char *login, struct err *e)
{
    struct store_account a = {.admin = true, .active = true};
    struct span          full;
    struct uuid          id;

    if (cli_parse_address(c, login, &full, NULL, NULL, e) < 0)
        return -1;
    if (full.n > STORE_ADDRESS_MAX)
        return err_set(e, ERR_INVALID, "the address is longer than %d bytes", STORE_ADDRESS_MAX);
    memcpy(a.login, full.p, full.n);
    if (store_account_add(c->store, &c->actor, &a, &id, e) < 0)
        return -1;
    printf("Administrator %s added; give them a password with: postern account set %s --password-stdin\n", a.login,
           a.login);
    return 0;
}

int cli_init(struct cli *c, int argc, char **argv, struct err *e)
{
    const char              *admin = NULL, *user = NULL;
    const struct args_option options[] = {
        {"admin", "ADDRESS", .text = &admin, .help = "the first administrator"},
        {"user", "NAME", .text = &user,
         .help = "as root: whom the files are to belong to, since the programs run as them"},
    };

    if (args_read(argc, argv, options, COUNT(options), "", 0, 0, NULL, NULL, e) < 0 ||
        (user != NULL && owner_give(c->settings, user, e) < 0) ||
        store_open(c->settings->store.url, STORE_CREATE, &c->store, e) < 0)
        return -1;
    /* The address of a PostgreSQL may hold a password. */
    printf("Database ready: %s\n",
           span_starts(span_of(c->settings->store.url), SPAN("sqlite:")) ? c->settings->store.url : "PostgreSQL");
    if (admin != NULL && add_admin(c, admin, e) < 0)
        return -1;
    if (keyring_create(c->settings->quarantine.keys, e) < 0)
        return err_wrap(e, "the keys that held mail is sealed with");
    printf("Keys ready: %s\n", c->settings->quarantine.keys);
    return 0;
}

static int look(const char *url, enum db_part part, const char *name, bool check, struct err *e)
{
    struct migrate_state state;
    struct db           *db = NULL;
    int                  rc = -1;

    if (db_open(url, part, false, &db, e) < 0)
        return -1;
    if (!check && migrate_up(db, part, e) < 0)
        goto out;
    if (migrate_look(db, part, &state, e) < 0)
        goto out;
    printf("%-5s database at %d, this release knows %d, needs at least %d to share it\n", name, state.applied,
           state.known, state.needs);
    rc = check ? migrate_check(db, part, e) : 0;
out:
    db_close(&db);
    return rc;
}

int cli_migrate(struct cli *c, int argc, char **argv, struct err *e)
{
    bool                     check = false;
    const struct args_option options[] = {
        {"check", NULL, .on = &check, .help = "change nothing; fail when this release cannot use the database"},
    };

    if (args_read(argc, argv, options, COUNT(options), "", 0, 0, NULL, NULL, e) < 0)
        return -1;
    if (look(c->settings->store.url, DB_MAIN, "main", check, e) < 0)
        return -1;
    return look(c->settings->store.url, DB_LOG, "log", check, e);
}

static int config_example(struct cli *c, int argc, char **argv, struct err *e)
{
    struct buf b;

    (void)c;
    if (args_read(argc, argv, NULL, 0, "", 0, 0, NULL, NULL, e) < 0)
        return -1;
    buf_init(&b, 1 << 20);
    conf_print_example(&b);
    fwrite(b.p, 1, b.n, stdout);
    buf_fini(&b);
    return 0;
}

/* Roff takes a backslash, and a leading dot or quote, for its own. */
static void print_roff(const char *text)
{
    if (text[0] == '.' || text[0] == '\'')
        fputs("\\&", stdout);
    for (; *text != 0; text++)
        fputs(*text == '\\' ? "\\e" : (char[2]){*text, 0}, stdout);
    putchar('\n');
}

/* postern.conf(5), from the table of settings. */
static int config_man(struct cli *c, int argc, char **argv, struct err *e)
{
    const char *section = "";

    (void)c;
    if (args_read(argc, argv, NULL, 0, "", 0, 0, NULL, NULL, e) < 0)
        return -1;
    puts(".Dd November 21, 2026\n.Dt POSTERN.CONF 5\n.Os\n.Sh NAME\n.Nm postern.conf\n.Nd the settings of Postern's "
         "programs\n"
         ".Sh DESCRIPTION\nAn INI file that all programs read; every key has a default, so an empty file runs.\nAn "
         "unknown key is an error.\n"
         "Lines are at most 199 bytes long; a long list continues on lines that start with a blank.\nA comment starts "
         "with a semicolon or a #.\n"
         "A listener may carry settings of its own:\n.Dl unix:/run/postern/exim.sock?envelope_lines=on&phase=post\n"
         ".Bl -tag -width envelope_lines -compact\n.It Cm class\n.Cm mta No or Cm scan :\nthe most that a caller may "
         "be there.\n"
         ".It Cm phase , mode , envelope_lines\nas in\n.Sx [rulesd] ;\nenvelope_lines is also\n.Cm milter :\nas "
         "spamass-milter writes "
         "them.\n"
         ".It Cm discards\n.Cm on :\nthe caller drops a message when it is told to, so that it can be held.\n"
         ".It Cm shm\n.Cm on :\nmessages in shared memory are read, for MTAs on this machine.\n.El");
    for (size_t i = 0; i < conf_nrows; i++) {
        const struct conf_row *r = &conf_rows[i];

        if (strcmp(section, r->section) != 0) {
            printf("%s.Sh [%s]\n.Bl -tag -width Ds\n", section[0] != 0 ? ".El\n" : "", r->section);
            section = r->section;
        }
        printf(".It Cm %s No = Ar %s\n", r->key, r->fallback[0] != 0 ? r->fallback : "(empty)");
        print_roff(r->help);
    }
    puts(".El\n.Sh FILES\n.Bl -tag -width Ds\n.It Pa /etc/postern/postern.conf\n.El\n.Sh SEE ALSO\n.Xr postern 1 "
         ",\n.Xr postern-rulesd 8");
    return 0;
}

static int config_check(struct cli *c, int argc, char **argv, struct err *e)
{
    if (args_read(argc, argv, NULL, 0, "", 0, 0, NULL, NULL, e) < 0)
        return -1;
    printf("%s: no fault found\n", c->conf_path);
    return 0;
}

int cli_config(struct cli *c, int argc, char **argv, struct err *e)
{
    static const struct cli_verb verbs[] = {
        {"example", "", "print every setting with its default and what it does", config_example},
        {"man", "", "print postern.conf(5)", config_man},
        {"check", "", "read the file and say what is wrong with it", config_check},
    };

    return cli_dispatch(c, "config", verbs, COUNT(verbs), argc, argv, e);
}

static int audit_verify(struct cli *c, int argc, char **argv, struct err *e)
{
    struct store_audit_verified v;

    if (args_read(argc, argv, NULL, 0, "", 0, 0, NULL, NULL, e) < 0 || cli_store(c, e) < 0 ||
        store_audit_verify(c->store, &v, e) < 0)
        return -1;
    if (v.broken[0] != 0)
        return err_set(e, ERR_CORRUPT, "the audit log is not as it was written: %s", v.broken);
    printf("%lld rows of %lld nodes are as they were written; %lld payloads were erased\n", (long long)v.rows,
           (long long)v.nodes, (long long)v.erased);
    return 0;
}

static int audit_print(void *ctx, const struct store_audit_row *r)
{
    char at[28];

    (void)ctx;
    clock_format_utc(r->at_us, at);
    printf("%.19sZ  ", at);
    cli_print_padded(r->actor_name, 20);
    fputs("  ", stdout);
    cli_print_padded(r->action, 16);
    fputs("  ", stdout);
    cli_print(span_head(r->payload, 300));
    putchar('\n');
    return 0;
}

static int audit_list(struct cli *c, int argc, char **argv, struct err *e)
{
    const char              *limit_text = "50", *scope_text = NULL;
    struct store_scope       scope;
    int64_t                  limit;
    const struct args_option options[] = {
        {"limit", "N", .text = &limit_text, .help = "how many, the newest first"},
        {"scope", "SCOPE", .text = &scope_text, .help = "only what concerns this scope"},
    };

    if (args_read(argc, argv, options, COUNT(options), "", 0, 0, NULL, NULL, e) < 0 ||
        cli_number(limit_text, "--limit", 1, STORE_LIST_MAX, &limit, e) < 0 || cli_store(c, e) < 0)
        return -1;
    if (scope_text != NULL && cli_parse_scope(c, span_of(scope_text), &scope, e) < 0)
        return -1;
    return store_audit_list(c->store, scope_text != NULL ? &scope : NULL, INT64_MAX, (size_t)limit, audit_print, NULL,
                            e);
}

int cli_audit(struct cli *c, int argc, char **argv, struct err *e)
{
    static const struct cli_verb verbs[] = {
        {"verify", "", "check the chain of every node", audit_verify},
        {"list", "[--scope SCOPE] [--limit N]", "what was changed, the newest first", audit_list},
    };

    return cli_dispatch(c, "audit", verbs, COUNT(verbs), argc, argv, e);
}
