/* cli/args.c - see args.h. */
#include "args.h"

#include <stdio.h>

static const struct args_option *find(const struct args_option *options, size_t n, struct span name)
{
    for (size_t i = 0; i < n; i++)
        if (span_is(name, options[i].name))
            return &options[i];
    return NULL;
}

static int refuse(const struct args_option *options, size_t n, const char *word, struct err *e)
{
    char   list[360] = "";
    size_t at = 0;

    for (size_t i = 0; i < n && at < sizeof list - 40; i++)
        at += (size_t)snprintf(list + at, sizeof list - at, " --%.30s", options[i].name);
    return err_set(e, ERR_USAGE, "there is no option %s here; there %s:%s", word, n == 0 ? "are none" : "are",
                   n == 0 ? "" : list);
}

static int put(const struct args_option *o, const char *value, struct err *e)
{
    if (o->text != NULL) {
        *o->text = value;
        return 0;
    }
    if (o->list->n == ARGS_MANY)
        return err_set(e, ERR_LIMIT, "--%s more than %d times; import a file instead", o->name, ARGS_MANY);
    o->list->items[o->list->n++] = value;
    return 0;
}

/* One option at argv[*i]; a value may be the next word. */
static int take(int argc, char **argv, int *i, const struct args_option *options, size_t n, struct err *e)
{
    struct span               word = span_of(argv[*i] + 2);
    size_t                    equals = span_chr(word, '=');
    const struct args_option *o = find(options, n, span_head(word, equals));

    if (o == NULL)
        return refuse(options, n, argv[*i], e);
    if (o->value == NULL) {
        if (equals < word.n)
            return err_set(e, ERR_USAGE, "--%s takes no value", o->name);
        *o->on = true;
        return 0;
    }
    if (equals < word.n)
        return put(o, word.p + equals + 1, e);
    if (*i + 1 >= argc)
        return err_set(e, ERR_USAGE, "--%s needs a value: --%s %s", o->name, o->name, o->value);
    return put(o, argv[++*i], e);
}

static void print_help(const struct args_option *options, size_t n, const char *usage)
{
    if (usage[0] != 0)
        printf("  expects: %s\n", usage);
    for (size_t i = 0; i < n; i++) {
        char word[80];

        snprintf(word, sizeof word, "--%s %s", options[i].name, options[i].value != NULL ? options[i].value : "");
        printf("  %-40s %s%s\n", word, options[i].help, options[i].list != NULL ? "; again for more" : "");
    }
}

int args_read(int argc, char **argv, const struct args_option *options, size_t noptions, const char *usage,
              size_t nrest_min, size_t nrest_max, const char **rest, size_t *nrest_out, struct err *e)
{
    bool   ended = false;
    size_t n = 0;

    for (int i = 0; i < argc; i++) {
        if (!ended && strcmp(argv[i], "--") == 0) {
            ended = true;
        } else if (!ended && strcmp(argv[i], "--help") == 0) {
            print_help(options, noptions, usage);
            return -1;
        } else if (!ended && strncmp(argv[i], "--", 2) == 0) {
            if (take(argc, argv, &i, options, noptions, e) < 0)
                return -1;
        } else if (n == nrest_max) {
            return err_set(e, ERR_USAGE, "\"%s\" is one word too many; expected: %s", argv[i],
                           usage[0] != 0 ? usage : "options only");
        } else {
            rest[n++] = argv[i];
        }
    }
    if (n < nrest_min)
        return err_set(e, ERR_USAGE, "something is missing; expected: %s", usage);
    if (nrest_out != NULL)
        *nrest_out = n;
    return 0;
}
