/* rulesd/maps.c - see maps.h. */
#include "maps.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/buf.h"
#include "base/fingerprint.h"
#include "base/map.h"
#include "base/utf8.h"
#include "rules/wildcard.h"
#include "store/domain.h"
#include "store/rule.h"
#include "store/setting.h"

#define KEEP_US                                                                                                        \
    (5 * INT64_C(1000000)) /* how long a client may keep a document before it asks again, which costs next to nothing */
#define ROW_ARENA_MAX ((size_t)64 << 20)
#define LINES_ARENA_MAX ((size_t)512 << 20)

/* ---- the lists ---- */

enum content { SENDERS, DOMAINS, PATTERNS, IPS, HOSTS, HOST_PATTERNS };

/* One file of a multimap. */
static const struct list {
    const char      *name, *about;
    enum content     content;
    enum rule_source source; /* of senders */
    bool             proven;
} lists[] = {
    {"senders", "addresses, of the From field", SENDERS, SOURCE_FROM, false},
    {"domains", "domains without their subdomains, of the From field", DOMAINS, SOURCE_FROM, false},
    {"patterns", "regular expressions on the address, of the From field", PATTERNS, SOURCE_FROM, false},
    {"envelope-senders", "addresses, of the envelope", SENDERS, SOURCE_ENVELOPE, false},
    {"envelope-domains", "domains without their subdomains, of the envelope", DOMAINS, SOURCE_ENVELOPE, false},
    {"envelope-patterns", "regular expressions on the address, of the envelope", PATTERNS, SOURCE_ENVELOPE, false},
    {"proven-senders", "addresses, of the From field: only with a symbol that proves the sender", SENDERS, SOURCE_FROM,
     true},
    {"proven-domains", "domains, of the From field: only with a symbol that proves the sender", DOMAINS, SOURCE_FROM,
     true},
    {"proven-patterns", "regular expressions, of the From field: only with a symbol that proves the sender", PATTERNS,
     SOURCE_FROM, true},
    {"ips", "addresses and networks of the client", IPS, 0, false},
    {"hosts", "names of the client", HOSTS, 0, false},
    {"host-patterns", "regular expressions on the name of the client", HOST_PATTERNS, 0, false},
};
const char *const map_list_names[] = {"senders",
                                      "domains",
                                      "patterns",
                                      "envelope-senders",
                                      "envelope-domains",
                                      "envelope-patterns",
                                      "proven-senders",
                                      "proven-domains",
                                      "proven-patterns",
                                      "ips",
                                      "hosts",
                                      "host-patterns",
                                      NULL};

bool maps_read_path(struct span path, struct map_wish *out)
{
    struct span action, name, rest = path;

    *out = (struct map_wish){0};
    if (!span_next(&rest, '/', &out->domain) || out->domain.n == 0 || !span_next(&rest, '/', &action))
        return false;
    if (span_is(action, "settings")) {
        out->settings = true;
        return rest.p == NULL || !span_next(&rest, '/', &name);
    }
    out->block = span_is(action, "block");
    if ((!out->block && !span_is(action, "allow")) || !span_next(&rest, '/', &name) || span_next(&rest, '/', &action))
        return false;
    for (const struct list *l = lists; l < lists + COUNT(lists); l++)
        if (span_is(name, l->name))
            out->list = l;
    return out->list != NULL;
}

/* ---- one entry ---- */

static void put_literal(struct buf *out, struct span s)
{
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] != '\0' && strchr("\\^$.|?*+()[]{}/#", s.p[i]) != NULL)
            buf_putc(out, '\\');
        buf_putc(out, s.p[i]);
    }
}

/* Lines are split at blanks, so none may be in them. */
static bool is_sayable(struct span s)
{
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] <= ' ' || (unsigned char)s.p[i] == 0x7f)
            return false;
    return s.n > 0;
}

/* A plain line; one that would be read as a comment or as a regular expression is none. */
static bool put_plain(struct buf *out, struct span s)
{
    if (!is_sayable(s) || s.p[0] == '#' || s.p[0] == '/' || s.p[0] == '"')
        return false;
    buf_put(out, s);
    return true;
}

static bool is_ascii(struct span s)
{
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] >= 0x80)
            return false;
    return true;
}

bool map_put_wildcard(struct buf *out, struct span wildcard)
{
    struct wildcard_walk walk = {.pattern = wildcard};
    struct wildcard_item item;

    if (!is_sayable(wildcard))
        return false;
    buf_puts(out, "/^");
    while ((item = wildcard_next(&walk)).kind != WILDCARD_END) {
        switch (item.kind) {
        case WILDCARD_LITERAL: put_literal(out, item.text); break;
        case WILDCARD_ONE: buf_putc(out, '.'); break;
        case WILDCARD_RUN: buf_puts(out, ".*"); break;
        case WILDCARD_OPEN: buf_puts(out, "(?:"); break;
        case WILDCARD_BAR: buf_putc(out, '|'); break;
        case WILDCARD_CLOSE: buf_putc(out, ')'); break;
        case WILDCARD_END: break;
        }
    }
    buf_puts(out, is_ascii(wildcard) ? "$/i" : "$/iu");
    return true;
}

static bool put_domain_pattern(struct buf *out, struct span domain, const char *before)
{
    if (!is_sayable(domain))
        return false;
    buf_puts(out, before);
    put_literal(out, domain);
    buf_puts(out, "$/i");
    return true;
}

/* Which kind of list an entry of a sender condition belongs into; -1: none can say it. */
static int content_of(const struct entry *entry)
{
    switch (entry->kind) {
    case ENTRY_ADDRESS: return SENDERS;
    case ENTRY_DOMAIN_ALONE: return DOMAINS;
    case ENTRY_DOMAIN:
    case ENTRY_SUBDOMAINS:
    case ENTRY_WILDCARD: return PATTERNS;
    default: return -1;
    }
}

static bool put_sender(struct buf *out, const struct entry *entry)
{
    switch (entry->kind) {
    case ENTRY_ADDRESS:
    case ENTRY_DOMAIN_ALONE: return put_plain(out, entry->text);
    case ENTRY_DOMAIN: return put_domain_pattern(out, entry->text, "/@(?:[^@]+\\.)?");
    case ENTRY_SUBDOMAINS: return put_domain_pattern(out, entry->text, "/@[^@]+\\.");
    case ENTRY_WILDCARD: return map_put_wildcard(out, entry->text);
    default: return false;
    }
}

/* ---- ranges of addresses ---- */

static bool bit_of(const struct ip *ip, unsigned bit) { return ip->b[bit / 8] >> (7 - bit % 8) & 1; }

/* The last address of the block of `bits` that begins here. */
static struct ip end_of(struct ip ip, unsigned bits)
{
    for (unsigned b = bits; b < 128; b++)
        ip.b[b / 8] |= (uint8_t)(1u << (7 - b % 8));
    return ip;
}

/* The next address; false behind the last of all. */
static bool step(struct ip *ip)
{
    for (size_t i = sizeof ip->b; i-- > 0;)
        if (++ip->b[i] != 0)
            return true;
    return false;
}

void map_put_range(struct buf *out, const struct ip_block *range)
{
    struct ip at = range->first;
    unsigned  least = ip_is_v4(&at) ? 96 : 0;

    while (ip_cmp(&at, &range->last) <= 0) {
        unsigned  bits = 128;
        struct ip end;
        char      text[IP_TEXT];

        while (bits > least && !bit_of(&at, bits - 1)) {
            end = end_of(at, bits - 1);
            if (ip_cmp(&end, &range->last) > 0)
                break;
            bits--;
        }
        end = end_of(at, bits);
        ip_format(&at, text);
        buf_printf(out, bits == 128 ? "%s\n" : "%s/%u\n", text, bits - least);
        if (ip_cmp(&end, &range->last) >= 0 || !step(&end))
            break;
        at = end;
    }
}

/* ---- a list from rules ---- */

/* A document being made. */
struct making {
    const struct list *list;
    bool               block;
    const struct uuid *assigned; /* of global rules: only those of these policies; NULL: the locked and the default */
    size_t             nassigned;
    bool               global; /* the rules that come are global ones */
    int64_t            now_us, until_us;
    struct arena       row, lines_arena;
    struct buf         line;
    struct span       *lines;
    size_t             n, cap;
    size_t             unsaid; /* rules of this action that some list would have to say, and none can in full */
    bool               full;
};

static void keep_line(struct making *m, struct span line)
{
    struct span kept = arena_dup(&m->lines_arena, line);

    if (m->n == m->cap) {
        m->cap = m->cap > 0 ? 2 * m->cap : 1024;
        if ((m->lines = realloc(m->lines, m->cap * sizeof *m->lines)) == NULL)
            panic("out of memory");
    }
    m->full = m->full || m->lines_arena.full;
    if (!m->full)
        m->lines[m->n++] = kept;
}

static void keep_lines(struct making *m)
{
    struct span rest = buf_span(&m->line), line;

    while (span_line(&rest, &line))
        keep_line(m, line);
    buf_clear(&m->line);
}

static bool wants_rule(const struct making *m, const struct store_rule *r)
{
    if (r->action != (m->block ? RULE_BLOCK : RULE_ALLOW) || r->test_only)
        return false;
    if (!m->global)
        return true;
    if (m->assigned == NULL)
        return r->locked || r->is_default;
    for (size_t i = 0; i < m->nassigned; i++)
        if (uuid_eq(&m->assigned[i], &r->policy))
            return true;
    return false;
}

/* False: no list says it. True also where it is another list that does. */
static bool take_sender(struct making *m, const struct store_rule *r, const struct condition *c,
                        const struct entry *entry)
{
    const struct list *l = m->list;
    int                content = content_of(entry);
    bool               proven = r->action == RULE_ALLOW && r->require_proof, said;

    if (content < 0 || (proven && (c->source & SOURCE_FROM) == 0))
        return false;
    said = put_sender(&m->line, entry);
    if (said && (int)l->content == content && (c->source & l->source) != 0 && l->proven == proven)
        keep_line(m, buf_span(&m->line));
    buf_clear(&m->line);
    return said;
}

static bool put_host(struct buf *out, const struct entry *entry)
{
    switch (entry->kind) {
    case ENTRY_DOMAIN_ALONE: return put_plain(out, entry->text);
    case ENTRY_SUBDOMAINS: return put_domain_pattern(out, entry->text, "/^.+\\.");
    case ENTRY_WILDCARD: return map_put_wildcard(out, entry->text);
    default: return false;
    }
}

/* As take_sender(). */
static bool take_host(struct making *m, const struct entry *entry)
{
    enum content content = entry->kind == ENTRY_DOMAIN_ALONE ? HOSTS : HOST_PATTERNS;
    bool         said = put_host(&m->line, entry);

    if (said && m->list->content == content)
        keep_line(m, buf_span(&m->line));
    buf_clear(&m->line);
    return said;
}

/* With several From addresses an allow needs all of them to match, and `any` one side or the other: then one map a side says
 * less than the rule, never more. */
static bool take_condition(struct making *m, const struct store_rule *r, const struct condition *c)
{
    bool all = true;

    for (size_t i = 0; i < c->nany; i++) {
        if (c->kind == COND_SENDER) {
            all = take_sender(m, r, c, &c->any[i]) && all;
        } else if (c->kind == COND_HOST) {
            all = take_host(m, &c->any[i]) && all;
        } else if (m->list->content == IPS) {
            map_put_range(&m->line, &c->any[i].ip);
            keep_lines(m);
        }
    }
    return all;
}

static bool is_plain_condition(const struct store_rule *r, const struct rule *rule)
{
    const struct condition *c = rule->conditions;

    return rule->nconditions == 1 && !c->negated && r->flow == FLOW_FROM &&
           (c->kind == COND_SENDER || c->kind == COND_IP || c->kind == COND_HOST);
}

static int each_rule(void *ctx, const struct store_rule *r)
{
    struct making *m = ctx;
    struct rule    rule;

    if (!wants_rule(m, r) || (r->expires_us != 0 && r->expires_us <= m->now_us))
        return 0;
    if (r->expires_us != 0 && (m->until_us == 0 || r->expires_us < m->until_us))
        m->until_us = r->expires_us;
    arena_reset(&m->row);
    if (rule_conditions_from_json(r->conditions, &m->row, NULL, &rule, NULL) < 0)
        m->unsaid++;
    else if (!is_plain_condition(r, &rule) || !take_condition(m, r, &rule.conditions[0]))
        m->unsaid++;
    return m->full;
}

static int by_text(const void *a, const void *b) { return span_cmp(*(const struct span *)a, *(const struct span *)b); }

/* Sorted, each line once, so that the same rules are the same text. */
static void put_lines(struct making *m, struct span domain, struct buf *out)
{
    size_t nlines = 0;

    if (m->n > 1)
        qsort(m->lines, m->n, sizeof *m->lines, by_text);
    for (size_t i = 0; i < m->n; i++)
        if (i == 0 || !span_eq(m->lines[i], m->lines[i - 1]))
            m->lines[nlines++] = m->lines[i];
    buf_printf(out, "# Postern: what the rules of %.*s %s, as far as this list can say it: %s.\n", SPAN_ARG(domain),
               m->block ? "block" : "allow", m->list->about);
    buf_printf(out, "# %zu entries here; %zu rules cannot be said in full by any list.\n", nlines, m->unsaid);
    for (size_t i = 0; i < nlines; i++) {
        buf_put(out, m->lines[i]);
        buf_putc(out, '\n');
    }
}

static int load_rules(struct making *m, struct store *s, const struct uuid *domain, struct arena *a, struct err *e)
{
    struct store_domain_view view;

    if (domain == NULL) {
        m->global = true;
        return store_scope_load(s, STORE_SCOPE_GLOBAL, each_rule, m, e);
    }
    if (store_scope_load(s, store_scope_domain(*domain), each_rule, m, e) < 0 ||
        store_domain_view(s, domain, a, &view, e) < 0)
        return -1;
    if (view.nassigned == 0)
        return 0;
    m->global = true;
    m->assigned = view.assigned;
    m->nassigned = view.nassigned;
    return store_scope_load(s, STORE_SCOPE_GLOBAL, each_rule, m, e);
}

static int make_list(struct store *s, const struct map_wish *wish, const struct uuid *domain, int64_t now_us,
                     struct buf *out, int64_t *until_us, struct err *e)
{
    struct making m = {.list = wish->list, .block = wish->block, .now_us = now_us};
    struct arena  a;
    int           rc;

    arena_init(&a, 1 << 20);
    arena_init(&m.row, ROW_ARENA_MAX);
    arena_init(&m.lines_arena, LINES_ARENA_MAX);
    buf_init(&m.line, 1 << 20);
    rc = load_rules(&m, s, domain, &a, e);
    if (rc == 0)
        put_lines(&m, wish->domain, out);
    if (rc == 0 && (m.full || out->failed))
        rc = err_set(e, ERR_LIMIT, "that list is too long for a map");
    *until_us = m.until_us;
    free(m.lines);
    buf_fini(&m.line);
    arena_fini(&m.lines_arena);
    arena_fini(&m.row);
    arena_fini(&a);
    return rc;
}

/* ---- the settings map ---- */

static int put_alias(void *ctx, struct span name, const struct uuid *domain)
{
    struct buf *out = ctx;

    (void)domain;
    buf_puts(out, ", \"@");
    json_put_chars(out, name);
    buf_putc(out, '"');
    return 0;
}

/* One domain, under all its names. No null among the actions: Rspamd 3.4 refuses it; 999 is never reached. */
static int put_domain(struct store *s, const struct store_domain *d, bool first, struct buf *out, struct err *e)
{
    struct store_domain_view view;
    struct arena             a;
    int                      rc;

    arena_init(&a, 1 << 20);
    rc = store_domain_view(s, &d->id, &a, &view, e);
    arena_fini(&a);
    if (rc < 0)
        return -1;
    buf_puts(out, first ? "\n" : ",\n");
    json_put_string(out, span_of(d->name));
    buf_puts(out, ": {\"priority\": \"medium\", \"rcpt\": [\"@");
    json_put_chars(out, span_of(d->name));
    buf_putc(out, '"');
    if (store_domain_alias_list(s, d->id, put_alias, out, e) < 0)
        return -1;
    buf_printf(out, "], \"apply\": {\"actions\": {\"reject\": %g, \"add header\": %g, \"greylist\": %g}}}",
               view.thresholds.reject, view.thresholds.add_header, view.thresholds.greylist);
    return 0;
}

/* A page of domains; the connection is busy while it is listed. */
#define PAGE 500
struct page {
    struct store_domain *domains;
    size_t               n;
};

static int each_domain(void *ctx, const struct store_domain *d)
{
    struct page *p = ctx;

    p->domains[p->n++] = *d;
    return 0;
}

static int put_domains(struct store *s, struct buf *out, struct err *e)
{
    struct page p = {calloc(PAGE, sizeof *p.domains), 0};
    char        after[STORE_DOMAIN_MAX + 1] = "";
    bool        first = true;
    int         rc = 0;

    if (p.domains == NULL)
        panic("out of memory");
    do {
        p.n = 0;
        rc = store_domain_list(s, span_of(after), PAGE, each_domain, &p, e);
        for (size_t i = 0; i < p.n && rc == 0 && !out->failed; i++) {
            memcpy(after, p.domains[i].name, sizeof after);
            if (p.domains[i].state != DOMAIN_ACTIVE)
                continue;
            rc = put_domain(s, &p.domains[i], first, out, e);
            first = false;
        }
    } while (rc == 0 && p.n == PAGE && !out->failed);
    free(p.domains);
    return rc;
}

static int make_settings(struct store *s, const struct store_domain *d, struct buf *out, struct err *e)
{
    int rc;

    buf_putc(out, '{');
    rc = d != NULL ? put_domain(s, d, true, out, e) : put_domains(s, out, e);
    buf_puts(out, "\n}\n");
    return rc == 0 && out->failed ? err_set(e, ERR_LIMIT, "there are too many domains for a map") : rc;
}

/* ---- documents ---- */

/* Immutable, but for what says how new it is (under the lock); counted under the lock. */
struct map_doc {
    struct maps *owner;
    size_t       refs;
    struct span  key; /* the path */
    bool         settings;
    struct buf   body;
    char         etag[2 * FINGERPRINT_BYTES + 3];
    int64_t      modified_us;
    int64_t      seq, until_us; /* as of that change; a rule in it lapses then (0: none does) */
    uint64_t     used;
};

struct maps {
    pthread_mutex_t lock; /* guards all below */
    struct map      by_key;
    size_t          bytes;
    uint64_t        clock; /* counts uses */
};

struct maps *maps_new(void)
{
    struct maps *m = calloc(1, sizeof *m);

    if (m == NULL)
        panic("out of memory");
    pthread_mutex_init(&m->lock, NULL);
    map_init(&m->by_key);
    return m;
}

static void doc_free(struct map_doc *d)
{
    buf_fini(&d->body);
    free((char *)d->key.p);
    free(d);
}

void maps_free(struct maps **mp)
{
    struct maps *m = *mp;
    struct span  key;
    void        *d;

    *mp = NULL;
    if (m == NULL)
        return;
    for (size_t at = 0; map_next(&m->by_key, &at, &key, &d);)
        doc_free(d);
    map_fini(&m->by_key);
    pthread_mutex_destroy(&m->lock);
    free(m);
}

static void drop_locked(struct map_doc *d)
{
    if (--d->refs == 0)
        doc_free(d);
}

void map_doc_drop(struct map_doc **dp)
{
    struct map_doc *d = *dp;

    *dp = NULL;
    if (d == NULL)
        return;
    struct maps *m = d->owner;
    pthread_mutex_lock(&m->lock);
    drop_locked(d);
    pthread_mutex_unlock(&m->lock);
}

static void forget(struct maps *m, struct map_doc *d)
{
    map_del(&m->by_key, d->key);
    m->bytes -= d->body.cap;
    drop_locked(d);
}

/* The one that nobody has asked for the longest. */
static void forget_oldest(struct maps *m)
{
    struct map_doc *oldest = NULL;
    struct span     key;
    void           *v;

    for (size_t at = 0; map_next(&m->by_key, &at, &key, &v);) {
        struct map_doc *d = v;

        if (oldest == NULL || d->used < oldest->used)
            oldest = d;
    }
    if (oldest != NULL)
        forget(m, oldest);
}

static struct map_doc *find_new(struct maps *m, struct span key, int64_t seq, int64_t now_us)
{
    struct map_doc *d;

    pthread_mutex_lock(&m->lock);
    d = map_get(&m->by_key, key);
    if (d != NULL && (d->seq < seq || (d->until_us != 0 && d->until_us <= now_us)))
        d = NULL;
    if (d != NULL) {
        d->refs++;
        d->used = ++m->clock;
    }
    pthread_mutex_unlock(&m->lock);
    return d;
}

/* In the place of what was there before; the same text is no newer than it was. */
static void put_doc(struct maps *m, struct map_doc *d)
{
    struct map_doc *was;

    pthread_mutex_lock(&m->lock);
    if ((was = map_get(&m->by_key, d->key)) != NULL) {
        if (strcmp(was->etag, d->etag) == 0)
            d->modified_us = was->modified_us;
        forget(m, was);
    }
    while (m->by_key.n > 0 && (m->by_key.n >= MAPS_KEPT_MAX || m->bytes + d->body.cap > MAPS_BYTES_MAX))
        forget_oldest(m);
    d->refs = 2; /* the map's and the caller's */
    d->used = ++m->clock;
    m->bytes += d->body.cap;
    map_put(&m->by_key, d->key, d);
    pthread_mutex_unlock(&m->lock);
}

static void set_etag(struct map_doc *d)
{
    uint8_t print[FINGERPRINT_BYTES];
    size_t  n = 1;

    fingerprint(buf_span(&d->body), print);
    d->etag[0] = '"';
    for (size_t i = 0; i < sizeof print; i++)
        n += (size_t)snprintf(d->etag + n, sizeof d->etag - n, "%02x", print[i]);
    d->etag[n] = '"';
}

static int make(struct map_doc *d, struct store *s, const struct map_wish *wish, int64_t now_us, struct err *e)
{
    struct store_domain domain;
    bool                global = span_is(wish->domain, "global");

    if (!global && store_domain_find(s, wish->domain, &domain, e) < 0)
        return -1;
    if (wish->settings)
        return make_settings(s, global ? NULL : &domain, &d->body, e);
    return make_list(s, wish, global ? NULL : &domain.id, now_us, &d->body, &d->until_us, e);
}

int maps_get(struct maps *m, struct store *s, const struct map_wish *wish, int64_t seq, int64_t now_us,
             struct map_doc **out, struct err *e)
{
    const struct list *l = wish->list;
    char               key[STORE_DOMAIN_MAX + 64];
    struct map_doc    *d;

    snprintf(key, sizeof key, "%.*s/%s/%s", SPAN_ARG(span_head(wish->domain, STORE_DOMAIN_MAX)),
             wish->settings ? "settings"
             : wish->block  ? "block"
                            : "allow",
             wish->settings ? "" : l->name);
    if ((*out = find_new(m, span_of(key), seq, now_us)) != NULL)
        return 0;
    if ((d = calloc(1, sizeof *d)) == NULL)
        panic("out of memory");
    *d = (struct map_doc){.owner = m,
                          .key = span_of(span_strdup(span_of(key))),
                          .settings = wish->settings,
                          .seq = seq,
                          .modified_us = now_us};
    buf_init(&d->body, MAPS_BODY_MAX);
    if (make(d, s, wish, now_us, e) < 0) {
        doc_free(d);
        return -1;
    }
    set_etag(d);
    put_doc(m, d);
    *out = d;
    return 0;
}

struct span map_doc_body(const struct map_doc *d) { return buf_span(&d->body); }
const char *map_doc_type(const struct map_doc *d) { return d->settings ? "application/json" : "text/plain"; }

#define HTTP_DATE "%a, %d %b %Y %H:%M:%S GMT"

static void format_date(int64_t us, char out[64])
{
    time_t    seconds = (time_t)(us / 1000000);
    struct tm tm;

    if (gmtime_r(&seconds, &tm) == NULL || strftime(out, 64, HTTP_DATE, &tm) == 0)
        strcpy(out, "Thu, 01 Jan 1970 00:00:00 GMT");
}

struct span map_doc_fields(const struct map_doc *d, int64_t now_us, char room[MAP_FIELDS_MAX])
{
    char modified[64], expires[64];
    int  n;

    format_date(d->modified_us, modified);
    format_date(now_us + KEEP_US, expires);
    n = snprintf(room, MAP_FIELDS_MAX, "ETag: %s\r\nLast-Modified: %s\r\nExpires: %s\r\n", d->etag, modified, expires);
    return span_make(room, (size_t)n);
}

static bool names_etag(struct span list, const char *etag)
{
    struct span one;

    while (span_next(&list, ',', &one)) {
        one = span_trim(one);
        if (span_starts(one, SPAN("W/")))
            one = span_skip(one, 2);
        if (span_is(one, "*") || span_is(one, etag))
            return true;
    }
    return false;
}

bool map_doc_is_known(const struct map_doc *d, struct span if_none_match, struct span if_modified_since)
{
    char        text[64];
    struct tm   tm = {0};
    const char *end;

    if (if_none_match.p != NULL)
        return names_etag(if_none_match, d->etag);
    if (if_modified_since.p == NULL || if_modified_since.n >= sizeof text)
        return false;
    memcpy(text, if_modified_since.p, if_modified_since.n);
    text[if_modified_since.n] = '\0';
    end = strptime(text, HTTP_DATE, &tm);
    return end != NULL && *end == '\0' && (int64_t)timegm(&tm) >= d->modified_us / 1000000;
}
