/* lib/store/colour.c - see colour.h. */
#include "store/colour.h"

#include <math.h>
#include <stdio.h>

#define SOFT 0.10 /* how much of the accent is in the ground under it */

static const struct {
    const char *word, *sheet, *ground;
} schemes[SCHEMES] = {{"light", "#ffffff", "#f6f5f2"}, {"dark", "#1f1e1b", "#171614"}};

static int digit(char ch)
{
    return ch >= '0' && ch <= '9'   ? ch - '0'
           : ch >= 'a' && ch <= 'f' ? ch - 'a' + 10
           : ch >= 'A' && ch <= 'F' ? ch - 'A' + 10
                                    : -1;
}

static bool read_colour(struct span text, int rgb[3])
{
    if (text.n != COLOUR_TEXT || text.p[0] != '#')
        return false;
    for (int i = 0; i < 3; i++) {
        int high = digit(text.p[1 + 2 * i]), low = digit(text.p[2 + 2 * i]);

        if (high < 0 || low < 0)
            return false;
        rgb[i] = high * 16 + low;
    }
    return true;
}

static double luminance(const int rgb[3])
{
    static const double weight[3] = {0.2126, 0.7152, 0.0722};
    double              sum = 0;

    for (int i = 0; i < 3; i++) {
        double v = rgb[i] / 255.0;

        sum += weight[i] * (v <= 0.04045 ? v / 12.92 : pow((v + 0.055) / 1.055, 2.4));
    }
    return sum;
}

double colour_contrast(struct span a, struct span b)
{
    int    x[3], y[3];
    double p, q;

    if (!read_colour(a, x) || !read_colour(b, y))
        return 0;
    p = luminance(x) + 0.05;
    q = luminance(y) + 0.05;
    return p > q ? p / q : q / p;
}

static void mix(const int rgb[3], const char *sheet, char out[COLOUR_TEXT + 1])
{
    int  base[3], v[3];
    bool ok = read_colour(span_of(sheet), base);

    for (int i = 0; i < 3; i++)
        v[i] = ok ? (int)lround(rgb[i] * SOFT + base[i] * (1 - SOFT)) & 0xff : 0;
    snprintf(out, COLOUR_TEXT + 1, "#%02x%02x%02x", (unsigned)v[0] & 0xff, (unsigned)v[1] & 0xff,
             (unsigned)v[2] & 0xff);
}

int accent_make(struct span text, enum scheme scheme, struct accent *out, struct err *e)
{
    const char *grounds[] = {schemes[scheme].sheet, schemes[scheme].ground, out->soft};
    int         rgb[3];

    if (!read_colour(text, rgb))
        return err_set(e, ERR_INVALID, "A colour is written #rrggbb.");
    snprintf(out->accent, sizeof out->accent, "#%02x%02x%02x", (unsigned)rgb[0] & 0xff, (unsigned)rgb[1] & 0xff,
             (unsigned)rgb[2] & 0xff);
    snprintf(out->on, sizeof out->on, "%s",
             colour_contrast(text, SPAN("#ffffff")) >= COLOUR_CONTRAST ? "#ffffff" : "#000000");
    mix(rgb, schemes[scheme].sheet, out->soft);
    for (size_t i = 0; i < COUNT(grounds); i++) {
        double contrast = colour_contrast(text, span_of(grounds[i]));

        if (contrast < COLOUR_CONTRAST)
            return err_set(e, ERR_INVALID,
                           "On %s pages this colour is hard to read: its contrast is %.1f, and has to be %.1f.",
                           schemes[scheme].word, contrast, COLOUR_CONTRAST);
    }
    return 0;
}
