/* A message on its way back into the mail server. The first byte says what the others are:
 *   0  a message: no server, however it reads line ends, takes a line of it for the end of the message and the rest for commands
 *   1  whatever a scan gets to see: nobody who lacks the key makes a bypass
 *   2  a message, which gets a bypass; it is good with other line ends too, and not with a bit of it changed
 * Aims at lib/base/crlf.c and lib/store/bypass.c. */
#include "store/bypass.h"

#include "base/crlf.h"
#include "rules.h"

#define NOW 1000000000000000

static const uint8_t     key[BYPASS_KEY_BYTES] = {7};
static const struct span anna = {"anna@ours.example", 17};

/* As net/smtp_letter.c writes it. */
static void put_stuffed(struct buf *out, struct span message)
{
    struct span line;

    while (crlf_line(&message, &line)) {
        if (line.n > 0 && line.p[0] == '.')
            buf_putc(out, '.');
        buf_put(out, line);
        buf_puts(out, "\r\n");
    }
}

/* A server that takes CR, LF and CRLF for line ends alike: is there a line of one dot? */
static bool ends_early(struct span s)
{
    size_t begun = 0;

    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] != '\r' && s.p[i] != '\n')
            continue;
        if (i - begun == 1 && s.p[begun] == '.')
            return true;
        begun = i + 1;
    }
    return false;
}

static void try_smuggling(struct span message)
{
    struct buf  once, plain, twice;
    struct span line;

    buf_init(&once, 4 << 20);
    buf_init(&plain, 4 << 20);
    buf_init(&twice, 4 << 20);
    put_stuffed(&once, message);
    REQUIRE(!ends_early(buf_span(&once)));
    while (crlf_line(&message, &line)) {
        REQUIRE(span_chr(line, '\n') == line.n);
        buf_put(&plain, line);
        buf_puts(&plain, "\r\n");
    }
    put_stuffed(&twice, buf_span(&plain));
    REQUIRE(span_eq(buf_span(&once), buf_span(&twice)));
    buf_fini(&once);
    buf_fini(&plain);
    buf_fini(&twice);
}

static void try_forging(struct span message)
{
    struct bypass b;

    REQUIRE(!bypass_check(key, message, anna, NOW, &b));
}

static void try_round(struct span message)
{
    struct uuid   uid = {{1, 0x9a, 2, 3, 4, 5, 0x76}};
    struct bypass made, read;
    struct buf    sent, other;
    struct span   rest, line;
    size_t        at = message.n > 0 ? (uint8_t)message.p[0] * 257u : 0;

    if (message.n > 0 && (message.p[0] == ' ' || message.p[0] == '\t'))
        return; /* that would go on with our field: such a message has none that is good */
    buf_init(&sent, 4 << 20);
    buf_init(&other, 4 << 20);
    bypass_put(key, &uid, anna, message, "file_type,virus:0123456789abcdef", NOW, &made, &sent);
    buf_put(&sent, message);
    REQUIRE(bypass_check(key, buf_span(&sent), anna, NOW, &read));
    REQUIRE(memcmp(made.nonce, read.nonce, sizeof made.nonce) == 0 && read.expires_us == made.expires_us);
    for (rest = buf_span(&sent); crlf_line(&rest, &line);) {
        buf_put(&other, line);
        buf_puts(&other, "\r\n");
    }
    REQUIRE(bypass_check(key, buf_span(&other), anna, NOW, &read));
    at %= sent.n - message.n - 2;
    sent.p[at] ^= (char)(1 << at % 5); /* the sixth bit is that of upper and lower case, which mean the same */
    REQUIRE(!bypass_check(key, buf_span(&sent), anna, NOW, &read));
    buf_fini(&sent);
    buf_fini(&other);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span bytes = span_make(data + 1, size - 1);

    if (size == 0)
        return 0;
    if (data[0] % 3 == 0)
        try_smuggling(bytes);
    else if (data[0] % 3 == 1)
        try_forging(bytes);
    else
        try_round(bytes);
    return 0;
}
