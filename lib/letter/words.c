/* lib/letter/words.c - see words.h. */
#include "letter/words.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

const char *const words_tags[] = {"en", "de", NULL};

/* The name is for templates; NULL: they get it where it belongs. */
static const struct {
    const char *name, *say[LANGUAGES];
} words[WORDS] = {
    [WORD_RELEASE] = {"t_release", {"Release", "Zustellen"}},
    [WORD_RELEASE_ALLOW] = {"t_release_allow", {"Release and allow the sender", "Zustellen und Absender erlauben"}},
    [WORD_BLOCK] = {"t_block", {"Block the sender", "Absender blockieren"}},
    [WORD_FROM] = {"t_from", {"from", "von"}},
    [WORD_TO] = {NULL, {"to", "an"}},
    [WORD_SENT_BY] = {NULL, {"really sent by", "wirklich gesendet von"}},
    [WORD_OPEN] = {"t_open", {"Open the quarantine", "Quarantäne öffnen"}},
    [WORD_SETTINGS] = {"t_settings", {"Change this digest", "Diese Übersicht ändern"}},
    [WORD_UNSUBSCRIBE] = {"t_unsubscribe", {"Stop this digest", "Diese Übersicht abbestellen"}},
    [WORD_WHY] = {"t_why", {"You get this because you asked for a digest of", "Sie bekommen dies als Übersicht über"}},
    [WORD_SUPPORT] = {"t_support", {"Questions:", "Fragen:"}},
    [WORD_NO_SUBJECT] = {NULL, {"(no subject)", "(kein Betreff)"}},
    [WORD_NO_SENDER] = {NULL, {"(no sender)", "(kein Absender)"}},
    [WORD_PROBABLY_FINE] = {NULL, {"Probably not spam", "Wahrscheinlich kein Spam"}},
    [WORD_PROBABLY_FINE_HINT] = {NULL,
                                 {"Look here first: the likeliest to be missed come first.",
                                  "Hier zuerst nachsehen: Was am ehesten fehlt, steht oben."}},
    [WORD_PROBABLY_SPAM] = {NULL, {"Probably spam", "Wahrscheinlich Spam"}},
    [WORD_PROBABLY_SPAM_HINT] = {NULL, {"The filter is rather sure of these.", "Hier ist der Filter recht sicher."}},
    [WORD_BY_YOUR_RULE] = {NULL, {"Held by a rule of yours.", "Zurückgehalten durch eine Ihrer Regeln."}},
    [WORD_BY_SITE_RULE] = {NULL,
                           {"Held by a rule of your organisation.",
                            "Zurückgehalten durch eine Regel Ihrer Organisation."}},
    [WORD_BY_ATTACHMENT] = {NULL, {"Held because of what is attached.", "Zurückgehalten wegen eines Anhangs."}},
    [WORD_BY_VIRUS] = {NULL,
                       {"Held: the filter found a virus.", "Zurückgehalten: Der Filter hat einen Virus gefunden."}},
    [WORD_BY_SCORE] = {NULL, {"Held by the filter.", "Vom Filter zurückgehalten."}},
    [WORD_RELEASED] = {NULL, {"Released.", "Zugestellt."}},
    [WORD_DELIVERED] = {NULL, {"It was delivered, marked as spam.", "Sie wurde zugestellt, als Spam markiert."}},
    [WORD_GONE] = {NULL, {"This message is kept no more.", "Diese Nachricht wird nicht mehr aufbewahrt."}},
    [WORD_ASK_THE_OWNER] = {NULL,
                            {"Your organisation decides about this one: ask for it in the quarantine.",
                             "Hierüber entscheidet Ihre Organisation: Bitten Sie in der Quarantäne darum."}},
    [WORD_DECIDE] = {NULL,
                     {"A link does not decide about this one: look at it in the quarantine.",
                      "Hierüber entscheidet kein Link: Sehen Sie in der Quarantäne nach."}},
    [WORD_BY_RECIPIENT] = {NULL, {"By recipient", "Nach Empfänger"}},
};

enum language words_language(const char *tag)
{
    return strncmp(tag, "de", 2) == 0 && (tag[2] == '\0' || tag[2] == '-') ? LANGUAGE_DE : LANGUAGE_EN;
}

const char *words_say(enum language l, enum word w) { return words[w].say[l]; }

void words_put_all(struct arena *a, struct mustache_value *in, enum language l)
{
    for (size_t i = 0; i < WORDS; i++)
        if (words[i].name != NULL)
            mustache_put_str(a, in, words[i].name, words[i].say[l]);
}

/* ---- with numbers ---- */

/* In which words so many are told of: one, several. */
struct told {
    const char *say[LANGUAGES][2];
};
static const struct told told_held = {{{"1 message in your quarantine", "%zu messages in your quarantine"},
                                       {"1 Nachricht in Ihrer Quarantäne", "%zu Nachrichten in Ihrer Quarantäne"}}},
                         told_marked = {{{"1 message was marked as spam", "%zu messages were marked as spam"},
                                         {"1 Nachricht wurde als Spam markiert",
                                          "%zu Nachrichten wurden als Spam markiert"}}},
                         told_blocked = {{{"1 message was blocked", "%zu messages were blocked"},
                                          {"1 Nachricht wurde blockiert", "%zu Nachrichten wurden blockiert"}}};

struct span words_title(enum language l, const struct digest_content *c, bool quiet, struct arena *a)
{
    static const char *const all_quiet[LANGUAGES] = {"All quiet", "Alles ruhig"};
    size_t                   held = c->of_group[GROUP_PROBABLY_FINE] + c->of_group[GROUP_PROBABLY_SPAM] - c->marked;
    size_t                   n = held > 0 ? held : c->marked > 0 ? c->marked : c->of_group[GROUP_BLOCKED];
    const struct told       *told = held > 0 ? &told_held : c->marked > 0 ? &told_marked : &told_blocked;

    return quiet ? span_of(all_quiet[l]) : arena_printf(a, told->say[l][n != 1], n);
}

struct span words_counts(enum language l, const struct digest_content *c, struct arena *a)
{
    static const char *const say[LANGUAGES] = {"%lld quarantined · %lld blocked · %lld delivered",
                                               "%lld in Quarantäne · %lld blockiert · %lld zugestellt"};

    return arena_printf(a, say[l], (long long)c->quarantined, (long long)c->blocked, (long long)c->delivered);
}

/* "9.4", "6": one decimal, where it is not 0, with the language's point. */
static void put_points(char out[32], double points, enum language l)
{
    bool whole = fabs(points - round(points)) < 0.05;

    snprintf(out, 32, whole ? "%.0f" : "%.1f", points);
    if (l == LANGUAGE_DE && strchr(out, '.') != NULL)
        *strchr(out, '.') = ',';
}

struct span words_by_score(enum language l, double score, double threshold, struct arena *a)
{
    static const char *const say[LANGUAGES] = {"Score %s; your domain's limit is %s.",
                                               "Bewertung %s; die Grenze Ihrer Domain ist %s."};
    char                     points[32], limit[32];

    if (isnan(score) || isnan(threshold))
        return span_of(words_say(l, WORD_BY_SCORE));
    put_points(points, score, l);
    put_points(limit, threshold, l);
    return arena_printf(a, say[l], points, limit);
}

struct span words_blocked(enum language l, size_t n, struct arena *a)
{
    static const char *const say[LANGUAGES][2] = {{"1 blocked by your rules", "%zu blocked by your rules"},
                                                  {"1 durch Ihre Regeln blockiert", "%zu durch Ihre Regeln blockiert"}};

    return arena_printf(a, say[l][n != 1], n);
}

struct span words_more(enum language l, size_t n, bool beyond, struct arena *a)
{
    static const char *const say[LANGUAGES][2] = {{"and %zu more", "and more than %zu more"},
                                                  {"und %zu weitere", "und über %zu weitere"}};

    return arena_printf(a, say[l][beyond], n);
}

struct span words_reply(enum language l, int64_t number, struct arena *a)
{
    static const char *const say[LANGUAGES] = {
        "Or answer this mail with \"release\" and the numbers of the messages that you want: release %lld",
        "Oder antworten Sie auf diese Mail mit \"zustellen\" und den Nummern der gewünschten Nachrichten: zustellen "
        "%lld"};

    return arena_printf(a, say[l], (long long)number);
}
