/* lib/rules/evaluation.h - one message being asked about: for evaluate*.c alone.
 *
 * evaluate_facts.c prepares what is looked up; evaluate_gather.c finds the rules that could match; evaluate.c tries them and
 * keeps what was found out; evaluate_condition.c judges one condition; evaluate_sentence.c says it to a person. */
#ifndef POSTERN_RULES_EVALUATION_H
#define POSTERN_RULES_EVALUATION_H

#include "rules/evaluate.h"
#include "rules/scope_layout.h"

#define LOOK_EVERY 8192 /* steps between looks at the clock, some 100 µs */

/* What a fact is looked up by; several of one kind. */
struct hashes {
    uint64_t *list;
    size_t    n, cap;
    bool      made;
};

/* What look-ups yield: rule << 32 | entry. */
#define KEY_ALWAYS UINT32_MAX /* for the entry: the rule is tried on every message */
struct keys {
    uint64_t *list;
    size_t    n, cap;
};

/* An attachment as conditions see it: folded. */
struct attachment {
    struct span name, extension, type;
    bool        clean;
};

/* Keys that are never 0 to pointers, in the arena. */
struct table_cell {
    uint64_t key;
    void    *value;
};
struct table {
    struct table_cell *cells;
    size_t             n, cap;
};

struct evaluation {
    const struct facts *facts;
    struct message     *message;
    struct arena       *arena;

    uint64_t work, look_at; /* rough steps; at look_at the CPU clock is read */
    int64_t  cpu_begun_us;
    bool     clock_runs;
    bool     busy; /* yield_us is used up: everything unwinds */
    bool     late; /* EVALUATE_CPU_US is used up: what is left is unknown */

    struct regex_budget regex_budget;
    size_t              regex_limits;
    bool                touched_body;

    bool                  from_read, attachments_read, attachments_limit;
    enum fact             from;
    const struct address *from_list;
    size_t                nfrom;
    struct attachment    *attachments;
    size_t                nattachments;
    struct span           host, helo; /* fit for regexes; p == NULL: not made */

    struct span client_text; /* the client's address, to be shown */

    struct hashes sender, server, signers;
    struct table  scopes;
    void         *scratch;     /* a memo of evaluate.c */
    struct hashes rcpt_hashes; /* these three are used anew for each recipient or condition */
    struct keys   rcpt_keys, own_keys;
};

/* ---- evaluate_facts.c ---- */

/* Counts steps. True when everything has to unwind or become unknown: see busy and late. */
bool      evaluation_spend(struct evaluation *ev, size_t steps);
enum fact evaluation_from(struct evaluation *ev, const struct address **list_out, size_t *n_out);
/* The texts of the body; FACT_UNKNOWN also when busy. */
enum fact evaluation_texts(struct evaluation *ev, bool source, const struct message_text **list_out, size_t *n_out);
const struct attachment *evaluation_attachments(struct evaluation *ev, size_t *n_out, bool *limit_out);
struct span              evaluation_host(struct evaluation *ev);
struct span              evaluation_helo(struct evaluation *ev);
const struct hashes     *evaluation_sender_hashes(struct evaluation *ev);
const struct hashes     *evaluation_server_hashes(struct evaluation *ev); /* host and HELO */
const struct hashes     *evaluation_signer_hashes(struct evaluation *ev);
/* Of a name and each of its parents; of a text. */
void hashes_add_domain(struct evaluation *ev, struct hashes *h, struct span domain);
void hashes_add(struct evaluation *ev, struct hashes *h, struct span text);
/* The cell of a key, made when it is not there; NULL when the arena is full. */
void **table_at(struct evaluation *ev, struct table *t, uint64_t key);

/* ---- evaluate_gather.c ---- */

/* Everything that the message alone says, sorted. False when busy: it has to be done again. */
bool gather_message(struct evaluation *ev, const struct ruleset *rs, struct keys *out);
/* Everything that the recipient (or NULL) says. Valid until the next recipient. */
const struct keys *gather_recipient(struct evaluation *ev, const struct ruleset *rs, const struct rcpt_facts *rcpt);
/* The entries of a condition that is filed by itself which could be true by the message, or by the recipient; all others are
 * false. NULL: that cannot be told, so all have to be tried. Valid until the next call. */
const struct keys *gather_own(struct evaluation *ev, const struct ruleset *rs, const struct stored_condition *c,
                              const struct rcpt_facts *rcpt, bool by_rcpt);

/* ---- evaluate_condition.c ---- */

/* What a condition (without its `not`) is, and by what. */
struct finding {
    uint8_t     truth; /* enum fact */
    bool        by_helo, by_resolved, by_client;
    bool        proven; /* a sender: by an address that is proven, or by the receiving side */
    uint32_t    entry;  /* index in the ruleset; meaningful when FACT_YES and the condition has entries */
    const char *limit;  /* FACT_UNKNOWN */
    struct span seen;
};

/* One condition, asked. `some`: only these entries are tried (the low 32 bits of each); else all of them. */
struct question {
    struct evaluation             *ev;
    struct regex_budget           *scope_budget;
    const struct ruleset          *rs;
    const struct stored_rule      *rule;
    const struct stored_condition *condition;
    bool                           some;
    const uint64_t                *keys;
    size_t                         nkeys;
};
/* By the message alone; by the receiving side alone. The condition is the or of the two. */
struct finding condition_by_message(const struct question *q);
struct finding condition_by_rcpt(const struct question *q, const struct rcpt_facts *rcpt);
struct finding finding_or(struct finding a, struct finding b);

#endif
