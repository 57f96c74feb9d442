/* lib/letter/reply.c - see reply.h. */
#include "letter/reply.h"

#include "base/log.h"
#include "letter/letter.h"
#include "mail/html.h"
#include "store/sending.h"

#define RATE_COUNTER "digest.answer.minute"
#define MINUTE_US (60 * INT64_C(1000000))
#define REFERENCES_LOOK ((size_t)16 << 10)

const char *const reply_sentences[REPLY_REASONS] = {
    [REPLY_TAKEN] = "taken",
    [REPLY_TOO_LARGE] = "it is larger than an answer may be",
    [REPLY_NO_SENDER] = "it comes from <>",
    [REPLY_NO_AUTHOR] = "it has not one author that can be read",
    [REPLY_OURS] = "Postern sent it",
    [REPLY_AUTOMATIC] = "a program sent it",
    [REPLY_LIST] = "it comes through a mailing list",
    [REPLY_NO_DIGEST] = "it answers no digest that is known",
    [REPLY_NOT_THEIRS] = "the digest that it answers went to somebody else",
    [REPLY_ENDED] = "the digest that it answers is nobody's any more",
    [REPLY_NO_COMMAND] = "it does not begin with \"release\" and numbers",
    [REPLY_TOO_MANY] = "it names too many numbers",
    [REPLY_OTHER_SIGNED_IN] = "who was signed in is not its author",
    [REPLY_NOT_TO_US] = "it is proven, but was not written to [digest] reply_to",
    [REPLY_UNPROVEN] = "nothing proves that its author sent it",
    [REPLY_SHAPE] = "it needs too much memory",
};
static const enum reply_reason of_author[AUTHOR_REASONS] = {
    [AUTHOR_FINE] = REPLY_TAKEN,          [AUTHOR_NO_SENDER] = REPLY_NO_SENDER,
    [AUTHOR_NONE] = REPLY_NO_AUTHOR,      [AUTHOR_OURS] = REPLY_OURS,
    [AUTHOR_AUTOMATIC] = REPLY_AUTOMATIC, [AUTHOR_OTHER_SIGNED_IN] = REPLY_OTHER_SIGNED_IN,
    [AUTHOR_NOT_TO_US] = REPLY_NOT_TO_US, [AUTHOR_UNPROVEN] = REPLY_UNPROVEN,
};

/* One answer at hand. */
struct taking {
    const struct reply_site *site;
    const struct reply_mail *mail;
    struct arena            *arena;
    struct author            author;
    struct store_run         run;
    struct store_digest      d;
    struct answer            asked;
    struct reply_done       *out;
};

/* ---- where answers come to ---- */

int reply_check(struct store *store, const struct settings *s, struct arena *a, struct err *e)
{
    struct address to;

    if (address_parse_path(span_of(s->digest.reply_to), a, &to, e) < 0)
        return err_wrap(e, "[digest] reply_to");
    if (to.full.n == 0)
        return err_set(e, ERR_INVALID, "[digest] reply_to has to say where answers to digests come to");
    return release_check(store, s->delivery.url, e);
}

int reply_is_for(const struct settings *s, struct span recipient, struct arena *a, struct err *e)
{
    struct address to, ours;

    if (address_parse_path(recipient, a, &to, NULL) == 0 && to.full.n > 0 &&
        address_parse_path(span_of(s->digest.reply_to), a, &ours, NULL) == 0 && span_eq(to.full, ours.full))
        return 0;
    return err_set(e, ERR_NOT_FOUND, "answers to digests come to %s: see [digest] reply_to", s->digest.reply_to);
}

static int is_for(void *ctx, struct span address, struct err *e)
{
    const struct taking *t = ctx;
    struct err           why = ERR_INIT;

    (void)e;
    return reply_is_for(t->site->settings, address, t->arena, &why) == 0;
}

/* ---- what it is ---- */

static bool is_of_list(struct message *m)
{
    static const char *const fields[] = {"List-Id", "List-Post", "List-Unsubscribe", "Precedence"};

    for (size_t i = 0; i < COUNT(fields); i++)
        if (author_has_field(m, span_of(fields[i])))
            return true;
    return false;
}

/* The last one of ours in a list of Message-IDs. */
static bool run_in(struct span ids, struct uuid *out)
{
    bool        found = false;
    struct span id;

    for (ids = span_head(ids, REFERENCES_LOOK); span_next(&ids, '<', &id);)
        found = letter_run_of(span_head(id, span_chr(id, '>')), out) || found;
    return found;
}

static bool find_run(struct message *m, struct uuid *out)
{
    static const char *const fields[] = {"In-Reply-To", "References"};

    for (size_t i = 0; i < COUNT(fields); i++) {
        size_t               at = 0;
        const struct header *h = message_header_next(m, span_of(fields[i]), &at);

        if (h != NULL && run_in(h->body, out))
            return true;
    }
    return false;
}

/* 1: run and subscription are there; 0, -1. */
static int get_digest(struct taking *t, const struct uuid *id, struct err *e)
{
    struct store *s = t->site->release.store;

    if (store_run_get(s, *id, t->arena, &t->run, e) == 0 && store_digest_get(s, t->run.subscription, &t->d, e) == 0)
        return 1;
    if (e->code != ERR_NOT_FOUND)
        return -1;
    *e = ERR_INIT;
    return 0;
}

/* The address that the letter went to, and still goes to. */
static bool is_theirs(const struct taking *t)
{
    struct address now, then;

    return address_parse_path(span_of(t->d.address), t->arena, &now, NULL) == 0 &&
           address_parse_path(t->run.recipient, t->arena, &then, NULL) == 0 &&
           span_eq(now.full, t->author.from->full) && span_eq(then.full, now.full);
}

static int look_at_digest(struct taking *t, enum reply_reason *why_out, struct err *e)
{
    struct uuid id;
    int         rc = find_run(t->author.message, &id) ? get_digest(t, &id, e) : 0;

    if (rc < 0)
        return -1;
    if (rc == 0)
        *why_out = REPLY_NO_DIGEST;
    else if (!is_theirs(t))
        *why_out = REPLY_NOT_THEIRS;
    else if (!t->d.stands)
        *why_out = REPLY_ENDED;
    return 0;
}

/* Its first text: plain where there is one, else HTML as it is seen, up to the first quote: how that is set off is not in the text. */
static struct span first_text(struct taking *t)
{
    const struct message_text *texts;
    struct span                html;
    size_t                     n, first = 0;

    message_texts(t->author.message, false, &texts, &n);
    if (n == 0 || !texts[0].html)
        return n > 0 ? texts[0].text : SPAN_NONE;
    message_texts(t->author.message, true, &texts, &n);
    while (first < n && !texts[first].html_source)
        first++;
    html = first < n ? texts[first].text : SPAN_NONE;
    return html_seen(span_head(html, span_find_ci(html, SPAN("<blockquote"))), t->arena);
}

static void read_command(struct taking *t, enum reply_reason *why_out)
{
    answer_read(first_text(t), &t->asked);
    if (t->asked.too_many)
        *why_out = REPLY_TOO_MANY;
    else if (t->asked.n == 0)
        *why_out = REPLY_NO_COMMAND;
}

/* Why it is dropped whatever proves it. */
static int look_at(struct taking *t, enum reply_reason *why_out, struct err *e)
{
    enum author_reason why;

    *why_out = REPLY_TOO_LARGE;
    if (t->mail->too_large)
        return 0;
    if (author_read(&t->author, t->mail->sender, &why, e) < 0)
        return -1;
    *why_out = of_author[why];
    if (why == AUTHOR_NO_SENDER || why == AUTHOR_NONE)
        return 0;
    t->out->from = t->author.from->full;
    t->out->message_id = message_id(t->author.message);
    if (*why_out == REPLY_TAKEN && is_of_list(t->author.message))
        *why_out = REPLY_LIST;
    if (*why_out == REPLY_TAKEN && look_at_digest(t, why_out, e) < 0)
        return -1;
    if (*why_out == REPLY_TAKEN)
        read_command(t, why_out);
    return 0;
}

static int prove(struct taking *t, enum reply_reason *why_out, struct err *e)
{
    enum author_reason why;

    if (author_prove(&t->author, &why, e) < 0)
        return -1;
    *why_out = of_author[why];
    t->out->proof = t->author.proof;
    return 0;
}

/* ---- releasing ---- */

static int may_now(const struct taking *t, int64_t now_us, struct err *e)
{
    struct store        *s = t->site->release.store;
    char                 id[UUID_TEXT + 1];
    struct store_counter row = {SPAN(RATE_COUNTER), SPAN_NONE, now_us - now_us % MINUTE_US, (int64_t)t->asked.n};
    int64_t              total;

    uuid_format(&t->d.id, id);
    row.subject = span_of(id);
    if (store_counters_add(s, &row, 1, &total, e) < 0)
        return -1;
    if (total <= REPLY_PER_MINUTE)
        return 0;
    row.value = -row.value; /* what waits takes nobody's place */
    return store_counters_add(s, &row, 1, &total, e) < 0
               ? -1
               : err_set(e, ERR_BUSY, "%s releases more than %d messages a minute by answers", t->d.address,
                         REPLY_PER_MINUTE);
}

/* Why a person may not release that, or NULL. */
static const char *why_not(const struct digest_item *i)
{
    if (i->gone)
        return "it is not in the log any more, or not theirs";
    if (i->state == STATE_RELEASED)
        return "it is released already";
    return i->can_release ? NULL : "it is not held, or for others to decide about";
}

/* After a release that failed: is it on its way all the same? 1, 0, -1: the store is away. */
static int is_asked_for(const struct taking *t, const struct store_key *key, struct err *e)
{
    struct store_release row;
    int                  rc = store_release_get(t->site->release.store, key->uid, key->n, &row, e);

    return rc <= 0 ? rc : row.state == RELEASE_REQUESTED || row.state == RELEASE_SENDING || row.state == RELEASE_SENT;
}

static int release_one(const struct taking *t, const struct store_key *key, struct reply_one *one, struct err *e)
{
    const struct release_asked asked = {.again = false};
    const struct actor         by = {
                .kind = ACTOR_ACCOUNT, .id = t->d.account, .name = t->d.address, .source = "digest answer"};
    struct store_release row;
    struct err           why = ERR_INIT;
    int                  rc;

    if (release_send(&t->site->release, &by, key->uid, key->n, &asked, &row, &why) == 0)
        return 0;
    if ((rc = is_asked_for(t, key, e)) < 0)
        return -1;
    one->waits = rc > 0;
    one->none = rc > 0 ? NULL : arena_str(t->arena, span_of(why.text));
    return 0;
}

static int take_one(const struct taking *t, struct reply_one *one, struct err *e)
{
    const struct settings   *s = t->site->settings;
    const struct digest_look look = {t->site->release.store, &s->rulesd.scanner, &s->rules.protected_symbols};
    struct digest_item       item;
    struct store_key         key;
    int                      rc = one->number == 0 ? 0 : store_run_item_at(look.store, t->run.id, one->number, &key, e);

    if (rc < 0)
        return -1;
    one->found = rc > 0;
    one->none = "the digest has no such number";
    if (rc == 0)
        return 0;
    one->uid = key.uid;
    if (digest_content_one(&look, &t->d, &key, t->arena, &item, e) < 0)
        return -1;
    one->none = why_not(&item);
    return one->none != NULL ? 0 : release_one(t, &key, one, e);
}

/* ---- all of it ---- */

static int take(struct taking *t, enum reply_reason *why_out, struct err *e)
{
    if (look_at(t, why_out, e) < 0)
        return -1;
    if (*why_out != REPLY_TAKEN)
        return 0;
    if (prove(t, why_out, e) < 0)
        return -1;
    if (*why_out != REPLY_TAKEN)
        return 0;
    if (may_now(t, clock_wall_us(), e) < 0)
        return -1;
    for (size_t i = 0; i < t->asked.n; i++) {
        struct reply_one *one = &t->out->ones[t->out->n++];

        *one = (struct reply_one){.number = t->asked.numbers[i]};
        if (take_one(t, one, e) < 0)
            return -1;
    }
    return 0;
}

int reply_take(const struct reply_site *site, const struct reply_mail *mail, struct arena *a, struct reply_done *out,
               struct err *e)
{
    struct taking t = {.site = site, .mail = mail, .arena = a, .out = out};
    int           rc;

    *out = (struct reply_done){.n = 0};
    if (reply_is_for(site->settings, mail->recipient, a, e) < 0)
        return -1;
    t.author = (struct author){.settings = site->settings,
                               .store = site->release.store,
                               .trust = &site->trust,
                               .wait_us = site->wait_us,
                               .is_for = is_for,
                               .ctx = &t,
                               .message = message_open(mail->message, a),
                               .arena = a};
    rc = t.author.message == NULL ? err_set(e, ERR_LIMIT, "no memory for an answer") : take(&t, &out->reason, e);
    if (rc == 0 || (e->code != ERR_LIMIT && e->code != ERR_INVALID && e->code != ERR_PROTOCOL))
        return rc;
    out->reason = REPLY_SHAPE; /* what is wrong with the mail itself is as wrong the next time */
    *e = ERR_INIT;
    return 0;
}

/* ---- the log's words ---- */

static void say_mail(struct log_line *l, const struct reply_mail *mail, const struct reply_done *done)
{
    log_span(l, "to", mail->recipient);
    log_span(l, "from", done->from);
    log_span(l, "envelope", mail->sender);
    log_span(l, "message_id", done->message_id);
}

static void say_one(const struct reply_one *one, const struct reply_mail *mail, const struct reply_done *done)
{
    struct log_line l;
    char            uid[UUID_TEXT + 1];

    log_begin(&l, LOG_LEVEL_INFO, one->none != NULL ? "answer refused" : "answer releases");
    if (one->none != NULL)
        log_str(&l, "why", one->none);
    log_i64(&l, "number", one->number);
    uuid_format(&one->uid, uid);
    if (one->found)
        log_str(&l, "uid", uid);
    if (one->waits)
        log_str(&l, "leaves", "later");
    say_mail(&l, mail, done);
    log_str(&l, "proof", done->proof);
    log_end(&l);
}

void reply_log(const struct reply_mail *mail, const struct reply_done *done)
{
    struct log_line l;

    for (size_t i = 0; i < done->n; i++)
        say_one(&done->ones[i], mail, done);
    if (done->reason == REPLY_TAKEN)
        return;
    log_begin(&l, LOG_LEVEL_INFO, "answer dropped");
    log_str(&l, "why", reply_sentences[done->reason]);
    say_mail(&l, mail, done);
    log_end(&l);
}
