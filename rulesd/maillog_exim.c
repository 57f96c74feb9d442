/* rulesd/maillog_exim.c - Exim's main log: a line says what it is by a sign behind the message's id. */
#include "maillog.h"
#include "maillog_take.h"

/* "1vMXYZ-000abc-1A " (until 4.96), "1vMXYZ-00000000abc-1A2B " (since 4.97) */
static bool take_id(struct span *s, struct span *out)
{
    static const size_t shapes[][3] = {{6, 6, 2}, {6, 11, 4}};

    for (size_t i = 0; i < COUNT(shapes); i++) {
        size_t first = shapes[i][0], second = first + 1 + shapes[i][1], n = second + 1 + shapes[i][2];
        bool   fits = s->n > n && s->p[first] == '-' && s->p[second] == '-' && s->p[n] == ' ';

        for (size_t at = 0; at < n && fits; at++)
            fits = at == first || at == second || (is_word(s->p[at]) && s->p[at] != '_');
        if (fits) {
            *out = span_head(*s, n);
            *s = span_skip(*s, n + 1);
            return true;
        }
    }
    return false;
}

/* Up to the next blank outside of quotes. */
static struct span take_word(struct span *s)
{
    bool   quoted = false;
    size_t i = 0;

    for (; i < s->n && (quoted || s->p[i] != ' '); i++) {
        if (quoted && s->p[i] == '\\')
            i++;
        else if (s->p[i] == '"')
            quoted = !quoted;
    }
    struct span word = span_head(*s, i);
    *s = span_skip(*s, i);
    take_text(s, " ");
    return word;
}

/* "[192.0.2.1]:25" of a name that may be missing: H=host [ip], H=host (helo) [ip], H=[ip]. */
static void take_peer(struct span *s, struct span host, struct mail_event *out)
{
    unsigned    port;
    struct span none, rest;

    out->host = host;
    if (host.n > 0 && host.p[0] == '[') {
        rest = host;
        out->host = span_head(host, 0);
        take_host(&rest, &none, &out->ip, &out->port);
        return;
    }
    if (s->n > 0 && s->p[0] == '(')
        *s = span_skip(*s, span_chr(*s, ' ') + 1);
    if (s->n > 0 && s->p[0] == '[' && take_host(s, &none, &out->ip, &port)) {
        out->port = port;
        take_text(s, " ");
    }
}

static struct span unquoted(struct span s)
{
    return s.n >= 2 && s.p[0] == '"' && s.p[s.n - 1] == '"' ? span_make(s.p + 1, s.n - 2) : s;
}

/* "KEY=…", or a flag: K, L, L.-, PRX. */
static bool is_field(struct span word)
{
    size_t key = 0;

    while (key < word.n && key < 8 && (is_word(word.p[key]) || word.p[key] == '*'))
        key++;
    return (key > 0 && key < word.n && word.p[key] == '=') ||
           (word.n > 0 && word.n <= 3 && (word.p[0] == 'K' || word.p[0] == 'L')) || span_is(word, "PRX");
}

/* Fields in any order: `R=router T=transport H=host [ip] X=TLS1.3:… C="250 Ok"`, up to the colon behind them or to what is
 * none. The first of each counts: what a stranger may choose (id=, T=) stands behind what he may not, or in quotes. */
static void take_fields(struct span *s, struct mail_event *out)
{
    while (s->n > 0 && !take_text(s, ": ")) {
        struct span before = *s, word = take_word(s);

        if (!is_field(word)) {
            *s = before;
            return;
        }
        if (take_text(&word, "H=") && out->ip.n == 0)
            take_peer(s, word, out);
        else if (take_text(&word, "X=") && out->tls.n == 0)
            out->tls = word;
        else if (take_text(&word, "C=") && out->response.n == 0)
            out->response = unquoted(word);
        else if (take_text(&word, "id=") && out->message_id.n == 0)
            out->message_id = word;
        else if (word.n > 0 && word.p[word.n - 1] == ':')
            return;
    }
}

/* "SMTP error from remote mail server after RCPT TO:<a@b>: 550 5.1.1 no": the command names an address of a stranger's choice. */
static struct span without_story(struct span s)
{
    struct span rest = s, address;

    if (!take_text(&rest, "SMTP error from remote mail server after ") &&
        !take_text(&rest, "LMTP error from remote mail server after "))
        return s;
    if (take_text(&rest, "RCPT TO:") || take_text(&rest, "MAIL FROM:"))
        take_bracketed(&rest, &address);
    size_t at = span_find(rest, SPAN(": "));
    return at < rest.n ? span_skip(rest, at + 2) : s;
}

static bool done(struct mail_event *out, enum mail_event_kind kind)
{
    out->kind = kind;
    return true;
}

/* "sender@x H=mx [192.0.2.1] P=esmtp S=389 id=1@x" */
static bool read_arrival(struct span text, struct mail_event *out)
{
    out->sender = take_word(&text);
    take_fields(&text, out);
    return done(out, MAIL_QUEUED);
}

/* Where an address ends: it may hold blanks without quotes, and so may a file or a command. */
static size_t end_of_recipient(struct span s)
{
    static const char *const ends[] = {" <", " (", " R=", " F=", " P=", " T=", " defer (", ": "};
    size_t                   end = s.n;

    if (s.n > 0 && s.p[0] == '"') {
        struct span word = take_word(&s);
        return word.n > 0 && word.p[word.n - 1] == ':' ? word.n - 1 : word.n;
    }
    for (size_t i = 0; i < COUNT(ends); i++) {
        size_t at = span_find(span_head(s, end), span_of(ends[i]));

        end = at < end ? at : end;
    }
    return end;
}

/* "anna (team@ours.example) <nest@ours.example> ": who it went to, by way of whom, and who it was for. */
static void take_recipient(struct span *s, struct mail_event *out)
{
    size_t n = end_of_recipient(*s);

    out->to = span_head(*s, n);
    *s = span_skip(*s, n);
    take_text(s, " ");
    while (s->n > 0 && s->p[0] == '(') {
        *s = span_skip(*s, span_find(*s, SPAN(") ")) + 1);
        take_text(s, " ");
    }
    if (take_bracketed(s, &out->orig_to))
        take_text(s, " ");
}

static void set_reply(struct span text, struct mail_event *out)
{
    out->response = maillog_reply(without_story(text), &out->code, &out->dsn);
}

static bool read_success(struct span text, struct mail_event *out)
{
    take_recipient(&text, out);
    take_fields(&text, out);
    set_reply(out->response, out); /* C=; to a file there is none */
    out->outcome = MAIL_SENT;
    return done(out, MAIL_ATTEMPT);
}

/* "a@b R=… T=… H=… [ip]: why" */
static bool read_failure(struct span text, struct mail_event *out)
{
    take_recipient(&text, out);
    take_fields(&text, out);
    set_reply(text, out);
    out->outcome = MAIL_BOUNCED;
    return done(out, MAIL_ATTEMPT);
}

/* "a@b R=… T=… defer (-44) H=… [ip]: why" */
static bool read_delay(struct span text, struct mail_event *out)
{
    take_recipient(&text, out);
    take_fields(&text, out);
    if (take_text(&text, "defer (")) {
        text = span_skip(text, span_chr(text, ')') + 1);
        if (!take_text(&text, ": ") && take_text(&text, " "))
            take_fields(&text, out);
    }
    set_reply(text, out);
    out->outcome = MAIL_DEFERRED;
    return done(out, MAIL_ATTEMPT);
}

static bool read_completed(struct span text, struct mail_event *out)
{
    return (text.n == 0 || text.p[0] == ' ') && done(out, MAIL_REMOVED);
}

static bool read_deletion(struct span text, struct mail_event *out)
{
    (void)text;
    return done(out, MAIL_DELETED);
}

bool maillog_read_exim(struct span text, struct mail_event *out)
{
    static const struct {
        const char *sign;
        bool (*read)(struct span text, struct mail_event *out);
    } rows[] = {
        {"<= ", read_arrival}, {"=> ", read_success}, {"-> ", read_success},         {">> ", read_success},
        {"** ", read_failure}, {"== ", read_delay},   {"Completed", read_completed}, {"removed by ", read_deletion},
    };
    struct span pid;

    if (text.n > 0 && text.p[0] == '[') {
        pid = span_head(text, span_chr(span_head(text, 16), ']') + 1);
        text = span_skip(text, pid.n);
        take_text(&text, " ");
    }
    if (!take_id(&text, &out->queue_id))
        return false;
    for (size_t i = 0; i < COUNT(rows); i++)
        if (take_text(&text, rows[i].sign))
            return rows[i].read(text, out);
    return false;
}
