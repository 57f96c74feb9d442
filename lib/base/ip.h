/* lib/base/ip.h - IP addresses and blocks of them. */
#ifndef POSTERN_BASE_IP_H
#define POSTERN_BASE_IP_H

#include "base/err.h"

/* An IP address; v4 is kept as v4-mapped v6, so one compare serves both. */
struct ip {
    uint8_t b[16];
};
#define IP_TEXT 46 /* with the NUL */

/* "192.0.2.7", "2001:db8::1", "[2001:db8::1]", "IPv6:2001:db8::1"; with ":port" behind only when `port_ok` (Rspamd's
 * proxy sends it so). No scope ids. */
bool              ip_parse(struct span text, bool port_ok, struct ip *out);
bool              ip_is_v4(const struct ip *ip);
void              ip_format(const struct ip *ip, char out[IP_TEXT]);
static inline int ip_cmp(const struct ip *a, const struct ip *b) { return memcmp(a->b, b->b, 16); }

/* A closed range. */
struct ip_block {
    struct ip first, last;
};
/* "192.0.2.7", "192.0.2.0/24", "2001:db8::/32", "192.0.2.10-192.0.2.99". Refused, with the offset: host bits set in a CIDR
 * block (the cure names the block meant), an end before its start, ends of two families. */
int  ip_block_parse(struct span text, struct ip_block *out, struct err *e);
bool ip_block_holds(const struct ip_block *b, const struct ip *ip);
/* The block of `bits` (counted in the address's own family) around ip: greylisting's /24 and /64. */
struct ip ip_network(const struct ip *ip, unsigned bits);

#endif
