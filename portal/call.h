/* portal/call.h - one call of the API: who calls, about what, and the reply that is being made.
 *
 * Handler   fills call->reply.body with JSON through json_write.h (or nothing: 204) and returns 0; or returns -1 with e, and the
 *           reply becomes a problem document (RFC 9457) with e's sentence, whose status follows e's code. Nothing that it did may
 *           stay when it fails: one transaction of the store, or undone.
 * Before it call.c has found out who calls, checked CSRF and the deed, found the object, and read query and body. */
#ifndef POSTERN_PORTAL_CALL_H
#define POSTERN_PORTAL_CALL_H

#include "base/json_write.h"
#include "permit.h"
#include "portal.h"
#include "store/message.h"

struct route;
#define CALL_PARAMS_MAX 4

struct call {
    struct portal              *portal;
    struct worker              *worker;
    struct store               *store;
    struct arena               *arena;
    const struct httpd_request *request;
    const struct route         *route;
    int64_t                     now_us;
    struct ip                   ip; /* of the client, behind trusted proxies */
    char                        ip_text[IP_TEXT];
    struct who                  who;
    struct actor                actor;                   /* for the store and its audit log */
    enum standing               standing;                /* in the object's scope */
    struct span                 params[CALL_PARAMS_MAX]; /* what stood for {…} in the path, in its order */
    struct store_scope          scope;                   /* that the object lives in */
    struct uuid                 object;                  /* its id, where it has one */
    struct store_key            delivery;                /* OBJECT_DELIVERY */
    bool                        held;                    /* … it was held: what a clerk may know of */
    const void                 *query, *body;            /* the structs of the route's tables */
    struct httpd_reply         *reply;
    const char                 *member;        /* of the query or body that e is about; or NULL */
    int64_t                     retry_after_s; /* with ERR_LIMIT of too many tries: 429 */
    bool                        changed;       /* with ERR_CONFLICT of what If-Match names: 412 (change.h) */
};

/* The whole request, from bytes to reply: what httpd calls. */
void call_serve(struct worker *w, const struct httpd_request *r, struct httpd_reply *out);

/* May the body of this one be as large as a message (ROUTE_LARGE)? */
bool call_body_is_large(enum httpd_method method, struct span path);

/* The object of the reply: json_add_… between these. */
struct buf *call_reply(struct call *c, int status); /* Content-Type: application/json */
/* A page of a list: {"items": […], "next": "cursor" or null}. */
struct buf *call_list_begin(struct call *c);
void        call_list_end(struct call *c, struct span next);
/* Another kind of body. `name` (may be NULL): as a download of that name, made safe. */
void call_reply_bytes(struct call *c, const char *type, struct span bytes, const char *name);
void call_reply_nothing(struct call *c); /* 204 */

/* Who did something, as people are told: of our programs what they are, without the name that all of them begin with. Under a brand that is
 * nobody's to read. */
struct span call_doer(bool program, struct span name);

/* -1 with ERR_LIMIT and Retry-After: 429. */
int call_slow_down(struct call *c, int64_t seconds, struct err *e, const char *sentence);
/* Is a fresh proof of who it is at hand? Else -1, ERR_DENIED, problem type "elevate". */
int call_elevated(struct call *c, struct err *e);
/* The problem document for an error, without a call: for what is refused before one begins. */
void problem_put(struct httpd_reply *out, int status, const struct err *e, const char *member);
int  problem_status(enum err_code code);

/* A keyset cursor: opaque text around bytes of ours, bound to nothing secret; what cannot be read is ERR_INVALID. */
struct span cursor_make(struct arena *a, struct span bytes);
int         cursor_read(struct arena *a, struct span text, struct span *bytes_out, struct err *e);

#endif
