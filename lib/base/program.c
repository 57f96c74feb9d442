/* lib/base/program.c - see program.h. */
#include "base/program.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/conf.h"
#include "base/version.h"

#define DEFAULT_CONF "/etc/postern/postern.conf"
#define EX_USAGE 64

struct words {
    const char                *program;
    const struct program_word *own;
    size_t                     n;
};

static void usage(const struct words *w, FILE *to)
{
    char left[32];

    fprintf(to, "usage: %s [-c FILE]", w->program);
    for (size_t i = 0; i < w->n; i++)
        fprintf(to, " [%s%s%s]", w->own[i].word, w->own[i].takes != NULL ? " " : "",
                w->own[i].takes != NULL ? w->own[i].takes : "");
    fprintf(to, "\n  -c FILE      settings (default " DEFAULT_CONF ", which may be missing)\n");
    for (size_t i = 0; i < w->n; i++) {
        snprintf(left, sizeof left, "%s %s", w->own[i].word, w->own[i].takes != NULL ? w->own[i].takes : "");
        fprintf(to, "  %-12s %s\n", left, w->own[i].help);
    }
    fprintf(to, "  --version    say which release this is\n"
                "  --help       say this, and all settings with what they mean\n");
}

static _Noreturn void help(const struct words *w)
{
    struct buf b;

    usage(w, stdout);
    buf_init(&b, 1 << 20);
    conf_print_example(&b);
    printf("\n%.*s", SPAN_ARG(buf_span(&b)));
    buf_fini(&b);
    exit(EXIT_SUCCESS);
}

static _Noreturn void refuse(const struct words *w)
{
    usage(w, stderr);
    exit(EX_USAGE);
}

/* The argument at `at` and what belongs to it; the index of the last one. */
static int own_word(const struct words *w, int argc, char **argv, int at)
{
    for (size_t i = 0; i < w->n; i++) {
        if (strcmp(argv[at], w->own[i].word) != 0)
            continue;
        if (w->own[i].takes != NULL && ++at == argc)
            refuse(w);
        *w->own[i].out = argv[at];
        return at;
    }
    refuse(w);
}

struct program_options program_options_and(const char *program, int argc, char **argv, const struct program_word *words,
                                           size_t n)
{
    struct program_options o = {DEFAULT_CONF, false};
    const struct words     w = {program, words, n};

    for (int i = 1; i < argc; i++) {
        struct span word = span_of(argv[i]);

        if (span_is(word, "--help") || span_is(word, "-h"))
            help(&w);
        if (span_is(word, "--version")) {
            printf("%s " POSTERN_VERSION "\n", program);
            exit(EXIT_SUCCESS);
        }
        if (!span_is(word, "-c")) {
            i = own_word(&w, argc, argv, i);
            continue;
        }
        if (++i == argc)
            refuse(&w);
        o.conf_path = argv[i];
        o.conf_given = true;
    }
    return o;
}

struct program_options program_options(const char *program, int argc, char **argv)
{
    return program_options_and(program, argc, argv, NULL, 0);
}

sigset_t program_signals(void)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    return set;
}

int program_wait_us(int64_t us)
{
    const struct timespec t = {us / 1000000, us % 1000000 * 1000};
    sigset_t              set = program_signals();
    int                   got = sigtimedwait(&set, NULL, &t);

    return got > 0 ? got : 0;
}
