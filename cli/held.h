/* cli/held.h - held mail as the command has it in hand. */
#ifndef POSTERN_CLI_HELD_H
#define POSTERN_CLI_HELD_H

#include "cli.h"
#include "custody/release.h"
#include "store/custody.h"
#include "vault/vault.h"

/* Owns both. */
struct held {
    struct keyring *keys;
    struct vault   *vault;
    struct uuid     node; /* whose spool it is */
};
/* The store too. */
int  held_open(struct cli *c, struct held *h, struct err *e);
void held_close(struct held *h);
/* Before something is kept there: what root keeps, the programs could neither read nor delete. */
int held_check_owner(const struct held *h, struct err *e);

/* A UID as people give it; no Message-ID, no queue id: what is released or deleted is named exactly. */
int held_uid(const char *text, struct uuid *out, struct err *e);
/* What stands for a whole message in the time of one command. */
size_t held_message_max(const struct cli *c);

/* Into the audit log of whose copy it is: what is done with it. */
int held_note(struct cli *c, const char *action, const struct uuid *uid, const struct store_delivery *d, struct err *e);

int cli_quarantine_release(struct cli *c, int argc, char **argv, struct err *e);
int cli_quarantine_forget_node(struct cli *c, int argc, char **argv, struct err *e);

#endif
