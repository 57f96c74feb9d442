/* lib/net/lmtp_server.c - see lmtp_server.h.
 *
 * 1. While the caller is asked (LMTP_ASKING, LMTP_ANSWERING) no byte is taken from `in`.
 * 2. `rcpts` and `sender` lie in the arena, which is reset when no transaction is open.
 * 3. Of the bytes that end a line of a message, those that might belong to its end are held back in `place` alone. */
#include "net/lmtp_server.h"

static void reply(struct buf *out, const char *code, const char *text)
{
    buf_puts(out, code);
    buf_putc(out, ' ');
    buf_puts(out, text);
    buf_puts(out, "\r\n");
}

/* A mistake of the client's. */
static bool refuse(struct buf *out, const char *code, const char *text)
{
    reply(out, code, text);
    return false;
}

static void end_transaction(struct lmtp_server *s)
{
    s->state = LMTP_READY;
    s->recipient = s->sender = SPAN_NONE;
    s->rcpts = s->taken = NULL;
    s->nrcpts = s->answered = 0;
    s->too_large = false;
    buf_trim(s->message, 64 << 10);
    arena_reset(s->arena);
}

void lmtp_server_begin(struct lmtp_server *s, const struct lmtp_limits *limits, const char *host, struct buf *message,
                       struct arena *a, struct buf *out)
{
    *s = (struct lmtp_server){.limits = *limits, .host = host, .message = message, .arena = a};
    end_transaction(s);
    s->state = LMTP_FRESH;
    buf_puts(out, "220 ");
    buf_puts(out, host);
    buf_puts(out, " LMTP\r\n");
}

void lmtp_server_quit(struct lmtp_server *s, const char *text, struct buf *out)
{
    if (s->state != LMTP_OVER)
        reply(out, "421 4.4.2", text);
    s->state = LMTP_OVER;
}

/* ---- commands ---- */

static bool is_blank(char c) { return c == ' ' || c == '\t'; }

static struct span skip_blanks(struct span s)
{
    while (s.n > 0 && is_blank(s.p[0]))
        s = span_skip(s, 1);
    return s;
}

/* "<path>" off the front of *rest, quoted strings and escapes in it respected. False: there is none. */
static bool take_path(struct span *rest, struct span *path_out)
{
    bool quoted = false;

    *rest = skip_blanks(*rest);
    if (rest->n == 0 || rest->p[0] != '<')
        return false;
    for (size_t i = 1; i < rest->n; i++) {
        char c = rest->p[i];

        if (c == '\\') {
            i++;
        } else if (c == '"') {
            quoted = !quoted;
        } else if (c == '>' && !quoted) {
            *path_out = span_head(span_skip(*rest, 1), i - 1);
            *rest = span_skip(*rest, i + 1);
            return rest->n == 0 || is_blank(rest->p[0]);
        }
    }
    return false;
}

/* Parameters: each one of these, with or without a value. */
static bool knows_all(struct span rest, const char *const *known)
{
    for (;;) {
        struct span word;
        size_t      i = 0, n = 0;

        rest = skip_blanks(rest);
        while (n < rest.n && !is_blank(rest.p[n]))
            n++;
        if (n == 0)
            return true;
        word = span_head(rest, n);
        rest = span_skip(rest, n);
        word = span_head(word, span_chr(word, '='));
        while (known[i] != NULL && !span_is_ci(word, known[i]))
            i++;
        if (known[i] == NULL)
            return false;
    }
}

/* "FROM:" or "TO:", a path, parameters. False, and the refusal is in out. */
static bool read_path(struct span rest, const char *word, const char *const *known, struct span *path_out,
                      struct buf *out)
{
    if (!span_starts_ci(rest, span_of(word)))
        return refuse(out, "501 5.5.4", "that is not how it is written");
    rest = span_skip(rest, strlen(word));
    if (!take_path(&rest, path_out))
        return refuse(out, "501 5.5.4", "an address stands between < and >");
    if (!knows_all(rest, known))
        return refuse(out, "555 5.5.4", "there is no such parameter");
    return true;
}

static bool do_lhlo(struct lmtp_server *s, struct span rest, struct buf *out)
{
    if (rest.n == 0)
        return refuse(out, "501 5.5.4", "who is there?");
    end_transaction(s);
    buf_puts(out, "250-");
    buf_puts(out, s->host);
    buf_puts(out, "\r\n250-PIPELINING\r\n250-ENHANCEDSTATUSCODES\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250 DSN\r\n");
    return true;
}

static bool do_mail(struct lmtp_server *s, struct span rest, struct buf *out)
{
    static const char *const known[] = {"SIZE", "BODY", "SMTPUTF8", "RET", "ENVID", "AUTH", NULL};
    struct span              path;

    if (!read_path(rest, "FROM:", known, &path, out))
        return false;
    s->taken = arena_array(s->arena, s->limits.rcpt_max, sizeof *s->taken);
    s->sender = arena_dup(s->arena, path);
    if (s->arena->full) {
        end_transaction(s);
        return refuse(out, "452 4.3.1", "out of memory");
    }
    s->rcpts = s->taken;
    s->state = LMTP_MAIL;
    reply(out, "250 2.1.0", "ok");
    return true;
}

static bool do_rcpt(struct lmtp_server *s, struct span rest, struct buf *out)
{
    static const char *const known[] = {"NOTIFY", "ORCPT", NULL};
    struct span              path;

    if (!read_path(rest, "TO:", known, &path, out))
        return false;
    if (path.n == 0)
        return refuse(out, "501 5.1.3", "that is nobody");
    s->recipient = s->nrcpts < s->limits.rcpt_max ? arena_dup(s->arena, path) : SPAN_NONE;
    if (s->recipient.n > 0)
        s->state = LMTP_ASKING;
    else
        reply(out, "452 4.5.3", "too many recipients");
    return true;
}

static bool do_data(struct lmtp_server *s, struct span rest, struct buf *out)
{
    if (rest.n > 0)
        return refuse(out, "501 5.5.4", "DATA stands alone");
    if (s->nrcpts == 0)
        return refuse(out, "503 5.5.1", "no valid recipients");
    s->state = LMTP_DATA;
    s->place = AT_START;
    s->idle = 0;
    reply(out, "354", "go on");
    return true;
}

static bool do_rset(struct lmtp_server *s, struct span rest, struct buf *out)
{
    bool fresh = s->state == LMTP_FRESH;

    (void)rest;
    end_transaction(s);
    if (fresh)
        s->state = LMTP_FRESH;
    reply(out, "250 2.0.0", "ok");
    return true;
}

static bool do_noop(struct lmtp_server *s, struct span rest, struct buf *out)
{
    (void)s;
    (void)rest;
    reply(out, "250 2.0.0", "ok");
    return true;
}

static bool do_vrfy(struct lmtp_server *s, struct span rest, struct buf *out)
{
    (void)s;
    (void)rest;
    reply(out, "252 2.1.5", "send some mail, and see");
    return true;
}

static bool do_quit(struct lmtp_server *s, struct span rest, struct buf *out)
{
    (void)rest;
    s->state = LMTP_OVER;
    reply(out, "221 2.0.0", "bye");
    return true;
}

#define IN(state) (1u << (state))
#define ANY (IN(LMTP_FRESH) | IN(LMTP_READY) | IN(LMTP_MAIL))

static const struct verb {
    const char *name;
    unsigned    when;
    bool (*run)(struct lmtp_server *s, struct span rest, struct buf *out); /* false: a mistake of the client's */
} verbs[] = {
    {"LHLO", ANY, do_lhlo},           {"MAIL", IN(LMTP_READY), do_mail},
    {"RCPT", IN(LMTP_MAIL), do_rcpt}, {"DATA", IN(LMTP_MAIL), do_data},
    {"RSET", ANY, do_rset},           {"NOOP", ANY, do_noop},
    {"VRFY", ANY, do_vrfy},           {"QUIT", ANY, do_quit},
};

static bool is_clean(struct span line)
{
    for (size_t i = 0; i < line.n; i++)
        if (((unsigned char)line.p[i] < ' ' && line.p[i] != '\t') || line.p[i] == 0x7f)
            return false;
    return true;
}

static bool obey(struct lmtp_server *s, struct span line, struct buf *out)
{
    struct span verb;
    size_t      n = 0;

    if (!span_ends(line, SPAN("\r\n")) || !is_clean(line = span_head(line, line.n - 2)))
        return refuse(out, "500 5.5.2", "a command is a line of text that ends in CRLF");
    while (n < line.n && !is_blank(line.p[n]))
        n++;
    verb = span_head(line, n);
    for (const struct verb *v = verbs; v < verbs + COUNT(verbs); v++) {
        if (!span_is_ci(verb, v->name))
            continue;
        if ((v->when & IN(s->state)) == 0)
            return refuse(out, "503 5.5.1", "not now");
        return v->run(s, span_trim(span_skip(line, n)), out);
    }
    return refuse(out, "500 5.5.1", "there is no such command");
}

static void command(struct lmtp_server *s, struct span line, struct buf *out)
{
    s->idle++;
    if (!obey(s, line, out))
        s->errors++;
    if (s->errors > s->limits.errors_max)
        lmtp_server_quit(s, "too many mistakes", out);
    else if (s->idle > s->limits.idle_max)
        lmtp_server_quit(s, "too many commands without a message", out);
}

/* ---- a message ---- */

static void keep(struct lmtp_server *s, struct span bytes)
{
    if (!s->too_large && bytes.n > s->limits.message_max - s->message->n) {
        s->too_large = true;
        buf_trim(s->message, 64 << 10);
    }
    if (!s->too_large)
        buf_put(s->message, bytes);
}

/* Takes bytes up to the end of the message: true when it has come. */
static bool take_data(struct lmtp_server *s, struct span in, size_t *pos)
{
    size_t run;

    while (*pos < in.n) {
        char c = in.p[*pos];

        switch (s->place) {
        case AT_START:
            s->place = c == '.' ? BEHIND_DOT : IN_LINE;
            *pos += c == '.';
            break;
        case IN_LINE:
            run = span_chr(span_skip(in, *pos), '\r');
            keep(s, span_head(span_skip(in, *pos), run));
            *pos += run;
            if (*pos < in.n) {
                s->place = BEHIND_CR;
                ++*pos;
            }
            break;
        case BEHIND_CR:
            keep(s, c == '\n' ? SPAN("\r\n") : SPAN("\r"));
            s->place = c == '\n' ? AT_START : IN_LINE;
            *pos += c == '\n';
            break;
        case BEHIND_DOT:
            s->place = c == '\r' ? BEHIND_DOT_CR : IN_LINE;
            *pos += c == '\r';
            break;
        case BEHIND_DOT_CR:
            if (c == '\n') {
                ++*pos;
                return true;
            }
            keep(s, SPAN("\r"));
            s->place = IN_LINE;
            break;
        }
    }
    return false;
}

/* ---- the caller's answers ---- */

static const char *or_else(const char *text, const char *otherwise) { return text != NULL ? text : otherwise; }

void lmtp_server_rcpt(struct lmtp_server *s, bool later, const char *text, struct buf *out)
{
    if (s->state != LMTP_ASKING)
        return;
    s->state = LMTP_MAIL;
    if (later) {
        reply(out, "450 4.1.1", or_else(text, "not now"));
        return;
    }
    s->taken[s->nrcpts++] = s->recipient;
    reply(out, "250 2.1.5", or_else(text, "ok"));
}

void lmtp_server_answer(struct lmtp_server *s, bool later, const char *text, struct buf *out)
{
    if (s->state != LMTP_ANSWERING || s->answered == s->nrcpts)
        return;
    s->answered++;
    reply(out, later ? "451 4.3.0" : "250 2.0.0", or_else(text, later ? "not now" : "ok"));
}

/* ---- the machine ---- */

/* The next line of `in`: false when its end has not come. */
static bool next_line(struct lmtp_server *s, struct span in, size_t pos, struct span *line)
{
    struct span rest = span_skip(in, pos);
    size_t      from = s->scan > pos ? s->scan - pos : 0, end = from + span_chr(span_skip(rest, from), '\n');

    s->scan = pos + end;
    if (end >= rest.n)
        return false;
    *line = span_head(rest, end + 1);
    return true;
}

static enum lmtp_step asks(const struct lmtp_server *s)
{
    switch (s->state) {
    case LMTP_OVER: return LMTP_END;
    case LMTP_ASKING: return LMTP_RCPT;
    case LMTP_ANSWERING: return LMTP_MESSAGE;
    default: return LMTP_MORE;
    }
}

/* Goes on behind *pos until somebody is asked or all is taken. */
static enum lmtp_step run(struct lmtp_server *s, struct span in, size_t *pos, struct buf *out)
{
    struct span line;

    while (asks(s) == LMTP_MORE) {
        if (s->state == LMTP_DATA) {
            if (!take_data(s, in, pos))
                return LMTP_MORE;
            s->state = LMTP_ANSWERING;
        } else if (next_line(s, in, *pos, &line) && line.n <= LMTP_LINE_MAX) {
            *pos += line.n;
            command(s, line, out);
        } else if (in.n - *pos < LMTP_LINE_MAX) {
            return LMTP_MORE;
        } else {
            lmtp_server_quit(s, "that line is too long", out);
        }
    }
    return asks(s);
}

enum lmtp_step lmtp_server_step(struct lmtp_server *s, struct buf *in, bool eof, struct buf *out)
{
    size_t         pos = 0;
    enum lmtp_step step;

    if (s->state == LMTP_ANSWERING && s->answered == s->nrcpts)
        end_transaction(s);
    step = run(s, buf_span(in), &pos, out);
    buf_consume(in, pos);
    s->scan = s->scan > pos ? s->scan - pos : 0;
    if (eof && step == LMTP_MORE) {
        s->state = LMTP_OVER;
        return LMTP_END;
    }
    return step;
}
