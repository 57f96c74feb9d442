/* rulesd/scan_people.h - whom a scan is about: sender and recipients as the cache knows them, and whose rules hold.
 *
 * The rules of a recipient hold for what comes to them; for what leaves us, the sender's do. What was looked up
 * is held until scan_people_drop(): a change meanwhile makes newer scopes, never different ones. */
#ifndef POSTERN_RULESD_SCAN_PEOPLE_H
#define POSTERN_RULESD_SCAN_PEOPLE_H

#include "scan.h"

struct scan_rcpt {
    struct span      sent;    /* as the caller wrote it */
    struct address   address; /* full.n == 0: nobody, or not readable */
    struct audience *audience;
    struct scope    *scopes[3]; /* those of the recipient; global is the scan's */
    enum direction   direction;
};

/* 0: everybody is known, and every scope held. 1: the cache was asked, wakes the scan, and is then to be called
 * again; the scan must not be touched before. -1: scan->err says why not. */
int  scan_people_find(struct scan *s);
void scan_people_drop(struct scan *s);

/* The recipient as the caller wrote it, and which way the message goes for it. */
struct span    scan_rcpt_sent(const struct scan *s, size_t i);
enum direction scan_rcpt_direction(const struct scan *s, size_t i);
/* Whose rules held: outbound, the sender's. */
const struct audience *scan_rcpt_audience(const struct scan *s, size_t i);

#endif
