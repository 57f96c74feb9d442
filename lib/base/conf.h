/* lib/base/conf.h - the settings file: INI by inih, checked against one table.
 *
 * A program (or library) declares rows; `conf_load` fills the fields. Every key has a default, so an empty or
 * missing default file runs. Sections and keys that no row of any program knows are errors that offer the
 * nearest known one; a line over 199 bytes is refused by number (Debian's inih cuts there), long values take
 * continuation lines (start with a blank; a text goes on without a gap, a list with its next item). A key set
 * twice, and an indented "key = value" that would vanish in the line above, are errors too. A blank and ';'
 * start a comment. `--help`, manuals and example files are printed from the same rows.
 * Strings live as long as the struct conf that loaded them. Loaded once in main, or again on SIGHUP. */
#ifndef POSTERN_BASE_CONF_H
#define POSTERN_BASE_CONF_H

#include "base/buf.h"
#include "base/err.h"

enum conf_type {
    CONF_TEXT, /* const char * */
    CONF_LIST, /* struct conf_list: comma- or blank-separated; the single word "none" is the empty list */
    CONF_INT,  /* int64_t, bounds min..max */
    CONF_SIZE, /* int64_t bytes: 50M, 2G, 1024 */
    CONF_BOOL, /* bool: on/off, yes/no, true/false */
    CONF_ENUM, /* int: index into the blank-separated words of `words` */
};

struct conf_list {
    const char **items;
    size_t       n;
};

struct conf_row {
    const char    *section, *key;
    enum conf_type type;
    size_t         offset; /* of the field in the caller's struct; CONF_OTHER for a row known but not read */
    const char    *fallback;
    int64_t        min, max;
    const char    *words; /* CONF_ENUM */
    const char    *help;  /* one sentence */
};
#define CONF_OTHER ((size_t)-1)

struct conf; /* owns the strings */

/* All keys of design.md 3, for every program; conf_rows[conf_nrows]. The offset of each is into struct settings. */
#include "base/settings.h"

/* Loads `path` (NULL: defaults alone). On -1, *out is NULL and e names file, line and cure.
 * `missing_ok`: a file that does not exist counts as empty. */
int                    conf_load(const char *path, bool missing_ok, struct conf **out, struct err *e);
void                   conf_free(struct conf **c);
const struct settings *conf_settings(const struct conf *c);
/* Prints the whole table as an example file with its help, defaults commented out. */
void conf_print_example(struct buf *b);

/* "512K", "50M", "2G", or bytes. */
bool conf_size(struct span s, int64_t *out);

#endif
