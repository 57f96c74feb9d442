/* rulesd/scan.c - see scan.h. The way: read addresses, resolve them by the cache, judge, ask the scanner, judge with what it found, ask
 * the greylist, decide, and take into custody what nobody gets now. */
#include "scan.h"

#include <stddef.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "record.h"
#include "scan/findings.h"

#define ARENA_FIRST ((size_t)32 << 10) /* what nearly every scan fits into */
#define REPLY_KEPT_MAX ((size_t)256 << 10)
#define WARN_US (10 * INT64_C(1000000))
#define ASK_ROUNDS 3 /* an address that is still not there then is not to be had */

struct scan_rcpt {
    struct span      sent;
    struct address   address; /* full.n == 0: nobody, or not readable */
    struct audience *audience;
    struct scope    *scopes[3]; /* those of the recipient; global is the scan's */
    enum direction   direction;
};

struct scan *scan_new(void)
{
    struct scan *s = calloc(1, sizeof *s);

    if (s == NULL)
        panic("out of memory");
    arena_init(&s->arena, SCAN_ARENA_MAX);
    arena_alloc(&s->arena, ARENA_FIRST);
    arena_reset(&s->arena);
    return s;
}

void scan_free(struct scan **sp)
{
    if (*sp == NULL)
        return;
    scan_end(*sp);
    arena_fini(&(*sp)->arena);
    free(*sp);
    *sp = NULL;
}

static void drop_scopes(struct scope *scopes[3])
{
    for (size_t i = 0; i < 3; i++)
        scope_drop(&scopes[i]);
}

/* reply.p == NULL: it came to nothing that could be told again. */
static void end_repeat(struct scan *s, struct span reply, int64_t keep_us)
{
    if (s->repeat == REPEAT_FIRST)
        repeat_end(s->tools->repeats, s->repeat_key, reply, keep_us, clock_mono_us());
    else if (s->repeat == REPEAT_JOINED)
        repeat_leave(s->tools->repeats, s->repeat_key, &s->repeat_wait);
    s->repeat = REPEAT_ALONE;
}

void scan_answered(struct scan *s, struct span reply)
{
    bool told = !s->failed && !s->refused && (s->stopped || s->outcome.action != ACTION_DEFER);

    end_repeat(s, told && reply.n <= REPLY_KEPT_MAX ? reply : SPAN_NONE, s->stopped ? REPEAT_SHORT_US : REPEAT_US);
}

void scan_end(struct scan *s)
{
    struct arena arena = s->arena;

    end_repeat(s, SPAN_NONE, 0);
    for (size_t i = 0; s->rcpts != NULL && i < s->nverdicts; i++) {
        audience_drop(&s->rcpts[i].audience);
        drop_scopes(s->rcpts[i].scopes);
    }
    audience_drop(&s->sender);
    drop_scopes(s->sender_scopes);
    scope_drop(&s->global);
    trust_drop(&s->trust);
    arena_reset(&arena);
    memset(s, 0, sizeof *s);
    s->arena = arena;
}

/* ---- reading what the request states ---- */

static void read_sender(struct scan *s)
{
    struct err e = ERR_INIT;

    if (s->req.from.p == NULL)
        return;
    s->has_from = address_parse_path(s->req.from, &s->arena, &s->from, &e) == 0;
    if (!s->has_from)
        s->from = (struct address){0};
}

static bool read_rcpts(struct scan *s)
{
    struct err e = ERR_INIT;
    size_t     n = s->req.nrcpt > 0 ? s->req.nrcpt : 1; /* without recipients: one that is nobody */

    if ((s->rcpts = arena_array(&s->arena, n, sizeof *s->rcpts)) == NULL)
        return false;
    s->nverdicts = n;
    for (size_t i = 0; i < s->req.nrcpt; i++) {
        struct scan_rcpt *r = &s->rcpts[i];

        r->sent = s->req.rcpt[i];
        if (address_parse_path(r->sent, &s->arena, &r->address, &e) < 0)
            r->address = (struct address){0};
    }
    return !s->arena.full;
}

static void read_facts(struct scan *s)
{
    struct origin_stated stated = {.ip = s->req.ip, .host = s->req.hostname, .helo = s->req.helo};

    if ((s->message = message_open(s->req.message, &s->arena)) == NULL)
        return;
    s->facts = (struct facts){.message = s->message,
                              .arena = &s->arena,
                              .has_envelope_from = s->has_from,
                              .envelope_from = s->from,
                              .now_us = clock_wall_us()};
    origin_facts(&s->trust->origin, &stated, &s->facts);
    s->facts.proof.can_prove |= s->tools->scanner != NULL;
}

void scan_begin(struct scan *s, const struct scan_request *req, const struct scan_tools *tools, struct trust *trust)
{
    s->req = *req;
    s->tools = tools;
    s->trust = trust_hold(trust);
    s->uid = uuid7_make();
    s->started_us = clock_mono_us();
    s->err = ERR_INIT;
    s->score.none = true;
    s->observes = atomic_load_explicit(&req->listener->observe, memory_order_relaxed);
    if (req->class == CLASS_SCAN) {
        s->req.user = SPAN_NONE;         /* who is signed in is for the MTA to say */
        s->req.drops_recipients = false; /* one verdict a scan, not one a recipient */
        s->refused = !allowance_take(tools->allowance, &req->peer, req->nrcpt, s->started_us);
    }
}

/* ---- recipients to scopes, by the cache ---- */

/* What the cache does not know yet, to be asked for at once. */
struct missing {
    struct span *addresses;
    size_t       n;
};

/* -1: cannot be known now. */
static int find_audience(struct scan *s, struct span address, struct audience **held, struct missing *missing)
{
    int rc = *held != NULL ? 1 : cache_get(s->tools->cache, address, held, &s->err);

    if (rc == 0)
        missing->addresses[missing->n++] = address;
    return rc < 0 ? -1 : 0;
}

static int ask(struct scan *s, const struct missing *missing)
{
    if (s->asked++ >= ASK_ROUNDS)
        return err_set(&s->err, ERR_BUSY, "the rules of %zu addresses cannot be read", missing->n);
    cache_load(s->tools->cache, missing->addresses, missing->n, s->wake, s->wake_ctx);
    return 1;
}

/* 0: everybody is known; 1: asked, to be woken; -1. */
static int find_audiences(struct scan *s)
{
    struct missing missing = {arena_array(&s->arena, s->nverdicts + 1, sizeof *missing.addresses), 0};

    if (missing.addresses == NULL)
        return err_set(&s->err, ERR_LIMIT, "the request needs too much memory");
    if (s->has_from && s->from.full.n > 0 && find_audience(s, s->from.full, &s->sender, &missing) < 0)
        return -1;
    for (size_t i = 0; i < s->nverdicts; i++)
        if (find_audience(s, s->rcpts[i].address.full, &s->rcpts[i].audience, &missing) < 0)
            return -1;
    return missing.n > 0 ? ask(s, &missing) : 0;
}

static int hold_scopes(struct scan *s, const struct audience *a, struct scope *scopes[3])
{
    for (enum scope_kind kind = SCOPE_DOMAIN; kind <= SCOPE_MAILBOX; kind++)
        if (audience_scope(s->tools->cache, a, kind, &scopes[kind], &s->err) < 0)
            return -1;
    return 0;
}

static bool ours(const struct audience *a) { return a != NULL && audience_who(a)->ours; }

/* Whose scopes hold: the recipient's, or, for what leaves us, the sender's. */
static int find_scopes(struct scan *s)
{
    bool authenticated = s->req.user.n > 0, outbound = false;

    if (audience_scope(s->tools->cache, s->rcpts[0].audience, SCOPE_GLOBAL, &s->global, &s->err) < 0)
        return -1;
    for (size_t i = 0; i < s->nverdicts; i++) {
        struct scan_rcpt *r = &s->rcpts[i];

        if (s->req.nrcpt == 0)
            break;
        r->direction = origin_direction(authenticated, ours(s->sender), ours(r->audience));
        if (r->direction == DIRECTION_OUTBOUND)
            outbound = true;
        else if (hold_scopes(s, r->audience, r->scopes) < 0)
            return -1;
    }
    return outbound && ours(s->sender) ? hold_scopes(s, s->sender, s->sender_scopes) : 0;
}

/* A scope was thrown out between the look-up and now: everybody once more. */
static int ask_for_all(struct scan *s)
{
    struct missing all = {arena_array(&s->arena, s->nverdicts + 1, sizeof *all.addresses), 0};

    if (all.addresses == NULL)
        return err_set(&s->err, ERR_LIMIT, "the request needs too much memory");
    if (s->sender != NULL)
        all.addresses[all.n++] = s->from.full;
    for (size_t i = 0; i < s->nverdicts; i++) {
        all.addresses[all.n++] = s->rcpts[i].address.full;
        drop_scopes(s->rcpts[i].scopes);
    }
    drop_scopes(s->sender_scopes);
    scope_drop(&s->global);
    return ask(s, &all);
}

static int resolve(struct scan *s)
{
    int rc;

    if (s->rcpts == NULL) {
        read_sender(s);
        if (!read_rcpts(s))
            return err_set(&s->err, ERR_LIMIT, "the request needs too much memory");
    }
    if ((rc = find_audiences(s)) != 0)
        return rc;
    if (find_scopes(s) < 0)
        return s->err.code == ERR_BUSY ? ask_for_all(s) : -1;
    return 0;
}

/* ---- judging ---- */

static void rcpt_to_judge(struct scan *s, const struct scan_rcpt *r, struct judge_rcpt *out)
{
    bool                            leaves = r->direction == DIRECTION_OUTBOUND;
    const struct audience          *whose = leaves && ours(s->sender) ? s->sender : r->audience;
    const struct store_resolved    *who = audience_who(r->audience);
    const struct store_domain_view *domain = audience_domain(whose);

    *out = (struct judge_rcpt){
        .rcpt = {.given = r->address,
                 .resolved = who->ours && who->has_mailbox ? span_of(who->mailbox_address) : SPAN_NONE,
                 .resolved_domain = who->ours ? span_of(who->domain_name) : SPAN_NONE},
        .scopes = {[SCOPE_GLOBAL] = s->global},
        .assigned = {domain->assigned, domain->nassigned},
        .thresholds = audience_thresholds(whose),
        .dispositions = domain->dispositions,
        .greylisting = domain->greylisting && r->direction == DIRECTION_INBOUND,
        .role_address = !leaves && who->special,
    };
    if (audience_domain(r->audience)->route[0] != '\0')
        origin_nexthop(span_of(audience_domain(r->audience)->route), &s->arena, &out->rcpt);
    struct scope *const *scopes = leaves ? s->sender_scopes : r->scopes;
    out->scopes[SCOPE_DOMAIN] = scopes[SCOPE_DOMAIN];
    out->scopes[SCOPE_MAILBOX] = scopes[SCOPE_MAILBOX];
}

/* A message has one direction a recipient, an evaluation one for all: those of one direction are judged together. */
static int judge_direction(struct scan *s, enum direction direction, struct judge_rcpt *rcpts, size_t *at)
{
    struct verdict    *verdicts;
    struct evaluation *evaluation;
    size_t             n = 0;

    for (size_t i = 0; i < s->nverdicts; i++) {
        if (s->rcpts[i].direction != direction)
            continue;
        rcpt_to_judge(s, &s->rcpts[i], &rcpts[n]);
        at[n++] = i;
    }
    if (n == 0)
        return 0;
    s->facts.direction = direction;
    if (judge(&s->facts, rcpts, n, &s->score, false, &verdicts, &evaluation, &s->err) < 0)
        return -1;
    s->regex_limits += evaluation_regex_limits(evaluation);
    for (size_t i = 0; i < n; i++)
        s->verdicts[at[i]] = verdicts[i];
    return 0;
}

static int judge_all(struct scan *s)
{
    if (s->message == NULL)
        read_facts(s);
    if (s->message == NULL || s->arena.full)
        return err_set(&s->err, ERR_LIMIT, "the request needs too much memory");

    struct judge_rcpt *rcpts = arena_array(&s->arena, s->nverdicts, sizeof *rcpts);
    size_t            *at = arena_array(&s->arena, s->nverdicts, sizeof *at);

    s->verdicts = arena_array(&s->arena, s->nverdicts, sizeof *s->verdicts);
    if (rcpts == NULL || at == NULL || s->verdicts == NULL)
        return err_set(&s->err, ERR_LIMIT, "the request needs too much memory");
    s->facts.yield_us = s->on_worker ? 0 : SCAN_LOOP_US;
    s->regex_limits = 0;
    for (enum direction d = DIRECTION_INBOUND; d <= DIRECTION_LOCAL; d++)
        if (judge_direction(s, d, rcpts, at) < 0)
            return -1;
    return 0;
}

/* Only a caller who could turn the sender away, and means it, moves the greylist. */
static bool may_greylist(const struct scan *s)
{
    return s->req.class == CLASS_MTA && !s->observes && !s->req.listener->post && s->req.answered == NULL;
}

static void ask_greylist(struct scan *s)
{
    int64_t now = clock_mono_us();

    for (size_t i = 0; i < s->nverdicts; i++) {
        struct verdict   *v = &s->verdicts[i];
        struct judge_rcpt r;

        if (!v->greylist_due)
            continue;
        rcpt_to_judge(s, &s->rcpts[i], &r);
        s->facts.direction = s->rcpts[i].direction;
        if (greylist_ask(s->tools->greylist, &s->facts, &r.rcpt, now) == GREY_NOT_YET)
            *v = decide_deferred(v);
    }
}

/* ---- the scanner ---- */

/* An allow that waits for the sender to be proven could still outrank the block. */
static bool waits_for_proof(const struct decision *d)
{
    for (size_t i = 0; i < d->n; i++)
        if (d->all[i].m.why == WHY_NOT_PROVEN)
            return true;
    return false;
}

/* Is it a released message on its way back? Then s->pass.bypass says which. */
static bool is_released(struct scan *s)
{
    size_t at = 0;

    return s->tools->bypasses != NULL && message_header_next(s->message, SPAN(BYPASS_FIELD), &at) != NULL &&
           s->req.class == CLASS_MTA && s->req.nrcpt == 1 && s->req.answered == NULL &&
           bypasses_check(s->tools->bypasses, s->req.message, s->rcpts[0].address.full, s->facts.now_us,
                          &s->pass.bypass);
}

/* Not where every recipient refuses the message already, whatever it is. Who would hold it needs to know of a virus,
 * and so does who let it go. */
static bool wants_scanner(struct scan *s)
{
    if (s->tools->scanner == NULL)
        return false;
    if (s->observes)
        return true;
    for (size_t i = 0; i < s->nverdicts; i++) {
        const struct verdict *v = &s->verdicts[i];

        if (v->rule != VERDICT_BLOCK || v->action != ACTION_REJECT || waits_for_proof(&v->decision))
            return true;
    }
    return is_released(s);
}

/* For whom the scanner scans, and later learns: the domain that all recipients share. */
static struct span common_domain(const struct scan *s)
{
    struct span domain = SPAN_NONE;

    for (size_t i = 0; i < s->nverdicts; i++) {
        const struct store_resolved *who = audience_who(s->rcpts[i].audience);

        if (!who->ours || (domain.n > 0 && !span_is(domain, who->domain_name)))
            return SPAN_NONE;
        domain = span_of(who->domain_name);
    }
    return domain;
}

static void scanner_done(struct scanner_ask *ask)
{
    struct scan *s = (struct scan *)(void *)((char *)ask - offsetof(struct scan, ask));

    s->wake(s->wake_ctx);
}

/* It has answered already, and with what came of it. */
static void answer_at_once(struct scan *s)
{
    s->stage = STAGE_ANSWER;
    s->ask.rc = 0;
    s->ask.answer = *s->req.answered;
}

/* Where the client stands behind a relay of ours, what was stated is the relay's, and passes SPF for whoever lists it. */
static struct span client_text(struct scan *s)
{
    char text[IP_TEXT];

    if (!s->facts.has_ip)
        return SPAN_NONE;
    ip_format(&s->facts.ip, text);
    return arena_dup(&s->arena, span_of(text));
}

static enum scan_step ask_scanner(struct scan *s)
{
    s->stage = STAGE_ANSWER;
    s->ask = (struct scanner_ask){
        .message = s->req.message,
        .from = s->req.from,
        .rcpt = s->req.rcpt,
        .nrcpt = s->req.nrcpt,
        .ip = client_text(s),
        .helo = s->facts.helo,
        .hostname = s->facts.no_host ? s->req.hostname : s->facts.host,
        .user = s->req.user,
        .queue_id = s->req.queue_id,
        .deliver_to = common_domain(s),
        .arena = &s->arena,
        .done = scanner_done,
    };
    scanner_put(s->tools->scanner, &s->ask);
    return SCAN_ASKS;
}

static int take_answer(struct scan *s)
{
    bool null_sender = s->has_from && s->from.full.n == 0; /* which one that we cannot read is not */

    if (s->ask.rc < 0) {
        s->err = s->ask.err;
        return -1;
    }
    s->answer = &s->ask.answer;
    s->ask.answer.envelope_told &= findings_sender_is_plain(s->req.from);
    findings_proof(s->answer, s->has_from ? s->from.domain : SPAN_NONE, null_sender ? s->facts.helo : SPAN_NONE,
                   &s->arena, &s->facts.proof);
    findings_score(s->answer, &s->tools->settings->rules.protected_symbols, &s->score);
    return s->arena.full ? err_set(&s->err, ERR_LIMIT, "the scanner's answer needs too much memory") : 0;
}

/* Where no rule decides, what the scanner did on purpose holds: it asks the sender to come again (its own greylisting, a rate limit),
 * or refuses at a score below its own limit (a policy of its operator's). Scores are ours to judge. */
static void heed_scanner(struct scan *s)
{
    const struct rspamd_reply *r = &s->answer->reply;
    bool                       refuses = r->action == RSPAMD_REJECT && r->score < r->required_score;

    for (size_t i = 0; i < s->nverdicts; i++) {
        struct verdict *v = &s->verdicts[i];

        if (v->rule != VERDICT_NONE || v->action > ACTION_TAG)
            continue; /* what was deferred for a protected finding is that already, for everybody */
        if (refuses)
            v->action = v->after_defer = audience_domain(scan_rcpt_audience(s, i))->dispositions.at_reject;
        else if (r->action == RSPAMD_SOFT_REJECT)
            v->action = ACTION_DEFER;
    }
}

/* ---- what it comes to ---- */

static enum scan_step give_up(struct scan *s)
{
    s->failed = true;
    return SCAN_DONE;
}

static bool may_hold(const struct scan *s)
{
    return s->tools->custody != NULL && s->req.class == CLASS_MTA && s->req.nrcpt > 0 && !s->observes;
}

/* What it came to elsewhere. Refused: a domain that would rather hold such mail than refuse it has a copy of it held. */
static enum action dealt_with(const struct scan *s, size_t i, enum action done)
{
    const struct verdict      *v = &s->verdicts[i];
    const struct dispositions *d = &audience_domain(scan_rcpt_audience(s, i))->dispositions;

    if (done != ACTION_REJECT && done != ACTION_DISCARD)
        return done;
    if (v->action == ACTION_QUARANTINE || v->action == ACTION_DISCARD)
        return v->action;
    if (v->by_protected || v->rule == VERDICT_BLOCK ||
        (d->at_reject != ACTION_QUARANTINE && d->at_reject != ACTION_DISCARD))
        return done;
    return d->at_reject;
}

static void settle_elsewhere(struct scan *s)
{
    const struct rspamd_reply *r = &s->answer->reply;
    enum action                done = r->discard ? ACTION_DISCARD : findings_action(r);

    for (size_t i = 0; i < s->nverdicts; i++)
        s->verdicts[i].action = s->verdicts[i].after_defer = dealt_with(s, i, done);
    s->outcome = (struct outcome){.action = done,
                                  .wish = done,
                                  .score = r->score,
                                  .thresholds = s->verdicts[0].thresholds,
                                  .rule = s->nverdicts == 1 ? s->verdicts[0].rule : VERDICT_NONE};
}

static int settle(struct scan *s, bool custody)
{
    struct caller caller = {.drops_recipients = s->req.drops_recipients,
                            .discards = s->req.listener->discards && s->req.class == CLASS_MTA,
                            .custody = custody,
                            .post = s->req.listener->post};

    if (s->req.answered != NULL) {
        settle_elsewhere(s);
        return 0;
    }
    if (s->answer != NULL && !s->bypassed)
        heed_scanner(s);
    if (may_greylist(s))
        ask_greylist(s);
    return decide_outcome(s->verdicts, s->nverdicts, &caller, &s->arena, &s->outcome, &s->err);
}

/* The same for all, for a reason that is not in any verdict; nothing is kept. */
static void stop(struct scan *s, enum action action, struct span notice)
{
    s->stopped = true;
    s->notice = notice;
    s->outcome.action = s->outcome.wish = action;
    s->outcome.rule = VERDICT_NONE;
    s->outcome.nremoved = 0;
    s->outcome.split_tag = false;
    s->outcome.score = s->score.total;
    if (s->nverdicts > 0)
        s->outcome.thresholds = s->verdicts[0].thresholds;
}

/* Nobody gets it now, nobody is told "no": the sender comes again. */
static void put_off(struct scan *s) { stop(s, ACTION_DEFER, SPAN("Temporarily unavailable, please try again later")); }

/* Who is signed in may have sent too much. */
static void ask_sending(struct scan *s)
{
    const struct sending_facts f = {.user = s->req.user,
                                    .sender = s->has_from ? s->from.full : s->req.from,
                                    .ip = s->req.ip,
                                    .queue_id = s->req.queue_id,
                                    .nrcpt = s->req.nrcpt,
                                    .now_us = s->facts.now_us};
    enum sending_verdict       v;

    if (s->tools->sending == NULL || s->req.class != CLASS_MTA || s->req.user.n == 0 || s->observes)
        return;
    v = sending_ask(s->tools->sending, &f);
    if (v == SENDING_OK)
        return;
    struct span text = span_of(sending_text(v));
    text = span_trim(span_skip(text, span_chr(text, ' '))); /* the caller puts the code there */
    err_set(&s->err, ERR_LIMIT, "%.*s", SPAN_ARG(text));
    stop(s, v == SENDING_BLOCKED ? ACTION_REJECT : ACTION_DEFER, text);
    s->stage = STAGE_SETTLE;
}

/* ---- a released message on its way back ---- */

static void spent(struct bypass_job *job)
{
    struct scan *s = (struct scan *)(void *)((char *)job - offsetof(struct scan, pass));

    s->wake(s->wake_ctx);
}

static enum scan_step bypass_step(struct scan *s)
{
    s->stage = STAGE_SETTLE;
    if (!is_released(s))
        return SCAN_DONE;
    if (s->score.protected_defer) { /* not spent: it comes again */
        s->verdicts[0].rule = VERDICT_NONE;
        s->verdicts[0].action = ACTION_DEFER;
        s->verdicts[0].by_protected = s->verdicts[0].must_wait = true;
        return SCAN_DONE;
    }
    s->stage = STAGE_SPENT;
    s->pass.done = spent;
    bypasses_spend(s->tools->bypasses, &s->pass);
    return SCAN_ASKS;
}

/* It was let go by somebody who may: rules and score are past, but what it carries is not. For that it is refused like any other,
 * even where such mail would be held: who releases has to hear of it. */
static void spent_step(struct scan *s)
{
    struct verdict *v = &s->verdicts[0];
    bool            carries = s->score.protected_reject ||
                   (v->thresholds.reject < THRESHOLD_OFF && s->score.protected_sum >= v->thresholds.reject);

    s->stage = STAGE_SETTLE;
    if (!s->pass.good)
        return;
    s->bypassed = !carries;
    v->rule = VERDICT_NONE;
    v->action = v->after_defer = carries ? ACTION_REJECT : ACTION_PASS;
    v->by_protected = carries;
    v->score = carries ? v->total : v->total < v->thresholds.add_header ? v->total : 0;
    v->greylist_due = false;
}

static void held(struct custody_job *job)
{
    struct scan *s = (struct scan *)(void *)((char *)job - offsetof(struct scan, hold));

    s->wake(s->wake_ctx);
}

/* What the domain permits to be held for it and for each of its mailboxes. Recipients of one domain mostly stand together. */
static size_t list_caps(struct scan *s, struct custody_cap *caps)
{
    size_t n = 0;

    for (size_t i = 0; i < s->nverdicts; i++) {
        const struct audience          *a = scan_rcpt_audience(s, i);
        const struct store_domain_view *d = audience_domain(a);
        const struct store_resolved    *who = audience_who(a);

        if (!who->ours || !record_keeps(&s->record, i))
            continue;
        if (d->held_max > 0 && (n == 0 || uuid_cmp(&caps[n - 1].owner, &who->domain) != 0))
            caps[n++] = (struct custody_cap){who->domain, d->held_max};
        if (d->mailbox_held_max > 0 && who->has_mailbox)
            caps[n++] = (struct custody_cap){who->mailbox, d->mailbox_held_max};
    }
    return n;
}

/* Who may still get it is logged when the caller tells what came of it. */
static void keep_settled(struct scan *s)
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

static enum scan_step hold(struct scan *s)
{
    struct custody_cap *caps = arena_array(&s->arena, 2 * s->nverdicts, sizeof *caps);

    if (caps == NULL) {
        err_set(&s->err, ERR_LIMIT, "the request needs too much memory");
        put_off(s);
        return record_make(s, false) < 0 ? give_up(s) : SCAN_DONE;
    }
    s->stage = STAGE_HELD;
    s->hold = (struct custody_job){.record = &s->record,
                                   .message = s->req.message,
                                   .arena = &s->arena,
                                   .caps = caps,
                                   .ncaps = list_caps(s, caps),
                                   .done = held};
    if (s->req.no_log)
        keep_settled(s);
    custody_put(s->tools->custody, &s->hold);
    return SCAN_ASKS;
}

static bool is_logged(const struct scan *s)
{
    return s->req.class == CLASS_MTA && s->req.nrcpt > 0 && !s->bypassed && (s->tools->journal != NULL || may_hold(s));
}

/* ---- the machine ---- */

/* A log that cannot be written is no reason to lose rows: the sender waits instead. */
static bool log_is_behind(const struct scan *s)
{
    return s->req.class == CLASS_MTA && s->tools->journal != NULL &&
           journal_lag_us(s->tools->journal, clock_mono_us()) > SCAN_LAG_US;
}

static int by_text(const void *a, const void *b) { return span_cmp(*(const struct span *)a, *(const struct span *)b); }

/* What makes a request the same as another. */
static void make_repeat_key(struct scan *s)
{
    const struct scan_request *q = &s->req;
    const struct span          texts[] = {q->queue_id, q->from, q->user, span_of(q->listener->at.text)};
    const uint64_t             numbers[] = {q->message.n, q->form, q->from.p != NULL, q->nrcpt};
    struct span               *all = arena_array(&s->arena, COUNT(texts) + q->nrcpt, sizeof *all);
    size_t                     size = sizeof numbers + FINGERPRINT_BYTES, n = COUNT(texts) + q->nrcpt;
    char                      *bytes, *p;

    if (all == NULL)
        return;
    memcpy(all, texts, sizeof texts);
    if (q->nrcpt > 0)
        memcpy(all + COUNT(texts), q->rcpt, q->nrcpt * sizeof *all);
    if (q->nrcpt > 1)
        qsort(all + COUNT(texts), q->nrcpt, sizeof *all, by_text);
    for (size_t i = 0; i < n; i++)
        size += all[i].n + 1;
    if ((p = bytes = arena_alloc(&s->arena, size)) == NULL)
        return;
    memcpy(p, numbers, sizeof numbers);
    fingerprint_seeded(q->message, (uint8_t *)p + sizeof numbers);
    p += sizeof numbers + FINGERPRINT_BYTES;
    for (size_t i = 0; i < n; i++) {
        if (all[i].n > 0)
            memcpy(p, all[i].p, all[i].n);
        p += all[i].n;
        *p++ = '\0';
    }
    fingerprint_seeded(span_between(bytes, p), s->repeat_key);
}

static void joined(void *ctx)
{
    struct scan *s = ctx;

    s->repeat = REPEAT_ALONE;
    s->wake(s->wake_ctx);
}

/* Is it on its way already, or was it answered? */
static enum scan_step look_for_repeat(struct scan *s)
{
    if (s->req.class != CLASS_MTA || s->req.queue_id.n == 0)
        return SCAN_DONE;
    make_repeat_key(s);
    if (s->arena.full) {
        err_set(&s->err, ERR_LIMIT, "the request needs too much memory");
        return give_up(s);
    }
    s->repeat_wait = (struct repeat_wait){.wake = joined, .ctx = s};
    s->repeat = REPEAT_JOINED; /* said before: it may be woken at any time */
    switch (repeat_begin(s->tools->repeats, s->repeat_key, &s->repeat_wait, &s->arena, &s->given, clock_mono_us())) {
    case REPEAT_NEW: s->repeat = REPEAT_FIRST; break;
    case REPEAT_KNOWN: s->repeat = REPEAT_ALONE; break;
    case REPEAT_WAITS: return SCAN_ASKS;
    }
    return SCAN_DONE;
}

static enum scan_step begin(struct scan *s)
{
    if (log_is_behind(s)) {
        if (s->waited) {
            err_set(&s->err, ERR_BUSY, "the message log is behind");
            return give_up(s);
        }
        s->waited = true;
        return SCAN_LATER;
    }
    if (look_for_repeat(s) == SCAN_ASKS)
        return SCAN_ASKS;
    s->stage = STAGE_RESOLVE;
    return SCAN_DONE;
}

static enum scan_step judge_step(struct scan *s, enum scan_stage next)
{
    if (!s->on_worker && s->req.message.n > SCAN_LOOP_BYTES)
        return SCAN_HEAVY;
    if (judge_all(s) < 0)
        return s->err.code == ERR_BUSY && !s->on_worker ? SCAN_HEAVY : give_up(s);
    s->stage = next;
    return SCAN_DONE;
}

/* Once in a while, not for every message. */
static void warn(const char *event, const struct err *e)
{
    static _Atomic int64_t told_us;
    int64_t                now = clock_mono_us(), last = atomic_load(&told_us);

    if ((last == 0 || now - last > WARN_US) && atomic_compare_exchange_strong(&told_us, &last, now))
        log_err(LOG_LEVEL_WARNING, event, e);
}

/* Without an answer: the rules alone decide, or the sender comes again, where there still is one to tell. In observe mode the caller has to see what it would have
 * seen without us. */
static enum scan_step answer_step(struct scan *s)
{
    s->stage = STAGE_JUDGE_AGAIN;
    if (take_answer(s) == 0)
        return SCAN_DONE;
    warn("the scanner did not answer", &s->err);
    if (s->observes)
        return give_up(s);
    if (s->tools->settings->rulesd.scanner_down == SCANNER_DOWN_DEFER && !s->req.listener->post)
        put_off(s);
    s->stage = STAGE_SETTLE;
    return SCAN_DONE;
}

bool scan_holds(const struct scan *s, bool at_reject)
{
    if (!may_hold(s) || s->outcome.action > ACTION_TAG)
        return false;
    for (size_t i = 0; i < s->nverdicts; i++) {
        const struct dispositions *d = &audience_domain(scan_rcpt_audience(s, i))->dispositions;
        enum action                a = at_reject ? d->at_reject : d->at_add_header;

        if (s->verdicts[i].action <= ACTION_TAG && a != ACTION_QUARANTINE && a != ACTION_DISCARD)
            return false;
    }
    return true;
}

static enum scan_step settle_step(struct scan *s)
{
    if (!s->stopped && settle(s, may_hold(s)) < 0)
        return give_up(s);
    if (is_logged(s)) {
        if (record_make(s, may_hold(s) && !s->stopped) < 0)
            return give_up(s);
        if (s->record.kept)
            return hold(s);
        if (s->req.no_log)
            keep_settled(s);
    }
    return SCAN_DONE;
}

static enum scan_step held_step(struct scan *s)
{
    if (s->hold.rc == 0)
        return SCAN_DONE;
    s->err = s->hold.err;
    log_err(LOG_LEVEL_ERROR, "a message could not be taken into custody", &s->err);
    if (s->req.answered != NULL)
        return give_up(s); /* there is nothing to put off any more: who handed it over has to hear of it */
    if (!s->req.listener->post)
        put_off(s);
    else if (settle(s, false) < 0) /* accepted already: what cannot be held is tagged */
        return give_up(s);
    return record_make(s, false) < 0 ? give_up(s) : SCAN_DONE;
}

/* SCAN_DONE from a step means to go on with the next, unless it was the last, or gave up. */
static enum scan_step run(struct scan *s)
{
    for (;;) {
        enum scan_stage stage = s->stage;
        enum scan_step  step = SCAN_DONE;
        int             rc;

        switch (stage) {
        case STAGE_BEGIN: step = begin(s); break;
        case STAGE_RESOLVE:
            if ((rc = resolve(s)) > 0)
                return SCAN_ASKS;
            if (rc < 0)
                return give_up(s);
            s->stage = STAGE_JUDGE;
            break;
        case STAGE_JUDGE: step = judge_step(s, STAGE_BYPASS); break;
        case STAGE_ANSWER: step = answer_step(s); break;
        case STAGE_JUDGE_AGAIN: step = judge_step(s, STAGE_BYPASS); break;
        case STAGE_BYPASS: step = bypass_step(s); break;
        case STAGE_SPENT: spent_step(s); break;
        case STAGE_SETTLE: return settle_step(s);
        case STAGE_HELD: return held_step(s);
        }
        if (step != SCAN_DONE || s->failed || s->given.p != NULL)
            return step;
        if (stage != STAGE_JUDGE)
            continue;
        if (s->req.answered != NULL) {
            answer_at_once(s);
            continue;
        }
        ask_sending(s);
        if (!s->stopped && wants_scanner(s))
            return ask_scanner(s);
    }
}

enum scan_step scan_run(struct scan *s)
{
    if (s->refused)
        return SCAN_DONE;
    if (!log_wants(LOG_LEVEL_INFO))
        return run(s);

    bool           on_loop = !s->on_worker;
    int64_t        before = clock_thread_cpu_us();
    enum scan_step step = run(s);
    if (step != SCAN_ASKS || on_loop) /* else it may be with somebody else by now */
        s->cpu_us += clock_thread_cpu_us() - before;
    return step;
}

/* ---- afterwards ---- */

struct span scan_rcpt_sent(const struct scan *s, size_t i) { return s->rcpts[i].sent; }

enum direction scan_rcpt_direction(const struct scan *s, size_t i) { return s->rcpts[i].direction; }

const struct audience *scan_rcpt_audience(const struct scan *s, size_t i)
{
    return s->rcpts[i].direction == DIRECTION_OUTBOUND && ours(s->sender) ? s->sender : s->rcpts[i].audience;
}

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
