/* portal/links_state.c - how a link stands, and doing and undoing what it is for. */
#include <stdio.h>

#include "base/json_read.h"
#include "custody/release.h"
#include "decide.h"
#include "links.h"
#include "links_inside.h"
#include "mail.h"
#include "store/audit.h"
#include "store/delivery.h"
#include "store/mailbox.h"

#define UNDOING LINKS_SOURCE " (undone), "
#define DONE LINKS_SOURCE ", "
#define LOOKED_AT 200 /* rows of the audit log, for the one that can be undone */

void link_say(struct link_state *s, enum link_word w)
{
    if (w != SAYS_NOTHING && s->nsays < LINK_SAYS_MAX)
        s->says[s->nsays++] = w;
}

/* ---- whose ---- */

static int out_of_reach(struct err *e)
{
    return err_set(e, ERR_DENIED, "This message is not in that digest's reach any more.");
}

/* The scope that the delivery lives in: one that is there still, and that the digest tells of. */
static int find_scope(struct link_case *x, const struct store_owner *owner, struct err *e)
{
    struct call         *c = x->c;
    struct store_mailbox m;

    if (x->d.kind == DIGEST_MAILBOX ? !owner->has_mailbox || !uuid_eq(&owner->mailbox, &x->d.mailbox)
                                    : !owner->has_domain || !uuid_eq(&owner->domain, &x->d.domain))
        return out_of_reach(e);
    c->scope = store_scope_domain(owner->domain);
    if (!owner->has_mailbox)
        return 0;
    if (store_mailbox_get(c->store, owner->mailbox, &m, e) < 0)
        return e->code == ERR_NOT_FOUND ? out_of_reach(e) : -1;
    c->scope = store_scope_mailbox(owner->mailbox);
    return uuid_eq(&m.domain, &x->d.domain) ? 0 : out_of_reach(e);
}

static void set_source(struct link_case *x, const char *what)
{
    x->c->actor.source = arena_printf(x->c->arena, "%s%s", what, x->c->ip_text).p;
}

static int set_who(struct link_case *x, struct err *e)
{
    struct call *c = x->c;

    c->who = (struct who){.kind = WHO_LINK, .link_scope = c->scope};
    if (store_account_get(c->store, x->d.account, &c->who.account, e) < 0)
        return e->code == ERR_NOT_FOUND ? out_of_reach(e) : -1;
    c->actor = (struct actor){.kind = ACTOR_ACCOUNT, .id = x->d.account, .name = c->who.account.login};
    c->standing = STANDING_USER;
    set_source(x, DONE);
    return 0;
}

int link_find(struct link_case *x, struct err *e)
{
    struct call       *c = x->c;
    struct store_owner owner;

    c->scope = x->d.kind == DIGEST_MAILBOX ? store_scope_mailbox(x->d.mailbox) : store_scope_domain(x->d.domain);
    if (x->link.action == LINK_UNSUBSCRIBE)
        return set_who(x, e);
    c->delivery = x->link.key;
    c->object = c->delivery.uid;
    if (store_delivery_owner(c->store, &c->delivery, &owner, e) < 0 || find_scope(x, &owner, e) < 0)
        return -1;
    return set_who(x, e);
}

/* ---- what can be undone ---- */

/* The latest change of a rule, where a link has made it. */
struct undo {
    const struct link_case *x;
    struct uuid             rule;
    bool                    there, added;
    int64_t                 priority; /* what it had before, where it was not added */
    bool                    enabled;
};

/* {"before": {"priority": 100, "enabled": true, …}, …}: "before" comes first. */
static bool read_before(struct span payload, struct undo *u)
{
    struct json_read  json = {.in = payload, .arena = u->x->c->arena};
    struct json_value v, key;
    struct err        e = ERR_INIT;
    bool              priority = false, enabled = false;

    if (json_value(&json, &v, &e) < 0 || v.type != JSON_OBJECT || json_member(&json, &key, &e) <= 0 ||
        !span_is(key.text, "before") || json_value(&json, &v, &e) < 0 || v.type != JSON_OBJECT)
        return false;
    while (json_member(&json, &key, &e) > 0) {
        if (json_value(&json, &v, &e) < 0)
            return false;
        if (span_is(key.text, "priority"))
            priority = json_i64(&v, &u->priority);
        if (span_is(key.text, "enabled") && v.type == JSON_BOOL) {
            u->enabled = v.yes;
            enabled = true;
        }
        if (json_over(&json, &v, &e) < 0)
            return false;
    }
    return priority && enabled;
}

static int each_change(void *ctx, const struct store_audit_row *r)
{
    struct undo *u = ctx;

    if (!r->has_object || !uuid_eq(&r->object, &u->rule))
        return 0;
    if (span_starts(r->source, SPAN(DONE)) && uuid_eq(&r->actor, &u->x->d.account)) {
        u->added = span_is(r->action, "rule.add");
        u->there = u->added || (span_is(r->action, "rule.set") && read_before(r->payload, u));
    }
    return 1;
}

static int find_undo(const struct link_case *x, const struct uuid *rule, struct undo *out, struct err *e)
{
    struct store_audit_query q = {.where = AUDIT_SCOPE,
                                  .scope = x->c->scope,
                                  .action = SPAN("rule"),
                                  .since_us = x->c->now_us - LINKS_UNDO_US,
                                  .limit = LOOKED_AT};

    *out = (struct undo){.x = x, .rule = *rule};
    return store_audit_find(x->c->store, &q, each_change, out, e);
}

/* ---- how it stands ---- */

enum release_stand {
    REL_OPEN,
    REL_WAITING, /* nobody has begun to send it */
    REL_SENDING,
    REL_UNKNOWN,
    REL_SENT,
    REL_REFUSED, /* and can be tried again */
    REL_OTHERS,
    REL_GONE,
    REL_NOT_HELD,
};
struct stands {
    struct mail_delivery m;
    enum release_stand   rel;
    bool                 others; /* the rule is for others to make */
    struct decide_stand  dec;
    struct undo          undo;
};

static bool releases(const struct link_case *x)
{
    return x->link.action == LINK_RELEASE || x->link.action == LINK_RELEASE_ALLOW;
}
static bool decides(const struct link_case *x)
{
    return x->link.action == LINK_BLOCK || x->link.action == LINK_RELEASE_ALLOW;
}
static enum rule_action action_of(const struct link_case *x)
{
    return x->link.action == LINK_BLOCK ? RULE_BLOCK : RULE_ALLOW;
}

/* 1 yes, 0 no, -1. */
static int may(struct link_case *x, enum deed deed, struct err *e)
{
    struct call *c = x->c;

    if (permit(c->store, &c->who, deed, &c->scope, "message", e) == 0)
        return 1;
    if (e->code != ERR_DENIED && e->code != ERR_NOT_FOUND)
        return -1;
    *e = ERR_INIT;
    return 0;
}

/* What its row says, or REL_OPEN. */
static enum release_stand by_row(const struct mail_delivery *m, int64_t now_us)
{
    if (!m->has_release)
        return REL_OPEN;
    switch (m->release.state) {
    case RELEASE_REQUESTED: return REL_WAITING;
    case RELEASE_SENDING: return REL_SENDING;
    case RELEASE_UNKNOWN: return m->release.lease_until_us > now_us ? REL_SENDING : REL_UNKNOWN;
    case RELEASE_SENT: return REL_SENT;
    case RELEASE_FAILED: break;
    }
    return m->release.code != 0 ? REL_REFUSED : REL_OPEN;
}

static int look_release(struct link_case *x, struct stands *s, struct err *e)
{
    const struct store_delivery *d = &s->m.d->delivery;
    int                          rc;

    s->rel = by_row(&s->m, x->c->now_us);
    if (s->rel != REL_OPEN && s->rel != REL_REFUSED)
        return 0;
    if (delivery_was_released(d->verdict, d->state))
        s->rel = REL_SENT;
    else if (!x->c->held)
        s->rel = REL_NOT_HELD;
    else if (!mail_is_held(&s->m))
        s->rel = REL_GONE;
    else if ((rc = may(x, mail_release_deed(x->c, &s->m, NULL), e)) <= 0) {
        s->rel = REL_OTHERS;
        return rc;
    }
    return 0;
}

static int look_rule(struct link_case *x, struct stands *s, struct err *e)
{
    int rc = may(x, DEED_WRITE_RULES, e);

    s->others = rc == 0;
    if (rc <= 0)
        return rc;
    if (decide_look(x->c, action_of(x), &s->dec, e) < 0)
        return -1;
    return s->dec.made ? find_undo(x, &s->dec.rule, &s->undo, e) : 0;
}

static int look(struct link_case *x, struct stands *s, struct err *e)
{
    *s = (struct stands){.rel = REL_OPEN};
    if (mail_find(x->c, &s->m, e) < 0)
        return -1;
    x->c->held = release_held(s->m.d->delivery.verdict);
    if (releases(x) && look_release(x, s, e) < 0)
        return -1;
    return decides(x) ? look_rule(x, s, e) : 0;
}

/* ---- what the page says of it ---- */

static bool was_let_go(const struct stands *s)
{
    return s->rel == REL_WAITING || s->rel == REL_SENDING || s->rel == REL_UNKNOWN || s->rel == REL_SENT;
}

static void offer(struct link_state *out, enum link_step step, enum link_word button)
{
    out->step = step;
    out->button = button;
}

static void show_sent(const struct link_case *x, const struct stands *s, struct link_state *out)
{
    bool theirs = x->d.kind == DIGEST_DOMAIN,
         just = s->m.has_release && x->c->now_us - s->m.release.changed_us < LINKS_UNDO_US;

    link_say(out, just ? (theirs ? IN_A_MOMENT_THEIRS : IN_A_MOMENT) : theirs ? WAS_SENT_THEIRS : WAS_SENT);
    link_say(out, CANNOT_UNDO);
}

/* Asked for by the same account, be it here or in the portal, and by nobody else. */
static bool can_take_back(const struct link_case *x, const struct stands *s)
{
    return s->m.has_release && store_release_can_withdraw(&s->m.release, &x->c->actor);
}

static void show_release(struct link_case *x, const struct stands *s, struct link_state *out)
{
    static const struct {
        enum link_word title, says[2];
    } of[] = {[REL_OPEN] = {ASK_RELEASE, {SAYS_NOTHING}},
              [REL_WAITING] = {IS_RELEASED, {WHEN_IT_CAN}},
              [REL_SENDING] = {IS_RELEASED, {IS_ON_ITS_WAY, CANNOT_UNDO}},
              [REL_UNKNOWN] = {IS_UNKNOWN, {LOOK_FIRST}},
              [REL_SENT] = {IS_RELEASED, {SAYS_NOTHING}},
              [REL_REFUSED] = {IS_REFUSED, {SERVER_SAID}},
              [REL_OTHERS] = {IS_OTHERS, {ASK_OWNER}},
              [REL_GONE] = {IS_GONE, {SAYS_NOTHING}},
              [REL_NOT_HELD] = {IS_NOT_HELD, {SAYS_NOTHING}}};

    out->title = of[s->rel].title;
    link_say(out, of[s->rel].says[0]);
    link_say(out, of[s->rel].says[1]);
    if (s->rel == REL_SENT)
        show_sent(x, s, out);
    if (s->rel == REL_REFUSED)
        out->reply = arena_dup(x->c->arena, span_of(s->m.release.reply));
    if (s->rel == REL_OPEN || s->rel == REL_REFUSED)
        offer(out, STEP_ACT, BUTTON_RELEASE);
    if (can_take_back(x, s))
        offer(out, STEP_UNDO, BUTTON_UNDO);
}

/* A rule that stands. */
static void show_rule(const struct link_case *x, const struct stands *s, struct link_state *out)
{
    link_say(out, action_of(x) == RULE_BLOCK ? BLOCKS_FROM_NOW : ALLOWS_FROM_NOW);
    if (s->dec.over)
        link_say(out, RULE_ABOVE);
    else if (s->dec.unproven)
        link_say(out, RULE_UNPROVEN);
    if (s->undo.there) {
        link_say(out, action_of(x) == RULE_BLOCK ? UNDO_WHILE : UNDO_ALLOW_WHILE);
        offer(out, STEP_UNDO, BUTTON_UNDO);
    }
}

static void show_block(const struct link_case *x, const struct stands *s, struct link_state *out)
{
    out->title = s->others ? IS_OTHERS : !s->dec.possible ? IS_ANONYMOUS : s->dec.made ? IS_BLOCKED : ASK_BLOCK;
    if (s->others)
        link_say(out, ASK_OWNER);
    else if (s->dec.made)
        show_rule(x, s, out);
    else if (s->dec.possible)
        offer(out, STEP_ACT, BUTTON_BLOCK);
}

static void show_release_allow(struct link_case *x, const struct stands *s, struct link_state *out)
{
    bool can = !s->others && s->dec.possible;

    show_release(x, s, out);
    if (out->step == STEP_ACT && can) {
        out->title = s->rel == REL_OPEN ? ASK_RELEASE_ALLOW : out->title;
        offer(out, STEP_ACT, s->dec.made ? BUTTON_RELEASE : BUTTON_RELEASE_ALLOW);
    }
    if (!was_let_go(s) || !can)
        return;
    if (s->dec.made) {
        show_rule(x, s, out);
        return;
    }
    out->title = ASK_ALLOW;
    offer(out, STEP_ACT, BUTTON_ALLOW);
}

static void look_stop(const struct link_case *x, struct link_state *out)
{
    bool stopped = x->d.paused_until_us == DIGEST_PAUSED_FOR_GOOD;

    out->title = stopped ? IS_STOPPED : ASK_STOP;
    link_say(out, stopped ? STOPS_FROM_NOW : SAYS_NOTHING);
    offer(out, stopped ? STEP_UNDO : STEP_ACT, stopped ? BUTTON_START : BUTTON_STOP);
}

static int look_mail(struct link_case *x, struct link_state *out, struct err *e)
{
    const struct settings *set = x->c->portal->settings;
    struct digest_look     l = {x->c->store, &set->rulesd.scanner, &set->rules.protected_symbols};
    struct stands          s;

    if (look(x, &s, e) < 0 || digest_content_one(&l, &x->d, &x->link.key, x->c->arena, &out->item, e) < 0)
        return -1;
    out->has_item = !out->item.gone;
    switch (x->link.action) {
    case LINK_RELEASE: show_release(x, &s, out); break;
    case LINK_RELEASE_ALLOW: show_release_allow(x, &s, out); break;
    case LINK_BLOCK: show_block(x, &s, out); break;
    case LINK_UNSUBSCRIBE: break;
    }
    return 0;
}

int link_look(struct link_case *x, struct link_state *out, struct err *e)
{
    *out = (struct link_state){.title = SAYS_NOTHING};
    if (x->link.action == LINK_UNSUBSCRIBE)
        look_stop(x, out);
    else if (look_mail(x, out, e) < 0)
        return -1;
    if (x->expired) {
        link_say(out, out->step == STEP_ACT ? IS_EXPIRED : SAYS_NOTHING);
        offer(out, STEP_NONE, SAYS_NOTHING);
    }
    return 0;
}

/* ---- doing ---- */

static int make_rule(struct link_case *x, const struct stands *s, struct err *e)
{
    struct decided made;

    if (s->dec.made)
        return 0;
    return permit(x->c->store, &x->c->who, DEED_WRITE_RULES, &x->c->scope, "message", e) < 0 ||
                   decide_make(x->c, action_of(x), SPAN_NONE, &made, e) < 0
               ? -1
               : 0;
}

static int act_on_mail(struct link_case *x, struct err *e)
{
    struct mail_release_how how = {.again = false};
    struct store_release    row;
    struct stands           s;

    if (look(x, &s, e) < 0)
        return -1;
    if (releases(x) && !was_let_go(&s) && mail_release(x->c, &how, &row, e) < 0)
        return -1;
    return decides(x) && (x->link.action == LINK_BLOCK || (!s.others && s.dec.possible)) ? make_rule(x, &s, e) : 0;
}

int link_act(struct link_case *x, struct err *e)
{
    if (x->link.action != LINK_UNSUBSCRIBE)
        return act_on_mail(x, e);
    return x->d.paused_until_us == DIGEST_PAUSED_FOR_GOOD
               ? 0
               : store_digest_pause(x->c->store, &x->c->actor, x->d.id, DIGEST_PAUSED_FOR_GOOD, e);
}

/* ---- and undoing ---- */

static int take_rule_back(struct link_case *x, const struct undo *u, struct err *e)
{
    struct call      *c = x->c;
    struct store_rule r;

    if (u->added)
        return store_rule_delete(c->store, &c->actor, u->rule, e);
    if (store_rule_get(c->store, u->rule, c->arena, &r, e) < 0)
        return -1;
    r.priority = (int32_t)u->priority;
    r.enabled = u->enabled;
    return store_rule_set(c->store, &c->actor, &r, e);
}

int link_undo(struct link_case *x, struct err *e)
{
    struct stands s;
    bool          gone;

    set_source(x, UNDOING);
    if (x->link.action == LINK_UNSUBSCRIBE)
        return x->d.paused_until_us != DIGEST_PAUSED_FOR_GOOD
                   ? 0
                   : store_digest_pause(x->c->store, &x->c->actor, x->d.id, 0, e);
    if (look(x, &s, e) < 0)
        return -1;
    if (releases(x) && can_take_back(x, &s) && mail_unrelease(x->c, &gone, e) < 0)
        return -1;
    return decides(x) && s.undo.there ? take_rule_back(x, &s.undo, e) : 0;
}
