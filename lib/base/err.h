/* lib/base/err.h - errors as values.
 *
 * A function that can fail takes `struct err *e` last and returns -1 (or NULL) having filled it: what was
 * tried, on what, and why it failed, in one sentence without a final stop. The text lives in the struct, so
 * nobody owns it. Only who gives up logs it. Passing NULL for e is allowed and drops the text.
 *
 * Three kinds: a bug is panic(); "cannot start" is fatal() in a main.c; everything else is -1 and an err. */
#ifndef POSTERN_BASE_ERR_H
#define POSTERN_BASE_ERR_H

#include "base/span.h"

enum err_code {
    ERR_NONE = 0,
    ERR_INVALID,   /* the input is wrong: names what and where */
    ERR_USAGE,     /* the words of a command are wrong: an unknown option, one too many, one missing */
    ERR_PROTOCOL,  /* the peer broke its protocol */
    ERR_LIMIT,     /* a limit of ours was reached */
    ERR_DENIED,    /* not permitted */
    ERR_NOT_FOUND, /* the named thing does not exist */
    ERR_CONFLICT,  /* it exists already, or was changed meanwhile */
    ERR_BUSY,      /* locked by somebody else: try again */
    ERR_LOST,      /* connection lost or not to be had: try again */
    ERR_FULL,      /* no space left */
    ERR_TIMEOUT,
    ERR_CORRUPT, /* stored data is damaged */
    ERR_VERSION, /* made by a newer or too old release */
    ERR_IO,      /* any other failure of the system */
};

struct err {
    enum err_code code;
    size_t        at; /* byte offset into the input for ERR_INVALID, where it makes sense; else 0 */
    char          text[512];
};

#define ERR_INIT ((struct err){.code = ERR_NONE})

/* All return -1, so that `return err_set(…)` reads well. Control bytes in the arguments come out escaped. */
int err_set(struct err *e, enum err_code code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
int err_at(struct err *e, size_t at, const char *fmt, ...) __attribute__((format(printf, 3, 4))); /* ERR_INVALID */
/* "<fmt>: <strerror(errno)>"; the code follows errno (ENOSPC/EDQUOT: ERR_FULL, ENOENT: ERR_NOT_FOUND, …). */
int err_errno(struct err *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Puts "<fmt>: " in front of the text that e already has. Keeps the code. */
int err_wrap(struct err *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* The word of a code: "invalid", "busy", … for metrics and logs. */
const char *err_word(enum err_code code);
/* The sysexits value that a command ends with for this code (EX_DATAERR, EX_TEMPFAIL, …). */
int err_exit_code(enum err_code code);

/* A bug: says where, and aborts. */
_Noreturn void panic_at(const char *file, int line, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
#define panic(...) panic_at(__FILE__, __LINE__, __VA_ARGS__)
/* Cannot start: writes "program: text" to stderr and exits with err_exit_code(). For main.c alone. */
_Noreturn void fatal(const struct err *e);

#endif
