/* portal/permit.h - who may do what: the one place where that is decided, for every call.
 *
 * A caller stands somewhere in each scope: the person whose mailbox it is, clerk or owner of a domain and so of every mailbox in it,
 * the operator everywhere. A route names the deed and the object (route.h); the object is found first, then the deed asked about the
 * scope that it lives in. Who has no standing there at all gets "there is no such …", the same as for what does not exist; who has
 * too little is told what it takes.
 *
 * Clerks    have the quarantine of other people's mailboxes and of their domain, and nothing else there: the table says which deeds those
 *           are, route_permit() (route.h) that they are about held mail alone. In a mailbox of their own they are the person.
 * Keys      of programs stand where they are bound (store/api_key.h), as high as their role, and never as a person.
 * Links     of a digest stand in the scope of the one delivery that they are about, as the person there and nowhere higher, whoever it was sent to,
 *           and do what the table says links may.
 * Staff     who came by a staff hand-off has the standing of the person, but for what the table says staff may not do. */
#ifndef POSTERN_PORTAL_PERMIT_H
#define POSTERN_PORTAL_PERMIT_H

#include "store/account.h"

/* Ascending. */
enum standing { STANDING_NONE, STANDING_USER, STANDING_CLERK, STANDING_OWNER, STANDING_ADMIN };
extern const char *const standing_words[]; /* "nobody", "user", "clerk", "owner", "admin", NULL */

/* clang-format off */
enum deed {
    DEED_OPEN,            /* no session needed: signing in, brand, health */
    DEED_SELF,            /* one's own account and sessions: any signed-in person */
    DEED_SELF_SECRET,     /* one's own credentials and keys: not staff */
    DEED_EXPORT_SELF,     /* what concerns oneself, as a file: not staff */
    DEED_SUBSCRIBE,       /* one's own digests: not staff */
    DEED_SEE_MAIL,        /* rows of the log, timelines, why */
    DEED_OPEN_BODY,       /* preview, headers, attachments: custody/body.h asks for more */
    DEED_ACT_ON_MAIL,     /* release, report, delete */
    DEED_DECIDE_RELEASE,  /* what was held by policy or for its attachments */
    DEED_RELEASE_VIRUS,
    DEED_EXPORT,
    DEED_SEE_RULES,
    DEED_WRITE_RULES,
    DEED_EXPORT_RULES,
    DEED_SEE_DOMAIN,      /* its settings, policies, people */
    DEED_WRITE_POLICIES,  /* policies, thresholds, lists of a domain */
    DEED_WRITE_PEOPLE,    /* accounts, mailboxes, addresses of a domain */
    DEED_WRITE_DOMAIN,    /* the domain itself */
    DEED_SEE_AUDIT,
    DEED_EXPORT_AUDIT,
    DEED_HAND_OFF,        /* SSO: keys alone */
    DEED_OPERATE,         /* everything that is the operator's: global rules, brands, keys, hosts that we connect to */
    DEEDS
};
/* clang-format on */
extern const struct deed_row {
    const char   *word;
    enum standing least;     /* in the object's scope */
    bool          clerk;     /* may a clerk of the domain, in what is not their own */
    bool          staff;     /* may staff do it */
    bool          link;      /* may a link of a digest, for who presses it */
    const char   *key_scope; /* what an API key needs for it; NULL: no key may */
    const char   *refusal;   /* a sentence for who stands too low */
} deed_rows[DEEDS];

/* Who calls. Everything is borrowed from the call's arena. */
struct who {
    enum { WHO_NOBODY, WHO_SESSION, WHO_KEY, WHO_LINK } kind;
    struct store_account account;    /* of a session; of a link: whose digest it is in */
    struct store_scope   link_scope; /* that its delivery lives in */
    struct uuid          session, key;
    bool                 staff;
    struct span          acting_for; /* staff: who really sits there */
    struct span          methods;    /* how the session was proven */
    int64_t              elevated_until_us;
    enum role            key_role;
    struct span          key_scopes, key_name;
    bool                 key_bound, key_placed; /* to domains; to networks */
    const struct uuid   *key_domains;
    size_t               nkey_domains;
};

/* Where they stand in a scope. A mailbox that is gone: STANDING_NONE, but for the operator. */
int standing_in(struct store *s, const struct who *w, const struct store_scope *scope, enum standing *out,
                struct err *e);
/* 0, or -1 with ERR_NOT_FOUND "there is no such <what>" or ERR_DENIED. */
int permit(struct store *s, const struct who *w, enum deed deed, const struct store_scope *scope, const char *what,
           struct err *e);

#endif
