/* lib/rules/import.h - lists of rules as other programs and people write them, line by line. Pure.
 *
 *   json          a rule a line: {"scope": …, "policy": …, rule…}
 *   csv           a row a rule: columns action, kind, entry, name, note, expires_at, require_proof, policy, named in a first row; without
 *                 one "entry" or "action, entry, name, note". Between cells a comma, a semicolon or a tab; a quoted cell ends on its line
 *   spamassassin  welcomelist_from, blocklist_from (and the old names), welcomelist_auth, *_to lines of a local.cf
 *   map           an Rspamd map, or any list: one key a line, "#" comments, /regex/; "@domain" is that domain alone
 *
 * Each line is a rule of its own, read by rule_line_from_json() and so checked as any other. What a row or a map does not say comes from
 * `action` and `kind`; without a kind, what reads as an IP address, block or range is "ip", the rest "sender". */
#ifndef POSTERN_RULES_IMPORT_H
#define POSTERN_RULES_IMPORT_H

#include "rules/rule.h"

#define IMPORT_LINE_MAX (1 << 20) /* of JSON lines RULE_JSON_MAX */
#define IMPORT_CELLS_MAX 16

enum import_format { IMPORT_JSON, IMPORT_CSV, IMPORT_SPAMASSASSIN, IMPORT_MAP };
extern const char *const import_format_words[]; /* "json", …, NULL */
extern const char *const import_kind_words[];   /* what a key of a list can be: "sender", …, NULL */

/* Init, then the lines of one file in their order. */
struct import_reader {
    enum import_format format;
    const char        *action, *kind; /* a word of rule.h, or NULL */
    /* ours: */
    struct buf json;
    bool       begun; /* csv: the first row has been seen */
    char       separator;
    size_t     ncolumns;
    unsigned   columns[IMPORT_CELLS_MAX];
};
void import_init(struct import_reader *r, enum import_format format, const char *action, const char *kind);
void import_fini(struct import_reader *r);

enum import_found {
    IMPORT_NOTHING = 0, /* empty, a comment, a heading, what is no list */
    IMPORT_RULE = 1,
    IMPORT_UNSAYABLE =
        2, /* spamassassin: of a list, but nothing that a rule can say (unwelcomelist_from); it changes what others mean */
};
/* One line, without its end. What is found is in the arena, or points into it; scope and policy are {NULL, 0} where it names none.
 * -1: e says what is wrong with it; where the line is no JSON, in its own terms. */
int import_line(struct import_reader *r, struct span line, struct arena *a, struct rule_check *check, struct rule *out,
                struct span *scope_out, struct span *policy_out, struct err *e);

/* An error about JSON that nobody has written, for who wrote no more than one entry: without the "conditions[0].any[2], " in front. */
void import_own_terms(struct err *e);

/* What it most likely is. */
enum import_format import_guess(struct span text);

#endif
