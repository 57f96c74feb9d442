/* cli/quarantine_node.c - postern quarantine forget-node: held mail that lay on the disk of a machine that does not come back. */
#include <stdio.h>

#include "base/json_write.h"
#include "held.h"
#include "store/audit.h"
#include "store/search.h"
#include "timeline.h"

#define BATCH 200
#define NODES_MAX 1000

/* Every machine, and the one that is meant. */
struct nodes {
    struct cli       *c;
    struct store_node list[NODES_MAX];
    size_t            n;
};

static int keep_node(void *ctx, const struct store_node *node)
{
    struct nodes *all = ctx;

    all->list[all->n] = *node;
    all->list[all->n++].name = arena_dup(&all->c->arena, node->name);
    return all->n == NODES_MAX;
}

static int read_nodes(struct cli *c, struct nodes **out, struct err *e)
{
    if ((*out = arena_zalloc(&c->arena, sizeof **out)) == NULL)
        return err_set(e, ERR_LIMIT, "too many machines");
    (*out)->c = c;
    return cli_store(c, e) < 0 ? -1 : store_node_list(c->store, keep_node, *out, e);
}

static int print_nodes(struct cli *c, struct err *e)
{
    struct nodes             *all;
    struct store_custody_disk d;

    if (read_nodes(c, &all, e) < 0)
        return -1;
    for (const struct store_node *n = all->list; n < all->list + all->n; n++) {
        if (store_custody_disk(c->store, &n->id, &d, e) < 0)
            return -1;
        cli_print_padded(n->name, 24);
        printf("  seen %s UTC  %lld held, %lld copies, %lld bytes on its disk\n", time_text(n->seen_us).text,
               (long long)d.held, (long long)d.copies, (long long)d.bytes);
    }
    return 0;
}

/* One that is there says so, or is this one: then the disk can be looked at. */
static int check_gone(struct cli *c, const struct store_node *node, struct err *e)
{
    struct uuid here;

    if (store_node(c->store, &here, e) < 0)
        return -1;
    if (uuid_eq(&here, &node->id))
        return err_set(e, ERR_DENIED, "that is this machine: \"postern quarantine verify\" tells what its disk has");
    if (clock_wall_us() - node->seen_us < STORE_NODE_SEEN_US)
        return err_set(
            e, ERR_DENIED,
            "it was there at %s UTC; a machine whose rulesd runs says so every hour: stop it, and wait for two "
            "of them",
            time_text(node->seen_us).text);
    return 0;
}

static int find_node(struct cli *c, const char *name, struct store_node *out, struct err *e)
{
    struct nodes *all;

    if (read_nodes(c, &all, e) < 0)
        return -1;
    for (size_t i = 0; i < all->n; i++) {
        *out = all->list[i];
        if (span_eq_ci(out->name, span_of(name)))
            return check_gone(c, out, e);
    }
    return err_set(e, ERR_NOT_FOUND,
                   "no machine is called so; \"postern quarantine forget-node\" lists those that are");
}

/* ---- marking ---- */

struct batch {
    struct uuid uids[BATCH], last;
    size_t      n, seen;
};

static int each_row(void *ctx, const struct store_custody *row)
{
    struct batch *b = ctx;

    b->seen++;
    b->last = row->uid;
    if (row->place == CUSTODY_SPOOL)
        b->uids[b->n++] = row->uid;
    return b->n == BATCH;
}

/* Whoever it was held for finds it in their audit log. */
static int note_message(struct cli *c, const struct uuid *uid, struct err *e)
{
    struct store_timeline t;
    struct err            why = ERR_INIT;
    struct arena          a;
    int                   rc;

    arena_init(&a, 64 << 20);
    rc = store_timeline(c->store, uid, STORE_SCOPE_GLOBAL, &a, &t, &why);
    for (size_t i = 0; rc == 0 && i < t.ndeliveries; i++) {
        const struct store_delivery *d = &t.deliveries[i].delivery;

        if (t.custody.copy || release_held(d->verdict))
            rc = held_note(c, "quarantine.lost", uid, d, &why);
    }
    arena_fini(&a);
    if (rc == 0 || why.code == ERR_NOT_FOUND) /* its day is over, and its row with it */
        return 0;
    *e = why;
    return -1;
}

static int note_batch(struct cli *c, const struct batch *b, struct err *e)
{
    int rc = store_begin(c->store, e);

    if (rc < 0)
        return -1;
    for (size_t i = 0; i < b->n && rc == 0; i++)
        rc = note_message(c, &b->uids[i], e);
    if (rc == 0)
        rc = store_commit(c->store, e);
    if (rc < 0)
        store_rollback(c->store);
    return rc;
}

/* Written down first: what is cut off in between is written down twice, and marked the next time. */
static int lose_all(struct cli *c, const struct store_node *node, int64_t *lost, struct err *e)
{
    struct batch *b = arena_zalloc(&c->arena, sizeof *b);

    if (b == NULL)
        return err_set(e, ERR_LIMIT, "no memory for a list");
    do {
        b->n = b->seen = 0;
        if (store_custody_each(c->store, &node->id, &b->last, STORE_LIST_MAX, each_row, b, e) < 0)
            return -1;
        if (b->n > 0 &&
            (note_batch(c, b, e) < 0 || store_custody_lose(c->store, b->uids, b->n, &node->id, node->name, e) < 0))
            return -1;
        *lost += (int64_t)b->n;
    } while (b->seen > 0);
    return 0;
}

static int note_node(struct cli *c, const struct store_node *node, const struct store_custody_disk *d, struct err *e)
{
    struct buf b;
    int        rc;

    buf_init(&b, 4 << 10);
    json_open(&b, NULL, '{');
    json_add_string(&b, "node", node->name);
    json_add_i64(&b, "held", d->held);
    json_add_i64(&b, "copies", d->copies);
    json_add_i64(&b, "bytes", d->bytes);
    json_close(&b, '}');
    rc = store_audit_note(c->store, &c->actor, "quarantine.forget_node", "quarantine", NULL, STORE_SCOPE_GLOBAL,
                          buf_span(&b), e);
    buf_fini(&b);
    return rc;
}

static int forget(struct cli *c, const struct store_node *node, bool yes, struct err *e)
{
    struct store_custody_disk d;
    char                      what[200];
    int64_t                   lost = 0;

    if (store_custody_disk(c->store, &node->id, &d, e) < 0)
        return -1;
    if (d.held + d.copies == 0) {
        puts("Nothing lay on its own disk.");
        return 0;
    }
    snprintf(what, sizeof what, "mark %lld held messages and %lld copies as lost with its disk, last seen %s UTC",
             (long long)d.held, (long long)d.copies, time_text(node->seen_us).text);
    if (cli_confirm(yes, what, e) < 0 || note_node(c, node, &d, e) < 0 || lose_all(c, node, &lost, e) < 0)
        return -1;
    printf("%lld messages are marked as lost with the disk of ", (long long)lost);
    cli_print(node->name);
    puts(".");
    return 0;
}

int cli_quarantine_forget_node(struct cli *c, int argc, char **argv, struct err *e)
{
    const char              *name = NULL;
    size_t                   n = 0;
    bool                     yes = false;
    struct store_node        node;
    const struct args_option options[] = {{"yes", NULL, .on = &yes, .help = "do not ask"}};

    if (args_read(argc, argv, options, COUNT(options), "[NAME]", 0, 1, &name, &n, e) < 0)
        return -1;
    if (n == 0)
        return print_nodes(c, e);
    return find_node(c, name, &node, e) < 0 ? -1 : forget(c, &node, yes, e);
}
