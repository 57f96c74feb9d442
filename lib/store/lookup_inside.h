/* lib/store/lookup_inside.h - what the files of lookup.h share. For them alone.
 *
 *   lookup.c         the files themselves, what is asked of both kinds, and Postfix's
 *   lookup_follow.c  SpamAssassin's: all of it, what a change touches, what has run out
 *   lookup_scope.c   what the rules and the threshold of one scope come to, as rows
 *   lookup_names.c   who else reads them: aliases and the catch-all of a domain
 *
 * A row of SpamAssassin's has the key of its scope, a path of ids: "/", "DOMAIN/" or "DOMAIN/MAILBOX", so that what a domain takes along
 * when it goes is found by its prefix. All that writes is called in a transaction. */
#ifndef POSTERN_STORE_LOOKUP_INSIDE_H
#define POSTERN_STORE_LOOKUP_INSIDE_H

#include "store/domain.h"
#include "store/lookup.h"
#include "store/row.h"
#include "store/setting.h"

#define LOOKUP_PAGE 1000
#define LOOKUP_KEY_MAX (2 * 32 + 2)

struct store_lookup {
    enum lookup_kind kind;
    struct db       *db;
    bool             view; /* the database itself is what is read: there is nothing to write */
};

/* ---- lookup_follow.c ---- */
int lookup_spamassassin_fill(struct store_lookup *l, struct store *s, struct err *e);
/* In a transaction of its own. */
int lookup_spamassassin_change(struct store_lookup *l, struct store *s, const struct store_change *c, struct err *e);

/* ---- lookup_scope.c ---- */
void lookup_domain_key(const struct uuid *domain, char out[LOOKUP_KEY_MAX + 1]);
/* 1: it is there and judged, 0: it is not, -1. */
int lookup_domain(struct store *s, struct uuid id, struct arena *a, struct store_domain_view *v, struct err *e);
/* What it comes to now; drop: in the place of what is there. */
int lookup_scope_write(struct store_lookup *l, struct store *s, struct store_scope scope, bool drop, struct err *e);
/* A domain with everything in it. / A mailbox that may not be there any more. */
int lookup_domain_drop(struct store_lookup *l, const struct uuid *domain, struct err *e);
int lookup_mailbox_drop(struct store_lookup *l, const struct uuid *domain, const struct uuid *mailbox, struct err *e);

/* ---- lookup_names.c ---- */
/* Those of one domain anew. / Those of many, of which there are none yet. */
int lookup_names_write(struct store_lookup *l, struct store *s, const struct uuid *domain, struct err *e);
int lookup_names_fill(struct store_lookup *l, struct store *s, const struct uuid *domains, size_t n, struct err *e);

#endif
