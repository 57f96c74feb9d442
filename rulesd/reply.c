/* rulesd/reply.c - see reply.h. */
#include "reply.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/version.h"
#include "discreet.h"
#include "scan/findings.h"
#include "scan_after.h"
#include "scan_people.h"

#define REMOVED_NAMES_MAX 64 /* different names of header fields that one reply has removed */
#define FIELD_NAME_MAX 76
#define TESTS_MAX 900 /* bytes of symbol names in X-Spam-Status */

/* ---- what is said in both protocols ---- */

/* What the caller shall do: in observe mode, nothing. */
static enum action carried_out(const struct scan *s) { return s->observes ? ACTION_PASS : s->outcome.action; }

static enum rspamd_action rspamd_action_of(enum action a)
{
    switch (a) {
    case ACTION_PASS: return RSPAMD_NO_ACTION;
    case ACTION_TAG: return RSPAMD_ADD_HEADER;
    case ACTION_DEFER: return RSPAMD_SOFT_REJECT;
    case ACTION_QUARANTINE:
    case ACTION_DISCARD: /* with milter.reject = discard */
    case ACTION_REJECT: return RSPAMD_REJECT;
    }
    return RSPAMD_NO_ACTION;
}

enum metric_verdict reply_verdict(const struct scan *s)
{
    static const enum metric_verdict of[] = {
        [ACTION_PASS] = METRIC_PASS,          [ACTION_TAG] = METRIC_TAG,         [ACTION_DEFER] = METRIC_DEFER,
        [ACTION_QUARANTINE] = METRIC_DISCARD, [ACTION_DISCARD] = METRIC_DISCARD, [ACTION_REJECT] = METRIC_REJECT,
    };
    if (s->failed || s->refused)
        return s->failed ? METRIC_FAILED : METRIC_REFUSED;
    return of[carried_out(s)];
}

/* A learned allow decided for everybody: it weighs on the score, and is no verdict by itself. */
static bool all_learned(const struct scan *s)
{
    for (size_t i = 0; i < s->nverdicts; i++) {
        const struct layered *d = s->verdicts[i].decision.decider;

        if (d == NULL || d->layer != LAYER_LEARNED || d->m.action != RULE_ALLOW)
            return false;
    }
    return true;
}

/* The one symbol that stands for what the rules said. */
struct symbol {
    struct span name, description;
    double      score;
};

/* Whose recipients they all are; NULL: nobody's, or of several brands, and it is the operator who speaks. */
static const struct store_domain_view *branded(const struct scan *s)
{
    const struct store_domain_view *one = NULL;

    for (size_t i = 0; i < s->nverdicts; i++) {
        const struct store_domain_view *d = audience_domain(scan_rcpt_audience(s, i));

        if (d->prefix[0] == '\0' || (one != NULL && strcmp(one->prefix, d->prefix) != 0))
            return NULL;
        one = d;
    }
    return one;
}

static const char *prefix_of(const struct scan *s)
{
    const struct store_domain_view *brand = branded(s);

    return brand != NULL ? brand->prefix : s->tools->settings->rules.prefix;
}

static const char *name_of(const struct scan *s)
{
    const struct store_domain_view *brand = branded(s);

    return brand != NULL ? brand->brand : s->tools->settings->portal.name;
}

static bool rule_symbol(struct scan *s, struct symbol *out)
{
    static const struct kind {
        const char *ending;
        struct span description;
        double      score;
    } allow = {"ALLOW", {"Allowed by the recipient's rules", 32}, SCORE_ALLOW},
      block = {"BLOCK", {"Blocked by the recipient's rules", 32}, SCORE_BLOCK},
      learned = {"LEARNED", {"A sender whom the recipient reported as wanted", 46}, SCORE_LEARNED_ALLOW};
    enum rule_verdict  rule = s->outcome.rule;
    const struct kind *kind = rule == VERDICT_ALLOW ? &allow : rule == VERDICT_BLOCK ? &block : &learned;

    if (s->observes || (rule == VERDICT_NONE && !all_learned(s)))
        return false;
    *out = (struct symbol){.name = arena_printf(&s->arena, "%s_%s", prefix_of(s), kind->ending),
                           .description = kind->description,
                           .score = kind->score};
    return out->name.p != NULL;
}

/* The rules behind the outcome, as the world may see them: short ids; none for class scan, and none where recipients
 * differ. */
struct named {
    const struct span *ids;
    size_t             n;
};

static struct named name_rules(struct scan *s)
{
    const struct match **deciders;
    struct symbol        symbol;
    bool                 may = s->req.class == CLASS_MTA && rule_symbol(s, &symbol);
    size_t               n = may ? scan_deciders(s, &s->arena, &deciders) : 0;
    struct span         *ids = n > 0 ? arena_array(&s->arena, n, sizeof *ids) : NULL;

    for (size_t i = 0; ids != NULL && i < n; i++) {
        char id[9];

        rule_short_id(&deciders[i]->id, id);
        ids[i] = arena_dup(&s->arena, span_of(id));
    }
    return (struct named){ids, ids != NULL ? n : 0};
}

static struct span join(struct arena *a, struct named named, const char *before, const char *after)
{
    struct span list = SPAN_NONE;

    for (size_t i = 0; i < named.n; i++)
        list = i == 0 ? named.ids[0] : arena_printf(a, "%.*s, %.*s", SPAN_ARG(list), SPAN_ARG(named.ids[i]));
    return list.n == 0 ? SPAN_NONE : arena_printf(a, "%s%.*s%s", before, SPAN_ARG(list), after);
}

/* The scanner's own words, where it refuses what we refuse. */
static struct span scanner_says(const struct scan *s)
{
    const struct rspamd_reply *r = s->answer != NULL ? &s->answer->reply : NULL;

    return r != NULL && r->action >= RSPAMD_SOFT_REJECT ? r->smtp_message : SPAN_NONE;
}

/* What the sender reads in the refusal. */
static struct span refusal(struct scan *s, struct named named)
{
    struct span ids, says = scanner_says(s);

    switch (carried_out(s)) {
    case ACTION_DEFER:
        if (s->stopped)
            return s->notice;
        if (says.n > 0)
            return says;
        return s->score.protected_defer ? SPAN("Temporarily unavailable, please try again later")
                                        : SPAN("Greylisted, please try again in 5 minutes");
    case ACTION_REJECT:
        if (s->stopped)
            return s->notice;
        if (s->outcome.rule != VERDICT_BLOCK)
            return says.n > 0 ? says : SPAN("Rejected as spam");
        ids = join(&s->arena, named, " (", ")");
        return arena_printf(&s->arena, "Blocked by the %s rules%.*s", s->req.nrcpt > 1 ? "recipients'" : "recipient's",
                            SPAN_ARG(ids));
    default: return SPAN_NONE;
    }
}

struct span reply_told(struct scan *s)
{
    struct span text = refusal(s, name_rules(s));
    enum action done = carried_out(s);

    if (s->observes && s->answer != NULL) {
        text = s->answer->reply.smtp_message;
        done = findings_action(&s->answer->reply);
    }
    switch (done) {
    case ACTION_DEFER: return arena_printf(&s->arena, "451 4.7.1 %.*s", SPAN_ARG(text));
    case ACTION_REJECT: return arena_printf(&s->arena, "554 5.7.1 %.*s", SPAN_ARG(text));
    default: return SPAN("250 accepted");
    }
}

static double shown_score(const struct scan *s) { return s->observes ? 0 : s->outcome.score; }

/* ---- Rspamd ---- */

static bool is_ours(struct span name) { return span_is_ci(name, "X-Spam") || span_starts_ci(name, SPAN("X-Spam-")); }

static bool has_name(const struct span *names, size_t n, struct span name)
{
    for (size_t i = 0; i < n; i++)
        if (span_eq_ci(names[i], name))
            return true;
    return false;
}

/* The fields that a sender could have forged: every X-Spam… that the message has. Those that programs look at come first, so
 * that a flood of others cannot keep them in. */
static void remove_fields(struct scan *s, struct rspamd_reply *out)
{
    static const char *const known[] = {"X-Spam", "X-Spam-Flag", "X-Spam-Status", "X-Spam-Score", "X-Spam-Level"};
    struct span             *names = arena_array(&s->arena, REMOVED_NAMES_MAX, sizeof *names);
    bool                     more;
    size_t                   n = 0, nheaders = message_nheaders(s->message, &more), at;

    if (names == NULL)
        return;
    if (at = 0, more || message_header_next(s->message, SPAN(BYPASS_FIELD), &at) != NULL)
        names[n++] = SPAN(BYPASS_FIELD);
    for (size_t i = 0; i < COUNT(known); i++)
        if (at = 0, more || message_header_next(s->message, span_of(known[i]), &at) != NULL)
            names[n++] = span_of(known[i]);
    for (size_t i = 0; i < nheaders && n < REMOVED_NAMES_MAX; i++) {
        struct span name = message_header_at(s->message, i)->name;

        if (is_ours(name) && name.n <= FIELD_NAME_MAX && !has_name(names, n, name))
            names[n++] = name;
    }
    out->remove_headers = names;
    out->nremove_headers = n;
}

/* "A,B,C": our symbol, then the scanner's; "none". */
static struct span tests_of(struct scan *s)
{
    const struct rspamd_reply *r = s->answer != NULL ? &s->answer->reply : NULL;
    struct symbol              symbol;
    struct buf                 b;
    struct span                list;

    buf_init(&b, TESTS_MAX + FIELD_NAME_MAX);
    if (rule_symbol(s, &symbol))
        buf_put(&b, symbol.name);
    for (size_t i = 0; r != NULL && i < r->nsymbols && b.n + r->symbols[i].name.n < TESTS_MAX; i++) {
        if (b.n > 0)
            buf_putc(&b, ',');
        buf_put(&b, r->symbols[i].name);
    }
    list = b.n > 0 ? arena_dup(&s->arena, buf_span(&b)) : SPAN("none");
    buf_fini(&b);
    return list;
}

static bool is_spam(enum rspamd_action a)
{
    return a == RSPAMD_ADD_HEADER || a == RSPAMD_REWRITE_SUBJECT || a == RSPAMD_REJECT;
}

/* X-Spam itself is what the caller's "add header" sets. */
static void add_fields(struct scan *s, struct rspamd_reply *out)
{
    struct rspamd_add_header *add = arena_array(&s->arena, 2, sizeof *add);

    if (add == NULL)
        return;
    add[0] = (struct rspamd_add_header){
        .name = SPAN("X-Spam-Score"), .value = arena_printf(&s->arena, "%.1f", out->score + 0.0), .plain = true};
    add[1] = (struct rspamd_add_header){.name = SPAN("X-Spam-Status"),
                                        .value = arena_printf(&s->arena, "%s, score=%.1f required=%.1f tests=%.*s",
                                                              is_spam(out->action) ? "Yes" : "No", out->score + 0.0,
                                                              out->add_header, SPAN_ARG(tests_of(s))),
                                        .plain = true};
    out->add_headers = add;
    out->nadd_headers = 2;
}

struct span reply_bare(struct span path)
{
    path = span_trim(path);
    if (path.n >= 2 && path.p[0] == '<' && path.p[path.n - 1] == '>')
        path = span_make(path.p + 1, path.n - 2);
    return path;
}

static void drop_rcpts(struct scan *s, struct rspamd_reply *out)
{
    size_t       n = s->observes ? 0 : s->outcome.nremoved;
    struct span *list = n > 0 ? arena_array(&s->arena, n, sizeof *list) : NULL;

    for (size_t i = 0; list != NULL && i < n; i++)
        list[i] = reply_bare(scan_rcpt_sent(s, s->outcome.removed[i]));
    out->del_rcpt = list;
    out->ndel_rcpt = list != NULL ? n : 0;
}

/* Ours first: of one name the first counts. */
static void put_symbols(struct scan *s, struct named named, struct rspamd_reply *out)
{
    const struct rspamd_reply *r = s->answer != NULL ? &s->answer->reply : NULL;
    size_t                     more = r != NULL ? r->nsymbols : 0, n = 0;
    struct rspamd_symbol      *to = arena_array(&s->arena, more + 1, sizeof *to);
    struct symbol              symbol;

    if (to == NULL)
        return;
    if (rule_symbol(s, &symbol))
        to[n++] = (struct rspamd_symbol){symbol.name, symbol.description, symbol.score, named.ids, named.n};
    if (more > 0)
        memcpy(to + n, r->symbols, more * sizeof *to);
    out->symbols = to;
    out->nsymbols = n + more;
}

/* Two lists in one, in the arena. */
static const void *both(struct arena *a, const void *one, size_t n, const void *other, size_t m, size_t size)
{
    char *list = arena_alloc(a, (n + m + 1) * size);

    if (list == NULL)
        return NULL;
    if (n > 0)
        memcpy(list, one, n * size);
    if (m > 0)
        memcpy(list + n * size, other, m * size);
    return list;
}

/* A field that all get and that names one of them. */
static bool tells_of_others(const struct scan *s, const struct rspamd_add_header *field)
{
    return s->req.nrcpt > 1 && discreet_names(field->value, s->req.rcpt, s->req.nrcpt);
}

/* What the scanner wants done to the message, where that is not ours to say: signatures, fields, recipients added. */
static void take_changes(struct scan *s, const struct rspamd_reply *r, struct rspamd_reply *out)
{
    struct rspamd_add_header *add = arena_array(&s->arena, r->nadd_headers + 1, sizeof *add);
    int                      *at = arena_array(&s->arena, out->nremove_headers + r->nremove_headers + 1, sizeof *at);
    size_t                    n = 0;

    if (add == NULL || at == NULL)
        return;
    for (size_t i = 0; i < r->nadd_headers; i++)
        if (!is_ours(r->add_headers[i].name) && !tells_of_others(s, &r->add_headers[i]))
            add[n++] = r->add_headers[i];
    out->add_headers = both(&s->arena, out->add_headers, out->nadd_headers, add, n, sizeof *add);
    out->nadd_headers += n;
    for (size_t i = 0; r->remove_at != NULL && i < r->nremove_headers; i++)
        at[out->nremove_headers + i] = r->remove_at[i];
    out->remove_headers = both(&s->arena, out->remove_headers, out->nremove_headers, r->remove_headers,
                               r->nremove_headers, sizeof *r->remove_headers);
    out->remove_at = at;
    out->nremove_headers += r->nremove_headers;
    out->add_rcpt = r->add_rcpt;
    out->nadd_rcpt = r->nadd_rcpt;
    out->change_from = r->change_from;
    out->dkim_signature = r->dkim_signature;
    out->ndkim_signature = r->ndkim_signature;
}

static struct span uid_text(struct scan *s)
{
    char uid[UUID_TEXT + 1];

    uuid_format(&s->uid, uid);
    return arena_dup(&s->arena, span_of(uid));
}

/* While we only observe, the caller sees what it would see without us: the scanner's reply. */
static bool stands_back(const struct scan *s) { return s->observes && s->answer != NULL; }

void reply_rspamd(struct scan *s, bool milter, int64_t now_us, struct rspamd_reply *out)
{
    struct named               named = name_rules(s);
    const struct rspamd_reply *r = s->answer != NULL ? &s->answer->reply : NULL;

    if (stands_back(s)) {
        *out = *r;
        out->uid = uid_text(s);
        out->time_real = (double)(now_us - s->started_us) / 1e6;
        return;
    }
    *out = (struct rspamd_reply){
        .action = rspamd_action_of(carried_out(s)),
        .score = shown_score(s),
        .required_score = s->outcome.thresholds.reject,
        .reject = s->outcome.thresholds.reject,
        .add_header = s->outcome.thresholds.add_header,
        .greylist = s->outcome.thresholds.greylist,
        .smtp_message = refusal(s, named),
        .message_id = message_id(s->message),
        .uid = uid_text(s),
        .discard = carried_out(s) == ACTION_DISCARD,
        .time_real = (double)(now_us - s->started_us) / 1e6,
    };
    if (r != NULL && r->action == RSPAMD_REWRITE_SUBJECT && out->action == RSPAMD_ADD_HEADER) {
        out->action = RSPAMD_REWRITE_SUBJECT;
        out->subject = r->subject;
    }
    put_symbols(s, named, out);
    if (!milter)
        return;
    remove_fields(s, out);
    add_fields(s, out);
    if (r != NULL)
        take_changes(s, r, out);
    drop_rcpts(s, out);
}

/* ---- spamd ---- */

static const char *describe(const struct scan *s)
{
    if (s->observes)
        return "The rules are only observed here.";
    switch (s->outcome.rule) {
    case VERDICT_ALLOW: return "Allowed by the recipient's rules.";
    case VERDICT_BLOCK: return "Blocked by the recipient's rules.";
    default: return "No rule of the recipient decided.";
    }
}

static struct span write_report(struct scan *s, struct named named, const struct spamd_result *r)
{
    struct span ids = join(&s->arena, named, "\nRule: ", "");

    return arena_printf(&s->arena, "%s: %s\nAction: %.*s\nScore: %.1f, spam from %.1f on%.*s%s%.*s\n", name_of(s),
                        describe(s), SPAN_ARG(r->action), r->score, r->threshold, SPAN_ARG(ids),
                        r->symbols.n > 0 ? "\nSymbols: " : "", SPAN_ARG(r->symbols));
}

static double spamd_score(const struct scan *s)
{
    struct outcome nothing = {.action = ACTION_PASS, .thresholds = s->outcome.thresholds};

    return decide_spamd_score(s->observes ? &nothing : &s->outcome);
}

/* "A,B,C" and a score each. */
static void list_symbols(struct scan *s, struct spamd_result *out)
{
    const struct rspamd_reply *r = s->answer != NULL ? &s->answer->reply : NULL;
    size_t                     more = r != NULL ? r->nsymbols : 0, n = 0;
    double                    *scores = arena_array(&s->arena, more + 1, sizeof *scores);
    struct symbol              symbol;
    struct buf                 b;

    if (scores == NULL)
        return;
    buf_init(&b, (size_t)1 << 20);
    if (rule_symbol(s, &symbol)) {
        buf_put(&b, symbol.name);
        scores[n++] = symbol.score;
    }
    for (size_t i = 0; i < more; i++) {
        if (n > 0)
            buf_putc(&b, ',');
        buf_put(&b, r->symbols[i].name);
        scores[n++] = r->symbols[i].score;
    }
    out->symbols = arena_dup(&s->arena, buf_span(&b));
    out->symbol_scores = scores;
    buf_fini(&b);
}

/* The Exim recipe can hold mail: it is told what we wish. */
static struct span action_told(const struct scan *s)
{
    enum action a = carried_out(s);

    if (a == ACTION_DISCARD && s->req.listener->discards)
        return span_of(action_word(s->outcome.wish));
    return span_of(rspamd_action_name(rspamd_action_of(a)));
}

void reply_spamd(struct scan *s, const char *host, struct spamd_result *out)
{
    struct named named = name_rules(s);

    *out = (struct spamd_result){
        .score = spamd_score(s),
        .threshold = REPLY_SPAMD_THRESHOLD,
        .action = action_told(s),
        .message_id = message_id(s->message),
        .smtp_message = refusal(s, named),
        .version = arena_printf(&s->arena, "%s " POSTERN_VERSION, name_of(s)),
        .host = span_of(host),
        .reject_threshold = s->outcome.thresholds.reject,
    };
    list_symbols(s, out);
    if (stands_back(s)) {
        out->score = s->answer->reply.score;
        out->threshold = s->answer->reply.required_score;
        out->action = span_of(rspamd_action_name(s->answer->reply.action));
        out->smtp_message = s->answer->reply.smtp_message;
    }
    out->spam = out->score >= out->threshold;
    out->report = write_report(s, named, out);
}
