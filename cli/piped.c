/* cli/piped.c - see piped.h. */
#include "piped.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

int piped_read(struct buf *b, size_t max, bool *too_large_out, struct err *e)
{
    *too_large_out = false;
    for (;;) {
        char   *to = buf_reserve(b, PIPED_PIECE);
        ssize_t n;

        if (to == NULL) {
            *too_large_out = true;
            buf_clear(b);
            continue;
        }
        n = read(STDIN_FILENO, to, PIPED_PIECE);
        if (n < 0 && errno != EINTR)
            return err_errno(e, "read the mail");
        if (n == 0)
            break;
        b->n += n > 0 ? (size_t)n : 0;
    }
    *too_large_out = *too_large_out || b->n > max;
    if (*too_large_out)
        buf_clear(b);
    return 0;
}

/* Postfix has a name for nobody. */
struct span piped_sender(const char *given)
{
    struct span sender = span_of(given != NULL ? given : getenv("SENDER"));

    if (span_is(sender, "<>") || span_is_ci(span_head(sender, span_chr(sender, '@')), "MAILER-DAEMON"))
        return SPAN_NONE;
    return sender;
}
