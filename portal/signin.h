/* portal/signin.h - what the other ways in share with signin.c. */
#ifndef POSTERN_PORTAL_SIGNIN_H
#define POSTERN_PORTAL_SIGNIN_H

#include "call.h"

/* "Firefox on Linux": as much of a User-Agent as helps a person to know it again. */
void signin_device(const struct call *c, char out[200]);

#endif
