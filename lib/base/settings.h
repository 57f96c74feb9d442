/* lib/base/settings.h - every setting of every program, as loaded by conf.h. The table is settings.c.
 *
 * One struct for all programs: they read one file, and an unknown key is an error in each of them. */
#ifndef POSTERN_BASE_SETTINGS_H
#define POSTERN_BASE_SETTINGS_H

enum settings_phase { PHASE_PRE, PHASE_POST };
enum settings_mode { MODE_LIVE, MODE_OBSERVE };
enum settings_scanner_down { SCANNER_DOWN_DEFER, SCANNER_DOWN_ACCEPT };

struct settings {
    struct {
        const char *url;
    } store;
    struct {
        const char *url, *keys;
        int64_t     retention_days, min_free;
    } quarantine;
    struct {
        int64_t delivered_hours;
    } copies;
    struct {
        const char *url;
    } redis;
    struct {
        struct conf_list listen_spamd, listen_http; /* ADDRESS:PORT | [V6]:PORT | unix:PATH, each with ?key=value&… */
        const char      *password;
        struct conf_list mta_from, mta_users, trusted_relays, scanner;
        bool             envelope_lines, message_log;
        int              phase, mode, scanner_down;
        int64_t          scanner_timeout_ms, max_message, threads;
        int64_t          max_connections, head_timeout_s, body_timeout_s, idle_timeout_s;
        struct conf_list maillog;
        const char      *user_domain;
    } rulesd;
    struct {
        struct conf_list programs;
        const char      *dir, *spamassassin_group, *postfix_group;
    } lookup;
    struct {
        struct conf_list protected_symbols;
        const char      *authserv_id;
        const char      *prefix;
    } rules;
    struct {
        struct conf_list backend;
        const char      *password;
        struct conf_list report_spam, report_ham; /* local@domain, or a local part at every domain of ours */
        struct conf_list listen_lmtp, listen_http;
        const char      *bayes_redis, *bayes_command;
        int64_t          bayes_needed;
    } trainer;
    struct {
        const char *url;
    } delivery;
    struct {
        const char *url, *from;
    } smtp;
    struct {
        struct conf_list listen_http, listen_lmtp;
        const char      *reply_to, *templates;
        int64_t          per_second;
    } digest;
    struct {
        const char      *listen, *public_url, *sso_url, *name, *web, *modules;
        const char      *challenge_site_key, *challenge_secret, *challenge_verify, *challenge_script;
        struct conf_list trusted_proxies, metrics_from, rulesd_nodes;
    } portal;
    struct {
        int     target, level; /* enum log_target, enum log_level */
        int64_t retention_days;
    } log;
};

extern const struct conf_row conf_rows[];
extern const size_t          conf_nrows;

#endif
