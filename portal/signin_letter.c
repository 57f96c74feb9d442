/* portal/signin_letter.c - see signin.h. */
#include <stdio.h>

#include "base/log.h"
#include "base/secret.h"
#include "brand.h"
#include "identify.h"
#include "letter/words.h"
#include "mail/compose.h"
#include "signin.h"
#include "store/outbox.h"
#include "vault/keyring.h"

#define LETTER_MAX (64 << 10)

void signin_init(struct portal *p)
{
    struct err e = ERR_INIT;

    if (keyring_secret(p->settings->quarantine.keys, SIGNIN_MAIL, p->letter_key, &e) == 0)
        return;
    log_err(LOG_LEVEL_WARNING, "sign-in links that wait to be sent are lost when the portal stops", &e);
    secret_bytes(p->letter_key, sizeof p->letter_key);
}

/* ---- browsers ---- */

struct name {
    const char *in; /* a User-Agent */
    const char *is[LANGUAGES];
};
static const struct name browsers[] = {
    {"Edg/", {"Edge", "Edge"}},         {"OPR/", {"Opera", "Opera"}},      {"Firefox/", {"Firefox", "Firefox"}},
    {"Chrome/", {"Chrome", "Chrome"}},  {"Safari/", {"Safari", "Safari"}}, {"curl/", {"curl", "curl"}},
    {"", {"A browser", "Ein Browser"}},
};
static const struct name systems[] = {
    {"Android", {"Android", "Android"}},
    {"iPhone", {"an iPhone", "einem iPhone"}},
    {"iPad", {"an iPad", "einem iPad"}},
    {"Windows", {"Windows", "Windows"}},
    {"Mac OS X", {"a Mac", "einem Mac"}},
    {"Linux", {"Linux", "Linux"}},
    {"", {"an unknown system", "einem unbekannten System"}},
};

/* The first that the User-Agent has: each names others behind itself. The last is in every one. */
static const char *name_of(const struct name *row, struct span agent, enum language l)
{
    while (row->in[0] != '\0' && span_find(agent, span_of(row->in)) == agent.n)
        row++;
    return row->is[l];
}

static void device_in(const struct call *c, enum language l, char out[200])
{
    struct span agent = httpd_field(c->request, "User-Agent");

    snprintf(out, 200, l == LANGUAGE_DE ? "%s auf %s" : "%s on %s", name_of(browsers, agent, l),
             name_of(systems, agent, l));
}

void signin_device(const struct call *c, char out[200]) { device_in(c, LANGUAGE_EN, out); }

/* ---- the letter ---- */

/* Where, twice; the token; the browser, and its address. */
static const struct {
    const char *subject, *text;
} letters[LANGUAGES] = {
    [LANGUAGE_EN] = {"Your sign-in link", "Hello,\n"
                                          "\n"
                                          "somebody asked to sign in at %s with this address.\n"
                                          "If it was you, open this link; it is good for 10 minutes, and once:\n"
                                          "\n"
                                          "    %s/signin#%s\n"
                                          "\n"
                                          "Asked from: %s, %s\n"
                                          "If it was not you, do nothing: without this link nobody gets in.\n"},
    [LANGUAGE_DE] = {"Ihr Anmeldelink",
                     "Hallo,\n"
                     "\n"
                     "jemand möchte sich mit dieser Adresse bei %s anmelden.\n"
                     "Wenn Sie das sind, öffnen Sie diesen Link. Er gilt 10 Minuten und nur einmal:\n"
                     "\n"
                     "    %s/signin#%s\n"
                     "\n"
                     "Angefragt von: %s, %s\n"
                     "Waren Sie das nicht, brauchen Sie nichts zu tun: ohne diesen Link kommt niemand "
                     "hinein.\n"},
};

static int put_in_outbox(struct call *c, const struct store_signin *ask, const struct compose *m, const char *key,
                         struct err *e)
{
    struct store_mail mail = {
        .kind = SPAN(SIGNIN_MAIL), .key = span_of(key), .recipient = span_of(ask->login), .nowhere = !ask->known};
    struct buf out, sealed;
    int        rc;

    buf_init(&out, LETTER_MAX);
    buf_init(&sealed, LETTER_MAX + 100);
    rc = compose_message(m, &out, e);
    if (rc == 0) {
        secret_seal(c->portal->letter_key, buf_span(&out), &sealed);
        mail.message = buf_span(&sealed);
        rc = store_outbox_put(c->store, &mail, c->now_us, NULL, e);
    }
    buf_fini(&out);
    buf_fini(&sealed);
    return rc;
}

int signin_letter(struct call *c, const struct store_signin *ask, const char *token, const char *language,
                  struct err *e)
{
    struct compose_field fields[] = {{"Auto-Submitted", SPAN("auto-generated")},
                                     {"X-Auto-Response-Suppress", SPAN("All")}};
    enum language        l = language[0] != '\0' ? words_language(language) : identify_language(c);
    struct uuid          id = uuid7_make();
    char                 key[UUID_TEXT + 1], device[200];
    struct store_brand   brand;
    struct span          domain;
    struct compose       m = {.to = span_of(ask->login),
                              .subject = span_of(letters[l].subject),
                              .at_us = c->now_us,
                              .fields = fields,
                              .nfields = COUNT(fields)};

    if (brand_of(c, span_of(ask->login), &brand, e) < 0)
        return -1;
    uuid_format(&id, key);
    device_in(c, l, device);
    m.from = span_of(brand.sender);
    domain = compose_address(m.from);
    domain = span_skip(domain, span_rchr(domain, '@') + 1);
    m.message_id = arena_printf(c->arena, "%s@%.*s", key, SPAN_ARG(domain));
    m.text = arena_printf(c->arena, letters[l].text, brand.url, brand.url, token, device, c->ip_text);
    return put_in_outbox(c, ask, &m, key, e);
}
