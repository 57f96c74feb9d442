/* portal/route.h - every call there is, as rows: the dispatcher, the permission check and openapi.json read them, and a test walks each.
 *
 * Paths     below /api/v1; {name} stands for one segment. The first parameters name the object:
 *             OBJECT_MAILBOX {mailbox}, OBJECT_DOMAIN {domain}: an id, or the address or name
 *             OBJECT_DELIVERY {uid}/{n} · OBJECT_RULE {rule} · OBJECT_POLICY {policy} · OBJECT_LEARNED {learned} ·
 *             OBJECT_ACCOUNT {account}: an id or login, for those who administer it; it lives where the caller stands lowest among the
 *             person's mailboxes and domains. One's own is DEED_SELF, without an object
 *             OBJECT_SENDER {login}: who sends by that name; it lives in the domain behind its @
 *             OBJECT_SCOPE {scope}: "global", "domain:NAME", "mailbox:ADDRESS"
 * Scope     a rule's or delivery's object lives in its mailbox, else its domain, else it is global. */
#ifndef POSTERN_PORTAL_ROUTE_H
#define POSTERN_PORTAL_ROUTE_H

#include "call.h"
#include "fields.h"

enum object {
    OBJECT_NONE, /* nothing to stand in: DEED_OPEN, DEED_SELF, or what the handler narrows to what the caller may see */
    OBJECT_GLOBAL, /* the installation */
    OBJECT_SCOPE,
    OBJECT_DOMAIN,
    OBJECT_MAILBOX,
    OBJECT_ACCOUNT,
    OBJECT_DELIVERY,
    OBJECT_RULE,
    OBJECT_POLICY,
    OBJECT_LEARNED,
    OBJECT_SENDER,
    OBJECTS
};

#define ROUTE_FORM 1u        /* an urlencoded body is taken too */
#define ROUTE_RAW 2u         /* the body is bytes, not JSON */
#define ROUTE_LARGE 4u       /* up to [rulesd] max_message, else 1 MiB */
#define ROUTE_ELEVATED 8u    /* asks for a fresh proof of who it is */
#define ROUTE_NO_REPLAY 16u  /* a secret or a stream comes back: no Idempotency-Key */
#define ROUTE_CROSS_SITE 32u /* a form of another site may call it: it must do nothing by itself (handoff.h) */
#define ROUTE_VERSION 64u    /* shows a version, or takes If-Match: by change_make() (change.h) */
#define ROUTE_ATOMIC 128u    /* reads what it writes back changed: the whole of run() is one change_make() */
#define ROUTE_MAKES 256u     /* answers 201 */
#define ROUTE_BEGINS 512u    /* answers 202: what it began goes on */
#define ROUTE_LEADS 1024u    /* answers 303: goes to another page */

struct route {
    enum httpd_method method;
    const char       *path;
    enum deed         deed;
    enum object       object;
    unsigned          flags;
    int (*run)(struct call *c, struct err *e);
    const struct field *query, *body; /* tables; NULL: none */
    size_t              query_size, body_size;
    const char         *summary; /* a sentence, for openapi.json */
    /* A schema of openapi's components, or NULL for 204; "list:NAME" for a page of them; or a media type. */
    const char *reply;
};

/* Every file of calls has one of these. */
struct route_family {
    const char         *name; /* the tag in openapi.json */
    const struct route *rows;
    size_t              n;
    const char         *schemas; /* JSON members for components.schemas, without the outer braces; or NULL */
};
extern const struct route_family *const route_families[]; /* NULL at the end */

/* The row for a path below /api/v1, with what stood for its parameters. *allowed_out: methods that the path knows, as bits. */
const struct route *route_find(enum httpd_method method, struct span path, struct span params_out[CALL_PARAMS_MAX],
                               unsigned *allowed_out);
/* Finds the object of a route: scope, object, delivery of the call. ERR_NOT_FOUND. */
int route_object(struct call *c, struct err *e);
/* The scope that call->delivery lives in, and call->held. ERR_NOT_FOUND. */
int route_delivery(struct call *c, struct err *e);
/* Fills call->standing. 0, or as permit(); of a delivery that was never held a clerk is told that there is none. */
int route_permit(struct call *c, enum deed deed, const char *what, bool is_delivery, struct err *e);
/* A domain that is no object of the route: its id, from id or name. ERR_NOT_FOUND. */
int route_domain(struct call *c, struct span text, struct uuid *out, struct err *e);
/* openapi.json, OpenAPI 3.1. session: what the cookie is called. */
void openapi_put(struct buf *b, const char *title, const char *session);

#endif
