/* portal/programs.h - what the other programs say of themselves: they are processes of their own, and what they know is asked of them
 * where the settings say that they listen (/metrics), never guessed. Who cannot be asked is said to be unknown.
 *
 * Nodes     [portal] rulesd_nodes names the rulesd of each; all are asked at once, and each is a program of its own in the list. What they
 *           count adds up; of what is no sum (how long the scanner takes, the room on the disk, the load) the worst counts, with
 *           where that is. A node that does not answer is left out, and stands in the list as silent. */
#ifndef POSTERN_PORTAL_PROGRAMS_H
#define POSTERN_PORTAL_PROGRAMS_H

#include "portal.h"

#define PROGRAM_ASK_MS 1500 /* each */

enum program_state {
    PROGRAM_RUNS,
    PROGRAM_AILS,   /* it answers, and its database is away */
    PROGRAM_SILENT, /* it does not answer where it should */
    PROGRAM_UNKNOWN /* the settings have no address for it */
};
extern const char *const program_state_words[]; /* "runs", …, NULL */

struct program {
    const char        *name, *setting; /* setting: what says where it listens */
    const char        *at;             /* there; NULL: nowhere */
    enum program_state state;
    int64_t            since_us; /* running; 0: not told */
    struct buf         told;     /* /metrics, as it came; program_fini() */
};
#define PROGRAM_NODES_MAX 32 /* [portal] rulesd_nodes: main.c takes no more */
#define PROGRAMS_MAX (PROGRAM_NODES_MAX + 2)
/* rulesd, of each node, then trainer and digest; all at once: PROGRAM_ASK_MS for each address of the one that has the most. Returns how
 * many; program_fini() each. */
size_t programs_ask(const struct settings *s, struct program out[PROGRAMS_MAX]);
void   program_fini(struct program *p);

/* What the rulesd of all nodes tell together; nothing of it is there where nobody told it. An `_at` is NULL where there is only one node. */
struct rulesd_figures {
    size_t      nodes;                         /* of which the settings tell */
    size_t      scanners;                      /* nodes that told of theirs */
    int64_t     since_us;                      /* the first start of those that count */
    double      asked, failed, timeouts, well; /* sums */
    double      mean_ms;                       /* of the slowest; NAN: nobody was answered */
    const char *slowest_at;
    bool        has_room;
    double      room; /* bytes beyond [quarantine] min_free, where there are least */
    const char *room_at;
    bool        has_load;
    double      load[3], processors; /* of the busiest */
    const char *load_at;
};
void rulesd_figures_read(const struct program *all, size_t n, struct rulesd_figures *out);

#endif
