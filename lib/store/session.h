/* lib/store/session.h - who is signed in, from where, and how that was proven.
 *
 * Token    32 random bytes as URL-safe base64 in a cookie; the row has their SHA-256. A new one at every sign-in and elevation, so that
 *          what somebody planted before is worth nothing.
 * Ends     SESSION_IDLE_US after its last use, at expires_us, when revoked, and when the account is disabled or deleted; one that no
 *          password has proven, when the account becomes an admin's: who reads somebody's mail is not who they are.
 * Uses     are written at most once a minute, and move no feed. */
#ifndef POSTERN_STORE_SESSION_H
#define POSTERN_STORE_SESSION_H

#include "store/account.h"

#define SESSION_TOKEN_TEXT 43 /* characters, without the NUL */
#define SESSION_HASH 32
#define SESSION_IDLE_US (14 * 86400 * INT64_C(1000000))
#define SESSION_US (90 * 86400 * INT64_C(1000000))
#define SESSION_STAFF_US (30 * 60 * INT64_C(1000000))
#define SESSION_ELEVATED_US (10 * 60 * INT64_C(1000000))

struct store_session {
    struct uuid id, account;
    char        methods[64];     /* "link", "password totp", "sso" */
    char        acting_for[200]; /* staff hand-off: who really sits there; "" */
    char        device[200];     /* the browser as its User-Agent says, made safe and short */
    char        ip[48];
    int64_t     elevated_until_us, created_us, last_used_us, expires_us;
};

/* Makes the token. Uses account, methods, acting_for, device, ip, elevated_until_us, expires_us (0: SESSION_US from now). Audit:
 * "session.begin". */
int store_session_begin(struct store *s, const struct actor *by, const struct store_session *what, int64_t now_us,
                        struct uuid *id_out, char token_out[SESSION_TOKEN_TEXT + 1], struct err *e);
/* By the token's text: the session and its account, both good at now_us; writes the use. ERR_NOT_FOUND: there is none that holds. */
int store_session_find(struct store *s, struct span token, int64_t now_us, struct store_session *out,
                       struct store_account *account_out, struct err *e);
/* A fresh proof: elevated until then, methods with one more word; the token is a new one, the old one worth nothing. */
int store_session_elevate(struct store *s, const struct actor *by, struct uuid id, const char *method, int64_t now_us,
                          char token_out[SESSION_TOKEN_TEXT + 1], struct err *e);
/* One, or all of an account but `keep` (NULL: all). ERR_NOT_FOUND: it is none of that account. */
int store_session_revoke(struct store *s, const struct actor *by, struct uuid account, struct uuid id, struct err *e);
int store_session_revoke_all(struct store *s, const struct actor *by, struct uuid account, const struct uuid *keep,
                             int64_t *count_out, struct err *e);
/* Those of an account that no password has proven. Joins an open transaction. */
int store_session_revoke_unproven(struct store *s, const struct actor *by, struct uuid account, struct err *e);
typedef int (*store_session_fn)(void *ctx, const struct store_session *x);
/* Those of an account that hold, the latest used first. */
int store_session_list(struct store *s, struct uuid account, int64_t now_us, store_session_fn fn, void *ctx,
                       struct err *e);
/* Does this one still hold? For what goes on after its call was permitted: streams, exports. */
int store_session_holds(struct store *s, struct uuid id, int64_t now_us, bool *out, struct err *e);
/* How many hold. */
int store_session_count(struct store *s, int64_t now_us, int64_t *out, struct err *e);
/* Forgets what ended before. */
int store_session_trim(struct store *s, int64_t now_us, struct err *e);

#endif
