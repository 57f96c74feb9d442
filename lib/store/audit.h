/* lib/store/audit.h - who did what, when, from where, and that nobody has changed the story since.
 *
 * Every mutation in lib/store writes its row in its own transaction. Each node has a chain: a row's hash covers
 * the hash before it, the row's fields and the SHA-256 of its payload (JSON: before, after). The payload itself
 * may be erased (a person's right); the hash then still proves the rest. */
#ifndef POSTERN_STORE_AUDIT_H
#define POSTERN_STORE_AUDIT_H

#include "store/store.h"

struct store_audit_row {
    struct uuid        node;
    int64_t            seq, at_us; /* seq counts from 1 on each node */
    enum actor_kind    actor_kind;
    struct uuid        actor;
    struct span        actor_name, acting_for, source;
    struct span        action, object_kind; /* "rule.add", "rule" */
    bool               has_object;
    struct uuid        object;
    struct store_scope scope;   /* whom it concerns */
    struct span        payload; /* {NULL, 0} when erased */
    uint8_t            payload_sha256[32], previous[32], hash[32];
};
typedef int (*store_audit_fn)(void *ctx, const struct store_audit_row *r);

/* For what is not a row of ours: "body.open", "export.start". payload is JSON text. Joins an open transaction. */
int store_audit_note(struct store *s, const struct actor *by, const char *action, const char *object_kind,
                     const struct uuid *object, struct store_scope scope, struct span payload, struct err *e);
/* The last row of this node: for the line to syslog. seq 0: none. */
int store_audit_head(struct store *s, int64_t *seq_out, uint8_t hash_out[32], struct err *e);
/* Newest first. before_us/before: where the last page ended; INT64_MAX and NULL for the first. scope NULL: all. */
int store_audit_list(struct store *s, const struct store_scope *scope, int64_t before_us, size_t limit,
                     store_audit_fn fn, void *ctx, struct err *e);

/* What somebody looks for. Of `where` and `of`:
 *   AUDIT_ALL      everything
 *   AUDIT_SCOPE    what concerns `scope`: a mailbox; a domain with its mailboxes; global is everything
 *   AUDIT_PERSON   what concerns the account `of`: its mailboxes, itself, and all that it did
 *   AUDIT_LOOKED   who else opened or let go of mail in the mailboxes of the account `of` */
enum audit_where { AUDIT_ALL, AUDIT_SCOPE, AUDIT_PERSON, AUDIT_LOOKED };
struct store_audit_query {
    enum audit_where   where;
    struct store_scope scope;
    struct uuid        of;
    struct span        actor;              /* part of the name, in lower case; empty: any */
    struct span        action;             /* "rule.add", or "rule" for all of them; empty: any */
    int64_t            since_us, until_us; /* 0: from the start, to the end */
    /* Where the page before ended; before_us 0: the first. */
    int64_t     before_us, before_seq;
    struct uuid before_node;
    size_t      limit;
};
/* Newest first. */
int store_audit_find(struct store *s, const struct store_audit_query *q, store_audit_fn fn, void *ctx, struct err *e);

struct store_audit_verified {
    int64_t nodes, rows, erased; /* looked at */
    char    broken[160];         /* "" or the first fault: node, number and what does not fit */
};
/* Walks every chain. 0 also when one is broken: see out->broken. */
int store_audit_verify(struct store *s, struct store_audit_verified *out, struct err *e);
/* Forgets the payload of one row; the chain stays provable. */
int store_audit_erase(struct store *s, const struct actor *by, struct uuid node, int64_t seq, struct err *e);

#endif
