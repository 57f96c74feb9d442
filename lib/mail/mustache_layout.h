/* lib/mail/mustache_layout.h - a compiled template as mustache_compile() lays it out and mustache_render() walks it: one flat array.
 *
 * Invariants: 1. Sections are balanced: a SECTION or INVERTED knows its END and the END knows them, and they nest.
 *             2. Spans point into `source`.
 *             3. The first node of a line, unless the line's tag takes the line with it, has `begins_line`: there goes the indentation that
 *                a partial gets. A TEXT holds whole lines; inside it they begin behind each line end. */
#ifndef POSTERN_MAIL_MUSTACHE_LAYOUT_H
#define POSTERN_MAIL_MUSTACHE_LAYOUT_H

#include "mail/mustache.h"

enum mustache_node_kind {
    NODE_TEXT,
    NODE_ESCAPED,
    NODE_RAW,
    NODE_SECTION,
    NODE_INVERTED,
    NODE_END,
    NODE_PARTIAL,
};
struct mustache_node {
    enum mustache_node_kind kind;
    bool                    begins_line;
    bool                    alone;   /* PARTIAL: it takes its line, and gives the indentation to each of its own */
    size_t                  partner; /* SECTION, INVERTED: of its END; END: of what it ends */
    struct span             text;    /* TEXT; or the name */
    size_t                  first;   /* bytes of the name up to its first dot */
    struct span             indent;  /* PARTIAL: alone, what stood before it */
};
struct mustache {
    struct arena          arena; /* owns all of it */
    struct span           source;
    enum mustache_mode    mode;
    struct mustache_node *nodes;
    size_t                n, cap;
};

#endif
