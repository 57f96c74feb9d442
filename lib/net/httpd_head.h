/* lib/net/httpd_head.h - what the head of a request says, as httpd.c believes it: path, fields, framing. Pure: bytes in, facts out;
 * for the files of the HTTP server, their tests and the fuzzer. */
#ifndef POSTERN_NET_HTTPD_HEAD_H
#define POSTERN_NET_HTTPD_HEAD_H

#include "net/httpd.h"

#define HTTPD_HEAD_MAX 16384
#define HTTPD_URL_MAX 8192
#define HTTPD_FIELDS_MAX 100

/* Why a request is not served. httpd_reply.c has a row for each. */
enum httpd_refusal {
    HTTPD_FINE,
    HTTPD_BAD_PATH,
    HTTPD_BAD_METHOD,
    HTTPD_BAD_FIELD,
    HTTPD_BAD_HOST,
    HTTPD_BAD_FRAMING,
    HTTPD_SLOW,
    HTTPD_BIG_BODY,
    HTTPD_LONG_URL,
    HTTPD_BAD_EXPECT,
    HTTPD_BIG_HEAD,
    HTTPD_BAD_REPLY,
    HTTPD_BUSY,
    HTTPD_STOPPING,
    HTTPD_BAD_VERSION,
    HTTPD_NREFUSALS
};

/* The fields in the order in which they came; what `inside` of a request points to. */
struct httpd_head {
    struct httpd_head_field {
        struct span name, value;
    } fields[HTTPD_FIELDS_MAX];
    size_t n;
};
bool httpd_head_put(struct httpd_head *h, struct span name, struct span value); /* false: one too many */

struct httpd_framing {
    bool     chunked, waits, follows; /* waits: for 100 Continue; follows: a body does, or what may be one */
    uint64_t length;
};
/* Are the fields fit to be believed? Values are judged as libmicrohttpd reads them, blanks at their end included: what it would
 * frame differently is refused. */
enum httpd_refusal httpd_head_check(const struct httpd_head *h, bool http11, struct httpd_framing *out);

bool              httpd_is_token(struct span s);
bool              httpd_is_clean(struct span value); /* no control byte */
enum httpd_method httpd_method_of(struct span word);

/* The path of a request target, decoded into the arena, and its query. */
enum httpd_refusal httpd_target_read(struct span target, struct arena *a, struct span *path_out,
                                     struct span *query_out);

#endif
