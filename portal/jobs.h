/* portal/jobs.h - work on many messages at once, done beside the requests: one thread that takes steps of jobs (store/job.h).
 *
 * Each message is done as if its person had pressed it then: who may no more by that time, does no more. */
#ifndef POSTERN_PORTAL_JOBS_H
#define POSTERN_PORTAL_JOBS_H

#include "portal.h"

struct jobs;
int  jobs_start(struct portal *p, struct jobs **out, struct err *e);
void jobs_stop(struct jobs **j); /* when the message at hand is done */

#endif
