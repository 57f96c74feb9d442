/* rulesd/scan_people.c - see scan_people.h. Addresses are read once; who they are is asked of the cache until it
 * knows all of them; then their scopes are held. */
#include "scan_people.h"

#define ASK_ROUNDS 3 /* an address that is still not there then is not to be had */

/* ---- reading the envelope ---- */

static void read_sender(struct scan *s)
{
    struct err e = ERR_INIT;

    if (s->req.from.p == NULL)
        return;
    s->has_from = address_parse_path(s->req.from, &s->arena, &s->from, &e) == 0;
    if (!s->has_from)
        s->from = (struct address){0};
}

static bool read_rcpts(struct scan *s)
{
    struct err e = ERR_INIT;
    size_t     n = s->req.nrcpt > 0 ? s->req.nrcpt : 1; /* without recipients: one that is nobody */

    if ((s->rcpts = arena_array(&s->arena, n, sizeof *s->rcpts)) == NULL)
        return false;
    s->nverdicts = n;
    for (size_t i = 0; i < s->req.nrcpt; i++) {
        struct scan_rcpt *r = &s->rcpts[i];

        r->sent = s->req.rcpt[i];
        if (address_parse_path(r->sent, &s->arena, &r->address, &e) < 0)
            r->address = (struct address){0};
    }
    return !s->arena.full;
}

/* ---- who they are, by the cache ---- */

/* What the cache does not know yet, to be asked for at once. */
struct missing {
    struct span *addresses;
    size_t       n;
};

/* -1: cannot be known now. */
static int find_audience(struct scan *s, struct span address, struct audience **held, struct missing *missing)
{
    int rc = *held != NULL ? 1 : cache_get(s->tools->cache, address, held, &s->err);

    if (rc == 0)
        missing->addresses[missing->n++] = address;
    return rc < 0 ? -1 : 0;
}

static int ask(struct scan *s, const struct missing *missing)
{
    if (s->asked++ >= ASK_ROUNDS)
        return err_set(&s->err, ERR_BUSY, "the rules of %zu addresses cannot be read", missing->n);
    cache_load(s->tools->cache, missing->addresses, missing->n, s->wake, s->wake_ctx);
    return 1;
}

/* 0: everybody is known; 1: asked, to be woken; -1. */
static int find_audiences(struct scan *s)
{
    struct missing missing = {arena_array(&s->arena, s->nverdicts + 1, sizeof *missing.addresses), 0};

    if (missing.addresses == NULL)
        return scan_full(s);
    if (s->has_from && s->from.full.n > 0 && find_audience(s, s->from.full, &s->sender, &missing) < 0)
        return -1;
    for (size_t i = 0; i < s->nverdicts; i++)
        if (find_audience(s, s->rcpts[i].address.full, &s->rcpts[i].audience, &missing) < 0)
            return -1;
    return missing.n > 0 ? ask(s, &missing) : 0;
}

/* ---- whose scopes hold ---- */

static void drop_scopes(struct scope *scopes[3])
{
    for (size_t i = 0; i < 3; i++)
        scope_drop(&scopes[i]);
}

static void drop_all_scopes(struct scan *s)
{
    for (size_t i = 0; s->rcpts != NULL && i < s->nverdicts; i++)
        drop_scopes(s->rcpts[i].scopes);
    drop_scopes(s->sender_scopes);
    scope_drop(&s->global);
}

static int hold_scopes(struct scan *s, const struct audience *a, struct scope *scopes[3])
{
    for (enum scope_kind kind = SCOPE_DOMAIN; kind <= SCOPE_MAILBOX; kind++)
        if (audience_scope(a, kind, &scopes[kind], &s->err) < 0)
            return -1;
    return 0;
}

static bool ours(const struct audience *a) { return a != NULL && audience_who(a)->ours; }

/* Whose scopes hold: the recipient's, or, for what leaves us, the sender's. */
static int find_scopes(struct scan *s)
{
    bool authenticated = s->req.user.n > 0, outbound = false;

    if (audience_scope(s->rcpts[0].audience, SCOPE_GLOBAL, &s->global, &s->err) < 0)
        return -1;
    for (size_t i = 0; i < s->nverdicts; i++) {
        struct scan_rcpt *r = &s->rcpts[i];

        if (s->req.nrcpt == 0)
            break;
        r->direction = origin_direction(authenticated, ours(s->sender), ours(r->audience));
        if (r->direction == DIRECTION_OUTBOUND)
            outbound = true;
        else if (hold_scopes(s, r->audience, r->scopes) < 0)
            return -1;
    }
    return outbound && ours(s->sender) ? hold_scopes(s, s->sender, s->sender_scopes) : 0;
}

/* A scope was thrown out between the look-up and now: everybody once more. */
static int ask_for_all(struct scan *s)
{
    struct missing all = {arena_array(&s->arena, s->nverdicts + 1, sizeof *all.addresses), 0};

    if (all.addresses == NULL)
        return scan_full(s);
    if (s->sender != NULL)
        all.addresses[all.n++] = s->from.full;
    for (size_t i = 0; i < s->nverdicts; i++)
        all.addresses[all.n++] = s->rcpts[i].address.full;
    drop_all_scopes(s);
    return ask(s, &all);
}

int scan_people_find(struct scan *s)
{
    int rc;

    if (s->rcpts == NULL) {
        read_sender(s);
        if (!read_rcpts(s))
            return scan_full(s);
    }
    if ((rc = find_audiences(s)) != 0)
        return rc;
    if (find_scopes(s) < 0)
        return s->err.code == ERR_BUSY ? ask_for_all(s) : -1;
    return 0;
}

void scan_people_drop(struct scan *s)
{
    drop_all_scopes(s);
    for (size_t i = 0; s->rcpts != NULL && i < s->nverdicts; i++)
        audience_drop(&s->rcpts[i].audience);
    audience_drop(&s->sender);
}

/* ---- asked about them ---- */

struct span scan_rcpt_sent(const struct scan *s, size_t i) { return s->rcpts[i].sent; }

enum direction scan_rcpt_direction(const struct scan *s, size_t i) { return s->rcpts[i].direction; }

const struct audience *scan_rcpt_audience(const struct scan *s, size_t i)
{
    return s->rcpts[i].direction == DIRECTION_OUTBOUND && ours(s->sender) ? s->sender : s->rcpts[i].audience;
}
