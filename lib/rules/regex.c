/* lib/rules/regex.c - see regex.h. Three parts: a lexer that knows just enough of the syntax to refuse what we refuse and to
 * find a literal; compiling; matching in windows. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "rules/regex.h"

#include <pcre2.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/utf8.h"

#define NEST_MAX 100      /* parentheses in parentheses */
#define HEAP_MAX_KIB 4096 /* of the interpreter, where there is no JIT */
#define JIT_STACK_FIRST (32 << 10)
#define JIT_STACK_MAX (512 << 10)
#define CLOCK_EVERY_US 200 /* the CPU clock is a system call: not more often than this */
#define SLOW_US 1000       /* a match that takes more shows that its regex can be slow */

/* ---- The lexer --------------------------------------------------------------------------------------------- */

enum token_kind {
    TOKEN_END,
    TOKEN_CHAR, /* matches the character c (0x80: some other than ASCII) */
    TOKEN_SET,  /* matches one character or more of several: a class, \d, a dot */
    TOKEN_EDGE, /* matches no character: ^, \b */
    TOKEN_OPEN, /* of a group whose inside reads like the outside */
    TOKEN_CLOSE,
    TOKEN_BAR,
    TOKEN_QUANT, /* at least `min` of what stands before */
    TOKEN_ODD,   /* anything else: who is careful stops here */
};
struct token {
    enum token_kind kind;
    size_t          at, min;
    uint8_t         c;
};
struct lexer {
    struct span source;
    size_t      at;
    bool        quoting; /* in \Q…\E */
};

static char peek(const struct lexer *l, size_t ahead)
{
    return l->at + ahead < l->source.n ? l->source.p[l->at + ahead] : '\0';
}

static enum token_kind lex_char(struct lexer *l, struct token *t)
{
    t->c = (uint8_t)l->source.p[l->at] < 0x80 ? (uint8_t)l->source.p[l->at] : 0x80;
    utf8_next(l->source, &l->at, NULL);
    return TOKEN_CHAR;
}

/* Behind "\Q": \E ends quoting and is no token of its own, so that a quantifier behind it meets the last character. */
static enum token_kind lex_quoted(struct lexer *l, struct token *t)
{
    lex_char(l, t);
    if (peek(l, 0) == '\\' && peek(l, 1) == 'E') {
        l->at += 2;
        l->quoting = false;
    }
    return TOKEN_CHAR;
}

static enum token_kind lex_escape(struct lexer *l, struct token *t)
{
    char c = peek(l, 1);

    if (c == '\0') {
        l->at = l->source.n;
        return TOKEN_ODD;
    }
    l->at++;
    if ((uint8_t)c >= 0x80 || strchr("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~ ", c) != NULL)
        return lex_char(l, t);
    l->at++;
    if (c == 'Q' && peek(l, 0) != '\0' && !(peek(l, 0) == '\\' && peek(l, 1) == 'E')) {
        l->quoting = true;
        return lex_quoted(l, t);
    }
    if (c == 'p' || c == 'P') {
        size_t end = peek(l, 0) == '{' ? span_chr(span_skip(l->source, l->at), '}') : 0;

        l->at = l->at + end + 1 < l->source.n ? l->at + end + 1 : l->source.n;
        return TOKEN_SET;
    }
    if (strchr("dDwWsShHvVRXnrtfea", c) != NULL || (c == 'N' && peek(l, 0) != '{'))
        return TOKEN_SET;
    return strchr("bBAzZ", c) != NULL ? TOKEN_EDGE : TOKEN_ODD;
}

/* "[:alpha:]" at the lexer's place: how long, or 0. */
static size_t posix_length(const struct lexer *l)
{
    size_t n = 2;

    while (peek(l, n) == '^' || (peek(l, n) >= 'a' && peek(l, n) <= 'z'))
        n++;
    return peek(l, 1) == ':' && peek(l, n) == ':' && peek(l, n + 1) == ']' ? n + 2 : 0;
}

static enum token_kind lex_class(struct lexer *l)
{
    enum token_kind kind = TOKEN_SET;

    l->at += peek(l, 1) == '^' ? 2 : 1;
    if (peek(l, 0) == ']')
        l->at++;
    while (l->at < l->source.n && peek(l, 0) != ']') {
        if (peek(l, 0) == '\\') {
            if (peek(l, 1) == 'Q' || peek(l, 1) == 'E')
                kind = TOKEN_ODD;
            l->at += 2;
        } else {
            size_t posix = peek(l, 0) == '[' ? posix_length(l) : 0;

            l->at += posix > 0 ? posix : 1;
        }
    }
    if (l->at >= l->source.n)
        kind = TOKEN_ODD;
    l->at = l->at < l->source.n ? l->at + 1 : l->source.n;
    return kind;
}

/* Groups whose insides follow the same rules as the outside; options, comments, conditions, recursion and verbs are odd. */
static enum token_kind lex_open(struct lexer *l)
{
    static const char *const heads[] = {"?:", "?=", "?!", "?>", "?|", "?<=", "?<!"};
    struct span              rest;
    char                     until = '>';

    l->at++;
    rest = span_skip(l->source, l->at);
    if (peek(l, 0) == '*')
        return TOKEN_ODD;
    if (peek(l, 0) != '?')
        return TOKEN_OPEN;
    for (size_t i = 0; i < COUNT(heads); i++) {
        if (span_starts(rest, span_of(heads[i]))) {
            l->at += strlen(heads[i]);
            return TOKEN_OPEN;
        }
    }
    if (peek(l, 1) == '\'')
        until = '\'';
    else if (peek(l, 1) != '<' && !(peek(l, 1) == 'P' && peek(l, 2) == '<'))
        return TOKEN_ODD;
    l->at += 2;
    l->at += span_chr(span_skip(l->source, l->at), until) + 1;
    l->at = l->at < l->source.n ? l->at : l->source.n;
    return TOKEN_OPEN;
}

/* "{2}", "{2,}", "{2,5}". What newer releases of PCRE2 read as such and older ones as text is odd. */
static enum token_kind lex_brace(struct lexer *l, struct token *t)
{
    size_t n = 1, digits = 0, commas = 0;
    bool   odd = false;

    for (; strchr("0123456789, \t", peek(l, n)) != NULL && peek(l, n) != '\0'; n++) {
        if (peek(l, n) == ',')
            commas++;
        else if (peek(l, n) == ' ' || peek(l, n) == '\t')
            odd = true;
        else if (commas == 0)
            t->min = t->min < 1000000 ? t->min * 10 + (size_t)(peek(l, n) - '0') : t->min;
        digits += commas == 0 && !odd;
    }
    if (peek(l, n) != '}')
        return lex_char(l, t);
    l->at += n + 1;
    return odd || digits == 0 || commas > 1 ? TOKEN_ODD : TOKEN_QUANT;
}

static enum token_kind lex_one(struct lexer *l, enum token_kind kind)
{
    l->at++;
    return kind;
}

static struct token lex(struct lexer *l)
{
    struct token t = {.kind = TOKEN_END, .at = l->at};

    if (l->at >= l->source.n)
        return t;
    if (l->quoting) {
        t.kind = lex_quoted(l, &t);
        return t;
    }
    switch (peek(l, 0)) {
    case '\\': t.kind = lex_escape(l, &t); break;
    case '[': t.kind = lex_class(l); break;
    case '(': t.kind = lex_open(l); break;
    case '{': t.kind = lex_brace(l, &t); break;
    case ')': t.kind = lex_one(l, TOKEN_CLOSE); break;
    case '|': t.kind = lex_one(l, TOKEN_BAR); break;
    case '.': t.kind = lex_one(l, TOKEN_SET); break;
    case '^':
    case '$': t.kind = lex_one(l, TOKEN_EDGE); break;
    case '+': t.min = 1; /* fall through */
    case '*':
    case '?': t.kind = lex_one(l, TOKEN_QUANT); break;
    default: t.kind = lex_char(l, &t); break;
    }
    if (t.kind == TOKEN_QUANT && (peek(l, 0) == '?' || peek(l, 0) == '+'))
        l->at++;
    return t;
}

/* A run of characters that must stand in every match, one behind the other. */
struct run {
    char   text[REGEX_SOURCE_MAX];
    size_t n;
};

static void run_end(struct run *now, struct run *best)
{
    if (now->n > best->n)
        *best = *now;
    now->n = 0;
}

bool regex_literal(struct span source, unsigned flags, struct buf *out)
{
    struct lexer l = {.source = source};
    struct run   now, best;
    struct token t;
    size_t       depth = 0;
    bool         was_char = false, was_quant = false; /* the token before this one, outside of groups */

    now.n = best.n = 0;
    if (source.n > REGEX_SOURCE_MAX)
        return false;
    while ((t = lex(&l)).kind != TOKEN_END) {
        if (t.kind == TOKEN_ODD || (t.kind == TOKEN_BAR && depth == 0) || (t.kind == TOKEN_CLOSE && depth == 0) ||
            (t.kind == TOKEN_QUANT && was_quant))
            return false;
        depth += t.kind == TOKEN_OPEN;
        depth -= t.kind == TOKEN_CLOSE;
        if (t.kind == TOKEN_QUANT && was_char && t.min == 0 && now.n > 0)
            now.n--;
        if (depth > 0 || t.kind != TOKEN_CHAR || t.c >= 0x80)
            run_end(&now, &best);
        else
            now.text[now.n++] = (char)((flags & REGEX_CASELESS) && t.c >= 'A' && t.c <= 'Z' ? t.c | 0x20 : t.c);
        was_char = depth == 0 && t.kind == TOKEN_CHAR;
        was_quant = t.kind == TOKEN_QUANT;
    }
    run_end(&now, &best);
    if (depth > 0 || best.n == 0)
        return false;
    buf_put(out, span_make(best.text, best.n));
    return true;
}

/* What PCRE2 would take and we do not: \C and \G break windows, verbs lift limits, callouts call nobody. */
static int refuse(struct span source, struct err *e)
{
    static const struct {
        const char *start, *says;
    } refused[] = {
        {"(*", "\"(*…)\" is not allowed here - write \"\\(\\*\" for the characters themselves"},
        {"(?C", "callouts are not allowed here"},
        {"\\C", "\"\\C\" is not allowed here - write \".\" for one character"},
        {"\\G", "\"\\G\" is not allowed here - write \"^\" or \"\\A\" for the start"},
    };
    struct lexer l = {.source = source};
    struct token t;

    if (source.n == 0)
        return err_at(e, 0, "an empty regular expression matches everything");
    if (source.n > REGEX_SOURCE_MAX)
        return err_at(e, REGEX_SOURCE_MAX, "%zu bytes are too long for a regular expression, at most %d", source.n,
                      REGEX_SOURCE_MAX);
    if (memchr(source.p, 0, source.n) != NULL)
        return err_at(e, span_chr(source, 0), "a NUL byte - write \"\\x00\" for the character itself");
    if (!utf8_valid(source))
        return err_at(e, utf8_clip(source, source.n), "not valid UTF-8");
    while ((t = lex(&l)).kind != TOKEN_END) {
        for (size_t i = 0; t.kind == TOKEN_ODD && i < COUNT(refused); i++) {
            if (span_starts(span_skip(source, t.at), span_of(refused[i].start)))
                return err_at(e, t.at, "%s", refused[i].says);
        }
    }
    return 0;
}

/* ---- What each thread has ---------------------------------------------------------------------------------- */

struct bench {
    pcre2_compile_context *compile;
    pcre2_match_context   *match;
    pcre2_match_data      *data;
    pcre2_jit_stack       *stack;
};
static __thread struct bench *bench_mine;
static pthread_key_t          bench_key;
static pthread_once_t         bench_once = PTHREAD_ONCE_INIT;

static void bench_free(void *p)
{
    struct bench *b = p;

    pcre2_match_data_free(b->data);
    pcre2_match_context_free(b->match);
    pcre2_jit_stack_free(b->stack);
    pcre2_compile_context_free(b->compile);
    free(b);
    bench_mine = NULL;
}

static void bench_key_make(void)
{
    if (pthread_key_create(&bench_key, bench_free) != 0)
        panic("no thread key left");
}

static struct bench *bench(void)
{
    struct bench *b = bench_mine;

    if (b != NULL)
        return b;
    pthread_once(&bench_once, bench_key_make);
    b = calloc(1, sizeof *b);
    if (b == NULL || (b->compile = pcre2_compile_context_create(NULL)) == NULL ||
        (b->match = pcre2_match_context_create(NULL)) == NULL || (b->data = pcre2_match_data_create(1, NULL)) == NULL)
        panic("out of memory");
    pcre2_set_parens_nest_limit(b->compile, NEST_MAX);
    pcre2_set_match_limit(b->match, REGEX_MATCH_LIMIT);
    pcre2_set_depth_limit(b->match, REGEX_MATCH_LIMIT);
    pcre2_set_heap_limit(b->match, HEAP_MAX_KIB);
    if (regex_jit_on() && (b->stack = pcre2_jit_stack_create(JIT_STACK_FIRST, JIT_STACK_MAX, NULL)) != NULL)
        pcre2_jit_stack_assign(b->match, NULL, b->stack);
    pthread_setspecific(bench_key, b);
    bench_mine = b;
    return b;
}

/* Was it built in, and may this process have memory that is executable? Asked by doing it, once. */
static pthread_once_t jit_once = PTHREAD_ONCE_INIT;
static bool           jit_on;

static void jit_try(void)
{
    int         code;
    PCRE2_SIZE  at;
    pcre2_code *c = pcre2_compile((PCRE2_SPTR) "ab", 2, 0, &code, &at, NULL);

    jit_on = c != NULL && pcre2_jit_compile(c, PCRE2_JIT_COMPLETE) == 0;
    pcre2_code_free(c);
}

bool regex_jit_on(void)
{
    pthread_once(&jit_once, jit_try);
    return jit_on;
}

/* ---- Compiling --------------------------------------------------------------------------------------------- */

/* Until something seemed to take long nobody asks the CPU clock; then it tells what it was. */
enum pace { QUICK, SUSPECT, SLOW };

struct regex {
    _Atomic(pcre2_code *) code; /* NULL: not compiled yet; `failed`: cannot be */
    struct span           source;
    unsigned              flags;
    atomic_uchar          pace; /* enum pace */
};
static char failed;
#define FAILED ((pcre2_code *)(void *)&failed)

/* A cure for what people most often get wrong, by PCRE2's number. */
static const struct {
    int         code;
    const char *cure;
} cures[] = {
    {101, "write \"\\\\\" for the character itself"}, {106, "write \"\\[\" for the character itself"},
    {108, "write \"\\-\" for the character itself"},  {109, "write \"\\\" in front of it for the character itself"},
    {114, "write \"\\(\" for the character itself"},  {122, "write \"\\)\" for the character itself"},
    {125, "say how many at most, as {0,20}"},
};

static pcre2_code *compile(struct span source, unsigned flags, struct err *e)
{
    struct bench *b = bench();
    uint32_t      options = PCRE2_UTF | PCRE2_UCP | PCRE2_USE_OFFSET_LIMIT | PCRE2_NEVER_BACKSLASH_C;
    PCRE2_UCHAR   why[200];
    PCRE2_SIZE    at = 0;
    size_t        size = 0;
    int           code;
    pcre2_code   *c;

    if (refuse(source, e) < 0)
        return NULL;
    options |= (flags & REGEX_CASELESS ? PCRE2_CASELESS : 0) | (flags & REGEX_MULTILINE ? PCRE2_MULTILINE : 0);
    pcre2_set_newline(b->compile, flags & REGEX_MULTILINE ? PCRE2_NEWLINE_ANYCRLF : PCRE2_NEWLINE_LF);
    c = pcre2_compile((PCRE2_SPTR)source.p, source.n, options, &code, &at, b->compile);
    if (c == NULL) {
        const char *cure = NULL;

        for (size_t i = 0; i < COUNT(cures); i++)
            cure = cures[i].code == code ? cures[i].cure : cure;
        if (pcre2_get_error_message(code, why, sizeof why) < 0)
            why[0] = '\0';
        err_at(e, at, "%s%s%s", (const char *)why, cure != NULL ? " - " : "", cure != NULL ? cure : "");
        return NULL;
    }
    pcre2_pattern_info(c, PCRE2_INFO_SIZE, &size);
    if (size > REGEX_CODE_MAX) {
        err_at(e, 0, "too large once compiled (%zu bytes, at most %d) - repeat less", size, REGEX_CODE_MAX);
        pcre2_code_free(c);
        return NULL;
    }
    return c;
}

int regex_check(struct span source, unsigned flags, struct err *e)
{
    pcre2_code *c = compile(source, flags, e);

    if (c == NULL)
        return -1;
    pcre2_code_free(c);
    return 0;
}

void regex_init(struct regex *r, struct span source, unsigned flags)
{
    atomic_init(&r->code, NULL);
    r->source = source;
    r->flags = flags;
}

struct regex *regex_array(size_t n)
{
    struct regex *array = calloc(n > 0 ? n : 1, sizeof *array);

    if (array == NULL)
        panic("out of memory");
    return array;
}

struct regex *regex_at(struct regex *array, size_t i) { return array + i; }

void regex_array_free(struct regex **array, size_t n)
{
    for (size_t i = 0; *array != NULL && i < n; i++) {
        pcre2_code *c = atomic_load(&(*array)[i].code);

        if (c != FAILED)
            pcre2_code_free(c);
    }
    free(*array);
    *array = NULL;
}

size_t regex_memory(const struct regex *r)
{
    pcre2_code *c = atomic_load(&r->code);
    size_t      code = 0, jit = 0;

    if (c != NULL && c != FAILED) {
        pcre2_pattern_info(c, PCRE2_INFO_SIZE, &code);
        pcre2_pattern_info(c, PCRE2_INFO_JITSIZE, &jit);
    }
    return sizeof *r + code + jit;
}

/* The byte that PCRE2 knows to stand in every match, where one look at the text can tell that it does not: no letters, whose
 * other case may be another byte. */
static uint8_t needed_byte(const pcre2_code *c)
{
    uint32_t type = 0, unit = 0;

    pcre2_pattern_info(c, PCRE2_INFO_LASTCODETYPE, &type);
    pcre2_pattern_info(c, PCRE2_INFO_LASTCODEUNIT, &unit);
    if (type == 0 || unit >= 0x80 || (unit | 0x20) - 'a' < 26)
        return 0;
    return (uint8_t)unit;
}

static pcre2_code *code_of(struct regex *r)
{
    pcre2_code *c = atomic_load_explicit(&r->code, memory_order_acquire), *was = NULL;

    if (c != NULL)
        return c;
    c = compile(r->source, r->flags, NULL);
    if (c == NULL)
        c = FAILED;
    else
        pcre2_jit_compile(c, PCRE2_JIT_COMPLETE); /* without it the interpreter matches, under the same limits */
    if (atomic_compare_exchange_strong(&r->code, &was, c))
        return c;
    if (c != FAILED)
        pcre2_code_free(c);
    return was;
}

/* ---- Matching ---------------------------------------------------------------------------------------------- */

/* CPU time of one match. Reading the CPU clock costs more than most windows, so the wall clock tells when it is worth it. Up
 * to then wall time is what we count, but never much: another thread may have had the processor meanwhile. */
struct meter {
    int64_t wall_begun, wall_read, cpu_begun, spent;
};

static int64_t meter_read(struct meter *m)
{
    int64_t wall = clock_mono_us();

    if (m->cpu_begun == 0)
        m->spent = wall - m->wall_begun < SLOW_US ? wall - m->wall_begun : SLOW_US;
    if (wall - m->wall_read < CLOCK_EVERY_US)
        return m->spent;
    m->wall_read = wall;
    if (m->cpu_begun == 0)
        m->cpu_begun = clock_thread_cpu_us() - m->spent;
    m->spent = clock_thread_cpu_us() - m->cpu_begun;
    return m->spent;
}

/* What is used up trips, and stays so; both are asked, so that each one knows. */
static bool used_up(struct regex_budget *scope, struct regex_budget *message, int64_t spent)
{
    if (scope != NULL && spent >= scope->left_us)
        scope->tripped = true;
    if (message != NULL && spent >= message->left_us)
        message->tripped = true;
    return (scope != NULL && scope->tripped) || (message != NULL && message->tripped);
}

/* The last start of the window of that width that begins at `from`: characters and CRLF stay whole. */
static size_t window_end(struct span text, size_t from, size_t width)
{
    size_t end = from + width - 1;

    while (end + 1 < text.n && (text.p[end + 1] & 0xC0) == 0x80)
        end++;
    if (end + 1 < text.n && text.p[end] == '\r' && text.p[end + 1] == '\n')
        end++;
    return end;
}

/* One step of PCRE2 may look at all of the text (".*" back from its end), so the steps that long texts get are fewer. */
static uint32_t match_limit(struct span text)
{
    return text.n <= REGEX_LIMIT_TEXT ? REGEX_MATCH_LIMIT
                                      : (uint32_t)(REGEX_MATCH_LIMIT * (uint64_t)REGEX_LIMIT_TEXT / text.n);
}

/* Windows begin small and grow while they are quick: the clock is read between them, and the first start may be the slow one.
 * Where they end changes nothing in what matches. */
static size_t next_width(size_t width, int64_t took_us)
{
    if (took_us > SLOW_US)
        return 1;
    return 4 * width < REGEX_WINDOW ? 4 * width : REGEX_WINDOW;
}

static enum regex_outcome run(const pcre2_code *c, struct span text, size_t last, struct meter *m,
                              struct regex_budget *scope, struct regex_budget *message)
{
    struct bench *b = bench();
    size_t        width = 1;

    pcre2_set_match_limit(b->match, match_limit(text));
    for (size_t from = 0, end; from <= last; from = end + 1) {
        int rc;

        if (from > 0 && (scope != NULL || message != NULL)) {
            int64_t before = m->spent;

            if (used_up(scope, message, meter_read(m)))
                return REGEX_LIMIT;
            width = next_width(width, m->spent - before);
        }
        end = window_end(text, from, width);
        pcre2_set_offset_limit(b->match, end);
        rc = pcre2_match(c, (PCRE2_SPTR)text.p, text.n, from, PCRE2_NO_UTF_CHECK, b->data, b->match);
        if (rc >= 0)
            return REGEX_YES;
        if (rc != PCRE2_ERROR_NOMATCH)
            return REGEX_LIMIT;
    }
    return REGEX_NO;
}

/* Where the last match can start. */
static bool last_start(const pcre2_code *c, struct span text, size_t *out)
{
    uint32_t options = 0;
    uint8_t  needed = needed_byte(c);

    *out = text.n;
    if (needed != 0) {
        const char *p = text.n > 0 ? memrchr(text.p, needed, text.n) : NULL;

        if (p == NULL)
            return false;
        *out = (size_t)(p - text.p);
    }
    pcre2_pattern_info(c, PCRE2_INFO_ALLOPTIONS, &options);
    if (options & PCRE2_ANCHORED)
        *out = 0;
    return true;
}

static void set_pace(struct regex *r, enum pace now, enum pace was)
{
    if (now != was)
        atomic_store_explicit(&r->pace, (unsigned char)now, memory_order_relaxed);
}

enum regex_outcome regex_match(struct regex *r, struct span text, struct regex_budget *scope,
                               struct regex_budget *message)
{
    struct meter       m = {0};
    enum regex_outcome out;
    enum pace          pace;
    size_t             last;
    pcre2_code        *c;

    if (used_up(scope, message, 0))
        return REGEX_LIMIT;
    c = code_of(r);
    if (c == FAILED)
        return REGEX_LIMIT;
    if (text.p == NULL)
        text = SPAN("");
    if (!last_start(c, text, &last))
        return REGEX_NO;
    if (scope == NULL && message == NULL)
        return run(c, text, last, &m, NULL, NULL);
    pace = atomic_load_explicit(&r->pace, memory_order_relaxed);
    m.wall_begun = m.wall_read = clock_mono_us();
    m.cpu_begun = pace != QUICK ? clock_thread_cpu_us() : 0;
    out = run(c, text, last, &m, scope, message);
    int64_t spent = meter_read(&m);
    if (scope != NULL)
        scope->left_us -= spent;
    if (message != NULL)
        message->left_us -= spent;
    if (pace != SLOW)
        set_pace(r, spent < SLOW_US ? QUICK : pace == QUICK ? SUSPECT : SLOW, pace);
    return out;
}

bool regex_took_long(const struct regex *r) { return atomic_load_explicit(&r->pace, memory_order_relaxed) == SLOW; }
