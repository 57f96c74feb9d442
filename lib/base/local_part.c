/* lib/base/local_part.c - a mailbox's local part, as an address writes it. */
#include "base/local_part.h"

static bool is_dot_atom(struct span local)
{
    static const char specials[] = "()<>[]:;@\\,\" ";

    for (size_t i = 0; i < local.n; i++)
        if (strchr(specials, local.p[i]) != NULL ||
            (local.p[i] == '.' && (i == 0 || i + 1 == local.n || local.p[i + 1] == '.')))
            return false;
    return local.n > 0;
}

static bool is_quoted(struct span local)
{
    bool escaped = false;

    if (local.n < 2 || local.p[0] != '"' || local.p[local.n - 1] != '"')
        return false;
    for (size_t i = 1; i + 1 < local.n; i++) {
        if (!escaped && local.p[i] == '"')
            return false;
        escaped = !escaped && local.p[i] == '\\';
    }
    return !escaped;
}

void local_part_put(struct buf *b, struct span local)
{
    if (is_dot_atom(local) || is_quoted(local)) {
        buf_put(b, local);
        return;
    }
    buf_putc(b, '"');
    for (size_t i = 0; i < local.n; i++) {
        if (local.p[i] == '"' || local.p[i] == '\\')
            buf_putc(b, '\\');
        buf_putc(b, local.p[i]);
    }
    buf_putc(b, '"');
}
