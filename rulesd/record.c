/* rulesd/record.c - see record.h. Two things: what became of each recipient, and the words of a stranger made fit to be kept. */
#include "base/utf8.h"
#include "discreet.h"
#include "reply.h"
#include "rules/trace.h"
#include "record.h"
#include "scan/findings.h"
#include "scan_people.h"

#define NAME_MAX_BYTES 255
#define SUBJECT_MAX_BYTES 998
#define ATTACHMENTS_MAX 100
#define SYMBOLS_MAX 200
#define OPTIONS_MAX 10
#define TRACE_MAX 50               /* matches of one recipient */
#define TRACES_MAX 10000           /* and of all together, but for one each: they have to fit into what is held, too */
#define JSON_MAX ((size_t)1 << 20) /* of one column */
#define DAY_US (86400 * INT64_C(1000000))
#define REMOVED_DAYS 7 /* a copy that nobody asked to keep */

/* ---- words ---- */

static bool is_plain(struct span s)
{
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] < ' ' || (unsigned char)s.p[i] >= 0x7f)
            return false;
    return true;
}

static bool is_control(uint32_t c) { return c < ' ' || (c >= 0x7f && c < 0xa0) || c == 0x2028 || c == 0x2029; }

/* Valid UTF-8, a blank for each run of control characters, at most `max` bytes. */
static struct span clean(struct scan *s, struct span text, size_t max)
{
    char  *out;
    size_t n = 0;

    text = span_trim(text);
    if (text.n <= max && is_plain(text))
        return text;
    if ((out = arena_alloc(&s->arena, max + UTF8_SAFE_MAX)) == NULL)
        return SPAN_NONE;
    for (size_t at = 0; at < text.n;) {
        uint32_t c = utf8_next(text, &at, NULL);
        char     bytes[4];
        size_t   k = is_control(c) ? 0 : utf8_put(c, bytes);

        if (n + (k > 0 ? k : 1) > max)
            break;
        if (k > 0)
            memcpy(out + n, bytes, k);
        else if (n > 0 && out[n - 1] != ' ')
            out[n++] = ' ';
        n += k;
    }
    return span_make(out, n);
}

/* What `put` writes, in the arena. */
static struct span json_of(struct scan *s, void (*put)(struct scan *s, struct buf *b, size_t i), size_t i)
{
    struct buf  b;
    struct span text;

    buf_init(&b, JSON_MAX);
    put(s, &b, i);
    text = b.failed ? SPAN("[]") : arena_dup(&s->arena, buf_span(&b));
    buf_fini(&b);
    return text;
}

/* The row is shown to each recipient: what names one of several is left out. */
static void put_options(struct scan *s, struct buf *b, const struct rspamd_symbol *y)
{
    size_t told = 0;

    for (size_t i = 0; i < y->noptions && told < OPTIONS_MAX; i++) {
        if (s->req.nrcpt > 1 && discreet_names(y->options[i], s->req.rcpt, s->req.nrcpt))
            continue;
        buf_puts(b, told++ > 0 ? "," : ",\"options\":[");
        json_put_string(b, span_head(y->options[i], NAME_MAX_BYTES));
    }
    if (told > 0)
        buf_putc(b, ']');
}

static void put_symbols(struct scan *s, struct buf *b, size_t unused)
{
    const struct rspamd_reply *r = s->answer != NULL ? &s->answer->reply : NULL;

    (void)unused;
    buf_putc(b, '[');
    for (size_t i = 0; r != NULL && i < r->nsymbols && i < SYMBOLS_MAX; i++) {
        const struct rspamd_symbol *y = &r->symbols[i];

        buf_puts(b, i > 0 ? ",{\"name\":" : "{\"name\":");
        json_put_string(b, span_head(y->name, NAME_MAX_BYTES));
        buf_printf(b, ",\"score\":%.3f", y->score + 0.0);
        put_options(s, b, y);
        buf_putc(b, '}');
    }
    buf_putc(b, ']');
}

static void put_attachments(struct scan *s, struct buf *b, size_t unused)
{
    bool   more;
    size_t n = message_parts(s->message, &more), told = 0;

    (void)unused;
    buf_putc(b, '[');
    for (size_t i = 0; i < n && told < ATTACHMENTS_MAX; i++) {
        const struct message_part *p = message_part_at(s->message, i);

        if (!p->attachment)
            continue;
        buf_puts(b, told++ > 0 ? ",{\"name\":" : "{\"name\":");
        json_put_string(b, clean(s, p->filename, NAME_MAX_BYTES));
        buf_puts(b, ",\"type\":");
        json_put_string(b, clean(s, p->type, NAME_MAX_BYTES));
        buf_printf(b, ",\"size\":%zu}", p->raw.n);
    }
    buf_putc(b, ']');
}

static void put_trace(struct scan *s, struct buf *b, size_t i)
{
    size_t share = TRACES_MAX / s->nverdicts;

    trace_put_json(b, &s->verdicts[i].decision, share == 0 ? 1 : share < TRACE_MAX ? share : TRACE_MAX, &s->arena);
}

/* The first field of that name, decoded. */
static struct span field(struct scan *s, const char *name, size_t max)
{
    size_t at = 0;
    bool   decoded;

    if (message_header_next(s->message, span_of(name), &at) == NULL)
        return SPAN_NONE;
    return clean(s, message_header_text(s->message, at - 1, &decoded), max);
}

/* What stands beside the address: "Ben Friend <ben@friends.example>". */
static struct span display_name(struct span from)
{
    size_t      angle = span_chr(from, '<');
    struct span name = angle < from.n ? span_trim(span_head(from, angle)) : SPAN_NONE;

    if (name.n >= 2 && name.p[0] == '"' && name.p[name.n - 1] == '"')
        name = span_make(name.p + 1, name.n - 2);
    return name;
}

/* A Message-ID as logs have it: in its brackets. */
static struct span bracketed(struct scan *s, struct span id)
{
    return id.n > 0 ? arena_printf(&s->arena, "<%.*s>", SPAN_ARG(clean(s, id, SUBJECT_MAX_BYTES - 2))) : SPAN_NONE;
}

/* In the scanner's words it may name one of several recipients: then the code alone. */
static struct span told_to_sender(struct scan *s)
{
    struct span told = reply_told(s);
    bool        names = s->req.nrcpt > 1 && discreet_names(told, s->req.rcpt, s->req.nrcpt);

    return names ? span_head(told, span_find(told, SPAN(" ")) + 6) : told; /* "554 5.7.1" */
}

/* ---- what became of each ---- */

/* They are in ascending order, and there may be 10,000. */
static bool is_removed(const struct scan *s, size_t i)
{
    size_t from = 0, to = s->outcome.nremoved;

    while (from < to) {
        size_t mid = (from + to) / 2;

        if (s->outcome.removed[mid] == i)
            return true;
        if (s->outcome.removed[mid] < i)
            from = mid + 1;
        else
            to = mid;
    }
    return false;
}

static enum delivery_verdict refused(const struct verdict *v)
{
    return v->rule == VERDICT_BLOCK && !v->by_protected ? DELIVERY_BLOCKED : DELIVERY_REJECTED;
}

/* The message is gone for this recipient, although its sender was told that it was accepted. */
static enum delivery_verdict kept_away(const struct verdict *v, bool may_hold)
{
    if (!may_hold)
        return DELIVERY_REMOVED;
    if (v->action == ACTION_DISCARD)
        return DELIVERY_DISCARDED;
    return v->action == ACTION_QUARANTINE ? DELIVERY_QUARANTINED : DELIVERY_REMOVED;
}

/* What the filter that decides made of it. */
static enum action their_action(const struct scan *s)
{
    return s->answer != NULL ? findings_action(&s->answer->reply) : ACTION_PASS;
}

static enum delivery_verdict decided_elsewhere(const struct scan *s)
{
    switch (their_action(s)) {
    case ACTION_TAG: return DELIVERY_TAGGED;
    case ACTION_DEFER: return DELIVERY_DEFERRED;
    case ACTION_REJECT: return DELIVERY_REJECTED;
    default: return DELIVERY_CLEAN;
    }
}

static enum delivery_verdict verdict_of(const struct scan *s, size_t i, bool may_hold)
{
    const struct verdict *v = &s->verdicts[i];

    if (s->observes)
        return decided_elsewhere(s);
    switch (s->outcome.action) {
    case ACTION_DEFER: return DELIVERY_DEFERRED;
    case ACTION_REJECT:
        if (s->req.answered != NULL && may_hold && (v->action == ACTION_QUARANTINE || v->action == ACTION_DISCARD))
            return kept_away(v, may_hold);
        return refused(v);
    case ACTION_DISCARD:
        return v->action == ACTION_REJECT && s->req.listener->post ? DELIVERY_QUARANTINED : kept_away(v, may_hold);
    default: break;
    }
    if (is_removed(s, i))
        return kept_away(v, may_hold);
    if (s->outcome.action == ACTION_TAG)
        return DELIVERY_TAGGED;
    return v->rule == VERDICT_ALLOW ? DELIVERY_ALLOWED : DELIVERY_CLEAN;
}

static bool is_kept(enum delivery_verdict v)
{
    return v == DELIVERY_QUARANTINED || v == DELIVERY_REMOVED || v == DELIVERY_DISCARDED;
}

bool record_keeps(const struct store_message *m, size_t i) { return is_kept(m->deliveries[i].verdict); }

static int64_t keep_days(const struct scan *s, const struct audience *a, enum delivery_verdict v)
{
    int64_t days = audience_domain(a)->retention_days;

    if (v != DELIVERY_QUARANTINED)
        return REMOVED_DAYS;
    return days > 0 ? days : s->tools->settings->quarantine.retention_days;
}

static void fill_delivery(struct scan *s, size_t i, bool may_hold, struct store_delivery *d)
{
    const struct audience       *a = scan_rcpt_audience(s, i);
    const struct store_resolved *who = audience_who(a);
    const struct verdict        *v = &s->verdicts[i];
    const struct layered        *w = v->decision.decider;
    enum delivery_verdict        verdict = verdict_of(s, i, may_hold);

    *d = (struct store_delivery){
        .recipient = clean(s, reply_bare(scan_rcpt_sent(s, i)), STORE_ADDRESS_MAX),
        .has_domain = who->ours,
        .has_mailbox = who->ours && who->has_mailbox,
        .domain = who->domain,
        .mailbox = who->mailbox,
        .verdict = verdict,
        .state = verdict == DELIVERY_ALLOWED || verdict == DELIVERY_CLEAN || verdict == DELIVERY_TAGGED ? STATE_RECEIVED
                                                                                                        : STATE_UNKNOWN,
        .has_score = !s->score.none || v->rule != VERDICT_NONE,
        .score = v->score,
        .has_rule = w != NULL,
        .trace = v->decision.n > 0 ? json_of(s, put_trace, i) : SPAN("[]"),
    };
    if (w != NULL) {
        d->rule = w->m.id;
        d->layer = span_of(layer_word(w->layer));
    }
}

/* ---- the message ---- */

static void fill_message(struct scan *s, struct store_message *m)
{
    const struct address *from;
    size_t                nfrom;
    char                  ip[IP_TEXT];
    struct span           from_field = field(s, "From", SUBJECT_MAX_BYTES);

    *m = (struct store_message){
        .uid = s->uid,
        .at_us = s->facts.now_us,
        .direction = scan_rcpt_direction(s, 0),
        .listener = span_of(s->req.listener->at.text),
        .queue_id = clean(s, s->req.queue_id, NAME_MAX_BYTES),
        .helo = clean(s, s->req.helo, NAME_MAX_BYTES),
        .host = clean(s, s->req.hostname, NAME_MAX_BYTES),
        .tls = clean(s, arena_printf(&s->arena, "%.*s %.*s", SPAN_ARG(s->req.tls_version), SPAN_ARG(s->req.tls_cipher)),
                     NAME_MAX_BYTES),
        .auth_user = clean(s, s->req.user, STORE_ADDRESS_MAX),
        .sender = s->has_from ? s->from.full : clean(s, reply_bare(s->req.from), STORE_ADDRESS_MAX),
        .subject = field(s, "Subject", SUBJECT_MAX_BYTES),
        .message_id = bracketed(s, message_id(s->message)),
        .size = (int64_t)message_size_crlf(s->message),
        .has_score = !s->score.none,
        .score = s->score.total,
        .symbols = s->answer != NULL ? json_of(s, put_symbols, 0) : SPAN("[]"),
        .attachments = json_of(s, put_attachments, 0),
        .inbound = clean(s, told_to_sender(s), SUBJECT_MAX_BYTES),
    };
    if (message_from(s->message, &from, &nfrom) != FACT_NO && nfrom > 0)
        m->from_address = from[0].full;
    m->from_name = display_name(from_field);
    if (s->facts.has_ip) {
        ip_format(&s->facts.ip, ip);
        m->ip = arena_dup(&s->arena, span_of(ip));
    }
}

/* What is let through is copied for a while where some recipient's domain has it so. */
static bool is_copied(const struct scan *s, size_t i)
{
    const struct audience *a = scan_rcpt_audience(s, i);

    return s->record.deliveries[i].state == STATE_RECEIVED && scan_rcpt_direction(s, i) != DIRECTION_OUTBOUND &&
           audience_who(a)->ours && audience_domain(a)->copies;
}

/* Not of one whose caller tells later what came of it, and hands it over then. */
static void want_copy(struct scan *s, struct store_message *m)
{
    int64_t hours = s->tools->settings->copies.delivered_hours;

    if (hours == 0 || s->tools->copies == NULL || !custody_is_open(s->tools->custody) || m->kept || s->req.no_log ||
        s->own)
        return;
    for (size_t i = 0; i < m->ndeliveries && !m->copy; i++)
        m->copy = is_copied(s, i);
    if (m->copy)
        m->keep_us = m->at_us + hours * 3600 * INT64_C(1000000);
}

int record_make(struct scan *s, bool may_hold)
{
    struct store_message  *m = &s->record;
    struct store_delivery *list = arena_array(&s->arena, s->nverdicts, sizeof *list);

    if (s->message == NULL || list == NULL)
        return scan_full(s);
    fill_message(s, m);
    for (size_t i = 0; i < s->nverdicts; i++) {
        fill_delivery(s, i, may_hold, &list[i]);
        if (!may_hold || !is_kept(list[i].verdict))
            continue;
        int64_t until = m->at_us + keep_days(s, scan_rcpt_audience(s, i), list[i].verdict) * DAY_US;
        m->kept = true;
        m->keep_us = until > m->keep_us ? until : m->keep_us;
    }
    if (s->observes) {
        m->observed = true;
        m->ours = span_of(action_word(s->outcome.wish));
        m->theirs = s->answer != NULL ? span_of(action_word(their_action(s))) : SPAN("");
    }
    m->deliveries = list;
    m->ndeliveries = s->nverdicts;
    if (may_hold)
        want_copy(s, m);
    return s->arena.full ? scan_full(s) : 0;
}

void record_settled_only(struct scan *s)
{
    struct store_delivery *list = arena_array(&s->arena, s->record.ndeliveries + 1, sizeof *list);
    size_t                 n = 0;

    for (size_t i = 0; list != NULL && i < s->record.ndeliveries; i++)
        if (s->record.deliveries[i].state != STATE_RECEIVED)
            list[n++] = s->record.deliveries[i];
    if (list == NULL)
        return;
    s->record.deliveries = list;
    s->record.ndeliveries = n;
}
