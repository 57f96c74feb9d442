/* lib/net/spamd.h - the server side of SPAMC/1.0 … 1.5, and of the text form RSPAMC/1.x (protocols.md 1 and 2.7).
 *
 * Deviations from spamd on purpose: bytes are counted exactly, case of field names does not count, the LF-only head
 * is accepted, unknown Message-class is refused, two different lengths too (protocols.md 6.1 and docs/deviations.md).
 * Limits: a line 8 KiB, 255 fields beside Rcpt, the head and the body as the caller says. */
#ifndef POSTERN_NET_SPAMD_H
#define POSTERN_NET_SPAMD_H

#include "net/wire.h"

enum spamd_verb {
    SPAMD_PING,
    SPAMD_CHECK,
    SPAMD_SYMBOLS,
    SPAMD_REPORT,
    SPAMD_REPORT_IFSPAM,
    SPAMD_PROCESS,
    SPAMD_HEADERS,
    SPAMD_TELL,
    SPAMD_SKIP,
};
enum spamd_class { SPAMD_CLASS_NONE, SPAMD_CLASS_SPAM, SPAMD_CLASS_HAM };
#define SPAMD_LOCAL 1u
#define SPAMD_REMOTE 2u

/* The codes of the wire (sysexits). */
enum {
    SPAMD_EX_OK = 0,
    SPAMD_EX_UNAVAILABLE = 69,
    SPAMD_EX_TEMPFAIL = 75,
    SPAMD_EX_PROTOCOL = 76,
    SPAMD_EX_NOPERM = 77,
    SPAMD_EX_TIMEOUT = 79
};

struct spamd_request {
    enum spamd_verb  verb;
    int              version; /* major * 100 + minor: 105 for 1.5; 100 and below: no head at all */
    bool             rspamc;  /* RSPAMC/1.x: answer with the RSPAMD text form */
    bool             has_length, zlib;
    bool             packed; /* body is still zlib */
    uint64_t         length;
    struct span      user; /* opaque text */
    bool             has_user;
    enum spamd_class message_class;
    unsigned         set, remove; /* SPAMD_LOCAL | SPAMD_REMOTE */
    /* RSPAMC only */
    struct span      from, helo, hostname, ip, queue_id, deliver_to;
    bool             has_from;
    struct span_list rcpt;
    struct span      body;  /* after WIRE_DONE; decompressed when zlib; else in `in` */
    size_t           used;  /* after WIRE_DONE */
    int              code;  /* after WIRE_BAD: 69, 76, 79; 0: the peer left before it asked, nothing to say */
    struct err       error; /* after WIRE_BAD: words of ours alone, nothing that the peer sent */

    /* the machine's own */
    struct arena      *arena;
    struct buf        *inflated; /* caller's, for zlib bodies */
    struct wire_limits limits;
    enum spamd_state { SPAMD_LINE, SPAMD_HEAD, SPAMD_BODY, SPAMD_OVER } state;
    const char *base; /* where `in` was when the spans were made */
    size_t      pos, scan, head_end, nfields;
    struct span command_line;
    bool        line_refused; /* put_bad repeats the line, escaped and cut */
};

/* A new request at in->p[0]. arena and inflated are borrowed until it ends; inflated is cleared. Its ceiling must be
 * above limits->body_max, and the ceiling of `in` above head_max + body_max. Spans are good right after spamd_step(),
 * until `in` changes. */
void spamd_begin(struct spamd_request *r, struct arena *a, struct buf *inflated, const struct wire_limits *limits);
/* eof: the peer has shut down its side. */
enum wire_step spamd_step(struct spamd_request *r, struct buf *in, bool eof);
/* The head's deadline passed / the body's: makes it WIRE_BAD with 79. */
/* After WIRE_DONE: is the body still compressed (wire_limits.unpack_max)? Then this undoes it: WIRE_DONE or WIRE_BAD. It touches
 * the request and its buffers alone, so any thread may, one at a time. */
bool           spamd_packed(const struct spamd_request *r);
enum wire_step spamd_unpack(struct spamd_request *r);
void           spamd_expire(struct spamd_request *r);
bool           spamd_head_done(const struct spamd_request *r);
/* At most this many more bytes are wanted for now, for sizing reads; 0: unknown. */
size_t spamd_wants(const struct spamd_request *r, const struct buf *in);

/* What a scan's reply is made of. The score is clamped and rounded by the caller (design.md 2.5): printed as given with
 * one decimal. That score >= threshold holds exactly when spam is true is made sure of here, after rounding. */
struct spamd_result {
    bool          spam;
    double        score, threshold;
    struct span   symbols;       /* "A,B,C" */
    const double *symbol_scores; /* RSPAMC: one a symbol; NULL: 1.00 each */
    struct span   report;        /* LF lines; cut at 7 KiB; comes out as CRLF towards versions below 1.3 (Exim) */
    struct span   action;        /* RSPAMC: "reject", "soft reject", "add header", "no action" */
    struct span   message_id;
    struct span   smtp_message;
    struct span   version; /* for X-Spam-Checker-Version and X-Spam-Status: "Postern 1.0" */
    struct span   host;
    double        reject_threshold; /* RSPAMC metric line */
};

/* A whole reply appended to out, to be written with one write; out->failed when its ceiling is too low. For PROCESS and
 * HEADERS `r->body` is rewritten: all X-Spam-* out, the new ones on top (after mbox From and Return-Path), the line end
 * of the first line (1.6). */
void spamd_put_result(struct buf *out, const struct spamd_request *r, const struct spamd_result *result);
void spamd_put_pong(struct buf *out);
void spamd_put_tell(struct buf *out, unsigned did_set, unsigned did_remove);
/* "SPAMD/1.0 76 Bad header line: …" CRLF; for RSPAMC "RSPAMD/1.3 76 EX_PROTOCOL". Text is escaped and bounded. For TELL
 * without a trainer: SPAMD_EX_UNAVAILABLE with SPAMD_TELL_OFF, which clients know as permanent. */
#define SPAMD_TELL_OFF "TELL commands are not enabled, set the --allow-tell switch."
void spamd_put_error(struct buf *out, const struct spamd_request *r, int code, const char *text);
/* The reply to a request that ended in WIRE_BAD. */
void spamd_put_bad(struct buf *out, const struct spamd_request *r);
/* The message with its X-Spam and X-Spam-* fields removed and `fields` (each ending in a line end) put on top; also
 * used alone. */
void spamd_put_rewritten(struct buf *out, struct span message, struct span fields, bool head_only);

#endif
