/* cli/key.c - postern key: what seals and opens held mail (docs/custody.md). */
#include <stdio.h>

#include "cli.h"
#include "store/audit.h"
#include "vault/keyring.h"

static int print_key(void *ctx, const struct key_info *key)
{
    char at[28];

    (void)ctx;
    clock_format_utc(key->created_us, at);
    printf("%-*s  %.19sZ  %-7s  %s\n", KEY_ID_MAX, key->id, at, key->current ? "current" : "",
           key->can_open ? "seals and opens" : "seals");
    return 0;
}

static int key_list(struct cli *c, int argc, char **argv, struct err *e)
{
    struct keyring *ring;

    if (args_read(argc, argv, NULL, 0, "", 0, 0, NULL, NULL, e) < 0 ||
        keyring_open(c->settings->quarantine.keys, &ring, e) < 0)
        return -1;
    keyring_each(ring, print_key, NULL);
    keyring_close(&ring);
    return 0;
}

/* The key is new whether or not the audit log can be written: so that is opened first. */
static int key_rotate(struct cli *c, int argc, char **argv, struct err *e)
{
    char        id[KEY_ID_MAX + 1];
    struct span payload;

    if (args_read(argc, argv, NULL, 0, "", 0, 0, NULL, NULL, e) < 0 || cli_store(c, e) < 0 ||
        keyring_rotate(c->settings->quarantine.keys, id, e) < 0)
        return -1;
    printf("Key %s seals held mail from the next start of rulesd on; keep the others for what they sealed.\n", id);
    payload = arena_printf(&c->arena, "{\"after\":{\"id\":\"%s\"}}", id);
    return store_audit_note(c->store, &c->actor, "key.rotate", "key", NULL, STORE_SCOPE_GLOBAL, payload, e);
}

int cli_key(struct cli *c, int argc, char **argv, struct err *e)
{
    static const struct cli_verb verbs[] = {
        {"list", "", "the keys that held mail is sealed with, and what can be done with each here", key_list},
        {"rotate", "", "make a new one, for what is held from now on", key_rotate},
    };

    return cli_dispatch(c, "key", verbs, COUNT(verbs), argc, argv, e);
}
