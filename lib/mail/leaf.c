/* lib/mail/leaf.c - transfer encodings. GMime decodes; what it forgives in silence is counted here as damage. */
#include "mail/leaf.h"

#include <gmime/gmime.h>

#include "mail/domain.h"
#include "mail/text.h"

#define STEP 4096 /* bytes fed to the decoder at once */

void mail_init(void)
{
    g_mime_init();
    text_fold_char('A');
    domain_is_public_suffix(SPAN("example"));
}

/* Damage in base64: a byte that is neither of the alphabet nor a blank, anything behind the padding, a cut quantum.
 * *unpadded_out: whole but for its padding, which GMime insists on. */
static bool base64_is_clean(struct span s, bool *unpadded_out)
{
    static const char    alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    static const uint8_t blanks[] = {' ', '\t', '\r', '\n'};
    uint8_t              kind[256] = {0}; /* 1 a digit, 2 a blank, 3 padding */
    size_t               digits = 0, pads = 0;

    for (size_t i = 0; i < sizeof alphabet - 1; i++)
        kind[(uint8_t)alphabet[i]] = 1;
    for (size_t i = 0; i < sizeof blanks; i++)
        kind[blanks[i]] = 2;
    kind['='] = 3;
    for (size_t i = 0; i < s.n; i++) {
        uint8_t k = kind[(uint8_t)s.p[i]];

        if (k == 0 || (k == 1 && pads > 0))
            return false;
        digits += k == 1;
        pads += k == 3;
    }
    *unpadded_out = pads == 0 && digits % 4 >= 2;
    return digits % 4 != 1;
}

/* Damage in quoted-printable: a '=' that begins neither a byte nor a soft line break (which may have blanks behind). */
static bool qp_is_clean(struct span s)
{
    for (size_t i = span_chr(s, '='); i < s.n; i += span_chr(span_skip(s, i), '=')) {
        i++;
        if (i + 1 < s.n && text_hex_value(s.p[i]) >= 0 && text_hex_value(s.p[i + 1]) >= 0) {
            i += 2;
            continue;
        }
        while (i < s.n && (s.p[i] == ' ' || s.p[i] == '\t' || s.p[i] == '\r'))
            i++;
        if (i < s.n && s.p[i] != '\n')
            return false;
    }
    return true;
}

/* What stands behind the "begin" line of a uuencoded body; all of it when there is none. */
static struct span uu_body(struct span s, bool *clean_out)
{
    struct span rest = s, line;
    bool        ended = span_find(s, SPAN("\nend")) < s.n;

    while (span_line(&rest, &line)) {
        if (span_starts(line, SPAN("begin "))) {
            *clean_out = ended;
            return rest;
        }
    }
    *clean_out = false;
    return s;
}

static struct span decode(struct span in, GMimeContentEncoding how, bool unpadded, size_t max, struct arena *a,
                          bool *cut_out)
{
    size_t        room = how == GMIME_CONTENT_ENCODING_QUOTEDPRINTABLE ? in.n : in.n / 4 * 3 + 3, n = 0;
    char          piece[STEP + 64];
    GMimeEncoding state;
    char         *out;

    room = room < max ? room : max;
    if ((out = arena_alloc(a, room + 1)) == NULL)
        return SPAN_NONE;
    g_mime_encoding_init_decode(&state, how);
    while (in.n > 0) {
        struct span step = span_head(in, STEP);
        size_t      got;

        if (g_mime_encoding_outlen(&state, step.n) > sizeof piece)
            step.n = STEP / 4;
        got = g_mime_encoding_step(&state, step.p, step.n, piece);
        in = span_skip(in, step.n);
        if (in.n == 0 && unpadded) {
            in = SPAN("==");
            unpadded = false;
        }
        if (got > room - n) {
            *cut_out = true;
            got = room - n;
            in = span_skip(in, in.n);
        }
        memcpy(out + n, piece, got);
        n += got;
    }
    out[n] = 0;
    return span_make(out, n);
}

static struct span pass_through(struct span raw, size_t max, bool *cut_out)
{
    *cut_out = raw.n > max;
    return span_head(raw, max);
}

struct span leaf_decode(struct span raw, struct span encoding, size_t max, struct arena *a, bool *clean_out,
                        bool *cut_out)
{
    GMimeContentEncoding how = GMIME_CONTENT_ENCODING_DEFAULT;
    bool                 unpadded = false;

    *clean_out = true;
    *cut_out = false;
    encoding = span_trim(encoding);
    if (span_is_ci(encoding, "base64")) {
        how = GMIME_CONTENT_ENCODING_BASE64;
        *clean_out = base64_is_clean(raw, &unpadded);
    } else if (span_is_ci(encoding, "quoted-printable")) {
        how = GMIME_CONTENT_ENCODING_QUOTEDPRINTABLE;
        *clean_out = qp_is_clean(raw);
    } else if (span_is_ci(encoding, "uuencode") || span_is_ci(encoding, "x-uuencode") ||
               span_is_ci(encoding, "x-uue")) {
        how = GMIME_CONTENT_ENCODING_UUENCODE;
        raw = uu_body(raw, clean_out);
    } else {
        *clean_out = encoding.n == 0 || span_is_ci(encoding, "7bit") || span_is_ci(encoding, "8bit") ||
                     span_is_ci(encoding, "binary");
        return pass_through(raw, max, cut_out);
    }
    return decode(raw, how, unpadded, max, a, cut_out);
}
