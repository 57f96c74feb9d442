/* rulesd/scan.h - one message on its way to its verdicts: from a decoded request to what happens (design.md 5).
 *
 * A scan is a small machine that never waits: scan_run() goes on from where it stands until it is done, or needs help.
 * SCAN_DONE   look at `failed`, `refused` and `outcome`.
 * SCAN_ASKS   somebody else has it: the cache reads what is missing, the scanner scans, custody syncs. They call `wake` (on a
 *             thread of their own), then run again. Once it is returned the scan must not be touched before that.
 * SCAN_LATER  the log is behind: run again after SCAN_LATER_US.
 * SCAN_HEAVY  large, for many, or taking long: set on_worker, and run again on a worker thread.
 * One thread at a time; the threads may differ from run to run.
 *
 * With a scanner behind us rules are tried twice: before, to see whether it has to be asked at all, and after,
 * with what it proved of the sender.
 *
 * scan.c is the story from top to bottom. What happens on the way is in files of its own, which never call each
 * other in a circle: scan_repeat, scan_people, scan_judge, scan_scanner, scan_released, scan_settle, scan_hold;
 * and scan_after, once there is a reply. */
#ifndef POSTERN_RULESD_SCAN_H
#define POSTERN_RULESD_SCAN_H

#include "bypass.h"
#include "cache.h"
#include "caller.h"
#include "copies.h"
#include "custody.h"
#include "greylist.h"
#include "hits.h"
#include "listener.h"
#include "metrics.h"
#include "net/scanner.h"
#include "repeat.h"
#include "rules/judge.h"
#include "sending.h"

#define SCAN_ARENA_MAX ((size_t)64 << 20)
#define SCAN_LOOP_BYTES ((size_t)256 << 10) /* larger messages go to a worker at once */
#define SCAN_LOOP_RCPTS 100  /* more recipients do too: their addresses, verdicts and rows take a while */
#define SCAN_LOOP_US 5000    /* of judging on a loop's thread */
#define SCAN_LATER_US 500000 /* how long a scan waits once for a log that is behind */
#define SCAN_LAG_US 2000000  /* when it is that */

/* What the protocols decode into. Spans are as sent, and belong to the request, which outlives the scan. */
struct scan_request {
    enum metric_protocol protocol;
    enum caller_class class;
    const struct listener *listener;
    struct peer            peer;
    struct span            message;
    struct span            from; /* p == NULL: not stated; "<>" or "": the null sender */
    const struct span     *rcpt;
    size_t                 nrcpt;
    struct span            ip, helo, hostname, user, queue_id, tls_version, tls_cipher;
    unsigned               form;             /* of the reply, as its protocol numbers them: a repeat gets the same */
    bool                   drops_recipients; /* the caller acts on milter.del_rcpt */
    bool no_log; /* the caller tells later what came of it (ingest.h): only what is settled now is logged */
    /* NULL, or: it was scanned and dealt with elsewhere. The rules say on whose account that was, it is logged and kept so, and
     * nothing is decided any more. */
    const struct scanner_answer *answered;
};

struct scan_tools {
    const struct settings *settings;
    struct cache          *cache;
    struct greylist       *greylist;
    struct hits           *hits;
    struct allowance      *allowance;
    struct limited_rules  *limited;
    struct repeats        *repeats;
    struct scanner        *scanner;  /* NULL: none */
    struct journal        *journal;  /* NULL: no message log */
    struct custody        *custody;  /* NULL: there is no log, and nothing can be held */
    struct copies         *copies;   /* NULL: none are made of what is delivered */
    struct sending        *sending;  /* NULL: nobody is limited */
    struct bypasses       *bypasses; /* NULL: none can be good */
};

enum scan_step { SCAN_DONE, SCAN_ASKS, SCAN_HEAVY, SCAN_LATER };

/* Where a scan goes on (scan.c). */
enum scan_stage {
    STAGE_BEGIN,
    STAGE_RESOLVE,
    STAGE_JUDGE,
    STAGE_ASK,
    STAGE_ANSWER,
    STAGE_JUDGE_AGAIN,
    STAGE_RELEASED,
    STAGE_SPENT,
    STAGE_SETTLE,
    STAGE_HELD,
    STAGE_OVER,
};

struct scan_rcpt;

/* Lives from the last byte of a request to the last byte of its reply; then scan_end() makes it ready for the
 * next.
 * Owns     the arena, and through it addresses, verdicts and what replies are made of.
 * Holds    trust, audiences and scopes: a change meanwhile makes newer ones, never different ones.
 * Borrows  the request, and through it the message. */
struct scan {
    struct arena             arena;
    struct scan_request      req;
    const struct scan_tools *tools;
    struct trust            *trust;
    struct uuid              uid;
    int64_t                  started_us; /* monotonic */
    int64_t                  cpu_us;     /* spent so far; only counted while somebody logs it */
    void (*wake)(void *ctx);
    void *wake_ctx;
    bool  on_worker;
    bool  observes; /* the listener's mode, as it was when the scan began */

    /* how it came out */
    bool            failed;   /* err says why: the caller should try again */
    bool            refused;  /* over the allowance of class scan */
    struct span     given;    /* a repeat: the reply that was given before; p == NULL: it is none */
    bool            stopped;  /* deferred or refused for a reason of our own, whatever the verdicts were */
    struct span     notice;   /* that reason, as the sender is told, without codes */
    bool            bypassed; /* let through: a released message on its way back in, or mail of our own */
    bool            own;      /* mail of our own: it has its row, and no copy */
    struct err      err;
    const char     *excuse;   /* what the caller is told of that where it is not about the rules; NULL: it is */
    struct outcome  outcome;  /* what to answer */
    struct verdict *verdicts; /* one a recipient, in their order; one for nobody */
    size_t          nverdicts;
    struct message *message;
    size_t          regex_limits;

    struct score_parts           score;
    const struct scanner_answer *answer; /* NULL: not asked, or no answer */
    struct store_message         record; /* ndeliveries == 0: none is to be written */

    /* the machine's own */
    enum scan_stage stage;
    bool            waited; /* for the log */
    enum { REPEAT_ALONE, REPEAT_FIRST, REPEAT_JOINED } repeat;
    uint8_t            repeat_key[FINGERPRINT_BYTES];
    struct repeat_wait repeat_wait;
    struct scanner_ask ask;
    struct bypass_job  pass;
    struct score_parts lifted; /* of a released message: without what was decided about */
    struct custody_job hold;
    unsigned           asked;
    struct address     from;
    bool               has_from;
    struct scan_rcpt  *rcpts; /* nverdicts of them */
    struct audience   *sender;
    struct scope      *global, *sender_scopes[3];
    struct facts       facts;
};

struct scan *scan_new(void);
void         scan_free(struct scan **s);

/* Starts with a copy of req. trust is held. */
void scan_begin(struct scan *s, const struct scan_request *req, const struct scan_tools *tools, struct trust *trust);
enum scan_step scan_run(struct scan *s);
/* Drops what it holds; the memory is kept for the next. */
void scan_end(struct scan *s);

/* Why one failed, in a sentence for its caller: what is in `err` is for our own log. */
const char *scan_excuse(const struct scan *s);

/* For its parts: the arena is at its ceiling. err says so; always -1. */
int scan_full(struct scan *s);

#endif
