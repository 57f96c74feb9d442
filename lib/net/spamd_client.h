/* lib/net/spamd_client.h - what we ask a SpamAssassin's spamd, and what it answers (protocols.md 1.9). Pure: bytes in, bytes out.
 *
 * REPORT   is asked, since only its table gives each symbol its points; how it looks is for the site to say, so where no table is
 *          found in it, SYMBOLS is asked for the names alone.
 * Prefix   SpamAssassin knows client and envelope from header fields only, and believes the topmost: what a caller stated is put on
 *          top of the message, so that none that came with it is believed. Only then do its words on SPF mean our envelope. */
#ifndef POSTERN_NET_SPAMD_CLIENT_H
#define POSTERN_NET_SPAMD_CLIENT_H

#include "net/scanner.h"

/* The bytes that go before the message: request, header fields and prefix. Behind the message comes "\n" if it does not end in one: the
 * length counts it. True when client and envelope sender both stand in the prefix. */
bool spamd_put_question(struct buf *out, const struct scanner_ask *ask, bool names_only, const char *our_host,
                        int64_t now_us);
/* Does a final "\n" have to follow this message? */
static inline bool spamd_needs_end(struct span message) { return message.n == 0 || message.p[message.n - 1] != '\n'; }

/* A whole answer, up to where the peer closed. Fills score, required_score, action (add header, or no action) and symbols, with their
 * points where the report has a table; *table_out tells. All text is in the arena. ERR_PROTOCOL: no such answer, a wrong length,
 * or an error of the peer's. */
int spamd_read_answer(struct span in, bool names_only, struct arena *a, struct rspamd_reply *out, bool *table_out,
                      struct err *e);

#endif
