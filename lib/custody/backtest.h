/* lib/custody/backtest.h - what a rule would have done to the mail that the log remembers.
 *
 * The rule is asked about each delivery of its scope, the newest first, with what the log keeps: From address, envelope sender,
 * recipient, subject, IP, host, HELO, size, names and types of attachments, and the scanner's symbols for who is proven. What it does
 * not keep (the body, header fields but the subject, whose signatures were valid) is unknown, and so is a rule that hangs on it;
 * a rule that does not hold for another reason does not hold.
 * Bounded   BACKTEST_DAYS, BACKTEST_MAX deliveries, BACKTEST_US: the result says how far it came. */
#ifndef POSTERN_CUSTODY_BACKTEST_H
#define POSTERN_CUSTODY_BACKTEST_H

#include "custody/report.h"
#include "store/search.h"

#define BACKTEST_DAYS 30
#define BACKTEST_MAX 5000
#define BACKTEST_US 2000000
#define BACKTEST_SAMPLES 20

enum backtest_answer {
    BACKTEST_NO,
    BACKTEST_MATCH,
    BACKTEST_UNPROVEN, /* an allow by name that would have held, had the sender been proven */
    BACKTEST_UNKNOWN,
};

/* ---- one message: pure ---- */

/* A rule, made ready to be asked often. In the arena, but for the scope: backtest_rule_drop(). */
struct backtest_rule {
    const struct rule *rule;
    struct scope      *scope;    /* of the conditions that the log can judge; NULL: there is none of them */
    unsigned           unjudged; /* 1 << enum condition_kind: what the log does not keep */
};
int  backtest_rule_init(struct backtest_rule *b, const struct rule *r, struct arena *a, struct err *e);
void backtest_rule_drop(struct backtest_rule *b);

/* A delivery as the log has it. */
struct backtest_mail {
    const struct store_message *message;
    struct span                 recipient, mailbox; /* as given; the address of its mailbox, or empty */
    struct proof                proof;
};
int backtest_ask(const struct backtest_rule *b, const struct backtest_mail *m, struct arena *a,
                 enum backtest_answer *out, struct err *e);

/* ---- a scope ---- */

struct backtest_sample {
    struct store_row row;
    bool             reported_ham, reported_spam;
};
struct backtest_result {
    int64_t                looked, matched, unproven, unknown;
    int64_t                released, reported_ham, reported_spam; /* of those that matched */
    unsigned               unjudged;                              /* of the rule, as above */
    bool                   whole;                                 /* all of BACKTEST_DAYS; else it ended at since_us */
    int64_t                since_us;                              /* how far back it came */
    struct backtest_sample samples[BACKTEST_SAMPLES]; /* the newest; what was released or reported comes in any case */
    size_t                 nsamples;
};
/* What the result points to is in `a`. */
int backtest(struct store *s, const struct report_site *site, struct store_scope scope, const struct rule *r,
             struct arena *a, struct backtest_result *out, struct err *e);

#endif
