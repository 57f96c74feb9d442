/* portal/password.h - is that a password that others would try early?
 *
 * By rule, not by a list of what leaked: from the password, folded (case, "0" for o, "@" for a …), everything is taken away that costs
 * a guesser nothing - the person's own address and name, the names of the service, words that people take for passwords, months and
 * seasons, years, runs of the alphabet, of digits and of the keyboard, repeats - and what is left has to be worth something. */
#ifndef POSTERN_PORTAL_PASSWORD_H
#define POSTERN_PORTAL_PASSWORD_H

#include "base/span.h"

#define PASSWORD_CHARACTERS_MIN 10
#define PASSWORD_WORTH_MIN 5 /* characters that are left */

/* NULL: it will do; else why not, as a sentence. `known`: what a guesser knows of the person: login, name, the brand. Any thread. */
const char *password_refusal(struct span password, const struct span *known, size_t nknown);

#endif
