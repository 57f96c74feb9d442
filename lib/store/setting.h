/* lib/store/setting.h - thresholds and settings: built in, then global, then the domain's, then the mailbox's.
 *
 * A field that is not set inherits. Thresholds: 0 < greylist < add_header < reject <= 999 among those that are
 * on; 999 is off. The order is checked with the inherited values, and for a domain also with what its mailboxes
 * have set; a change that would break it is refused and nothing is stored. */
#ifndef POSTERN_STORE_SETTING_H
#define POSTERN_STORE_SETTING_H

#include "rules/decide.h"
#include "store/account.h"
#include "store/brand.h"

extern const struct thresholds store_thresholds_built_in; /* 15, 6, 4 */
/* What can be done with spam: an index, and enum action. */
extern const char *const disposition_words[]; /* "tag", "quarantine", "discard", "reject", NULL */
extern const enum action disposition_actions[];

/* One row as stored; NAN, -1: not set. */
struct store_setting {
    double  reject, add_header, greylist;
    int     at_block;           /* index of disposition_words: what a block does. Built in: reject */
    int     at_reject;          /* and a score that reaches the threshold `reject`. Built in: reject */
    int     at_add_header;      /* and one that reaches `add_header`. Built in: tag */
    int     greylisting;        /* 0, 1. Built in: off */
    int     regex_role;         /* enum role: who may write regexes. Built in: owner */
    int     mailbox_thresholds; /* 0, 1: may a mailbox have its own. Built in: no */
    int64_t rules_max;          /* rules of the domain. Built in: 5,000 */
    int64_t mailbox_rules_max;  /* rules of each mailbox. Built in: 500 */
    int64_t retention_days;     /* of held mail. Built in: 0, what [quarantine] retention_days says */
    int64_t held_max;           /* bytes held for the domain, as they are stored. Built in: 0, no limit */
    int64_t mailbox_held_max;   /* and for each mailbox. Built in: 0, no limit */
    int     copies;             /* 0, 1: are delivered messages kept for [copies] delivered_hours. Built in: no */
    int     enrol;              /* index of enrol_words: who may sign in without an account. Built in: listed */
};
/* Those whose mailbox is listed; those who were delivered to lately; nobody. */
enum enrol { ENROL_LISTED, ENROL_DELIVERED, ENROL_CLOSED };
extern const char *const enrol_words[]; /* "listed", "delivered", "closed", NULL */
#define STORE_SETTING_NONE                                                                                             \
    ((struct store_setting){__builtin_nan(""), __builtin_nan(""), __builtin_nan(""), -1, -1, -1, -1, -1, -1, -1, -1,   \
                            -1, -1, -1, -1, -1})
int store_setting_get(struct store *s, struct store_scope scope, struct store_setting *out, struct err *e);
extern const struct store_setting store_setting_built_in;
/* What holds where it is set nowhere below: built in, global, and the domain's (NULL: without). */
int store_setting_holds(struct store *s, const struct uuid *domain, struct store_setting *out, struct err *e);
/* Replaces the row: get, change, set. A mailbox has thresholds and nothing else, where its domain permits them. Quotas, copies,
 * and what is global, are the operator's to change. */
int store_setting_set(struct store *s, const struct actor *by, struct store_scope scope, const struct store_setting *to,
                      struct err *e);

/* What holds in a domain, inheritance done: all that rulesd needs to know beside the rules. */
struct store_domain_view {
    struct uuid         id;
    char                name[STORE_DOMAIN_MAX + 1];
    char                route[STORE_ROUTE_MAX + 1];                              /* where its mail goes on to; "" */
    char                brand[BRAND_NAME_MAX + 1], prefix[BRAND_PREFIX_MAX + 1]; /* of its brand; "" without one */
    bool                active;
    struct thresholds   thresholds;
    struct dispositions dispositions;
    bool                greylisting, mailbox_thresholds, copies;
    enum role           regex_role;
    int64_t             rules_max, mailbox_rules_max;
    int64_t             retention_days, held_max, mailbox_held_max; /* 0: as the settings say; no limit */
    struct uuid        *assigned;                                   /* global policies, enabled ones; in the arena */
    size_t              nassigned;
};
/* domain NULL: the global values, for a message without a recipient of ours. */
int store_domain_view(struct store *s, const struct uuid *domain, struct arena *a, struct store_domain_view *out,
                      struct err *e);

struct store_mailbox_view {
    struct uuid       id, domain;
    bool              enabled;
    struct thresholds thresholds; /* what holds: its own where the domain permits and it has one */
};
int store_mailbox_view(struct store *s, struct uuid mailbox, struct store_mailbox_view *out, struct err *e);

/* May `by` write regular expressions into rules of that scope? The operator always, into global ones nobody else; accounts,
 * and API keys where they are bound, by their role in the domain and its regex_role. For struct rule_check. */
int store_may_regex(struct store *s, const struct actor *by, struct store_scope scope, bool *out, struct err *e);

#endif
