/* cli/example.c - what `make run` shows: two domains, three people, a dozen rules, and some mail judged by them. */
#include <arpa/inet.h>
#include <dirent.h>
#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"
#include "run.h"
#include "store/account.h"
#include "store/address.h"
#include "store/mailbox.h"
#include "store/policy.h"
#include "vault/keyring.h"

#define READY_TRIES 1200 /* of 50 ms */

static const char conf_text[] = "; Made by `postern run --example`: every path below %s, every port on loopback.\n"
                                "[store]\n"
                                "url = sqlite:%s/postern.db\n"
                                "[quarantine]\n"
                                "url = file:%s/quarantine\n"
                                "keys = %s/keys\n"
                                "[rulesd]\n"
                                "listen_spamd = 127.0.0.1:%lld, unix:%s/spamd.sock\n"
                                "listen_http = 127.0.0.1:%lld, unix:%s/http.sock\n"
                                "; whoever is on this machine may play the mail server here; elsewhere name your own\n"
                                "mta_from = 127.0.0.0/8\n"
                                "mta_users =\n"
                                "[portal]\n"
                                "listen = 127.0.0.1:%lld\n"
                                "public_url = http://127.0.0.1:%lld\n"
                                "web =\n"
                                "    %s/portal/web\n"
                                "modules =\n"
                                "    %s/portal/web/node_modules\n"
                                "[log]\n"
                                "; info: a line for each scan\n"
                                "level = warning\n";

static int write_conf(const struct example *x, const char *path, struct err *e)
{
    const char *dir = x->dir;
    char        up[4096], root[4096];
    struct stat st;
    FILE       *f;
    bool        failed;

    if (stat(path, &st) == 0)
        return 0;
    if (strlen(dir) > 80)
        return err_set(e, ERR_INVALID, "the name of the example's folder is longer than 80 bytes");
    snprintf(up, sizeof up, "%s/../..", x->seed);
    if (realpath(up, root) == NULL)
        return err_errno(e, "find the project's folder above %s", x->seed);
    if ((f = fopen(path, "wxe")) == NULL)
        return err_errno(e, "create %s", path);
    fprintf(f, conf_text, dir, dir, dir, dir, (long long)x->spamd_port, dir, (long long)x->http_port, dir,
            (long long)x->portal_port, (long long)x->portal_port, root, root);
    failed = ferror(f) != 0;
    failed = fclose(f) != 0 || failed;
    return failed ? err_errno(e, "write %s", path) : 0;
}

static int add_person(struct cli *c, const char *address, const char *name, struct uuid domain, enum role role,
                      struct err *e)
{
    struct store_account a = {.active = true};
    struct span          local = span_head(span_of(address), span_chr(span_of(address), '@'));
    struct uuid          account, mailbox;

    snprintf(a.login, sizeof a.login, "%s", address);
    snprintf(a.name, sizeof a.name, "%s", name);
    if (store_account_add(c->store, &c->actor, &a, &account, e) < 0 ||
        store_mailbox_add(c->store, &c->actor, domain, local, &account, &mailbox, e) < 0)
        return -1;
    return role == ROLE_USER ? 0 : store_role_set(c->store, &c->actor, account, domain, role, e);
}

static int add_people(struct cli *c, struct err *e)
{
    struct store_domain  ours = {.name = "ours.example", .state = DOMAIN_ACTIVE, .delimiter = '+'};
    struct store_domain  garden = {.name = "garden.example", .state = DOMAIN_ACTIVE, .delimiter = '+'};
    struct store_policy  house = {.name = "House rules",
                                  .scope = STORE_SCOPE_GLOBAL,
                                  .priority = POLICY_PRIORITY,
                                  .locked = true,
                                  .enabled = true};
    struct store_account operator= {
        .login = "operator@elsewhere.example", .name = "Operator", .active = true, .admin = true};
    struct store_setting strict;
    struct span          team[] = {SPAN("anna@ours.example"), SPAN("otto@ours.example")};
    struct uuid          id;

    if (store_policy_add(c->store, &c->actor, &house, &id, e) < 0 ||
        store_domain_add(c->store, &c->actor, &ours, &ours.id, e) < 0 ||
        store_domain_add(c->store, &c->actor, &garden, &garden.id, e) < 0 ||
        add_person(c, "anna@ours.example", "Anna", ours.id, ROLE_USER, e) < 0 ||
        add_person(c, "otto@ours.example", "Otto", ours.id, ROLE_OWNER, e) < 0 ||
        add_person(c, "gina@garden.example", "Gina", garden.id, ROLE_OWNER, e) < 0 ||
        store_account_add(c->store, &c->actor, &operator, & id, e) < 0 ||
        store_address_add(c->store, &c->actor, ours.id, SPAN("team"), ADDRESS_ALIAS, team, COUNT(team), &id, e) < 0 ||
        store_setting_get(c->store, store_scope_domain(garden.id), &strict, e) < 0)
        return -1;
    strict.reject = 10;
    strict.add_header = 5;
    return store_setting_set(c->store, &c->actor, store_scope_domain(garden.id), &strict, e);
}

static int seed_store(struct cli *c, const char *seed, struct err *e)
{
    struct store_domain d;
    char                rules[4096];

    if (store_open(c->settings->store.url, STORE_CREATE, &c->store, e) < 0)
        return -1;
    if (store_domain_find(c->store, SPAN("ours.example"), &d, e) == 0)
        return 0; /* made on an earlier run */
    if (e->code != ERR_NOT_FOUND || store_begin(c->store, e) < 0)
        return -1;
    *e = ERR_INIT;
    if (add_people(c, e) < 0 || store_commit(c->store, e) < 0) {
        store_rollback(c->store);
        return -1;
    }
    snprintf(rules, sizeof rules, "%s/rules.jsonl", seed);
    return cli_rule_import(c, 1, (char *[]){rules}, e);
}

int example_make(struct cli *c, const struct example *x, struct conf **conf_out, struct err *e)
{
    static char path[4096];

    snprintf(path, sizeof path, "%s/postern.conf", x->dir);
    if (fd_mkdirs(x->dir, 0700, e) < 0 || write_conf(x, path, e) < 0 || conf_load(path, false, conf_out, e) < 0)
        return -1;
    c->conf_path = path;
    c->settings = conf_settings(*conf_out);
    if (keyring_create(c->settings->quarantine.keys, e) < 0)
        return -1;
    return seed_store(c, x->seed, e);
}

/* ---- asking rulesd, as any client of Rspamd's protocol would ---- */

static int connect_http(int64_t port)
{
    struct sockaddr_in at = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct timeval ten = {10, 0};
    int            fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return -1;
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &ten, sizeof ten);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &ten, sizeof ten);
    if (connect(fd, (struct sockaddr *)&at, sizeof at) < 0)
        fd_close(&fd);
    return fd;
}

static int ask(int64_t port, struct span request, struct buf *reply, struct err *e)
{
    int     fd = connect_http(port);
    ssize_t n = -1;
    char   *room;

    buf_clear(reply);
    if (fd < 0)
        return err_set(e, ERR_LOST, "nobody answers at 127.0.0.1:%lld", (long long)port);
    if (fd_write_all(fd, request, e) == 0) {
        while ((room = buf_reserve(reply, 4096)) != NULL && (n = read(fd, room, 4096)) > 0)
            reply->n += (size_t)n;
    }
    fd_close(&fd);
    return n == 0 ? 0 : err_set(e, ERR_LOST, "rulesd did not answer");
}

static int wait_ready(int64_t port, struct err *e)
{
    struct timespec pause = {0, 50000000};
    struct buf      reply;
    bool            ready = false;

    buf_init(&reply, 64 << 10);
    for (int i = 0; i < READY_TRIES && !ready; i++) {
        ready = ask(port, SPAN("GET /ready HTTP/1.0\r\n\r\n"), &reply, e) == 0 &&
                span_find(buf_span(&reply), SPAN(" 200 ")) < 20;
        if (!ready)
            nanosleep(&pause, NULL);
    }
    buf_fini(&reply);
    return ready ? 0
                 : err_set(e, ERR_LOST,
                           "postern-rulesd does not get ready on 127.0.0.1:%lld; its own lines above say why",
                           (long long)port);
}

static void print_answer(const char *name, const char *rcpt, struct span reply)
{
    size_t       body = span_find(reply, SPAN("\r\n\r\n"));
    cJSON       *json = cJSON_ParseWithLength(span_skip(reply, body + 4).p, span_skip(reply, body + 4).n);
    const cJSON *action = cJSON_GetObjectItemCaseSensitive(json, "action");
    const cJSON *score = cJSON_GetObjectItemCaseSensitive(json, "score");

    printf("  %-22s for %-22s %-12s %7.1f\n", name, rcpt, cJSON_IsString(action) ? action->valuestring : "no answer",
           cJSON_IsNumber(score) ? score->valuedouble : 0.0);
    cJSON_Delete(json);
}

/* One file of mail/: its envelope is its From and To, as everybody would expect of an example. */
static int scan_file(const struct example *x, const char *name, struct err *e)
{
    static const char *const rcpts[] = {"anna@ours.example", "gina@garden.example"};
    struct buf               mail, request, reply;
    char                     path[4400];
    int                      rc = 0;

    snprintf(path, sizeof path, "%s/mail/%s", x->seed, name);
    buf_init(&mail, 1 << 20);
    buf_init(&request, 2 << 20);
    buf_init(&reply, 1 << 20);
    rc = fd_read_file(path, 1 << 20, &mail, e);
    for (size_t i = 0; i < COUNT(rcpts) && rc == 0; i++) {
        buf_clear(&request);
        buf_printf(&request,
                   "POST /checkv2 HTTP/1.1\r\nHost: postern\r\nConnection: close\r\nIP: 192.0.2.7\r\nFrom: "
                   "<sender@partner.example>\r\n"
                   "Rcpt: <%s>\r\nContent-Length: %zu\r\n\r\n",
                   rcpts[i], mail.n);
        buf_put(&request, buf_span(&mail));
        if ((rc = ask(x->http_port, buf_span(&request), &reply, e)) == 0)
            print_answer(name, rcpts[i], buf_span(&reply));
    }
    buf_fini(&reply);
    buf_fini(&request);
    buf_fini(&mail);
    return rc;
}

static int is_mail(const struct dirent *d) { return span_ends(span_of(d->d_name), SPAN(".eml")); }

static int scan_all(const struct example *x, struct err *e)
{
    struct dirent **names = NULL;
    char            path[4200];
    int             n, rc = 0;

    snprintf(path, sizeof path, "%s/mail", x->seed);
    if ((n = scandir(path, &names, is_mail, alphasort)) < 0)
        return err_errno(e, "read the folder %s", path);
    for (int i = 0; i < n; i++) {
        if (rc == 0)
            rc = scan_file(x, names[i]->d_name, e);
        free(names[i]);
    }
    free(names);
    return rc;
}

static int print_link(struct cli *c, const char *address, struct err *e)
{
    struct buf link;
    int        rc;

    buf_init(&link, 4096);
    rc = cli_make_login_link(c, span_of(address), &link, e);
    if (rc == 0)
        printf("  %-22s %.*s\n", address, SPAN_ARG(buf_span(&link)));
    buf_fini(&link);
    return rc;
}

int example_show(struct cli *c, const struct example *x, struct err *e)
{
    long long   spamd = x->spamd_port, http = x->http_port;
    const char *dir = x->dir, *conf = c->conf_path;

    if (wait_ready(http, e) < 0)
        return -1;
    puts("\nMail, and what the people it is for have decided about it:");
    if (scan_all(x, e) < 0)
        return -1;
    printf("\nPostern is running, as %s.\n"
           "  spamd protocol     127.0.0.1:%lld and %s/spamd.sock    (spamc, Exim, amavis, SpamAssassin's milter)\n"
           "  Rspamd protocol    127.0.0.1:%lld and %s/http.sock   (rspamc, Rspamd's proxy, Haraka, OpenSMTPD)\n"
           "  portal             http://127.0.0.1:%lld\n"
           "  settings           %s\n"
           "  database           %s/postern.db, %s/log.db\n"
           "  held mail, keys    %s/quarantine, %s/keys\n"
           "  people             anna@ours.example, otto@ours.example (owner), gina@garden.example (owner),\n"
           "                     operator@elsewhere.example (admin)\n",
           c->actor_name, spamd, dir, http, dir, (long long)x->portal_port, conf, dir, dir, dir, dir);
    printf("\nOpen one of these in a browser: each signs in once, within 10 minutes.\n");
    if (print_link(c, "anna@ours.example", e) < 0 || print_link(c, "otto@ours.example", e) < 0 ||
        print_link(c, "operator@elsewhere.example", e) < 0)
        return -1;
    printf("\nTry next, in another terminal:\n"
           "  ./build/postern -c %s login-link anna@ours.example\n"
           "  ./build/postern -c %s rule list --scope domain:ours.example\n"
           "  ./build/postern -c %s explain --rcpt anna@ours.example %s/mail/lottery.eml\n"
           "  ./build/postern -c %s rule add --scope domain:ours.example block --subject hello\n"
           "  spamc -p %lld -u anna@ours.example -R < %s/mail/newsletter.eml\n"
           "  curl -s 127.0.0.1:%lld/metrics\n"
           "\nCtrl-C stops it; %s/ can then be removed.\n\n",
           conf, conf, conf, x->seed, conf, spamd, x->seed, http, dir);
    fflush(stdout);
    return 0;
}
