/* lib/net/learn.c - see learn.h. libcurl carries both: HTTP as such, and spamd's bytes over a connection that it only opens. */
#include "net/learn.h"

#include <cjson/cJSON.h>
#include <curl/curl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/utf8.h"
#include "net/filter_url.h"

#define ANSWER_MAX ((size_t)64 << 10)
#define WORDS_MAX 300
#define CONNECT_MS 5000

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

/* ---- the conversation ---- */

struct talk {
    const struct learn_ask *ask;
    struct filter_url       at;
    CURL                   *easy;
    struct buf              in, reason;
    int64_t                 until_us;
    char                    fault[CURL_ERROR_SIZE];
};

static size_t on_body(char *p, size_t size, size_t n, void *ctx)
{
    struct talk *t = ctx;

    buf_put(&t->in, span_make(p, size * n));
    return t->in.failed ? 0 : size * n;
}

/* What stands behind the status: with 204, which has no body, it is all that the filter says. */
static size_t on_field(char *p, size_t size, size_t n, void *ctx)
{
    struct talk *t = ctx;
    struct span  line = span_trim(span_make(p, size * n)), word;

    if (span_starts(line, SPAN("HTTP/")) && span_next(&line, ' ', &word) && span_next(&line, ' ', &word)) {
        buf_clear(&t->reason);
        buf_put(&t->reason, span_head(line, WORDS_MAX));
    }
    return size * n;
}

static long left_ms(const struct talk *t)
{
    int64_t us = t->until_us - clock_mono_us();

    return us > 1000 ? (long)(us / 1000) : 0;
}

static void prepare(struct talk *t)
{
    long ms = left_ms(t) + 1;

    curl_easy_setopt(t->easy, CURLOPT_URL, t->at.base);
    curl_easy_setopt(t->easy, CURLOPT_UNIX_SOCKET_PATH, t->at.socket);
    curl_easy_setopt(t->easy, CURLOPT_PROTOCOLS_STR, "http");
    curl_easy_setopt(t->easy, CURLOPT_PROXY, "");
    curl_easy_setopt(t->easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(t->easy, CURLOPT_ERRORBUFFER, t->fault);
    curl_easy_setopt(t->easy, CURLOPT_TIMEOUT_MS, ms);
    curl_easy_setopt(t->easy, CURLOPT_CONNECTTIMEOUT_MS, ms < CONNECT_MS ? ms : (long)CONNECT_MS);
}

static enum learn_answer lost(struct talk *t, CURLcode code, struct buf *words)
{
    say(words, span_of(t->fault[0] != '\0' ? t->fault : curl_easy_strerror(code)));
    return LEARN_LATER;
}

static struct curl_slist *add_field(struct curl_slist *list, const char *name, struct span value)
{
    struct buf         b;
    struct curl_slist *more = NULL;

    buf_init(&b, 4096);
    buf_printf(&b, "%s: ", name);
    for (size_t i = 0; i < value.n; i++)
        if ((unsigned char)value.p[i] > ' ' && value.p[i] != 0x7f)
            buf_putc(&b, value.p[i]);
    if (!b.failed)
        more = curl_slist_append(list, b.p);
    buf_fini(&b);
    return more != NULL ? more : list;
}

static enum learn_answer by_rspamd(struct talk *t, struct buf *words)
{
    static const char *const paths[] = {[LEARN_SPAM] = "/learnspam", [LEARN_HAM] = "/learnham"};
    const struct learn_ask  *ask = t->ask;
    struct curl_slist       *fields = curl_slist_append(NULL, "Content-Type: message/rfc822");
    struct buf               url;
    long                     status = 0;
    CURLcode                 code;

    if (ask->class == LEARN_FORGET) {
        curl_slist_free_all(fields);
        say(words, SPAN("Rspamd cannot forget a message; report it as the other kind instead"));
        return LEARN_REFUSED;
    }
    buf_init(&url, 4096);
    buf_printf(&url, "%s%s", t->at.base, paths[ask->class]);
    prepare(t);
    fields = curl_slist_append(fields, "Expect:");
    if (ask->password[0] != '\0')
        fields = add_field(fields, "Password", span_of(ask->password));
    if (ask->deliver_to.n > 0)
        fields = add_field(fields, "Deliver-To", ask->deliver_to);
    curl_easy_setopt(t->easy, CURLOPT_URL, url.p);
    curl_easy_setopt(t->easy, CURLOPT_HTTPHEADER, fields);
    curl_easy_setopt(t->easy, CURLOPT_POST, 1L);
    curl_easy_setopt(t->easy, CURLOPT_POSTFIELDS, ask->message.n > 0 ? ask->message.p : "");
    curl_easy_setopt(t->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)ask->message.n);
    curl_easy_setopt(t->easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(t->easy, CURLOPT_WRITEDATA, t);
    curl_easy_setopt(t->easy, CURLOPT_HEADERFUNCTION, on_field);
    curl_easy_setopt(t->easy, CURLOPT_HEADERDATA, t);
    code = curl_easy_perform(t->easy);
    curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
    curl_slist_free_all(fields);
    buf_fini(&url);
    if (code != CURLE_OK)
        return lost(t, code, words);
    return of_status(status, t->in.n > 0 ? error_of(buf_span(&t->in)) : buf_span(&t->reason),
                     is_success(buf_span(&t->in)), words);
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
    struct curl_slist *fields = NULL;
    struct buf         url;
    long               status = 0;
    CURLcode           code;

    buf_init(&url, 4096);
    buf_printf(&url, "%s/stat", t->at.base);
    prepare(t);
    if (t->ask->password[0] != '\0')
        fields = add_field(fields, "Password", span_of(t->ask->password));
    curl_easy_setopt(t->easy, CURLOPT_URL, url.p);
    curl_easy_setopt(t->easy, CURLOPT_HTTPHEADER, fields);
    curl_easy_setopt(t->easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(t->easy, CURLOPT_WRITEDATA, t);
    code = curl_easy_perform(t->easy);
    curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
    curl_slist_free_all(fields);
    buf_fini(&url);
    if (code != CURLE_OK)
        return err_set(e, ERR_LOST, "%s", t->fault[0] != '\0' ? t->fault : curl_easy_strerror(code));
    if (status == 401 || status == 403)
        return err_set(e, ERR_DENIED, "the password is wrong");
    if (status != 200)
        return err_set(e, ERR_PROTOCOL, "its /stat was answered with status %ld", status);
    return read_known(buf_span(&t->in), out, e);
}

/* ---- spamd ---- */

static bool wait_for(struct talk *t, short events)
{
    curl_socket_t fd = CURL_SOCKET_BAD;
    struct pollfd p;

    curl_easy_getinfo(t->easy, CURLINFO_ACTIVESOCKET, &fd);
    p = (struct pollfd){.fd = fd, .events = events};
    return left_ms(t) > 0 && poll(&p, 1, (int)left_ms(t)) > 0;
}

static CURLcode send_all(struct talk *t, struct span bytes)
{
    while (bytes.n > 0) {
        size_t   n = 0;
        CURLcode code = curl_easy_send(t->easy, bytes.p, bytes.n, &n);

        if (code != CURLE_OK && code != CURLE_AGAIN)
            return code;
        bytes = span_skip(bytes, n);
        if (code == CURLE_AGAIN && !wait_for(t, POLLOUT))
            return CURLE_OPERATION_TIMEDOUT;
    }
    return CURLE_OK;
}

/* To its end: spamd closes behind its answer. */
static CURLcode receive_all(struct talk *t)
{
    for (;;) {
        char     bytes[4096];
        size_t   n = 0;
        CURLcode code = curl_easy_recv(t->easy, bytes, sizeof bytes, &n);

        if (code == CURLE_AGAIN) {
            if (!wait_for(t, POLLIN))
                return CURLE_OPERATION_TIMEDOUT;
            continue;
        }
        if (code != CURLE_OK || n == 0)
            return code == CURLE_GOT_NOTHING || code == CURLE_RECV_ERROR ? CURLE_OK : code;
        buf_put(&t->in, span_make(bytes, n));
        if (t->in.failed)
            return CURLE_FILESIZE_EXCEEDED;
    }
}

static void put_tell(const struct learn_ask *ask, bool end, struct buf *out)
{
    static const char *const heads[] = {
        [LEARN_SPAM] = "Message-class: spam\r\nSet: local\r\n",
        [LEARN_HAM] = "Message-class: ham\r\nSet: local\r\n",
        [LEARN_FORGET] = "Remove: local\r\n",
    };

    buf_printf(out, "TELL SPAMC/1.5\r\n%s", heads[ask->class]);
    if (ask->deliver_to.n > 0) {
        buf_puts(out, "User: ");
        for (size_t i = 0; i < ask->deliver_to.n; i++)
            if ((unsigned char)ask->deliver_to.p[i] > ' ' && ask->deliver_to.p[i] != 0x7f)
                buf_putc(out, ask->deliver_to.p[i]);
        buf_puts(out, "\r\n");
    }
    buf_printf(out, "Content-length: %zu\r\n\r\n", ask->message.n + (end ? 1 : 0));
}

static CURLcode connect_only(struct talk *t)
{
    prepare(t);
    curl_easy_setopt(t->easy, CURLOPT_CONNECT_ONLY, 1L);
    return curl_easy_perform(t->easy);
}

static enum learn_answer by_spamd(struct talk *t, struct buf *words)
{
    struct span message = t->ask->message;
    bool        end = message.n == 0 || message.p[message.n - 1] != '\n'; /* spamd reads lines */
    struct buf  head;
    CURLcode    code;

    if ((code = connect_only(t)) != CURLE_OK)
        return lost(t, code, words);
    buf_init(&head, 8192);
    put_tell(t->ask, end, &head);
    code = send_all(t, buf_span(&head));
    buf_fini(&head);
    if (code == CURLE_OK)
        code = send_all(t, message);
    if (code == CURLE_OK && end)
        code = send_all(t, SPAN("\n"));
    if (code == CURLE_OK)
        code = receive_all(t);
    return code != CURLE_OK ? lost(t, code, words) : of_tell(buf_span(&t->in), words);
}

struct learner {
    CURL *easy; /* for HTTP; what speaks to spamd opens a connection and nothing else, and is used once */
};

struct learner *learner_new(void)
{
    struct learner *l = calloc(1, sizeof *l);

    if (l == NULL || (l->easy = curl_easy_init()) == NULL)
        panic("out of memory");
    return l;
}

void learner_free(struct learner **l)
{
    if (*l != NULL)
        curl_easy_cleanup((*l)->easy);
    free(*l);
    *l = NULL;
}

static enum learn_answer ask_rspamd(struct learner *l, struct talk *t, struct buf *words)
{
    enum learn_answer answer;

    t->easy = l->easy;
    answer = by_rspamd(t, words);
    curl_easy_reset(l->easy); /* what it points to ends here; its connections stay */
    return answer;
}

static enum learn_answer ask_spamd(struct talk *t, struct buf *words)
{
    enum learn_answer answer = LEARN_LATER;

    if ((t->easy = curl_easy_init()) == NULL)
        say(words, SPAN("libcurl does not start"));
    else
        answer = by_spamd(t, words);
    curl_easy_cleanup(t->easy);
    return answer;
}

enum learn_answer learn(struct learner *l, const struct learn_ask *ask, struct buf *words_out)
{
    struct talk       t = {.ask = ask, .until_us = clock_mono_us() + ask->timeout_ms * 1000};
    struct err        e = ERR_INIT;
    enum learn_answer answer = LEARN_CLOSED;

    buf_clear(words_out);
    buf_init(&t.in, ANSWER_MAX);
    buf_init(&t.reason, WORDS_MAX);
    if (filter_url_read(ask->url, &t.at, &e) < 0)
        say(words_out, span_of(e.text));
    else
        answer = t.at.spamd ? ask_spamd(&t, words_out) : ask_rspamd(l, &t, words_out);
    buf_fini(&t.in);
    buf_fini(&t.reason);
    filter_url_fini(&t.at);
    return answer;
}

/* ---- without a message ---- */

static int ask_ping(struct talk *t, struct learn_known *unused, struct err *e)
{
    CURLcode code = connect_only(t);

    (void)unused;
    if (code == CURLE_OK)
        code = send_all(t, SPAN("PING SPAMC/1.5\r\n\r\n"));
    if (code == CURLE_OK)
        code = receive_all(t);
    if (code != CURLE_OK)
        return err_set(e, ERR_LOST, "%s", t->fault[0] != '\0' ? t->fault : curl_easy_strerror(code));
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
    if (rc == 0 && (t.easy = curl_easy_init()) == NULL)
        rc = err_set(e, ERR_LIMIT, "libcurl does not start");
    if (rc == 0) {
        buf_init(&t.in, ANSWER_MAX);
        rc = what(&t, out, e);
        curl_easy_cleanup(t.easy);
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
