/* lib/rules/rule.h - the rule model (design.md 2.1), and its JSON.
 *
 * A struct rule is what a person wrote, checked and normalised: every entry knows its kind. It lives in an arena and is
 * never changed; it borrows nothing from the JSON that it was read from. The same reader serves the API, imports, and the
 * `conditions` column; the writer gives back what a person would recognise. Refusals name the place ("conditions[2].any[0],
 * character 5"), the reason and the cure, and nothing is half built; e->at is the byte of the JSON, as well as it can be told. */
#ifndef POSTERN_RULES_RULE_H
#define POSTERN_RULES_RULE_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/ip.h"

#define RULE_CONDITIONS_MAX 32
#define RULE_ENTRIES_MAX 10000 /* in one rule */
#define RULE_ENTRY_MAX 1024    /* bytes of one entry */
#define RULE_NAME_MAX 200
#define RULE_NOTE_MAX 2000
#define RULE_PRIORITY_MAX 1000000
#define RULE_JSON_MAX (4 << 20)

enum rule_action { RULE_ALLOW, RULE_BLOCK };
enum rule_flow { FLOW_FROM = 1, FLOW_TO = 2, FLOW_FROM_OR_TO = 3 };
enum rule_source { SOURCE_FROM = 1, SOURCE_ENVELOPE = 2, SOURCE_ANY = 3 };
enum rule_match { MATCH_EXACT, MATCH_CONTAINS, MATCH_STARTS_WITH, MATCH_ENDS_WITH, MATCH_REGEX };

/* clang-format off */
enum condition_kind {
    COND_SENDER, COND_RECIPIENT, COND_SUBJECT, COND_BODY, COND_HEADER, COND_IP, COND_HOST, COND_SIZE, COND_ATTACHMENT,
    COND_SIGNED_BY, COND_KINDS
};
/* clang-format on */

enum entry_kind {
    ENTRY_TEXT,         /* subject, body, header: `text` compared as the condition's match says */
    ENTRY_REGEX,        /* without the slashes */
    ENTRY_ADDRESS,      /* user@domain */
    ENTRY_DOMAIN,       /* domain: itself and its subdomains, also in signed_by */
    ENTRY_DOMAIN_ALONE, /* *@domain; host: an exact name. text is the domain alone */
    ENTRY_SUBDOMAINS,   /* *@*.domain; host "*.domain". text is the domain alone */
    ENTRY_WILDCARD,     /* any other with * ? [ ]; senders and recipients: of the whole address */
    ENTRY_NULL_SENDER,  /* <> */
    ENTRY_IP,
    ENTRY_ATTACHMENT,
};

/* An attachment entry: keys are ANDed; an absent key has p == NULL. Wildcards, compared folded. */
struct attachment_entry {
    struct span extension, mime_type, filename;
    bool        has_present, present;
};

struct entry {
    enum entry_kind kind;
    struct span     text;    /* normal form: folded unless case_sensitive, A-label domains; wildcard or regex source */
    struct span     written; /* as the person wrote it; of an attachment entry: as compact JSON */
    struct ip_block ip;
    struct attachment_entry attachment;
};

struct condition {
    enum condition_kind kind;
    enum rule_match     match;  /* subject, body, header */
    enum rule_source    source; /* sender */
    bool                negated, case_sensitive;
    struct span         header;         /* field name, lower case */
    struct span         header_written; /* as the person wrote it */
    uint64_t            size_min, size_max;
    const struct entry *any;
    size_t              nany;
};

struct rule {
    struct uuid             id; /* zero when not stored yet */
    struct span             name, note;
    enum rule_action        action;
    int32_t                 priority; /* -1,000,000 … 1,000,000; default 100; lower decides */
    bool                    enabled, require_proof, test_only;
    enum rule_flow          flow;
    int64_t                 expires_us; /* 0: never */
    const struct condition *conditions;
    size_t                  nconditions;
};

/* What saving says besides yes or no: shown to the person, never a refusal. */
enum rule_advice {
    ADVICE_NEEDS_PROOF = 1, /* an allow by sender name: of no use where nothing can prove senders, the caller knows */
    ADVICE_SLOW_REGEX = 2,  /* a regex without a required literal of 3 bytes: at most 100 a scope */
    ADVICE_FREEMAIL = 4,    /* needs a confirmation */
};
struct rule_check {
    bool     may_regex;          /* else a regex is refused with ERR_DENIED, naming the domain setting */
    bool     freemail_confirmed; /* else an allow of a free-mail domain is refused with ERR_CONFLICT */
    unsigned advice;             /* out: set of enum rule_advice */
};

/* Reads one rule object. Unknown keys are refused, offering the nearest known one. Defaults as design.md 2.1. check may be
 * NULL (loading what was stored: no policy checks, regexes are not compiled, fast). */
int rule_from_json(struct span json, struct arena *a, struct rule_check *check, struct rule *out, struct err *e);
/* Reads only the array of conditions (the database's column); fills conditions, nconditions and normal forms. */
int rule_conditions_from_json(struct span json, struct arena *a, struct rule_check *check, struct rule *out,
                              struct err *e);
/* A line of import and export: the rule object with "scope" and "policy" beside its keys (p == NULL: not given). */
int rule_line_from_json(struct span json, struct arena *a, struct rule_check *check, struct rule *out,
                        struct span *scope_out, struct span *policy_out, struct err *e);
/* How many of its regexes have no required literal of 3 bytes: they count against SCOPE_SLOW_REGEX_MAX (scope.h). */
size_t rule_slow_regexes(const struct rule *r);
/* The whole rule / the conditions array; compact; defaults left out of conditions only where design.md shows none. */
void rule_put_json(struct buf *out, const struct rule *r);
void rule_put_line_json(struct buf *out, const struct rule *r, struct span scope, struct span policy);
void rule_put_conditions_json(struct buf *out, const struct rule *r);
/* Refuses what must not be stored whatever JSON said: an allow of everything or of a public suffix, no condition, an allow
 * whose only conditions are negated, an allow of a free-mail domain that nobody confirmed (ERR_CONFLICT), a regex that does not
 * compile. Part of rule_from_json when check is given. */
int rule_vet(const struct rule *r, struct rule_check *check, struct err *e);

/* The words of JSON, in the order of the enums; NULL ends each. */
extern const char *const rule_action_words[], *const condition_kind_words[], *const rule_match_words[];
const char *rule_action_word(enum rule_action a);
const char *condition_kind_word(enum condition_kind k);
const char *rule_match_word(enum rule_match m);
const char *rule_flow_word(enum rule_flow f);
const char *rule_source_word(enum rule_source s);
/* The word of the list that a person who wrote `text` most likely meant; NULL for an empty list. */
const char *word_nearest(struct span text, const char *const *words);
/* "1a2b3c4d": the last 8 hex digits, what replies and headers show. */
void rule_short_id(const struct uuid *id, char out[9]);

#endif
