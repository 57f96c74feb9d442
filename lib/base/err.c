/* lib/base/err.c - see err.h. One table says what each code is called and how a command ends with it. */
#include "base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>

#include "base/utf8.h"

static const struct {
    const char *word;
    int         exit_code;
} codes[] = {
    [ERR_NONE] = {"none", EX_OK},
    [ERR_INVALID] = {"invalid", EX_DATAERR},
    [ERR_USAGE] = {"usage", EX_USAGE},
    [ERR_PROTOCOL] = {"protocol", EX_PROTOCOL},
    [ERR_LIMIT] = {"limit", EX_DATAERR},
    [ERR_DENIED] = {"denied", EX_NOPERM},
    [ERR_NOT_FOUND] = {"not_found", EX_NOINPUT},
    [ERR_CONFLICT] = {"conflict", EX_DATAERR},
    [ERR_BUSY] = {"busy", EX_TEMPFAIL},
    [ERR_LOST] = {"lost", EX_UNAVAILABLE},
    [ERR_FULL] = {"full", EX_CANTCREAT},
    [ERR_TIMEOUT] = {"timeout", EX_TEMPFAIL},
    [ERR_CORRUPT] = {"corrupt", EX_DATAERR},
    [ERR_VERSION] = {"version", EX_CONFIG},
    [ERR_IO] = {"io", EX_IOERR},
};

static const struct {
    int           number;
    enum err_code code;
} errnos[] = {
    {ENOENT, ERR_NOT_FOUND},   {ENOSPC, ERR_FULL},       {EDQUOT, ERR_FULL},       {EACCES, ERR_DENIED},
    {EPERM, ERR_DENIED},       {EROFS, ERR_DENIED},      {EEXIST, ERR_CONFLICT},   {EBUSY, ERR_BUSY},
    {EAGAIN, ERR_BUSY},        {EADDRINUSE, ERR_BUSY},   {ETIMEDOUT, ERR_TIMEOUT}, {ECONNREFUSED, ERR_LOST},
    {ECONNRESET, ERR_LOST},    {ECONNABORTED, ERR_LOST}, {EPIPE, ERR_LOST},        {ENOTCONN, ERR_LOST},
    {EHOSTUNREACH, ERR_LOST},  {ENETUNREACH, ERR_LOST},  {ENETDOWN, ERR_LOST},     {EFBIG, ERR_LIMIT},
    {ENAMETOOLONG, ERR_LIMIT}, {EMFILE, ERR_LIMIT},      {ENFILE, ERR_LIMIT},      {EINVAL, ERR_INVALID},
};

/* What was cut may end in half a character: without that one, and at most its four bytes. */
static struct span without_last(struct span s)
{
    for (int i = 0; i < 4 && s.n > 0; i++) {
        if ((s.p[--s.n] & 0xC0) != 0x80)
            break;
    }
    return s;
}

/* Formats, and copies with control bytes escaped: what a stranger wrote may stand in the arguments. Text that
 * does not fit is cut between two characters. */
static void set_text(struct err *e, const char *fmt, va_list ap)
{
    char   raw[sizeof e->text], safe[UTF8_SAFE_MAX];
    size_t n = 0;
    int    len = vsnprintf(raw, sizeof raw, fmt, ap);

    struct span all = span_make(raw, len < 0 ? 0 : (size_t)len < sizeof raw ? (size_t)len : sizeof raw - 1);

    if (len >= (int)sizeof raw)
        all = without_last(all);
    for (size_t at = 0; at < all.n;) {
        size_t more = utf8_next_safe(all, &at, safe);

        if (n + more >= sizeof e->text)
            break;
        memcpy(e->text + n, safe, more);
        n += more;
    }
    e->text[n] = '\0';
}

static void set(struct err *e, enum err_code code, size_t at, const char *fmt, va_list ap)
{
    if (e == NULL)
        return;
    e->code = code;
    e->at = at;
    set_text(e, fmt, ap);
}

int err_set(struct err *e, enum err_code code, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    set(e, code, 0, fmt, ap);
    va_end(ap);
    return -1;
}

int err_at(struct err *e, size_t at, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    set(e, ERR_INVALID, at, fmt, ap);
    va_end(ap);
    return -1;
}

static enum err_code code_of(int number)
{
    for (size_t i = 0; i < COUNT(errnos); i++) {
        if (errnos[i].number == number)
            return errnos[i].code;
    }
    return ERR_IO;
}

static void append(struct err *e, const char *between, const char *text)
{
    size_t n = strlen(e->text);

    snprintf(e->text + n, sizeof e->text - n, "%s%s", between, text);
}

int err_errno(struct err *e, const char *fmt, ...)
{
    int     number = errno;
    char    why[128];
    va_list ap;

    if (e == NULL)
        return -1;
    va_start(ap, fmt);
    set(e, code_of(number), 0, fmt, ap);
    va_end(ap);
    append(e, ": ", strerror_r(number, why, sizeof why));
    return -1;
}

int err_wrap(struct err *e, const char *fmt, ...)
{
    char    before[sizeof e->text];
    va_list ap;

    if (e == NULL)
        return -1;
    memcpy(before, e->text, sizeof before);
    va_start(ap, fmt);
    set_text(e, fmt, ap);
    va_end(ap);
    append(e, ": ", before);
    return -1;
}

const char *err_word(enum err_code code) { return (size_t)code < COUNT(codes) ? codes[code].word : "unknown"; }

int err_exit_code(enum err_code code) { return (size_t)code < COUNT(codes) ? codes[code].exit_code : EX_SOFTWARE; }

void panic_at(const char *file, int line, const char *fmt, ...)
{
    va_list ap;

    fprintf(stderr, "%s: bug at %s:%d: ", program_invocation_short_name, file, line);
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fputc('\n', stderr);
    abort();
}

void fatal(const struct err *e)
{
    fprintf(stderr, "%s: %s\n", program_invocation_short_name, e->text);
    exit(err_exit_code(e->code));
}
