/* lib/mail/message.h - a message that is parsed only as far as somebody asks.
 *
 * message_open() stores the span and does nothing else. Header fields are indexed on the first question about
 * them, MIME structure on the first question about parts, a leaf is decoded on the first question about its text;
 * each answer is kept. Our scanner is iterative and makes no copy; single leaf parts go through GMime (leaf.h).
 * Whatever bytes come, it answers. Limits (below) turn the answer into "unknown", never into a failure of the scan.
 *
 * Lifetime  everything lives in the arena given; the raw bytes are borrowed. One thread at a time.
 * Line ends CRLF, LF and mixed are the same to us: in decoded text they are LF. A leading mbox "From " line is skipped,
 * and does not count. Where a field that may stand once stands twice (Content-Type), the first counts. */
#ifndef POSTERN_MAIL_MESSAGE_H
#define POSTERN_MAIL_MESSAGE_H

#include "mail/address.h"
#include "mail/header.h"

#define MESSAGE_DEPTH_MAX 50 /* nested multiparts and message/rfc822 */
#define MESSAGE_PARTS_MAX 1000
#define MESSAGE_HEADERS_MAX 20000          /* fields that are indexed; more: unknown */
#define MESSAGE_HEADER_MAX (64 << 10)      /* bytes of one field that are looked at */
#define MESSAGE_TEXT_MAX (1 << 20)         /* bytes of decoded text of one message that `body` conditions see */
#define MESSAGE_HEADERS_TEXT_MAX (8 << 20) /* bytes of all fields that are decoded or read for addresses */
#define MESSAGE_CPU_US 1000000             /* CPU time of finding and decoding the parts of one message */

/* Three-valued answers. UNKNOWN: a limit was hit, or something cannot be decoded. */
enum fact { FACT_NO, FACT_YES, FACT_UNKNOWN };

struct message; /* opaque, in the arena */

/* NULL when the arena is full. */
struct message *message_open(struct span raw, struct arena *a);
struct span     message_raw(const struct message *m);
size_t          message_size_crlf(struct message *m); /* bytes if every line end were CRLF; none is added at the end */
struct span     message_header_block(struct message *m); /* up to and including the blank line, after an mbox line */
struct span     message_body_raw(struct message *m);

/* Fields in order; `limit_hit` when the index is not complete. */
size_t               message_nheaders(struct message *m, bool *limit_hit_out);
const struct header *message_header_at(struct message *m, size_t i);
/* The next field of that name (ASCII case-insensitive) at or after *at; advances *at behind it; NULL at the end. */
const struct header *message_header_next(struct message *m, struct span name, size_t *at);
/* Decoded (text_decode_header) and kept; index as in message_header_at. Not clean: decoding failed somewhere, or a limit
 * left something out. */
struct span message_header_text(struct message *m, size_t i, bool *clean_out);
/* The same, case-folded; kept too. */
struct span message_header_folded(struct message *m, size_t i, bool *clean_out);

/* Addresses of all From fields. FACT_NO: none. FACT_UNKNOWN: some could not be read; those
 * that could are there. */
enum fact   message_from(struct message *m, const struct address **list_out, size_t *n_out);
struct span message_id(struct message *m); /* without the angle brackets, bounded; may be empty */

enum message_leaf_kind { LEAF_TEXT_PLAIN, LEAF_TEXT_HTML, LEAF_TEXT_OTHER, LEAF_MESSAGE, LEAF_OTHER };
struct message_part {
    enum message_leaf_kind kind;
    struct span            type; /* "application/pdf", lower case; text/plain when absent or broken */
    struct span            charset;
    struct span            encoding; /* Content-Transfer-Encoding, lower case */
    /* RFC 2231 (also continuations, charset) and 2047, filename before name; decoded; may be empty. */
    struct span filename;
    bool        filename_clean;
    bool        detached;   /* its disposition says attachment */
    bool        attachment; /* has a file name, or disposition attachment, or is a message/rfc822 */
    /* Of the same in several forms (multipart/alternative) this is none of the last, which readers show. */
    bool        spare;
    struct span id;    /* Content-ID, without the angle brackets; may be empty */
    struct span raw;   /* the leaf's body, still encoded */
    size_t      depth; /* of the multiparts and messages around it */
};
/* Leaves in order; message/rfc822 is itself one (attachment) and is also descended into. A multipart in which no boundary
 * line was found is one leaf of plain text. *limit_hit_out: depth, parts or time ran out, so there may be more. */
size_t                     message_parts(struct message *m, bool *limit_hit_out);
const struct message_part *message_part_at(struct message *m, size_t i);

/* Texts that `body` conditions look at: one entry a text leaf (plain as decoded, HTML as seen), and with `source` also
 * the HTML source (regex only). Leaves with disposition attachment and a file name are attachments, not body.
 * FACT_UNKNOWN: some leaf could not be decoded or a limit was hit; what could be read is there. */
struct message_text {
    struct span text;   /* UTF-8 */
    struct span folded; /* case-folded; made with text */
    bool        html;   /* as seen, or its source: */
    bool        html_source;
    bool        clean;
    bool        spare; /* its part is */
};
enum fact message_texts(struct message *m, bool source, const struct message_text **list_out, size_t *n_out);

/* Received fields from the top: false behind the last. The client's address as the server that wrote the line saw it: in
 * "from HELO (name [a.b.c.d])", "([a.b.c.d] helo=…)", "from [a.b.c.d] (helo=…)", "(HELO …) (a.b.c.d)"; never what the client
 * said about itself. Empty if the line has none. */
bool message_received_ip(struct message *m, size_t nth, struct span *ip_out);

/* Did a limit stop something? Names it for the trace ("depth", "parts", "headers", "text", "time", "memory"), or NULL. */
const char *message_limit(const struct message *m);

#endif
