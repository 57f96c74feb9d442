/* lib/store/handoff.h - who is brought here by an operator's dashboard, and in which browser.
 *
 * Nonce     asked for by a browser, which keeps a token of its own (a cookie); goes into one hand-off, within HANDOFF_NONCE_US.
 * Hand-off  made with an API key, for one account, one portal (audience: its origin), one use, within HANDOFF_US. With a nonce it belongs
 *           to the browser that asked for that; without one, whoever has it is asked before it is used.
 * Holds     as long as the key does and the account is active and no admin's: both are looked at again when it is used.
 * Stored    are SHA-256 alone. */
#ifndef POSTERN_STORE_HANDOFF_H
#define POSTERN_STORE_HANDOFF_H

#include "store/account.h"

#define HANDOFF_US (60 * INT64_C(1000000))
#define HANDOFF_NONCE_US (5 * 60 * INT64_C(1000000))
#define HANDOFF_TOKEN_TEXT 43
#define HANDOFF_STAFF_MAX 199 /* bytes of a name */

struct store_handoff {
    struct uuid id, key, account, domain;
    char        staff_name[HANDOFF_STAFF_MAX + 1]; /* "": the person comes in their own name */
    bool        same_browser;                      /* it was made with a nonce of the browser that asks now */
    int64_t     expires_us;
};

int store_handoff_nonce(struct store *s, struct span browser, int64_t now_us, char nonce_out[HANDOFF_TOKEN_TEXT + 1],
                        struct err *e);
/* Uses key, account, domain, staff_name. nonce empty: none. ERR_INVALID: the nonce is none, was used, or is too old. Audit:
 * "handoff.add". */
int store_handoff_add(struct store *s, const struct actor *by, const struct store_handoff *what, struct span audience,
                      struct span nonce, int64_t now_us, char token_out[HANDOFF_TOKEN_TEXT + 1], struct err *e);
/* Without using it. ERR_NOT_FOUND: used, over, for another portal, or never there; ERR_DENIED: it is another browser's. browser empty:
 * it has asked for no nonce. */
int store_handoff_look(struct store *s, struct span token, struct span audience, struct span browser, int64_t now_us,
                       struct store_handoff *out, struct store_account *account_out, struct err *e);
/* The same, once. Joins an open transaction: the session begins in the same one. */
int store_handoff_use(struct store *s, struct span token, struct span audience, struct span browser, int64_t now_us,
                      struct store_handoff *out, struct store_account *account_out, struct err *e);
int store_handoff_trim(struct store *s, int64_t now_us, struct err *e);

#endif
