/* lib/net/smtp_client.h - handing a message to a mail server, by SMTP or LMTP.
 *
 * libcurl makes the connection (names, addresses, TLS, AUTH) and moves the bytes; the dialogue is ours, since its upload knows
 * neither XFORWARD nor DSN parameters. Blocking with deadlines; one thread at a time.
 *
 * URL      smtp://HOST[:PORT]   STARTTLS where offered, except towards this machine; its certificate is not checked, since
 *                               plain text would be taken too
 *          smtps://HOST[:PORT]  TLS from the first byte, the certificate checked
 *          lmtp://HOST[:PORT], lmtp+unix:/PATH   no TLS; a reply a recipient
 *          USER:PASSWORD@ before the host: AUTH. A query ("?…") is not read here.
 * Bytes    The message goes out as it is: every line with CRLF behind it (base/crlf.h), a dot put before a leading dot, an end of
 *          line at the end if it has none. A bare LF becomes CRLF: SMTP has no way to carry it, and let through, it would let a
 *          message smuggle commands.
 * Asked    What the server does not offer is not asked for: XFORWARD, BODY=8BITMIME (for a message with 8-bit bytes), NOTIFY. An
 *          address that is not ASCII needs SMTPUTF8: without it that recipient, or sender, is refused here. Headers alone
 *          do not ask for it: they came without, and a mailbox behind that does not know it would bounce them.
 * Hostile  A reply is at most 64 KiB and 128 lines, and has to come in time.
 * SIGPIPE  TLS writes without MSG_NOSIGNAL: the program ignores it. */
#ifndef POSTERN_NET_SMTP_CLIENT_H
#define POSTERN_NET_SMTP_CLIENT_H

#include "base/err.h"

#define SMTP_TEXT_MAX 1000 /* bytes of a reply that are kept */
#define SMTP_RCPT_MAX 1000 /* of one letter */

struct smtp_how {
    const char *helo;                         /* NULL: this machine's name */
    int64_t     connect_ms, reply_ms, end_ms; /* 0: 30 s to connect, 60 s a reply, 300 s for the one to the message */
};

struct smtp_client;
int  smtp_client_open(const char *url, const struct smtp_how *how, struct smtp_client **out, struct err *e);
void smtp_client_close(struct smtp_client **c); /* says QUIT, and does not wait */
/* Is it one that we could open? For who reads settings. */
int smtp_client_check(const char *url, struct err *e);

/* Where the letter came from at first, for XFORWARD. Empty: not known. It always came from elsewhere: what Postfix takes for local
 * gets header fields that it lacks, and would not arrive as it is. */
struct smtp_origin {
    struct span name, addr, helo, ident; /* addr: an IP address; ident: the queue id that the log knows it by */
    unsigned    port;
};

struct smtp_reply {
    int  code;                    /* 250; 0: none came */
    char dsn[12];                 /* "2.0.0", or "" */
    char text[SMTP_TEXT_MAX + 1]; /* its lines joined by blanks: without the codes, control bytes as '?' */
};

/* What became of a recipient's copy. */
enum smtp_fate {
    SMTP_UNSENT,  /* not taken: it did not come to the end of the message */
    SMTP_TAKEN,   /* the server has it */
    SMTP_REFUSED, /* it said no: reply.code 4xx for now, 5xx for good */
    SMTP_UNKNOWN, /* the connection was lost between the final dot and its reply: may have it or not */
};
extern const char *const smtp_fate_words[];
struct smtp_result {
    enum smtp_fate    fate;
    struct smtp_reply reply;
};

struct smtp_letter {
    struct span               from; /* "": the null sender */
    const struct span        *rcpt;
    size_t                    nrcpt;
    const struct smtp_origin *origin;        /* or NULL */
    struct span               head, message; /* one behind the other */
    bool                      notify_never;  /* no delivery reports to the sender */
    /* Called when all has been sent but the final dot, so that it can be written down that from now on nobody knows. -1: the dot
     * is not sent, the connection is given up, and nobody has the message. May be NULL. */
    int (*before_end)(void *ctx, struct err *e);
    void *ctx;
};
/* One transaction. results has nrcpt entries, and is filled in any case. 0: every recipient has the server's reply. -1: e says what
 * went wrong; those without a reply are UNSENT or UNKNOWN, and the client is of no further use, but to be closed. */
int smtp_client_send(struct smtp_client *c, const struct smtp_letter *letter, struct smtp_result *results,
                     struct err *e);

/* Whom we talk to. Text of the client's. */
struct smtp_peer {
    const char *host, *ip;
    unsigned    port;
    bool        tls;
};
void smtp_client_peer(const struct smtp_client *c, struct smtp_peer *out);

/* The queue id in the reply to a message that was taken: Postfix "Ok: queued as ID", Exim "OK id=ID", OpenSMTPD "ID Message
 * accepted"; empty: none that we know. */
struct span smtp_queue_id(struct span text);

#endif
