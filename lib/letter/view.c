/* lib/letter/view.c - see view.h. */
#include "letter/view.h"

#include "base/log.h"
#include "base/when.h"
#include "mail/person_text.h"

#define NAME_MAX_SHOWN 60
#define ADDRESS_MAX_SHOWN 120
#define SUBJECT_MAX_SHOWN 160
#define ACCENT_LIGHT "#2f6f62"
#define ACCENT_DARK "#6fc0ae"

struct view {
    const struct letter_site *site;
    const struct letter_what *w;
    struct arena             *a;
    enum language             l;
    const struct zone        *zone;
    size_t                    shown;
};

static bool of_domain(const struct view *v) { return v->w->subscription->kind == DIGEST_DOMAIN; }

struct span view_portal(const struct letter_site *site, const struct letter_what *w)
{
    struct span url = span_of(w->brand != NULL && w->brand->url[0] != '\0' ? w->brand->url : site->public_url);

    while (url.n > 0 && url.p[url.n - 1] == '/')
        url.n--;
    return url;
}

/* ---- one item ---- */

static struct span link_to(const struct view *v, const struct store_key *key, enum link_action action)
{
    struct span portal = view_portal(v->site, v->w);
    struct link link = {.action = action,
                        .subscription = v->w->subscription->id,
                        .expires_us = v->w->now_us + (action == LINK_UNSUBSCRIBE ? LINK_STOP_TTL_US : LINK_TTL_US)};
    char        token[LINK_TEXT];

    if (key != NULL)
        link.key = *key;
    if (uuid_cmp(&v->w->run, &uuid_zero) == 0) /* a preview's lead nowhere */
        return SPAN("#");
    link_make(v->site->keys, &link, token);
    return arena_printf(v->a, "%.*s/d/%s", SPAN_ARG(portal), token);
}

static void put_sender(const struct view *v, struct mustache_value *o, const struct digest_item *i)
{
    struct span name = person_text(i->from_name, NAME_MAX_SHOWN, v->a),
                address = person_text(i->from_address.n > 0 ? i->from_address : i->envelope_sender, ADDRESS_MAX_SHOWN,
                                      v->a);

    if (name.n == 0 && address.n == 0)
        name = span_of(words_say(v->l, WORD_NO_SENDER));
    mustache_put_text(v->a, o, "from", name.n > 0 ? name : address);
    mustache_put_text(v->a, o, "address", name.n > 0 ? address : SPAN(""));
    if (i->from_address.n > 0 && i->envelope_sender.n > 0 && !span_eq_ci(i->from_address, i->envelope_sender)) {
        mustache_put_text(v->a, o, "other_sender", person_text(i->envelope_sender, ADDRESS_MAX_SHOWN, v->a));
        mustache_put_str(v->a, o, "sent_by", words_say(v->l, WORD_SENT_BY));
    }
}

static struct span reason_of(const struct view *v, const struct digest_item *i)
{
    static const enum word of[] = {[REASON_SCORE] = WORD_BY_SCORE,
                                   [REASON_YOUR_RULE] = WORD_BY_YOUR_RULE,
                                   [REASON_SITE_RULE] = WORD_BY_SITE_RULE,
                                   [REASON_ATTACHMENT] = WORD_BY_ATTACHMENT,
                                   [REASON_VIRUS] = WORD_BY_VIRUS};

    return i->reason == REASON_SCORE ? words_by_score(v->l, i->score, i->threshold, v->a)
                                     : span_of(words_say(v->l, of[i->reason]));
}

/* What keeps a person from acting on it here; NULL: nothing. */
static const char *state_of(const struct view *v, const struct digest_item *i)
{
    if (i->gone)
        return words_say(v->l, WORD_GONE);
    if (i->state == STATE_RELEASED)
        return words_say(v->l, WORD_RELEASED);
    if (i->marked)
        return words_say(v->l, WORD_DELIVERED);
    if (i->reason == REASON_SITE_RULE || i->reason == REASON_ATTACHMENT || i->reason == REASON_VIRUS)
        return words_say(v->l, of_domain(v) ? WORD_DECIDE : WORD_ASK_THE_OWNER);
    return i->can_release || (i->status != STATUS_QUARANTINED && i->status != STATUS_SPAM) ? NULL
                                                                                           : words_say(v->l, WORD_GONE);
}

static void put_actions(const struct view *v, struct mustache_value *o, const struct digest_item *i)
{
    bool has_sender = i->from_address.n > 0;

    if (i->gone || (!i->can_release && !has_sender))
        return;
    mustache_put_bool(v->a, o, "actions", true);
    if (i->can_release)
        mustache_put_text(v->a, o, "release", link_to(v, &i->key, LINK_RELEASE));
    if (i->can_release && has_sender)
        mustache_put_text(v->a, o, "release_allow", link_to(v, &i->key, LINK_RELEASE_ALLOW));
    if (has_sender)
        mustache_put_text(v->a, o, "block", link_to(v, &i->key, LINK_BLOCK));
}

static void put_line(const struct view *v, struct mustache_value *o, const struct digest_item *i)
{
    struct span subject = person_text(i->subject, SUBJECT_MAX_SHOWN, v->a);
    struct buf  when;

    buf_init(&when, 256);
    when_put_short(&when, v->zone, words_tags[v->l], i->at_us);
    mustache_put_text(v->a, o, "time", arena_dup(v->a, buf_span(&when)));
    buf_fini(&when);
    put_sender(v, o, i);
    mustache_put_text(v->a, o, "subject", subject.n > 0 ? subject : span_of(words_say(v->l, WORD_NO_SUBJECT)));
    mustache_put_text(v->a, o, "reason", reason_of(v, i));
    if (of_domain(v)) {
        mustache_put_text(v->a, o, "recipient", person_text(i->recipient, ADDRESS_MAX_SHOWN, v->a));
        mustache_put_str(v->a, o, "to", words_say(v->l, WORD_TO));
    }
}

static void put_item(const struct view *v, struct mustache_value *list, const struct digest_item *i)
{
    struct mustache_value *o = mustache_put_object(v->a, list, NULL);
    const char            *state = state_of(v, i);

    mustache_put_number(v->a, o, "number", i->place);
    put_line(v, o, i);
    mustache_put_str(v->a, o, "state", state != NULL ? state : "");
    put_actions(v, o, i);
}

/* ---- groups ---- */

static void put_group(const struct view *v, struct mustache_value *groups, enum digest_group group, enum word title,
                      enum word hint)
{
    const struct digest_content *c = v->w->content;
    struct mustache_value       *o = NULL, *items = NULL;

    for (size_t i = 0; i < c->nitems; i++) {
        const struct digest_item *x = &c->items[i];

        if (x->group != group || x->place < 1 || (size_t)x->place > v->shown)
            continue;
        if (o == NULL) {
            o = mustache_put_object(v->a, groups, NULL);
            mustache_put_str(v->a, o, "title", words_say(v->l, title));
            mustache_put_str(v->a, o, "hint", words_say(v->l, hint));
            items = mustache_put_list(v->a, o, "items");
        }
        put_item(v, items, x);
    }
}

static void put_more(const struct view *v, struct mustache_value *root)
{
    const struct digest_content *c = v->w->content;
    size_t                       all = c->of_group[GROUP_PROBABLY_FINE] + c->of_group[GROUP_PROBABLY_SPAM],
           lines = v->shown < c->shown ? v->shown : c->shown;

    if (all > lines)
        mustache_put_text(v->a, mustache_put_object(v->a, root, "more"), "text",
                          words_more(v->l, all - lines, c->more, v->a));
}

static void put_counted(const struct view *v, struct mustache_value *list, struct span address, int64_t n)
{
    struct mustache_value *o = mustache_put_object(v->a, list, NULL);

    mustache_put_number(v->a, o, "n", n);
    mustache_put_text(v->a, o, "address", person_text(address, ADDRESS_MAX_SHOWN, v->a));
}

static void put_blocked(const struct view *v, struct mustache_value *root)
{
    const struct digest_content *c = v->w->content;
    struct mustache_value       *o, *senders;

    if (c->of_group[GROUP_BLOCKED] == 0)
        return;
    o = mustache_put_object(v->a, root, "blocked");
    mustache_put_text(v->a, o, "title", words_blocked(v->l, c->of_group[GROUP_BLOCKED], v->a));
    senders = mustache_put_list(v->a, o, "senders");
    for (size_t i = 0; i < c->nblocked_by; i++)
        put_counted(v, senders, c->blocked_by[i].address, c->blocked_by[i].n);
}

/* How much each of a domain's recipients has in it. */
static void put_recipients(const struct view *v, struct mustache_value *root)
{
    const struct digest_content *c = v->w->content;
    struct mustache_value       *o, *rows;

    if (c->nrecipients == 0)
        return;
    o = mustache_put_object(v->a, root, "recipients");
    mustache_put_str(v->a, o, "title", words_say(v->l, WORD_BY_RECIPIENT));
    rows = mustache_put_list(v->a, o, "rows");
    for (size_t i = 0; i < c->nrecipients; i++)
        put_counted(v, rows, c->recipients[i].address, c->recipients[i].n);
}

/* ---- the whole ---- */

/* How to answer, by the first that an answer can release. */
static void put_reply(const struct view *v, struct mustache_value *root)
{
    const struct digest_content *c = v->w->content;
    int64_t                      first = 0;

    for (size_t i = 0; i < c->nitems; i++)
        if (c->items[i].can_release && c->items[i].place <= (int64_t)v->shown &&
            (first == 0 || c->items[i].place < first))
            first = c->items[i].place;
    if (v->site->reply_to[0] != '\0' && first > 0)
        mustache_put_text(v->a, root, "reply", words_reply(v->l, first, v->a));
}

static void put_head(const struct view *v, struct mustache_value *root)
{
    const struct letter_what *w = v->w;
    const struct store_brand *b = w->brand;
    struct span               portal = view_portal(v->site, w);
    bool                      quiet = w->content->nitems == 0;
    struct buf                period;

    buf_init(&period, 512);
    when_put_period(&period, v->zone, words_tags[v->l], w->content->since_us, w->content->until_us);
    mustache_put_text(v->a, root, "period", arena_dup(v->a, buf_span(&period)));
    buf_fini(&period);
    words_put_all(v->a, root, v->l);
    mustache_put_str(v->a, root, "language", words_tags[v->l]);
    mustache_put_str(v->a, root, "brand", b != NULL ? b->name : v->site->name);
    mustache_put_str(v->a, root, "of", w->subscription->of);
    mustache_put_text(v->a, root, "title", words_title(v->l, w->content, quiet, v->a));
    mustache_put_text(v->a, root, "counts", words_counts(v->l, w->content, v->a));
    mustache_put_str(v->a, root, "accent",
                     b != NULL && b->accent[SCHEME_LIGHT][0] ? b->accent[SCHEME_LIGHT] : ACCENT_LIGHT);
    mustache_put_str(v->a, root, "accent_dark",
                     b != NULL && b->accent[SCHEME_DARK][0] ? b->accent[SCHEME_DARK] : ACCENT_DARK);
    mustache_put_str(v->a, root, "support", b != NULL ? b->support : "");
    mustache_put_text(v->a, root, "portal", arena_printf(v->a, "%.*s/quarantine", SPAN_ARG(portal)));
    mustache_put_text(v->a, root, "settings", arena_printf(v->a, "%.*s/settings", SPAN_ARG(portal)));
    mustache_put_text(v->a, root, "unsubscribe", link_to(v, NULL, LINK_UNSUBSCRIBE));
    put_reply(v, root);
}

/* Theirs, or where nobody knows it any more UTC. */
static const struct zone *zone_of(const struct store_digest_choice *choice, struct err *e)
{
    const struct zone *z = zone_open(span_of(choice->zone), NULL);

    return z != NULL ? z : zone_open(SPAN("UTC"), e);
}

int view_put_line(const struct store_digest *d, const struct digest_item *i, struct arena *a,
                  struct mustache_value *into, struct err *e)
{
    struct letter_what what = {.subscription = d};
    struct view        v = {.w = &what, .a = a, .l = words_language(d->choice.language)};
    const struct zone *zone = zone_of(&d->choice, e);

    if (zone == NULL)
        return -1;
    v.zone = zone;
    put_line(&v, into, i);
    zone_close(&zone);
    return a->full ? err_set(e, ERR_LIMIT, "no memory for the line of a digest") : 0;
}

int view_make(const struct letter_site *site, const struct letter_what *w, size_t shown, struct arena *a,
              struct mustache_value **out, struct err *e)
{
    const struct store_digest_choice *choice = &w->subscription->choice;
    struct view                       v = {site, w, a, words_language(choice->language), NULL, shown};
    struct mustache_value            *root = mustache_new(a), *groups;

    if ((v.zone = zone_of(choice, e)) == NULL)
        return -1;
    put_head(&v, root);
    groups = mustache_put_list(a, root, "groups");
    put_group(&v, groups, GROUP_PROBABLY_FINE, WORD_PROBABLY_FINE, WORD_PROBABLY_FINE_HINT);
    put_group(&v, groups, GROUP_PROBABLY_SPAM, WORD_PROBABLY_SPAM, WORD_PROBABLY_SPAM_HINT);
    put_more(&v, root);
    put_blocked(&v, root);
    put_recipients(&v, root);
    zone_close(&v.zone);
    *out = root;
    return a->full ? err_set(e, ERR_LIMIT, "no memory for a digest's letter") : 0;
}
