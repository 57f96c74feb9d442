/* lib/net/prometheus.h - numbers out of what a program of ours tells at /metrics. Pure. */
#ifndef POSTERN_NET_PROMETHEUS_H
#define POSTERN_NET_PROMETHEUS_H

#include "base/span.h"

/* The sum of all numbers of this name, with whatever labels. False: there is none. */
bool prometheus_sum(struct span text, const char *name, double *out);

#endif
