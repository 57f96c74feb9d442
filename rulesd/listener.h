/* rulesd/listener.h - the addresses that we listen on, and what is special about each.
 *
 * "ADDRESS?class=scan&phase=post&mode=observe&envelope_lines=on&discards=on&user_domain=ours.example". discards: the caller accepts a message and drops it when
 * told "quarantine" or "discard" (docs/exim.md), so that what is to be held can be. class may only lower what the caller would be. Over TCP
 * each loop has a socket of its own (SO_REUSEPORT); a Unix socket is shared by all of them. */
#ifndef POSTERN_RULESD_LISTENER_H
#define POSTERN_RULESD_LISTENER_H

#include <stdatomic.h>

#include "net/endpoint.h"
#include "net/wire.h"
#include "caller.h"

struct listener {
    struct endpoint   at;
    enum wire_kind    kind; /* the protocol, where the first bytes do not tell */
    enum caller_class most;
    bool              post, envelope_lines, shm, discards;
    atomic_bool       observe;      /* SIGHUP may change it */
    bool              milter_lines; /* envelope_lines=milter: as spamass-milter writes them */
    struct span       user_domain;  /* "User: anna" is anna at this domain; "": nobody. Text of the settings */
    int              *fds;          /* one a loop; of a Unix socket the first alone */
    size_t            nfds;
};

/* Opens all. -1: nothing stays open, and e names the setting. */
int listeners_open(const struct settings *settings, size_t nloops, struct listener **out, size_t *n_out, struct err *e);
/* Takes the mode of each from settings that were read again; addresses that are not there any more keep theirs. */
void listeners_modes(const struct settings *settings, struct listener *all, size_t n);
/* Closes the sockets, and removes the files of Unix sockets. Loops must not use them any more. */
void listeners_close(struct listener *all, size_t n);
void listeners_free(struct listener **all, size_t n);

#endif
