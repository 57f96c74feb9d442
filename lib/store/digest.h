/* lib/store/digest.h - who gets a digest of what, and when the next one is due.
 *
 * Kinds    of a mailbox, for the account whose mailbox it is; of a domain, for an owner of it. Others do not get any: a subscription whose
 *          person has lost the mailbox or the domain stands no more; with account, mailbox or domain it is gone.
 * When     next_us is computed by who knows zones (base/schedule.h) and stored: what is due is found by one index.
 * Claims   a batch by one UPDATE; a lease that lapses lets another do it. Who ends a claim moves next_us on by compare-and-set: what is
 *          done twice moves it once.
 * Audit    "digest.add", "digest.set", "digest.delete", "digest.pause", "digest.default". */
#ifndef POSTERN_STORE_DIGEST_H
#define POSTERN_STORE_DIGEST_H

#include "store/store.h"

#define DIGEST_LEASE_US (2 * 60 * INT64_C(1000000))
#define DIGEST_CLAIM_MAX 32 /* claimed at once */
#define DIGESTS_PER_ACCOUNT 20
#define DIGEST_PAUSED_FOR_GOOD INT64_MAX

enum digest_kind { DIGEST_MAILBOX, DIGEST_DOMAIN };
extern const char *const digest_kind_words[]; /* "mailbox", "domain", NULL */
enum digest_filter { DIGEST_QUARANTINED = 1, DIGEST_BLOCKED = 2, DIGEST_SPAM = 4 };

/* What a person chooses. */
struct store_digest_choice {
    int64_t  minute; /* of the local day; hourly: of the hour */
    bool     hourly;
    unsigned weekdays; /* bit 0: Sunday … bit 6: Saturday, as base/schedule.h has them */
    char     zone[64];
    char     language[16];
    unsigned filters; /* enum digest_filter */
    bool     quiet;   /* a letter a week also where nothing was held */
};
struct store_digest {
    struct uuid                id, account, mailbox, domain;
    enum digest_kind           kind;
    struct store_digest_choice choice;
    int64_t                    paused_until_us; /* 0, or past: it is not */
    int64_t                    next_us, created_us, updated_us;
    char                       address[STORE_ADDRESS_MAX + 1]; /* where it goes: the mailbox, or the account's login */
    char                       of[STORE_ADDRESS_MAX + 1];      /* the mailbox or the domain, as people read it */
    char                       domain_name[STORE_DOMAIN_MAX + 1];
    bool stands; /* account and domain are active, and the account still has the mailbox or owns the domain:
                                          else nothing is sent, and no link of it acts */
};
typedef int (*store_digest_fn)(void *ctx, const struct store_digest *d);

/* Of choice, ERR_INVALID: what no schedule has. The zone's and language's names are the caller's to check. */
int store_digest_choice_check(const struct store_digest_choice *c, struct err *e);
/* When one of that choice is due, the first time after after_us; -1 where base/schedule.h has no answer. */
int store_digest_choice_next(const struct store_digest_choice *c, int64_t after_us, int64_t *next_out, struct err *e);

/* Uses kind, account, mailbox (or domain), choice, next_us. ERR_LIMIT: DIGESTS_PER_ACCOUNT; ERR_DENIED: neither its mailbox nor its
 * domain. */
int store_digest_add(struct store *s, const struct actor *by, const struct store_digest *d, struct uuid *id_out,
                     struct err *e);
/* Writes choice and next_us of d->id. */
int store_digest_set(struct store *s, const struct actor *by, const struct store_digest *d, struct err *e);
/* Until then; 0: goes on. */
int store_digest_pause(struct store *s, const struct actor *by, struct uuid id, int64_t until_us, struct err *e);
int store_digest_delete(struct store *s, const struct actor *by, struct uuid id, struct err *e);
int store_digest_get(struct store *s, struct uuid id, struct store_digest *out, struct err *e);
int store_digest_list(struct store *s, struct uuid account, store_digest_fn fn, void *ctx, struct err *e);
/* All of them, the first made first. */
int store_digest_each(struct store *s, store_digest_fn fn, void *ctx, struct err *e);

/* ---- what is due ---- */
/* At most `max`, up to DIGEST_CLAIM_MAX, whose next_us has come, claimed for `by`; paused ones too. Returns how many, or -1. */
int store_digest_claim(struct store *s, struct span by, int64_t now_us, struct store_digest *out, size_t max,
                       struct err *e);
/* Done with those: each from the next_us that it was claimed with to next_us[i], its lease ended; in one transaction. */
int store_digest_done(struct store *s, const struct store_digest *d, const int64_t *next_us, size_t n, struct err *e);
/* Leases of `by` end: it was killed, and is there again. */
int store_digest_free(struct store *s, struct span by, struct err *e);
/* When the next one is due; 0: there is none. */
int store_digest_next_due(struct store *s, int64_t *out, struct err *e);

/* ---- a domain's own ---- */
/* 1 and what a new mailbox begins with, 0 nothing, -1. */
int store_digest_default(struct store *s, struct uuid domain, struct store_digest_choice *out, struct err *e);
/* NULL: nothing. Those who are there already keep what they have. */
int store_digest_default_set(struct store *s, const struct actor *by, struct uuid domain,
                             const struct store_digest_choice *choice, struct err *e);
/* Who gets a mailbox begins with its domain's default: what mailbox.h calls, in its transaction. Nothing where there is no default, where
 * the account has a digest of it, or DIGESTS_PER_ACCOUNT. */
int store_digest_begin(struct store *s, const struct actor *by, struct uuid domain, struct uuid mailbox,
                       struct uuid account, struct err *e);

#endif
