/* portal/permit.c - see permit.h. */
#include "permit.h"

#include "store/api_key.h"
#include "store/mailbox.h"

const char *const standing_words[] = {"nobody", "user", "clerk", "owner", "admin", NULL};

#define PERSON "This is for the person whose mailbox it is, and for the owners of the domain."
#define OWNERS "This is for the owners of the domain."
#define LINK "A link in a digest does not do this: please sign in."
#define OPERATOR "This is for the operator of the service."

/* clang-format off */
const struct deed_row deed_rows[DEEDS] = {
    [DEED_OPEN]           = {"open",           STANDING_NONE,  true,  true,  false, NULL,           ""},
    [DEED_SELF]           = {"self",           STANDING_USER,  true,  true,  false, NULL,           "This is for people who have signed in."},
    [DEED_SELF_SECRET]    = {"self.secret",    STANDING_USER,  true,  false, false, NULL,           "Staff cannot touch a person's credentials."},
    [DEED_EXPORT_SELF]    = {"self.export",    STANDING_USER,  true,  false, false, NULL,           "Staff cannot export."},
    [DEED_SUBSCRIBE]      = {"digests",        STANDING_USER,  true,  false, false, NULL,           "Staff can neither see nor change a person's digests."},
    [DEED_SEE_MAIL]       = {"mail.see",       STANDING_USER,  true,  true,  true,  "mail:read",    PERSON},
    [DEED_OPEN_BODY]      = {"mail.open",      STANDING_USER,  true,  false, false, NULL,           "Staff cannot open mail."},
    [DEED_ACT_ON_MAIL]    = {"mail.act",       STANDING_USER,  true,  true,  true,  "mail:act",     PERSON},
    [DEED_DECIDE_RELEASE] = {"mail.decide",    STANDING_OWNER, false, true,  false, "mail:act",     "An owner of the domain decides about this one; you can ask for it."},
    [DEED_RELEASE_VIRUS]  = {"mail.virus",     STANDING_ADMIN, false, false, false, NULL,           "Only the operator can release a message with a virus."},
    [DEED_EXPORT]         = {"mail.export",    STANDING_USER,  false, false, false, "mail:read",    "Staff cannot export."},
    [DEED_SEE_RULES]      = {"rules.see",      STANDING_USER,  false, true,  false, "rules:read",   PERSON},
    [DEED_WRITE_RULES]    = {"rules.write",    STANDING_USER,  false, true,  true,  "rules:write",  PERSON},
    [DEED_EXPORT_RULES]   = {"rules.export",   STANDING_USER,  false, false, false, "rules:read",   "Staff cannot export."},
    [DEED_SEE_DOMAIN]     = {"domain.see",     STANDING_OWNER, false, true,  false, "domain:read",  OWNERS},
    [DEED_WRITE_POLICIES] = {"policies.write", STANDING_OWNER, false, true,  false, "rules:write",  OWNERS},
    [DEED_WRITE_PEOPLE]   = {"people.write",   STANDING_OWNER, false, true,  false, "domain:write", OWNERS},
    [DEED_WRITE_DOMAIN]   = {"domain.write",   STANDING_OWNER, false, true,  false, "domain:write", OWNERS},
    [DEED_SEE_AUDIT]      = {"audit.see",      STANDING_USER,  false, true,  false, "audit:read",   PERSON},
    [DEED_EXPORT_AUDIT]   = {"audit.export",   STANDING_USER,  false, false, false, "audit:read",   "Staff cannot export."},
    [DEED_HAND_OFF]       = {"hand-off",       STANDING_OWNER, false, false, false, "sso",          "Only an API key with the scope sso makes hand-offs."},
    [DEED_OPERATE]        = {"operate",        STANDING_ADMIN, false, false, false, "operate",      OPERATOR},
};
/* clang-format on */

static enum standing of_role(enum role r)
{
    static const enum standing is[] = {[ROLE_USER] = STANDING_NONE,
                                       [ROLE_CLERK] = STANDING_CLERK,
                                       [ROLE_OWNER] = STANDING_OWNER,
                                       [ROLE_ADMIN] = STANDING_ADMIN};
    return is[r];
}

/* A key stands where it is bound, and never higher than its role; a key of role user stands nowhere. */
static enum standing of_key(const struct who *w, const struct uuid *domain)
{
    bool here = !w->key_bound;

    for (size_t i = 0; domain != NULL && i < w->nkey_domains; i++)
        here |= uuid_eq(&w->key_domains[i], domain);
    return here ? of_role(w->key_role) : STANDING_NONE;
}

static int in_domain(struct store *s, const struct who *w, const struct uuid *domain, enum standing *out, struct err *e)
{
    enum role role;

    if (w->kind == WHO_KEY) {
        *out = of_key(w, domain);
        return 0;
    }
    if (store_role_of(s, w->account.id, *domain, &role, e) < 0)
        return -1;
    *out = of_role(role);
    return 0;
}

static int in_mailbox(struct store *s, const struct who *w, const struct uuid *mailbox, enum standing *out,
                      struct err *e)
{
    struct store_mailbox m;

    if (store_mailbox_get(s, *mailbox, &m, e) < 0) {
        if (e->code != ERR_NOT_FOUND)
            return -1;
        *e = ERR_INIT;
        *out = w->kind == WHO_SESSION && w->account.admin ? STANDING_ADMIN : STANDING_NONE;
        return 0;
    }
    if (in_domain(s, w, &m.domain, out, e) < 0)
        return -1;
    if (*out <= STANDING_CLERK && w->kind == WHO_SESSION && m.has_account && uuid_eq(&m.account, &w->account.id))
        *out = STANDING_USER; /* a clerk too is the person there, and that is more */
    return 0;
}

int standing_in(struct store *s, const struct who *w, const struct store_scope *scope, enum standing *out,
                struct err *e)
{
    *out = STANDING_NONE;
    if (w->kind == WHO_NOBODY)
        return 0;
    if (w->kind == WHO_LINK) {
        bool here = scope->kind == w->link_scope.kind && uuid_eq(&scope->id, &w->link_scope.id);

        *out = here ? STANDING_USER : STANDING_NONE;
        return 0;
    }
    if (w->kind == WHO_SESSION && w->account.admin) {
        *out = STANDING_ADMIN;
        return 0;
    }
    switch (scope->kind) {
    case SCOPE_GLOBAL: *out = w->kind == WHO_KEY && !w->key_bound ? of_key(w, NULL) : STANDING_NONE; return 0;
    case SCOPE_DOMAIN: return in_domain(s, w, &scope->id, out, e);
    case SCOPE_MAILBOX: return in_mailbox(s, w, &scope->id, out, e);
    }
    return 0;
}

/* What holds for all of a domain is for its owners, also where the delivery is nobody's in particular. */
static int refuse_link(enum deed deed, const struct deed_row *row, const struct store_scope *scope, struct err *e)
{
    if (row->least > STANDING_USER)
        return err_set(e, ERR_DENIED, "%s", row->refusal);
    if (deed == DEED_WRITE_RULES && scope != NULL && scope->kind != SCOPE_MAILBOX)
        return err_set(e, ERR_DENIED, "%s", OWNERS);
    return row->link ? 0 : err_set(e, ERR_DENIED, "%s", LINK);
}

static int refuse_by_kind(const struct who *w, const struct deed_row *row, struct err *e)
{
    if (w->kind == WHO_KEY && row->key_scope == NULL)
        return err_set(e, ERR_DENIED, "No API key can do this: a person has to.");
    if (w->kind == WHO_KEY && !api_key_has_scope(w->key_scopes, span_of(row->key_scope)))
        return err_set(e, ERR_DENIED, "This API key lacks the scope %s.", row->key_scope);
    if (w->kind == WHO_SESSION && w->staff && !row->staff)
        return err_set(e, ERR_DENIED, "%s", row->refusal);
    return 0;
}

int permit(struct store *s, const struct who *w, enum deed deed, const struct store_scope *scope, const char *what,
           struct err *e)
{
    const struct deed_row *row = &deed_rows[deed];
    enum standing          here;

    if (deed == DEED_OPEN)
        return 0;
    if (refuse_by_kind(w, row, e) < 0 || (w->kind == WHO_LINK && refuse_link(deed, row, scope, e) < 0))
        return -1;
    if (scope == NULL)
        return w->kind != WHO_NOBODY ? 0 : err_set(e, ERR_DENIED, "%s", row->refusal);
    if (standing_in(s, w, scope, &here, e) < 0)
        return -1;
    if (here == STANDING_NONE)
        return err_set(e, ERR_NOT_FOUND, "There is no such %s.", what);
    if (here == STANDING_CLERK && row->least <= here && !row->clerk)
        return err_set(e, ERR_DENIED, "%s", PERSON);
    return here >= row->least ? 0 : err_set(e, ERR_DENIED, "%s", row->refusal);
}
