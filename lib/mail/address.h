/* lib/mail/address.h - mail addresses, from the envelope and from header fields (RFC 5321, 5322, 6531, 6532).
 *
 * Our own iterative scanner: groups, nested comments, quoted local parts, source routes, domain literals,
 * obsolete forms, several addresses in one field; whatever bytes come, it answers in linear time and skips what
 * is not an address. Results point into the input or the arena.
 *
 * The normal form   local part: unquoted, unescaped, ASCII letters in lower case, else as it is (UTF-8 is folded
 *                   by text_fold). domain: as mail/domain.h makes it. The last '@' of `full` is the one between. */
#ifndef POSTERN_MAIL_ADDRESS_H
#define POSTERN_MAIL_ADDRESS_H

#include "mail/domain.h"

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

/* Walks the addresses of a header field body (unfolded or not). Zero-initialise, set rest and arena. What is
 * damaged is read as a mail reader would: "Bob bob@b.example" yields the address, and damaged is set. An empty
 * group and "<>" are no addresses and no damage. */
struct address_walk {
    struct span   rest;
    struct arena *arena;
    size_t        count;
    bool          damaged;                  /* something was skipped that was not an address, or a limit was hit */
    bool          open_quote, open_comment; /* ours: no later one is closed either, so time stays linear */
    bool          tail;                     /* ours: an address ended without a comma behind it */
};
bool address_next(struct address_walk *w, struct address *out);

#endif
