/* portal/digest_choice.c - see digest_choice.h. */
#include "digest_choice.h"

#include <stdio.h>

#include "base/schedule.h"

static const char *const language_words[] = {"en", "de", NULL};
/* A list of words is a set of bits. */
struct bit_word {
    const char *name;
    unsigned    bit;
};
static const struct bit_word told[] = {{"quarantined", DIGEST_QUARANTINED},
                                       {"blocked", DIGEST_BLOCKED},
                                       {"spam", DIGEST_SPAM}},
                             days[] = {{"sunday", 1},    {"monday", 2},  {"tuesday", 4},  {"wednesday", 8},
                                       {"thursday", 16}, {"friday", 32}, {"saturday", 64}};

#define MINUTES_A_DAY 1440
#define MINUTES_AN_HOUR 60

/* ---- out ---- */

static void put_bits(struct buf *b, const char *key, const struct bit_word *table, size_t n, unsigned bits)
{
    json_open(b, key, '[');
    for (size_t i = 0; i < n; i++)
        if ((bits & table[i].bit) != 0)
            json_add_str(b, NULL, table[i].name);
    json_close(b, ']');
}

void digest_choice_put(struct buf *b, const struct store_digest_choice *x)
{
    json_add_bool(b, "hourly", x->hourly);
    json_add_i64(b, "minute", x->minute);
    put_bits(b, "days", days, COUNT(days), x->weekdays);
    json_add_str(b, "zone", x->zone);
    json_add_str(b, "language", x->language);
    put_bits(b, "tells", told, COUNT(told), x->filters);
    json_add_bool(b, "quiet", x->quiet);
}

/* ---- in ---- */

enum { IN_HOURLY, IN_MINUTE, IN_DAYS, IN_ZONE, IN_LANGUAGE, IN_TELLS, IN_QUIET, IN_KIND, IN_OF };
#define CHOICE_FIELDS(needed)                                                                                          \
    [IN_HOURLY] = {"hourly",                                                                                           \
                   FIELD_BOOL,                                                                                         \
                   0,                                                                                                  \
                   0,                                                                                                  \
                   0,                                                                                                  \
                   NULL,                                                                                               \
                   offsetof(struct digest_choice_body, hourly),                                                        \
                   "Each hour, rather than once a day."},                                                              \
    [IN_MINUTE] = {"minute",                                                                                           \
                   FIELD_I64,                                                                                          \
                   needed,                                                                                             \
                   0,                                                                                                  \
                   MINUTES_A_DAY - 1,                                                                                  \
                   NULL,                                                                                               \
                   offsetof(struct digest_choice_body, minute),                                                        \
                   "Of the local day: 420 is 07:00; hourly: of the hour."},                                            \
    [IN_DAYS] = {"days",                                                                                               \
                 FIELD_TEXTS,                                                                                          \
                 0,                                                                                                    \
                 0,                                                                                                    \
                 7,                                                                                                    \
                 NULL,                                                                                                 \
                 offsetof(struct digest_choice_body, days),                                                            \
                 "sunday … saturday; all of them unless said."},                                                       \
    [IN_ZONE] = {"zone",                                                                                               \
                 FIELD_TEXT,                                                                                           \
                 needed,                                                                                               \
                 1,                                                                                                    \
                 ZONE_NAME_MAX - 1,                                                                                    \
                 NULL,                                                                                                 \
                 offsetof(struct digest_choice_body, zone),                                                            \
                 "An IANA time zone: Europe/Berlin."},                                                                 \
    [IN_LANGUAGE] =                                                                                                    \
        {"language",      FIELD_WORD, 0, 0, 0, language_words, offsetof(struct digest_choice_body, language),          \
         "Of the letter."},                                                                                            \
    [IN_TELLS] = {"tells",                                                                                             \
                  FIELD_TEXTS,                                                                                         \
                  0,                                                                                                   \
                  1,                                                                                                   \
                  3,                                                                                                   \
                  NULL,                                                                                                \
                  offsetof(struct digest_choice_body, tells),                                                          \
                  "What it tells of: quarantined, blocked, spam; what is quarantined unless said."},                   \
    [IN_QUIET] = {"quiet",                                                                                             \
                  FIELD_BOOL,                                                                                          \
                  0,                                                                                                   \
                  0,                                                                                                   \
                  0,                                                                                                   \
                  NULL,                                                                                                \
                  offsetof(struct digest_choice_body, quiet),                                                          \
                  "A letter a week also where nothing was held."}
const struct field digest_choice_fields[] = {CHOICE_FIELDS(FIELD_REQUIRED), FIELDS_END};
const struct field digest_set_fields[] = {CHOICE_FIELDS(0), FIELDS_END};
const struct field digest_add_fields[] = {
    CHOICE_FIELDS(FIELD_REQUIRED),
    [IN_KIND] = {"kind", FIELD_WORD, FIELD_REQUIRED, 0, 0, digest_kind_words, offsetof(struct digest_choice_body, kind),
                 "Of a mailbox of one's own, or of a domain that one owns."},
    [IN_OF] = {"of", FIELD_TEXT, FIELD_REQUIRED, 1, STORE_ADDRESS_MAX, NULL, offsetof(struct digest_choice_body, of),
               "The mailbox's address, or the domain's name."},
    FIELDS_END,
};

static int read_bits(struct call *c, const struct field_texts *texts, const struct bit_word *table, size_t n,
                     const char *member, unsigned *out, struct err *e)
{
    *out = 0;
    for (size_t i = 0; i < texts->n; i++) {
        unsigned bit = 0;

        for (size_t k = 0; k < n; k++)
            bit |= span_is(texts->items[i], table[k].name) ? table[k].bit : 0;
        if (bit == 0) {
            c->member = member;
            return err_set(e, ERR_INVALID, "\"%.*s\" is none of the words for this.", SPAN_ARG(texts->items[i]));
        }
        *out |= bit;
    }
    return 0;
}

/* What of it no schedule has. */
static const char *wrong_member(const struct store_digest_choice *x)
{
    if (x->weekdays == 0)
        return "days";
    if (x->filters == 0)
        return "tells";
    return x->hourly && x->minute >= MINUTES_AN_HOUR ? "minute" : "zone";
}

int digest_choice_take(struct call *c, const struct digest_choice_body *in, struct store_digest_choice *x,
                       int64_t *next_out, struct err *e)
{
    if (field_given(in, IN_HOURLY))
        x->hourly = in->hourly;
    if (field_given(in, IN_MINUTE))
        x->minute = in->minute;
    if (field_given(in, IN_ZONE))
        snprintf(x->zone, sizeof x->zone, "%.*s", SPAN_ARG(in->zone));
    if (field_given(in, IN_LANGUAGE))
        snprintf(x->language, sizeof x->language, "%s", language_words[in->language]);
    if (field_given(in, IN_QUIET))
        x->quiet = in->quiet;
    if ((field_given(in, IN_DAYS) && read_bits(c, &in->days, days, COUNT(days), "days", &x->weekdays, e) < 0) ||
        (field_given(in, IN_TELLS) && read_bits(c, &in->tells, told, COUNT(told), "tells", &x->filters, e) < 0))
        return -1;
    if (store_digest_choice_check(x, e) == 0 && store_digest_choice_next(x, c->now_us, next_out, e) == 0)
        return 0;
    c->member = wrong_member(x);
    if (e->code == ERR_NOT_FOUND) /* what is wrong is what was asked for */
        e->code = ERR_INVALID;
    return -1;
}

struct store_digest_choice digest_choice_first(const struct call *c)
{
    struct store_digest_choice x = {.weekdays = SCHEDULE_EVERY_DAY, .filters = DIGEST_QUARANTINED};

    snprintf(x.language, sizeof x.language, "%s", c->who.account.language[0] != '\0' ? c->who.account.language : "en");
    return x;
}
