/* portal/health.h - /healthz and /metrics, beside the pages and the API on the same listener.
 *
 * /healthz  200 "ok", or 503 while the database is away: to anybody.
 * /metrics  metrics.h: to [portal] metrics_from alone, by the address that connects, and never what a proxy passes on: 404 to all
 *           others, as for what does not exist. */
#ifndef POSTERN_PORTAL_HEALTH_H
#define POSTERN_PORTAL_HEALTH_H

#include "portal.h"

/* False: it is neither of these. */
bool health_serve(struct worker *w, const struct httpd_request *r, struct httpd_reply *out);

#endif
