/* portal/breadths.h - how far an allow or a block of a message's sender may reach, and how much mail each would have caught.
 *
 * Of the From address (the envelope's where there is none): the address, what of it stays from message to message, its domain, and that
 * with all below it; never the domain of a free-mail house or a public suffix. */
#ifndef POSTERN_PORTAL_BREADTHS_H
#define POSTERN_PORTAL_BREADTHS_H

#include "fields.h"
#include "mail.h"
#include "mail/address.h"

enum reach { REACH_ADDRESS, REACH_STABLE, REACH_DOMAIN, REACH_SUBDOMAINS, REACHES };

struct breadth {
    enum reach  reach;
    struct span sender; /* in the sender grammar of rules */
    int64_t     messages;
};
struct breadths {
    struct address sender;
    bool           envelope; /* it is the envelope's: there was no From to read */
    struct breadth items[REACHES];
    size_t         n;
    bool           shared; /* a free-mail house, or a suffix under which anybody may be */
};
/* ERR_CONFLICT: there is no sender that a rule could be about. */
int breadths_find(struct call *c, const struct mail_delivery *m, struct breadths *out, struct err *e);

/* GET …/breadths: each of them, with how much mail of the scope it would have caught in 30 days. */
struct breadths_query {
    uint64_t given;
    int      action;
};
extern const struct field breadths_fields[];
int                       breadths_call(struct call *c, struct err *e);

#endif
