/* lib/rules/origin.h - where a message comes from, and on whose word (design.md 2.1, 2.2). Pure. */
#ifndef POSTERN_RULES_ORIGIN_H
#define POSTERN_RULES_ORIGIN_H

#include "rules/evaluate.h"

struct origin_trust {
    const struct ip_block *relays; /* trusted_relays */
    size_t                 nrelays;
    struct span            authserv_id; /* empty: none */
};

/* From the settings: [rulesd] trusted_relays, [rules] authserv_id. Blocks are in `a`. */
struct conf_list;
int origin_trust_read(const struct conf_list *relays, const char *authserv_id, struct arena *a,
                      struct origin_trust *out, struct err *e);

/* The client: the stated address, or, where that is a trusted relay, the first outside them in the Received lines that they
 * wrote (read from the top, at most 50); none: the stated one. False when nothing is known. */
bool origin_client(const struct origin_trust *t, struct message *m, bool has_stated, const struct ip *stated,
                   struct ip *out);

/* Proof from Authentication-Results fields (RFC 8601) of our authserv-id: dmarc=pass with header.from, spf=pass with
 * smtp.mailfrom or smtp.helo, dkim=pass with header.d; of each method but DKIM the topmost. A field counts when it stands above
 * the first Received line that a trusted relay did not write, or wrote about a client who is none: what is below came with the
 * message. A field that is damaged anywhere counts for nothing. Fills *proof; can_prove is set when an authserv_id is
 * configured. Returns the number of fields that counted. The border MTA has to remove fields that strangers wrote in its name
 * (RFC 8601 5), as those that add such fields do. */
size_t origin_authres(const struct origin_trust *t, struct message *m, bool has_stated, const struct ip *stated,
                      struct arena *a, struct proof *proof);

/* What a caller says of the client, as it says it; empty: nothing. */
struct origin_stated {
    struct span ip, host, helo;
};
/* Fills ip, host, helo and proof of *f by the two above; its message and arena are set. MTAs have several words for a client
 * without a verified name. Where the client stands behind the stated one, the names are the relay's, and none of it. */
void origin_facts(const struct origin_trust *t, const struct origin_stated *s, struct facts *f);

/* The next hop of a route as a domain has it: "smtp://mx.inner.example:25", "[2001:db8::1]:25", a name or an address alone. Fills
 * nexthop, or nexthop_ip; both stay empty for what is none. */
void origin_nexthop(struct span route, struct arena *a, struct rcpt_facts *out);

/* Is an allow by this From (or envelope) address proven? Organisational domains by libpsl (design.md 2.1). */
bool proof_covers(const struct proof *p, const struct address *sender);

/* local: authenticated, to a recipient of ours; outbound: authenticated or ours, to a stranger; else inbound. A sender address
 * of ours alone does not make mail local: anybody can write it, and local mail is neither greylisted nor refused by score. */
enum direction origin_direction(bool authenticated, bool sender_ours, bool rcpt_ours);

/* Over spamd from callers with envelope_lines: the "X-Envelope-From:" and "X-Envelope-To:" lines at the very top, after an
 * mbox From line; several To lines and comma lists, also folded; the first From line counts. *rest_out is the message without
 * them and the mbox line (what is matched and stored). Addresses are as written: mail/address.h reads them. -1: more than
 * ADDRESS_LIST_MAX recipients, or the arena is full. */
struct envelope_lines {
    bool         has_from;
    struct span  from;
    struct span *to;
    size_t       nto;
    struct span  ip; /* of the made-up Received line; empty: there is none */
};
int origin_envelope_lines(struct span raw, struct arena *a, struct envelope_lines *out, struct span *rest_out);

/* As spamass-milter writes them: sender and first recipient, a Received line of its own making ("from HELO (NAME [IP])"), then the further
 * recipients. All of it comes off. Lines that the sender wrote at the top of the message look the same as the last of these: the MTA
 * has to remove them before (docs/spamass-milter.md). */
int origin_milter_lines(struct span raw, struct arena *a, struct envelope_lines *out, struct span *rest_out);

#endif
