/* postern - the administrator's command. `postern help` prints the table below; each row's function has a file of its own. */
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "cli.h"
#include "mail/leaf.h"

static const struct command {
    const char *name, *usage, *help;
    int (*run)(struct cli *c, int argc, char **argv, struct err *e);
} commands[] = {
    {"init", "[--admin ADDRESS] [--user NAME]", "make the database, the keys, and the first administrator", cli_init},
    {"domain", "add|set|list|show|delete|alias …", "the domains whose mail is filtered", cli_domain},
    {"account", "add|list|show|set|delete …", "the people who sign in, and their roles", cli_account},
    {"mailbox", "add|list|set|delete …", "addresses with rules of their own", cli_mailbox},
    {"address", "add|list|delete|resolve …", "aliases, lists, catch-alls", cli_address},
    {"policy", "add|list|set|delete|assign|unassign …", "named sets of rules", cli_policy},
    {"rule", "add|list|show|enable|disable|delete|import|export …", "what is allowed and what is blocked", cli_rule},
    {"thresholds", "show|set|reset SCOPE …", "from which score mail is refused, tagged, deferred", cli_thresholds},
    {"token", "add|list|revoke …", "what programs show to hand over results, or to read lists", cli_token},
    {"sender", "list|limit|block|unblock …", "how much people may send, and who may not any more", cli_sender},
    {"lookup", "spamassassin|postfix|sql …", "what other programs read of our data, and how", cli_lookup},
    {"explain", "--rcpt ADDRESS … FILE", "why a message gets its verdict", cli_explain},
    {"backtest", "RULE | --json FILE --scope SCOPE", "what a rule would have done to the mail of the last 30 days",
     cli_backtest},
    {"key", "list|rotate", "the keys that held mail is sealed with", cli_key},
    {"quarantine", "list|show|release|delete|verify|purge …", "what is held, and how it gets out", cli_quarantine},
    {"report", "spam|ham|forget|list|show …", "what is spam and what is not, and what came of saying so", cli_report},
    {"report-mail", "--rcpt ADDRESS [--sender ADDRESS] <MAIL", "a report by mail, from the pipe of a mail server",
     cli_report_mail},
    {"digest", "list|add|set|pause|send|delete|default …", "who gets a digest of what, and when", cli_digest},
    {"digest-answer", "--rcpt ADDRESS [--sender ADDRESS] <MAIL",
     "an answer to a digest (\"release 2\"), from the pipe of a mail server", cli_digest_answer},
    {"learned", "list|undo …", "the senders that reports left behind in mailboxes", cli_learned},
    {"trainer", "status", "what the filter has learnt from reports, and what waits", cli_trainer},
    {"trace", "QUEUEID|MESSAGE-ID|UID", "what became of a message, from its sender to the mailbox", cli_trace},
    {"observe", "report|live|again", "beside a filter that decides: where we would differ, and going live",
     cli_observe},
    {"audit", "verify|list", "who changed what; that nobody has changed the story", cli_audit},
    {"migrate", "[--check]", "bring the database up to this release", cli_migrate},
    {"config", "example|man|check", "the settings", cli_config},
    {"doctor", "[--mail ADDRESS] [--wait SECONDS] [--json]", "what is wrong, or would go wrong, and the cure",
     cli_doctor},
    {"login-link", "ADDRESS", "a link that signs a person in to the portal, once", cli_login_link},
    {"run", "[--example DIR]", "start the programs of Postern as children of this one", cli_run},
};

static void print_usage(FILE *out)
{
    fputs("usage: postern [-c FILE] COMMAND …\n\n", out);
    for (size_t i = 0; i < COUNT(commands); i++)
        fprintf(out, "  %-11s %s\n              %s\n", commands[i].name, commands[i].usage, commands[i].help);
    fputs("\n  -c FILE     the settings (default /etc/postern/postern.conf)\n"
          "  SCOPE is global, domain:NAME or mailbox:ADDRESS. A command with \"help\" behind it says more.\n",
          out);
}

static void name_actor(struct cli *c)
{
    char                 host[64] = "here";
    const struct passwd *pw = getpwuid(getuid());

    if (gethostname(host, sizeof host - 1) < 0)
        strcpy(host, "here");
    snprintf(c->actor_name, sizeof c->actor_name, "%.60s at %.60s", pw != NULL ? pw->pw_name : "somebody", host);
    c->actor = (struct actor){.kind = ACTOR_OPERATOR, .name = c->actor_name, .source = "command line", .admin = true};
}

/* The words before the command. 1: go on, 0: done, -1. */
static int read_globals(struct cli *c, int *argc, char ***argv, struct err *e)
{
    while (*argc > 0 && (*argv)[0][0] == '-') {
        const char *word = (*argv)[0];

        if (strcmp(word, "--version") == 0) {
            puts("postern " POSTERN_VERSION);
            return 0;
        }
        if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0) {
            print_usage(stdout);
            return 0;
        }
        if (strcmp(word, "-c") != 0)
            return err_set(e, ERR_USAGE, "there is no option %s before the command; see postern --help", word);
        if (*argc < 2)
            return err_set(e, ERR_USAGE, "-c needs the name of a file");
        c->conf_path = (*argv)[1];
        c->conf_given = true;
        *argc -= 2;
        *argv += 2;
    }
    return 1;
}

static int call(const struct command *command, struct cli *c, int argc, char **argv, struct err *e)
{
    static char help[] = "--help";

    if (!cli_asks_help(argc, argv))
        return command->run(c, argc, argv, e);
    printf("postern %s %s\n    %s\n", command->name, command->usage, command->help);
    return command->run(c, 1, (char *[]){help}, e);
}

static int run(struct cli *c, int argc, char **argv, struct err *e)
{
    struct conf *conf = NULL;
    int          rc;

    if ((rc = read_globals(c, &argc, &argv, e)) <= 0)
        return rc;
    if (argc == 0 || strcmp(argv[0], "help") == 0) {
        print_usage(argc == 0 ? stderr : stdout);
        return argc == 0 ? err_set(e, ERR_USAGE, "which command?") : 0;
    }
    for (size_t i = 0; i < COUNT(commands); i++) {
        if (strcmp(argv[0], commands[i].name) != 0)
            continue;
        if ((rc = conf_load(c->conf_path, !c->conf_given, &conf, e)) == 0) {
            c->settings = conf_settings(conf);
            rc = call(&commands[i], c, argc - 1, argv + 1, e);
            conf_free(&conf);
        }
        if (rc < 0 && (commands[i].run == cli_report_mail || commands[i].run == cli_digest_answer))
            e->code = ERR_BUSY; /* a mail server reads the exit code: to be tried again */
        return rc;
    }
    return err_set(e, ERR_USAGE, "there is no command \"%s\"; see postern help", argv[0]);
}

int main(int argc, char **argv)
{
    struct cli c = {.conf_path = "/etc/postern/postern.conf"};
    struct err e = ERR_INIT;

    log_open("postern", LOG_TO_STDERR, LOG_LEVEL_INFO);
    mail_init();
    arena_init(&c.arena, (size_t)1 << 30);
    name_actor(&c);
    if (run(&c, argc - 1, argv + 1, &e) < 0 && e.code != ERR_NONE) {
        fflush(stdout);
        fatal(&e);
    }
    store_close(&c.store);
    arena_fini(&c.arena);
    if (fflush(stdout) != 0 || ferror(stdout)) {
        err_errno(&e, "write the output");
        fatal(&e);
    }
    return 0;
}
