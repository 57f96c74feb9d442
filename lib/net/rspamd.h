/* lib/net/rspamd.h - what Rspamd's clients put into a request, and the JSON that they read (protocols.md 2.3 … 2.6). */
#ifndef POSTERN_NET_RSPAMD_H
#define POSTERN_NET_RSPAMD_H

#include "net/http.h"

/* The envelope that a request states. Values are as sent (brackets, ports): mail/address.h and endpoint.h read them. */
struct rspamd_envelope {
    struct span      from; /* p == NULL: not stated; "<>" or "": the null sender */
    struct span_list rcpt; /* commas inside one field are split, respecting quotes */
    struct span      ip;   /* without port and brackets; empty when absent or invalid */
    bool             ip_invalid;
    struct span      helo, hostname, user, queue_id, deliver_to, mta_name;
    struct span      tls_version, tls_cipher; /* of the client's connection to the MTA; empty: none, or not told */
    struct span      password; /* Password field, or the password of Basic authorisation (decoded into the arena) */
    struct span      bearer;   /* of Bearer authorisation */
    struct span      shm, shm_offset, shm_length; /* the message is in shared memory; p == NULL: it is the body */
    bool             milter;                      /* Flags holds "milter": the caller can drop recipients and discard */
    bool             pass_all;
    bool             body_block;
    bool             no_log; /* Flags holds "no_log", or Log is no: the caller tells later what came of the message */
};
/* Reads all fields in one pass; the first of a name counts. Refuses (-1) what must never be scanned as an empty
 * message: File, Path, Message-Length (ERR_INVALID: 400), and more than limits.rcpt_max recipients (ERR_LIMIT: 431).
 * Who finds shm must read or refuse it. A bad IP is flagged and ignored. */
int rspamd_read_envelope(const struct http_request *r, struct rspamd_envelope *out, struct err *e);

enum rspamd_action {
    RSPAMD_NO_ACTION,
    RSPAMD_GREYLIST,
    RSPAMD_ADD_HEADER,
    RSPAMD_REWRITE_SUBJECT,
    RSPAMD_SOFT_REJECT,
    RSPAMD_REJECT
};
const char *rspamd_action_name(enum rspamd_action a); /* "soft reject" … with blanks */

struct rspamd_symbol {
    struct span        name, description;
    double             score;
    const struct span *options;
    size_t             noptions;
};
struct rspamd_add_header {
    struct span name, value; /* on writing, CR is stripped, and LF unless it folds the field */
    int         order;       /* 0 on top; -1 appended */
    bool        plain;       /* a plain string (filter-rspamd), no order */
};
struct rspamd_reply {
    enum rspamd_action              action;
    double                          score, required_score;
    double                          reject, add_header, greylist; /* thresholds; >= 999: left out */
    const struct rspamd_symbol     *symbols;
    size_t                          nsymbols;
    struct span                     smtp_message; /* no code, CR LF NUL stripped on writing; empty: none */
    struct span                     subject, message_id;
    struct span                     uid; /* ours; key "uid" */
    const struct rspamd_add_header *add_headers;
    size_t                          nadd_headers;
    const struct span              *remove_headers;
    const int         *remove_at; /* same index: 0 all instances, n the n-th, -n from the end; NULL: all of each */
    size_t             nremove_headers;
    const struct span *del_rcpt;
    size_t             ndel_rcpt;
    const struct span *add_rcpt;
    size_t             nadd_rcpt;
    struct span        change_from;    /* empty: unchanged */
    const struct span *dkim_signature; /* values of the fields to put on top */
    size_t             ndkim_signature;
    bool               discard;                      /* milter.reject = "discard" */
    bool               hold_reject, hold_add_header; /* "hold": mail of that action is to be handed over and dropped */
    double             time_real;

    /* What only a scanner says: read, never written. */
    bool        is_skipped;  /* not really scanned */
    struct span passthrough; /* 3.5 and newer: the module that forced the action; empty: none, or not told */
};
/* The body of /checkv2; `legacy`: the old form of /check and /symbols, wrapped in "default". Of symbols and removed
 * headers of one name the first counts, since a repeated key is a list to Rspamd's parser. Never NaN, infinity or -0.0.
 */
void rspamd_put_json(struct buf *out, const struct rspamd_reply *reply, bool legacy);

/* What a scanner answered to /checkv2: what rspamd_put_json() writes, but for uid, thresholds (off), discard and del_rcpt, which
 * are ours to say. Strict JSON, after bytes that no JSON text may hold (bad UTF-8, control bytes, \u0000, lone surrogates) became
 * question marks, blanks and U+FFFD: the scanner quotes what strangers wrote. Members that nobody asks for are passed over, wrong types of those
 * refused. An action that is none of ours counts as no action (the score decides), discard and quarantine as reject.
 * Needs      score, required_score and action: their lack is ERR_PROTOCOL, so is {"error": …}, and a number that is not finite or
 *            beyond a million.
 * Limits     RSPAMD_*_MAX, and the arena: ERR_LIMIT. All text of the reply is in the arena. */
#define RSPAMD_SYMBOLS_MAX 5000
#define RSPAMD_OPTIONS_MAX 200 /* a symbol; what is more is left out */
#define RSPAMD_HEADERS_MAX 500 /* added, and removed, each; recipients added */
#define RSPAMD_DEPTH_MAX 32
int rspamd_read_json(struct span json, struct arena *a, struct rspamd_reply *out, struct err *e);

#endif
