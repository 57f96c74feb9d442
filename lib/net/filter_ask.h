/* lib/net/filter_ask.h - one question to a filter over a connection of its own, and the whole answer: spamd, and Rspamd's controller, close
 * behind each.
 *
 * Blocks, within one time limit for all of it. An IP address or a Unix socket is connected to here; a name by libcurl, whose look-up keeps to
 * the limit. (libcurl for all of it took twice the CPU time of the same by sockets: 0.09 ms more a question, measured with Rspamd.)
 * Errors    ERR_LOST: nobody there, or cut off; ERR_TIMEOUT; ERR_LIMIT: more came than `in` takes. */
#ifndef POSTERN_NET_FILTER_ASK_H
#define POSTERN_NET_FILTER_ASK_H

#include "base/buf.h"
#include "net/filter_url.h"

#define FILTER_ASK_PARTS_MAX 4

/* Connections that have had their answer. To close many at once takes less of a processor than each right behind its answer, while the peer
 * closes its end of it. */
#define FILTER_OVER_MAX 64
struct filter_over {
    int    fds[FILTER_OVER_MAX];
    size_t n;
};
void filter_over_close(struct filter_over *over);

/* Is what came all that will? NULL: the peer tells by closing. */
typedef bool (*filter_whole_fn)(struct span in);
/* Sends the parts, one behind the other, and puts what comes into `in`, up to where it is whole or the peer closes: the caller sees whether
 * something is missing. until_us: of clock_mono_us(). over: where the connection goes that was answered; NULL: it is closed at once. */
int filter_ask(const struct filter_url *at, const struct span *parts, size_t nparts, filter_whole_fn is_whole,
               int64_t until_us, struct filter_over *over, struct buf *in, struct err *e);

#endif
