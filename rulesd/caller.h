/* rulesd/caller.h - who is asking, and what their word is worth (design.md 2.2).
 *
 * trust     what the settings say about callers. Immutable, counted: SIGHUP makes a new one, scans under way keep theirs.
 * class     CLASS_MTA may state envelope, user and client address; CLASS_SCAN, everybody else, gets a verdict alone.
 * allowance how many recipients a peer of class scan may still name this minute. Bounded: many peers push out the oldest. */
#ifndef POSTERN_RULESD_CALLER_H
#define POSTERN_RULESD_CALLER_H

#include <stdatomic.h>
#include <sys/types.h>

#include "base/conf.h"
#include "base/ip.h"
#include "rules/origin.h"

enum caller_class { CLASS_SCAN, CLASS_MTA }; /* ascending */
const char *caller_class_word(enum caller_class c);

/* The other end of a connection. */
struct peer {
    bool      is_unix;
    uid_t     uid; /* Unix sockets */
    struct ip ip;  /* TCP */
};
#define PEER_TEXT 64
void peer_format(const struct peer *p, char out[PEER_TEXT]); /* "192.0.2.7", "uid 110" */

struct trust {
    atomic_uint         refs;
    struct ip_block    *mta_from;
    size_t              nmta_from;
    uid_t              *mta_uids;
    size_t              nmta_uids;
    struct ip_block    *relays;
    size_t              nrelays;
    char               *password; /* NULL: nobody has one */
    char               *authserv_id;
    struct origin_trust origin; /* of the above, for lib/rules */
};
/* Copies what it needs. Unknown users are logged and left out; a damaged address or block is an error. */
int           trust_new(const struct settings *settings, struct trust **out, struct err *e);
struct trust *trust_hold(struct trust *t);
void          trust_drop(struct trust **t);

/* By the connection alone. `most`: what the listener permits at best. */
enum caller_class caller_class(const struct trust *t, const struct peer *p, enum caller_class most);
/* In constant time; false when no password is set. */
bool trust_password(const struct trust *t, struct span given);

#define ALLOWANCE_PER_MINUTE 20
struct allowance;
struct allowance *allowance_new(void);
void              allowance_free(struct allowance **a);
/* May this peer name n more recipients? Takes them if so. Peers are IPv4 addresses, IPv6 /64s and users. Any thread. */
bool allowance_take(struct allowance *a, const struct peer *p, size_t n, int64_t now_mono_us);

#endif
