/* Requests of spamc and its kin, whole and in pieces; replies byte for byte. The numbers are those of the conformance
 * table, protocols.md 6.1. */
#include <zlib.h>

#include "net.h"
#include "net/spamd.h"

static const struct wire_limits limits = {
    .body_max = 100000, .head_max = 80 * 1024, .rcpt_max = 1000, .headers_max = 255};

static const char *const verb_names[] = {"PING",    "CHECK",   "SYMBOLS", "REPORT", "REPORT_IFSPAM",
                                         "PROCESS", "HEADERS", "TELL",    "SKIP"};

static void put(struct buf *b, const char *name, struct span value)
{
    if (value.p != NULL)
        buf_printf(b, " %s=%.*s", name, SPAN_ARG(value));
}

/* All that a caller can learn about a request, as text. */
static void describe(struct buf *out, const struct spamd_request *r, enum wire_step got)
{
    buf_clear(out);
    if (got == WIRE_MORE)
        buf_puts(out, "more");
    if (got == WIRE_BAD)
        spamd_put_bad(out, r);
    if (got != WIRE_DONE)
        return;
    buf_printf(out, "%s%s %d", r->rspamc ? "RSPAMC " : "", verb_names[r->verb], r->version);
    put(out, "user", r->user);
    put(out, "from", r->from);
    for (size_t i = 0; i < r->rcpt.n; i++)
        put(out, "rcpt", r->rcpt.items[i]);
    put(out, "helo", r->helo);
    put(out, "hostname", r->hostname);
    put(out, "ip", r->ip);
    put(out, "queue_id", r->queue_id);
    put(out, "deliver_to", r->deliver_to);
    if (r->verb == SPAMD_TELL)
        buf_printf(out, " class=%d set=%u remove=%u", r->message_class, r->set, r->remove);
    buf_printf(out, " [%.*s]", SPAN_ARG(r->body));
}

static void replay(struct buf *outcome, struct span bytes, bool eof, struct cut cut)
{
    struct spamd_request r;
    struct arena         a;
    struct buf           in, inflated;
    enum wire_step       got = WIRE_MORE;
    size_t               at = 0;

    arena_init(&a, 4 << 20);
    buf_init(&in, 4 << 20);
    buf_init(&inflated, limits.body_max + 1000);
    spamd_begin(&r, &a, &inflated, &limits);
    while (at < bytes.n && got == WIRE_MORE) {
        size_t n = cut_next(cut, at, bytes.n);

        append_moving(&in, span_head(span_skip(bytes, at), n));
        at += n;
        got = spamd_step(&r, &in, false);
    }
    if (got == WIRE_MORE && eof)
        got = spamd_step(&r, &in, true);
    describe(outcome, &r, got);
    arena_fini(&a);
    buf_fini(&in);
    buf_fini(&inflated);
}

#define MSG "From: a@b\n\nhi\n" /* 14 bytes */
#define BAD76 "SPAMD/1.0 76 Bad header line: "

static const struct {
    const char *holds, *bytes;
    bool        eof;
    const char *outcome;
} cases[] = {
    {"1 a length frames the message", "CHECK SPAMC/1.5\r\nUser: anna\r\nContent-length: 14\r\n\r\n" MSG, false,
     "CHECK 105 user=anna [" MSG "]"},
    {"2 without a length the end does", "CHECK SPAMC/1.5\r\n\r\n" MSG, true, "CHECK 105 [" MSG "]"},
    {"2 without a length and an end it waits", "CHECK SPAMC/1.5\r\n\r\n" MSG, false, "more"},
    {"3 a length within a line", "CHECK SPAMC/1.5\r\nContent-length: 4\r\n\r\n" MSG, false, "CHECK 105 [From]"},
    {"4 what follows is read over", "CHECK SPAMC/1.5\r\nContent-length: 14\r\n\r\n" MSG "more\n", true,
     "CHECK 105 [" MSG "]"},
    {"5 a length too large", "CHECK SPAMC/1.5\r\nContent-length: 24\r\n\r\n" MSG, true,
     BAD76 "Content-Length mismatch: Expected 24 bytes, got 14 bytes\r\n"},
    {"6 a sign", "CHECK SPAMC/1.5\r\nContent-length: -5\r\n\r\n", false,
     BAD76 "Content-Length contains non-numeric bytes\r\n"},
    {"6 a plus", "CHECK SPAMC/1.5\r\nContent-length: +5\r\n\r\n", false,
     BAD76 "Content-Length contains non-numeric bytes\r\n"},
    {"6 a word", "CHECK SPAMC/1.5\r\nContent-length: abc\r\n\r\n", false,
     BAD76 "Content-Length contains non-numeric bytes\r\n"},
    {"6 blanks around it may be", "CHECK SPAMC/1.5\r\nContent-length: 2 \r\n\r\nhi", false, "CHECK 105 [hi]"},
    {"7 a huge length", "CHECK SPAMC/1.5\r\nContent-length: 99999999999999999999\r\n\r\n", false,
     BAD76 "Content-Length is larger than this server takes\r\n"},
    {"7 a length above the limit", "CHECK SPAMC/1.5\r\nContent-length: 100001\r\n\r\n", false,
     BAD76 "Content-Length is larger than this server takes\r\n"},
    {"7 no digits at all", "CHECK SPAMC/1.5\r\nContent-length:\r\n\r\n", false, BAD76 "Content-Length is empty\r\n"},
    {"8 nothing is a message", "CHECK SPAMC/1.5\r\nContent-length: 0\r\n\r\n", false, "CHECK 105 []"},
    {"9 case does not count", "CHECK SPAMC/1.5\r\nCONTENT-Length:2\r\n\r\nhi", false, "CHECK 105 [hi]"},
    {"10 two lengths", "CHECK SPAMC/1.5\r\nContent-length: 2\r\nContent-length: 3\r\n\r\nhi", false,
     BAD76 "Content-Length is given twice, and differs\r\n"},
    {"11 LF alone", "CHECK SPAMC/1.5\nUser: x\nContent-length: 2\n\nhi", false, "CHECK 105 user=x [hi]"},
    {"12 small letters", "check SPAMC/1.5\r\n", false, BAD76 "unknown command (check SPAMC/1.5)\r\n"},
    {"12 something in front", "XXCHECK SPAMC/1.5\r\n", false, BAD76 "unknown command (XXCHECK SPAMC/1.5)\r\n"},
    {"13 an unknown command", "FOO\x1b SPAMC/1.5\r\n", false, BAD76 "unknown command (FOO\\x1b SPAMC/1.5)\r\n"},
    {"13 a command alone", "CHECK\r\n", false, BAD76 "not a request (CHECK)\r\n"},
    {"13 an empty line", "\r\n", false, BAD76 "not a request ()\r\n"},
    {"13 HTTP", "GET / HTTP/1.1\r\n", false, BAD76 "not a request (GET / HTTP/1.1)\r\n"},
    {"14 no number", "CHECK SPAMC/abc\r\n", false, BAD76 "the version is not a number (CHECK SPAMC/abc)\r\n"},
    {"14 a version to come", "CHECK SPAMC/9.9\r\nContent-length: 2\r\n\r\nhi", false, "CHECK 909 [hi]"},
    {"14 versions are decimal numbers", "CHECK SPAMC/1.25\r\nContent-length: 2\r\n\r\nhi", false, "CHECK 102 [hi]"},
    {"1.0 has no head", "CHECK SPAMC/1.0\r\nUser: x\r\n\r\nhi", true, "CHECK 100 [User: x\r\n\r\nhi]"},
    {"18 PING 1.2 without a blank line", "PING SPAMC/1.2\r\n", false, "PING 102 []"},
    {"18 PING 1.5 with one", "PING SPAMC/1.5\r\n\r\n", false, "PING 105 []"},
    {"18 PING 1.5 waits for one", "PING SPAMC/1.5\r\n", false, "more"},
    {"18 PING 1.5 without one", "PING SPAMC/1.5\r\n", true, BAD76 "EOF during headers\r\n"},
    {"19 SKIP", "SKIP SPAMC/1.4\r\n", false, "SKIP 104 []"},
    {"20 no colon", "CHECK SPAMC/1.5\r\nUser\r\n\r\n", false, BAD76 "header not in 'Name: value' format\r\n"},
    {"20 folded", "CHECK SPAMC/1.5\r\nUser: a\r\n b: c\r\n\r\n", false, BAD76 "header not in 'Name: value' format\r\n"},
    {"a blank before the colon makes another field", "CHECK SPAMC/1.5\r\nContent-length : 2\r\n\r\nhi", true,
     "CHECK 105 [hi]"},
    {"23 a TAB in User", "CHECK SPAMC/1.5\r\nUser: a\tb\r\n\r\n", false,
     BAD76 "User header contains control chars\r\n"},
    {"23 any text in User", "CHECK SPAMC/1.5\r\nUser: \"../\xc3\xa4\" @x\r\nContent-length: 0\r\n\r\n", false,
     "CHECK 105 user=\"../\xc3\xa4\" @x []"},
    {"23 an empty User", "CHECK SPAMC/1.5\r\nUser:\r\nContent-length: 0\r\n\r\n", false, "CHECK 105 user= []"},
    {"26 zlib without a length", "CHECK SPAMC/1.5\r\nCompress: zlib\r\n\r\n", false,
     "SPAMD/1.0 69 Service Unavailable: a compressed message needs a Content-length\r\n"},
    {"26 zlib that is none", "CHECK SPAMC/1.5\r\nCompress: ZLIB\r\nContent-length: 2\r\n\r\nhi", false,
     "SPAMD/1.0 69 Service Unavailable: the zlib stream is damaged or cut short\r\n"},
    {"26 gzip", "CHECK SPAMC/1.5\r\nCompress: gzip\r\nContent-length: 2\r\n\r\nhi", false,
     BAD76 "the compression must be zlib\r\n"},
    {"27 TELL learns", "TELL SPAMC/1.5\r\nMessage-class: spam\r\nSet: local\r\nContent-length: 2\r\n\r\nhi", false,
     "TELL 105 class=1 set=1 remove=0 [hi]"},
    {"27 TELL revokes",
     "TELL SPAMC/1.5\r\nMessage-class: ham\r\nSet: local\r\nRemove: remote\r\nContent-length: 2\r\n\r\nhi", false,
     "TELL 105 class=2 set=1 remove=2 [hi]"},
    {"27 TELL forgets", "TELL SPAMC/1.5\r\nRemove: local\r\nContent-length: 2\r\n\r\nhi", false,
     "TELL 105 class=0 set=0 remove=1 [hi]"},
    {"27 TELL set and removed", "TELL SPAMC/1.5\r\nMessage-class: spam\r\nSet: local\r\nRemove: local\r\n\r\n", false,
     BAD76 "Set and Remove name the same place\r\n"},
    {"28 a class that is none", "TELL SPAMC/1.5\r\nMessage-class: zork\r\nSet: local\r\n\r\n", false,
     BAD76 "Message-class must be spam or ham\r\n"},
    {"28 no class", "TELL SPAMC/1.5\r\nSet: local\r\n\r\n", false, BAD76 "Message-class must be spam or ham\r\n"},
    {"29 both places", "TELL SPAMC/1.5\r\nMessage-class: spam\r\nSet: local, remote\r\nContent-length: 0\r\n\r\n",
     false, "TELL 105 class=1 set=3 remove=0 []"},
    {"30 nothing and the end", "", true, ""},
    {"31 the end within the head", "CHECK SPAMC/1.5\r\nUs", true, BAD76 "EOF during headers\r\n"},
    {"31 the end within the first line", "CHECK SP", true, BAD76 "EOF during headers\r\n"},
    {"32 a second request is read over", "PING SPAMC/1.2\r\nPING SPAMC/1.2\r\n", true, "PING 102 []"},
    {"33 no line end at the end", "CHECK SPAMC/1.5\r\nContent-length: 2\r\n\r\nhi", false, "CHECK 105 [hi]"},
    {"60 Exim's form of Rspamd",
     "CHECK RSPAMC/1.3\r\nContent-length: 2\r\nQueue-Id: 1x-2\r\nFrom: <a@b>\r\nRecipient-Number: 2\r\nRcpt: <c@d>\r\n"
     "Rcpt: <e@f>\r\nHelo: h\r\nHostname: n\r\nIP: 192.0.2.55\r\nUser: joe\r\nDeliver-To: x\r\n\r\nhi",
     false,
     "RSPAMC CHECK 103 user=joe from=<a@b> rcpt=<c@d> rcpt=<e@f> helo=h hostname=n ip=192.0.2.55 queue_id=1x-2 "
     "deliver_to=x [hi]"},
    {"60 a TAB in its fields", "CHECK RSPAMC/1.3\r\nHelo: a\tb\r\n\r\n", false, "RSPAMD/1.3 76 EX_PROTOCOL\r\n"},
    {"61 Rspamd's form without a length", "CHECK RSPAMC/1.3\r\nFrom: x\r\n\r\n", false,
     "RSPAMD/1.3 76 EX_PROTOCOL\r\n"},
    {"61 its commands are two", "REPORT RSPAMC/1.3\r\n", false, "RSPAMD/1.3 76 EX_PROTOCOL\r\n"},
    {"the envelope is Rspamd's alone", "CHECK SPAMC/1.5\r\nFrom: x\r\nRcpt: y\r\nContent-length: 0\r\n\r\n", false,
     "CHECK 105 []"},
};

static void a_request_means_the_same_however_it_is_cut(void **unused)
{
    struct buf outcome;

    (void)unused;
    buf_init(&outcome, 1 << 20);
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct span bytes = span_of(cases[i].bytes), want = span_of(cases[i].outcome);

        for (size_t first = 0; first < bytes.n || first == 0; first++) {
            replay(&outcome, bytes, cases[i].eof, (struct cut){first, 0});
            check_same(cases[i].holds, buf_span(&outcome), want);
        }
        replay(&outcome, bytes, cases[i].eof, (struct cut){0, 1});
        check_same(cases[i].holds, buf_span(&outcome), want);
    }
    buf_fini(&outcome);
}

static void check_bytes(const char *holds, struct span bytes, const char *starts)
{
    struct buf outcome;

    buf_init(&outcome, 1 << 21);
    for (size_t piece = 0; piece < 3; piece++) {
        replay(&outcome, bytes, false, (struct cut){0, piece * 997});
        check_same(holds, span_head(buf_span(&outcome), strlen(starts)), span_of(starts));
    }
    buf_fini(&outcome);
}

static void heads_have_limits(void **unused)
{
    struct buf b;

    (void)unused;
    buf_init(&b, 4 << 20);
    buf_puts(&b, "CHECK SPAMC/1.5\r\n");
    put_times(&b, "X: y\r\n", 254);
    buf_puts(&b, "Content-length: 2\r\n\r\nhi");
    check_bytes("21 255 fields", buf_span(&b), "CHECK 105 [hi]");

    buf_clear(&b);
    buf_puts(&b, "CHECK SPAMC/1.5\r\n");
    put_times(&b, "X: y\r\n", 256);
    check_bytes("21 256 fields", buf_span(&b), BAD76 "too many headers");

    buf_clear(&b);
    buf_puts(&b, "CHECK SPAMC/1.5\r\nX: ");
    put_times(&b, "a", 1000000);
    check_bytes("22 a field of 1 MB", buf_span(&b), BAD76 "the line is too long");

    buf_clear(&b);
    put_times(&b, "a", 1000000);
    check_bytes("22 a first line of 1 MB", buf_span(&b), BAD76 "the line is too long");

    buf_clear(&b);
    buf_puts(&b, "CHECK RSPAMC/1.3\r\n");
    put_times(&b, "Rcpt: <a@b>\r\n", 1000);
    buf_puts(&b, "Content-length: 2\r\n\r\nhi");
    check_bytes("60 recipients have a limit of their own", buf_span(&b), "RSPAMC CHECK 103 rcpt=");

    buf_clear(&b);
    buf_puts(&b, "CHECK RSPAMC/1.3\r\n");
    put_times(&b, "Rcpt: <a@b>\r\n", 1001);
    check_bytes("60 and keep it", buf_span(&b), "RSPAMD/1.3 76");

    buf_clear(&b);
    buf_puts(&b, "CHECK SPAMC/1.5\r\n\r\n");
    put_times(&b, "a", 100001);
    check_bytes("2 a message without length and end", buf_span(&b),
                BAD76 "the message is larger than this server takes");
    buf_fini(&b);
}

static void nul_bytes_are_refused_in_the_head_and_kept_in_the_message(void **unused)
{
    (void)unused;
    check_bytes("24 in the first line", SPAN("CHECK SPAMC/1.5\0\r\n"), BAD76 "the version is not a number");
    check_bytes("24 in the command", SPAN("CH\0CK SPAMC/1.5\r\n"), BAD76 "unknown command (CH\\x00CK");
    check_bytes("23 in User", SPAN("CHECK SPAMC/1.5\r\nUser: a\0b\r\n\r\n"),
                BAD76 "User header contains control chars");
    check_bytes("24 in the message", SPAN("CHECK SPAMC/1.5\r\nContent-length: 3\r\n\r\na\0b"), "CHECK 105 [a");
}

/* 25, 26: the length counts compressed bytes; nobody waits for the end. */
static void a_zlib_message_is_undone_within_its_limit(void **unused)
{
    static char plain[200000];
    char        squeezed[1000];
    uLongf      n = sizeof squeezed;
    struct buf  b;

    (void)unused;
    buf_init(&b, 10000);
    compress((Bytef *)squeezed, &n, (const Bytef *)MSG, strlen(MSG));
    buf_printf(&b, "CHECK SPAMC/1.5\r\nCompress: zlib\r\nContent-length: %lu\r\n\r\n", n);
    buf_put(&b, span_make(squeezed, n));
    check_bytes("25", buf_span(&b), "CHECK 105 [" MSG "]");

    buf_clear(&b);
    buf_printf(&b, "CHECK SPAMC/1.5\r\nCompress: zlib\r\nContent-length: %lu\r\n\r\n", n - 3);
    buf_put(&b, span_make(squeezed, n));
    check_bytes("26 short", buf_span(&b), "SPAMD/1.0 69 Service Unavailable: the zlib stream is damaged or cut short");

    n = sizeof squeezed;
    compress((Bytef *)squeezed, &n, (const Bytef *)plain, sizeof plain);
    buf_clear(&b);
    buf_printf(&b, "CHECK SPAMC/1.5\r\nCompress: zlib\r\nContent-length: %lu\r\n\r\n", n);
    buf_put(&b, span_make(squeezed, n));
    check_bytes("26 a bomb", buf_span(&b),
                "SPAMD/1.0 69 Service Unavailable: the message exceeds 100000 bytes once decompressed");
    buf_fini(&b);
}

/* What grows beyond unpack_max waits, packed, for a thread with time. */
static void a_message_that_grows_large_stays_packed_until_asked(void **unused)
{
    static char          plain[50000];
    struct wire_limits   quick = limits;
    struct spamd_request r;
    struct arena         a;
    struct buf           in, inflated;
    char                 squeezed[1000];
    uLongf               n = sizeof squeezed;

    (void)unused;
    quick.unpack_max = 10000;
    arena_init(&a, 1 << 20);
    buf_init(&in, 10000);
    buf_init(&inflated, 200000);
    compress((Bytef *)squeezed, &n, (const Bytef *)plain, sizeof plain);
    for (size_t max = 40000; max <= 60000; max += 20000) {
        quick.body_max = max;
        buf_clear(&in);
        buf_printf(&in, "CHECK SPAMC/1.5\r\nCompress: zlib\r\nContent-length: %lu\r\n\r\n", n);
        buf_put(&in, span_make(squeezed, n));
        spamd_begin(&r, &a, &inflated, &quick);
        assert_int_equal(spamd_step(&r, &in, false), WIRE_DONE);
        assert_true(spamd_packed(&r));
        assert_int_equal(r.used, in.n);
        assert_int_equal(spamd_unpack(&r), max < sizeof plain ? WIRE_BAD : WIRE_DONE);
        assert_false(spamd_packed(&r));
        if (max > sizeof plain)
            assert_true(span_eq(r.body, span_make(plain, sizeof plain)));
    }
    buf_fini(&inflated);
    buf_fini(&in);
    arena_fini(&a);
}

static void a_late_request_is_told_so(void **unused)
{
    struct spamd_request r;
    struct arena         a;
    struct buf           in, inflated, out;

    (void)unused;
    arena_init(&a, 10000);
    buf_init(&in, 10000);
    buf_init(&inflated, 100);
    buf_init(&out, 1000);
    spamd_begin(&r, &a, &inflated, &limits);
    buf_puts(&in, "CHECK SPAMC/1.5\r\nContent-length: 100\r\n\r\nhi");
    assert_int_equal(spamd_step(&r, &in, false), WIRE_MORE);
    assert_true(spamd_head_done(&r));
    assert_int_equal(spamd_wants(&r, &in), 98);
    spamd_expire(&r);
    spamd_put_bad(&out, &r);
    check_same("30, 31", buf_span(&out), SPAN("SPAMD/1.0 79 Timeout: the message did not come in time\r\n"));
    arena_fini(&a);
    buf_fini(&in);
    buf_fini(&inflated);
    buf_fini(&out);
}

/* ---- replies ---- */

static const struct spamd_result spam = {.spam = true,
                                         .score = 15,
                                         .threshold = 6,
                                         .symbols = {"A,B", 3},
                                         .report = {"one\ntwo\n", 8},
                                         .action = {"reject", 6},
                                         .message_id = {"m@x", 3},
                                         .smtp_message = {"Blocked by rule 7", 17},
                                         .version = {"Postern 1.0", 11},
                                         .host = {"mx", 2},
                                         .reject_threshold = 15};
static const struct spamd_result ham = {.score = -100,
                                        .threshold = 6,
                                        .report = {"none\n", 5},
                                        .version = {"Postern 1.0", 11},
                                        .host = {"mx", 2},
                                        .action = {"no action", 9},
                                        .reject_threshold = 15};

#define OK11 "SPAMD/1.1 0 EX_OK\r\n"
#define TRUE_LINE "Spam: True ; 15.0 / 6.0\r\n"
#define FALSE_LINE "Spam: False ; -100.0 / 6.0\r\n"
#define SPAM_FIELDS                                                                                                    \
    "X-Spam-Checker-Version: Postern 1.0 on mx\nX-Spam-Flag: YES\nX-Spam-Level: ***************\n"                     \
    "X-Spam-Status: Yes, score=15.0 required=6.0 tests=A,B autolearn=no version=1.0\nX-Spam-Report:\n\t* one\n\t* "    \
    "two\n"
#define HAM_FIELDS                                                                                                     \
    "X-Spam-Checker-Version: Postern 1.0 on mx\r\nX-Spam-Level: \r\n"                                                  \
    "X-Spam-Status: No, score=-100.0 required=6.0 tests=none autolearn=no version=1.0\r\n"

static const struct {
    const char                *holds;
    enum spamd_verb            verb;
    int                        version;
    const char                *body;
    const struct spamd_result *result;
    const char                *reply;
} replies[] = {
    {"CHECK", SPAMD_CHECK, 105, MSG, &spam, OK11 TRUE_LINE "\r\n"},
    {"CHECK 1.0", SPAMD_CHECK, 100, MSG, &ham, OK11 FALSE_LINE "\r\n"},
    {"SYMBOLS", SPAMD_SYMBOLS, 105, MSG, &spam, OK11 "Content-length: 3\r\n" TRUE_LINE "\r\nA,B"},
    {"15 SYMBOLS 1.2", SPAMD_SYMBOLS, 102, MSG, &spam, OK11 TRUE_LINE "\r\nA,B\r\n"},
    {"SYMBOLS without any", SPAMD_SYMBOLS, 103, MSG, &ham, OK11 "Content-length: 0\r\n" FALSE_LINE "\r\n"},
    {"REPORT", SPAMD_REPORT, 105, MSG, &spam, OK11 "Content-length: 8\r\n" TRUE_LINE "\r\none\ntwo\n"},
    {"15 REPORT 1.2, for Exim", SPAMD_REPORT, 102, MSG, &spam, OK11 TRUE_LINE "\r\none\r\ntwo\r\n"},
    {"16 REPORT_IFSPAM, spam", SPAMD_REPORT_IFSPAM, 105, MSG, &spam,
     OK11 "Content-length: 8\r\n" TRUE_LINE "\r\none\ntwo\n"},
    {"16 REPORT_IFSPAM, ham", SPAMD_REPORT_IFSPAM, 105, MSG, &ham, OK11 "Content-length: 0\r\n" FALSE_LINE "\r\n"},
    {"PROCESS 1.0", SPAMD_PROCESS, 100, MSG, &spam, "SPAMD/1.0 0 EX_OK\r\n" SPAM_FIELDS MSG},
    {"15 PROCESS 1.2", SPAMD_PROCESS, 102, MSG, &spam, OK11 "Content-length: 211\r\n\r\n" SPAM_FIELDS MSG},
    {"PROCESS", SPAMD_PROCESS, 105, MSG, &spam, OK11 "Content-length: 211\r\n" TRUE_LINE "\r\n" SPAM_FIELDS MSG},
    {"17 HEADERS of a CRLF message, X-Spam fields gone", SPAMD_HEADERS, 105,
     "From x Sat\r\nReturn-Path:\r\n <a@b>\r\nX-SPAM-Flag: NO\r\n\tfolded\r\nA: b\r\nX-Spam: Yes\r\nX-Spamming: "
     "stays\r\n"
     "x-spam-status : No\r\n\r\nbody\r\n",
     &ham,
     OK11 "Content-length: 202\r\n" FALSE_LINE "\r\nFrom x Sat\r\nReturn-Path:\r\n <a@b>\r\n" HAM_FIELDS
          "A: b\r\nX-Spamming: stays\r\n\r\n"},
    {"17 HEADERS of a message without a blank line", SPAMD_HEADERS, 105, "A: b\r\nC: d", &ham,
     OK11 "Content-length: 151\r\n" FALSE_LINE "\r\n" HAM_FIELDS "A: b\r\nC: d"},
};

static void replies_are_those_of_spamd_byte_for_byte(void **unused)
{
    struct buf out;

    (void)unused;
    buf_init(&out, 10000);
    for (size_t i = 0; i < COUNT(replies); i++) {
        struct spamd_request r = {
            .verb = replies[i].verb, .version = replies[i].version, .body = span_of(replies[i].body)};

        buf_clear(&out);
        spamd_put_result(&out, &r, replies[i].result);
        check_same(replies[i].holds, buf_span(&out), span_of(replies[i].reply));
    }
    buf_fini(&out);
}

static void rspamds_text_form_has_the_true_word(void **unused)
{
    struct spamd_request r = {.verb = SPAMD_CHECK, .version = 103, .rspamc = true};
    const double         scores[] = {100, -0.5};
    struct spamd_result  scored = spam;
    struct buf           out;

    (void)unused;
    buf_init(&out, 10000);
    spamd_put_result(&out, &r, &spam);
    check_same("60", buf_span(&out),
               SPAN("RSPAMD/1.3 0 EX_OK\r\nMetric: default; True; 15.00 / 6.00 / 15.00\r\nAction: reject\r\n"
                    "Symbol: A(1.00)\r\nSymbol: B(1.00)\r\nMessage: Blocked by rule 7\r\nMessage-ID: m@x\r\n"));
    buf_clear(&out);
    scored.symbol_scores = scores;
    spamd_put_result(&out, &r, &scored);
    assert_true(span_find(buf_span(&out), SPAN("Symbol: A(100.00)\r\nSymbol: B(-0.50)\r\n")) < out.n);
    buf_clear(&out);
    spamd_put_result(&out, &r, &ham);
    check_same("60 ham has something behind the metric, as Exim needs", buf_span(&out),
               SPAN("RSPAMD/1.3 0 EX_OK\r\nMetric: default; False; -100.00 / 6.00 / 15.00\r\nAction: no action\r\n"));
    buf_fini(&out);
}

static const struct {
    bool        spam;
    double      score;
    const char *line;
} rounded[] = {
    {false, 5.96, "Spam: False ; 5.9 / 6.0\r\n"},  {false, 6.0, "Spam: False ; 5.9 / 6.0\r\n"},
    {true, 5.94, "Spam: True ; 6.0 / 6.0\r\n"},    {true, 14.94, "Spam: True ; 14.9 / 6.0\r\n"},
    {false, -0.01, "Spam: False ; 0.0 / 6.0\r\n"}, {false, -0.06, "Spam: False ; -0.1 / 6.0\r\n"},
};

static void the_numbers_never_contradict_the_word(void **unused)
{
    struct spamd_request r = {.verb = SPAMD_CHECK, .version = 105};
    struct buf           out;

    (void)unused;
    buf_init(&out, 1000);
    for (size_t i = 0; i < COUNT(rounded); i++) {
        struct spamd_result result = {.spam = rounded[i].spam, .score = rounded[i].score, .threshold = 6};

        buf_clear(&out);
        spamd_put_result(&out, &r, &result);
        assert_true(span_find(buf_span(&out), span_of(rounded[i].line)) < out.n);
    }
    buf_fini(&out);
}

/* Exim's buffer takes 32,600 bytes, each bare LF adding one. */
static void a_report_stays_below_8_kib_in_whole_lines(void **unused)
{
    struct spamd_request r = {.verb = SPAMD_REPORT, .version = 102};
    struct spamd_result  result = spam;
    struct buf           report, out;

    (void)unused;
    buf_init(&report, 100000);
    buf_init(&out, 100000);
    put_times(&report, "a line of a report\r of length\n", 2000);
    result.report = buf_span(&report);
    spamd_put_result(&out, &r, &result);
    assert_true(out.n > 7000 && out.n < 8192);
    assert_true(span_ends(buf_span(&out), SPAN("\na line of a report_ of length\r\n")));
    for (size_t i = 0; i < out.n; i++)
        assert_true(out.p[i] != '\n' || out.p[i - 1] == '\r');
    buf_fini(&report);
    buf_fini(&out);
}

/* protocols.md 4.1: rspamd joins the fold and takes what stands before " autolearn=" as the tests. */
static void long_lists_of_tests_fold_behind_commas_with_one_autolearn_behind_them(void **unused)
{
    struct spamd_request r = {.verb = SPAMD_HEADERS, .version = 105, .body = SPAN("A: b\n\n")};
    struct spamd_result  result = spam;
    struct buf           out;

    (void)unused;
    buf_init(&out, 10000);
    result.symbols = SPAN("POSTERN_BLOCK,SOME_RATHER_LONG_NAME,ANOTHER_RATHER_LONG_NAME,THIRD\r\nX: y");
    spamd_put_result(&out, &r, &result);
    size_t at = span_find(buf_span(&out), SPAN("X-Spam-Status"));
    assert_true(
        span_starts(span_skip(buf_span(&out), at),
                    SPAN("X-Spam-Status: Yes, score=15.0 required=6.0 tests=POSTERN_BLOCK,\n"
                         "\tSOME_RATHER_LONG_NAME,ANOTHER_RATHER_LONG_NAME,THIRD__X: y autolearn=no version=1.0\n")));
    buf_fini(&out);
}

static void small_replies_are_exact(void **unused)
{
    struct spamd_request r = {.verb = SPAMD_TELL, .version = 105}, legacy = {.rspamc = true};
    struct buf           out;

    (void)unused;
    buf_init(&out, 10000);
    spamd_put_pong(&out);
    check_same("18", buf_span(&out), SPAN("SPAMD/1.5 0 PONG\r\n"));
    buf_clear(&out);
    spamd_put_tell(&out, SPAMD_LOCAL | SPAMD_REMOTE, 0);
    check_same("29", buf_span(&out), SPAN(OK11 "DidSet: local,remote\r\n\r\n\r\n"));
    buf_clear(&out);
    spamd_put_tell(&out, SPAMD_LOCAL, SPAMD_REMOTE);
    check_same("27", buf_span(&out), SPAN(OK11 "DidSet: local\r\nDidRemove: remote\r\n\r\n\r\n"));
    buf_clear(&out);
    spamd_put_tell(&out, 0, 0);
    check_same("27 nothing done", buf_span(&out), SPAN(OK11 "\r\n\r\n"));
    buf_clear(&out);
    spamd_put_error(&out, &r, SPAMD_EX_UNAVAILABLE, SPAMD_TELL_OFF);
    check_same(
        "27 refused", buf_span(&out),
        SPAN("SPAMD/1.0 69 Service Unavailable: TELL commands are not enabled, set the --allow-tell switch.\r\n"));
    buf_clear(&out);
    spamd_put_error(&out, &legacy, SPAMD_EX_TEMPFAIL, "x");
    check_same("60 refused", buf_span(&out), SPAN("RSPAMD/1.3 75 EX_TEMPFAIL\r\n"));
    buf_fini(&out);
}

static const struct {
    const char *holds, *message, *rewritten;
} rewrites[] = {
    {"an empty message", "", "F\n"},
    {"only a blank line", "\n", "F\n\n"},
    {"only From without an end", "From x", "F\nFrom x"},
    {"only From", "From x\n", "From x\nF\n"},
    {"a From field is no mbox line", "From: x\n\n", "F\nFrom: x\n\n"},
    {"a body keeps what looks like ours", "A: b\n\nX-Spam-Flag: YES\n", "F\nA: b\n\nX-Spam-Flag: YES\n"},
    {"one at the end without a line end", "A: b\nX-Spam-Flag: YES", "F\nA: b\n"},
    {"all in a row", "X-Spam-A: 1\nX-Spam-B: 2\n 3\nX-Spam-C: 4\n\nx", "F\n\nx"},
    {"Return-Path at the very end", "Return-Path: <>", "F\nReturn-Path: <>"},
    {"a name without a colon is no field", "X-Spam-Flag\n\n", "F\nX-Spam-Flag\n\n"},
};

static void rewriting_keeps_all_but_spam_fields(void **unused)
{
    struct buf out;

    (void)unused;
    buf_init(&out, 10000);
    for (size_t i = 0; i < COUNT(rewrites); i++) {
        buf_clear(&out);
        spamd_put_rewritten(&out, span_of(rewrites[i].message), SPAN("F\n"), false);
        check_same(rewrites[i].holds, buf_span(&out), span_of(rewrites[i].rewritten));
    }
    buf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_means_the_same_however_it_is_cut),
        cmocka_unit_test(heads_have_limits),
        cmocka_unit_test(nul_bytes_are_refused_in_the_head_and_kept_in_the_message),
        cmocka_unit_test(a_zlib_message_is_undone_within_its_limit),
        cmocka_unit_test(a_message_that_grows_large_stays_packed_until_asked),
        cmocka_unit_test(a_late_request_is_told_so),
        cmocka_unit_test(replies_are_those_of_spamd_byte_for_byte),
        cmocka_unit_test(rspamds_text_form_has_the_true_word),
        cmocka_unit_test(the_numbers_never_contradict_the_word),
        cmocka_unit_test(a_report_stays_below_8_kib_in_whole_lines),
        cmocka_unit_test(long_lists_of_tests_fold_behind_commas_with_one_autolearn_behind_them),
        cmocka_unit_test(small_replies_are_exact),
        cmocka_unit_test(rewriting_keeps_all_but_spam_fields),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
