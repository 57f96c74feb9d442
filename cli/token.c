/* cli/token.c - postern token: what programs show when they ask rulesd for something. */
#include <stdio.h>

#include "cli.h"
#include "store/api_key.h"

#define DAY_US (86400 * INT64_C(1000000))

/* The words of a list, one blank between them. */
static struct span join(struct cli *c, const struct args_list *list)
{
    struct span all = SPAN_NONE;

    for (size_t i = 0; i < list->n; i++)
        all = i == 0 ? span_of(list->items[0]) : arena_printf(&c->arena, "%.*s %s", SPAN_ARG(all), list->items[i]);
    return all;
}

/* "maps:Example.ORG" names a domain that there is, in its normal form. */
static int normal_scope(struct cli *c, const char **word, struct err *e)
{
    struct store_domain d;

    if (!span_starts(span_of(*word), SPAN("maps:")) || strcmp(*word, "maps:global") == 0 || (*word)[5] == '\0')
        return 0;
    if (cli_find_domain(c, *word + 5, &d, e) < 0)
        return -1;
    *word = arena_printf(&c->arena, "maps:%s", d.name).p;
    return 0;
}

static int read_domains(struct cli *c, const struct args_list *names, struct store_api_key *k, struct err *e)
{
    struct uuid        *ids = arena_array(&c->arena, names->n + 1, sizeof *ids);
    struct store_domain d;

    if (ids == NULL)
        return err_set(e, ERR_LIMIT, "too many domains");
    for (size_t i = 0; i < names->n; i++) {
        if (cli_find_domain(c, names->items[i], &d, e) < 0)
            return -1;
        ids[k->ndomains++] = d.id;
    }
    k->domains = ids;
    return 0;
}

static void explain_scopes(void)
{
    puts("Scopes:");
    for (size_t i = 0; i < api_key_nscopes; i++)
        printf("  %-16s %s\n", api_key_scopes[i].name, api_key_scopes[i].help);
}

static int token_add(struct cli *c, int argc, char **argv, struct err *e)
{
    const char              *words[32], *days = NULL;
    struct args_list         scopes = {.n = 0}, domains = {.n = 0}, networks = {.n = 0};
    size_t                   n = 0;
    struct store_api_key     k = {.role = ROLE_USER};
    const char              *role = NULL;
    int                      rank = ROLE_USER;
    struct uuid              id;
    int64_t                  ndays = 0;
    char                     text[API_KEY_TEXT + 1];
    const struct args_option options[] = {
        {"domain", "NAME", .list = &domains, .help = "for this domain alone"},
        {"from", "NETWORK", .list = &networks, .help = "from there alone: 192.0.2.7, 192.0.2.0/24"},
        {"days", "N", .text = &days, .help = "it ends by itself after that"},
        {"role", "user|clerk|owner|admin", .text = &role,
         .help = "as high as it stands in the portal's API; user: nowhere"},
    };

    if (args_read(argc, argv, options, COUNT(options), "NAME SCOPE …", 2, COUNT(words), words, &n, e) < 0) {
        if (e->code == ERR_NONE)
            explain_scopes();
        return -1;
    }
    if (role != NULL && cli_word_index(role_words, role, "a role", &rank, e) < 0)
        return -1;
    k.role = (enum role)rank;
    if (cli_store(c, e) < 0 || (days != NULL && cli_number(days, "--days", 1, 36500, &ndays, e) < 0))
        return -1;
    for (size_t i = 1; i < n; i++) {
        if (normal_scope(c, &words[i], e) < 0)
            return -1;
        scopes.items[scopes.n++] = words[i];
    }
    k.name = span_of(words[0]);
    k.scopes = join(c, &scopes);
    k.networks = join(c, &networks);
    k.expires_us = ndays > 0 ? clock_wall_us() + ndays * DAY_US : 0;
    if (read_domains(c, &domains, &k, e) < 0 || store_api_key_add(c->store, &c->actor, &k, &id, text, e) < 0)
        return -1;
    fputs("Token ", stdout);
    cli_print(k.name);
    printf(" made. It is shown this once, and kept nowhere:\n%s\n", text);
    return 0;
}

static const char *state_of(const struct store_api_key *k, char room[40])
{
    char date[28];

    if (k->revoked_us != 0)
        return "revoked";
    if (k->expires_us == 0)
        return "";
    clock_format_utc(k->expires_us, date);
    snprintf(room, 40, "%s %.10s", clock_wall_us() >= k->expires_us ? "ended" : "until", date);
    return room;
}

static int print_token(void *ctx, const struct store_api_key *k, const uint8_t hash[API_KEY_HASH])
{
    char id[UUID_TEXT + 1], room[40], date[28] = "never";

    (void)ctx;
    (void)hash;
    uuid_format(&k->id, id);
    if (k->last_used_us != 0)
        clock_format_utc(k->last_used_us, date);
    printf("%s ", id + UUID_TEXT - 8);
    cli_print_padded(k->name, 24);
    putchar(' ');
    cli_print_padded(k->scopes, 32);
    printf(" used %.10s", date);
    if (k->bound)
        printf("  %zu domains", k->ndomains);
    if (k->networks.n > 0) {
        fputs("  from ", stdout);
        cli_print(k->networks);
    }
    printf("  %s\n", state_of(k, room));
    return 0;
}

static int token_list(struct cli *c, int argc, char **argv, struct err *e)
{
    if (args_read(argc, argv, NULL, 0, "", 0, 0, NULL, NULL, e) < 0 || cli_store(c, e) < 0)
        return -1;
    return store_api_key_list(c->store, print_token, c, e);
}

static int token_revoke(struct cli *c, int argc, char **argv, struct err *e)
{
    const char *word;
    struct uuid id;

    if (args_read(argc, argv, NULL, 0, "ID|NAME", 1, 1, &word, NULL, e) < 0 || cli_store(c, e) < 0 ||
        store_api_key_find(c->store, span_of(word), &id, e) < 0 || store_api_key_revoke(c->store, &c->actor, id, e) < 0)
        return -1;
    fputs("Token ", stdout);
    cli_print(span_of(word));
    puts(" is worth nothing any more.");
    return 0;
}

int cli_token(struct cli *c, int argc, char **argv, struct err *e)
{
    static const struct cli_verb verbs[] = {
        {"add", "NAME SCOPE … [--domain NAME] [--from NETWORK] [--days N]", "a key for a program, shown once",
         token_add},
        {"list", "", "those that were made, and what they are for", token_list},
        {"revoke", "ID|NAME", "it is worth nothing any more, at once", token_revoke},
    };

    return cli_dispatch(c, "token", verbs, COUNT(verbs), argc, argv, e);
}
