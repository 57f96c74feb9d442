/* cli/trace.c - postern trace: everything that is known of a message, from the SMTP dialogue to the mailbox's reply. */
#include <stdio.h>

#include "cli.h"
#include "store/search.h"
#include "timeline.h"

#define TRACE_MAX 20 /* messages under one handle: a Message-ID may have been sent again and again */
#define JSON_MAX ((size_t)256 << 20)

struct found {
    struct uuid uids[TRACE_MAX];
    size_t      n;
};

static int each_uid(void *ctx, const struct uuid *uid)
{
    struct found *f = ctx;

    if (f->n < COUNT(f->uids))
        f->uids[f->n++] = *uid;
    return 0;
}

static int print_text(struct cli *c, const struct found *f, struct err *e)
{
    for (size_t i = 0; i < f->n; i++) {
        if (i > 0)
            putchar('\n');
        if (timeline_print(c, &f->uids[i], e) < 0)
            return -1;
    }
    return 0;
}

static int print_json(struct cli *c, const struct found *f, struct err *e)
{
    struct buf b;
    int        rc = 0;

    buf_init(&b, JSON_MAX);
    buf_puts(&b, "{\"messages\":[");
    for (size_t i = 0; i < f->n && rc == 0; i++) {
        buf_puts(&b, i > 0 ? "," : "");
        rc = timeline_put_json(c, &f->uids[i], &b, e);
    }
    buf_puts(&b, "]}\n");
    if (rc == 0 && b.failed)
        rc = err_set(e, ERR_LIMIT, "that is too much to print at once");
    if (rc == 0)
        fwrite(b.p, 1, b.n, stdout);
    buf_fini(&b);
    return rc;
}

int cli_trace(struct cli *c, int argc, char **argv, struct err *e)
{
    struct found             f = {.n = 0};
    const char              *handle;
    bool                     json = false;
    const struct args_option options[] = {{"json", NULL, .on = &json, .help = "for programs"}};

    if (args_read(argc, argv, options, COUNT(options), "QUEUEID|MESSAGE-ID|UID", 1, 1, &handle, NULL, e) < 0 ||
        cli_store(c, e) < 0 || store_trace(c->store, span_of(handle), TRACE_MAX, each_uid, &f, e) < 0)
        return -1;
    if (f.n == 0)
        return err_set(e, ERR_NOT_FOUND, "the log knows no message by the name %s", handle);
    return json ? print_json(c, &f, e) : print_text(c, &f, e);
}
