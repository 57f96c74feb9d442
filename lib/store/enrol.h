/* lib/store/enrol.h - addresses that nobody has listed, of domains whose people may sign in as soon as mail was delivered to them
 * (setting.h: ENROL_DELIVERED).
 *
 * Counts   a message of the last ENROL_DAYS that was delivered, as the mail server's log says, and to that very address.
 * Never    an address that is listed as anything (alias, list, group, sender), a catch-all's, a tagged one, postmaster@ and abuse@; one of a
 *          domain that is an alias of another; and one that the mail server expanded: where a delivery went on to other addresses, it is a
 *          list or an alias that we have not been told of.
 * Bounded  the newest ENROL_LOOK messages for that address are looked at. */
#ifndef POSTERN_STORE_ENROL_H
#define POSTERN_STORE_ENROL_H

#include "store/store.h"

#define ENROL_DAYS 90
#define ENROL_LOOK 20

/* `address` is normalised. *domain_out is set where *out is. */
int store_enrol_delivered(struct store *s, struct span address, int64_t now_us, struct uuid *domain_out, bool *out,
                          struct err *e);

#endif
