/* portal/change.c - see change.h. */
#include "change.h"

#include <stdio.h>

#include "base/fingerprint.h"
#include "base/secret.h"
#include "route.h"
#include "store/change.h"

#define TAG_SIZE (VERSION_TEXT + 3)

struct version version_of(struct span written)
{
    uint8_t        bytes[FINGERPRINT_BYTES];
    struct version v = {.text = ""};

    fingerprint(written, bytes);
    secret_text(span_make((const char *)bytes, sizeof bytes), v.text);
    return v;
}

static void put_tag(const struct version *v, char out[TAG_SIZE]) { snprintf(out, TAG_SIZE, "\"%s\"", v->text); }

void version_tag(struct call *c, const struct version *v)
{
    char tag[TAG_SIZE];

    if (c->route->method != HTTPD_GET)
        return;
    put_tag(v, tag);
    httpd_set(c->reply, "ETag", span_of(tag));
}

static int check_version(struct call *c, version_fn version, struct err *e)
{
    struct span    named = httpd_list(c->request, "If-Match");
    struct version now;
    char           tag[TAG_SIZE];

    if (named.p == NULL || version == NULL)
        return 0;
    if (version(c, &now, e) < 0)
        return -1;
    put_tag(&now, tag);
    if (httpd_etag_named(named, span_of(tag)))
        return 0;
    c->changed = true;
    return err_set(e, ERR_CONFLICT,
                   "This was changed meanwhile, by somebody else or in another window. Nothing was saved.");
}

int change_make(struct call *c, version_fn version, change_fn run, void *ctx, struct err *e)
{
    if (store_begin(c->store, e) < 0)
        return -1;
    if (store_change_hold(c->store, e) < 0 || check_version(c, version, e) < 0 || run(c, ctx, e) < 0) {
        store_rollback(c->store);
        return -1;
    }
    return store_commit(c->store, e);
}
