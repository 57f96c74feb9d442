/* tests/unit/rulesd_world.h - a store with some people in it, settings that lead there, and who blocks whom. */
#ifndef POSTERN_TESTS_UNIT_RULESD_WORLD_H
#define POSTERN_TESTS_UNIT_RULESD_WORLD_H

#include "base/conf.h"
#include "rules/evaluate.h"
#include "store_world.h"

#define MS 1000

static inline struct settings settings_of(const struct world *w)
{
    struct settings s = {0};

    s.store.url = w->url;
    s.redis.url = "";
    return s;
}

static inline void sleep_ms(int ms) { nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000L}, NULL); }

/* Asks every millisecond until it holds, at most `ms`. */
#define SOON(ms, condition)                                                                                            \
    do {                                                                                                               \
        int64_t until_us = clock_mono_us() + (int64_t)(ms)*MS;                                                         \
        while (!(condition)) {                                                                                         \
            if (clock_mono_us() > until_us)                                                                            \
                fail_msg("not within %d ms: %s", (int)(ms), #condition);                                               \
            sleep_ms(1);                                                                                               \
        }                                                                                                              \
    } while (0)

/* Does some rule of the scope apply to a message from this sender? `found` may be NULL, or gets the first match. */
static inline bool applies(const struct scope *s, const char *sender, struct match *found)
{
    struct arena        a;
    char                raw[512];
    const struct match *list = NULL;
    size_t              n = 0;
    bool                any = false;
    struct err          e = ERR_INIT;
    struct facts        f = {.arena = &a, .direction = DIRECTION_INBOUND, .now_us = clock_wall_us()};

    if (s == NULL)
        return false;
    arena_init(&a, 16 << 20);
    snprintf(raw, sizeof raw, "From: %s\r\nSubject: hello\r\n\r\nbody\r\n", sender);
    f.message = message_open(span_of(raw), &a);
    f.has_envelope_from = true;
    if (evaluate_scope(evaluation_new(&f), s, NULL, &list, &n, &e) < 0)
        fail_msg("evaluate: %s", e.text);
    for (size_t i = 0; i < n && !any; i++) {
        any = list[i].why == WHY_APPLIED;
        if (any && found != NULL)
            *found = list[i];
    }
    arena_fini(&a);
    return any;
}

/* A block of one sender. */
static inline struct uuid add_block(struct world *w, struct store *s, struct uuid policy, const char *sender)
{
    char              json[256];
    struct store_rule r = a_rule(policy, sender);
    struct uuid       id = uuid_zero;
    struct actor      by = root;

    by.over_quota = true;
    snprintf(json, sizeof json, "[{\"kind\":\"sender\",\"any\":[\"%s\"]}]", sender);
    r.conditions = span_of(json);
    OK(w, store_rule_add(s, &by, &r, &id, &w->e));
    return id;
}

/* user0@bulk.example … in one transaction, as an import does. */
static inline void add_many(struct world *w, struct store *s, struct uuid policy, size_t n)
{
    struct store_import *import = NULL;
    struct actor         by = root;
    char                 json[128];

    by.over_quota = true;
    OK(w, store_import_begin(s, &by, &policy, 1, &import, &w->e));
    for (size_t i = 0; i < n; i++) {
        struct store_rule r = a_rule(policy, "bulk");

        snprintf(json, sizeof json, "[{\"kind\":\"sender\",\"any\":[\"user%zu@bulk.example\"]}]", i);
        r.conditions = span_of(json);
        OK(w, store_import_put(&import, &r, &w->e));
    }
    OK(w, store_import_commit(&import, &w->e));
}

#endif
