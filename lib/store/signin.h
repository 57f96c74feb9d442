/* lib/store/signin.h - asking for a sign-in link, and what the link is good for.
 *
 * Asked    in one browser, which keeps a token of its own (a cookie). The link has another token. Both are stored as SHA-256.
 * Used     once, within SIGNIN_US: by the link in the browser that asked, or by a six-digit code, which another browser that has the
 *          link shows, typed into the first. SIGNIN_WRONG_MAX wrong codes burn it. A later question for the same address from the same place (ip)
 *          burns those before it; from elsewhere it does not, since anybody can ask: else nobody's link would last. One that is used
 *          burns all the others.
 * Operator a link made without a browser (`postern login-link`) opens in any, and it alone lets an admin in.
 * Unknown  an address that nobody may sign in with gets a row too, which nothing opens. */
#ifndef POSTERN_STORE_SIGNIN_H
#define POSTERN_STORE_SIGNIN_H

#include "store/account.h"

#define SIGNIN_US (10 * 60 * INT64_C(1000000))
#define SIGNIN_WRONG_MAX 5
#define SIGNIN_TOKEN_TEXT 43
#define SIGNIN_CODE_TEXT 6

struct store_signin {
    struct uuid id;
    char        login[STORE_ADDRESS_MAX + 1];
    /* by_operator: made without a browser; filled in by store_signin_look() and _use(). */
    bool    known, by_operator;
    char    device[200], ip[48];
    int64_t created_us, expires_us;
};
/* Uses login, known, device, ip. browser empty: the operator's. Joins an open transaction: the mail goes into the outbox in the same one. */
int store_signin_ask(struct store *s, const struct store_signin *ask, struct span browser, int64_t now_us,
                     char token_out[SIGNIN_TOKEN_TEXT + 1], struct err *e);
/* What a link is about, without using it. *same_out: it is this browser (its cookie; empty: none) that asked. ERR_NOT_FOUND: used, over,
 * burnt, or never there. */
int store_signin_look(struct store *s, struct span token, struct span browser, int64_t now_us, bool *same_out,
                      struct store_signin *out, struct err *e);
/* The link, pressed in the browser that asked. ERR_NOT_FOUND as above; ERR_DENIED: it is another browser. */
int store_signin_use(struct store *s, struct span token, struct span browser, int64_t now_us, struct store_signin *out,
                     struct err *e);
/* The link, opened in another browser: a code for the first one; a new one each time. */
int store_signin_code(struct store *s, struct span token, int64_t now_us, char code_out[SIGNIN_CODE_TEXT + 1],
                      struct err *e);
/* The code, typed into the browser that asked. ERR_DENIED: wrong; *left_out more tries. ERR_NOT_FOUND: burnt, over, or none asked. */
int store_signin_type(struct store *s, struct span browser, struct span code, int64_t now_us, int64_t *left_out,
                      struct store_signin *out, struct err *e);
int store_signin_trim(struct store *s, int64_t now_us, struct err *e);

/* Who may sign in with an address: an account that is active, a mailbox whose domain lets people enrol, or an address that is one as soon as
 * mail was delivered to it (enrol.h). Never an alias, a list or a catch-all. ERR_NOT_FOUND: nobody. has_account false:
 * store_signin_enrol() makes it. */
struct store_signin_who {
    bool                 has_account;
    struct store_account account;
    bool                 has_mailbox; /* of that address, and nobody's yet or the account's own */
    struct uuid          mailbox;
    bool                 delivered; /* there is no mailbox yet: store_signin_enrol() makes it, in this domain */
    struct uuid          domain;
};
int store_signin_who(struct store *s, struct span login, struct store_signin_who *out, struct err *e);
/* What the first sign-in makes: the account of a mailbox that had none, and the tie between the two. */
int store_signin_enrol(struct store *s, const struct actor *by, struct span login, struct store_signin_who *who,
                       struct err *e);

#endif
