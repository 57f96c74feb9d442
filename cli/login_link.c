/* cli/login_link.c - postern login-link: a link that signs one person in, once, for whoever has a shell on this machine. */
#include <stdio.h>

#include "cli.h"
#include "mail/address.h"
#include "store/audit.h"
#include "store/signin.h"

int cli_make_login_link(struct cli *c, struct span address, struct buf *out, struct err *e)
{
    struct store_signin     ask = {.known = true, .device = "the command line", .ip = "this machine"};
    struct store_signin_who who;
    char                    token[SIGNIN_TOKEN_TEXT + 1];

    if (store_signin_who(c->store, address, &who, e) < 0)
        return e->code == ERR_NOT_FOUND
                   ? err_set(e, ERR_NOT_FOUND,
                             "nobody can sign in as %.*s: it is neither an account nor a mailbox of "
                             "ours; \"postern account add\" makes one",
                             SPAN_ARG(address))
                   : -1;
    snprintf(ask.login, sizeof ask.login, "%.*s", SPAN_ARG(address));
    if (store_begin(c->store, e) < 0)
        return -1;
    if (store_signin_ask(c->store, &ask, SPAN_NONE, clock_wall_us(), token, e) < 0 ||
        store_audit_note(c->store, &c->actor, "session.link", "account", who.has_account ? &who.account.id : NULL,
                         STORE_SCOPE_GLOBAL, SPAN("{}"), e) < 0) {
        store_rollback(c->store);
        return -1;
    }
    buf_printf(out, "%s/signin#%s", c->settings->portal.public_url, token);
    return store_commit(c->store, e);
}

int cli_login_link(struct cli *c, int argc, char **argv, struct err *e)
{
    struct address a;
    struct buf     link;
    const char    *address;
    size_t         n;
    int            rc;

    if (args_read(argc, argv, NULL, 0, "ADDRESS", 1, 1, &address, &n, e) < 0 || cli_store(c, e) < 0)
        return -1;
    if (address_parse_path(span_of(address), &c->arena, &a, e) < 0)
        return err_wrap(e, "%s", address);
    buf_init(&link, 4096);
    rc = cli_make_login_link(c, a.full, &link, e);
    if (rc == 0) {
        printf("%.*s\n", SPAN_ARG(buf_span(&link)));
        fputs("Good for 10 minutes, and once.\n", stderr);
    }
    buf_fini(&link);
    return rc;
}
