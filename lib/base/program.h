/* lib/base/program.h - what all daemons read from their command line: -c FILE, --version, --help; and words of one's own; and the signals that
 * they wait for. */
#ifndef POSTERN_BASE_PROGRAM_H
#define POSTERN_BASE_PROGRAM_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct program_options {
    const char *conf_path; /* /etc/postern/postern.conf */
    bool        conf_given;
};
/* Prints and exits for --version, --help, and for words that it does not know (EX_USAGE). */
struct program_options program_options(const char *program, int argc, char **argv);

/* A word that one program has besides. */
struct program_word {
    const char  *word;  /* "--now" */
    const char  *takes; /* "TIME"; NULL: nothing */
    const char  *help;
    const char **out; /* the word behind it; the word itself where it takes nothing */
};
struct program_options program_options_and(const char *program, int argc, char **argv, const struct program_word *words,
                                           size_t n);

/* What a daemon blocks in all its threads and waits for: SIGTERM, SIGINT, SIGHUP. */
sigset_t program_signals(void);
/* The one of these that came within that time, or 0. */
int program_wait_us(int64_t us);

#endif
