/* lib/net/smtp_inside.h - what the files of smtp_client.h share. For them alone.
 *
 *   smtp_client.c    whom we talk to: the address, the connection, the greeting
 *   smtp_dialogue.c  commands out, replies in, and what a server says that it offers
 *   smtp_envelope.c  addresses and origins as commands carry them
 *   smtp_letter.c    one letter, from MAIL to the last verdict */
#ifndef POSTERN_NET_SMTP_INSIDE_H
#define POSTERN_NET_SMTP_INSIDE_H

#include <curl/curl.h>

#include "base/buf.h"
#include "net/smtp_client.h"

#define SMTP_COMMAND_MAX 4096 /* bytes of a command: the longest address, quoted, and its parameters */
#define SMTP_PIECE (32 << 10) /* of the message at once */

/* Owns everything. Times are of the monotonic clock. */
struct smtp_client {
    CURL      *curl;
    char      *url, *host, *path; /* path: of a Unix socket, or NULL */
    char      *user, *password;   /* or NULL */
    char       helo[256];
    char       fault[CURL_ERROR_SIZE];
    bool       lmtp, tls_only, local;
    bool       dirty;  /* a transaction was begun and not ended: RSET before the next */
    bool       broken; /* of no further use */
    unsigned   offers;
    int64_t    connect_ms, reply_ms, end_ms;
    int64_t    letter_end_us; /* no step of the letter lasts longer */
    struct buf in;            /* what has come and was not read yet */
    struct buf out;
};

/* What a server can offer that we use. XFORWARD's attributes are bits too. */
enum {
    OFFERS_8BITMIME = 1 << 0,
    OFFERS_SMTPUTF8 = 1 << 1,
    OFFERS_DSN = 1 << 2,
    FORWARDS_NAME = 1 << 3,
    FORWARDS_ADDR = 1 << 4,
    FORWARDS_PORT = 1 << 5,
    FORWARDS_PROTO = 1 << 6,
    FORWARDS_HELO = 1 << 7,
    FORWARDS_IDENT = 1 << 8,
    FORWARDS_SOURCE = 1 << 9,
};
/* ---- smtp_dialogue.c ---- */
/* The connection is of no further use. Always -1. */
int smtp_lost(struct smtp_client *c, struct err *e, enum err_code code, const char *why);
int smtp_send_all(struct smtp_client *c, struct span bytes, struct err *e);
/* One reply, whatever it says. What it offers goes into c->offers. */
int smtp_read_reply(struct smtp_client *c, int64_t ms, struct smtp_reply *r, struct err *e);
/* It closed while we were sending: it may have said why. */
void smtp_last_words(struct smtp_client *c, struct err *e);
/* A command is begun in c->out, put together there, and sent: then comes its reply. */
void smtp_begin(struct smtp_client *c, const char *text);
int  smtp_command(struct smtp_client *c, struct smtp_reply *r, struct err *e);

/* ---- smtp_envelope.c ---- */
/* Adds "<address>". False: it is none that can be sent. */
bool smtp_put_path(struct buf *b, struct span address);
/* XFORWARD, as far as it is offered. */
int smtp_forward_origin(struct smtp_client *c, const struct smtp_origin *o, struct err *e);

#endif
