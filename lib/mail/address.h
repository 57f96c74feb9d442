/* lib/mail/address.h - mail addresses, from the envelope and from header fields (RFC 5321, 5322, 6531, 6532).
 *
 * Our own iterative scanner: groups, nested comments, quoted local parts, source routes, domain literals,
 * obsolete forms, several addresses in one field; whatever bytes come, it answers in linear time and skips what
 * is not an address. Results point into the input or the arena.
 *
 * The normal form   local part: unquoted, unescaped, ASCII letters in lower case, else as it is (UTF-8 is folded
 *                   by text_fold). domain: A-label, lower case, no final dot; a literal keeps its brackets. */
#ifndef POSTERN_MAIL_ADDRESS_H
#define POSTERN_MAIL_ADDRESS_H

#include "base/arena.h"
#include "base/err.h"

struct address {
    struct span local, domain; /* normal form */
    struct span full;          /* local@domain in normal form; empty for the null sender */
    struct span name;          /* header fields only: the display name as written (raw, still encoded), or none */
};

#define ADDRESS_MAX 998 /* bytes of one address as written */
#define ADDRESS_LIST_MAX 10000

/* One envelope path: "<a@b>", "a@b", "<@relay:a@b>", "<>" or "" (null sender: 0 with full.n == 0), a quoted local
 * part, blanks around. -1 and e (with the offset) for anything else. A path without a domain is refused. */
int address_parse_path(struct span text, struct arena *a, struct address *out, struct err *e);

/* Walks the addresses of a header field body (unfolded or not). Zero-initialise, set rest. */
struct address_walk {
    struct span   rest;
    struct arena *arena;
    size_t        count;
    bool          damaged; /* something was skipped that was not an address, or a limit was hit */
};
bool address_next(struct address_walk *w, struct address *out);

/* The domain in normal form: IDN to A-label (libidn2, non-transitional), lower case, no final dot. -1 and e when it
 * cannot be a domain name (empty label, > 63 / > 253 bytes, forbidden characters). Underscore is let through. */
int domain_normalise(struct span domain, struct arena *a, struct span *out, struct err *e);
/* The U-label form for people to read; the input itself when it does not convert. */
struct span domain_display(struct span domain, struct arena *a);

/* Of a normalised domain: the organisational domain by the public suffix list (libpsl's built-in data); the domain
 * itself when it is a public suffix or a literal. A tail of the input. */
struct span domain_org(struct span domain);
bool        domain_is_public_suffix(struct span domain);
/* A domain at which anybody may open a mailbox (a short list of the large ones, ours). */
bool        domain_is_freemail(struct span domain);
/* Is `domain` the same as, or below, `parent`? Both normalised. */
bool domain_is_within(struct span domain, struct span parent);

#endif
