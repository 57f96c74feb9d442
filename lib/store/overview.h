/* lib/store/overview.h - the log at a glance, for who answers for the service or a domain: how much comes, what is under way, what waits.
 *
 * Each call is a few statements over indexes that hold little but what is counted; none reads the rows of messages. */
#ifndef POSTERN_STORE_OVERVIEW_H
#define POSTERN_STORE_OVERVIEW_H

#include "store/message.h"

#define DELIVERY_STATUSES (STATUS_REJECTED + 1)

/* How many messages were judged since then; and when the last one was (0: none is in the log). */
int store_overview_messages(struct store *s, int64_t since_us, int64_t *n_out, struct err *e);
int store_overview_last(struct store *s, int64_t *at_us_out, struct err *e);
/* The deliveries of a domain since then by status, and when its last message came (0: none). */
int store_overview_domain(struct store *s, struct uuid domain, int64_t since_us, int64_t by_status[DELIVERY_STATUSES],
                          int64_t *last_us_out, struct err *e);

/* The deliveries to a mailbox between the two, by status. */
int store_overview_mailbox(struct store *s, struct uuid mailbox, int64_t since_us, int64_t until_us,
                           int64_t by_status[DELIVERY_STATUSES], struct err *e);

/* How many of those that count as spam were discarded and not let pass; of a mailbox or a domain. */
int store_overview_discarded(struct store *s, struct store_scope scope, int64_t since_us, int64_t until_us,
                             int64_t *n_out, struct err *e);

/* What the mail server has not delivered yet, as its log has told, by how long ago it came. What is older than a mail server keeps
 * anything has an end that the log never told. */
struct store_overview_queue {
    int64_t hour, day, days, older; /* under an hour, a day, QUEUE_DAYS_US, and beyond */
    int64_t oldest_us;              /* of all but the older ones; 0: nothing is queued */
    bool    followed;               /* a log of the mail server is read, or was */
};
#define QUEUE_DAYS_US (6 * 86400 * INT64_C(1000000))
/* domain NULL: everywhere. */
int store_overview_queue(struct store *s, const struct uuid *domain, int64_t now_us, struct store_overview_queue *out,
                         struct err *e);

/* Of what waits: how many, and since when the oldest does (0: none). */
struct store_overview_waiting {
    int64_t n, oldest_us;
};
/* Releases under way; those that nobody can tell whether they arrived; and people who ask for one. domain NULL: everywhere. */
struct store_overview_releases {
    struct store_overview_waiting open, unknown, asked;
};
int store_overview_releases(struct store *s, const struct uuid *domain, struct store_overview_releases *out,
                            struct err *e);

/* What was taken into custody since then, and when the first of it was (0: nothing). */
int store_overview_kept(struct store *s, int64_t since_us, int64_t *bytes_out, int64_t *first_us_out, struct err *e);

#endif
