/* lib/custody/report_mail_count.c - see report_mail_count.h. */
#include "custody/report_mail_count.h"

#include "store/sending.h"

#define MINUTE_US (60 * INT64_C(1000000))
#define DAY_US (1440 * MINUTE_US)
#define SUBJECT "report.mail.day"

int report_mail_may(struct store *s, struct span mailbox, int n, int64_t now_us, struct err *e)
{
    struct store_counter row = {SPAN(REPORT_MAIL_MINUTE), mailbox, now_us - now_us % MINUTE_US, n};
    int64_t              total;

    if (store_counters_add(s, &row, 1, &total, e) < 0)
        return -1;
    if (total <= REPORTS_PER_RECIPIENT)
        return 0;
    row.value = -n; /* what waits takes nobody's place */
    if (store_counters_add(s, &row, 1, &total, e) < 0)
        return -1;
    return err_set(e, ERR_BUSY, "%.*s reports more than %d messages a minute", SPAN_ARG(mailbox),
                   REPORTS_PER_RECIPIENT);
}

/* ---- sums ---- */

static size_t put(struct store_counter *rows, size_t n, const char *name, int64_t day_us, int64_t value)
{
    if (value > 0)
        rows[n++] = (struct store_counter){span_of(name), SPAN(SUBJECT), day_us, value};
    return n;
}

int report_mail_count(struct store *s, const struct report_mail_done *done, int64_t now_us, struct err *e)
{
    const int64_t        day_us = now_us - now_us % DAY_US;
    struct store_counter rows[3];
    int64_t              totals[COUNT(rows)], refused = 0;
    size_t               n = 0;

    for (size_t i = 0; done != NULL && i < done->n; i++)
        refused += done->ones[i].none != NULL;
    if (done == NULL)
        n = put(rows, n, "later", day_us, 1);
    else if (done->dropped != NULL)
        n = put(rows, n, report_mail_reason_words[done->reason], day_us, 1);
    if (done != NULL) {
        n = put(rows, n, "taken", day_us, (int64_t)done->n - refused);
        n = put(rows, n, "refused", day_us, refused);
    }
    return store_counters_add(s, rows, n, totals, e);
}

struct counted {
    struct report_mail_sums *out;
    int64_t                  day_us;
};

static int each(void *ctx, const struct store_counter *c)
{
    const struct counted    *to = ctx;
    struct report_mail_sums *out = to->out;

    if (c->slot_us != to->day_us)
        return 0;
    if (span_is(c->name, "taken"))
        out->taken = c->value;
    else if (span_is(c->name, "refused"))
        out->refused = c->value;
    else if (span_is(c->name, "later"))
        out->later = c->value;
    for (size_t i = REPORT_MAIL_TAKEN + 1; i < REPORT_MAIL_REASONS; i++)
        if (span_is(c->name, report_mail_reason_words[i]))
            out->dropped[i] = c->value;
    return 0;
}

int report_mail_counted(struct store *s, int64_t now_us, struct report_mail_sums *out, struct err *e)
{
    struct counted to = {out, now_us - now_us % DAY_US};

    *out = (struct report_mail_sums){0};
    return store_counters_list(s, SPAN(SUBJECT), to.day_us, each, &to, e);
}
