/* rulesd/reply.h - what a scan's outcome looks like to callers: symbols, words for people, header fields (design.md 2.5, 7).
 *
 * Names    symbols begin with the prefix of the recipients' brand, texts with its name; where they have none, or several, with [rules]
 *          prefix and [portal] name.
 * Replies to class scan hold no rule. In observe mode the reply is the scanner's own, and without one that
 * nothing is the matter. All text is in the
 * arena of the scan. */
#ifndef POSTERN_RULESD_REPLY_H
#define POSTERN_RULESD_REPLY_H

#include "net/rspamd.h"
#include "net/spamd.h"
#include "scan.h"

#define REPLY_SPAMD_THRESHOLD 6.0

/* Towards Rspamd's clients. `milter`: with header fields and recipients to drop. */
void reply_rspamd(struct scan *s, bool milter, int64_t now_us, struct rspamd_reply *out);
/* Towards spamd's, and RSPAMC. */
void reply_spamd(struct scan *s, const char *host, struct spamd_result *out);
/* What the sender was told, as the log keeps it: "554 5.7.1 Blocked by the recipient's rules (8f3a01c2)". In the scan's arena. */
struct span reply_told(struct scan *s);
/* A path without its brackets: neither the milter protocol nor the log wants them. */
struct span reply_bare(struct span path);
/* For the counters. */
enum metric_verdict reply_verdict(const struct scan *s);

#endif
