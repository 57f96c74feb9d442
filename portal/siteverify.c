/* portal/siteverify.c - see siteverify.h. */
#include "siteverify.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/json_read.h"
#include "base/log.h"
#include "net/http_client.h"

#define SECRET_MAX ((size_t)4096)

/* Owns secret; the rest is of the settings. */
struct siteverify {
    const char  *verify;
    char         origin[300];
    char        *secret;
    atomic_llong away_until_us; /* by the monotonic clock */
};

/* ---- from the settings ---- */

/* scheme://host[:port] of the script. What stands there goes into a policy, so nothing but an origin may. */
static int read_origin(struct siteverify *v, const char *script, struct err *e)
{
    struct span url = span_of(script), host = span_skip(url, span_find(url, SPAN("://")) + 3);

    host = span_head(host, span_chr(host, '/'));
    for (size_t i = 0; i < host.n; i++)
        if (strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-:[]", host.p[i]) == NULL)
            host.n = 0;
    if ((!span_starts(url, SPAN("https://")) && !span_starts(url, SPAN("http://"))) || host.n == 0 ||
        (size_t)(host.p + host.n - url.p) >= sizeof v->origin)
        return err_set(e, ERR_INVALID, "[portal] challenge_script is the address of a script, not \"%s\"", script);
    snprintf(v->origin, sizeof v->origin, "%.*s", (int)(host.p + host.n - url.p), url.p);
    return 0;
}

static int read_secret(struct siteverify *v, const char *path, struct err *e)
{
    struct stat st;
    struct buf  text;
    int         rc = 0;

    if (path[0] == '\0')
        return err_set(e, ERR_INVALID, "[portal] challenge_site_key needs challenge_secret, the file with the secret");
    if (stat(path, &st) < 0)
        return err_errno(e, "read the secret in %s ([portal] challenge_secret)", path);
    if ((st.st_mode & 0037) != 0)
        return err_set(e, ERR_INVALID, "the secret in %s is not safe with mode %04o; chmod 0400 it", path,
                       (unsigned)(st.st_mode & 07777));
    buf_init(&text, SECRET_MAX);
    rc = fd_read_file(path, SECRET_MAX - 1, &text, e);
    if (rc == 0 && span_trim(buf_span(&text)).n == 0)
        rc = err_set(e, ERR_INVALID, "there is no secret in %s ([portal] challenge_secret)", path);
    if (rc == 0)
        v->secret = span_strdup(span_trim(buf_span(&text)));
    explicit_bzero(text.p, text.n);
    buf_fini(&text);
    return rc;
}

int siteverify_open(const struct settings *s, struct siteverify **out, struct err *e)
{
    struct siteverify *v;

    *out = NULL;
    if (s->portal.challenge_site_key[0] == '\0')
        return 0;
    if ((v = calloc(1, sizeof *v)) == NULL)
        panic("out of memory");
    v->verify = s->portal.challenge_verify;
    if (read_origin(v, s->portal.challenge_script, e) < 0 || read_secret(v, s->portal.challenge_secret, e) < 0) {
        siteverify_close(&v);
        return -1;
    }
    *out = v;
    return 0;
}

void siteverify_close(struct siteverify **vp)
{
    struct siteverify *v = *vp;

    *vp = NULL;
    if (v == NULL)
        return;
    if (v->secret != NULL)
        explicit_bzero(v->secret, strlen(v->secret));
    free(v->secret);
    free(v);
}

const char *siteverify_origin(const struct siteverify *v) { return v->origin; }

/* ---- an answer ---- */

/* Who does not know us, or is broken, cannot say what somebody else is. Everything else that it finds wrong is the token's fault. */
static bool is_no_fault_of_the_token(struct span code)
{
    static const char *const ours[] = {"missing-input-secret", "invalid-input-secret", "bad-request",
                                       "internal-error",       "invalid-sitekey",      "sitekey-secret-mismatch"};

    for (size_t i = 0; i < COUNT(ours); i++)
        if (span_is(code, ours[i]))
            return true;
    return false;
}

static int read_codes(struct json_read *r, bool *fault, struct err *e)
{
    struct json_value v;
    int               rc;

    while ((rc = json_item(r, e)) > 0) {
        if (json_value(r, &v, e) < 0)
            return -1;
        *fault |= v.type == JSON_STRING && is_no_fault_of_the_token(v.text);
        if (json_over(r, &v, e) < 0)
            return -1;
    }
    return rc;
}

static int read_answer(struct json_read *r, bool *told, bool *success, bool *fault, struct err *e)
{
    struct json_value key, v;
    int               rc;

    if (json_value(r, &v, e) < 0 || v.type != JSON_OBJECT)
        return -1;
    while ((rc = json_member(r, &key, e)) > 0) {
        if (json_value(r, &v, e) < 0)
            return -1;
        if (span_is(key.text, "success") && v.type == JSON_BOOL) {
            *told = true;
            *success = v.yes;
        } else if (span_is(key.text, "error-codes") && v.type == JSON_ARRAY) {
            if (read_codes(r, fault, e) < 0)
                return -1;
        } else if (json_over(r, &v, e) < 0) {
            return -1;
        }
    }
    return rc < 0 ? -1 : json_end(r, e);
}

enum siteverify_says siteverify_read(struct span answer, struct arena *a)
{
    struct json_read r = {.in = answer, .arena = a};
    struct err       e = ERR_INIT;
    bool             told = false, success = false, fault = false;

    if (read_answer(&r, &told, &success, &fault, &e) < 0 || !told || (!success && fault))
        return SITEVERIFY_AWAY;
    return success ? SITEVERIFY_YES : SITEVERIFY_NO;
}

/* ---- asking ---- */

bool siteverify_is_away(const struct siteverify *v) { return clock_mono_us() < atomic_load(&v->away_until_us); }

static void leave_alone(struct siteverify *v, const char *why)
{
    struct log_line l;

    atomic_store(&v->away_until_us, clock_mono_us() + SITEVERIFY_AWAY_US);
    log_begin(&l, LOG_LEVEL_WARNING, "the challenge service is away");
    log_str(&l, "at", v->verify);
    log_str(&l, "why", why);
    log_end(&l);
}

enum siteverify_says siteverify_ask(struct siteverify *v, struct span token, const char *ip, struct arena *a)
{
    struct http_question q = {.url = v->verify, .timeout_ms = SITEVERIFY_MS};
    enum siteverify_says says = SITEVERIFY_AWAY;
    struct buf           form, answer;
    struct err           e = ERR_INIT;
    char                 why[100] = "";
    int                  status = 0;

    buf_init(&form, 16 << 10);
    buf_init(&answer, SITEVERIFY_ANSWER_MAX);
    http_form_add(&form, "secret", span_of(v->secret));
    http_form_add(&form, "response", token);
    http_form_add(&form, "remoteip", span_of(ip));
    q.form = buf_span(&form);
    if (http_client_ask(&q, &status, &answer, &e) == 0) {
        says = siteverify_read(buf_span(&answer), a);
        snprintf(why, sizeof why, "its answer (%d) is none, or does not know our secret", status);
    }
    if (says == SITEVERIFY_AWAY)
        leave_alone(v, e.code != ERR_NONE ? e.text : why);
    explicit_bzero(form.p, form.n);
    buf_fini(&form);
    buf_fini(&answer);
    return says;
}
