/* lib/rules/literal.h - which of many literals occur in a text, by one pass.
 *
 * Each literal is filed under one 8-, 4-, 3-, 2- or 1-byte window of itself, the one whose bucket is the emptiest so far, in a
 * hash table behind a bitmap that fits its number; a scan rolls over the text, asks the bitmap at each byte, and compares whole
 * literals only in a hit bucket. Building is one hash insert a literal; memory some 24 bytes a literal beyond the text (which
 * is borrowed). Immutable once built: any number of threads. Each found id is reported once a scan at least (duplicates may
 * come). A scan stops with -1 when its budget of comparisons (8 a byte of text plus 100,000) is used up: then it is unknown. */
#ifndef POSTERN_RULES_LITERAL_H
#define POSTERN_RULES_LITERAL_H

#include "base/span.h"

struct literal_set;
struct literal_builder;

struct literal_builder *literal_builder_new(void);
/* text is borrowed until the set is freed; 1 … 65535 bytes. */
void                literal_add(struct literal_builder *b, struct span text, uint32_t id);
struct literal_set *literal_build(struct literal_builder **b); /* NULL when nothing was added; frees the builder */
void                literal_free(struct literal_set **set);
size_t              literal_memory(const struct literal_set *set);
/* found returns false to stop early. 0 done, -1 budget used up. */
int literal_scan(const struct literal_set *set, struct span text, bool (*found)(void *ctx, uint32_t id, size_t at), void *ctx);

#endif
