/* lib/store/delivery.c - see delivery.h. */
#include "store/delivery.h"

#include "store/log_row.h"

static int take_owner(void *ctx, const struct store_row *row, const struct log_row_held *held)
{
    struct store_owner *out = ctx;

    (void)held;
    *out = (struct store_owner){true, row->has_mailbox, row->has_domain, row->mailbox, row->domain, row->verdict};
    return 0;
}

int store_delivery_owner(struct store *s, const struct store_key *key, struct store_owner *out, struct err *e)
{
    *out = (struct store_owner){0};
    if (log_rows(s, key, 1, take_owner, out, e) < 0)
        return -1;
    return out->there ? 0 : no_such(0, e, "message");
}

struct wanted {
    store_delivery_fn fn;
    void             *ctx;
};

static int take_row(void *ctx, const struct store_row *row, const struct log_row_held *held)
{
    const struct wanted *w = ctx;

    return w->fn(w->ctx, &(struct store_delivery_row){*row, held->symbols, held->there});
}

int store_delivery_rows(struct store *s, const struct store_key *keys, size_t n, store_delivery_fn fn, void *ctx,
                        struct err *e)
{
    struct wanted w = {fn, ctx};

    return n == 0 || log_rows_closer(s, keys, n, take_row, &w, e) >= 0 ? 0 : -1;
}
