/* rulesd/maps.h - our lists and thresholds in Rspamd's words, for who wants them there and nothing else of us.
 *
 * /maps/DOMAIN/{allow,block}/LIST  one key a line for a multimap: the domain's own rules, and those of the global policies assigned to
 *                                  it; DOMAIN "global": of the global policies that are locked or the default.
 * /maps/global/settings            a settings map: the thresholds of each domain (also as /settings.ucl); DOMAIN: of that one.
 * What a map cannot say (several conditions, "not", a regex, a side that no map looks at) is left out, and a comment counts it. An
 * allow that wants its sender proven stands in the lists proven-… alone, for a multimap that requires a symbol as proof.
 *
 * Documents are made from the store and kept until the change feed has moved, or a rule in them lapses. Their validators follow the
 * text: made again and the same, it has not been modified. */
#ifndef POSTERN_RULESD_MAPS_H
#define POSTERN_RULESD_MAPS_H

#include "base/clock.h"
#include "store/store.h"

#define MAPS_BODY_MAX ((size_t)64 << 20)
#define MAPS_KEPT_MAX 1000 /* documents */
#define MAPS_BYTES_MAX ((size_t)256 << 20)

struct maps;
struct map_doc;

struct maps *maps_new(void);
void         maps_free(struct maps **m); /* when no document is held */

/* What a path behind "/maps/" asks for. */
struct map_wish {
    bool        settings;
    bool        block; /* else allow */
    const void *list;
    struct span domain; /* "global", or as it was written */
};
/* False: there is no such map. */
bool maps_read_path(struct span path, struct map_wish *out);

/* The document, held, as of the change `seq` or later. The domain is in normal form. ERR_NOT_FOUND: no such domain. ERR_LIMIT: too
 * much for one map. Any thread, each with a store of its own; may take long. */
int  maps_get(struct maps *m, struct store *s, const struct map_wish *wish, int64_t seq, int64_t now_us,
              struct map_doc **out, struct err *e);
void map_doc_drop(struct map_doc **d);

struct span map_doc_body(const struct map_doc *d);
const char *map_doc_type(const struct map_doc *d);
#define MAP_FIELDS_MAX 300
/* Its validators, and until when it may be kept, as lines of a reply's head. */
struct span map_doc_fields(const struct map_doc *d, int64_t now_us, char room[MAP_FIELDS_MAX]);
/* Does who asks have it already? Of the two fields If-None-Match decides; p == NULL: not sent. */
bool map_doc_is_known(const struct map_doc *d, struct span if_none_match, struct span if_modified_since);

/* The names of all lists, for the manual and the tests; NULL ends them. */
extern const char *const map_list_names[];

/* Pure parts. A wildcard as a regular expression: false when it does not fit. */
struct buf;
bool map_put_wildcard(struct buf *out, struct span wildcard);
/* The blocks of a range, at most 2 × 128: "192.0.2.0/24\n…" */
struct ip_block;
void map_put_range(struct buf *out, const struct ip_block *range);

#endif
