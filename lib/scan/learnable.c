/* lib/scan/learnable.c - see learnable.h. */
#include "scan/learnable.h"

#include "base/json_read.h"
#include "base/utf8.h"
#include "rules/origin.h"

/* ---- how much of an address is the sender's ---- */

static bool is_digit(char c) { return c >= '0' && c <= '9'; }
static bool is_letter(char c) { return c >= 'a' && c <= 'z'; }
static bool is_hex(char c) { return is_digit(c) || (c >= 'a' && c <= 'f'); }
static bool parts_words(char c) { return c == '-' || c == '_' || c == '.' || c == '+'; }

#define NUMBER_MIN 5    /* digits in a word; a year of birth has fewer */
#define HEX_MIN 8       /* letters and digits, of a word that has both and nothing beyond f */
#define MIXED_MIN 10    /* of a word that changes between letters and digits */
#define CHANGES_MIN 3   /* so often */
#define LOCAL_BYTES 256 /* of a local part that is kept */

/* A word that a machine made up. */
static bool is_made_up(struct span word)
{
    size_t digits = 0, letters = 0, hex = 0, changes = 0;

    for (size_t i = 0; i < word.n; i++) {
        if (word.p[i] == '=')
            return true; /* somebody else's address in it */
        digits += is_digit(word.p[i]);
        letters += is_letter(word.p[i]);
        hex += is_hex(word.p[i]);
        changes += i > 0 && is_digit(word.p[i]) != is_digit(word.p[i - 1]);
    }
    return digits >= NUMBER_MIN || (hex == word.n && word.n >= HEX_MIN && digits > 0 && letters > 0) ||
           (word.n >= MIXED_MIN && changes >= CHANGES_MIN);
}

/* Bytes at the start that stay the same with every message, the mark behind them included; local.n: all. */
static size_t stable_bytes(struct span local)
{
    size_t start = 0;

    for (size_t i = 0; i <= local.n; i++) {
        if (i < local.n && !parts_words(local.p[i]))
            continue;
        if (is_made_up(span_between(local.p + start, local.p + i)))
            return start;
        if (i < local.n && local.p[i] == '+' && i > 0)
            return i + 1; /* a tag */
        start = i + 1;
    }
    return local.n;
}

/* Would it read as something else in the grammar of rules? */
static bool is_plain(struct span local)
{
    for (size_t i = 0; i < local.n; i++)
        if ((unsigned char)local.p[i] <= ' ' || local.p[i] == 0x7f || strchr("*?[]|\\/\"@<>,;:()", local.p[i]) != NULL)
            return false;
    return local.n > 0 && local.n <= LOCAL_BYTES && utf8_valid(local);
}

void learnable_breadth(const struct address *from, struct arena *a, struct learnable *out)
{
    size_t stable = stable_bytes(from->local);

    *out = (struct learnable){0};
    if (!is_plain(from->local) || from->domain.n == 0 || from->domain.p[0] == '[') {
        out->why = "the sender's address cannot stand in a list";
        return;
    }
    if (stable == from->local.n || domain_is_freemail(from->domain)) {
        out->sender = arena_dup(a, from->full);
        if (stable < from->local.n)
            out->why = "the address looks made up, but everybody may have one at its domain: the whole address counts";
    } else if (stable > 0) {
        out->sender = arena_printf(a, "%.*s*@%.*s", (int)stable, from->local.p, SPAN_ARG(from->domain));
        out->why = "the address was made for this message: the part of it that stays counts";
    } else if (domain_is_public_suffix(from->domain)) {
        out->why = "the address was made for this message, and its domain belongs to nobody";
    } else {
        out->sender = arena_printf(a, "*@%.*s", SPAN_ARG(from->domain));
        out->why = "the address was made for this message: its domain counts";
    }
    if (a->full)
        *out = (struct learnable){.why = "the sender's address is too long"};
}

/* ---- who it was ---- */

static bool covers(struct proof p, const struct address *sender) { return proof_covers(&p, sender); }

/* By which proof; empty: none. */
static struct span proven_by(const struct proof *p, const struct address *sender, struct arena *a)
{
    if (covers((struct proof){.dmarc_pass = p->dmarc_pass, .dmarc_domain = p->dmarc_domain}, sender))
        return SPAN("dmarc");
    for (size_t i = 0; i < p->ndkim; i++)
        if (covers((struct proof){.dkim = &p->dkim[i], .ndkim = 1}, sender))
            return arena_printf(a, "dkim:%.*s", SPAN_ARG(p->dkim[i]));
    if (covers((struct proof){.spf_domain = p->spf_domain}, sender))
        return arena_printf(a, "spf:%.*s", SPAN_ARG(p->spf_domain));
    return SPAN_NONE;
}

void learnable_find(const struct address *from, size_t nfrom, bool read, const struct proof *proof, struct span own,
                    struct arena *a, struct learnable *out)
{
    struct span by;

    *out = (struct learnable){0};
    if (nfrom != 1 || !read)
        out->why = nfrom == 0 ? "the message names no sender" : "the message names several senders, or a damaged one";
    else if (domain_is_within(from->domain, own) || domain_is_within(own, from->domain))
        out->why = "the sender is of the mailbox's own domain";
    else if ((by = proven_by(proof, from, a)).n == 0)
        out->why = proof->can_prove ? "it is not proven who sent it"
                                    : "nothing here proves who sent it: no scanner and no authserv_id is configured";
    if (out->why != NULL)
        return;
    learnable_breadth(from, a, out);
    out->proof = by;
}

/* ---- symbols of the log ---- */

static int read_options(struct json_read *json, struct arena *a, struct rspamd_symbol *s, struct err *e)
{
    struct span      *list = arena_array(a, RSPAMD_OPTIONS_MAX, sizeof *list);
    struct json_value v;
    int               rc;

    while ((rc = json_item(json, e)) > 0) {
        if (json_value(json, &v, e) < 0 || v.type != JSON_STRING || list == NULL)
            return -1;
        if (s->noptions < RSPAMD_OPTIONS_MAX)
            list[s->noptions++] = v.text;
    }
    s->options = list;
    return rc;
}

static int read_symbol(struct json_read *json, struct arena *a, struct rspamd_symbol *s, struct err *e)
{
    struct json_value key, v;
    int               rc;

    *s = (struct rspamd_symbol){0};
    while ((rc = json_member(json, &key, e)) > 0) {
        if (json_value(json, &v, e) < 0)
            return -1;
        if (span_is(key.text, "name") && v.type == JSON_STRING)
            s->name = v.text;
        else if (v.type == JSON_OBJECT ||
                 (v.type == JSON_ARRAY && (!span_is(key.text, "options") || read_options(json, a, s, e) < 0)))
            return -1;
    }
    return rc;
}

void learnable_read_symbols(struct span text, struct arena *a, struct scanner_answer *out)
{
    struct json_read      json = {.in = text, .arena = a};
    size_t                room = text.n / sizeof "{\"name\":\"\"}" + 1;
    struct rspamd_symbol *list;
    struct json_value     v;
    struct err            e = ERR_INIT;
    int                   rc;

    room = room < RSPAMD_SYMBOLS_MAX ? room : RSPAMD_SYMBOLS_MAX;
    out->reply.nsymbols = 0;
    if ((list = arena_array(a, room, sizeof *list)) == NULL || json_value(&json, &v, &e) < 0 || v.type != JSON_ARRAY)
        return;
    out->reply.symbols = list;
    while ((rc = json_item(&json, &e)) > 0 && out->reply.nsymbols < room) {
        if (json_value(&json, &v, &e) < 0 || v.type != JSON_OBJECT ||
            read_symbol(&json, a, &list[out->reply.nsymbols], &e) < 0) {
            out->reply.nsymbols = 0;
            return;
        }
        out->reply.nsymbols++;
    }
    if (rc < 0)
        out->reply.nsymbols = 0;
}
