/* portal/programs.h - what the other programs say of themselves: they are processes of their own, and what they know is asked of them
 * where the settings say that they listen (/metrics), never guessed. Who cannot be asked is said to be unknown. */
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
enum program_asked { ASKED_RULESD, ASKED_TRAINER, ASKED_DIGEST, PROGRAMS_ASKED };
/* Blocks, PROGRAM_ASK_MS for each of its addresses at most. */
void program_ask(const struct settings *s, enum program_asked which, struct program *out);
void program_fini(struct program *p);

/* What rulesd tells of the scanner and the disk; nothing of it is there where it was not told. */
struct rulesd_figures {
    bool   has_scanner, has_room;
    double asked, answered, failed, timeouts, seconds, well;
    double room; /* bytes beyond [quarantine] min_free */
};
void rulesd_figures_read(struct span told, struct rulesd_figures *out);

#endif
