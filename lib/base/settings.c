/* lib/base/settings.c - the table of all settings: what the programs read, and what `--help`, the manual and the
 * example file print. See conf.h for the kinds. */
#include <stddef.h>

#include "base/conf.h"

#define AT(field) offsetof(struct settings, field)
#define KIB ((int64_t)1024)
#define GIB (KIB * KIB * KIB)

const struct conf_row conf_rows[] = {
    {"store", "url", CONF_TEXT, AT(store.url), "sqlite:/var/lib/postern/postern.db", 0, 0, NULL,
     "Where rules and people live: sqlite:PATH or postgresql://… (SQLite on a network file system is refused)."},

    {"quarantine", "url", CONF_TEXT, AT(quarantine.url), "file:/var/lib/postern/quarantine", 0, 0, NULL,
     "Where held mail is kept: file:DIR or s3+https://HOST/BUCKET?region=…&spool=DIR."},
    {"quarantine", "keys", CONF_TEXT, AT(quarantine.keys), "/etc/postern/keys", 0, 0, NULL,
     "The key directory: the public key for rulesd, the secret ring (0400) for those who read."},
    {"quarantine", "retention_days", CONF_INT, AT(quarantine.retention_days), "30", 1, 3650, NULL,
     "How many days held mail is kept."},
    {"quarantine", "min_free", CONF_SIZE, AT(quarantine.min_free), "2G", 0, INT64_MAX, NULL,
     "With less free space than this, what would be held is deferred instead."},

    {"copies", "delivered_hours", CONF_INT, AT(copies.delivered_hours), "0", 0, 24 * 365, NULL,
     "How many hours copies of delivered mail are kept to learn from, for domains that have them on; 0: none."},

    {"redis", "url", CONF_TEXT, AT(redis.url), "", 0, 0, NULL,
     "redis://HOST:6379/0 when several nodes share state; empty: each has its own."},

    {"rulesd", "listen_spamd", CONF_LIST, AT(rulesd.listen_spamd), "127.0.0.1:1783", 0, 0, NULL,
     "Where the spamd protocol is spoken: ADDRESS:PORT, [V6]:PORT or unix:PATH, each with ?key=value&… of its own."},
    {"rulesd", "listen_http", CONF_LIST, AT(rulesd.listen_http), "127.0.0.1:11344", 0, 0, NULL,
     "Where Rspamd's HTTP protocol is spoken, in the same form."},
    {"rulesd", "password", CONF_TEXT, AT(rulesd.password), "", 0, 0, NULL,
     "Who sends it (Password header, or Basic authorisation) is trusted like an MTA; empty: nobody."},
    {"rulesd", "mta_from", CONF_LIST, AT(rulesd.mta_from), "", 0, 0, NULL,
     "Addresses and networks whose word on envelope and client counts; loopback alone proves nothing."},
    {"rulesd", "mta_users", CONF_LIST, AT(rulesd.mta_users), "postfix, Debian-exim, _rspamd, opensmtpd, spamass-milter",
     0, 0, NULL, "Local users whose word counts when they come by a Unix socket; unknown names are a warning."},
    {"rulesd", "envelope_lines", CONF_BOOL, AT(rulesd.envelope_lines), "off", 0, 0, NULL,
     "Over the spamd protocol, take the envelope from X-Envelope-To and X-Envelope-From lines at the very top."},
    {"rulesd", "trusted_relays", CONF_LIST, AT(rulesd.trusted_relays), "127.0.0.0/8, ::1", 0, 0, NULL,
     "Relays whose Received lines are believed when looking for the client's address."},
    {"rulesd", "phase", CONF_ENUM, AT(rulesd.phase), "pre", 0, 0, "pre post",
     "pre: the caller can still refuse the mail; post: it cannot, and reject becomes quarantine."},
    {"rulesd", "mode", CONF_ENUM, AT(rulesd.mode), "live", 0, 0, "live observe",
     "observe: judge, log and compare with the scanner, but change nothing."},
    {"rulesd", "scanner", CONF_LIST, AT(rulesd.scanner), "none", 0, 0, NULL,
     "The filter behind the rules: rspamd+http://127.0.0.1:11333 or spamd://127.0.0.1:783 (several), or none."},
    {"rulesd", "scanner_timeout_ms", CONF_INT, AT(rulesd.scanner_timeout_ms), "10000", 100, 600000, NULL,
     "How many milliseconds the scanner has for one message."},
    {"rulesd", "scanner_down", CONF_ENUM, AT(rulesd.scanner_down), "defer", 0, 0, "defer accept",
     "What happens to mail while no scanner answers; accept: the rules alone decide."},
    {"rulesd", "max_message", CONF_SIZE, AT(rulesd.max_message), "50M", 64 * KIB, 2 * GIB, NULL,
     "The largest message that is read."},
    {"rulesd", "threads", CONF_INT, AT(rulesd.threads), "0", 0, 256, NULL, "Worker threads; 0: one a processor."},
    {"rulesd", "max_connections", CONF_INT, AT(rulesd.max_connections), "0", 0, 1000000, NULL,
     "Connections at once; more are closed at once. 0: as many as the system's limit on open files allows."},
    {"rulesd", "head_timeout_s", CONF_INT, AT(rulesd.head_timeout_s), "30", 1, 3600, NULL,
     "How many seconds a client has for the head of a request, all of it together."},
    {"rulesd", "body_timeout_s", CONF_INT, AT(rulesd.body_timeout_s), "300", 1, 3600, NULL,
     "How many seconds a client then has for the message."},
    {"rulesd", "idle_timeout_s", CONF_INT, AT(rulesd.idle_timeout_s), "60", 1, 3600, NULL,
     "How many seconds a connection stays open between two requests."},
    {"rulesd", "message_log", CONF_BOOL, AT(rulesd.message_log), "on", 0, 0, NULL,
     "Keep a row for each message and recipient: what people search, and what custody and digests stand on."},
    {"rulesd", "maillog", CONF_LIST, AT(rulesd.maillog), "", 0, 0, NULL,
     "The MTA's logs, /var/log/mail.log (several), to follow its deliveries; empty: none."},
    {"rulesd", "user_domain", CONF_TEXT, AT(rulesd.user_domain), "", 0, 0, NULL,
     "Where the spamd protocol's User, or who is signed in, is a bare name, it means this name at this domain."},

    {"lookup", "programs", CONF_LIST, AT(lookup.programs), "none", 0, 0, NULL,
     "Which other programs get a look-up of our data: spamassassin, postfix."},
    {"lookup", "dir", CONF_TEXT, AT(lookup.dir), "/var/lib/postern/lookup", 0, 0, NULL,
     "Where the look-up files are kept, in a directory for each program; with PostgreSQL there are views instead."},
    {"lookup", "spamassassin_group", CONF_TEXT, AT(lookup.spamassassin_group), "debian-spamd", 0, 0, NULL,
     "The group that may read SpamAssassin's look-up file."},
    {"lookup", "postfix_group", CONF_TEXT, AT(lookup.postfix_group), "postfix", 0, 0, NULL,
     "The group that may read Postfix's look-up file."},

    {"rules", "protected_symbols", CONF_LIST, AT(rules.protected_symbols), "", 0, 0, NULL,
     "Further symbols of the scanner (virus, file type …) that no allow of a user cancels."},
    {"rules", "authserv_id", CONF_TEXT, AT(rules.authserv_id), "", 0, 0, NULL,
     "The Authentication-Results header of this name, above the first untrusted Received, is believed."},

    {"trainer", "backend", CONF_LIST, AT(trainer.backend), "none", 0, 0, NULL,
     "Who learns from reports: rspamd+http://127.0.0.1:11334 or spamd://127.0.0.1:783 (several), or none."},
    {"trainer", "password", CONF_TEXT, AT(trainer.password), "", 0, 0, NULL, "The backend's password."},
    {"trainer", "listen_http", CONF_LIST, AT(trainer.listen_http), "", 0, 0, NULL,
     "Where the trainer answers /healthz and /metrics: 127.0.0.1:11345 or unix:PATH (several); empty: nowhere."},
    {"trainer", "bayes_redis", CONF_TEXT, AT(trainer.bayes_redis), "", 0, 0, NULL,
     "Where Rspamd's Bayes is kept: redis://HOST:6379/0, to tell what it knows of each user or domain; empty: not "
     "told."},
    {"trainer", "bayes_command", CONF_TEXT, AT(trainer.bayes_command), "", 0, 0, NULL,
     "What prints what SpamAssassin's Bayes knows, run without a shell: sa-learn --dump magic; empty: not told."},
    {"trainer", "bayes_needed", CONF_INT, AT(trainer.bayes_needed), "200", 0, 1000000, NULL,
     "From how many of each kind on Bayes acts there: Rspamd's min_learns, bayes_min_spam_num and bayes_min_ham_num."},
    {"trainer", "report_spam", CONF_LIST, AT(trainer.report_spam), "", 0, 0, NULL,
     "Where people forward spam to, attached: spam@ours.example, or spam for that name at every domain of ours "
     "(several)."},
    {"trainer", "report_ham", CONF_LIST, AT(trainer.report_ham), "", 0, 0, NULL,
     "Where people forward what is not spam to, in the same form."},
    {"trainer", "listen_lmtp", CONF_LIST, AT(trainer.listen_lmtp), "", 0, 0, NULL,
     "Where postern-trainer takes such reports over LMTP: ADDRESS:PORT or unix:PATH (several); empty: nowhere."},

    {"delivery", "url", CONF_TEXT, AT(delivery.url), "", 0, 0, NULL,
     "smtp://127.0.0.1:10025: where released mail is re-injected, a listener without milters."},

    {"smtp", "url", CONF_TEXT, AT(smtp.url), "smtp://127.0.0.1:25", 0, 0, NULL,
     "Where mail goes that Postern itself sends."},
    {"smtp", "from", CONF_TEXT, AT(smtp.from), "Postern <postern@localhost>", 0, 0, NULL,
     "The sender of mail that Postern itself sends."},

    {"portal", "listen", CONF_TEXT, AT(portal.listen), "127.0.0.1:8080", 0, 0, NULL, "Where the portal listens."},
    {"portal", "public_url", CONF_TEXT, AT(portal.public_url), "http://127.0.0.1:8080", 0, 0, NULL,
     "The portal's address as people see it."},
    {"portal", "name", CONF_TEXT, AT(portal.name), "Postern", 0, 0, NULL,
     "What it calls itself, on pages and in mail, where no brand says otherwise."},
    {"portal", "web", CONF_TEXT, AT(portal.web), "/usr/local/share/postern/web", 0, 0, NULL,
     "The folder of the web pages."},
    {"portal", "modules", CONF_TEXT, AT(portal.modules), "/usr/local/share/postern/web/modules", 0, 0, NULL,
     "The folder of the pages' own libraries, as npm installs them."},
    {"portal", "trusted_proxies", CONF_LIST, AT(portal.trusted_proxies), "", 0, 0, NULL,
     "Proxies whose X-Forwarded-For is believed."},
    {"portal", "metrics_from", CONF_LIST, AT(portal.metrics_from), "127.0.0.1, ::1", 0, 0, NULL,
     "Who may ask the portal for /metrics (addresses and networks, several); empty: nobody."},

    {"log", "target", CONF_ENUM, AT(log.target), "stderr", 0, 0, "stderr syslog", "Where the programs log to."},
    {"log", "level", CONF_ENUM, AT(log.level), "info", 0, 0, "debug info warning error",
     "The least important events that are logged; rulesd's line for each scan is info."},
    {"log", "retention_days", CONF_INT, AT(log.retention_days), "90", 1, 3650, NULL,
     "How many days the log of messages, which the portal shows and searches, goes back; whole days go."},
};
const size_t conf_nrows = COUNT(conf_rows);
