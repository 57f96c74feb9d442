/* lib/custody/report_mail.c - see report_mail.h. */
#include "custody/report_mail.h"

#include <time.h>

#include "base/log.h"
#include "custody/report_mail_count.h"
#include "mail/date.h"
#include "store/address.h"
#include "store/search.h"

#define ROWS_MAX 20 /* of one queue id or Message-ID */
#define ROW_ARENA_MAX ((size_t)64 << 20)
#define LOOK_AGAIN_MS 100
#define NAMED_MAX 100 /* addresses in To that are looked at */

const char *const report_mail_reason_words[REPORT_MAIL_REASONS] = {
    "taken",     "too large", "no sender", "no author",       "ours",      "stranger",
    "automatic", "nothing",   "shape",     "other signed in", "not to us", "unproven",
};
static const char *const reason_sentences[REPORT_MAIL_REASONS] = {
    [REPORT_MAIL_TOO_LARGE] = "it is larger than [rulesd] max_message",
    [REPORT_MAIL_NO_SENDER] = "it comes from <>",
    [REPORT_MAIL_NO_AUTHOR] = "it has not one author that can be read",
    [REPORT_MAIL_OURS] = "Postern sent it",
    [REPORT_MAIL_STRANGER] = "its author has no mailbox here",
    [REPORT_MAIL_AUTOMATIC] = "a program sent it",
    [REPORT_MAIL_NOTHING] = "no message is attached to it",
    [REPORT_MAIL_OTHER_SIGNED_IN] = "who was signed in is not its author",
    [REPORT_MAIL_NOT_TO_US] = "it is proven, but was not written to an address for reports",
    [REPORT_MAIL_UNPROVEN] = "nothing proves that its author sent it",
};

/* One mail at hand. */
struct taking {
    const struct report_mail_site *site;
    const struct report_mail      *mail;
    struct arena                  *arena;
    struct message                *message;
    const struct address          *from;
    struct store_resolved          who;
    struct report_mail_done       *out;
};

/* ---- addresses for reports ---- */

static struct span at_of(struct span text) { return span_skip(text, span_rchr(text, '@')); }

static int check_name(const char *item, struct arena *a, struct err *e)
{
    struct span    text = span_of(item);
    struct address address;

    if (at_of(text).n == 0)
        text = arena_printf(a, "%s@ours.example", item);
    return address_parse_path(text, a, &address, e) < 0 ? err_wrap(e, "%s", item) : 0;
}

int report_mail_check(const struct settings *s, struct arena *a, struct err *e)
{
    const struct conf_list *spam = &s->trainer.report_spam, *ham = &s->trainer.report_ham;

    for (size_t i = 0; i < spam->n; i++)
        if (check_name(spam->items[i], a, e) < 0)
            return err_wrap(e, "[trainer] report_spam");
    for (size_t i = 0; i < ham->n; i++) {
        if (check_name(ham->items[i], a, e) < 0)
            return err_wrap(e, "[trainer] report_ham");
        for (size_t j = 0; j < spam->n; j++)
            if (span_eq_ci(span_of(ham->items[i]), span_of(spam->items[j])))
                return err_set(e, ERR_INVALID, "[trainer] report_spam and report_ham both name %s", ham->items[i]);
    }
    return 0;
}

/* An address is meant by itself; a local part at every domain of ours. */
static bool is_named(const struct conf_list *list, const struct address *to, bool ours, struct arena *a)
{
    for (size_t i = 0; i < list->n; i++) {
        struct span    item = span_of(list->items[i]);
        struct address named;

        if (at_of(item).n == 0 ? ours && span_eq_ci(item, to->local)
                               : address_parse_path(item, a, &named, NULL) == 0 && span_eq(named.full, to->full))
            return true;
    }
    return false;
}

int report_mail_class(const struct report_mail_site *site, struct span recipient, struct arena *a,
                      enum report_class *out, struct err *e)
{
    const struct settings *s = site->settings;
    struct store_resolved  who;
    struct address         to;

    if (address_parse_path(recipient, a, &to, NULL) < 0 || to.full.n == 0)
        return err_set(e, ERR_NOT_FOUND, "that is no address for reports");
    if (!is_named(&s->trainer.report_spam, &to, true, a) && !is_named(&s->trainer.report_ham, &to, true, a))
        who.ours = false;
    else if (store_resolve(site->store, to.full, &who, e) < 0)
        return -1;
    if (is_named(&s->trainer.report_spam, &to, who.ours, a))
        *out = REPORT_SPAM;
    else if (is_named(&s->trainer.report_ham, &to, who.ours, a))
        *out = REPORT_HAM;
    else
        return err_set(e, ERR_NOT_FOUND, "%.*s is no address for reports: see [trainer] report_spam and report_ham",
                       SPAN_ARG(to.full));
    return 0;
}

/* ---- rows of the log ---- */

struct uids {
    struct uuid list[ROWS_MAX];
    size_t      n;
};

static int each_uid(void *ctx, const struct uuid *uid)
{
    struct uids *u = ctx;

    u->list[u->n++] = *uid;
    return u->n == ROWS_MAX;
}

static struct span without_brackets(struct span id)
{
    return id.n >= 2 && id.p[0] == '<' && id.p[id.n - 1] == '>' ? span_skip(span_head(id, id.n - 1), 1) : id;
}

/* Near that time, and with that Message-ID: a queue id comes again, and a handle may be anything. */
static bool is_near(const struct store_message *m, struct span id, int64_t when_us)
{
    return m->at_us >= when_us - REPORT_MAIL_NEAR_US && m->at_us <= when_us + REPORT_MAIL_NEAR_US &&
           span_eq(without_brackets(m->message_id), id);
}

/* Was it this mailbox, or another of the same person's, that was signed in when it was sent? 1, 0, -1. known: somebody was. */
static int signed_in(const struct taking *t, const struct store_message *m, bool *known_out, struct err *e)
{
    const char           *domain = t->site->settings->rulesd.user_domain;
    struct span           user = m->auth_user;
    struct store_resolved who;
    struct address        address;

    *known_out = user.n > 0;
    if (user.n == 0)
        return 0;
    if (at_of(user).n == 0)
        user = domain[0] != '\0' ? arena_printf(t->arena, "%.*s@%s", SPAN_ARG(user), domain) : user;
    if (address_parse_path(user, t->arena, &address, NULL) < 0 || address.full.n == 0)
        return 0;
    if (store_resolve(t->site->store, address.full, &who, e) < 0)
        return -1;
    if (who.has_account && t->who.has_account && uuid_eq(&who.account, &t->who.account))
        return 1;
    return who.ours && who.has_mailbox && uuid_eq(&who.mailbox, &t->who.mailbox);
}

/* 1: it is there; 0, -1. All of its recipients may be many: `a` is for this row alone. */
static int get_row(const struct taking *t, const struct uuid *uid, struct arena *a, struct store_timeline *out,
                   struct err *e)
{
    if (store_timeline(t->site->store, uid, STORE_SCOPE_GLOBAL, a, out, e) == 0)
        return 1;
    if (e->code != ERR_NOT_FOUND && e->code != ERR_LIMIT)
        return -1;
    *e = ERR_INIT;
    return 0;
}

/* ---- proof ---- */

/* The lower wins where several rows could be the mail's. */
enum proven { PROVEN_OTHER, PROVEN_NOT, PROVEN_SIGNED_IN, PROVEN_BY_LOG, PROVEN_NO_ROW };

static struct report_site report_site_of(const struct taking *t)
{
    return (struct report_site){&t->site->settings->rulesd.scanner, &t->site->trust};
}

/* Did it go to an address for reports? 1, 0, -1. */
static int went_here(const struct taking *t, const struct store_timeline *row, struct err *e)
{
    for (size_t i = 0; i < row->ndeliveries; i++) {
        enum report_class class;
        struct err why = ERR_INIT;

        if (report_mail_class(t->site, row->deliveries[i].delivery.recipient, t->arena, &class, &why) == 0)
            return 1;
        if (why.code != ERR_NOT_FOUND) {
            *e = why;
            return -1;
        }
    }
    return 0;
}

static int prove_by_row(const struct taking *t, const struct store_message *m, enum proven *out, struct err *e)
{
    const struct report_site site = report_site_of(t);
    struct proof             proof = {.can_prove = false};
    bool                     known;
    int                      rc = signed_in(t, m, &known, e);

    if (rc < 0)
        return -1;
    *out = rc > 0 ? PROVEN_SIGNED_IN : PROVEN_OTHER;
    if (known)
        return 0;
    report_prove_by_log(&site, m, t->arena, &proof);
    *out = proof_covers(&proof, t->from) ? PROVEN_BY_LOG : PROVEN_NOT;
    return 0;
}

static int prove_by_uid(const struct taking *t, const struct uuid *uid, struct arena *a, enum proven *out,
                        struct err *e)
{
    struct store_timeline row;
    int                   rc;

    *out = PROVEN_NO_ROW;
    if ((rc = get_row(t, uid, a, &row, e)) <= 0 || !is_near(&row.message, message_id(t->message), clock_wall_us()))
        return rc;
    if ((rc = went_here(t, &row, e)) <= 0)
        return rc;
    return prove_by_row(t, &row.message, out, e);
}

/* By all rows that can be this mail's. */
static int prove_by_handle(const struct taking *t, struct span handle, enum proven *out, struct err *e)
{
    struct uids  uids = {.n = 0};
    struct arena a;
    enum proven  one;
    int          rc;

    *out = PROVEN_NO_ROW;
    rc = store_trace(t->site->store, handle, ROWS_MAX, each_uid, &uids, e);
    for (size_t i = 0; i < uids.n && rc >= 0; i++) {
        arena_init(&a, ROW_ARENA_MAX);
        rc = prove_by_uid(t, &uids.list[i], &a, &one, e);
        arena_fini(&a);
        *out = one < *out ? one : *out;
    }
    return rc < 0 ? -1 : 0;
}

/* The queue id in the topmost Received field: that of the MTA that hands the mail over. */
static struct span queue_id(struct message *m)
{
    size_t               at = 0;
    const struct header *h = message_header_next(m, SPAN("Received"), &at);
    struct span          rest = h != NULL ? span_head(h->body, 4096) : SPAN_NONE, word, before = SPAN_NONE;

    while (rest.n > 0) {
        size_t n = 0;

        while (n < rest.n && span_chr(SPAN(" \t\r\n;"), rest.p[n]) == 5)
            n++;
        word = span_head(rest, n);
        if (n > 0 && span_is_ci(before, "id"))
            return word;
        before = n > 0 ? word : before;
        rest = span_skip(rest, n > 0 ? n : 1);
    }
    return SPAN_NONE;
}

static int prove_by_log(const struct taking *t, enum proven *out, struct err *e)
{
    struct span handles[] = {queue_id(t->message), message_id(t->message)};

    *out = PROVEN_NO_ROW;
    for (size_t i = 0; i < COUNT(handles) && *out == PROVEN_NO_ROW; i++)
        if (handles[i].n > 0 && prove_by_handle(t, handles[i], out, e) < 0)
            return -1;
    return 0;
}

static bool prove_by_fields(const struct taking *t, struct span bytes, const struct address *from)
{
    const struct report_site site = report_site_of(t);
    struct proof             proof = {.can_prove = false};

    report_prove_by_fields(&site, bytes, t->arena, &proof);
    return proof_covers(&proof, from);
}

/* The log is written behind the scans. */
static int wait_for_row(const struct taking *t, enum proven *out, struct err *e)
{
    const struct timespec rest = {0, LOOK_AGAIN_MS * 1000000};
    int64_t               until = clock_mono_us() + t->site->wait_us;

    for (;;) {
        if (prove_by_log(t, out, e) < 0)
            return -1;
        if (*out != PROVEN_NO_ROW || !t->site->settings->rulesd.message_log || clock_mono_us() >= until)
            return 0;
        nanosleep(&rest, NULL);
    }
}

/* Is it written to an address for reports? A signature stays good when somebody sends the message on, to whomever, and with a
 * field more: so it is To that counts, if it stands there once. 1, 0, -1. */
static int is_to_us(const struct taking *t, struct err *e)
{
    size_t               at = 0;
    const struct header *h = message_header_next(t->message, SPAN("To"), &at);
    struct address_walk  w = {.arena = t->arena};
    struct address       to;

    if (h == NULL || message_header_next(t->message, SPAN("To"), &at) != NULL)
        return 0;
    w.rest = span_head(h->body, MESSAGE_HEADER_MAX);
    for (size_t n = 0; n < NAMED_MAX && address_next(&w, &to); n++) {
        enum report_class class;

        if (report_mail_class(t->site, to.full, t->arena, &class, e) == 0)
            return 1;
        if (e->code != ERR_NOT_FOUND)
            return -1;
        *e = ERR_INIT;
    }
    return 0;
}

/* TAKEN: then t->out says what proves it. */
static int prove(struct taking *t, enum report_mail_reason *why_out, struct err *e)
{
    bool        by_fields = prove_by_fields(t, t->mail->message, t->from);
    enum proven by_log = PROVEN_NO_ROW;
    int         to_us = is_to_us(t, e);

    *why_out = REPORT_MAIL_TAKEN;
    if (to_us < 0 || (by_fields ? prove_by_log : wait_for_row)(t, &by_log, e) < 0)
        return -1;
    if (by_log == PROVEN_OTHER)
        *why_out = REPORT_MAIL_OTHER_SIGNED_IN;
    else if (by_log == PROVEN_SIGNED_IN)
        t->out->proof = "signed in";
    else if (to_us == 0 && (by_log == PROVEN_BY_LOG || by_fields))
        *why_out = REPORT_MAIL_NOT_TO_US;
    else if (by_log == PROVEN_BY_LOG || by_fields)
        t->out->proof = by_fields ? "authentication-results" : "log";
    else
        *why_out = REPORT_MAIL_UNPROVEN;
    return 0;
}

/* ---- the mail as a whole ---- */

static bool has_field(struct message *m, struct span name)
{
    size_t at = 0;

    return message_header_next(m, name, &at) != NULL;
}

/* RFC 3834: all but "no" says that a program sent it. */
static bool is_automatic(struct message *m)
{
    size_t               at = 0;
    const struct header *h;

    while ((h = message_header_next(m, SPAN("Auto-Submitted"), &at)) != NULL) {
        struct span body = span_trim(h->body);

        if (!span_eq_ci(span_trim(span_head(body, span_chr(body, ';'))), SPAN("no")))
            return true;
    }
    return false;
}

/* [smtp] from. */
static bool is_postern(const struct taking *t, const struct address *from)
{
    struct address_walk w = {.rest = span_of(t->site->settings->smtp.from), .arena = t->arena};
    struct address      ours;

    return address_next(&w, &ours) && span_eq(ours.full, from->full);
}

/* Why it is dropped whatever proves it. */
static int look_at(struct taking *t, enum report_mail_reason *why_out, struct err *e)
{
    size_t n;

    *why_out = REPORT_MAIL_TAKEN;
    if (t->mail->too_large)
        *why_out = REPORT_MAIL_TOO_LARGE;
    else if (t->mail->sender.n == 0)
        *why_out = REPORT_MAIL_NO_SENDER;
    else if (message_from(t->message, &t->from, &n) != FACT_YES || n != 1)
        *why_out = REPORT_MAIL_NO_AUTHOR;
    if (*why_out != REPORT_MAIL_TAKEN)
        return 0;
    t->out->from = t->from->full;
    t->out->message_id = message_id(t->message);
    if (store_resolve(t->site->store, t->from->full, &t->who, e) < 0)
        return -1;
    t->out->mailbox = arena_dup(t->arena, span_of(t->who.mailbox_address));
    if (is_postern(t, t->from))
        *why_out = REPORT_MAIL_OURS;
    else if (!t->who.ours || !t->who.has_mailbox)
        *why_out = REPORT_MAIL_STRANGER;
    else if (is_automatic(t->message))
        *why_out = REPORT_MAIL_AUTOMATIC;
    return 0;
}

/* ---- one attached message ---- */

/* When it was: as our MTA wrote into it, else as it says itself, else now. */
static int64_t time_of(struct message *m)
{
    size_t               received = 0, date = 0;
    const struct header *r = message_header_next(m, SPAN("Received"), &received),
                        *d = message_header_next(m, SPAN("Date"), &date);
    int64_t us;

    if (r != NULL && date_parse(span_skip(r->body, span_rchr(r->body, ';') + 1), &us))
        return us;
    return d != NULL && date_parse(d->body, &us) ? us : clock_wall_us();
}

/* What the log knows of it. */
struct counterpart {
    struct report_said said; /* record set: the one that it is */
    size_t             n;    /* how many it could be */
    bool               own;  /* the mailbox sent it */
};

static int match_row(const struct taking *t, const struct uuid *uid, const struct store_message *row, struct message *m,
                     const struct address *from, struct counterpart *out, struct err *e)
{
    struct report_said said = out->said;
    struct address     author;
    bool               known;
    int                rc;

    if (!is_near(row, message_id(m), time_of(m)))
        return 0;
    if ((rc = signed_in(t, row, &known, e)) < 0)
        return -1;
    out->own = out->own || rc > 0;
    if (from == NULL || address_parse_path(row->from_address, t->arena, &author, NULL) < 0 ||
        !span_eq(author.full, from->full))
        return 0;
    if (report_find(t->site->store, uid, t->arena, &said, e) == 0) {
        if (out->n++ == 0)
            out->said = said;
    } else if (e->code != ERR_NOT_FOUND) {
        return -1;
    }
    *e = ERR_INIT;
    return 0;
}

static int match_all(const struct taking *t, struct message *m, const struct address *from, struct counterpart *out,
                     struct err *e)
{
    struct span           id = message_id(m);
    struct uids           uids = {.n = 0};
    struct store_timeline row;
    struct arena          a;
    int                   rc = 0;

    if (id.n > 0)
        rc = store_trace(t->site->store, id, ROWS_MAX, each_uid, &uids, e);
    for (size_t i = 0; i < uids.n && rc >= 0; i++) {
        arena_init(&a, ROW_ARENA_MAX);
        if ((rc = get_row(t, &uids.list[i], &a, &row, e)) > 0)
            rc = match_row(t, &uids.list[i], &row.message, m, from, out, e);
        arena_fini(&a);
    }
    return rc < 0 ? -1 : 0;
}

/* Did the mailbox send it? Whoever forges its address to write to it is worth a report: then it came from elsewhere, unproven. */
static int is_own(const struct taking *t, struct message *m, const struct address *from, bool *out, struct err *e)
{
    struct store_resolved who;

    *out = false;
    if (from == NULL)
        return 0;
    if (store_resolve(t->site->store, from->full, &who, e) < 0)
        return -1;
    *out = who.ours && who.has_mailbox && uuid_eq(&who.mailbox, &t->who.mailbox) &&
           (!has_field(m, SPAN("Received")) || prove_by_fields(t, message_raw(m), from));
    return 0;
}

/* A report stands for what the log has; a copy of the bytes is held unless they are. */
static int make(const struct taking *t, struct span bytes, const struct counterpart *match, struct report_mail_one *one,
                struct err *e)
{
    const struct report_site       site = report_site_of(t);
    const struct report_mail_site *at = t->site;
    const struct actor             by = {.kind = t->who.has_account ? ACTOR_ACCOUNT : ACTOR_SYSTEM,
                                         .id = t->who.account,
                                         .name = arena_str(t->arena, t->out->mailbox),
                                         .source = "mail"};
    struct report_said             said = match->said;
    struct store_message           held;

    one->matched = match->n == 1;
    report_record(&held, at->listener, bytes.n, clock_wall_us());
    if (!one->matched) {
        said.logged = said.has_body = false;
        said.message = bytes;
        said.record = &held;
    }
    one->uid = said.record->uid;
    if (!said.has_body) {
        if (report_keep(at->store, at->vault, &held, bytes, t->arena, e) < 0)
            return -1;
        said.body = &held.uid;
        said.has_body = true;
    }
    return report_make(at->store, &site, &by, &said, t->arena, &one->made, e);
}

static int take_one(const struct taking *t, struct span bytes, struct report_mail_one *one, struct err *e)
{
    struct message       *m = message_open(bytes, t->arena);
    const struct address *list, *from = NULL;
    struct counterpart    match = {
           .said = {
               .class = t->out->class, .who = t->out->mailbox, .channel = SPAN("mail"), .recipient = t->out->mailbox}};
    size_t n;
    bool   own;

    *one = (struct report_mail_one){.none = NULL};
    if (m == NULL)
        return err_set(e, ERR_LIMIT, "the report needs too much memory");
    if (message_from(m, &list, &n) == FACT_YES && n == 1)
        from = list;
    if (match_all(t, m, from, &match, e) < 0 || is_own(t, m, from, &own, e) < 0)
        return -1;
    if (from != NULL && is_postern(t, from))
        one->none = "Postern sent it";
    else if (own || match.own)
        one->none = "the mailbox sent it itself";
    return one->none != NULL ? 0 : make(t, bytes, &match, one, e);
}

/* ---- all of it ---- */

/* What is wrong with the mail itself is as wrong the next time. */
static bool is_lasting(const struct err *e)
{
    return e->code == ERR_LIMIT || e->code == ERR_INVALID || e->code == ERR_PROTOCOL;
}

static const char *words_of(const struct taking *t, struct err *e)
{
    const char *words = arena_str(t->arena, span_of(e->text));

    *e = ERR_INIT;
    return words != NULL ? words : "it needs too much memory";
}

static int drop(struct report_mail_done *out, enum report_mail_reason why, const char *sentence)
{
    out->reason = why;
    out->dropped = sentence != NULL ? sentence : reason_sentences[why];
    return 0;
}

static int take(struct taking *t, struct err *e)
{
    struct report_mail_done *out = t->out;
    struct span              attached[ATTACHED_MAX];
    struct err               limit = ERR_INIT;
    enum report_mail_reason  why;
    int                      n;

    if (look_at(t, &why, e) < 0)
        return -1;
    if (why != REPORT_MAIL_TAKEN)
        return drop(out, why, NULL);
    if ((n = attached_messages(t->message, t->arena, attached, &limit)) < 0)
        return drop(out, REPORT_MAIL_SHAPE, words_of(t, &limit));
    if (n == 0)
        return drop(out, REPORT_MAIL_NOTHING, NULL);
    if (prove(t, &why, e) < 0)
        return -1;
    if (why != REPORT_MAIL_TAKEN)
        return drop(out, why, NULL);
    if (report_mail_may(t->site->store, out->mailbox, n, clock_wall_us(), e) < 0)
        return -1;
    for (int i = 0; i < n; i++) {
        struct report_mail_one *one = &out->ones[out->n++];

        if (take_one(t, attached[i], one, e) == 0)
            continue;
        if (!is_lasting(e))
            return -1;
        one->none = words_of(t, e);
    }
    return 0;
}

int report_mail_take(const struct report_mail_site *site, const struct report_mail *mail, struct arena *a,
                     struct report_mail_done *out, struct err *e)
{
    struct taking t = {.site = site, .mail = mail, .arena = a, .message = message_open(mail->message, a), .out = out};
    int           rc;

    *out = (struct report_mail_done){.n = 0};
    if (t.message == NULL)
        return err_set(e, ERR_LIMIT, "the report needs too much memory");
    if (report_mail_class(site, mail->recipient, a, &out->class, e) < 0)
        return -1;
    if ((rc = take(&t, e)) < 0 && is_lasting(e))
        rc = drop(out, REPORT_MAIL_SHAPE, words_of(&t, e));
    if (rc == 0 || e->code == ERR_BUSY) /* a sum that is one short stops no mail */
        report_mail_count(site->store, rc == 0 ? out : NULL, clock_wall_us(), NULL);
    return rc;
}

/* ---- the log's words ---- */

static void say_mail(struct log_line *l, const struct report_mail *mail, const struct report_mail_done *done)
{
    log_str(l, "class", report_class_words[done->class]);
    log_str(l, "channel", "mail");
    log_span(l, "to", mail->recipient);
    log_span(l, "from", done->from);
    log_span(l, "envelope", mail->sender);
    log_span(l, "message_id", done->message_id);
}

static void say_one(const struct report_mail_one *one, const struct report_mail *mail,
                    const struct report_mail_done *done)
{
    struct log_line l;
    char            uid[UUID_TEXT + 1];

    uuid_format(&one->uid, uid);
    log_begin(&l, LOG_LEVEL_INFO, one->none != NULL ? "report refused" : "report taken");
    log_str(&l, one->none != NULL ? "why" : "uid", one->none != NULL ? one->none : uid);
    say_mail(&l, mail, done);
    log_str(&l, "proof", done->proof);
    log_span(&l, "for", done->mailbox);
    log_str(&l, "matched", one->matched ? "yes" : "no");
    if (one->made.entry.sender.n > 0)
        log_span(&l, "sender", one->made.entry.sender);
    if (one->none == NULL && one->made.entry.why != NULL)
        log_str(&l, "why", one->made.entry.why);
    log_end(&l);
}

/* The reason stands first: a mail server that writes a pipe's output down cuts it. */
void report_mail_log(const struct report_mail *mail, const struct report_mail_done *done)
{
    struct log_line l;

    for (size_t i = 0; i < done->n; i++)
        say_one(&done->ones[i], mail, done);
    if (done->dropped == NULL)
        return;
    log_begin(&l, LOG_LEVEL_INFO, "report dropped");
    log_str(&l, "why", done->dropped);
    say_mail(&l, mail, done);
    log_end(&l);
}
