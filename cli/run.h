/* cli/run.h - the example that `make run` shows, and the programs as children. */
#ifndef POSTERN_CLI_RUN_H
#define POSTERN_CLI_RUN_H

#include "cli.h"

/* Where the example is, and on which ports of loopback it listens. */
struct example {
    const char *dir;
    const char *seed; /* the folder with rules.jsonl and mail/ */
    int64_t     spamd_port, http_port, portal_port;
};

/* example.c. Makes DIR with settings, database, two domains, three people and a dozen rules, unless it is there already; c then
 * goes by DIR's settings (*conf_out owns them). */
int example_make(struct cli *c, const struct example *x, struct conf **conf_out, struct err *e);
/* When rulesd answers: scans the example's mail and prints verdicts, ports, files and what to try. -1: it does not answer. */
int example_show(struct cli *c, const struct example *x, struct err *e);

#endif
