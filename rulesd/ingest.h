/* rulesd/ingest.h - what other programs tell us: Rspamd's results with their messages, and what became of deliveries.
 *
 * Rspamd's metadata_exporter (protocols.md 4.4) hands over a message when it has been judged, before the MTA hears of it. It is scanned
 * as any other, with Rspamd's answer in the place of our scanner's, and what Rspamd did in the place of what we would have had done:
 * so it is logged, and kept where the domain wants to, before the 200 goes out.
 * Only for recipients of ours, of the domains that the token is for, that have no row under this queue id yet: the same again is
 * answered 200, and nothing comes of it; no row is ever written over. */
#ifndef POSTERN_RULESD_INGEST_H
#define POSTERN_RULESD_INGEST_H

#include "base/err.h"
#include "net/scanner.h"
#include "store/store.h"

#define INGEST_EVENTS_MAX 10000
#define INGEST_JSON_MAX ((size_t)16 << 20)
#define INGEST_SYMBOLS_MAX 2000 /* of one message; more are left out */

struct visit;
struct http_request;

/* The work of the two endpoints, on a thread that may wait. -1: refused, said in the visit. */
int ingest_rspamd(struct visit *v, struct store *s);
int ingest_delivery(struct visit *v, struct store *s);

/* What metadata_exporter says in the head of its request. Pure; spans point into it, or are in `a`. */
struct ingest_told {
    struct span           from; /* "": the null sender */
    const struct span    *rcpt;
    size_t                nrcpt;
    struct span           ip, user, queue_id; /* empty: "unknown" */
    struct scanner_answer answer;
};
int ingest_read_told(const struct http_request *r, struct arena *a, struct ingest_told *out, struct err *e);

/* One delivery report, or a list of them, as events of an MTA. Pure; spans point into the JSON, or are in `a`. ERR_LIMIT: too many. */
struct mail_event;
int ingest_read_events(struct span json, int64_t now_us, struct arena *a, const struct mail_event **out, size_t *n_out,
                       struct err *e);

#endif
