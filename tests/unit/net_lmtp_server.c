/* A session of LMTP as a transcript: what the client says, whole and in pieces, and everything that it hears. */
#include "net.h"
#include "net/lmtp_server.h"

static const struct lmtp_limits limits = {.message_max = 200, .rcpt_max = 3, .idle_max = 12, .errors_max = 4};

/* Who is asked takes a@…, puts everybody else off, and answers a message for its second recipient with "later". */
static void answer(struct lmtp_server *s, enum lmtp_step got, struct buf *out, struct buf *seen)
{
    if (got == LMTP_RCPT) {
        bool later = !span_starts(s->recipient, SPAN("a"));

        lmtp_server_rcpt(s, later, later ? "not here" : NULL, out);
        return;
    }
    buf_printf(seen, "[%.*s>", SPAN_ARG(s->sender));
    for (size_t i = 0; i < s->nrcpts; i++) {
        buf_printf(seen, "%s%.*s", i > 0 ? "," : "", SPAN_ARG(s->rcpts[i]));
        lmtp_server_answer(s, i == 1, NULL, out);
    }
    buf_printf(seen, "|%s%.*s]", s->too_large ? "too large" : "", SPAN_ARG(buf_span(s->message)));
    lmtp_server_answer(s, false, "one too many", out);
}

static void replay(struct span bytes, struct cut cut, struct buf *out, struct buf *seen)
{
    struct lmtp_server s;
    struct arena       a;
    struct buf         in, message;
    enum lmtp_step     got = LMTP_MORE;

    arena_init(&a, 1 << 20);
    buf_init(&in, 1 << 20);
    buf_init(&message, limits.message_max);
    buf_clear(out);
    buf_clear(seen);
    lmtp_server_begin(&s, &limits, "mx", &message, &a, out);
    for (size_t at = 0, n; got != LMTP_END; at += n) {
        n = at < bytes.n ? cut_next(cut, at, bytes.n) : 0;
        append_moving(&in, span_head(span_skip(bytes, at), n));
        while ((got = lmtp_server_step(&s, &in, n == 0, out)) == LMTP_RCPT || got == LMTP_MESSAGE)
            answer(&s, got, out, seen);
    }
    arena_fini(&a);
    buf_fini(&in);
    buf_fini(&message);
}

#define HELLO "LHLO client\r\n"
#define WELCOME "250-mx\r\n250-PIPELINING\r\n250-ENHANCEDSTATUSCODES\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250 DSN\r\n"
#define FROM "MAIL FROM:<s@ext.example>\r\n"
#define OK_FROM "250 2.1.0 ok\r\n"
#define TO "RCPT TO:<a@ours>\r\n"
#define OK_TO "250 2.1.5 ok\r\n"
#define GO "354 go on\r\n"
#define OK_DATA "250 2.0.0 ok\r\n"
#define QUIT "QUIT\r\n"
#define BYE "221 2.0.0 bye\r\n"
#define NO_ADDRESS "501 5.5.4 an address stands between < and >\r\n"

static const struct {
    const char *holds, *says, *hears, *seen;
} sessions[] = {
    {"a message arrives, and each recipient has a reply of its own",
     HELLO FROM                     TO "RCPT TO:<a2@ours>\r\nDATA\r\nSubject: x\r\n\r\ny\r\n.\r\n" QUIT,
     WELCOME OK_FROM OK_TO OK_TO GO OK_DATA "451 4.3.0 not now\r\n" BYE,
     "[s@ext.example>a@ours,a2@ours|Subject: x\r\n\r\ny\r\n]"},
    {"who is not taken has none", HELLO FROM "RCPT TO:<b@ours>\r\n" TO "DATA\r\n.\r\n" QUIT,
     WELCOME OK_FROM "450 4.1.1 not here\r\n" OK_TO GO OK_DATA BYE, "[s@ext.example>a@ours|]"},
    {"without a recipient there is no message", HELLO FROM "RCPT TO:<b@ours>\r\nDATA\r\n" QUIT,
     WELCOME OK_FROM "450 4.1.1 not here\r\n503 5.5.1 no valid recipients\r\n" BYE, ""},
    {"further messages in one session", HELLO FROM TO "DATA\r\n1\r\n.\r\n" FROM TO "DATA\r\n2\r\n.\r\n" QUIT,
     WELCOME OK_FROM OK_TO GO OK_DATA OK_FROM OK_TO GO OK_DATA BYE,
     "[s@ext.example>a@ours|1\r\n][s@ext.example>a@ours|2\r\n]"},
    {"dots that the protocol added go, others stay", HELLO FROM TO "DATA\r\n..\r\n...x\r\na.\r\n.y\r\n.\r\n" QUIT,
     WELCOME OK_FROM OK_TO GO OK_DATA BYE, "[s@ext.example>a@ours|.\r\n..x\r\na.\r\ny\r\n]"},
    {"nothing but CRLF.CRLF ends a message",
     HELLO FROM                       TO "DATA\r\na\n.\n.\r\r\nb\r.\r\nc\n.\r\n\r.\r\n.\rx\r\n.\r\n" QUIT,
     WELCOME OK_FROM OK_TO GO OK_DATA BYE, "[s@ext.example>a@ours|a\n.\n.\r\r\nb\r.\r\nc\n.\r\n\r.\r\n\rx\r\n]"},
    {"the null sender, quotes, blanks and parameters",
     "lhlo client\r\nmail from:<> SIZE=12 BODY=8BITMIME RET=HDRS ENVID=x SMTPUTF8 AUTH=<>\r\n"
     "rcpt to: <a\"x>y\\\"\"@ours> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;a+20b\r\ndata\r\n.\r\nquit\r\n",
     WELCOME OK_FROM OK_TO GO OK_DATA BYE, "[>a\"x>y\\\"\"@ours|]"},
    {"no sender is refused for how it is written", HELLO "MAIL FROM:<@a,@b:\"c d\"@@[..>\r\n" TO "DATA\r\n.\r\n" QUIT,
     WELCOME OK_FROM OK_TO GO OK_DATA BYE, "[@a,@b:\"c d\"@@[..>a@ours|]"},
    {"commands have their order", "NOOP\r\n" FROM TO "DATA\r\n" HELLO TO "VRFY x\r\n" QUIT,
     "250 2.0.0 ok\r\n503 5.5.1 not now\r\n503 5.5.1 not now\r\n503 5.5.1 not now\r\n" WELCOME
     "503 5.5.1 not now\r\n252 2.1.5 send some mail, and see\r\n" BYE,
     ""},
    {"a second MAIL is one too many, and RSET begins anew", HELLO FROM FROM TO "RSET\r\nDATA\r\n" FROM QUIT,
     WELCOME OK_FROM "503 5.5.1 not now\r\n" OK_TO "250 2.0.0 ok\r\n503 5.5.1 not now\r\n" OK_FROM BYE, ""},
    {"what stands for nobody is no recipient", HELLO FROM "RCPT TO:<>\r\nRCPT TO:a@ours\r\nRCPT a@ours\r\n" QUIT,
     WELCOME OK_FROM "501 5.1.3 that is nobody\r\n" NO_ADDRESS "501 5.5.4 that is not how it is written\r\n" BYE, ""},
    {"what it does not know it refuses", "EHLO x\r\n" HELLO "MAIL FROM:<s> MORE=1\r\nBDAT 5 LAST\r\nLHLO\r\n" QUIT,
     "500 5.5.1 there is no such command\r\n" WELCOME
     "555 5.5.4 there is no such parameter\r\n500 5.5.1 there is no such command\r\n501 5.5.4 who is there?\r\n" BYE,
     ""},
    {"a path ends where it ends", HELLO "MAIL FROM:<s\r\nMAIL FROM:<s>x\r\nMAIL FROM:<\"s>\r\n" QUIT,
     WELCOME NO_ADDRESS NO_ADDRESS NO_ADDRESS BYE, ""},
    {"lines end in CRLF and are text", "LHLO x\nLHLO \001\r\nLHLO \r\r\n" QUIT,
     "500 5.5.2 a command is a line of text that ends in CRLF\r\n"
     "500 5.5.2 a command is a line of text that ends in CRLF\r\n"
     "500 5.5.2 a command is a line of text that ends in CRLF\r\n" BYE,
     ""},
    {"more recipients than it takes are put off", HELLO FROM TO TO TO TO "DATA\r\n.\r\n" QUIT,
     WELCOME OK_FROM OK_TO OK_TO OK_TO "452 4.5.3 too many recipients\r\n" GO OK_DATA
                                       "451 4.3.0 not now\r\n" OK_DATA        BYE,
     "[s@ext.example>a@ours,a@ours,a@ours|]"},
    {"who makes too many mistakes is sent away", HELLO "x\r\nx\r\nx\r\nx\r\nx\r\nNOOP\r\n",
     WELCOME "500 5.5.1 there is no such command\r\n500 5.5.1 there is no such command\r\n"
             "500 5.5.1 there is no such command\r\n500 5.5.1 there is no such command\r\n"
             "500 5.5.1 there is no such command\r\n421 4.4.2 too many mistakes\r\n",
     ""},
    {"who hangs up in a message has sent none", HELLO FROM TO "DATA\r\nx\r\n", WELCOME OK_FROM OK_TO GO, ""},
    {"nor has who hangs up in its last line", HELLO FROM TO "DATA\r\nx\r\n.\r", WELCOME OK_FROM OK_TO GO, ""},
    {"nothing said, nothing heard", "", "", ""},
};

static void a_session_goes_the_same_way_however_its_bytes_come(void **unused)
{
    static const struct cut cuts[] = {{0, 0}, {0, 1}, {0, 2}, {0, 3}, {1, 7}, {5, 0}};
    struct buf              out, seen, want;

    (void)unused;
    buf_init(&out, 1 << 20);
    buf_init(&seen, 1 << 20);
    buf_init(&want, 1 << 20);
    for (size_t i = 0; i < COUNT(sessions); i++) {
        buf_clear(&want);
        buf_puts(&want, "220 mx LMTP\r\n");
        buf_puts(&want, sessions[i].hears);
        for (size_t j = 0; j < COUNT(cuts); j++) {
            replay(span_of(sessions[i].says), cuts[j], &out, &seen);
            check_same(sessions[i].holds, buf_span(&out), buf_span(&want));
            check_same(sessions[i].holds, buf_span(&seen), span_of(sessions[i].seen));
        }
    }
    buf_fini(&out);
    buf_fini(&seen);
    buf_fini(&want);
}

/* What is said, and how often a part of it; how what is heard ends, and what was seen. */
static const struct {
    const char *holds, *before, *again;
    size_t      times;
    const char *after, *end, *seen;
} long_ones[] = {
    {"a message that is too large is read and dropped", HELLO FROM TO "DATA\r\n", "0123456789\r\n", 1000,
     ".\r\n" FROM TO "DATA\r\nx\r\n.\r\n" QUIT, OK_DATA OK_FROM OK_TO GO OK_DATA BYE,
     "[s@ext.example>a@ours|too large][s@ext.example>a@ours|x\r\n]"},
    {"a line without an end is cut short", "LHLO ", "x", 20000, "", "421 4.4.2 that line is too long\r\n", ""},
    {"so is one with an end", "LHLO ", "x", 20000, "\r\nQUIT\r\n", "421 4.4.2 that line is too long\r\n", ""},
    {"who sends nothing but words is sent away", HELLO, "NOOP\r\n", 100, "",
     "250 2.0.0 ok\r\n421 4.4.2 too many commands without a message\r\n", ""},
};

static void there_is_a_bound_on_everything(void **unused)
{
    static const struct cut cuts[] = {{0, 0}, {0, 1}, {3, 4096}};
    struct buf              out, seen, says;

    (void)unused;
    buf_init(&out, 1 << 20);
    buf_init(&seen, 1 << 20);
    buf_init(&says, 1 << 20);
    for (size_t i = 0; i < COUNT(long_ones); i++) {
        buf_clear(&says);
        buf_puts(&says, long_ones[i].before);
        put_times(&says, long_ones[i].again, long_ones[i].times);
        buf_puts(&says, long_ones[i].after);
        for (size_t j = 0; j < COUNT(cuts); j++) {
            replay(buf_span(&says), cuts[j], &out, &seen);
            if (!span_ends(buf_span(&out), span_of(long_ones[i].end)))
                check_same(long_ones[i].holds, buf_span(&out), span_of(long_ones[i].end));
            check_same(long_ones[i].holds, buf_span(&seen), span_of(long_ones[i].seen));
        }
    }
    buf_fini(&out);
    buf_fini(&seen);
    buf_fini(&says);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_session_goes_the_same_way_however_its_bytes_come),
        cmocka_unit_test(there_is_a_bound_on_everything),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
