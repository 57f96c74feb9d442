/* portal/worker.h - making and ending what a worker has for itself (portal.h), for httpd. */
#ifndef POSTERN_PORTAL_WORKER_H
#define POSTERN_PORTAL_WORKER_H

#include "base/err.h"

int  worker_open(void *ctx, size_t index, void **out, struct err *e);
void worker_close(void *ctx, void *worker);

#endif
