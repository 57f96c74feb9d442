/* cli/key.c - postern key: what seals and opens held mail (docs/custody.md). */
#include <stdio.h>

#include "cli.h"
#include "letter/link.h"
#include "store/audit.h"
#include "store/custody.h"
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

struct older {
    const char *current;
    size_t      n;
};

static int print_older(void *ctx, struct span key_id, int64_t count, int64_t keep_us)
{
    struct older *o = ctx;
    char          until[28];

    if (span_is(key_id, o->current))
        return 0;
    clock_format_utc(keep_us, until);
    printf("Key %.*s is still needed: %lld held message%s sealed with it, the last until %.10s.\n", SPAN_ARG(key_id),
           (long long)count, count == 1 ? " is" : "s are", until);
    o->n++;
    return 0;
}

/* For what is sent from now on; those of before check what was sent until the last of it has expired. */
static int rotate_links(struct cli *c, struct err *e)
{
    struct span payload;
    unsigned    id;

    if (link_keys_rotate(c->settings->quarantine.keys, &id, e) < 0)
        return -1;
    printf("Key %u is for the links of digests from now on: the portal takes it within a minute, postern-digest when "
           "it gets\n"
           "SIGHUP or starts again. Links that were sent stay good until they expire.\n",
           id);
    payload = arena_printf(&c->arena, "{\"after\":{\"id\":%u,\"for\":\"links\"}}", id);
    return store_audit_note(c->store, &c->actor, "key.rotate", "key", NULL, STORE_SCOPE_GLOBAL, payload, e);
}

/* The key is new whether or not the audit log can be written: so that is opened first. */
static int key_rotate(struct cli *c, int argc, char **argv, struct err *e)
{
    char                     id[KEY_ID_MAX + 1];
    bool                     links = false;
    struct span              payload;
    const struct args_option options[] = {
        {"links", NULL, .on = &links, .help = "the key of the links in digests, not the one that seals"}};

    if (args_read(argc, argv, options, COUNT(options), "", 0, 0, NULL, NULL, e) < 0 || cli_store(c, e) < 0)
        return -1;
    if (links)
        return rotate_links(c, e);
    if (keyring_rotate(c->settings->quarantine.keys, id, e) < 0)
        return -1;
    printf("Key %s seals held mail from now on: where rulesd runs it takes it within a second.\n", id);
    payload = arena_printf(&c->arena, "{\"after\":{\"id\":\"%s\"}}", id);
    struct older older = {.current = id};
    if (store_audit_note(c->store, &c->actor, "key.rotate", "key", NULL, STORE_SCOPE_GLOBAL, payload, e) < 0 ||
        store_custody_keys(c->store, print_older, &older, e) < 0)
        return -1;
    if (older.n == 0)
        printf("No held message needs an older key.\n");
    return 0;
}

int cli_key(struct cli *c, int argc, char **argv, struct err *e)
{
    static const struct cli_verb verbs[] = {
        {"list", "", "the keys that held mail is sealed with, and what can be done with each here", key_list},
        {"rotate", "[--links]", "make a new one, for what is held from now on; or for the links of digests",
         key_rotate},
    };

    return cli_dispatch(c, "key", verbs, COUNT(verbs), argc, argv, e);
}
