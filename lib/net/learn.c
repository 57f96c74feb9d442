/* lib/net/learn.c - see learn.h. */
#include "net/learn.h"

#include <cjson/cJSON.h>

#include "base/clock.h"
#include "base/utf8.h"
#include "net/filter_ask.h"

#define ANSWER_MAX ((size_t)64 << 10)
#define WORDS_MAX 300
#define QUESTION_MAX 8192

/* ---- what came back ---- */

static void say(struct buf *words, struct span text)
{
    utf8_put_escaped(words, span_head(span_trim(text), WORDS_MAX), 0);
}

/* The value of "error" or the like, without a parser: for people alone. */
static struct span error_of(struct span json)
{
    size_t      at = span_find(json, SPAN("\"error\""));
    struct span rest = span_skip(json, at + 7);
    size_t      quote = span_chr(rest, '"');

    if (at == json.n || quote == rest.n)
        return json;
    rest = span_skip(rest, quote + 1);
    return span_head(rest, span_chr(rest, '"'));
}

static bool is_success(struct span json)
{
    struct span rest = span_skip(json, span_find(json, SPAN("\"success\"")) + 9);

    rest = span_trim(rest);
    return span_starts(rest, SPAN(":")) && span_starts(span_trim(span_skip(rest, 1)), SPAN("true"));
}

/* Releases before 2.0 and those with more than two classes say it with 404. */
static bool is_known(struct span said) { return span_find(said, SPAN("already learned")) < said.n; }

/* Rspamd learns nothing from what it is sure of: "all learn conditions denied learning spam in default classifier". */
static bool is_sure(struct span said) { return span_find(said, SPAN("learn conditions denied")) < said.n; }

/* Rspamd's controller. */
static enum learn_answer of_status(long status, struct span said, bool success, struct buf *words)
{
    static const struct {
        long              status;
        enum learn_answer answer;
        const char       *words;
    } rows[] = {
        {204, LEARN_SHORT, "too few words to learn from"},
        {208, LEARN_KNOWN, NULL},
        {400, LEARN_REFUSED, NULL},
        {401, LEARN_CLOSED, "the password is wrong"},
        {403, LEARN_CLOSED, NULL},
        {404, LEARN_CLOSED, NULL},
        {413, LEARN_REFUSED, "too large"},
    };

    if (status == 200 && success) {
        say(words, SPAN("learnt"));
        return LEARN_DONE;
    }
    if (status == 204 && is_sure(said)) {
        say(words, SPAN("the filter is sure of such mail already"));
        return LEARN_KNOWN;
    }
    if (status == 404 && is_known(said)) {
        say(words, said);
        return LEARN_KNOWN;
    }
    for (size_t i = 0; i < COUNT(rows); i++) {
        if (rows[i].status != status)
            continue;
        say(words, rows[i].words != NULL ? span_of(rows[i].words) : said);
        return rows[i].answer;
    }
    buf_printf(words, "status %ld: ", status);
    say(words, said);
    return LEARN_LATER;
}

/* An answer of several lines ends with an empty one; one that was cut before says nothing. */
static bool is_whole(struct span in)
{
    return span_find(in, SPAN("\r\n\r\n")) < in.n || span_find(in, SPAN("\n\n")) < in.n;
}

/* "SPAMD/1.1 0 EX_OK", and behind it what it did. */
static enum learn_answer of_tell(struct span in, struct buf *words)
{
    struct span rest = in, line, word;
    uint64_t    code;

    if (!span_line(&rest, &line) || !span_starts(line, SPAN("SPAMD/")) || !span_next(&line, ' ', &word) ||
        !span_next(&line, ' ', &word) || !span_u64(word, &code)) {
        say(words, in.n > 0 ? SPAN("no answer of spamd's") : SPAN("closed without an answer"));
        return LEARN_LATER;
    }
    if (code != 0) {
        say(words, line);
        return code == 69 && span_find(line, SPAN("TELL commands are not enabled")) < line.n ? LEARN_CLOSED
                                                                                             : LEARN_LATER;
    }
    if (!is_whole(in)) {
        say(words, SPAN("an answer that is cut"));
        return LEARN_LATER;
    }
    if (span_find_ci(rest, SPAN("DidSet: ")) < rest.n || span_find_ci(rest, SPAN("DidRemove: ")) < rest.n) {
        say(words, SPAN("learnt"));
        return LEARN_DONE;
    }
    say(words, SPAN("known already"));
    return LEARN_KNOWN;
}

/* ---- HTTP ---- */

struct answer {
    long        status;
    struct span reason, body;
    bool        has_length, whole; /* whole: nothing is missing, unless only the end tells */
};

/* Rspamd says "HTTP/1.1 1 cannot get learned: …" when its Redis is away: any number is a status. */
static bool read_status(struct span line, struct answer *out)
{
    struct span word;
    uint64_t    status;

    if (!span_starts(line, SPAN("HTTP/1.")) || !span_next(&line, ' ', &word) || !span_next(&line, ' ', &word) ||
        !span_u64(word, &status) || status > 999)
        return false;
    out->status = (long)status;
    out->reason = span_head(span_trim(line), WORDS_MAX);
    return true;
}

/* False: it is no answer, or ends in its head. A question in HTTP/1.0 is not answered in chunks. */
static bool read_answer(struct span in, struct answer *out)
{
    struct span line, name;
    uint64_t    length = 0;
    bool        ended = false;

    *out = (struct answer){.reason = SPAN_NONE};
    if (!span_line(&in, &line) || !read_status(line, out))
        return false;
    while (!ended && span_line(&in, &line)) {
        ended = line.n == 0;
        if (span_next(&line, ':', &name) && span_is_ci(name, "Content-Length") && !out->has_length &&
            !(out->has_length = span_u64(span_trim(line), &length)))
            return false;
    }
    if (out->status == 204) { /* has no body, even where one follows */
        out->has_length = true;
        length = 0;
    }
    out->body = out->has_length ? span_head(in, length < in.n ? (size_t)length : in.n) : in;
    out->whole = ended && (!out->has_length || in.n >= length);
    return ended;
}

static bool is_whole_http(struct span in)
{
    struct answer a;

    return read_answer(in, &a) && a.has_length && a.whole;
}

/* What cannot break the line. */
static void put_bare(struct buf *out, struct span s)
{
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] > ' ' && s.p[i] != 0x7f)
            buf_putc(out, s.p[i]);
}

static void put_field(struct buf *out, const char *name, struct span value)
{
    if (value.n == 0)
        return;
    buf_puts(out, name);
    buf_puts(out, ": ");
    put_bare(out, value);
    buf_puts(out, "\r\n");
}

/* ---- the conversation ---- */

struct talk {
    const struct learn_ask *ask;
    struct filter_url       at;
    struct buf              in;
    int64_t                 until_us;
};

static void put_request(const struct talk *t, const char *method, const char *path, struct buf *out)
{
    struct span target = span_skip(span_of(t->at.base), sizeof "http://" - 1);
    size_t      slash = span_chr(target, '/');

    buf_puts(out, method);
    buf_putc(out, ' ');
    buf_put(out, span_skip(target, slash));
    buf_puts(out, path);
    buf_puts(out, " HTTP/1.0\r\n");
    put_field(out, "Host", span_head(target, slash));
    put_field(out, "Password", span_of(t->ask->password));
}

/* Sends the question, and reads what comes. */
static int ask_http(struct talk *t, struct buf *question, struct answer *out, struct err *e)
{
    const struct span parts[] = {buf_span(question), t->ask->message};

    if (question->failed)
        return err_set(e, ERR_LIMIT, "the question is too long");
    if (filter_ask(&t->at, parts, COUNT(parts), is_whole_http, t->until_us, t->ask->over, &t->in, e) < 0)
        return -1;
    if (t->in.n == 0)
        return err_set(e, ERR_LOST, "closed without an answer");
    if (!span_starts(buf_span(&t->in), SPAN("HTTP/1.")))
        return err_set(e, ERR_PROTOCOL, "no answer in HTTP");
    if (!read_answer(buf_span(&t->in), out) || !out->whole)
        return err_set(e, ERR_LOST, "an answer that is cut");
    return 0;
}

static enum learn_answer by_rspamd(struct talk *t, struct buf *words)
{
    static const char *const paths[] = {[LEARN_SPAM] = "/learnspam", [LEARN_HAM] = "/learnham"};
    const struct learn_ask  *ask = t->ask;
    struct err               e = ERR_INIT;
    struct answer            a;
    struct buf               question;
    int                      rc;

    if (ask->class == LEARN_FORGET) {
        say(words, SPAN("Rspamd cannot forget a message; report it as the other kind instead"));
        return LEARN_REFUSED;
    }
    buf_init(&question, QUESTION_MAX);
    put_request(t, "POST", paths[ask->class], &question);
    put_field(&question, "Deliver-To", ask->deliver_to);
    buf_puts(&question, "Content-Type: message/rfc822\r\nContent-Length: ");
    buf_put_u64(&question, ask->message.n);
    buf_puts(&question, "\r\n\r\n");
    rc = ask_http(t, &question, &a, &e);
    buf_fini(&question);
    if (rc < 0) {
        say(words, span_of(e.text));
        return LEARN_LATER;
    }
    return of_status(a.status, a.body.n > 0 ? error_of(a.body) : a.reason, is_success(a.body), words);
}

/* ---- what it knows ---- */

/* A name for each class and language; "BAYES_SPAM", "BAYES_HAM". */
static int read_known(struct span json, struct learn_known *out, struct err *e)
{
    cJSON       *all = cJSON_ParseWithLength(json.p != NULL ? json.p : "", json.n);
    const cJSON *files = cJSON_GetObjectItemCaseSensitive(all, "statfiles"), *one;
    size_t       n = 0;

    *out = (struct learn_known){0};
    cJSON_ArrayForEach(one, files)
    {
        const char *symbol = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(one, "symbol"));
        double      learnt = cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(one, "revision"));

        if (symbol == NULL || !(learnt >= 0 && learnt < 1e15))
            continue;
        n++;
        if (strstr(symbol, "SPAM") != NULL)
            out->spam += (int64_t)learnt;
        else if (strstr(symbol, "HAM") != NULL)
            out->ham += (int64_t)learnt;
    }
    cJSON_Delete(all);
    return n > 0 ? 0
                 : err_set(e, ERR_NOT_FOUND, "its /stat names no Bayes: none is configured there, or it is no Rspamd");
}

static int ask_stat(struct talk *t, struct learn_known *out, struct err *e)
{
    struct answer a;
    struct buf    question;
    int           rc;

    buf_init(&question, QUESTION_MAX);
    put_request(t, "GET", "/stat", &question);
    buf_puts(&question, "\r\n");
    rc = ask_http(t, &question, &a, e);
    buf_fini(&question);
    if (rc < 0)
        return -1;
    if (a.status == 401 || a.status == 403)
        return err_set(e, ERR_DENIED, "the password is wrong");
    if (a.status != 200)
        return err_set(e, ERR_PROTOCOL, "its /stat was answered with status %ld", a.status);
    return read_known(a.body, out, e);
}

/* ---- spamd ---- */

static void put_tell(const struct learn_ask *ask, bool end, struct buf *out)
{
    static const char *const heads[] = {
        [LEARN_SPAM] = "Message-class: spam\r\nSet: local\r\n",
        [LEARN_HAM] = "Message-class: ham\r\nSet: local\r\n",
        [LEARN_FORGET] = "Remove: local\r\n",
    };

    buf_printf(out, "TELL SPAMC/1.5\r\n%s", heads[ask->class]);
    put_field(out, "User", ask->deliver_to);
    buf_printf(out, "Content-length: %zu\r\n\r\n", ask->message.n + (end ? 1 : 0));
}

static enum learn_answer by_spamd(struct talk *t, struct buf *words)
{
    struct span message = t->ask->message;
    bool        end = message.n == 0 || message.p[message.n - 1] != '\n'; /* spamd reads lines */
    struct err  e = ERR_INIT;
    struct buf  head;
    int         rc;

    buf_init(&head, QUESTION_MAX);
    put_tell(t->ask, end, &head);
    const struct span parts[] = {buf_span(&head), message, SPAN("\n")};
    rc = head.failed ? err_set(&e, ERR_LIMIT, "the question is too long")
                     : filter_ask(&t->at, parts, end ? 3 : 2, NULL, t->until_us, t->ask->over, &t->in, &e);
    buf_fini(&head);
    if (rc == 0)
        return of_tell(buf_span(&t->in), words);
    say(words, span_of(e.text));
    return LEARN_LATER;
}

enum learn_answer learn(const struct learn_ask *ask, struct buf *words_out)
{
    struct talk       t = {.ask = ask, .until_us = clock_mono_us() + ask->timeout_ms * 1000};
    struct err        e = ERR_INIT;
    enum learn_answer answer = LEARN_CLOSED;

    buf_clear(words_out);
    buf_init(&t.in, ANSWER_MAX);
    if (filter_url_read(ask->url, &t.at, &e) < 0)
        say(words_out, span_of(e.text));
    else
        answer = t.at.spamd ? by_spamd(&t, words_out) : by_rspamd(&t, words_out);
    buf_fini(&t.in);
    filter_url_fini(&t.at);
    return answer;
}

/* ---- without a message ---- */

static int ask_ping(struct talk *t, struct learn_known *unused, struct err *e)
{
    const struct span question = SPAN("PING SPAMC/1.5\r\n\r\n");

    (void)unused;
    if (filter_ask(&t->at, &question, 1, NULL, t->until_us, t->ask->over, &t->in, e) < 0)
        return -1;
    struct span in = buf_span(&t->in);
    return span_starts(in, SPAN("SPAMD/")) && span_find(in, SPAN("PONG")) < in.n
               ? 0
               : err_set(e, ERR_PROTOCOL, "it did not answer as a spamd does");
}

static int visit(const struct learn_ask *ask, bool                                                   spamd,
                 int (*what)(struct talk *, struct learn_known *, struct err *), struct learn_known *out, struct err *e)
{
    struct talk t = {.ask = ask, .until_us = clock_mono_us() + ask->timeout_ms * 1000};
    int         rc = filter_url_read(ask->url, &t.at, e);

    *out = (struct learn_known){0};
    if (rc == 0 && t.at.spamd != spamd)
        rc = err_set(e, ERR_INVALID,
                     "spamd has no question for it; [trainer] bayes_command tells, as \"sa-learn --dump magic\" does");
    if (rc == 0) {
        buf_init(&t.in, ANSWER_MAX);
        rc = what(&t, out, e);
        buf_fini(&t.in);
    }
    filter_url_fini(&t.at);
    return rc;
}

int learn_stat(const char *url, const char *password, int64_t timeout_ms, struct learn_known *out, struct err *e)
{
    const struct learn_ask ask = {.url = url, .password = password, .timeout_ms = timeout_ms};

    return visit(&ask, false, ask_stat, out, e);
}

int learn_ping(const char *url, int64_t timeout_ms, struct err *e)
{
    const struct learn_ask ask = {.url = url, .timeout_ms = timeout_ms};
    struct learn_known     none;

    return visit(&ask, true, ask_ping, &none, e);
}

int learn_check_url(const char *url, struct err *e)
{
    struct filter_url u;
    int               rc = filter_url_read(url, &u, e);

    filter_url_fini(&u);
    return rc;
}
