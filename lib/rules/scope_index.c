/* lib/rules/scope_index.c - each rule is filed under its most selective condition (scope_layout.h has the invariants).
 *
 * Everything that is compared whole goes into one hash table: addresses, domains, host names, texts, and IP blocks by prefix (a
 * block of CIDR is one prefix; a range is covered by two at most, for what is found is tried anyway). What occurs inside a
 * text goes into the literal sets, one a place. */
#include <stdlib.h>

#include "base/err.h"
#include "rules/scope_layout.h"
#include "rules/wildcard.h"

#define LITERAL_MIN 3 /* shorter ones of wildcards and regexes find too much */
#define OWN_MIN 16    /* entries: fewer are tried one after the other */

/* How much a look-up there lets through; the lower, the better. A body is asked for late: it has to be decoded. */
enum rank {
    RANK_ADDRESS,
    RANK_IP,
    RANK_TEXT,
    RANK_DOMAIN,
    RANK_LITERAL,
    RANK_RCPT_ADDRESS,
    RANK_BODY_TEXT,
    RANK_BODY_LITERAL,
    RANK_ATTACHMENT,
    RANK_RCPT_DOMAIN,
    RANK_SHORT,
    RANK_NONE
};

struct filing {
    struct ruleset          *rs;
    struct literal_builder **literals; /* one a place, PLACE_HEADER + nfields; NULL until used */
    struct literal_builder  *own;      /* of the condition that is being filed by itself */
    size_t                   nused, nlinks_cap, nown_cap;
};

static void *must(void *p)
{
    if (p == NULL)
        panic("out of memory");
    return p;
}

unsigned condition_regex_flags(enum condition_kind kind, bool case_sensitive)
{
    bool text = kind == COND_SUBJECT || kind == COND_BODY || kind == COND_HEADER;

    return (text && case_sensitive ? 0 : REGEX_CASELESS) | (kind == COND_BODY ? REGEX_MULTILINE : 0);
}

/* ---- The hash table ---- */

static uint32_t place_tag(uint64_t hash, uint32_t place)
{
    return (uint32_t)((hash ^ (place + 1) * UINT64_C(0x9e3779b97f4a7c15)) * UINT64_C(0xff51afd7ed558ccd) >> 32);
}

static struct slot *slot_of(const struct ruleset *rs, uint32_t tag)
{
    size_t at = tag & (rs->nslots - 1);

    while (rs->slots[at].ref != REF_NONE && rs->slots[at].tag != tag)
        at = (at + 1) & (rs->nslots - 1);
    return &rs->slots[at];
}

uint32_t ruleset_find(const struct ruleset *rs, uint64_t hash, uint32_t place)
{
    return rs->nslots > 0 ? slot_of(rs, place_tag(hash, place))->ref : REF_NONE;
}

static void slots_grow(struct filing *f)
{
    struct ruleset *rs = f->rs;
    struct slot    *old = rs->slots;
    size_t          nold = rs->nslots;

    rs->nslots = nold > 0 ? 2 * nold : 8;
    rs->slots = must(malloc(rs->nslots * sizeof *rs->slots));
    memset(rs->slots, 0xff, rs->nslots * sizeof *rs->slots);
    for (size_t i = 0; i < nold; i++) {
        if (old[i].ref != REF_NONE)
            *slot_of(rs, old[i].tag) = old[i];
    }
    free(old);
}

static void file_hash(struct filing *f, uint64_t hash, uint32_t place, uint32_t entry)
{
    struct ruleset *rs = f->rs;
    struct slot    *s;

    if (4 * (f->nused + 1) > 3 * rs->nslots)
        slots_grow(f);
    s = slot_of(rs, place_tag(hash, place));
    if (s->ref == REF_NONE) {
        *s = (struct slot){place_tag(hash, place), entry};
        f->nused++;
        return;
    }
    if (rs->nlinks == f->nlinks_cap) {
        f->nlinks_cap = f->nlinks_cap > 0 ? 2 * f->nlinks_cap : 16;
        rs->links = must(realloc(rs->links, f->nlinks_cap * sizeof *rs->links));
    }
    rs->links[rs->nlinks] = (struct entry_link){entry, s->ref};
    s->ref = REF_LINKED | (uint32_t)rs->nlinks++;
}

static void file_text(struct filing *f, struct span text, uint32_t place, uint32_t entry)
{
    file_hash(f, span_hash(text), place, entry);
    if (place >= PLACE_HEADER && place < PLACE_OWN)
        f->rs->fields[place - PLACE_HEADER].exact = true;
    if (place < PLACE_HEADER)
        f->rs->places |= 1u << place;
}

static void file_literal(struct filing *f, struct span text, uint32_t place, uint32_t entry)
{
    struct literal_builder **b = place >= PLACE_OWN ? &f->own : &f->literals[place];

    if (*b == NULL)
        *b = literal_builder_new();
    literal_add(*b, text, entry);
    if (place < PLACE_HEADER)
        f->rs->places |= 1u << place;
}

/* ---- IP blocks ---- */

static struct ip prefix_of(const struct ip *ip, unsigned bits)
{
    struct ip out = {{0}};

    memcpy(out.b, ip->b, bits / 8);
    if (bits % 8 != 0)
        out.b[bits / 8] = (uint8_t)(ip->b[bits / 8] & 0xff << (8 - bits % 8));
    return out;
}

uint64_t prefix_hash(const struct ip *ip, unsigned bits)
{
    struct {
        struct ip ip;
        uint8_t   bits;
    } key = {prefix_of(ip, bits), (uint8_t)bits};

    return span_hash(span_make(&key, sizeof key));
}

static unsigned common_bits(const struct ip *a, const struct ip *b)
{
    unsigned bits = 0;

    while (bits < 128 && ((a->b[bits / 8] ^ b->b[bits / 8]) & 0x80 >> bits % 8) == 0)
        bits++;
    return bits;
}

/* The address with the first `bits` bits of ip, then `bit`, then all the opposite: next to the middle of that block. */
static struct ip beside_middle(const struct ip *ip, unsigned bits, bool bit)
{
    struct ip out = prefix_of(ip, bits);

    for (unsigned i = bits; i < 128; i++) {
        if ((i == bits) == bit)
            out.b[i / 8] |= (uint8_t)(0x80 >> i % 8);
    }
    return out;
}

static void file_prefix(struct filing *f, const struct ip *ip, unsigned bits, uint32_t place, uint32_t entry)
{
    if (place != PLACE_NEXTHOP_IP)
        f->rs->prefixes[0][bits] = true;
    if (place != PLACE_IP)
        f->rs->prefixes[1][bits] = true;
    if (place < PLACE_HEADER)
        f->rs->places |= 1u << place;
    file_hash(f, prefix_hash(ip, bits), place, entry);
}

static void file_block(struct filing *f, const struct ip_block *b, uint32_t place, uint32_t entry)
{
    unsigned  bits = common_bits(&b->first, &b->last);
    struct ip lower, upper;

    if (bits == 128) {
        file_prefix(f, &b->first, 128, place, entry);
        return;
    }
    lower = beside_middle(&b->first, bits, false); /* the last of the lower half */
    upper = beside_middle(&b->first, bits, true);  /* the first of the upper half */
    if (common_bits(&b->first, &lower) == bits + 1 && common_bits(&upper, &b->last) == bits + 1) {
        file_prefix(f, &b->first, bits, place, entry);
        return;
    }
    file_prefix(f, &b->first, common_bits(&b->first, &lower), place, entry);
    file_prefix(f, &b->last, common_bits(&upper, &b->last), place, entry);
}

/* ---- Which condition ---- */

static struct span literal_of(const struct ruleset *rs, const struct stored_entry *e)
{
    const struct stored_pattern *p;

    if (!e->has_pattern)
        return entry_text(rs, e);
    p = &rs->patterns[e->extra];
    return ruleset_text(rs, p->literal, p->n);
}

static enum rank entry_rank(const struct ruleset *rs, const struct stored_condition *c, const struct stored_entry *e)
{
    size_t n = literal_of(rs, e).n;

    switch ((enum entry_kind)e->kind) {
    case ENTRY_TEXT:
        if (n == 0)
            return RANK_NONE; /* occurs everywhere, or is an absent header */
        return c->match == MATCH_EXACT ? RANK_TEXT : n >= LITERAL_MIN ? RANK_LITERAL : RANK_SHORT;
    case ENTRY_REGEX:
    case ENTRY_WILDCARD: return n >= LITERAL_MIN ? RANK_LITERAL : RANK_NONE;
    case ENTRY_ADDRESS: return RANK_ADDRESS;
    case ENTRY_DOMAIN:
    case ENTRY_DOMAIN_ALONE:
    case ENTRY_SUBDOMAINS:
    case ENTRY_NULL_SENDER: return RANK_DOMAIN;
    case ENTRY_IP: return RANK_IP;
    case ENTRY_ATTACHMENT: return RANK_ATTACHMENT;
    }
    return RANK_NONE;
}

/* At these places the same is worth less. */
static enum rank rank_at(enum rank r, const struct stored_condition *c, unsigned flow)
{
    bool rcpt = c->kind == COND_RECIPIENT || (c->kind == COND_SENDER && (flow & FLOW_TO));

    if (r == RANK_NONE)
        return r;
    if (c->kind == COND_BODY)
        return r == RANK_TEXT ? RANK_BODY_TEXT : r == RANK_LITERAL ? RANK_BODY_LITERAL : r;
    if (rcpt)
        return r == RANK_ADDRESS ? RANK_RCPT_ADDRESS : RANK_RCPT_DOMAIN;
    return r;
}

static enum rank condition_rank(const struct ruleset *rs, const struct stored_condition *c, unsigned flow)
{
    enum rank worst = RANK_ADDRESS;

    if ((c->flags & CONDITION_NOT) || c->kind == COND_SIZE || c->nentries == 0)
        return RANK_NONE;
    for (uint32_t i = 0; i < c->nentries && worst < RANK_NONE; i++) {
        enum rank r = rank_at(entry_rank(rs, c, &rs->entries[c->entries + i]), c, flow);

        worst = r > worst ? r : worst;
    }
    return worst;
}

static struct stored_condition *anchor_of(const struct ruleset *rs, const struct stored_rule *r)
{
    struct stored_condition *best = NULL;
    enum rank                least = RANK_NONE;

    for (uint32_t i = 0; i < r->nconditions; i++) {
        struct stored_condition *c = &rs->conditions[r->conditions + i];
        enum rank                rank = condition_rank(rs, c, r->flow);

        if (rank < least) {
            least = rank;
            best = c;
        }
    }
    return best;
}

/* ---- Filing ---- */

static void file_at(struct filing *f, const struct stored_condition *c, uint32_t entry, uint32_t place)
{
    const struct ruleset      *rs = f->rs;
    const struct stored_entry *e = &rs->entries[entry];
    bool                       pattern = e->kind == ENTRY_REGEX || e->kind == ENTRY_WILDCARD;

    if (e->kind == ENTRY_IP)
        file_block(f, &rs->ips[e->extra], place, entry);
    else if (pattern || (e->kind == ENTRY_TEXT && c->match != MATCH_EXACT))
        file_literal(f, literal_of(rs, e), place, entry);
    else
        file_text(f, literal_of(rs, e), place, entry);
}

/* Of a file name, a type and an extension, the first that can be looked up; else under "some attachment". own: 0, or the place
 * where all of them are filed. */
static void file_attachment(struct filing *f, uint32_t entry, uint32_t own)
{
    static const enum place         places[] = {PLACE_EXTENSION, PLACE_MIME, PLACE_FILENAME};
    struct ruleset                 *rs = f->rs;
    const struct stored_attachment *a = &rs->attachments[rs->entries[entry].extra];
    uint32_t                        place = PLACE_ATTACHED;
    bool                            some = !a->has_present || a->present;
    struct span                     text = some ? ATTACHED_YES : ATTACHED_NO;

    if (some && a->literal_n >= LITERAL_MIN) {
        file_literal(f, ruleset_text(rs, a->literal, a->literal_n), own ? own : PLACE_FILENAME, entry);
        return;
    }
    for (size_t i = 0; some && i < COUNT(places) && place == PLACE_ATTACHED; i++) {
        struct span key = ruleset_text(rs, a->key[i], a->n[i]);

        if (a->key[i] != 0 && !wildcard_is(key) && span_chr(key, '\\') == key.n) {
            place = places[i];
            text = key;
        }
    }
    file_text(f, text, own ? own : place, entry);
}

static void file_entry(struct filing *f, const struct stored_condition *c, uint32_t entry, unsigned flow)
{
    const struct stored_entry *e = &f->rs->entries[entry];
    bool                       from = flow & FLOW_FROM, to = (flow & FLOW_TO) && e->kind != ENTRY_NULL_SENDER;

    switch ((enum condition_kind)c->kind) {
    case COND_SENDER:
        if (from)
            file_at(f, c, entry, PLACE_SENDER);
        if (to)
            file_at(f, c, entry, PLACE_RCPT);
        break;
    case COND_IP:
        if (from)
            file_at(f, c, entry, PLACE_IP);
        if (to)
            file_at(f, c, entry, PLACE_NEXTHOP_IP);
        break;
    case COND_HOST:
        if (from)
            file_at(f, c, entry, PLACE_HOST);
        if (to)
            file_at(f, c, entry, PLACE_NEXTHOP);
        break;
    case COND_RECIPIENT: file_at(f, c, entry, PLACE_RCPT); break;
    case COND_SUBJECT:
    case COND_HEADER: file_at(f, c, entry, PLACE_HEADER + c->extra); break;
    case COND_BODY: file_at(f, c, entry, e->kind == ENTRY_REGEX ? PLACE_SOURCE : PLACE_BODY); break;
    case COND_SIGNED_BY: file_at(f, c, entry, PLACE_SIGNED); break;
    case COND_ATTACHMENT: file_attachment(f, entry, 0); break;
    case COND_SIZE:
    case COND_KINDS: break;
    }
}

static void file_rule(struct filing *f, uint32_t index)
{
    struct ruleset           *rs = f->rs;
    const struct stored_rule *r = &rs->rules[index];
    struct stored_condition  *c = anchor_of(rs, r);

    if (c == NULL) {
        rs->always[rs->nalways++] = index;
        return;
    }
    c->flags |= CONDITION_ANCHOR;
    for (uint32_t i = 0; i < c->nentries; i++)
        file_entry(f, c, c->entries + i, r->flow);
}

/* A condition of many entries that is no anchor, at a place of its own. */
static void file_own(struct filing *f, uint32_t index)
{
    struct ruleset          *rs = f->rs;
    struct stored_condition *c = &rs->conditions[index];

    if ((c->flags & CONDITION_ANCHOR) || c->nentries < OWN_MIN)
        return;
    c->flags |= CONDITION_FILED;
    for (uint32_t entry = c->entries; entry < c->entries + c->nentries; entry++) {
        if (c->kind == COND_ATTACHMENT)
            file_attachment(f, entry, PLACE_OWN + index);
        else if (entry_rank(rs, c, &rs->entries[entry]) == RANK_NONE)
            file_text(f, NOT_FILED, PLACE_OWN + index, entry);
        else
            file_at(f, c, entry, PLACE_OWN + index);
    }
    if (f->own == NULL)
        return;
    if (rs->nown == f->nown_cap) {
        f->nown_cap = f->nown_cap > 0 ? 2 * f->nown_cap : 4;
        rs->own = must(realloc(rs->own, f->nown_cap * sizeof *rs->own));
    }
    rs->own[rs->nown++] = (struct stored_literals){index, literal_build(&f->own)};
}

const struct literal_set *ruleset_own(const struct ruleset *rs, uint32_t condition)
{
    size_t lo = 0, hi = rs->nown;

    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;

        if (rs->own[mid].condition < condition)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < rs->nown && rs->own[lo].condition == condition ? rs->own[lo].set : NULL;
}

static void init_regexes(struct ruleset *rs)
{
    if (rs->nregexes == 0)
        return;
    rs->regexes = regex_array(rs->nregexes);
    for (size_t i = 0; i < rs->nentries; i++) {
        const struct stored_entry     *e = &rs->entries[i];
        const struct stored_condition *c = &rs->conditions[e->condition];

        if (e->kind == ENTRY_REGEX)
            regex_init(regex_at(rs->regexes, rs->patterns[e->extra].regex), entry_text(rs, e),
                       condition_regex_flags(c->kind, c->flags & CONDITION_CASE));
    }
}

void ruleset_file(struct ruleset *rs)
{
    struct filing f = {.rs = rs,
                       .literals = must(calloc(PLACE_HEADER + rs->nfields, sizeof(struct literal_builder *)))};

    init_regexes(rs);
    map_init(&rs->fields_by_name);
    for (size_t i = 0; i < rs->nfields; i++)
        map_put(&rs->fields_by_name, ruleset_text(rs, rs->fields[i].name, rs->fields[i].n), &rs->fields[i]);
    rs->always = must(malloc((rs->nrules + 1) * sizeof *rs->always));
    for (uint32_t i = 0; i < rs->nrules; i++)
        file_rule(&f, i);
    for (uint32_t i = 0; i < rs->nconditions; i++)
        file_own(&f, i);
    rs->always = must(realloc(rs->always, (rs->nalways + 1) * sizeof *rs->always));
    rs->links = must(realloc(rs->links, (rs->nlinks + 1) * sizeof *rs->links));
    for (size_t i = 0; i < PLACE_HEADER + rs->nfields; i++) {
        if (f.literals[i] != NULL)
            *(i < PLACE_HEADER ? &rs->literals[i]
                               : &rs->fields[i - PLACE_HEADER].literals) = literal_build(&f.literals[i]);
    }
    free(f.literals);
}

void ruleset_fini(struct ruleset *rs)
{
    for (size_t i = 0; i < PLACE_HEADER; i++)
        literal_free(&rs->literals[i]);
    for (size_t i = 0; i < rs->nfields; i++)
        literal_free(&rs->fields[i].literals);
    for (size_t i = 0; i < rs->nown; i++)
        literal_free(&rs->own[i].set);
    if (rs->regexes != NULL)
        regex_array_free(&rs->regexes, rs->nregexes);
    map_fini(&rs->fields_by_name);
    free(rs->text);
    free(rs->rules);
    free(rs->conditions);
    free(rs->entries);
    free(rs->patterns);
    free(rs->attachments);
    free(rs->ips);
    free(rs->sizes);
    free(rs->fields);
    free(rs->written);
    free(rs->own);
    free(rs->always);
    free(rs->slots);
    free(rs->links);
    *rs = (struct ruleset){0};
}

size_t ruleset_memory(const struct ruleset *rs)
{
    size_t bytes = rs->ntext + rs->nrules * sizeof *rs->rules + rs->nconditions * sizeof *rs->conditions +
                   rs->nentries * sizeof *rs->entries + rs->npatterns * sizeof *rs->patterns +
                   rs->nattachments * sizeof *rs->attachments + rs->nips * sizeof *rs->ips +
                   rs->nsizes * sizeof *rs->sizes + rs->nfields * sizeof *rs->fields +
                   (rs->written != NULL ? rs->nentries * sizeof *rs->written : 0) + rs->nalways * sizeof *rs->always +
                   rs->nslots * sizeof *rs->slots + rs->nlinks * sizeof *rs->links +
                   rs->fields_by_name.cap * sizeof *rs->fields_by_name.slots;

    for (size_t i = 0; i < PLACE_HEADER; i++)
        bytes += literal_memory(rs->literals[i]);
    for (size_t i = 0; i < rs->nfields; i++)
        bytes += literal_memory(rs->fields[i].literals);
    for (size_t i = 0; i < rs->nown; i++)
        bytes += sizeof *rs->own + literal_memory(rs->own[i].set);
    for (size_t i = 0; i < rs->nregexes; i++)
        bytes += regex_memory(regex_at(rs->regexes, i));
    return bytes;
}
