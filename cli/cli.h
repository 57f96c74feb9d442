/* cli/cli.h - the administrator's command: what its subcommands share.
 *
 * A subcommand is a row of the table in main.c and a function here. It prints its result to stdout, and returns -1 with e for
 * everything that did not work; main prints that to stderr and ends with the sysexits code of the error. */
#ifndef POSTERN_CLI_CLI_H
#define POSTERN_CLI_CLI_H

#include "base/conf.h"
#include "base/version.h"
#include "args.h"
#include "store/account.h"
#include "store/domain.h"
#include "store/rule.h"
#include "store/setting.h"

struct cli {
    const char            *conf_path;
    bool                   conf_given;
    const struct settings *settings;
    struct store          *store; /* opened by cli_store() */
    struct actor           actor;
    struct arena           arena; /* lives as long as the command */
    char                   actor_name[128];
};

int cli_init(struct cli *c, int argc, char **argv, struct err *e);
int cli_domain(struct cli *c, int argc, char **argv, struct err *e);
int cli_account(struct cli *c, int argc, char **argv, struct err *e);
int cli_mailbox(struct cli *c, int argc, char **argv, struct err *e);
int cli_address(struct cli *c, int argc, char **argv, struct err *e);
int cli_policy(struct cli *c, int argc, char **argv, struct err *e);
int cli_rule(struct cli *c, int argc, char **argv, struct err *e);
int cli_thresholds(struct cli *c, int argc, char **argv, struct err *e);
int cli_login_link(struct cli *c, int argc, char **argv, struct err *e);
/* login_link.c: a link that signs in whoever has it, once. `address` is normalised. */
int cli_make_login_link(struct cli *c, struct span address, struct buf *out, struct err *e);
int cli_token(struct cli *c, int argc, char **argv, struct err *e);
int cli_sender(struct cli *c, int argc, char **argv, struct err *e);
int cli_lookup(struct cli *c, int argc, char **argv, struct err *e);
int cli_backtest(struct cli *c, int argc, char **argv, struct err *e);
int cli_explain(struct cli *c, int argc, char **argv, struct err *e);
int cli_key(struct cli *c, int argc, char **argv, struct err *e);
int cli_quarantine(struct cli *c, int argc, char **argv, struct err *e);
int cli_report(struct cli *c, int argc, char **argv, struct err *e);
int cli_report_mail(struct cli *c, int argc, char **argv, struct err *e);
int cli_digest(struct cli *c, int argc, char **argv, struct err *e);
int cli_digest_answer(struct cli *c, int argc, char **argv, struct err *e);
int cli_learned(struct cli *c, int argc, char **argv, struct err *e);
int cli_trainer(struct cli *c, int argc, char **argv, struct err *e);
int cli_observe(struct cli *c, int argc, char **argv, struct err *e);
int cli_trace(struct cli *c, int argc, char **argv, struct err *e);
int cli_audit(struct cli *c, int argc, char **argv, struct err *e);
int cli_migrate(struct cli *c, int argc, char **argv, struct err *e);
int cli_config(struct cli *c, int argc, char **argv, struct err *e);
int cli_doctor(struct cli *c, int argc, char **argv, struct err *e);
int cli_run(struct cli *c, int argc, char **argv, struct err *e);

/* rule_import.c, rule_export.c */
int cli_rule_import(struct cli *c, int argc, char **argv, struct err *e);
int cli_rule_export(struct cli *c, int argc, char **argv, struct err *e);

/* rule.c, for imports too */
struct store_policy;
int cli_default_policy(struct cli *c, struct store_scope scope, const char *name, struct store_policy *out,
                       struct err *e);
/* The 8 digits that lists and replies show, or the whole id. */
int cli_find_rule(struct cli *c, const char *text, struct uuid *out, struct err *e);

/* Opens the store once (STORE_EXISTING; the error of a missing one says to run "postern init"). */
int cli_store(struct cli *c, struct err *e);

/* A verb of a noun: "postern domain add". */
struct cli_verb {
    const char *name, *usage, *help;
    int (*run)(struct cli *c, int argc, char **argv, struct err *e);
};
/* Is the first word "help" or "--help"? */
bool cli_asks_help(int argc, char **argv);
int  cli_dispatch(struct cli *c, const char *noun, const struct cli_verb *verbs, size_t nverbs, int argc, char **argv,
                  struct err *e);

/* Names as people type them, to rows; the errors say what to do. */
int cli_find_domain(struct cli *c, const char *name, struct store_domain *out, struct err *e);
int cli_find_account(struct cli *c, const char *login, struct store_account *out, struct err *e);
/* An address in normal form, in the command's arena. */
int cli_parse_address(struct cli *c, const char *text, struct span *full, struct span *local, struct span *domain,
                      struct err *e);
/* "global", "domain:NAME", "mailbox:ADDRESS". */
int cli_parse_scope(struct cli *c, struct span text, struct store_scope *out, struct err *e);
/* What --domain and --mailbox of a list say; both NULL: global. */
int cli_read_scope(struct cli *c, const char *domain, const char *mailbox, struct store_scope *out, struct err *e);
/* The same backwards, into the command's arena. */
int cli_scope_text(struct cli *c, struct store_scope scope, struct span *out, struct err *e);
int cli_word_index(const char *const *words, const char *word, const char *what, int *out, struct err *e);
int cli_on_off(const char *text, const char *what, bool *out, struct err *e);
int cli_number(const char *text, const char *what, int64_t min, int64_t max, int64_t *out, struct err *e);
int cli_size(const char *text, const char *what, int64_t *out, struct err *e); /* bytes */
/* "2026-12-24", a time in full, or how long from now: "8h", "2d". */
int cli_until(const char *text, int64_t *out, struct err *e);
/* Asks "really? [y/N]" on a terminal; elsewhere --yes must have been given. */
int cli_confirm(bool yes, const char *what, struct err *e);

/* Prints a stranger's text: one line, escaped. */
void cli_print(struct span text);
void cli_print_padded(struct span text, size_t width);

#endif
