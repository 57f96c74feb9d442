/* lib/custody/report_mail.c - see report_mail.h. */
#include "custody/report_mail.h"

#include "base/log.h"
#include "custody/report_mail_count.h"
#include "mail/date.h"

const char *const report_mail_reason_words[REPORT_MAIL_REASONS] = {
    "taken",     "too large", "no sender", "no author",       "ours",      "stranger",
    "automatic", "nothing",   "shape",     "other signed in", "not to us", "unproven",
};
static const char *const reason_sentences[REPORT_MAIL_REASONS] = {
    [REPORT_MAIL_TOO_LARGE] = "it is larger than [rulesd] max_message",
    [REPORT_MAIL_STRANGER] = "its author has no mailbox here",
    [REPORT_MAIL_NOTHING] = "no message is attached to it",
    [REPORT_MAIL_NOT_TO_US] = "it is proven, but was not written to an address for reports",
};
static const enum report_mail_reason of_author[AUTHOR_REASONS] = {
    [AUTHOR_FINE] = REPORT_MAIL_TAKEN,          [AUTHOR_NO_SENDER] = REPORT_MAIL_NO_SENDER,
    [AUTHOR_NONE] = REPORT_MAIL_NO_AUTHOR,      [AUTHOR_OURS] = REPORT_MAIL_OURS,
    [AUTHOR_AUTOMATIC] = REPORT_MAIL_AUTOMATIC, [AUTHOR_OTHER_SIGNED_IN] = REPORT_MAIL_OTHER_SIGNED_IN,
    [AUTHOR_NOT_TO_US] = REPORT_MAIL_NOT_TO_US, [AUTHOR_UNPROVEN] = REPORT_MAIL_UNPROVEN,
};

/* Ours where we have one, else author.h's. */
static const char *sentence_of(enum report_mail_reason why)
{
    for (size_t i = 0; i < AUTHOR_REASONS; i++)
        if (of_author[i] == why && reason_sentences[why] == NULL)
            return author_sentences[i];
    return reason_sentences[why];
}

/* One mail at hand. */
struct taking {
    const struct report_mail_site *site;
    const struct report_mail      *mail;
    struct arena                  *arena;
    struct author                  author;
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

/* ---- the mail as a whole ---- */

static int is_for_reports(void *ctx, struct span address, struct err *e)
{
    const struct taking *t = ctx;
    enum report_class class;
    struct err why = ERR_INIT;

    if (report_mail_class(t->site, address, t->arena, &class, &why) == 0)
        return 1;
    if (why.code == ERR_NOT_FOUND)
        return 0;
    *e = why;
    return -1;
}

/* Why it is dropped whatever proves it. */
static int look_at(struct taking *t, enum report_mail_reason *why_out, struct err *e)
{
    struct author     *x = &t->author;
    enum author_reason why;

    *why_out = REPORT_MAIL_TOO_LARGE;
    if (t->mail->too_large)
        return 0;
    if (author_read(x, t->mail->sender, &why, e) < 0)
        return -1;
    *why_out = of_author[why];
    if (why == AUTHOR_NO_SENDER || why == AUTHOR_NONE)
        return 0;
    t->out->from = x->from->full;
    t->out->message_id = message_id(x->message);
    t->out->mailbox = arena_dup(t->arena, span_of(x->who.mailbox_address));
    if (why != AUTHOR_OURS && (!x->who.ours || !x->who.has_mailbox))
        *why_out = REPORT_MAIL_STRANGER;
    return 0;
}

/* TAKEN: then t->out says what proves it. */
static int prove(struct taking *t, enum report_mail_reason *why_out, struct err *e)
{
    enum author_reason why;

    if (author_prove(&t->author, &why, e) < 0)
        return -1;
    *why_out = of_author[why];
    t->out->proof = t->author.proof;
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

struct matching {
    const struct taking  *t;
    struct message       *m;
    const struct address *from;
    struct counterpart   *out;
};

static int match_row(void *ctx, const struct uuid *uid, const struct store_timeline *row, struct err *e)
{
    const struct matching *x = ctx;
    const struct taking   *t = x->t;
    struct counterpart    *out = x->out;
    struct report_said     said = out->said;
    struct address         author;
    bool                   known;
    int                    rc;

    if (!author_row_is(&row->message, message_id(x->m), time_of(x->m)))
        return 0;
    if ((rc = author_signed_in(&t->author, &row->message, &known, e)) < 0)
        return -1;
    out->own = out->own || rc > 0;
    if (x->from == NULL || address_parse_path(row->message.from_address, t->arena, &author, NULL) < 0 ||
        !span_eq(author.full, x->from->full))
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
    struct matching x = {t, m, from, out};
    struct span     id = message_id(m);

    return id.n > 0 ? author_rows(&t->author, id, match_row, &x, e) : 0;
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
    *out = who.ours && who.has_mailbox && uuid_eq(&who.mailbox, &t->author.who.mailbox) &&
           (!author_has_field(m, SPAN("Received")) || author_proven_by_fields(&t->author, message_raw(m), from));
    return 0;
}

/* A report stands for what the log has; a copy of the bytes is held unless they are. */
static int make(const struct taking *t, struct span bytes, const struct counterpart *match, struct report_mail_one *one,
                struct err *e)
{
    const struct report_mail_site *at = t->site;
    const struct report_site       site = {&at->settings->rulesd.scanner, &at->trust};
    const struct actor             by = {.kind = t->author.who.has_account ? ACTOR_ACCOUNT : ACTOR_SYSTEM,
                                         .id = t->author.who.account,
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
    if (from != NULL && author_is_postern(&t->author, from))
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
    out->dropped = sentence != NULL ? sentence : sentence_of(why);
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
    if ((n = attached_messages(t->author.message, t->arena, attached, &limit)) < 0)
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
    struct taking t = {.site = site, .mail = mail, .arena = a, .out = out};
    int           rc;

    *out = (struct report_mail_done){.n = 0};
    t.author = (struct author){.settings = site->settings,
                               .store = site->store,
                               .trust = &site->trust,
                               .wait_us = site->wait_us,
                               .is_for = is_for_reports,
                               .ctx = &t,
                               .message = message_open(mail->message, a),
                               .arena = a};
    if (t.author.message == NULL)
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
