/* rulesd/scan_after.c - see scan_after.h. */
#include "scan_after.h"

#include "base/log.h"
#include "scan_people.h"

void scan_count(struct scan *s)
{
    if (s->given.p != NULL)
        return;
    if (s->tools->journal != NULL && s->record.ndeliveries > 0 && !s->failed)
        journal_put(s->tools->journal, &s->record);
    if (s->record.copy && s->tools->journal != NULL && !s->failed)
        copies_put(s->tools->copies, &s->record, s->req.message);

    if (s->req.class != CLASS_MTA || s->failed || s->refused || s->stopped || s->req.answered != NULL)
        return; /* what was dealt with elsewhere was counted when the rules were asked, if they were */
    for (size_t i = 0; i < s->nverdicts; i++) {
        const struct decision *d = &s->verdicts[i].decision;

        for (size_t k = 0; k < d->n; k++) {
            const struct match *m = &d->all[k].m;

            if (m->why == WHY_APPLIED || m->why == WHY_TEST_ONLY)
                hits_count(s->tools->hits, m, s->facts.now_us);
            else if (m->why == WHY_UNKNOWN && s->regex_limits > 0 && match_hit_limit(m))
                limited_rules_count(s->tools->limited, &m->id);
        }
    }
}

#define DECIDERS_MAX 8 /* named in one reply or line */

static bool has_rule(const struct match *const *list, size_t n, const struct match *m)
{
    for (size_t i = 0; i < n; i++)
        if (uuid_cmp(&list[i]->id, &m->id) == 0)
            return true;
    return false;
}

size_t scan_deciders(const struct scan *s, struct arena *a, const struct match ***out)
{
    const struct match **list = arena_array(a, DECIDERS_MAX, sizeof *list);
    size_t               n = 0;

    *out = list;
    for (size_t i = 0; list != NULL && i < s->nverdicts && n < DECIDERS_MAX; i++) {
        const struct layered *decider = s->verdicts[i].decision.decider;

        if (decider == NULL || has_rule(list, n, &decider->m))
            continue;
        if (s->verdicts[i].rule == s->outcome.rule)
            list[n++] = &decider->m;
    }
    return n;
}

static const char *const rule_words[] = {[VERDICT_NONE] = "none", [VERDICT_ALLOW] = "allow", [VERDICT_BLOCK] = "block"};

static void log_rules(const struct scan *s, struct log_line *l)
{
    char   ids[DECIDERS_MAX * 9 + 1] = "";
    size_t n = 0;

    for (size_t i = 0; i < s->nverdicts && n + 10 <= sizeof ids; i++) {
        const struct layered *decider = s->verdicts[i].decision.decider;
        char                  id[9];

        if (decider == NULL)
            continue;
        rule_short_id(&decider->m.id, id);
        if (strstr(ids, id) != NULL)
            continue;
        if (n > 0)
            ids[n++] = ',';
        memcpy(ids + n, id, sizeof id);
        n += sizeof id - 1;
    }
    if (n > 0)
        log_str(l, "rule", ids);
}

/* In words for the log; towards class scan without the addresses that an error may name. */
static const char *why_not(const struct scan *s)
{
    if (s->refused)
        return "too many recipients a minute for class scan";
    return s->req.class == CLASS_MTA ? s->err.text : err_word(s->err.code);
}

static void log_verdict(const struct scan *s, struct log_line *l)
{
    if (s->failed || s->refused) {
        log_str(l, "verdict", s->failed ? "failed" : "refused");
        log_str(l, "why", why_not(s));
        return;
    }
    log_str(l, "verdict", rule_words[s->outcome.rule]);
    log_str(l, "action", action_word(s->outcome.action));
    if (s->outcome.wish != s->outcome.action)
        log_str(l, "wanted", action_word(s->outcome.wish)); /* what this caller cannot do, or we not yet */
    log_f64(l, "score", s->outcome.score, 1);
    if (s->req.class == CLASS_MTA)
        log_rules(s, l);
    if (s->stopped || (s->answer == NULL && s->ask.rc < 0))
        log_str(l, "why", why_not(s));
    if (s->answer != NULL)
        log_f64(l, "scanner_score", s->score.total, 1);
    if (s->record.kept)
        log_str(l, "custody", "yes");
    if (s->outcome.nremoved > 0)
        log_i64(l, "removed", (int64_t)s->outcome.nremoved);
    if (s->regex_limits > 0)
        log_i64(l, "regex_limits", (int64_t)s->regex_limits);
    if (s->observes)
        log_str(l, "mode", "observe");
}

static void log_envelope(const struct scan *s, struct log_line *l)
{
    char ip[IP_TEXT];

    if (s->req.from.p != NULL)
        log_span(l, "from", s->has_from && s->from.full.n == 0 ? SPAN("<>") : span_head(s->req.from, 320));
    if (s->req.nrcpt == 1)
        log_span(l, "to", span_head(s->req.rcpt[0], 320));
    if (s->facts.has_ip) {
        ip_format(&s->facts.ip, ip);
        log_str(l, "ip", ip);
    }
    if (s->req.user.n > 0)
        log_span(l, "user", span_head(s->req.user, 320));
    if (s->req.queue_id.n > 0)
        log_span(l, "queue_id", span_head(s->req.queue_id, 128));
}

void scan_log(const struct scan *s, int64_t now_us)
{
    struct log_line l;
    char            text[PEER_TEXT], uid[UUID_TEXT + 1];

    if (!log_wants(s->failed ? LOG_LEVEL_WARNING : LOG_LEVEL_INFO))
        return;
    if (s->given.p != NULL) {
        log_begin(&l, LOG_LEVEL_INFO, "scan repeated");
        log_span(&l, "queue_id", span_head(s->req.queue_id, 128));
        log_i64(&l, "size", (int64_t)s->req.message.n);
        log_end(&l);
        return;
    }
    log_begin(&l, s->failed ? LOG_LEVEL_WARNING : LOG_LEVEL_INFO, "scan");
    uuid_format(&s->uid, uid);
    log_str(&l, "uid", uid);
    log_str(&l, "listener", s->req.listener->at.text);
    log_str(&l, "class", caller_class_word(s->req.class));
    peer_format(&s->req.peer, text);
    log_str(&l, "peer", text);
    if (s->req.class == CLASS_MTA)
        log_envelope(s, &l);
    log_i64(&l, "recipients", (int64_t)s->req.nrcpt);
    log_verdict(s, &l);
    log_i64(&l, "size", (int64_t)s->req.message.n);
    log_f64(&l, "ms", (double)(now_us - s->started_us) / 1000, 3);
    log_i64(&l, "cpu_us", s->cpu_us);
    log_end(&l);
}
