/* rulesd/listener.c - see listener.h. */
#include "listener.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "mail/domain.h"

static int on_off(struct span value, bool *out)
{
    bool on = span_is(value, "on") || span_is(value, "yes") || span_is(value, "true");

    *out = on;
    return on || span_is(value, "off") || span_is(value, "no") || span_is(value, "false") ? 0 : -1;
}

static int one_of(struct span value, const char *no, const char *yes, bool *out)
{
    *out = span_is(value, yes);
    return *out || span_is(value, no) ? 0 : -1;
}

static int set_class(struct listener *l, struct span value)
{
    bool mta = false;
    int  rc = one_of(value, "scan", "mta", &mta);

    l->most = mta ? CLASS_MTA : CLASS_SCAN;
    return rc;
}
static int set_phase(struct listener *l, struct span value) { return one_of(value, "pre", "post", &l->post); }
static int set_mode(struct listener *l, struct span value)
{
    bool observe = false;
    int  rc = one_of(value, "live", "observe", &observe);

    atomic_store(&l->observe, observe);
    return rc;
}
static int set_lines(struct listener *l, struct span value)
{
    l->milter_lines = span_is(value, "milter");
    l->envelope_lines = l->milter_lines;
    return l->milter_lines ? 0 : on_off(value, &l->envelope_lines);
}
static int set_shm(struct listener *l, struct span value) { return on_off(value, &l->shm); }
static int set_discards(struct listener *l, struct span value) { return on_off(value, &l->discards); }

static int set_user_domain(struct listener *l, struct span value)
{
    struct arena a;
    struct span  normal;
    int          rc;

    arena_init(&a, 4096);
    rc = value.n == 0 ? 0 : domain_normalise(value, &a, &normal, NULL);
    arena_fini(&a);
    l->user_domain = value;
    return rc;
}

/* What may follow an address behind "?". */
static const struct {
    const char *key, *values;
    int (*set)(struct listener *l, struct span value);
} options[] = {
    {"class", "scan or mta", set_class},
    {"phase", "pre or post", set_phase},
    {"mode", "live or observe", set_mode},
    {"envelope_lines", "on, off or milter", set_lines},
    {"shm", "on or off", set_shm},
    {"discards", "on or off", set_discards},
    {"user_domain", "a domain", set_user_domain},
};

static int set_option(struct listener *l, struct span option, struct err *e)
{
    size_t equals = span_chr(option, '=');

    for (size_t i = 0; i < COUNT(options); i++) {
        if (!span_is(span_head(option, equals), options[i].key))
            continue;
        if (options[i].set(l, span_skip(option, equals + 1)) < 0)
            return err_set(e, ERR_INVALID, "%s is %s", options[i].key, options[i].values);
        return 0;
    }
    return err_set(e, ERR_INVALID,
                   "a listener has class, phase, mode, envelope_lines, shm, discards and user_domain, but no \"%.*s\"",
                   SPAN_ARG(option));
}

static int read_listener(const char *text, const struct settings *s, enum wire_kind kind, struct listener *l,
                         struct err *e)
{
    struct span query, option;

    *l = (struct listener){.kind = kind,
                           .most = CLASS_MTA,
                           .post = s->rulesd.phase == PHASE_POST,
                           .observe = s->rulesd.mode == MODE_OBSERVE,
                           .envelope_lines = s->rulesd.envelope_lines};
    if (s->rulesd.user_domain != NULL && set_user_domain(l, span_of(s->rulesd.user_domain)) < 0)
        return err_set(e, ERR_INVALID, "user_domain is a domain, not \"%s\"", s->rulesd.user_domain);
    if (endpoint_parse(text, &l->at, &query, e) < 0)
        return -1;
    while (span_next(&query, '&', &option))
        if (option.n > 0 && set_option(l, option, e) < 0)
            return -1;
    return 0;
}

/* Somebody else of the same user could share the port with us (SO_REUSEPORT), and take half of the mail: a second rulesd,
 * most likely. The first socket is opened alone, so that this is an error, and then makes room. */
static int open_alone(struct listener *l, struct err *e)
{
    int fd = endpoint_listen(&l->at, false, e);

    if (fd < 0)
        return -1;
    fd_close(&fd);
    return 0;
}

static int open_listener(struct listener *l, size_t nloops, struct err *e)
{
    size_t n = l->at.is_unix ? 1 : nloops;

    if ((l->fds = calloc(n, sizeof *l->fds)) == NULL)
        panic("out of memory");
    if (!l->at.is_unix && n > 1 && open_alone(l, e) < 0)
        return -1;
    for (; l->nfds < n; l->nfds++)
        if ((l->fds[l->nfds] = endpoint_listen(&l->at, n > 1, e)) < 0)
            return -1;
    return 0;
}

static int open_list(const struct conf_list *list, const char *key, enum wire_kind kind, const struct settings *s,
                     size_t nloops, struct listener *all, size_t *n, struct err *e)
{
    for (size_t i = 0; i < list->n; i++) {
        struct listener *l = &all[(*n)++];

        if (read_listener(list->items[i], s, kind, l, e) < 0 || open_listener(l, nloops, e) < 0)
            return err_wrap(e, "[rulesd] %s", key);
    }
    return 0;
}

int listeners_open(const struct settings *s, size_t nloops, struct listener **out, size_t *n_out, struct err *e)
{
    size_t most = s->rulesd.listen_spamd.n + s->rulesd.listen_http.n;

    *n_out = 0;
    if ((*out = calloc(most > 0 ? most : 1, sizeof **out)) == NULL)
        panic("out of memory");
    if (most > 0 && open_list(&s->rulesd.listen_spamd, "listen_spamd", WIRE_SPAMC, s, nloops, *out, n_out, e) == 0 &&
        open_list(&s->rulesd.listen_http, "listen_http", WIRE_HTTP, s, nloops, *out, n_out, e) == 0)
        return 0;
    if (most == 0)
        err_set(e, ERR_INVALID, "[rulesd] listen_spamd and listen_http name no address: nobody could ask");
    listeners_close(*out, *n_out);
    listeners_free(out, *n_out);
    return -1;
}

static void take_modes(const struct conf_list *list, const struct settings *s, struct listener *all, size_t n)
{
    struct err none = ERR_INIT;

    for (size_t i = 0; i < list->n; i++) {
        struct listener now;

        if (read_listener(list->items[i], s, WIRE_HTTP, &now, &none) < 0)
            continue;
        for (struct listener *l = all; l < all + n; l++)
            if (strcmp(l->at.text, now.at.text) == 0)
                atomic_store(&l->observe, atomic_load(&now.observe));
    }
}

void listeners_modes(const struct settings *s, struct listener *all, size_t n)
{
    take_modes(&s->rulesd.listen_spamd, s, all, n);
    take_modes(&s->rulesd.listen_http, s, all, n);
}

void listeners_close(struct listener *all, size_t n)
{
    for (struct listener *l = all; l < all + n; l++) {
        for (size_t i = 0; i < l->nfds; i++)
            fd_close(&l->fds[i]);
        if (l->at.is_unix && l->nfds > 0)
            unlink(((const struct sockaddr_un *)&l->at.addr)->sun_path);
        l->nfds = 0;
    }
}

void listeners_free(struct listener **all, size_t n)
{
    for (size_t i = 0; i < n; i++)
        free((*all)[i].fds);
    free(*all);
    *all = NULL;
}
