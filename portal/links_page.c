/* portal/links_page.c - the page of a link: what it says in each language, and its HTML from the templates of the program. */
#include <pthread.h>
#include <stdio.h>

#include "base/secret.h"
#include "brand.h"
#include "identify.h"
#include "letter/view.h"
#include "links_inside.h"
#include "mail/mustache.h"

#define PAGE_MAX ((size_t)64 << 10)
#define STYLE_MAX ((size_t)16 << 10)
#define POLICY                                                                                                         \
    "default-src 'none'; style-src 'sha256-%s='; img-src 'self'; form-action 'self'; base-uri 'none'; "                \
    "frame-ancestors 'none'"

extern const char letter_link_html[], letter_link_css[];

static const char *const words[LINK_WORDS][LANGUAGES] = {
    [SAYS_NOTHING] = {"", ""},
    [ASK_RELEASE] = {"Release this message?", "Diese Nachricht zustellen?"},
    [ASK_RELEASE_ALLOW] = {"Release this message and allow its sender?",
                           "Diese Nachricht zustellen und ihren Absender erlauben?"},
    [ASK_ALLOW] = {"This message was released. Allow its sender too?",
                   "Diese Nachricht wurde zugestellt. Auch ihren Absender erlauben?"},
    [ASK_BLOCK] = {"Block this sender?", "Diesen Absender blockieren?"},
    [ASK_STOP] = {"Stop this digest?", "Diese Übersicht abbestellen?"},
    [IS_RELEASED] = {"Released", "Zugestellt"},
    [IS_BLOCKED] = {"The sender is blocked", "Der Absender ist blockiert"},
    [IS_STOPPED] = {"This digest is stopped", "Diese Übersicht ist abbestellt"},
    [IS_UNKNOWN] = {"Sent, but without an answer", "Abgeschickt, aber ohne Antwort"},
    [IS_REFUSED] = {"It could not be sent", "Sie konnte nicht zugestellt werden"},
    [IS_GONE] = {"This message is kept no more", "Diese Nachricht wird nicht mehr aufbewahrt"},
    [IS_OTHERS] = {"This is not yours to decide", "Das entscheiden nicht Sie"},
    [IS_NOT_HELD] = {"This message is not held", "Diese Nachricht wird nicht zurückgehalten"},
    [IS_ANONYMOUS] = {"This message names no sender that a rule could be about",
                      "Diese Nachricht nennt keinen Absender, für den es eine Regel geben könnte"},
    [IN_A_MOMENT] = {"It will be in your inbox in a moment.", "Sie ist gleich in Ihrem Posteingang."},
    [IN_A_MOMENT_THEIRS] = {"It will be in its recipient's inbox in a moment.",
                            "Sie ist gleich im Posteingang des Empfängers."},
    [WAS_SENT] = {"It was sent to your inbox.", "Sie ging in Ihren Posteingang."},
    [WAS_SENT_THEIRS] = {"It was sent to its recipient's inbox.", "Sie ging in den Posteingang des Empfängers."},
    [CANNOT_UNDO] = {"It has been sent, and this cannot be undone any more.",
                     "Sie ist abgeschickt; das lässt sich nicht mehr rückgängig machen."},
    [WHEN_IT_CAN] =
        {"It will be sent as soon as the mail server takes it. Until then you can undo this.",
         "Sie wird abgeschickt, sobald der Mailserver sie annimmt. Bis dahin können Sie das rückgängig machen."},
    [IS_ON_ITS_WAY] = {"It is being sent right now.", "Sie wird gerade abgeschickt."},
    [LOOK_FIRST] =
        {"The mail server has not said whether it has it. Look into the inbox first; if it is not there, release it "
         "once more in the quarantine.",
         "Der Mailserver hat nicht gesagt, ob er sie hat. Sehen Sie zuerst im Posteingang nach; ist sie nicht dort, "
         "stellen Sie sie in der Quarantäne noch einmal zu."},
    [SERVER_SAID] = {"The mail server refused it:", "Der Mailserver hat sie abgelehnt:"},
    [ASK_OWNER] = {"Your organisation decides about this: ask for it in the quarantine.",
                   "Hierüber entscheidet Ihre Organisation: Bitten Sie in der Quarantäne darum."},
    [ALLOWS_FROM_NOW] =
        {"The sender is allowed: mail that is proven to come from this address is let through from now on.",
         "Der Absender ist erlaubt: Mail, die nachweislich von dieser Adresse kommt, wird ab jetzt "
         "durchgelassen."},
    [BLOCKS_FROM_NOW] = {"Mail from this address is blocked from now on.",
                         "Mail von dieser Adresse wird ab jetzt blockiert."},
    [RULE_ABOVE] = {"But another rule that stands above yours decides first.",
                    "Aber eine andere Regel, die über Ihrer steht, entscheidet vorher."},
    [RULE_UNPROVEN] =
        {"But nothing here can prove who sent a message: until a filter can, this lets nothing through.",
         "Aber nichts hier kann nachweisen, von wem eine Nachricht kommt: Bis ein Filter das kann, lässt das "
         "nichts durch."},
    [UNDO_ALLOW_WHILE] = {"You can take the allowing back for 10 minutes.",
                          "Das Erlauben können Sie 10 Minuten lang rückgängig machen."},
    [UNDO_WHILE] = {"You can undo that for 10 minutes.", "Das können Sie 10 Minuten lang rückgängig machen."},
    [STOPS_FROM_NOW] = {"No more of it will come until you start it again.",
                        "Es kommt keine mehr, bis Sie sie wieder einschalten."},
    [IS_EXPIRED] = {"This link has expired. The quarantine can still do it.",
                    "Dieser Link ist abgelaufen. In der Quarantäne geht es noch."},
    [DEAD] = {"This link leads nowhere any more", "Dieser Link führt nirgendwohin mehr"},
    [DEAD_WHY] =
        {"The digest, the mailbox or the account that it was made for is gone, or not yours any more.",
         "Die Übersicht, das Postfach oder das Konto, zu dem er gehörte, gibt es nicht mehr, oder es ist nicht mehr "
         "Ihres."},
    [FORGED] = {"This link does not work", "Dieser Link funktioniert nicht"},
    [FORGED_WHY] =
        {"It is not whole, or was changed on its way. Open the digest once more and press the button there, or open "
         "the quarantine.",
         "Er ist nicht vollständig oder wurde unterwegs verändert. Öffnen Sie die Übersicht noch einmal und drücken "
         "Sie dort den Knopf, oder öffnen Sie die Quarantäne."},
    [STALE] = {"Please press once more", "Bitte noch einmal drücken"},
    [STALE_WHY] =
        {"Nothing was done: the page was open for too long, or in another browser, or does not take cookies.",
         "Es ist nichts geschehen: Die Seite war zu lange offen, oder in einem anderen Browser, oder nimmt keine "
         "Cookies an."},
    [TOO_OFTEN] = {"Too many tries", "Zu viele Versuche"},
    [TOO_OFTEN_WHY] = {"Please wait a few minutes, or open the quarantine.",
                       "Bitte warten Sie ein paar Minuten, oder öffnen Sie die Quarantäne."},
    [FAILED] = {"That did not work", "Das ging nicht"},
    [FAILED_WHY] = {"Something is broken here. The operator can find the cause in the log.",
                    "Hier ist etwas kaputt. Der Betreiber findet die Ursache im Protokoll."},
    [BUSY_WHY] = {"Please try again in a moment.", "Bitte versuchen Sie es gleich noch einmal."},
    [NOT_THIS_WAY] = {"A link is opened, or its button is pressed", "Ein Link wird geöffnet, oder sein Knopf gedrückt"},
    [BUTTON_RELEASE] = {"Release", "Zustellen"},
    [BUTTON_RELEASE_ALLOW] = {"Release and allow the sender", "Zustellen und Absender erlauben"},
    [BUTTON_ALLOW] = {"Allow the sender", "Absender erlauben"},
    [BUTTON_BLOCK] = {"Block the sender", "Absender blockieren"},
    [BUTTON_STOP] = {"Stop this digest", "Übersicht abbestellen"},
    [BUTTON_UNDO] = {"Undo", "Rückgängig machen"},
    [BUTTON_START] = {"Start it again", "Wieder einschalten"},
    [OPEN_PORTAL] = {"Open the quarantine", "Quarantäne öffnen"},
};

const char *link_word_text(enum language l, enum link_word w) { return words[w][l]; }

/* ---- templates: the program's own, compiled once ---- */

static struct mustache *page, *style;

static void compile(void)
{
    struct err e = ERR_INIT;

    if ((page = mustache_compile(span_of(letter_link_html), MUSTACHE_HTML, &e)) == NULL ||
        (style = mustache_compile(span_of(letter_link_css), MUSTACHE_PLAIN, &e)) == NULL)
        panic("the program's own page of a link: %s", e.text);
}

static void render(const struct mustache *t, const struct mustache_value *data, struct buf *out)
{
    static const struct mustache_partials none = {NULL, NULL};
    struct err                            e = ERR_INIT;

    if (mustache_render(t, data, none, out, &e) < 0)
        out->failed = true;
}

/* ---- the look ---- */

static void put_colours(struct arena *a, struct mustache_value *o, const struct store_brand *b, enum scheme scheme)
{
    static const struct {
        const char   *name, *on_name;
        struct accent own;
    } of[SCHEMES] = {[SCHEME_LIGHT] = {"light", "on_light", {.accent = "#2f6f62", .on = "#ffffff"}},
                     [SCHEME_DARK] = {"dark", "on_dark", {.accent = "#6fc0ae", .on = "#0c1f1a"}}};
    struct accent made;

    if (b->accent[scheme][0] == '\0' || accent_make(span_of(b->accent[scheme]), scheme, &made, NULL) < 0)
        made = of[scheme].own;
    mustache_put_text(a, o, of[scheme].name, arena_dup(a, span_of(made.accent)));
    mustache_put_text(a, o, of[scheme].on_name, arena_dup(a, span_of(made.on)));
}

/* Into the page, and its hash into the policy: no other style is taken, and no script at all. */
static void put_style(struct call *c, struct mustache_value *root, const struct store_brand *b)
{
    struct mustache_value *colours = mustache_new(c->arena);
    uint8_t                hash[SECRET_HASH];
    char                   text[SECRET_TOKEN_TEXT + 1];
    struct buf             css;

    put_colours(c->arena, colours, b, SCHEME_LIGHT);
    put_colours(c->arena, colours, b, SCHEME_DARK);
    buf_init(&css, STYLE_MAX);
    render(style, colours, &css);
    secret_hash(buf_span(&css), hash);
    secret_text(span_make(hash, sizeof hash), text);
    for (char *p = text; *p != '\0'; p++) /* a policy has the other digits of base64 */
        *p = *p == '-' ? '+' : *p == '_' ? '/' : *p;
    mustache_put_text(c->arena, root, "style", arena_dup(c->arena, buf_span(&css)));
    buf_fini(&css);
    httpd_set(c->reply, "Content-Security-Policy", arena_printf(c->arena, POLICY, text));
}

/* ---- what it says ---- */

static void put_word(struct call *c, struct mustache_value *o, const char *name, enum language l, enum link_word w)
{
    mustache_put_str(c->arena, o, name, link_word_text(l, w));
}

static void put_form(struct call *c, struct mustache_value *root, const struct link_case *x, const struct link_state *s,
                     struct span nonce, enum language l)
{
    struct mustache_value *o;

    if (s->step == STEP_NONE || nonce.n == 0)
        return;
    o = mustache_put_object(c->arena, root, "form");
    mustache_put_text(c->arena, o, "action", arena_printf(c->arena, "/d/%.*s", SPAN_ARG(x->token)));
    mustache_put_text(c->arena, o, "nonce", nonce);
    mustache_put_str(c->arena, o, "do", s->step == STEP_ACT ? "act" : "undo");
    mustache_put_str(c->arena, o, "kind", s->step == STEP_ACT ? "main" : "side");
    put_word(c, o, "label", l, s->button);
}

static int put_case(struct call *c, struct mustache_value *root, const struct link_case *x, const struct link_state *s,
                    struct err *e)
{
    if (x->link.action == LINK_UNSUBSCRIBE)
        mustache_put_str(c->arena, root, "of", x->d.of);
    return s->has_item ? view_put_line(&x->d, &s->item, c->arena, mustache_put_object(c->arena, root, "item"), e) : 0;
}

static int put_all(struct call *c, struct mustache_value *root, const struct link_case *x, const struct link_state *s,
                   struct span nonce, struct err *e)
{
    enum language          l = x != NULL ? x->language : identify_language(c); /* a page for nobody in particular */
    struct span            whose = x != NULL ? arena_printf(c->arena, "@%s", x->d.domain_name) : SPAN_NONE;
    struct store_brand    *b = arena_zalloc(c->arena, sizeof *b);
    struct mustache_value *says;

    if (b == NULL || brand_of(c, whose, b, e) < 0)
        return -1;
    put_style(c, root, b);
    mustache_put_str(c->arena, root, "language", words_tags[l]);
    mustache_put_str(c->arena, root, "brand", b->name);
    mustache_put_text(c->arena, root, "logo", brand_logo(c, b));
    put_word(c, root, "title", l, s->title);
    if (x != NULL && put_case(c, root, x, s, e) < 0)
        return -1;
    says = mustache_put_list(c->arena, root, "says");
    for (size_t i = 0; i < s->nsays; i++)
        mustache_put_str(c->arena, says, NULL, link_word_text(l, s->says[i]));
    mustache_put_text(c->arena, root, "reply", s->reply);
    if (x != NULL)
        put_form(c, root, x, s, nonce, l);
    mustache_put_str(c->arena, root, "portal", "/quarantine");
    put_word(c, root, "open", l, OPEN_PORTAL);
    mustache_put_str(c->arena, root, "support", b->support);
    mustache_put_str(c->arena, root, "t_support", words_say(l, WORD_SUPPORT));
    return 0;
}

void link_page(struct call *c, const struct link_case *x, int status, const struct link_state *s, struct span nonce)
{
    static pthread_once_t  once = PTHREAD_ONCE_INIT;
    struct mustache_value *root = mustache_new(c->arena);
    struct buf             html;
    struct err             e = ERR_INIT;

    pthread_once(&once, compile);
    c->reply->status = status;
    httpd_set(c->reply, "Content-Type", SPAN("text/html; charset=utf-8"));
    buf_init(&html, PAGE_MAX);
    if (put_all(c, root, x, s, nonce, &e) == 0 && !c->arena->full)
        render(page, root, &html);
    if (e.code != ERR_NONE || c->arena->full || html.failed) {
        c->reply->status = 503;
        httpd_set(c->reply, "Content-Type", SPAN("text/plain; charset=utf-8"));
        buf_clear(&html);
        buf_puts(&html, link_word_text(LANGUAGE_EN, BUSY_WHY));
    }
    buf_put(&c->reply->body, buf_span(&html));
    buf_fini(&html);
}
