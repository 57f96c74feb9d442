/* lib/mail/message.c - questions about a message, each answered once.
 *
 * Every answer is made on its first question and kept in the arena. The header index chains fields of one hash, so
 * that a question for a name costs the same in a message of a hundred thousand fields. What headers may cost is
 * counted in bytes and not in time, so that a message is always judged alike. */
#include "mail/message.h"

#include "base/clock.h"
#include "base/ip.h"
#include "mail/html.h"
#include "mail/leaf.h"
#include "mail/part.h"
#include "mail/text.h"

#define BUCKETS 64
#define END UINT32_MAX

struct field {
    struct header h;
    uint32_t      hash, next; /* the next field in the same bucket */
};

/* Decoded text of one field. */
struct kept {
    struct span text, folded;
    bool        has_text, has_folded, clean;
};

struct message {
    struct span   raw, head, body; /* head: the header block, once indexed */
    struct arena *arena;
    const char   *limit;
    size_t        size_crlf; /* 0: not counted yet */

    bool          indexed, fields_cut;
    struct field *fields;
    struct kept  *kept;
    size_t        nfields, cap, header_bytes; /* header_bytes: decoded so far */
    uint32_t      first[BUCKETS], last[BUCKETS];
    size_t        received_n, received_at; /* Received fields answered for, and where the next may be */

    bool            has_from;
    enum fact       from_fact;
    struct address *from;
    size_t          nfrom, from_cap;

    bool             has_parts;
    struct part_list parts;
    int64_t          cpu_us; /* spent on parts and texts */

    bool                 has_texts, has_source, texts_cut;
    enum fact            texts_fact;
    struct message_text *texts; /* as seen, then the sources */
    size_t               ntexts, nsources;
};

static void note_limit(struct message *m, const char *limit)
{
    if (m->limit == NULL)
        m->limit = limit;
}

const char *message_limit(const struct message *m) { return m->limit; }

/* ---- as a whole ---- */

static struct span without_mbox_line(struct span raw)
{
    return span_starts(raw, SPAN("From ")) ? span_skip(raw, span_chr(raw, '\n') + 1) : raw;
}

struct message *message_open(struct span raw, struct arena *a)
{
    struct message *m = arena_zalloc(a, sizeof *m);

    if (m == NULL)
        return NULL;
    m->raw = raw;
    m->arena = a;
    return m;
}

struct span message_raw(const struct message *m) { return m->raw; }

/* Line ends that lack their CR, counted in runs of a constant length that compilers turn into vector code. `before` is
 * the byte in front of p. */
#define RUN 128
static size_t count_bare_lf(const char *p, size_t n, char before)
{
    size_t count = 0, i = 0;

    if (n == 0)
        return 0;
    count += p[0] == '\n' && before != '\r';
    for (i = 1; i + RUN <= n; i += RUN) {
        uint8_t run = 0;

        for (size_t j = 0; j < RUN; j++)
            run = (uint8_t)(run + ((p[i + j] == '\n') & (p[i + j - 1] != '\r')));
        count += run;
    }
    for (; i < n; i++)
        count += p[i] == '\n' && p[i - 1] != '\r';
    return count;
}

size_t message_size_crlf(struct message *m)
{
    struct span s = without_mbox_line(m->raw);

    if (m->size_crlf == 0)
        m->size_crlf = s.n + count_bare_lf(s.p, s.n, 0);
    return m->size_crlf;
}

/* ---- the header ---- */

static uint32_t name_hash(struct span name)
{
    uint32_t h = 2166136261u;

    for (size_t i = 0; i < name.n; i++)
        h = (h ^ (unsigned char)(name.p[i] | 0x20)) * 16777619u;
    return h ^ h >> 15;
}

/* False at a limit: the field is not kept. */
static bool add_field(struct message *m, const struct header *h)
{
    struct field *f;
    uint32_t      hash = name_hash(h->name), b = hash % BUCKETS;

    if (m->nfields == MESSAGE_HEADERS_MAX) {
        note_limit(m, "headers");
        return false;
    }
    if (m->nfields == m->cap) {
        size_t        cap = m->cap > 0 ? m->cap * 2 : 32;
        struct field *grown = arena_alloc(m->arena, cap * sizeof *grown);

        if (grown == NULL) {
            note_limit(m, "memory");
            return false;
        }
        if (m->nfields > 0)
            memcpy(grown, m->fields, m->nfields * sizeof *grown);
        m->fields = grown;
        m->cap = cap;
    }
    f = &m->fields[m->nfields];
    *f = (struct field){.h = *h, .hash = hash, .next = END};
    if (m->first[b] == END)
        m->first[b] = (uint32_t)m->nfields;
    else
        m->fields[m->last[b]].next = (uint32_t)m->nfields;
    m->last[b] = (uint32_t)m->nfields++;
    return true;
}

static void index_header(struct message *m)
{
    struct span   all = without_mbox_line(m->raw), rest = all;
    struct header h;

    if (m->indexed)
        return;
    m->indexed = true;
    memset(m->first, 0xff, sizeof m->first);
    while (header_next(&rest, &h)) {
        if (!m->fields_cut)
            m->fields_cut = !add_field(m, &h);
    }
    m->head = span_head(all, all.n - rest.n);
    m->body = rest;
}

struct span message_header_block(struct message *m)
{
    index_header(m);
    return m->head;
}

struct span message_body_raw(struct message *m)
{
    index_header(m);
    return m->body;
}

size_t message_nheaders(struct message *m, bool *limit_hit_out)
{
    index_header(m);
    if (limit_hit_out != NULL)
        *limit_hit_out = m->fields_cut;
    return m->nfields;
}

const struct header *message_header_at(struct message *m, size_t i)
{
    index_header(m);
    return i < m->nfields ? &m->fields[i].h : NULL;
}

const struct header *message_header_next(struct message *m, struct span name, size_t *at)
{
    uint32_t hash = name_hash(name), i;

    index_header(m);
    /* Who asks again after a hit stands right behind it, and goes on along the chain. */
    if (*at > 0 && *at <= m->nfields && m->fields[*at - 1].hash % BUCKETS == hash % BUCKETS)
        i = m->fields[*at - 1].next;
    else
        i = m->first[hash % BUCKETS];
    for (; i != END; i = m->fields[i].next) {
        if (i >= *at && m->fields[i].hash == hash && span_eq_ci(m->fields[i].h.name, name)) {
            *at = i + 1;
            return &m->fields[i].h;
        }
    }
    *at = m->nfields;
    return NULL;
}

/* May so many more bytes of the header be decoded? */
static bool charge(struct message *m, size_t bytes)
{
    if (bytes > MESSAGE_HEADERS_TEXT_MAX - m->header_bytes) {
        note_limit(m, "headers");
        return false;
    }
    m->header_bytes += bytes;
    return true;
}

/* The part of a body that is looked at. *whole_out: all of it. */
static struct span looked_at(struct message *m, struct span body, bool *whole_out)
{
    struct span s = span_head(body, MESSAGE_HEADER_MAX);

    *whole_out = s.n == body.n;
    if (!*whole_out)
        note_limit(m, "headers");
    if (charge(m, s.n))
        return s;
    *whole_out = false;
    return SPAN_NONE;
}

/* NULL when the arena is full. */
static struct kept *kept_at(struct message *m, size_t i)
{
    index_header(m);
    if (i < m->nfields && m->kept == NULL)
        m->kept = arena_array(m->arena, m->nfields, sizeof *m->kept);
    if (i < m->nfields && m->kept == NULL)
        note_limit(m, "memory");
    return i < m->nfields && m->kept != NULL ? &m->kept[i] : NULL;
}

static void make_text(struct message *m, struct kept *k, struct span body)
{
    bool        whole, clean = true;
    struct span s = looked_at(m, body, &whole);

    k->text = text_decode_header(s, MESSAGE_HEADER_MAX, m->arena, &clean);
    k->clean = clean && whole;
    k->has_text = true;
    if (s.n > 0 && k->text.p == NULL) {
        k->clean = false;
        note_limit(m, "memory");
    }
}

struct span message_header_text(struct message *m, size_t i, bool *clean_out)
{
    struct kept *k = kept_at(m, i);

    *clean_out = false;
    if (k == NULL)
        return SPAN_NONE;
    if (!k->has_text)
        make_text(m, k, m->fields[i].h.body);
    *clean_out = k->clean;
    return k->text;
}

struct span message_header_folded(struct message *m, size_t i, bool *clean_out)
{
    struct span  text = message_header_text(m, i, clean_out);
    struct kept *k = kept_at(m, i);

    if (k == NULL)
        return SPAN_NONE;
    if (!k->has_folded) {
        k->folded = text_fold(text, m->arena);
        k->has_folded = true;
        if (text.n > 0 && k->folded.p == NULL) {
            k->clean = false;
            note_limit(m, "memory");
        }
    }
    *clean_out = k->clean;
    return k->folded;
}

/* ---- addresses and ids ---- */

static bool add_from(struct message *m, const struct address *one)
{
    if (m->nfrom == ADDRESS_LIST_MAX)
        return false;
    if (m->nfrom == m->from_cap) {
        size_t          cap = m->from_cap > 0 ? m->from_cap * 2 : 2;
        struct address *grown = arena_alloc(m->arena, cap * sizeof *grown);

        if (grown == NULL) {
            note_limit(m, "memory");
            return false;
        }
        if (m->nfrom > 0)
            memcpy(grown, m->from, m->nfrom * sizeof *grown);
        m->from = grown;
        m->from_cap = cap;
    }
    m->from[m->nfrom++] = *one;
    return true;
}

/* Adds the addresses of one From field. False when some could not be read. */
static bool read_from(struct message *m, struct span body)
{
    bool                whole;
    struct address_walk w = {.rest = looked_at(m, body, &whole), .arena = m->arena};
    struct address      one;

    while (address_next(&w, &one)) {
        if (!add_from(m, &one))
            return false;
    }
    if (m->arena->full)
        note_limit(m, "memory");
    return whole && !w.damaged;
}

enum fact message_from(struct message *m, const struct address **list_out, size_t *n_out)
{
    const struct header *h;
    size_t               at = 0;

    if (!m->has_from) {
        bool good = true;

        while ((h = message_header_next(m, SPAN("From"), &at)) != NULL)
            good &= read_from(m, h->body);
        good &= !m->fields_cut;
        m->from_fact = !good ? FACT_UNKNOWN : m->nfrom > 0 ? FACT_YES : FACT_NO;
        m->has_from = true;
    }
    *list_out = m->from;
    *n_out = m->nfrom;
    return m->from_fact;
}

struct span message_id(struct message *m)
{
    size_t               at = 0, open, end = 0;
    const struct header *h = message_header_next(m, SPAN("Message-ID"), &at);
    struct span          s;

    if (h == NULL)
        return SPAN_NONE;
    s = span_trim(span_head(h->body, ADDRESS_MAX));
    if ((open = span_chr(s, '<')) < s.n)
        s = span_trim(span_skip(s, open + 1));
    while (end < s.n && s.p[end] != '>' && s.p[end] != '\r' && s.p[end] != '\n')
        end++;
    return span_trim(span_head(s, end));
}

/* ---- Received ---- */

#define RECEIVED_MAX 4096 /* bytes of a Received field that are looked at */

static bool is_ip(struct span s)
{
    struct ip unused;

    return ip_parse(s, false, &unused);
}

static struct span without_tag(struct span s) { return span_starts_ci(s, SPAN("IPv6:")) ? span_skip(s, 5) : s; }

/* "[192.0.2.7]" somewhere in s, but not behind a '=': "helo=[…]" is the client's own word. */
static struct span bracketed_ip(struct span s)
{
    for (size_t at = span_chr(s, '['); at < s.n; at += 1 + span_chr(span_skip(s, at + 1), '[')) {
        struct span in = span_skip(s, at + 1);

        in = without_tag(span_head(in, span_chr(in, ']')));
        if ((at == 0 || s.p[at - 1] != '=') && is_ip(in))
            return in;
    }
    return SPAN_NONE;
}

/* What a comment tells: an address in brackets, or nothing but an address; unless the client says it of itself. */
static struct span ip_of_comment(struct span in)
{
    in = span_trim(in);
    if (span_starts_ci(in, SPAN("HELO ")) || span_starts_ci(in, SPAN("EHLO ")))
        return SPAN_NONE;
    if (is_ip(without_tag(in)))
        return without_tag(in);
    return bracketed_ip(in);
}

/* Length of the comment at the start of s; all of it when it never ends. */
static size_t comment_size(struct span s)
{
    size_t depth = 0;

    for (size_t i = 0; i < s.n; i++) {
        depth += s.p[i] == '(';
        depth -= s.p[i] == ')';
        if (depth == 0)
            return i + 1;
    }
    return s.n;
}

/* Does the clause that tells of the client end here? */
static bool at_by(struct span s)
{
    return s.n > 3 && strchr(" \t\r\n", s.p[0]) != NULL && s.p[0] != 0 && span_starts_ci(span_skip(s, 1), SPAN("by")) &&
           (s.p[3] == ' ' || s.p[3] == '\t');
}

static struct span client_ip(struct span body)
{
    struct span s = span_trim(span_head(body, RECEIVED_MAX)), found;
    size_t      at = 0, plain;

    if (!span_starts_ci(s, SPAN("from")))
        return SPAN_NONE;
    s = span_trim(span_skip(s, 4));
    plain = span_chr(s, '(');
    while (at < plain && strchr(" \t\r\n", s.p[at]) == NULL) /* the first word is a name, even if it is "by" */
        at++;
    while (at < s.n && !at_by(span_skip(s, at))) {
        if (s.p[at] != '(') {
            at++;
            continue;
        }
        found = span_head(span_skip(s, at), comment_size(span_skip(s, at)));
        at += found.n;
        found = ip_of_comment(span_make(found.p + 1, found.n - 1 - (found.n > 1 && found.p[found.n - 1] == ')')));
        if (found.n > 0)
            return found;
    }
    return bracketed_ip(span_head(s, plain < at ? plain : at)); /* no comment told: "from [192.0.2.7] (helo=x) by" */
}

bool message_received_ip(struct message *m, size_t nth, struct span *ip_out)
{
    const struct header *h;

    *ip_out = SPAN_NONE;
    if (nth < m->received_n) /* who asks for one after the other goes on from the last */
        m->received_n = m->received_at = 0;
    while ((h = message_header_next(m, SPAN("Received"), &m->received_at)) != NULL) {
        if (m->received_n++ == nth) {
            *ip_out = client_ip(h->body);
            return true;
        }
    }
    return false;
}

/* ---- parts and texts ---- */

size_t message_parts(struct message *m, bool *limit_hit_out)
{
    if (!m->has_parts) {
        int64_t began_us = clock_thread_cpu_us();

        part_scan(without_mbox_line(m->raw), began_us + MESSAGE_CPU_US - m->cpu_us, m->arena, &m->parts);
        m->has_parts = true;
        m->cpu_us += clock_thread_cpu_us() - began_us;
        if (m->parts.limit != NULL)
            note_limit(m, m->parts.limit);
    }
    if (limit_hit_out != NULL)
        *limit_hit_out = m->parts.limit != NULL;
    return m->parts.n;
}

const struct message_part *message_part_at(struct message *m, size_t i)
{
    return i < message_parts(m, NULL) ? &m->parts.parts[i] : NULL;
}

static bool is_body(const struct message_part *p)
{
    return (p->kind == LEAF_TEXT_PLAIN || p->kind == LEAF_TEXT_HTML || p->kind == LEAF_TEXT_OTHER) &&
           !(p->detached && p->filename.n > 0);
}

/* Line ends as LF. */
static struct span with_lf(struct span s, struct arena *a)
{
    char  *out;
    size_t n = 0;

    if (span_find(s, SPAN("\r\n")) == s.n)
        return s;
    if ((out = arena_alloc(a, s.n + 1)) == NULL)
        return SPAN_NONE;
    while (s.n > 0) {
        size_t run = span_chr(s, '\r');

        memcpy(out + n, s.p, run);
        n += run;
        if (run < s.n && !(run + 1 < s.n && s.p[run + 1] == '\n'))
            out[n++] = '\r';
        s = span_skip(s, run + 1);
    }
    out[n] = 0;
    return span_make(out, n);
}

static void cut_texts(struct message *m, const char *limit)
{
    m->texts_cut = true;
    note_limit(m, limit);
}

/* One leaf as UTF-8 with LF line ends. Takes what it used off *room. */
static struct span decode_leaf(struct message *m, const struct message_part *p, size_t *room, bool *clean_out)
{
    bool        leaf_clean, charset_clean, cut;
    struct span s = leaf_decode(p->raw, p->encoding, *room, m->arena, &leaf_clean, &cut);

    if (cut)
        cut_texts(m, "text");
    *room -= s.n;
    s = text_from_charset(s, p->charset, m->arena, &charset_clean);
    *clean_out = leaf_clean && charset_clean && !cut;
    return with_lf(s, m->arena);
}

/* A text and its folded twin. */
static void put_text(struct message *m, struct message_text *t, struct span text, bool html, bool source, bool clean)
{
    *t = (struct message_text){.text = text, .html = html, .html_source = source, .clean = clean};
    t->folded = text_fold(text, m->arena);
}

/* Fills m->texts: each text leaf as seen, in front; behind them the sources of HTML, for now without their folded twin. */
static void make_texts(struct message *m)
{
    size_t  nparts = message_parts(m, NULL), room = MESSAGE_TEXT_MAX, nbody = 0, nhtml = 0, html = 0;
    int64_t began_us = clock_thread_cpu_us();

    for (size_t i = 0; i < nparts; i++) {
        nbody += is_body(&m->parts.parts[i]);
        nhtml += is_body(&m->parts.parts[i]) && m->parts.parts[i].kind == LEAF_TEXT_HTML;
    }
    if ((m->texts = arena_array(m->arena, nbody + nhtml, sizeof *m->texts)) == NULL)
        return;
    for (size_t i = 0; i < nparts; i++) {
        const struct message_part *p = &m->parts.parts[i];
        bool                       html_leaf = p->kind == LEAF_TEXT_HTML, clean;
        struct span                s;

        if (!is_body(p))
            continue;
        if (clock_thread_cpu_us() - began_us > MESSAGE_CPU_US - m->cpu_us) {
            cut_texts(m, "time");
            break;
        }
        s = decode_leaf(m, p, &room, &clean);
        if (html_leaf)
            m->texts[nbody + html++] = (struct message_text){.text = s, .html_source = true, .clean = clean};
        put_text(m, &m->texts[m->ntexts], html_leaf ? html_seen(s, m->arena) : s, html_leaf, false, clean);
        m->texts[m->ntexts++].spare = p->spare;
    }
    if (m->ntexts < nbody) /* the sources follow what there is */
        memmove(m->texts + m->ntexts, m->texts + nbody, html * sizeof *m->texts);
    m->nsources = html;
    m->cpu_us += clock_thread_cpu_us() - began_us;
}

static enum fact judge_texts(struct message *m)
{
    bool limit_hit;

    message_parts(m, &limit_hit);
    if (m->arena->full)
        cut_texts(m, "memory");
    if (limit_hit || m->texts_cut)
        return FACT_UNKNOWN;
    for (size_t i = 0; i < m->ntexts; i++) {
        if (!m->texts[i].clean)
            return FACT_UNKNOWN;
    }
    return m->ntexts > 0 ? FACT_YES : FACT_NO;
}

enum fact message_texts(struct message *m, bool source, const struct message_text **list_out, size_t *n_out)
{
    if (!m->has_texts) {
        make_texts(m);
        m->has_texts = true;
        m->texts_fact = judge_texts(m);
    }
    if (source && !m->has_source) {
        for (size_t i = m->ntexts; i < m->ntexts + m->nsources; i++)
            put_text(m, &m->texts[i], m->texts[i].text, true, true, m->texts[i].clean);
        m->has_source = true;
        m->texts_fact = judge_texts(m);
    }
    *list_out = m->texts;
    *n_out = m->ntexts + (source ? m->nsources : 0);
    return m->texts_fact;
}
