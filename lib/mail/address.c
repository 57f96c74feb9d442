/* lib/mail/address.c - the address scanner.
 *
 * One tokenizer serves every place: it skips blanks and comments and yields words, quoted strings, domain literals
 * and single marks. An element of a list is read in one pass over its tokens by a small state (struct element);
 * nothing is read twice, except that an unclosed quote or comment is looked for once a field. */
#include "mail/address.h"

#include "mail/text.h"

enum token { TOKEN_END, TOKEN_WORD, TOKEN_QUOTED, TOKEN_LITERAL, TOKEN_MARK };

struct lexer {
    struct span rest;
    struct span token; /* of the last token, as written */
    struct span note;  /* inside of the last comment that was skipped */
    bool        open_quote, open_comment;
    bool        damaged;
    bool        path; /* an envelope path: blanks and comments are marks, with no place in it */
};

static bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

static bool is_mark(char c) { return c != 0 && strchr("()<>[]:;@,.\"", c) != NULL; }

/* Length of the quoted string or comment at the start of s, or 0 when it never ends. */
static size_t quoted_size(struct span s)
{
    for (size_t i = 1; i < s.n; i++) {
        if (s.p[i] == '\\')
            i++;
        else if (s.p[i] == '"')
            return i + 1;
    }
    return 0;
}

static size_t comment_size(struct span s)
{
    size_t depth = 0;

    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '\\')
            i++;
        else if (s.p[i] == '(')
            depth++;
        else if (s.p[i] == ')' && --depth == 0)
            return i + 1;
    }
    return 0;
}

/* Ends at the next bracket of either kind, so that a run of opening ones costs nothing. 0: no literal. */
static size_t literal_size(struct span s)
{
    for (size_t i = 1; i < s.n; i++) {
        if (s.p[i] == ']')
            return i + 1;
        if (s.p[i] == '[' || s.p[i] == '<' || s.p[i] == ',')
            return 0;
    }
    return 0;
}

static enum token take(struct lexer *l, size_t n, enum token kind)
{
    l->token = span_head(l->rest, n);
    l->rest = span_skip(l->rest, n);
    return kind;
}

static void skip_blanks(struct lexer *l)
{
    while (l->rest.n > 0) {
        size_t n;

        if (is_blank(l->rest.p[0])) {
            l->rest = span_skip(l->rest, 1);
            continue;
        }
        if (l->rest.p[0] != '(')
            return;
        n = l->open_comment ? 0 : comment_size(l->rest);
        if (n == 0) { /* never closed: the parenthesis alone is skipped */
            l->open_comment = l->damaged = true;
            n = 1;
        } else {
            l->note = span_make(l->rest.p + 1, n - 2);
        }
        l->rest = span_skip(l->rest, n);
    }
}

static enum token next_token(struct lexer *l)
{
    size_t n = 0;

    if (!l->path)
        skip_blanks(l);
    if (l->rest.n == 0)
        return take(l, 0, TOKEN_END);
    if (l->rest.p[0] == '"') {
        if (!l->open_quote && (n = quoted_size(l->rest)) > 0)
            return take(l, n, TOKEN_QUOTED);
        l->open_quote = l->damaged = true;
        return take(l, 1, TOKEN_MARK);
    }
    if (l->rest.p[0] == '[' && (n = literal_size(l->rest)) > 0)
        return take(l, n, TOKEN_LITERAL);
    if (is_mark(l->rest.p[0]) || is_blank(l->rest.p[0]))
        return take(l, 1, TOKEN_MARK);
    while (n < l->rest.n && !is_blank(l->rest.p[n]) && !is_mark(l->rest.p[n]))
        n++;
    return take(l, n, TOKEN_WORD);
}

/* Bytes gathered for one side of an address. */
struct side {
    char   p[ADDRESS_MAX];
    size_t n;
    bool   bad; /* too long, or a byte that no address has */
};

static void side_put(struct side *to, struct span s)
{
    if (s.n > sizeof to->p - to->n) {
        to->bad = true;
        return;
    }
    for (size_t i = 0; i < s.n; i++) {
        to->bad |= (unsigned char)s.p[i] < ' ' || s.p[i] == 0x7f;
        to->p[to->n++] = s.p[i];
    }
}

/* The content of a quoted string: escapes and line ends go. */
static void side_put_quoted(struct side *to, struct span quoted)
{
    for (size_t i = 1; i + 1 < quoted.n; i++) {
        if (quoted.p[i] == '\\' && i + 2 < quoted.n)
            i++;
        else if (quoted.p[i] == '\r' || quoted.p[i] == '\n')
            continue;
        side_put(to, span_make(quoted.p + i, 1));
    }
}

/* What has been read of one element. */
struct element {
    struct side local, domain;
    bool        at;     /* the '@' is behind us */
    bool        joined; /* the last token was such that a word may follow: the start, a dot, the at */
    bool        junk;   /* words that belong to nothing */
    bool        done;   /* those stood behind a whole address */
    bool        seen;   /* anything at all */
};

static void element_clear(struct element *el)
{
    el->local.n = el->domain.n = 0;
    el->local.bad = el->domain.bad = false;
    el->at = el->junk = el->done = el->seen = false;
    el->joined = true;
}

static void element_word(struct element *el, enum token kind, struct span token)
{
    el->seen = true;
    if (!el->joined && el->at) { /* words behind a whole address */
        el->junk = el->done = true;
        return;
    }
    if (!el->joined) { /* words before it: a display name without brackets, or the start of the local part */
        el->junk = true;
        el->local.n = 0;
        el->local.bad = false;
    }
    el->joined = false;
    if (kind == TOKEN_LITERAL)
        el->local.bad |= !el->at;
    if (kind == TOKEN_QUOTED && el->at)
        el->domain.bad = true;
    if (el->at)
        side_put(&el->domain, token);
    else if (kind == TOKEN_QUOTED)
        side_put_quoted(&el->local, token);
    else
        side_put(&el->local, token);
    if (kind == TOKEN_WORD && memchr(token.p, '\\', token.n) != NULL)
        el->local.bad = true;
}

/* '.', '@', and what has no place in an address. */
static void element_mark(struct element *el, char c)
{
    el->seen = true;
    if (el->done)
        return;
    if (c == '.') {
        side_put(el->at ? &el->domain : &el->local, SPAN("."));
        el->joined = true;
    } else if (c == '@' && !el->at) {
        el->at = el->joined = true;
    } else {
        el->local.bad = true;
    }
}

/* The normal form of what was read. 1 an address, 0 none, -1 the arena is full. */
static int element_finish(const struct element *el, struct arena *a, struct address *out)
{
    struct span local, domain;
    char       *p;

    *out = (struct address){.full = SPAN_NONE};
    if (!el->at || el->local.bad || el->domain.bad || el->local.n == 0 || el->domain.n == 0 ||
        el->local.n + 1 + el->domain.n > ADDRESS_MAX)
        return 0;
    if (domain_normalise(span_make(el->domain.p, el->domain.n), a, &domain, NULL) < 0)
        return a->full ? -1 : 0;
    local = text_fold(span_make(el->local.p, el->local.n), a);
    if (local.p == NULL || (p = arena_alloc(a, local.n + domain.n + 2)) == NULL)
        return -1;
    memcpy(p, local.p, local.n);
    p[local.n] = '@';
    memcpy(p + local.n + 1, domain.p, domain.n);
    p[local.n + 1 + domain.n] = 0;
    out->full = span_make(p, local.n + 1 + domain.n);
    out->local = span_head(out->full, local.n);
    out->domain = span_skip(out->full, local.n + 1);
    return 1;
}

/* ---- envelope paths ---- */

/* Reads local@domain, the whole of l->rest. */
static int read_path(struct lexer *l, struct element *el, const char *start, struct err *e)
{
    enum token kind;

    element_clear(el);
    while ((kind = next_token(l)) != TOKEN_END) {
        size_t at = (size_t)(l->token.p - start);

        if (kind == TOKEN_MARK && l->token.p[0] != '.' && l->token.p[0] != '@')
            return err_at(e, at, "\"%.1s\" has no place in an address", l->token.p);
        if (kind == TOKEN_MARK)
            element_mark(el, l->token.p[0]);
        else
            element_word(el, kind, l->token);
        if (el->junk)
            return err_at(e, at, "more than one word in an address");
        if (el->local.bad || el->domain.bad)
            return err_at(e, at, "not an address");
    }
    if (!el->at)
        return err_at(e, (size_t)(l->rest.p - start), "an address without @ and a domain");
    if (el->local.n == 0)
        return err_at(e, 0, "an address without a local part");
    return 0;
}

/* Length of a source route, "@relay,@other:", in front of an address; 0 when there is none. Nobody follows routes, so what
 * is no mark of another meaning will do for a domain. */
static size_t route_size(struct span s)
{
    size_t colon = span_chr(s, ':');

    if (s.n == 0 || s.p[0] != '@' || colon == s.n)
        return 0;
    for (size_t i = 0; i <= colon; i++) {
        bool first = i == 0 || s.p[i - 1] == ',';

        if (strchr("()<>;\"\\", s.p[i]) != NULL || is_blank(s.p[i]) || first != (s.p[i] == '@'))
            return 0;
    }
    return colon + 1;
}

int address_parse_path(struct span text, struct arena *a, struct address *out, struct err *e)
{
    const char    *start = text.p;
    struct element el;
    struct lexer   l = {.rest = span_trim(text), .path = true};
    struct err     why;

    *out = (struct address){.full = SPAN_NONE};
    if (l.rest.n > 0 && l.rest.p[0] == '<') {
        if (l.rest.p[l.rest.n - 1] != '>')
            return err_at(e, (size_t)(l.rest.p + l.rest.n - start), "no closing > in \"%.*s\"", SPAN_ARG(text));
        l.rest = span_trim(span_make(l.rest.p + 1, l.rest.n - 2));
    }
    if (l.rest.n == 0)
        return 0;
    if (l.rest.n > ADDRESS_MAX)
        return err_at(e, ADDRESS_MAX, "an address of %zu bytes, at most %d", l.rest.n, ADDRESS_MAX);
    l.rest = span_skip(l.rest, route_size(l.rest));
    if (read_path(&l, &el, start, e) < 0)
        return -1;
    switch (element_finish(&el, a, out)) {
    case 1: return 0;
    case 0: break;
    default: return err_set(e, ERR_LIMIT, "no memory left for an address");
    }
    why = ERR_INIT;
    if (domain_normalise(span_make(el.domain.p, el.domain.n), a, &text, &why) == 0)
        return err_at(e, 0, "not an address");
    return err_at(e, (size_t)(l.rest.p - start) - (el.domain.n - (why.at < el.domain.n ? why.at : el.domain.n)), "%s",
                  why.text);
}

/* ---- header fields ---- */

/* "<…>": the address inside. The opening bracket has been taken; takes the closing one. `empty_out`: "<>". */
static void read_angle(struct lexer *l, struct element *el, bool *empty_out)
{
    enum token kind;

    element_clear(el);
    *empty_out = false;
    while ((kind = next_token(l)) != TOKEN_END) {
        char c = kind == TOKEN_MARK ? l->token.p[0] : 0;

        if (c == '>') {
            *empty_out = !el->seen;
            return;
        }
        if (c == '<' || c == ';' || (c == ',' && el->local.n > 0)) { /* never closed: what follows is not ours */
            l->rest = span_make(l->token.p, l->token.n + l->rest.n);
            break;
        }
        if (c == ',' || (c == ':' && el->at && el->local.n == 0)) /* a source route: begin again behind it */
            element_clear(el);
        else if (c != 0)
            element_mark(el, c);
        else
            element_word(el, kind, l->token);
    }
    l->damaged = true;
}

/* The display name as written: from `from` up to the bracket. */
static struct span phrase(const char *from, const char *to) { return span_trim(span_between(from, to)); }

/* One element up to its comma, semicolon or end, or behind its closing bracket. Groups dissolve: the name in front of a
 * colon is dropped, and what follows is an element. 1 an address, 0 none, -1 the arena is full. */
static int read_element(struct lexer *l, struct address_walk *w, struct address *out)
{
    struct element el;
    const char    *from = NULL;
    enum token     kind;
    int            rc;

    element_clear(&el);
    l->note = SPAN_NONE;
    while ((kind = next_token(l)) != TOKEN_END) {
        char c = kind == TOKEN_MARK ? l->token.p[0] : 0;
        bool empty;

        if (c == ',' || c == ';') {
            w->tail = false;
            break;
        }
        if (from == NULL)
            from = l->token.p;
        if (c == '<') {
            const char *to = l->token.p;

            w->damaged |= w->tail; /* no comma since the last one */
            w->tail = true;
            read_angle(l, &el, &empty);
            if (empty)
                return 0;
            rc = element_finish(&el, w->arena, out);
            w->damaged |= rc != 1 || el.junk;
            out->name = phrase(from, to);
            return rc;
        }
        if (c == ':') {
            w->damaged |= el.at;
            element_clear(&el);
            from = NULL;
        } else if (c != 0) {
            element_mark(&el, c);
        } else {
            element_word(&el, kind, l->token);
        }
    }
    if (!el.seen)
        return 0;
    rc = element_finish(&el, w->arena, out);
    w->damaged |= rc != 1 || el.junk || w->tail;
    out->name = span_trim(l->note);
    w->tail = false;
    return rc;
}

bool address_next(struct address_walk *w, struct address *out)
{
    struct lexer l = {.rest = w->rest, .open_quote = w->open_quote, .open_comment = w->open_comment};
    int          rc = 0;

    while (rc == 0 && l.rest.n > 0) {
        if (w->count >= ADDRESS_LIST_MAX) {
            w->damaged = true;
            l.rest = span_skip(l.rest, l.rest.n);
            break;
        }
        rc = read_element(&l, w, out);
    }
    if (rc < 0)
        l.rest = span_skip(l.rest, l.rest.n);
    w->damaged |= l.damaged || rc < 0;
    w->open_quote = l.open_quote;
    w->open_comment = l.open_comment;
    w->rest = l.rest;
    w->count += rc == 1;
    return rc == 1;
}
