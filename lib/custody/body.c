/* lib/custody/body.c - see body.h. */
#include "custody/body.h"

#include "base/utf8.h"
#include "store/account.h"
#include "store/audit.h"
#include "store/log_row.h"
#include "store/mailbox.h"

int body_record(struct vault *v, const struct uuid *uid, struct arena *a, struct store_message *out, struct err *e)
{
    struct buf  head;
    struct span kept;
    int         rc;

    buf_init(&head, VAULT_HEAD_MAX);
    rc = vault_head(v, uid, &head, NULL, e);
    if (rc == 0) {
        kept = arena_dup(a, buf_span(&head));
        rc = kept.p != NULL ? store_message_read_json(kept, a, out, e)
                            : err_set(e, ERR_LIMIT, "the record of a held message exceeds the memory for it");
    }
    buf_fini(&head);
    return rc;
}

const struct store_delivery *body_delivery(const struct store_message *m, int64_t n, struct err *e)
{
    if (n >= 1 && (uint64_t)n <= m->ndeliveries)
        return &m->deliveries[n - 1];
    err_set(e, ERR_NOT_FOUND, "that message has %zu recipients; there is no number %lld", m->ndeliveries, (long long)n);
    return NULL;
}

struct store_scope body_scope(const struct store_delivery *d)
{
    return d->has_mailbox  ? store_scope_mailbox(d->mailbox)
           : d->has_domain ? store_scope_domain(d->domain)
                           : STORE_SCOPE_GLOBAL;
}

/* ---- who may ---- */

static size_t count_ink(const char *text)
{
    size_t n = 0;

    for (; text != NULL && *text != '\0'; text++)
        n += *text != ' ' && *text != '\t';
    return n;
}

static int check_reason(const char *reason, struct err *e)
{
    if (count_ink(reason) < BODY_REASON_MIN)
        return err_set(e, ERR_DENIED,
                       "other people's mail is opened for a reason, which they can read; give one of %d characters or "
                       "more",
                       BODY_REASON_MIN);
    if (strlen(reason) > BODY_REASON_MAX)
        return err_set(e, ERR_INVALID, "a reason has at most %d bytes", BODY_REASON_MAX);
    return 0;
}

/* 1 it is theirs, 0 not, -1. A mailbox that is gone is nobody's. */
static int owns_mailbox(struct store *s, const struct actor *by, const struct store_delivery *d, struct err *e)
{
    struct store_mailbox m;

    if (!d->has_mailbox)
        return 0;
    if (store_mailbox_get(s, d->mailbox, &m, e) == 0)
        return m.has_account && uuid_eq(&m.account, &by->id);
    return e->code == ERR_NOT_FOUND ? 0 : -1;
}

/* 1 they keep its domain, 0 not, -1. What was delivered is the recipient's alone. */
static int keeps_domain(struct store *s, const struct actor *by, const struct store_delivery *d, struct err *e)
{
    enum role role = ROLE_USER;

    if (!d->has_domain || !delivery_is_held(d->verdict, STATE_UNKNOWN))
        return 0;
    if (store_role_of(s, by->id, d->domain, &role, e) == 0)
        return role == ROLE_CLERK || role == ROLE_OWNER;
    return e->code == ERR_NOT_FOUND ? 0 : -1;
}

static int decide(struct store *s, const struct actor *by, const struct store_delivery *d, const char *reason,
                  struct err *e)
{
    int rc = 0;

    if (by->kind == ACTOR_ACCOUNT && ((rc = owns_mailbox(s, by, d, e)) != 0 || (rc = keeps_domain(s, by, d, e)) != 0))
        return rc < 0 ? -1 : 0;
    if (by->kind == ACTOR_OPERATOR || (by->kind == ACTOR_ACCOUNT && by->admin))
        return check_reason(reason, e);
    return err_set(e, ERR_DENIED, "%s may not open this message", by->name);
}

static int write_down(struct store *s, const struct actor *by, const struct uuid *uid, int64_t n,
                      const struct store_delivery *d, const char *reason, struct err *e)
{
    struct buf b;
    int        rc;

    buf_init(&b, 16 << 10);
    buf_printf(&b, "{\"n\":%lld,\"recipient\":", (long long)n);
    json_put_string(&b, d->recipient);
    buf_puts(&b, ",\"reason\":");
    json_put_string(&b, span_of(reason != NULL ? reason : ""));
    buf_putc(&b, '}');
    rc = b.failed ? err_set(e, ERR_LIMIT, "the recipient's address is too long for the audit log")
                  : store_audit_note(s, by, "body.open", "message", uid, body_scope(d), buf_span(&b), e);
    buf_fini(&b);
    return rc;
}

int body_open(struct store *s, struct vault *v, const struct actor *by, const struct uuid *uid, int64_t n,
              const char *reason, struct buf *message, struct err *e)
{
    const struct store_delivery *d;
    struct store_message         m = {.ndeliveries = 0};
    struct arena                 a;
    int                          rc;

    arena_init(&a, 4 * VAULT_HEAD_MAX);
    rc = body_record(v, uid, &a, &m, e);
    if (rc == 0 && (d = body_delivery(&m, n, e)) == NULL)
        rc = -1;
    if (rc == 0 && (rc = decide(s, by, d, reason, e)) == 0)
        rc = write_down(s, by, uid, n, d, reason, e);
    arena_fini(&a);
    return rc < 0 ? -1 : vault_get(v, uid, NULL, message, e);
}
