/* rulesd/server.c - see server.h. */
#include "server.h"

#include "loop.h"

struct metrics_view server_view(const struct server *s, const struct metrics **room)
{
    for (size_t i = 0; i < s->nloops; i++)
        room[i] = &s->loops[i]->metrics;
    return (struct metrics_view){.loops = room,
                                 .nloops = s->nloops,
                                 .cache = s->tools.cache,
                                 .greylist = s->tools.greylist,
                                 .hits = s->tools.hits,
                                 .limited = s->tools.limited,
                                 .scanner = s->tools.scanner,
                                 .journal = s->tools.journal,
                                 .custody = s->tools.custody,
                                 .copies = s->tools.copies,
                                 .follower = s->follower,
                                 .sending = s->tools.sending,
                                 .lookup = s->lookup,
                                 .waiting = workers_waiting(s->workers),
                                 .buffered = atomic_load(&s->buffered),
                                 .started_us = s->started_us};
}
