/* rulesd/reply.c - see reply.h. */
#include "reply.h"

#include <stdio.h>

#include "base/clock.h"
#include "version.h"

#define REMOVED_NAMES_MAX 64 /* different names of header fields that one reply has removed */
#define FIELD_NAME_MAX 76

/* ---- what is said in both protocols ---- */

/* What the caller shall do: in observe mode, nothing. */
static enum action carried_out(const struct scan *s)
{
    return s->req.listener->observe ? ACTION_PASS : s->outcome.action;
}

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

static bool rule_symbol(const struct scan *s, struct symbol *out)
{
    static const struct symbol allow = {{"POSTERN_ALLOW", 13}, {"Allowed by the recipient's rules", 32}, SCORE_ALLOW},
                               block = {{"POSTERN_BLOCK", 13}, {"Blocked by the recipient's rules", 32}, SCORE_BLOCK},
                               learned = {{"POSTERN_LEARNED", 15},
                                          {"A sender whom the recipient reported as wanted", 46},
                                          SCORE_LEARNED_ALLOW};
    enum rule_verdict rule = s->outcome.rule;

    if (s->req.listener->observe || (rule == VERDICT_NONE && !all_learned(s)))
        return false;
    *out = rule == VERDICT_ALLOW ? allow : rule == VERDICT_BLOCK ? block : learned;
    return true;
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

/* What the sender reads in the refusal. */
static struct span refusal(struct scan *s, struct named named)
{
    struct span ids;

    switch (carried_out(s)) {
    case ACTION_DEFER: return SPAN("Greylisted, please try again in 5 minutes");
    case ACTION_REJECT:
        if (s->outcome.rule != VERDICT_BLOCK)
            return SPAN("Rejected as spam");
        ids = join(&s->arena, named, " (", ")");
        return arena_printf(&s->arena, "Blocked by the %s rules%.*s", s->req.nrcpt > 1 ? "recipients'" : "recipient's",
                            SPAN_ARG(ids));
    default: return SPAN_NONE;
    }
}

static double shown_score(const struct scan *s) { return s->req.listener->observe ? 0 : s->outcome.score; }

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

/* X-Spam itself is what the caller's "add header" sets. */
static void add_fields(struct scan *s, struct rspamd_reply *out)
{
    struct rspamd_add_header *add = arena_array(&s->arena, 2, sizeof *add);
    struct symbol             symbol = {SPAN("none"), SPAN_NONE, 0};

    if (add == NULL)
        return;
    rule_symbol(s, &symbol);
    add[0] = (struct rspamd_add_header){
        .name = SPAN("X-Spam-Score"), .value = arena_printf(&s->arena, "%.1f", out->score + 0.0), .plain = true};
    add[1] = (struct rspamd_add_header){.name = SPAN("X-Spam-Status"),
                                        .value = arena_printf(&s->arena, "%s, score=%.1f required=%.1f tests=%.*s",
                                                              out->action == RSPAMD_ADD_HEADER ? "Yes" : "No",
                                                              out->score + 0.0, out->add_header, SPAN_ARG(symbol.name)),
                                        .plain = true};
    out->add_headers = add;
    out->nadd_headers = 2;
}

/* The address alone: the milter protocol wants no display of it. */
static struct span bare(struct span path)
{
    path = span_trim(path);
    if (path.n >= 2 && path.p[0] == '<' && path.p[path.n - 1] == '>')
        path = span_make(path.p + 1, path.n - 2);
    return path;
}

static void drop_rcpts(struct scan *s, struct rspamd_reply *out)
{
    size_t       n = s->req.listener->observe ? 0 : s->outcome.nremoved;
    struct span *list = n > 0 ? arena_array(&s->arena, n, sizeof *list) : NULL;

    for (size_t i = 0; list != NULL && i < n; i++)
        list[i] = bare(scan_rcpt_sent(s, s->outcome.removed[i]));
    out->del_rcpt = list;
    out->ndel_rcpt = list != NULL ? n : 0;
}

static void put_symbol(struct scan *s, struct named named, struct rspamd_reply *out)
{
    struct rspamd_symbol *to;
    struct symbol         symbol;

    if (!rule_symbol(s, &symbol) || (to = arena_zalloc(&s->arena, sizeof *to)) == NULL)
        return;
    *to = (struct rspamd_symbol){symbol.name, symbol.description, symbol.score, named.ids, named.n};
    out->symbols = to;
    out->nsymbols = 1;
}

void reply_rspamd(struct scan *s, bool milter, int64_t now_us, struct rspamd_reply *out)
{
    struct named named = name_rules(s);
    char         uid[UUID_TEXT + 1];

    uuid_format(&s->uid, uid);
    *out = (struct rspamd_reply){
        .action = rspamd_action_of(carried_out(s)),
        .score = shown_score(s),
        .required_score = s->outcome.thresholds.reject,
        .reject = s->outcome.thresholds.reject,
        .add_header = s->outcome.thresholds.add_header,
        .greylist = s->outcome.thresholds.greylist,
        .smtp_message = refusal(s, named),
        .message_id = message_id(s->message),
        .uid = arena_dup(&s->arena, span_of(uid)),
        .discard = carried_out(s) == ACTION_DISCARD,
        .time_real = (double)(now_us - s->started_us) / 1e6,
    };
    put_symbol(s, named, out);
    if (!milter)
        return;
    remove_fields(s, out);
    add_fields(s, out);
    drop_rcpts(s, out);
}

/* ---- spamd ---- */

static const char *describe(const struct scan *s)
{
    if (s->req.listener->observe)
        return "Postern only observes here.";
    switch (s->outcome.rule) {
    case VERDICT_ALLOW: return "Allowed by the recipient's rules.";
    case VERDICT_BLOCK: return "Blocked by the recipient's rules.";
    default: return "No rule of the recipient decided.";
    }
}

static struct span write_report(struct scan *s, struct named named, const struct spamd_result *r)
{
    struct span ids = join(&s->arena, named, "\nRule: ", "");

    return arena_printf(&s->arena, "Postern: %s\nAction: %.*s\nScore: %.1f, spam from %.1f on%.*s%s%.*s\n", describe(s),
                        SPAN_ARG(r->action), r->score, r->threshold, SPAN_ARG(ids),
                        r->symbols.n > 0 ? "\nSymbols: " : "", SPAN_ARG(r->symbols));
}

static double spamd_score(const struct scan *s)
{
    struct outcome nothing = {.action = ACTION_PASS, .thresholds = s->outcome.thresholds};

    return decide_spamd_score(s->req.listener->observe ? &nothing : &s->outcome);
}

void reply_spamd(struct scan *s, const char *host, struct spamd_result *out)
{
    struct named  named = name_rules(s);
    struct symbol symbol = {SPAN_NONE, SPAN_NONE, 0};
    double       *score = arena_zalloc(&s->arena, sizeof *score);

    if (rule_symbol(s, &symbol) && score != NULL)
        *score = symbol.score;
    *out = (struct spamd_result){
        .score = spamd_score(s),
        .threshold = REPLY_SPAMD_THRESHOLD,
        .symbols = symbol.name,
        .symbol_scores = score,
        .action = span_of(rspamd_action_name(rspamd_action_of(carried_out(s)))),
        .message_id = message_id(s->message),
        .smtp_message = refusal(s, named),
        .version = SPAN(REPLY_VERSION " " POSTERN_VERSION),
        .host = span_of(host),
        .reject_threshold = s->outcome.thresholds.reject,
    };
    out->spam = out->score >= out->threshold;
    out->report = write_report(s, named, out);
}
