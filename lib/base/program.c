/* lib/base/program.c - see program.h. */
#include "base/program.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/conf.h"
#include "base/version.h"

#define DEFAULT_CONF "/etc/postern/postern.conf"
#define EX_USAGE 64

static void usage(const char *program, FILE *to)
{
    fprintf(to,
            "usage: %s [-c FILE]\n"
            "  -c FILE      settings (default " DEFAULT_CONF ", which may be missing)\n"
            "  --version    say which release this is\n"
            "  --help       say this, and all settings with what they mean\n",
            program);
}

static _Noreturn void help(const char *program)
{
    struct buf b;

    usage(program, stdout);
    buf_init(&b, 1 << 20);
    conf_print_example(&b);
    printf("\n%.*s", SPAN_ARG(buf_span(&b)));
    buf_fini(&b);
    exit(EXIT_SUCCESS);
}

struct program_options program_options(const char *program, int argc, char **argv)
{
    struct program_options o = {DEFAULT_CONF, false};

    for (int i = 1; i < argc; i++) {
        struct span word = span_of(argv[i]);

        if (span_is(word, "--help") || span_is(word, "-h"))
            help(program);
        if (span_is(word, "--version")) {
            printf("%s " POSTERN_VERSION "\n", program);
            exit(EXIT_SUCCESS);
        }
        if (!span_is(word, "-c") || i + 1 == argc) {
            usage(program, stderr);
            exit(EX_USAGE);
        }
        o.conf_path = argv[++i];
        o.conf_given = true;
    }
    return o;
}
