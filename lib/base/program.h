/* lib/base/program.h - what all daemons read from their command line: -c FILE, --version, --help. */
#ifndef POSTERN_BASE_PROGRAM_H
#define POSTERN_BASE_PROGRAM_H

#include <stdbool.h>

struct program_options {
    const char *conf_path; /* /etc/postern/postern.conf */
    bool        conf_given;
};
/* Prints and exits for --version, --help, and for words that it does not know (EX_USAGE). */
struct program_options program_options(const char *program, int argc, char **argv);

#endif
