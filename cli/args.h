/* cli/args.h - the words behind a command: options from a table, and what is left.
 *
 * "--name VALUE" and "--name=VALUE"; an option may stand anywhere; "--" ends them. The same table prints the help. */
#ifndef POSTERN_CLI_ARGS_H
#define POSTERN_CLI_ARGS_H

#include "base/err.h"

#define ARGS_MANY 256 /* of one repeated option */

struct args_list {
    const char *items[ARGS_MANY];
    size_t      n;
};
struct args_option {
    const char       *name;  /* without the dashes */
    const char       *value; /* what the help calls the value; NULL: a switch */
    const char      **text;  /* where the value goes, the last one wins; or */
    struct args_list *list;  /* where all of them go; or */
    bool             *on;    /* where a switch goes */
    const char       *help;
};

/* Reads argv (without the command's own words); what is no option goes to rest, at most nrest_max of them, at least nrest_min.
 * `usage` names them: "NAME FILE". -1: ERR_USAGE names the word and the options that there are; after "--help" all options are
 * printed, and e stays ERR_NONE: there is nothing more to do. */
int args_read(int argc, char **argv, const struct args_option *options, size_t noptions, const char *usage,
              size_t nrest_min, size_t nrest_max, const char **rest, size_t *nrest_out, struct err *e);

#endif
