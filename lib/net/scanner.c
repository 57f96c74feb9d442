/* lib/net/scanner.c - see scanner.h.
 *
 * scanner_put() leaves a question in the inbox and wakes the thread. There it becomes a job, which goes through tries: a scanner is
 * chosen, asked with a part of the time that is left, and its answer read; or what was wrong is noted, and the next one is tried. The
 * job ends with an answer, with nobody left to ask, or with its time. Jobs, scanners and their health are the thread's own.
 *
 * Both kinds go through libcurl's multi handle: Rspamd whole; for spamd it finds and connects the socket (CONNECT_ONLY), which then
 * speaks in converse(), woken by the same poll. */
#include <curl/curl.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/ip.h"
#include "base/utf8.h"
#include "net/filter_url.h"
#include "net/scanner.h"
#include "net/scanner_choice.h"
#include "net/spamd_client.h"

#define PLACES_MAX 16
#define CONNECTIONS_MAX 256L /* at once; questions beyond wait for one */
#define JOBS_MAX 1024        /* at once; more fail, so that a scanner that is too slow does not eat all memory */
#define WAIT_MS 1000
#define CONNECT_MS 3000          /* and never more than half of what a try may take */
#define FIELDS_MAX (60 * 1024)   /* Rspamd closes on a head of 80 KiB */
#define FIELD_MAX 4096           /* a value beyond is not of use to it */
#define HEAD_MAX (64 * 1024)     /* of an answer */
#define QUESTION_MAX (64 * 1024) /* what spamd is told before the message */

/* One scanner of the settings. */
struct place {
    char *setting, *url, *socket;
    bool  no_table; /* this spamd's reports have no table: its symbols are asked for by name */
    char  fault[200];
};

struct job {
    struct scanner     *s;
    struct scanner_ask *ask;
    int64_t             began_us, deadline_us;
    bool                tried[PLACES_MAX];
    unsigned            tries;
    struct err          err; /* what was wrong with the last try */

    /* The try under way. */
    size_t             at;
    bool               trial;
    int64_t            until_us;
    CURL              *easy;
    struct curl_slist *fields;
    size_t             head_bytes;
    char               text[CURL_ERROR_SIZE];
    struct buf         in;

    /* spamd alone */
    bool        names_only, told;
    int         fd; /* -1: not connected yet; libcurl owns it */
    struct buf  head;
    size_t      sent;
    struct job *next, *before;
};

struct scanner {
    pthread_t thread;
    bool      spamd;
    int64_t   timeout_us;
    char      host[256];
    CURLM    *multi;

    /* The thread's own. */
    struct place          places[PLACES_MAX];
    struct scanner_health health[PLACES_MAX];
    size_t                nplaces;
    struct job           *jobs;
    struct curl_waitfd    polled[JOBS_MAX];
    struct job           *watched[JOBS_MAX];

    pthread_mutex_t      lock; /* guards what follows */
    struct scanner_ask  *inbox, **inbox_end;
    size_t               under_way, well;
    bool                 stopping;
    struct scanner_stats stats;
};

/* ---- settings ---- */

/* A path behind the host is where its checkv2 is. */
static char *place_url(const struct filter_url *u)
{
    struct span base = span_of(u->base);
    bool        has_path = span_chr(span_skip(base, sizeof "http://" - 1), '/') < base.n - (sizeof "http://" - 1);
    struct buf  text;
    char       *out;

    buf_init(&text, 4096);
    buf_printf(&text, "%s%s", u->base, u->spamd || has_path ? "" : "/checkv2");
    out = span_strdup(buf_span(&text));
    buf_fini(&text);
    return out;
}

static int read_place(const char *setting, bool *spamd_out, struct place *out, struct err *e)
{
    struct filter_url u;
    int               rc = filter_url_read(setting, &u, e);

    out->setting = span_strdup(span_of(setting));
    if (rc == 0) {
        *spamd_out = u.spamd;
        out->url = place_url(&u);
        out->socket = u.socket;
        u.socket = NULL;
    }
    filter_url_fini(&u);
    return rc;
}

static int read_settings(struct scanner *s, const struct conf_list *urls, struct err *e)
{
    if (urls->n > PLACES_MAX)
        return err_set(e, ERR_INVALID, "%zu scanners, at most %d", urls->n, PLACES_MAX);
    for (size_t i = 0; i < urls->n; i++) {
        bool spamd = false;

        s->nplaces = i + 1;
        if (read_place(urls->items[i], &spamd, &s->places[i], e) < 0)
            return -1;
        if (i > 0 && spamd != s->spamd)
            return err_set(e, ERR_INVALID, "\"%s\" and \"%s\" are of two kinds: either Rspamd or spamd scans",
                           urls->items[0], urls->items[i]);
        s->spamd = spamd;
    }
    return 0;
}

/* ---- the end of a question ---- */

static void finish(struct scanner *s, struct scanner_ask *ask, int rc, const struct err *err, int64_t took_us)
{
    pthread_mutex_lock(&s->lock);
    s->stats.answered += rc == 0;
    s->stats.failed += rc < 0;
    s->stats.timeouts += rc < 0 && err->code == ERR_TIMEOUT;
    s->stats.us += rc == 0 ? (uint64_t)took_us : 0;
    s->under_way--;
    pthread_mutex_unlock(&s->lock);
    ask->rc = rc;
    if (rc < 0)
        ask->err = *err;
    ask->job = NULL;
    ask->done(ask);
}

static void end_try(struct job *job)
{
    if (job->easy != NULL) {
        curl_multi_remove_handle(job->s->multi, job->easy); /* closes the socket of a CONNECT_ONLY */
        curl_easy_cleanup(job->easy);
    }
    curl_slist_free_all(job->fields);
    job->easy = NULL;
    job->fields = NULL;
    job->fd = -1;
    buf_clear(&job->in);
}

static void end_job(struct job *job, int rc)
{
    struct scanner     *s = job->s;
    struct scanner_ask *ask = job->ask;
    struct err          err = job->err;
    int64_t             took_us = clock_mono_us() - job->began_us;

    end_try(job);
    *(job->before != NULL ? &job->before->next : &s->jobs) = job->next;
    if (job->next != NULL)
        job->next->before = job->before;
    buf_fini(&job->in);
    buf_fini(&job->head);
    free(job);
    ask->answer.took_us = took_us;
    finish(s, ask, rc, &err, took_us);
}

/* ---- asking Rspamd ---- */

static size_t on_body(char *bytes, size_t one, size_t n, void *of)
{
    struct job *job = of;

    (void)one;
    if (n > SCANNER_ANSWER_MAX - job->in.n)
        return 0;
    buf_put(&job->in, span_make(bytes, n));
    return n;
}

static size_t on_head(char *bytes, size_t one, size_t n, void *of)
{
    struct job *job = of;

    (void)one, (void)bytes;
    job->head_bytes += n;
    return job->head_bytes > HEAD_MAX ? 0 : n;
}

/* "Name: value", without what would end the line; nothing for an empty value. *left is how many bytes fields may still have together:
 * what does not fit is left out. */
static void put_field(struct curl_slist **last, const char *name, struct span value, size_t *left)
{
    struct buf line;

    if (value.n == 0 || value.n > FIELD_MAX || value.n + 20 > *left)
        return;
    buf_init(&line, FIELD_MAX + 100);
    buf_puts(&line, name);
    buf_puts(&line, ": ");
    for (size_t i = 0; i < value.n; i++)
        if (value.p[i] != '\r' && value.p[i] != '\n' && value.p[i] != '\0')
            buf_putc(&line, value.p[i]);
    *left -= value.n + 20;
    curl_slist_append(*last, line.p);
    *last = (*last)->next != NULL ? (*last)->next : *last;
    buf_fini(&line);
}

static void put_fields(struct job *job)
{
    const struct scanner_ask *ask = job->ask;
    const struct {
        const char *name;
        struct span value;
    } rows[] = {
        {"Content-Type", SPAN("text/plain")},
        {"From", ask->from.p != NULL && ask->from.n == 0 ? SPAN("<>") : ask->from},
        {"IP", ask->ip},
        {"Helo", ask->helo},
        {"Hostname", ask->hostname},
        {"User", ask->user},
        {"Queue-ID", ask->queue_id},
        {"Deliver-To", ask->deliver_to},
    };
    struct curl_slist *last = job->fields = curl_slist_append(NULL, "Expect:"); /* none: libcurl would wait for a 100 */
    size_t             left = FIELDS_MAX;

    for (size_t i = 0; i < COUNT(rows); i++)
        put_field(&last, rows[i].name, rows[i].value, &left);
    for (size_t i = 0; i < ask->nrcpt; i++)
        put_field(&last, "Rcpt", ask->rcpt[i], &left);
}

static void begin_rspamd(struct job *job)
{
    const struct scanner_ask *ask = job->ask;

    put_fields(job);
    curl_easy_setopt(job->easy, CURLOPT_HTTPHEADER, job->fields);
    curl_easy_setopt(job->easy, CURLOPT_POST, 1L);
    curl_easy_setopt(job->easy, CURLOPT_POSTFIELDS, ask->message.n > 0 ? ask->message.p : ""); /* not copied */
    curl_easy_setopt(job->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)ask->message.n);
    curl_easy_setopt(job->easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(job->easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(job->easy, CURLOPT_WRITEDATA, job);
    curl_easy_setopt(job->easy, CURLOPT_HEADERFUNCTION, on_head);
    curl_easy_setopt(job->easy, CURLOPT_HEADERDATA, job);
}

/* ---- tries ---- */

static void next_try(struct job *job);

/* How much of the time that is left one try may take: all of it, unless somebody else could still be asked. */
static int64_t share(struct job *job, int64_t now_us)
{
    struct scanner *s = job->s;
    int64_t         left = job->deadline_us - now_us;

    return scanner_has_other(s->health, s->nplaces, job->tried, job->at, now_us) ? left / 2 : left;
}

static void note_well(struct scanner *s)
{
    size_t well = 0;

    for (size_t i = 0; i < s->nplaces; i++)
        well += s->health[i].rest_us == 0;
    pthread_mutex_lock(&s->lock);
    s->well = well;
    pthread_mutex_unlock(&s->lock);
}

/* The try came to nothing, for the reason in job->err. */
static void fail_try(struct job *job, bool lost)
{
    struct scanner *s = job->s;
    struct place   *place = &s->places[job->at];

    err_wrap(&job->err, "%s", place->setting);
    snprintf(place->fault, sizeof place->fault, "%.*s", (int)utf8_clip(span_of(job->err.text), sizeof place->fault - 1),
             job->err.text);
    scanner_did_badly(&s->health[job->at], lost, job->trial, clock_mono_us());
    note_well(s);
    end_try(job);
    next_try(job);
}

static void begin_try(struct job *job, int64_t now_us)
{
    struct scanner *s = job->s;
    struct place   *place = &s->places[job->at];
    int64_t         ms = share(job, now_us) / 1000;

    job->until_us = now_us + ms * 1000;
    job->head_bytes = job->sent = 0;
    job->text[0] = '\0';
    if ((job->easy = curl_easy_init()) == NULL)
        panic("no memory for a question");
    curl_easy_setopt(job->easy, CURLOPT_PRIVATE, job);
    curl_easy_setopt(job->easy, CURLOPT_URL, place->url);
    curl_easy_setopt(job->easy, CURLOPT_UNIX_SOCKET_PATH, place->socket);
    curl_easy_setopt(job->easy, CURLOPT_PROTOCOLS_STR, "http");
    curl_easy_setopt(job->easy, CURLOPT_PROXY, "");
    curl_easy_setopt(job->easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(job->easy, CURLOPT_QUICK_EXIT, 1L); /* else a slow name server would hold the thread */
    curl_easy_setopt(job->easy, CURLOPT_ERRORBUFFER, job->text);
    curl_easy_setopt(job->easy, CURLOPT_TIMEOUT_MS, (long)(ms > 0 ? ms : 1));
    curl_easy_setopt(job->easy, CURLOPT_CONNECTTIMEOUT_MS, (long)(ms / 2 < CONNECT_MS ? ms / 2 + 1 : CONNECT_MS));
    if (s->spamd)
        curl_easy_setopt(job->easy, CURLOPT_CONNECT_ONLY, 1L);
    else
        begin_rspamd(job);
    curl_multi_add_handle(s->multi, job->easy);
}

/* Asks the next scanner, or ends the job. */
static void next_try(struct job *job)
{
    struct scanner *s = job->s;
    int64_t         now_us = clock_mono_us();

    if (job->deadline_us - now_us < 1000) {
        if (job->tries == 0)
            err_set(&job->err, ERR_TIMEOUT, "no time is left to ask a scanner");
        end_job(job, -1);
        return;
    }
    job->at = scanner_choose(s->health, s->nplaces, job->tried, now_us, &job->trial);
    if (job->at == SIZE_MAX) {
        if (job->tries == 0)
            err_set(&job->err, ERR_LOST, "no scanner is well: %s", s->places[0].fault);
        end_job(job, -1);
        return;
    }
    if (job->tries++ > 0) {
        pthread_mutex_lock(&s->lock);
        s->stats.retried++;
        pthread_mutex_unlock(&s->lock);
    }
    job->tried[job->at] = true;
    job->names_only = s->places[job->at].no_table;
    begin_try(job, now_us);
}

/* The answer is there. */
static void succeed(struct job *job)
{
    struct scanner        *s = job->s;
    struct scanner_answer *answer = &job->ask->answer;
    struct ip              ip;

    scanner_did_well(&s->health[job->at]);
    note_well(s);
    answer->spamd = s->spamd;
    answer->by = s->places[job->at].setting;
    answer->names_only = job->names_only;
    answer->envelope_told = s->spamd ? job->told : job->ask->from.p != NULL && ip_parse(job->ask->ip, true, &ip);
    answer->skipped = answer->reply.is_skipped;
    end_job(job, 0);
}

/* ---- what came of a try at Rspamd ---- */

static int read_rspamd(struct job *job)
{
    struct rspamd_reply *reply = &job->ask->answer.reply;
    long                 status = 0;

    curl_easy_getinfo(job->easy, CURLINFO_RESPONSE_CODE, &status);
    if (rspamd_read_json(buf_span(&job->in), job->ask->arena, reply, &job->err) == 0) {
        if (status == 200)
            return 0;
        return err_set(&job->err, ERR_PROTOCOL, "it answered with status %ld", status);
    }
    return status == 200 ? -1 : err_wrap(&job->err, "it answered with status %ld", status);
}

static bool is_broken(CURLcode code)
{
    return code == CURLE_SEND_ERROR || code == CURLE_RECV_ERROR || code == CURLE_GOT_NOTHING ||
           code == CURLE_PARTIAL_FILE;
}

/* What libcurl says: never reached, too late, too much, or broken off. */
static bool set_curl_error(struct job *job, CURLcode code)
{
    const char *text = job->text[0] != '\0' ? job->text : curl_easy_strerror(code);
    curl_off_t  connected_us = 0;
    bool        late = code == CURLE_OPERATION_TIMEDOUT;

    curl_easy_getinfo(job->easy, CURLINFO_CONNECT_TIME_T, &connected_us);
    bool lost = code == CURLE_COULDNT_CONNECT || code == CURLE_COULDNT_RESOLVE_HOST || (late && connected_us == 0);
    if (code == CURLE_WRITE_ERROR)
        err_set(&job->err, ERR_LIMIT, "its answer is longer than %zu bytes", SCANNER_ANSWER_MAX);
    else
        err_set(&job->err, late ? ERR_TIMEOUT : is_broken(code) || lost ? ERR_LOST : ERR_PROTOCOL, "%s", text);
    return lost;
}

/* ---- spamd ---- */

static bool put_question(struct job *job)
{
    buf_clear(&job->head);
    job->told = spamd_put_question(&job->head, job->ask, job->names_only, job->s->host, clock_wall_us());
    return !job->head.failed;
}

/* The parts of the question, one behind the other, from `sent` on. */
static struct span unsent(const struct job *job)
{
    struct span parts[] = {buf_span(&job->head), job->ask->message,
                           spamd_needs_end(job->ask->message) ? SPAN("\n") : SPAN_NONE};
    size_t      at = job->sent;

    for (size_t i = 0; i < COUNT(parts); i++) {
        if (at < parts[i].n)
            return span_skip(parts[i], at);
        at -= parts[i].n;
    }
    return SPAN_NONE;
}

/* 1 all is said, 0 the peer takes no more now, -1 it is gone. */
static int say(struct job *job)
{
    struct span more = unsent(job);

    if (more.n == 0)
        return 1;
    for (; more.n > 0; more = unsent(job)) {
        ssize_t n = send(job->fd, more.p, more.n, MSG_NOSIGNAL | MSG_DONTWAIT);

        if (n < 0)
            return errno == EAGAIN || errno == EINTR ? 0 : -1;
        job->sent += (size_t)n;
    }
    shutdown(job->fd, SHUT_WR);
    return 1;
}

/* 1 the peer has closed, 0 nothing more now, -1 broken off or too long. */
static int hear(struct job *job)
{
    for (;;) {
        size_t  room = SCANNER_ANSWER_MAX - job->in.n < 16384 ? SCANNER_ANSWER_MAX - job->in.n : 16384;
        char   *to = room > 0 ? buf_reserve(&job->in, room) : NULL;
        ssize_t n = to != NULL ? recv(job->fd, to, room, MSG_DONTWAIT) : 0;

        if (to == NULL)
            return err_set(&job->err, ERR_LIMIT, "its answer is longer than %zu bytes", SCANNER_ANSWER_MAX);
        if (n < 0 && errno == EINTR)
            continue;
        if (n == 0 || (n < 0 && errno == ECONNRESET)) /* it closes with our question unread: what came tells */
            return 1;
        if (n < 0)
            return errno == EAGAIN ? 0 : err_errno(&job->err, "read the answer");
        job->in.n += (size_t)n;
    }
}

/* A report without a table tells no symbols: the same spamd is asked again, for their names. Where there was none at all, so is it from
 * now on. */
static void ask_for_names(struct job *job, bool always)
{
    int64_t now_us = clock_mono_us();

    job->s->places[job->at].no_table |= always;
    job->names_only = true;
    end_try(job);
    if (job->deadline_us - now_us < 1000) {
        err_set(&job->err, ERR_TIMEOUT, "no time is left to ask for the names of its symbols");
        fail_try(job, false);
        return;
    }
    begin_try(job, now_us);
}

static void read_spamd(struct job *job)
{
    struct rspamd_reply *reply = &job->ask->answer.reply;
    bool                 table;

    if (spamd_read_answer(buf_span(&job->in), job->names_only, job->ask->arena, reply, &table, &job->err) < 0)
        fail_try(job, false);
    else if (!table && !job->names_only)
        ask_for_names(job, reply->nsymbols == 0);
    else
        succeed(job);
}

/* One step of the dialogue, when its socket has something to say. */
static void converse(struct job *job)
{
    int heard, said = say(job);

    heard = hear(job);
    if (heard < 0)
        fail_try(job, false);
    else if (heard > 0)
        read_spamd(job);
    else if (said < 0) {
        err_set(&job->err, ERR_LOST, "it closed while it was asked");
        fail_try(job, false);
    }
}

static void begin_spamd(struct job *job)
{
    curl_socket_t fd = CURL_SOCKET_BAD;

    if (curl_easy_getinfo(job->easy, CURLINFO_ACTIVESOCKET, &fd) != CURLE_OK || fd == CURL_SOCKET_BAD) {
        err_set(&job->err, ERR_LOST, "the connection is lost");
        fail_try(job, true);
    } else if (!put_question(job)) {
        err_set(&job->err, ERR_LIMIT, "what there is to say of the message is too long");
        fail_try(job, false);
    } else {
        job->fd = fd;
        converse(job);
    }
}

/* ---- the thread ---- */

static void on_done(struct job *job, CURLcode code)
{
    if (code != CURLE_OK)
        fail_try(job, set_curl_error(job, code));
    else if (job->s->spamd)
        begin_spamd(job);
    else if (read_rspamd(job) < 0)
        fail_try(job, false);
    else
        succeed(job);
}

static void begin_job(struct scanner *s, struct scanner_ask *ask)
{
    struct job *job = calloc(1, sizeof *job);

    if (job == NULL)
        panic("no memory for a question");
    job->s = s;
    job->ask = ask;
    job->began_us = clock_mono_us();
    job->deadline_us = job->began_us + s->timeout_us;
    job->fd = -1;
    buf_init(&job->in, SCANNER_ANSWER_MAX + 1);
    buf_init(&job->head, QUESTION_MAX);
    job->next = s->jobs;
    if (s->jobs != NULL)
        s->jobs->before = job;
    s->jobs = job;
    ask->job = job;
    ask->answer = (struct scanner_answer){0};
    next_try(job);
}

/* Takes the inbox. False when it is time to stop. */
static bool take_inbox(struct scanner *s, struct scanner_ask **out)
{
    bool go_on;

    pthread_mutex_lock(&s->lock);
    *out = s->inbox;
    s->inbox = NULL;
    s->inbox_end = &s->inbox;
    go_on = !s->stopping;
    pthread_mutex_unlock(&s->lock);
    return go_on;
}

static void finish_transfers(struct scanner *s)
{
    CURLMsg *msg;
    int      left;

    while ((msg = curl_multi_info_read(s->multi, &left)) != NULL) {
        struct job *job = NULL;
        CURLcode    code = msg->data.result;

        if (msg->msg != CURLMSG_DONE)
            continue;
        curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, &job);
        on_done(job, code);
    }
}

/* The sockets of spamd, which libcurl does not watch any more; and how long there is to wait. */
static unsigned watch(struct scanner *s, int *wait_ms)
{
    int64_t  now_us = clock_mono_us();
    unsigned n = 0;

    *wait_ms = WAIT_MS;
    for (struct job *job = s->jobs; job != NULL; job = job->next) {
        if (job->fd < 0)
            continue;
        int64_t ms = (job->until_us - now_us + 999) / 1000;

        *wait_ms = ms < 0 ? 0 : ms < *wait_ms ? (int)ms : *wait_ms;
        s->watched[n] = job;
        s->polled[n++] = (struct curl_waitfd){.fd = job->fd,
                                              .events = CURL_WAIT_POLLIN | (unsent(job).n > 0 ? CURL_WAIT_POLLOUT : 0)};
    }
    return n;
}

static void go_on(struct scanner *s, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        if (s->polled[i].revents != 0) {
            converse(s->watched[i]);
        } else if (clock_mono_us() >= s->watched[i]->until_us) {
            err_set(&s->watched[i]->err, ERR_TIMEOUT, "no answer in time");
            fail_try(s->watched[i], false);
        }
    }
}

/* What was not asked yet, and what is under way. */
static void drop_all(struct scanner *s, struct scanner_ask *ask)
{
    struct err err = ERR_INIT;

    err_set(&err, ERR_LOST, "the scanners are no longer asked: this program stops");
    for (struct scanner_ask *next; ask != NULL; ask = next) {
        next = ask->next;
        finish(s, ask, -1, &err, 0);
    }
    for (struct job *job = s->jobs, *next; job != NULL; job = next) {
        next = job->next;
        scanner_was_not_asked(&s->health[job->at], job->trial);
        job->err = err;
        end_job(job, -1);
    }
}

static void *run(void *of)
{
    struct scanner     *s = of;
    struct scanner_ask *ask, *next;
    int                 running, wait_ms;

    while (take_inbox(s, &ask)) {
        for (; ask != NULL; ask = next) {
            next = ask->next;
            begin_job(s, ask);
        }
        curl_multi_perform(s->multi, &running);
        finish_transfers(s);
        unsigned n = watch(s, &wait_ms);
        curl_multi_poll(s->multi, s->polled, n, wait_ms, NULL);
        go_on(s, n);
    }
    drop_all(s, ask);
    return NULL;
}

/* ---- in and out ---- */

static void free_all(struct scanner *s)
{
    curl_multi_cleanup(s->multi);
    curl_global_cleanup();
    for (size_t i = 0; i < s->nplaces; i++) {
        free(s->places[i].setting);
        free(s->places[i].url);
        free(s->places[i].socket);
    }
    pthread_mutex_destroy(&s->lock);
    free(s);
}

static int start(struct scanner *s, struct err *e)
{
    errno = pthread_create(&s->thread, NULL, run, s);
    return errno == 0 ? 0 : err_errno(e, "start the scanners' thread");
}

int scanner_new(const struct conf_list *urls, int64_t timeout_ms, struct scanner **out, struct err *e)
{
    struct scanner *s;

    *out = NULL;
    if (urls->n == 0 || (urls->n == 1 && span_is(span_of(urls->items[0]), "none")))
        return 0;
    if ((s = calloc(1, sizeof *s)) == NULL)
        panic("no memory for the scanners");
    pthread_mutex_init(&s->lock, NULL);
    s->inbox_end = &s->inbox;
    s->timeout_us = timeout_ms * 1000;
    if (gethostname(s->host, sizeof s->host - 1) < 0)
        s->host[0] = '\0';
    curl_global_init(CURL_GLOBAL_DEFAULT);
    if ((s->multi = curl_multi_init()) == NULL)
        panic("no memory for the scanners");
    curl_multi_setopt(s->multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, CONNECTIONS_MAX);
    if (read_settings(s, urls, e) < 0 || (s->well = s->nplaces, start(s, e) < 0)) {
        free_all(s);
        return -1;
    }
    *out = s;
    return 0;
}

void scanner_put(struct scanner *s, struct scanner_ask *ask)
{
    bool       full;
    struct err err = ERR_INIT;

    ask->next = NULL;
    pthread_mutex_lock(&s->lock);
    s->stats.asked++;
    full = s->under_way++ >= JOBS_MAX || s->stopping;
    if (!full) {
        *s->inbox_end = ask;
        s->inbox_end = &ask->next;
    }
    pthread_mutex_unlock(&s->lock);
    if (!full) {
        curl_multi_wakeup(s->multi);
        return;
    }
    err_set(&err, ERR_BUSY, "%d questions wait for the scanners already", JOBS_MAX);
    finish(s, ask, -1, &err, 0);
}

void scanner_free(struct scanner **s)
{
    if (*s == NULL)
        return;
    pthread_mutex_lock(&(*s)->lock);
    (*s)->stopping = true;
    pthread_mutex_unlock(&(*s)->lock);
    curl_multi_wakeup((*s)->multi);
    pthread_join((*s)->thread, NULL);
    free_all(*s);
    *s = NULL;
}

void scanner_stats(struct scanner *s, struct scanner_stats *out)
{
    pthread_mutex_lock(&s->lock);
    *out = s->stats;
    out->under_way = s->under_way;
    out->scanners = s->nplaces;
    out->well = s->well;
    pthread_mutex_unlock(&s->lock);
}
