/* cli/run.h - the example that `make run` shows, and the programs as children. */
#ifndef POSTERN_CLI_RUN_H
#define POSTERN_CLI_RUN_H

#include "cli.h"

/* example.c. Makes DIR with settings, database, two domains, three people and a dozen rules, unless it is there already; c then
 * goes by DIR's settings (*conf_out owns them). `seed` is the folder with rules.jsonl and mail/. */
int example_make(struct cli *c, const char *dir, const char *seed, struct conf **conf_out, struct err *e);
/* When rulesd answers: scans the example's mail and prints verdicts, ports, files and what to try. -1: it does not answer. */
int example_show(struct cli *c, const char *dir, const char *seed, struct err *e);

#endif
