/* portal/password.c - see password.h. */
#include "password.h"

#include <string.h>

#include "base/utf8.h"
#include "store/credential.h"

#define WORD_MIN 4 /* shorter parts of a name are no pattern */
#define RUN_MIN 4
#define TAKEN ' '

/* What people take for a password when they are asked for one; what is around it counts. All in folded form. */
static const char *const words[] = {
    "password",  "passwort",       "kennwort",     "passphrase",    "secret",   "geheim",    "welcome",  "willkommen",
    "letmein",   "hereinspaziert", "admin",        "administrator", "root",     "login",     "master",   "default",
    "changeme",  "iloveyou",       "ichliebedich", "princess",      "sunshine", "football",  "fussball", "dragon",
    "monkey",    "schatz",         "hallo",        "hello",         "mail",     "postfach",  "january",  "february",
    "march",     "april",          "june",         "july",          "august",   "september", "october",  "november",
    "december",  "januar",         "februar",      "maerz",         "juni",     "juli",      "oktober",  "dezember",
    "monday",    "montag",         "summer",       "sommer",        "winter",   "spring",    "autumn",   "herbst",
    "fruehling", "abcd",           "test",         "user",
};
/* Runs along these, either way. */
static const char *const tracks[] = {"abcdefghijklmnopqrstuvwxyz",
                                     "01234567890",
                                     "qwertyuiop",
                                     "qwertzuiop",
                                     "asdfghjkl",
                                     "zxcvbnm",
                                     "yxcvbnm",
                                     "azertyuiop",
                                     "1qaz2wsx3edc4rfv5tgb",
                                     "1qay2wsx3edc4rfv5tgb",
                                     "!@#$%^&*()",
                                     "!\"$%&/()="};

/* The same length as before, byte by byte: what is not ASCII stays. */
static char fold(char c, bool leet)
{
    static const char from[] = "013457@$!", to[] = "oleastasi";
    const char       *at = leet && c != '\0' ? strchr(from, c) : NULL;

    return at != NULL ? to[at - from] : c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static void take(char *text, size_t at, size_t n) { memset(text + at, TAKEN, n); }

/* Takes every `word` out of `text` wherever `seen` (the same text, folded one way or the other) has it. */
static void take_word(char *text, const char *seen, size_t n, struct span word)
{
    for (size_t i = 0; word.n > 0 && i + word.n <= n; i++)
        if (memcmp(seen + i, word.p, word.n) == 0)
            take(text, i, word.n);
}

/* The parts of an address or a name, each a word. */
static void take_known(char *text, const char *plain, const char *leet, size_t n, struct span known)
{
    char   part[64];
    size_t m = 0;

    for (size_t i = 0; i <= known.n; i++) {
        char c = i < known.n ? fold(known.p[i], false) : '.';
        bool in = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || (c & 0x80) != 0;

        if (in && m < sizeof part) {
            part[m++] = c;
            continue;
        }
        if (m >= WORD_MIN) {
            take_word(text, plain, n, span_make(part, m));
            take_word(text, leet, n, span_make(part, m));
        }
        m = 0;
    }
}

/* How far text[i…] goes along the track, forwards or backwards. */
static size_t run_along(const char *track, const char *seen, size_t n, size_t i)
{
    size_t best = 0, length = strlen(track);

    for (size_t t = 0; t < length; t++) {
        size_t up = 0, down = 0;

        while (i + up < n && t + up < length && seen[i + up] == track[t + up])
            up++;
        while (i + down < n && down <= t && seen[i + down] == track[t - down])
            down++;
        best = up > best ? up : best;
        best = down > best ? down : best;
    }
    return best;
}

static void take_runs(char *text, const char *seen, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        size_t same = 1;

        for (size_t t = 0; t < sizeof tracks / sizeof *tracks; t++) {
            size_t along = run_along(tracks[t], seen, n, i);

            if (along >= RUN_MIN)
                take(text, i, along);
        }
        while (i + same < n && seen[i + same] == seen[i])
            same++;
        if (same >= RUN_MIN - 1)
            take(text, i, same);
    }
}

/* A year of somebody's life, and what is written around it. */
static void take_years(char *text, const char *seen, size_t n)
{
    for (size_t i = 0; i + 4 <= n; i++)
        if ((memcmp(seen + i, "19", 2) == 0 || memcmp(seen + i, "20", 2) == 0) && seen[i + 2] >= '0' &&
            seen[i + 2] <= '9' && seen[i + 3] >= '0' && seen[i + 3] <= '9')
            take(text, i, 4);
}

/* The same over and over: the shortest piece that makes the whole when it is repeated. */
static size_t period(const char *text, size_t n)
{
    for (size_t p = 1; p <= n / 2; p++)
        if (memcmp(text, text + p, n - p) == 0)
            return p;
    return n;
}

/* Different characters, of what was not taken away. */
static size_t worth(const char *text, size_t n)
{
    bool   seen[256] = {false};
    size_t count = 0;

    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)text[i];

        count += c != (unsigned char)TAKEN && !seen[c];
        seen[c] = true;
    }
    return count;
}

static size_t characters(struct span s)
{
    size_t n = 0;

    for (size_t at = 0; at < s.n; n++)
        utf8_next(s, &at, NULL);
    return n;
}

const char *password_refusal(struct span password, const struct span *known, size_t nknown)
{
    char   text[PASSWORD_LENGTH_MAX], plain[PASSWORD_LENGTH_MAX], leet[PASSWORD_LENGTH_MAX];
    size_t n = password.n;

    if (n > PASSWORD_LENGTH_MAX)
        return "A password has at most 1,024 bytes.";
    if (characters(password) < PASSWORD_CHARACTERS_MIN)
        return "A password has at least 10 characters.";
    for (size_t i = 0; i < n; i++) {
        text[i] = plain[i] = fold(password.p[i], false);
        leet[i] = fold(password.p[i], true);
    }
    if (worth(plain, period(plain, n)) < PASSWORD_WORTH_MIN || period(plain, n) < PASSWORD_WORTH_MIN)
        return "That repeats itself. Several words that do not belong together make a good password.";
    take_runs(text, plain, n);
    take_years(text, plain, n);
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        take_word(text, plain, n, span_of(words[i]));
        take_word(text, leet, n, span_of(words[i]));
    }
    for (size_t i = 0; i < nknown; i++)
        take_known(text, plain, leet, n, known[i]);
    if (worth(text, n) < PASSWORD_WORTH_MIN)
        return "Somebody who guesses would try that early. Several words that do not belong together make a good "
               "password.";
    return NULL;
}
