/* portal/signin.h - what the ways in share: how a browser is called, and the letter with the link. */
#ifndef POSTERN_PORTAL_SIGNIN_H
#define POSTERN_PORTAL_SIGNIN_H

#include "call.h"
#include "store/signin.h"

#define SIGNIN_MAIL                                                                                                    \
    "signin" /* its kind in the outbox: sealed there, since a link that can be read there lets in who reads */
/* Reads the key, once, at start. Where there is none to be read, one that lasts as long as the process: letters that wait longer are lost. */
void signin_init(struct portal *p);

/* "Firefox on Linux": as much of a User-Agent as helps a person to know it again. */
void signin_device(const struct call *c, char out[200]);

/* Puts the letter with the link into the outbox, in the language that the person has set, or that the browser which asks would rather read.
 * Who asks learns nothing from how long it takes: for strangers the same is done, but it goes nowhere. Joins an open transaction. */
int signin_letter(struct call *c, const struct store_signin *ask, const char *token, const char *language,
                  struct err *e);

#endif
