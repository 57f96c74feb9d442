/* rulesd/report_post.h - POST /report: reports of gateways and of scripts that run when mail is moved, with a token of scope "report".
 *
 *     Content-Type: application/json     {"class": "spam|ham|forget", "recipient": ADDRESS, "uid": UID}
 *     anything else                      the message; class and recipient are in the query: /report?class=spam&recipient=ADDRESS
 *
 * Whoever has the token speaks for the recipient: the report counts as theirs. The recipient has to be of a domain of ours that the
 * token is for, and the message of the log one that they received.
 * Bounded  so many a minute for a recipient and for a token; more are answered 429. */
#ifndef POSTERN_RULESD_REPORT_POST_H
#define POSTERN_RULESD_REPORT_POST_H

#include "base/conf.h"
#include "store/store.h"

#define REPORTS_PER_TOKEN 600 /* a minute; a recipient's: custody/report.h */

struct report_posts;
struct report_posts *report_posts_new(const struct settings *settings); /* borrowed */
void                 report_posts_free(struct report_posts **p);

/* The endpoint's work, on a thread that may wait. -1: refused, said in the visit. */
struct visit;
int report_post(struct visit *v, struct store *s);

#endif
