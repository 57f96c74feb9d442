/* lib/rules/scope_layout.h - how a compiled scope lies in memory: for scope*.c and evaluate*.c alone.
 *
 * Flat arrays that refer to each other by index. Invariants:
 * 1. rules are sorted by id; `conditions` and `entries` of a rule follow each other, in the order in which they were written.
 * 2. Each rule has one anchor at most: a condition that is not negated, all of whose entries are filed. Whatever makes an
 *    entry of it true is then among the facts that are looked up; so the entries that a look-up yields are a superset of the
 *    true ones, and to judge an anchor nothing but those has to be tried. Rules without one are in `always`.
 * 3. A condition of many entries that is no anchor is filed at a place of its own, so that its entries need not all be tried.
 * 4. The hash table holds 32 bits of a key's hash and no key: what it yields is tried, never believed. */
#ifndef POSTERN_RULES_SCOPE_LAYOUT_H
#define POSTERN_RULES_SCOPE_LAYOUT_H

#include <stdatomic.h>

#include "base/map.h"
#include "rules/literal.h"
#include "rules/regex.h"
#include "rules/scope.h"

/* Where a fact is looked for. Sender and recipient domains, host names and d= are looked up with each of their parents. */
enum place {
    PLACE_SENDER,
    PLACE_RCPT,
    PLACE_HOST,
    PLACE_NEXTHOP,
    PLACE_IP,
    PLACE_NEXTHOP_IP,
    PLACE_SIGNED,
    PLACE_EXTENSION,
    PLACE_MIME,
    PLACE_FILENAME,
    PLACE_ATTACHED, /* whatever asks for some attachment, or for none */
    PLACE_BODY,
    PLACE_SOURCE, /* SOURCE: what regexes see of the body */
    PLACE_HEADER, /* and all above: PLACE_HEADER + index of the field */
};
#define PLACE_OWN 0x80000000u /* + index of the condition */

enum { RULE_PROOF = 1, RULE_TEST = 2, RULE_ASKS_RCPT = 4 };
struct stored_rule {
    struct uuid id;
    int64_t     expires_us;
    int32_t     priority;
    uint32_t    conditions; /* the first */
    uint32_t    name;       /* in text: a byte with the length, then the name; 0: none */
    uint16_t    policy;
    uint8_t     nconditions;
    uint8_t     flags : 4, flow : 2, action : 1;
};

enum { CONDITION_NOT = 1, CONDITION_CASE = 2, CONDITION_ANCHOR = 4, CONDITION_ASKS_RCPT = 8, CONDITION_FILED = 16 };
struct stored_condition {
    uint32_t rule, entries; /* its rule; its first entry */
    uint32_t extra;         /* subject, header: the field; size: the row of sizes */
    uint16_t nentries;
    uint8_t  kind, match, source, flags;
};

struct stored_entry {
    uint32_t condition, text;
    uint32_t extra; /* by kind: the row of ips, attachments, patterns; else 0 */
    uint16_t n;
    uint8_t  kind;
    uint8_t  has_pattern; /* `extra` is a row of patterns */
};

/* What finds an entry whose own text cannot: a wildcard, a regex, a text with a case. `literal` is folded. */
#define NO_REGEX UINT32_MAX
struct stored_pattern {
    uint32_t literal, regex;
    uint16_t n;
};
struct stored_attachment {
    uint32_t key[3]; /* extension, mime_type, filename: in text; 0: absent */
    uint16_t n[3];
    uint16_t literal_n; /* of the file name's wildcard */
    uint32_t literal;
    bool     has_present, present;
};
struct stored_size {
    uint64_t min, max;
};
struct stored_field {
    uint32_t            name;
    uint16_t            n;
    bool                exact;    /* something is filed under a hash of the field's text */
    struct literal_set *literals; /* or NULL */
};
struct stored_literals {
    uint32_t            condition;
    struct literal_set *set;
};
struct stored_written {
    uint32_t text;
    uint16_t n;
};

/* A reference is an entry, or REF_LINKED and a link: many entries under one key. */
#define REF_NONE UINT32_MAX
#define REF_LINKED 0x80000000u
struct slot {
    uint32_t tag, ref;
};
struct entry_link {
    uint32_t entry, next;
};

struct ruleset {
    char                     *text; /* [0] is not used, so that 0 can say "none" */
    struct stored_rule       *rules;
    struct stored_condition  *conditions;
    struct stored_entry      *entries;
    struct stored_pattern    *patterns;
    struct stored_attachment *attachments;
    struct ip_block          *ips;
    struct stored_size       *sizes;
    struct stored_field      *fields;
    struct stored_written    *written; /* one an entry, or NULL */
    struct stored_literals   *own;     /* of conditions that are filed at places of their own, in order */
    uint32_t                 *always;
    struct slot              *slots;
    struct entry_link        *links;
    size_t ntext, nrules, nconditions, nentries, npatterns, nattachments, nips, nsizes, nfields, nalways, nslots,
        nlinks, nown;

    struct regex       *regexes;
    size_t              nregexes, nslow;
    struct literal_set *literals[PLACE_HEADER];
    uint32_t            places;           /* bit a place below PLACE_HEADER: something is filed there */
    bool                prefixes[2][129]; /* the prefix lengths in use: of the client's address, of the next hop's */
    struct map          fields_by_name;   /* name -> &fields[i] */
};

struct scope {
    atomic_uint          holds;
    enum scope_kind      kind;
    struct uuid          id;
    int64_t              at_change;
    struct scope_policy *policies;
    size_t               npolicies;
    struct ruleset       own;
    struct scope        *base;   /* never an overlay itself */
    uint64_t            *masked; /* bit per rule of the base */
    size_t               nmasked;
};

/* scope_index.c: chooses an anchor for each rule and files it. The arrays are complete, and do not move any more. */
void   ruleset_file(struct ruleset *rs);
void   ruleset_fini(struct ruleset *rs);
size_t ruleset_memory(const struct ruleset *rs);

/* What a fact at a place is looked up by: span_hash() of its text, or prefix_hash(). The first reference, or REF_NONE. */
uint32_t ruleset_find(const struct ruleset *rs, uint64_t hash, uint32_t place);
uint64_t prefix_hash(const struct ip *ip, unsigned bits);
#define ATTACHED_YES SPAN("+")
#define ATTACHED_NO SPAN("-")
#define NOT_FILED SPAN("*") /* at a place of its own: the entries that have to be tried always */
/* The literals of a condition that is filed by itself, or NULL. */
const struct literal_set *ruleset_own(const struct ruleset *rs, uint32_t condition);
/* The flags that a regex of this condition is compiled with. */
unsigned condition_regex_flags(enum condition_kind kind, bool case_sensitive);

static inline bool        ruleset_uses(const struct ruleset *rs, enum place place) { return rs->places >> place & 1; }
static inline struct span ruleset_text(const struct ruleset *rs, uint32_t at, size_t n)
{
    return span_make(rs->text + at, n);
}
static inline struct span entry_text(const struct ruleset *rs, const struct stored_entry *e)
{
    return ruleset_text(rs, e->text, e->n);
}
/* Walks the entries behind a reference: false at the end. */
static inline bool ref_next(const struct ruleset *rs, uint32_t *ref, uint32_t *entry_out)
{
    if (*ref == REF_NONE)
        return false;
    if (*ref & REF_LINKED) {
        const struct entry_link *l = &rs->links[*ref & ~REF_LINKED];

        *entry_out = l->entry;
        *ref = l->next;
        return true;
    }
    *entry_out = *ref;
    *ref = REF_NONE;
    return true;
}
/* The rule of a match or of an index that counts the base's rules first. */
static inline const struct ruleset *scope_ruleset(const struct scope *s, uint32_t *index)
{
    if (s->base == NULL)
        return &s->own;
    if (*index < s->base->own.nrules)
        return &s->base->own;
    *index -= (uint32_t)s->base->own.nrules;
    return &s->own;
}

#endif
