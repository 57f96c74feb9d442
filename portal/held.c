/* portal/held.c - many held messages at once: put away, taken back, and jobs that go through a whole search. */
#include "mail.h"
#include "route.h"
#include "sentence.h"
#include "store/audit.h"
#include "store/job.h"

#define PAGE_DEFAULT 50
#define PAGE_MAX 200
#define COUNT_WAIT_US INT64_C(1000000)
#define JOBS_SHOWN 20

/* ---- one of them ---- */

static int put_away(struct call *c, struct err *e)
{
    if (mail_put_away(c, true, e) < 0)
        return -1;
    call_reply_nothing(c);
    return 0;
}

static int take_back(struct call *c, struct err *e)
{
    if (mail_put_away(c, false, e) < 0)
        return -1;
    call_reply_nothing(c);
    return 0;
}

/* ---- recently deleted ---- */

struct page_query {
    uint64_t    given;
    struct span after;
    int64_t     limit;
};
static const struct field page_fields[] = {
    {"after", FIELD_TEXT, 0, 0, 100, NULL, offsetof(struct page_query, after), "The `next` of the page before."},
    {"limit", FIELD_I64, 0, 1, PAGE_MAX, NULL, offsetof(struct page_query, limit), "50 unless said."},
    FIELDS_END,
};

static int list_deleted(struct call *c, const struct mail_scopes *where, struct err *e)
{
    const struct page_query *in = c->query;
    size_t                   limit = in->limit > 0 ? (size_t)in->limit : PAGE_DEFAULT;
    struct store_key         before;
    struct mail_page         page;
    struct buf              *b;

    if ((in->after.n > 0 && mail_cursor_read(c, in->after, &before, e) < 0) ||
        mail_deleted(c, where, in->after.n > 0 ? &before : NULL, limit, &page, e) < 0)
        return -1;
    b = call_list_begin(c);
    for (size_t i = 0; i < page.n; i++)
        mail_put_row(b, NULL, &page.rows[i]);
    call_list_end(c, page.more ? mail_cursor(c, &page.next) : SPAN_NONE);
    return 0;
}

/* ---- starting a job ---- */

static int my_scopes(struct call *c, struct mail_scopes *out, struct err *e)
{
    return mail_scopes_of_person(c, out, e);
}

static void one_scope(struct call *c, struct mail_scopes *out)
{
    *out = (struct mail_scopes){.n = 1};
    out->scopes[0] = c->scope;
}

struct job_body {
    uint64_t    given;
    int         what;
    struct span q;
};
static const struct field job_fields[] = {{"what", FIELD_WORD, FIELD_REQUIRED, 0, 0, job_what_words,
                                           offsetof(struct job_body, what), "What to do with each."},
                                          {"q", FIELD_TEXT, FIELD_REQUIRED, 1, MAIL_QUERY_MAX, NULL,
                                           offsetof(struct job_body, q),
                                           "Which: a search, as for the list. is:held are those in quarantine."},
                                          FIELDS_END};

/* How many there are, as far as a second goes: for a bar, and for who is about to take them all. */
struct counted {
    int64_t n;
    bool    more;
};
static int count_all(struct call *c, const struct mail_scopes *where, const struct mail_query *what,
                     struct counted *out, struct err *e)
{
    int64_t          from = clock_mono_us();
    struct mail_page page = {.more = true};
    struct store_key at;
    bool             begun = false;

    *out = (struct counted){0};
    while (page.more && clock_mono_us() - from < COUNT_WAIT_US) {
        if (mail_search(c, where, what, begun ? &at : NULL, STORE_LIST_MAX, &page, e) < 0)
            return -1;
        at = page.next;
        begun = true;
        if (what->held && mail_leave_out_deleted(c, &page, e) < 0)
            return -1;
        out->n += (int64_t)page.n;
    }
    out->more = page.more;
    return 0;
}

static int note(struct call *c, const struct store_job *j, struct store_scope scope, struct err *e)
{
    struct buf payload;
    int        rc;

    buf_init(&payload, 8 * MAIL_QUERY_MAX);
    json_open(&payload, NULL, '{');
    json_add_str(&payload, "what", job_what_words[j->what]);
    json_add_text(&payload, "q", j->q);
    json_add_i64(&payload, "total", j->total);
    json_close(&payload, '}');
    rc = store_audit_note(c->store, &c->actor, "job.start", "job", j->is_undo ? &j->undoes : NULL, scope,
                          buf_span(&payload), e);
    buf_fini(&payload);
    return rc;
}

/* What takes back what a job has done; -1: nothing does. */
static int way_back(const struct store_job *j)
{
    if (j->is_undo || j->state == JOB_WAITING || j->done == 0)
        return -1;
    switch (j->what) {
    case JOB_RELEASE: return j->waits ? JOB_UNRELEASE : -1;
    case JOB_SPAM:
    case JOB_HAM: return JOB_FORGET;
    case JOB_DELETE: return JOB_UNDELETE;
    default: return -1;
    }
}

static void put_job(struct buf *b, const char *key, const struct store_job *j)
{
    json_open(b, key, '{');
    json_add_uuid(b, "id", &j->id);
    json_add_str(b, "what", job_what_words[j->what]);
    json_add_str(b, "state", job_state_words[j->state]);
    json_add_i64(b, "total", j->total);
    json_add_i64(b, "done", j->done);
    json_add_i64(b, "failed", j->failed);
    json_add_i64(b, "gone", j->gone);
    json_add_text(b, "answer", j->answer.n > 0 ? j->answer : SPAN_NONE);
    sentence_put(b, "answer_said", j->answer);
    json_add_time(b, "created", j->created_us);
    json_add_time(b, "changed", j->changed_us);
    json_add_bool(b, "can_undo", way_back(j) >= 0);
    json_close(b, '}');
}

static int add_job(struct call *c, struct store_job *j, struct store_scope scope, struct err *e)
{
    j->owner = c->who.account.id;
    j->actor = span_of(c->actor.name);
    j->acting_for = c->who.staff ? c->who.acting_for : SPAN("");
    j->source = span_of(c->actor.source);
    j->until_us = c->now_us;
    if (note(c, j, scope, e) < 0 || store_job_add(c->store, j, c->now_us, &j->id, e) < 0 ||
        store_job_get(c->store, j->id, c->arena, j, e) < 0)
        return -1;
    put_job(call_reply(c, 202), NULL, j);
    return 0;
}

static int start(struct call *c, const struct mail_scopes *where, struct err *e)
{
    const struct job_body *in = c->body;
    struct store_job       j = {.what = (enum job_what)in->what, .q = in->q};
    struct mail_query      what;
    struct counted         all;

    if (c->who.kind != WHO_SESSION)
        return err_set(e, ERR_DENIED, "A person has to start this: an API key acts on single messages.");
    c->member = "q";
    if (mail_query_read(in->q, c->arena, &what, e) < 0)
        return -1;
    c->member = NULL;
    if (where->n == 0)
        return err_set(e, ERR_CONFLICT, "You have no mailbox here.");
    j.scopes = mail_scopes_text(where, c->arena);
    if (count_all(c, where, &what, &all, e) < 0)
        return -1;
    j.total = all.n;
    return add_job(c, &j, where->scopes[0], e);
}

static int deleted_mine(struct call *c, struct err *e)
{
    struct mail_scopes where;

    return my_scopes(c, &where, e) < 0 ? -1 : list_deleted(c, &where, e);
}

static int deleted_scope(struct call *c, struct err *e)
{
    struct mail_scopes where;

    one_scope(c, &where);
    return list_deleted(c, &where, e);
}

static int start_mine(struct call *c, struct err *e)
{
    struct mail_scopes where;

    return my_scopes(c, &where, e) < 0 ? -1 : start(c, &where, e);
}

static int start_scope(struct call *c, struct err *e)
{
    struct mail_scopes where;

    one_scope(c, &where);
    return start(c, &where, e);
}

/* ---- how many a search finds ---- */

struct count_query {
    uint64_t    given;
    struct span q;
};
static const struct field count_fields[] = {
    {"q", FIELD_TEXT, 0, 0, MAIL_QUERY_MAX, NULL, offsetof(struct count_query, q), "As for the list."}, FIELDS_END};

static int count(struct call *c, const struct mail_scopes *where, struct err *e)
{
    const struct count_query *in = c->query;
    struct mail_query         what;
    struct counted            all;
    struct buf               *b;

    c->member = "q";
    if (mail_query_read(in->q, c->arena, &what, e) < 0)
        return -1;
    c->member = NULL;
    if (count_all(c, where, &what, &all, e) < 0)
        return -1;
    b = call_reply(c, 200);
    json_open(b, NULL, '{');
    json_add_i64(b, "n", all.n);
    json_add_bool(b, "more", all.more);
    json_close(b, '}');
    return 0;
}

static int count_mine(struct call *c, struct err *e)
{
    struct mail_scopes where;

    return my_scopes(c, &where, e) < 0 ? -1 : count(c, &where, e);
}

static int count_scope(struct call *c, struct err *e)
{
    struct mail_scopes where;

    one_scope(c, &where);
    return count(c, &where, e);
}

/* ---- one's own jobs ---- */

static int my_job(struct call *c, struct store_job *out, struct err *e)
{
    struct uuid id;

    if (c->who.kind == WHO_SESSION && uuid_parse(c->params[0], &id)) {
        if (store_job_get(c->store, id, c->arena, out, e) == 0 && uuid_eq(&out->owner, &c->who.account.id))
            return 0;
        if (e->code != ERR_NONE && e->code != ERR_NOT_FOUND)
            return -1;
    }
    return err_set(e, ERR_NOT_FOUND, "There is no such job.");
}

static int get_job(struct call *c, struct err *e)
{
    struct store_job j;

    if (my_job(c, &j, e) < 0)
        return -1;
    put_job(call_reply(c, 200), NULL, &j);
    return 0;
}

static int put_one(void *ctx, const struct store_job *j)
{
    put_job(ctx, NULL, j);
    return 0;
}

static int list_jobs(struct call *c, struct err *e)
{
    struct buf *b = call_list_begin(c);

    if (c->who.kind == WHO_SESSION && store_job_list(c->store, c->who.account.id, JOBS_SHOWN, put_one, b, e) < 0)
        return -1;
    call_list_end(c, SPAN_NONE);
    return 0;
}

static int stop_job(struct call *c, struct err *e)
{
    struct store_job j;

    if (my_job(c, &j, e) < 0 || store_job_stop(c->store, j.id, c->now_us, e) < 0 ||
        store_job_get(c->store, j.id, c->arena, &j, e) < 0)
        return -1;
    put_job(call_reply(c, 200), NULL, &j);
    return 0;
}

static int undo_job(struct call *c, struct err *e)
{
    struct mail_scopes where;
    struct store_job   j, undo = {.is_undo = true, .q = SPAN(""), .scopes = SPAN("")};
    int                what;

    if (my_job(c, &j, e) < 0)
        return -1;
    if (j.state == JOB_WAITING)
        return err_set(e, ERR_CONFLICT, "It is still at work: stop it first.");
    if ((what = way_back(&j)) < 0)
        return err_set(e, ERR_CONFLICT,
                       j.what == JOB_RELEASE && j.done > 0 ? "All of it has been sent: there is nothing to take back."
                                                           : "This cannot be taken back.");
    undo.what = (enum job_what)what;
    undo.undoes = j.id;
    undo.total = j.done;
    if (mail_scopes_read(j.scopes, &where, e) < 0)
        return -1;
    return add_job(c, &undo, where.scopes[0], e);
}

static const struct route rows[] = {
    {HTTPD_POST, "/deliveries/{uid}/{n}/delete", DEED_ACT_ON_MAIL, OBJECT_DELIVERY, 0, put_away,
     .summary = "Puts a held message away; for 7 days it can be taken back."},
    {HTTPD_POST, "/deliveries/{uid}/{n}/undelete", DEED_ACT_ON_MAIL, OBJECT_DELIVERY, 0, take_back,
     .summary = "Takes a held message back that was put away."},
    {HTTPD_GET, "/me/deleted", DEED_SEE_MAIL, OBJECT_NONE, 0, deleted_mine, page_fields, NULL,
     sizeof(struct page_query), 0, "Held messages that were put away in the last 7 days.", "list:Delivery"},
    {HTTPD_GET, "/scopes/{scope}/deleted", DEED_SEE_MAIL, OBJECT_SCOPE, 0, deleted_scope, page_fields, NULL,
     sizeof(struct page_query), 0, "The same of a mailbox or a domain.", "list:Delivery"},
    {HTTPD_GET, "/me/mail/count", DEED_SEE_MAIL, OBJECT_NONE, 0, count_mine, count_fields, NULL,
     sizeof(struct count_query), 0, "How many deliveries a search finds in one's mailboxes, as far as a second goes.",
     "Count"},
    {HTTPD_GET, "/scopes/{scope}/mail/count", DEED_SEE_MAIL, OBJECT_SCOPE, 0, count_scope, count_fields, NULL,
     sizeof(struct count_query), 0, "The same of a mailbox or a domain.", "Count"},
    {HTTPD_POST, "/me/jobs", DEED_ACT_ON_MAIL, OBJECT_NONE, ROUTE_BEGINS, start_mine, NULL, job_fields, 0,
     sizeof(struct job_body), "Does something with all that a search finds in one's mailboxes, in the background.",
     "Job"},
    {HTTPD_POST, "/scopes/{scope}/jobs", DEED_ACT_ON_MAIL, OBJECT_SCOPE, ROUTE_BEGINS, start_scope, NULL, job_fields, 0,
     sizeof(struct job_body), "The same in a mailbox or a domain.", "Job"},
    {HTTPD_GET, "/jobs", DEED_SELF, OBJECT_NONE, 0, list_jobs, .summary = "One's own jobs, the newest first.",
     .reply = "list:Job"},
    {HTTPD_GET, "/jobs/{job}", DEED_SELF, OBJECT_NONE, 0, get_job, .summary = "How far one of them has got.",
     .reply = "Job"},
    {HTTPD_DELETE, "/jobs/{job}", DEED_SELF, OBJECT_NONE, 0, stop_job, .summary = "Stops it; what is done stays done.",
     .reply = "Job"},
    {HTTPD_POST, "/jobs/{job}/undo", DEED_SELF, OBJECT_NONE, ROUTE_BEGINS, undo_job,
     .summary = "Takes back what it has done, by another job; of releases, those that are not sent yet.",
     .reply = "Job"},
};

const struct route_family held_family = {
    "Mail", rows, COUNT(rows),
    "\"Count\":{\"type\":\"object\",\"properties\":{\"n\":{\"type\":\"integer\"},\"more\":{\"type\":\"boolean\","
    "\"description\":\"there are more than that\"}}},"
    "\"Job\":{\"type\":\"object\",\"properties\":{\"id\":{\"type\":\"string\"},\"what\":{\"type\":\"string\"},"
    "\"state\":{\"type\":\"string\",\"enum\":[\"waiting\",\"done\",\"stopped\",\"failed\"]},\"total\":{\"type\":"
    "\"integer\"},\"done\":{\"type\":\"integer\"},\"failed\":{\"type\":\"integer\"},\"gone\":{\"type\":\"integer\","
    "\"description\":\"had been sent, when it came to take it back\"},\"answer\":{\"type\":[\"string\","
    "\"null\"]},\"answer_said\":{\"$ref\":\"#/components/schemas/SaidOrNull\"},\"can_undo\":{\"type\":\"boolean\"},"
    "\"created\":{\"type\":\"string\"},\"changed\":{\"type\":\"string\"}}}"};
