/* lib/mail/text.c - folding, encoded words, charsets.
 *
 * Folding reads a table of the basic plane, built once from glib's simple mappings. Encoded words are gathered as bytes
 * while their charset stays the same, so a character that a careless sender split over two words comes out whole. */
#include "mail/text.h"

#include <errno.h>
#include <glib.h>
#include <iconv.h>
#include <pthread.h>
#include <stdlib.h>

#include "base/base64.h"
#include "base/err.h"
#include "base/utf8.h"

/* ---- folding ---- */

#define CHUNK 64 /* bytes a step of the ASCII loops: a constant that compilers turn into vector code */

static uint16_t       fold_bmp[0x10000];
static pthread_once_t fold_once = PTHREAD_ONCE_INIT;

/* glib maps letters alone; numerals and circled letters have cases too, and so has one combining mark. */
static void fold_build(void)
{
    for (uint32_t c = 0; c < 0x10000; c++)
        fold_bmp[c] = (uint16_t)g_unichar_tolower(g_unichar_toupper(c));
    for (uint16_t c = 0x2160; c < 0x2170; c++)
        fold_bmp[c] = c + 0x10;
    for (uint16_t c = 0x24B6; c < 0x24D0; c++)
        fold_bmp[c] = c + 0x1A;
    fold_bmp[0x0345] = 0x03B9;
}

/* The table must have been built. */
static uint32_t fold_char(uint32_t cp)
{
    return cp < 0x10000 ? fold_bmp[cp] : g_unichar_tolower(g_unichar_toupper(cp));
}

uint32_t text_fold_char(uint32_t cp)
{
    pthread_once(&fold_once, fold_build);
    return fold_char(cp);
}

static inline unsigned char lower_ascii(unsigned char c)
{
    return (unsigned char)(c | (unsigned char)((unsigned char)(c - 'A') < 26) << 5);
}

/* The same for eight ASCII bytes: the high bit of each tells whether it lies between 'A' and 'Z'. */
#define EACH(byte) (0x0101010101010101 * (uint64_t)(byte))
static inline uint64_t lower_word(uint64_t w)
{
    uint64_t from_a = w + EACH(0x80 - 'A'), behind_z = w + EACH(0x80 - 'Z' - 1);

    return w | ((from_a ^ behind_z) & EACH(0x80)) >> 2;
}

/* 1 for a byte that folding would touch or has to look at. */
static inline unsigned char needs_folding(unsigned char c)
{
    return (unsigned char)((unsigned char)(c - 'A') < 26 || c >= 0x80);
}

bool text_is_folded_ascii(struct span s)
{
    const unsigned char *p = (const unsigned char *)s.p;
    size_t               i = 0;

    for (; i + CHUNK <= s.n; i += CHUNK) {
        unsigned char any = 0;

        for (size_t j = 0; j < CHUNK; j++)
            any |= needs_folding(p[i + j]);
        if (any)
            return false;
    }
    for (; i < s.n; i++) {
        if (needs_folding(p[i]))
            return false;
    }
    return true;
}

/* Length of the ASCII run at the start of s. */
static size_t ascii_run(struct span s)
{
    const unsigned char *p = (const unsigned char *)s.p;
    size_t               i = 0;

    for (; i + CHUNK <= s.n; i += CHUNK) {
        unsigned char any = 0;

        for (size_t j = 0; j < CHUNK; j++)
            any |= p[i + j];
        if (any & 0x80)
            break;
    }
    while (i < s.n && p[i] < 0x80)
        i++;
    return i;
}

static void fold_ascii(char *restrict to, const char *restrict from, size_t n)
{
    size_t i = 0;

    for (; i + CHUNK <= n; i += CHUNK) {
        for (size_t j = 0; j < CHUNK; j++)
            to[i + j] = (char)lower_ascii((unsigned char)from[i + j]);
    }
    for (; i < n; i++)
        to[i] = (char)lower_ascii((unsigned char)from[i]);
}

/* Folds s into `to`. Returns the bytes it takes, which may be more than `room`: then nothing behind room is written. */
static size_t fold_into(char *to, size_t room, struct span s)
{
    size_t at = 0, n = 0;

    while (at < s.n) {
        uint64_t word;
        char     c[4];
        size_t   len;

        if (s.n - at >= sizeof word && n + sizeof word <= room) { /* eight ASCII bytes at once */
            memcpy(&word, s.p + at, sizeof word);
            if ((word & EACH(0x80)) == 0) {
                word = lower_word(word);
                memcpy(to + n, &word, sizeof word);
                n += sizeof word;
                at += sizeof word;
                continue;
            }
        }
        len = utf8_put(fold_char(utf8_next(s, &at, NULL)), c);
        if (n + len <= room)
            memcpy(to + n, c, len);
        else
            room = 0;
        n += len;
    }
    return n;
}

struct span text_fold(struct span s, struct arena *a)
{
    size_t room = s.n + s.n / 32 + 32, n;
    char  *p;

    if (text_is_folded_ascii(s))
        return s;
    pthread_once(&fold_once, fold_build);
    if (ascii_run(s) == s.n) {
        if ((p = arena_alloc(a, s.n + 1)) == NULL)
            return SPAN_NONE;
        fold_ascii(p, s.p, s.n);
        p[s.n] = 0;
        return span_make(p, s.n);
    }
    if ((p = arena_alloc(a, room + 1)) == NULL)
        return SPAN_NONE;
    n = fold_into(p, room, s);
    if (n > room) { /* it grew more than text does */
        if ((p = arena_alloc(a, n + 1)) == NULL)
            return SPAN_NONE;
        fold_into(p, n, s);
    }
    p[n] = 0;
    return span_make(p, n);
}

/* ---- charsets ---- */

enum charset_how {
    HOW_UTF8,   /* checked by us */
    HOW_1252,   /* a table of ours */
    HOW_GUESS,  /* UTF-8, else windows-1252 */
    HOW_ICONV,  /* all ASCII bytes mean themselves */
    HOW_ICONV_7 /* escapes or wide units: ASCII bytes need not mean themselves */
};

/* The names that mail uses, in lower case, and how we read them: as browsers do, ISO 8859-1 is windows-1252, and each
 * Asian charset is its largest superset. Sorted by bytes. */
static const struct charset {
    const char      *name;
    enum charset_how how;
    const char      *iconv;
    size_t           unit; /* bytes that are skipped where nothing can be read */
} charsets[] = {
    {"ansi_x3.4-1968", HOW_GUESS, NULL, 1},
    {"ascii", HOW_GUESS, NULL, 1},
    {"big5", HOW_ICONV, "BIG5-HKSCS", 1},
    {"big5-hkscs", HOW_ICONV, "BIG5-HKSCS", 1},
    {"cp1250", HOW_ICONV, "CP1250", 1},
    {"cp1251", HOW_ICONV, "CP1251", 1},
    {"cp1252", HOW_1252, NULL, 1},
    {"cp437", HOW_ICONV, "CP437", 1},
    {"cp850", HOW_ICONV, "CP850", 1},
    {"cp866", HOW_ICONV, "CP866", 1},
    {"cp932", HOW_ICONV, "CP932", 1},
    {"cp936", HOW_ICONV, "GB18030", 1},
    {"cp949", HOW_ICONV, "UHC", 1},
    {"euc-jp", HOW_ICONV, "EUC-JP", 1},
    {"euc-kr", HOW_ICONV, "UHC", 1},
    {"euc-tw", HOW_ICONV, "EUC-TW", 1},
    {"gb18030", HOW_ICONV, "GB18030", 1},
    {"gb2312", HOW_ICONV, "GB18030", 1},
    {"gbk", HOW_ICONV, "GB18030", 1},
    {"ibm850", HOW_ICONV, "CP850", 1},
    {"iso-2022-jp", HOW_ICONV_7, "ISO-2022-JP-3", 1},
    {"iso-2022-kr", HOW_ICONV_7, "ISO-2022-KR", 1},
    {"iso-8859-1", HOW_1252, NULL, 1},
    {"iso-8859-10", HOW_ICONV, "ISO-8859-10", 1},
    {"iso-8859-11", HOW_ICONV, "CP874", 1},
    {"iso-8859-13", HOW_ICONV, "ISO-8859-13", 1},
    {"iso-8859-14", HOW_ICONV, "ISO-8859-14", 1},
    {"iso-8859-15", HOW_ICONV, "ISO-8859-15", 1},
    {"iso-8859-16", HOW_ICONV, "ISO-8859-16", 1},
    {"iso-8859-2", HOW_ICONV, "ISO-8859-2", 1},
    {"iso-8859-3", HOW_ICONV, "ISO-8859-3", 1},
    {"iso-8859-4", HOW_ICONV, "ISO-8859-4", 1},
    {"iso-8859-5", HOW_ICONV, "ISO-8859-5", 1},
    {"iso-8859-6", HOW_ICONV, "ISO-8859-6", 1},
    {"iso-8859-7", HOW_ICONV, "ISO-8859-7", 1},
    {"iso-8859-8", HOW_ICONV, "ISO-8859-8", 1},
    {"iso-8859-8-i", HOW_ICONV, "ISO-8859-8", 1},
    {"iso-8859-9", HOW_ICONV, "CP1254", 1},
    {"iso8859-1", HOW_1252, NULL, 1},
    {"iso8859-15", HOW_ICONV, "ISO-8859-15", 1},
    {"iso8859-2", HOW_ICONV, "ISO-8859-2", 1},
    {"iso_8859-1", HOW_1252, NULL, 1},
    {"koi8-r", HOW_ICONV, "KOI8-R", 1},
    {"koi8-u", HOW_ICONV, "KOI8-U", 1},
    {"ks_c_5601-1987", HOW_ICONV, "UHC", 1},
    {"latin1", HOW_1252, NULL, 1},
    {"latin2", HOW_ICONV, "ISO-8859-2", 1},
    {"macintosh", HOW_ICONV, "MACINTOSH", 1},
    {"shift-jis", HOW_ICONV, "CP932", 1},
    {"shift_jis", HOW_ICONV, "CP932", 1},
    {"sjis", HOW_ICONV, "CP932", 1},
    {"tis-620", HOW_ICONV, "CP874", 1},
    {"unicode-1-1-utf-7", HOW_ICONV_7, "UTF-7", 1},
    {"us-ascii", HOW_GUESS, NULL, 1},
    {"utf-16", HOW_ICONV_7, "UTF-16", 2},
    {"utf-16be", HOW_ICONV_7, "UTF-16BE", 2},
    {"utf-16le", HOW_ICONV_7, "UTF-16LE", 2},
    {"utf-32", HOW_ICONV_7, "UTF-32", 4},
    {"utf-32be", HOW_ICONV_7, "UTF-32BE", 4},
    {"utf-32le", HOW_ICONV_7, "UTF-32LE", 4},
    {"utf-7", HOW_ICONV_7, "UTF-7", 1},
    {"utf-8", HOW_UTF8, NULL, 1},
    {"utf8", HOW_UTF8, NULL, 1},
    {"windows-1250", HOW_ICONV, "CP1250", 1},
    {"windows-1251", HOW_ICONV, "CP1251", 1},
    {"windows-1252", HOW_1252, NULL, 1},
    {"windows-1253", HOW_ICONV, "CP1253", 1},
    {"windows-1254", HOW_ICONV, "CP1254", 1},
    {"windows-1255", HOW_ICONV, "CP1255", 1},
    {"windows-1256", HOW_ICONV, "CP1256", 1},
    {"windows-1257", HOW_ICONV, "CP1257", 1},
    {"windows-1258", HOW_ICONV, "CP1258", 1},
    {"windows-31j", HOW_ICONV, "CP932", 1},
    {"windows-874", HOW_ICONV, "CP874", 1},
    {"windows-949", HOW_ICONV, "UHC", 1},
    {"x-sjis", HOW_ICONV, "CP932", 1},
};

static int charset_cmp(const void *key, const void *row) { return strcmp(key, ((const struct charset *)row)->name); }

/* NULL for a name that is not in the table. */
static const struct charset *charset_find(struct span name)
{
    char low[24];

    name = span_trim(name);
    if (name.n >= sizeof low || memchr(name.p ? name.p : "", 0, name.n) != NULL)
        return NULL;
    fold_ascii(low, name.p, name.n);
    low[name.n] = 0;
    return bsearch(low, charsets, COUNT(charsets), sizeof charsets[0], charset_cmp);
}

/* Opening a converter may load a library, so each is opened once and then handed around: a thread keeps what it has used,
 * and leaves it to the next when it ends. None is ever closed. */
struct converter {
    iconv_t           cd;
    struct converter *next; /* idle */
};

/* What one thread uses, by row of charsets[]. */
struct converters {
    struct converter *of[COUNT(charsets)];
};

static pthread_mutex_t   idle_lock = PTHREAD_MUTEX_INITIALIZER;
static struct converter *idle[COUNT(charsets)]; /* under idle_lock */
static pthread_key_t     converters_key;
static pthread_once_t    converters_once = PTHREAD_ONCE_INIT;

static void converters_leave(void *p)
{
    struct converters *mine = p;

    pthread_mutex_lock(&idle_lock);
    for (size_t i = 0; i < COUNT(charsets); i++) {
        if (mine->of[i] == NULL)
            continue;
        mine->of[i]->next = idle[i];
        idle[i] = mine->of[i];
    }
    pthread_mutex_unlock(&idle_lock);
    free(mine);
}

static void converters_init(void)
{
    if (pthread_key_create(&converters_key, converters_leave) != 0)
        panic("no thread key for charset converters");
}

static void *allocated(size_t n)
{
    void *p = calloc(1, n);

    if (p == NULL)
        panic("out of memory");
    return p;
}

/* An idle converter or a new one; NULL when the C library has none. */
static struct converter *converter_take(size_t row)
{
    struct converter *c;
    iconv_t           cd;

    pthread_mutex_lock(&idle_lock);
    c = idle[row];
    if (c != NULL) {
        idle[row] = c->next;
    } else if ((cd = iconv_open("UTF-8", charsets[row].iconv)) != (iconv_t)-1) {
        c = allocated(sizeof *c);
        c->cd = cd;
    }
    pthread_mutex_unlock(&idle_lock);
    return c;
}

/* In its first state; (iconv_t)-1 when the C library has no such converter. */
static iconv_t converter(const struct charset *cs)
{
    struct converters *mine;
    size_t             row = (size_t)(cs - charsets);

    pthread_once(&converters_once, converters_init);
    if ((mine = pthread_getspecific(converters_key)) == NULL) {
        mine = allocated(sizeof *mine);
        pthread_setspecific(converters_key, mine);
    }
    if (mine->of[row] == NULL && (mine->of[row] = converter_take(row)) == NULL)
        return (iconv_t)-1;
    iconv(mine->of[row]->cd, NULL, NULL, NULL, NULL);
    return mine->of[row]->cd;
}

/* Appends what cd makes of `bytes`; U+FFFD where it cannot. */
static bool put_iconv(struct buf *b, iconv_t cd, struct span bytes, size_t unit)
{
    char  *in = (char *)bytes.p; /* iconv's type lacks the const; it does not write here */
    size_t left = bytes.n;
    bool   clean = true;

    while (left > 0 && !b->failed) {
        char   out[1024];
        char  *to = out;
        size_t room = sizeof out;
        size_t rc = iconv(cd, &in, &left, &to, &room);

        if (rc == (size_t)-1 && errno != E2BIG) {
            size_t skip = left < unit ? left : unit;

            if (room < 3) /* leave the bad byte for the next round */
                skip = 0;
            else
                to += utf8_put(UTF8_BAD, to);
            in += skip;
            left -= skip;
            clean = false;
        }
        buf_put(b, span_between(out, to));
    }
    if (!b->failed) { /* a converter may hold a character back for its combining mark */
        char   out[64];
        char  *to = out;
        size_t room = sizeof out;

        iconv(cd, NULL, NULL, &to, &room);
        buf_put(b, span_between(out, to));
    }
    return clean;
}

static void put_cp(struct buf *b, uint32_t cp)
{
    char   c[4];
    size_t n = utf8_put(cp, c);

    buf_put(b, span_make(c, n));
}

uint32_t text_windows_1252(unsigned char c)
{
    static const uint16_t c1[32] = {
        0x20ac, UTF8_BAD, 0x201a,   0x0192, 0x201e,   0x2026,   0x2020, 0x2021,   0x02c6, 0x2030, 0x0160,
        0x2039, 0x0152,   UTF8_BAD, 0x017d, UTF8_BAD, UTF8_BAD, 0x2018, 0x2019,   0x201c, 0x201d, 0x2022,
        0x2013, 0x2014,   0x02dc,   0x2122, 0x0161,   0x203a,   0x0153, UTF8_BAD, 0x017e, 0x0178,
    };

    return c >= 0x80 && c < 0xa0 ? c1[c - 0x80] : c;
}

/* Returns false if a byte has no meaning. */
static bool put_1252(struct buf *b, struct span bytes)
{
    bool clean = true;

    for (size_t at = 0; at < bytes.n;) {
        size_t   run = ascii_run(span_skip(bytes, at));
        uint32_t cp;

        buf_put(b, span_make(bytes.p + at, run));
        if ((at += run) == bytes.n)
            break;
        cp = text_windows_1252((unsigned char)bytes.p[at++]);
        clean &= cp != UTF8_BAD;
        put_cp(b, cp);
    }
    return clean;
}

static bool put_utf8(struct buf *b, struct span bytes)
{
    bool clean = true;

    for (size_t at = 0; at < bytes.n;) {
        size_t good = utf8_clip(span_skip(bytes, at), bytes.n - at);

        buf_put(b, span_make(bytes.p + at, good));
        if ((at += good) == bytes.n)
            break;
        utf8_next(bytes, &at, NULL);
        put_cp(b, UTF8_BAD);
        clean = false;
    }
    return clean;
}

static bool put_guess(struct buf *b, struct span bytes)
{
    if (utf8_valid(bytes)) {
        buf_put(b, bytes);
        return true;
    }
    put_1252(b, bytes);
    return false;
}

/* Appends `bytes`, which stand in charset cs (NULL: unknown), as UTF-8. Returns whether all of it had a meaning. */
static bool put_charset(struct buf *b, struct span bytes, const struct charset *cs)
{
    iconv_t cd;

    if (cs == NULL)
        return put_guess(b, bytes) && ascii_run(bytes) == bytes.n;
    switch (cs->how) {
    case HOW_UTF8: return put_utf8(b, bytes);
    case HOW_1252: return put_1252(b, bytes);
    case HOW_GUESS: return put_guess(b, bytes);
    case HOW_ICONV:
    case HOW_ICONV_7: break;
    }
    if ((cd = converter(cs)) == (iconv_t)-1)
        return put_guess(b, bytes) && ascii_run(bytes) == bytes.n;
    return put_iconv(b, cd, bytes, cs->unit);
}

/* Moves a finished buffer into the arena, and frees it. */
static struct span keep(struct buf *b, struct arena *a)
{
    struct span out = arena_dup(a, buf_span(b));

    buf_fini(b);
    return out;
}

static void say(bool *clean_out, bool clean)
{
    if (clean_out != NULL)
        *clean_out = clean;
}

struct span text_from_charset(struct span bytes, struct span charset, struct arena *a, bool *clean_out)
{
    static const struct charset unnamed = {"", HOW_GUESS, NULL, 1};
    const struct charset       *cs = charset.n == 0 ? &unnamed : charset_find(charset);
    struct span                 out;
    struct buf                  b;
    bool                        clean;

    if (cs == NULL || cs->how != HOW_ICONV_7) {
        if (ascii_run(bytes) == bytes.n) {
            say(clean_out, true);
            return bytes;
        }
        if (cs != NULL && (cs->how == HOW_UTF8 || cs->how == HOW_GUESS) && utf8_valid(bytes)) {
            say(clean_out, true);
            return span_starts(bytes, SPAN("\xef\xbb\xbf")) ? span_skip(bytes, 3) : bytes;
        }
    }
    buf_init(&b, bytes.n * 4 + 64);
    clean = put_charset(&b, bytes, cs);
    say(clean_out, clean && !b.failed);
    out = keep(&b, a);
    return span_starts(out, SPAN("\xef\xbb\xbf")) ? span_skip(out, 3) : out;
}

/* ---- encoded words ---- */

struct word {
    struct span charset, text;
    char        encoding; /* 'b' or 'q' */
    size_t      n;        /* bytes of the whole word */
};

#define CHARSET_NAME_MAX 64

/* An encoded word at the start of s. More lenient than RFC 2047, as mail readers are: of any length, not set off by
 * blanks, and with blanks inside. Each look ends at the next question mark, so many false starts stay linear. */
static bool word_at(struct span s, struct word *out)
{
    size_t at = 2, mark;

    if (s.n < 8 || s.p[0] != '=' || s.p[1] != '?')
        return false;
    mark = span_chr(span_head(span_skip(s, at), CHARSET_NAME_MAX), '?');
    out->charset = span_make(s.p + at, mark);
    at += mark + 1;
    if (mark == 0 || at + 2 > s.n || s.p[at - 1] != '?' || s.p[at + 1] != '?')
        return false;
    out->encoding = (char)lower_ascii((unsigned char)s.p[at]);
    if (out->encoding != 'b' && out->encoding != 'q')
        return false;
    at += 2;
    mark = span_chr(span_skip(s, at), '?');
    out->text = span_make(s.p + at, mark);
    at += mark;
    if (at + 2 > s.n || s.p[at + 1] != '=')
        return false;
    out->charset.n = span_chr(out->charset, '*'); /* RFC 2231: charset*language */
    out->n = at + 2;
    return true;
}

int text_hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 32);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool decode_q(struct buf *b, struct span s)
{
    bool clean = true;

    for (size_t i = 0; i < s.n; i++) {
        int hi = i + 2 < s.n ? text_hex_value(s.p[i + 1]) : -1;
        int lo = i + 2 < s.n ? text_hex_value(s.p[i + 2]) : -1;

        if (s.p[i] == '=' && hi >= 0 && lo >= 0) {
            buf_putc(b, (char)(hi << 4 | lo));
            i += 2;
        } else if (s.p[i] != '\r' && s.p[i] != '\n') {
            clean &= s.p[i] != '=';
            buf_putc(b, s.p[i] == '_' ? ' ' : s.p[i]);
        }
    }
    return clean;
}

static bool decode_b(struct buf *b, struct span s)
{
    uint32_t bits = 0;
    int      have = 0;
    bool     clean = true;

    for (size_t i = 0; i < s.n; i++) {
        int v = base64_digit(s.p[i]);

        if (v < 0) {
            clean &= s.p[i] == '=' || s.p[i] == ' ' || s.p[i] == '\t' || s.p[i] == '\r' || s.p[i] == '\n';
            continue;
        }
        bits = bits << 6 | (uint32_t)v;
        if ((have += 6) >= 8) {
            have -= 8;
            buf_putc(b, (char)(bits >> have & 0xff));
        }
    }
    return clean && have != 6;
}

/* The state of one header on its way: what is out, and the bytes of words whose charset has not changed yet. */
struct decoding {
    struct buf            out, bytes;
    const struct charset *charset;
    bool                  clean;
};

static void flush_words(struct decoding *d)
{
    if (d->bytes.n == 0)
        return;
    d->clean &= put_charset(&d->out, buf_span(&d->bytes), d->charset);
    buf_clear(&d->bytes);
}

/* Text between words, unfolded: line ends go, a bare CR is a blank. */
static void put_plain(struct decoding *d, struct span s)
{
    struct buf flat;

    if (s.n == 0)
        return;
    buf_init(&flat, s.n);
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '\n' || (s.p[i] == '\r' && i + 1 < s.n && s.p[i + 1] == '\n'))
            continue;
        buf_putc(&flat, s.p[i] == '\r' ? ' ' : s.p[i]);
    }
    d->clean &= put_guess(&d->out, buf_span(&flat));
    buf_fini(&flat);
}

static void put_word(struct decoding *d, const struct word *w, struct span whole)
{
    const struct charset *cs = charset_find(w->charset);

    if (cs == NULL) {
        flush_words(d);
        put_plain(d, whole);
        d->clean = false;
        return;
    }
    if (cs != d->charset)
        flush_words(d);
    d->charset = cs;
    d->clean &= w->encoding == 'q' ? decode_q(&d->bytes, w->text) : decode_b(&d->bytes, w->text);
}

static bool all_blank(struct span s) { return span_trim(s).n == 0; }

static struct span decode_words(struct span s, struct arena *a, bool *clean_out)
{
    struct decoding d = {.clean = true};
    size_t          at = 0, plain = 0; /* plain: where text that is not yet out begins */
    bool            after_word = false;

    buf_init(&d.out, s.n * 4 + 64);
    buf_init(&d.bytes, s.n);
    while (at < s.n) {
        struct span from = span_skip(s, at);
        struct word w;
        struct span between;

        if (!word_at(from, &w)) {
            at += from.n > 1 ? 1 + span_chr(span_skip(from, 1), '=') : 1;
            continue;
        }
        between = span_make(s.p + plain, at - plain);
        if (!after_word || !all_blank(between)) { /* blanks between two words are theirs, not the text's */
            flush_words(&d);
            put_plain(&d, between);
        }
        put_word(&d, &w, span_head(from, w.n));
        at += w.n;
        plain = at;
        after_word = true;
    }
    flush_words(&d);
    put_plain(&d, span_skip(s, plain));
    say(clean_out, d.clean && !d.out.failed);
    buf_fini(&d.bytes);
    s = keep(&d.out, a);
    return s.p != NULL ? span_trim(s) : s;
}

struct span text_decode_header(struct span body, size_t max, struct arena *a, bool *clean_out)
{
    struct span s = span_trim(span_head(body, max));

    if (s.n == 0 || (span_find(s, SPAN("=?")) == s.n && memchr(s.p, '\r', s.n) == NULL &&
                     memchr(s.p, '\n', s.n) == NULL && utf8_valid(s))) {
        say(clean_out, true);
        return s;
    }
    return decode_words(s, a, clean_out);
}

/* ---- comments ---- */

struct span text_skip_comments(struct span s, bool *closed_out)
{
    size_t depth = 0, i = 0;

    for (; i < s.n; i++) {
        char c = s.p[i];

        if (depth > 0 && c == '\\')
            i++;
        else if (c == '(')
            depth++;
        else if (c == ')' && depth > 0)
            depth--;
        else if (depth == 0 && c != ' ' && c != '\t' && c != '\r' && c != '\n')
            break;
    }
    if (closed_out != NULL)
        *closed_out = depth == 0;
    return span_skip(s, i);
}
