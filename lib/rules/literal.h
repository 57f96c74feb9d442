/* lib/rules/literal.h - which of many literals occur in a text, by one pass.
 *
 * Each literal is filed under one 8-, 4-, 3-, 2- or 1-byte window of itself, the one whose bucket is the emptiest so far, in a
 * hash table behind a bitmap that fits its number; a scan rolls over the text, asks the bitmap at each byte, and compares whole
 * literals only in a hit bucket. Equal literals are one. Building is two hash inserts a literal; memory some 30 bytes a
 * literal beyond the text (which is borrowed). Immutable once built: any number of threads. Each found id is reported once a
 * scan. A scan stops with -1 when its budget of comparisons (8 a byte of text plus 100,000) is used up: then it is unknown
 * what else occurs. The hash is seeded once a process, so a stranger cannot aim at one bucket. */
#ifndef POSTERN_RULES_LITERAL_H
#define POSTERN_RULES_LITERAL_H

#include "base/span.h"

#define LITERAL_ID_MAX 0x7fffffffu

struct literal_set;
struct literal_builder;

struct literal_builder *literal_builder_new(void);
void                    literal_builder_free(struct literal_builder **b); /* NULL is fine */
/* text is borrowed until the set is freed; 1 … 65535 bytes. */
void                literal_add(struct literal_builder *b, struct span text, uint32_t id);
struct literal_set *literal_build(struct literal_builder **b); /* NULL when nothing was added; frees the builder */
void                literal_free(struct literal_set **set);
size_t              literal_memory(const struct literal_set *set);
/* found gets the offset of the first occurrence, and returns false to stop early. 0 done, -1 budget used up. */
int literal_scan(const struct literal_set *set, struct span text, bool (*found)(void *ctx, uint32_t id, size_t at),
                 void *ctx);

#endif
