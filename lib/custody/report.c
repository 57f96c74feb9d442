/* lib/custody/report.c - see report.h. */
#include "custody/report.h"

#include <stdio.h>

#include "base/utf8.h"
#include "mail/message.h"
#include "rules/decide.h"
#include "scan/findings.h"
#include "store/address.h"
#include "store/audit.h"
#include "store/search.h"

#define HANDED_OVER "127.0.0.1" /* who reports a message is believed as a relay: it is an MTA, or has shown a token */

/* ---- the message ---- */

void report_record(struct store_message *out, const char *listener, size_t bytes, int64_t now_us)
{
    *out = (struct store_message){.uid = uuid7_make(),
                                  .at_us = now_us,
                                  .direction = DIRECTION_INBOUND,
                                  .listener = span_of(listener),
                                  .symbols = SPAN("[]"),
                                  .attachments = SPAN("[]"),
                                  .size = (int64_t)bytes,
                                  .kept = true,
                                  .keep_us = now_us + REPORT_KEEP_US};
}

int report_keep(struct store *s, struct vault *v, struct store_message *m, struct span message, struct arena *a,
                struct err *e)
{
    struct vault_kept kept = {0};
    struct buf        head;
    int               rc;

    buf_init(&head, VAULT_HEAD_MAX);
    store_message_put_json(&head, m);
    rc = head.failed ? err_set(e, ERR_LIMIT, "what is known of the message is too much")
                     : vault_put(v, &m->uid, buf_span(&head), message, &kept, e);
    buf_fini(&head);
    if (rc < 0)
        return -1;
    m->kept_bytes = kept.bytes;
    m->sha256 = arena_dup(a, span_make(kept.sha256, sizeof kept.sha256));
    m->key_id = arena_dup(a, span_of(kept.key_id));
    return store_message_put(s, (const struct store_message *const[]){m}, 1, e);
}

/* Whose it is, as addresses resolve now. Nobody of ours, or none at all: resolved.ours is false. */
static int resolve(struct store *s, struct span text, struct arena *a, struct address *given,
                   struct store_resolved *out, struct err *e)
{
    struct err none = ERR_INIT;

    *out = (struct store_resolved){.ours = false};
    *given = (struct address){.full = SPAN_NONE};
    if (text.n == 0 || address_parse_path(text, a, given, &none) < 0 || given->full.n == 0)
        return 0;
    return store_resolve(s, given->full, out, e);
}

/* A mailbox sees its own alone; else the recipient is looked for. NULL: it was not for them. */
static const struct store_delivery *find_delivery(const struct store_timeline *t, bool own, struct span full,
                                                  struct arena *a)
{
    struct address to;

    for (size_t i = 0; i < t->ndeliveries; i++) {
        const struct store_delivery *d = &t->deliveries[i].delivery;

        if (own || (address_parse_path(d->recipient, a, &to, NULL) == 0 && span_eq(to.full, full)))
            return d;
    }
    return NULL;
}

int report_find(struct store *s, const struct uuid *uid, struct arena *a, struct report_said *said, struct err *e)
{
    struct store_timeline *t = arena_zalloc(a, sizeof *t);
    struct store_resolved  who;
    struct address         given;
    struct store_scope     scope;
    int                    rc = -1;

    if (t == NULL)
        return err_set(e, ERR_LIMIT, "out of memory for this report");
    if (resolve(s, said->recipient, a, &given, &who, e) < 0)
        return -1;
    scope = who.has_mailbox ? store_scope_mailbox(who.mailbox) : store_scope_domain(who.domain);
    if (who.ours && (rc = store_timeline(s, uid, scope, a, t, e)) < 0 && e->code != ERR_NOT_FOUND)
        return -1;
    if (rc < 0 || (said->delivery = find_delivery(t, who.has_mailbox, given.full, a)) == NULL)
        return err_set(e, ERR_NOT_FOUND, "the log has no such message for %.*s", SPAN_ARG(said->recipient));
    said->record = &t->message;
    said->logged = true;
    said->has_body = t->has_custody && t->custody.place != CUSTODY_GONE;
    return 0;
}

/* ---- who sent it ---- */

struct author {
    const struct address *from;
    size_t                n;
    bool                  read;
    struct proof          proof;
};

static void find_author(const struct report_said *said, struct arena *a, struct author *out)
{
    struct message *m = said->message.n > 0 ? message_open(said->message, a) : NULL;
    struct address *one = arena_zalloc(a, sizeof *one);

    if (m != NULL) {
        out->read = message_from(m, &out->from, &out->n) == FACT_YES;
    } else if (one != NULL && said->record->from_address.n > 0 &&
               address_parse_path(said->record->from_address, a, one, NULL) == 0 && one->full.n > 0) {
        out->from = one;
        out->n = 1;
        out->read = true;
    }
}

void report_prove_by_log(const struct report_site *site, const struct store_message *m, struct arena *a,
                         struct proof *proof)
{
    const struct conf_list *scanner = site->scanner;
    struct scanner_answer answer = {.spamd = scanner->n > 0 && span_starts(span_of(scanner->items[0]), SPAN("spamd"))};
    struct address        envelope = {.full = SPAN_NONE};

    learnable_read_symbols(m->symbols, a, &answer);
    if (scanner->n == 0 && answer.reply.nsymbols == 0)
        return;
    answer.envelope_told = !answer.spamd && m->ip.n > 0; /* spamd may have been told less than we know */
    if (m->sender.n > 0 && address_parse_path(m->sender, a, &envelope, NULL) < 0)
        answer.envelope_told = false;
    if (!findings_sender_is_plain(m->sender) || span_find(envelope.domain, SPAN("xn--")) < envelope.domain.n)
        answer.envelope_told = false; /* it may have been told in a form that the scanner does not read */
    findings_proof(&answer, envelope.domain, m->helo, a, proof);
}

void report_prove_by_fields(const struct report_site *site, struct span bytes, struct arena *a, struct proof *proof)
{
    const struct origin_stated stated = {.ip = SPAN(HANDED_OVER)};
    struct facts               f = {.arena = a, .message = message_open(bytes, a)};

    if (f.message != NULL)
        origin_facts(site->trust, &stated, &f);
    *proof = f.proof;
}

/* ---- the entry ---- */

struct finding {
    struct span sender;
    struct uuid id;
    bool        found;
};

static int each_entry(void *ctx, const struct store_learned *l)
{
    struct finding *f = ctx;

    f->found = span_eq(l->sender, f->sender);
    f->id = l->id;
    return f->found;
}

static int forget(struct store *s, const struct actor *by, const struct store_resolved *who, struct learnable *l,
                  struct err *e)
{
    struct finding f = {.sender = l->sender};

    if (store_learned_load(s, who->mailbox, clock_wall_us(), each_entry, &f, e) < 0)
        return -1;
    if (f.found)
        return store_learned_delete(s, by, f.id, e);
    *l = (struct learnable){.why = "there was no entry for the sender"};
    return 0;
}

static int put_entry(struct store *s, const struct actor *by, const struct report_said *said,
                     const struct store_resolved *who, const struct learnable *l, struct err *e)
{
    char uid[UUID_TEXT + 1];

    uuid_format(&said->record->uid, uid);
    const struct store_learned entry = {.mailbox = who->mailbox,
                                        .action = said->class == REPORT_SPAM ? RULE_BLOCK : RULE_ALLOW,
                                        .sender = l->sender,
                                        .proof = l->proof,
                                        .report_uid = span_of(uid),
                                        .expires_us = clock_wall_us() + LEARNED_KEEP_US};
    struct uuid                id;

    return store_learned_put(s, by, &entry, &id, e);
}

/* The sender may be of the mailbox's domain under another name of it. */
static int check_own(struct store *s, const struct address *from, const struct store_resolved *who, struct learnable *l,
                     struct err *e)
{
    struct store_resolved sender;

    if (store_resolve(s, from->full, &sender, e) < 0)
        return -1;
    if (sender.ours && uuid_eq(&sender.domain, &who->domain))
        *l = (struct learnable){.why = "the sender is of the mailbox's own domain"};
    return 0;
}

/* What would decide before a learned sender does, about this very sender: an entry would come to nothing. */
static const char *layer_above(struct span layer)
{
    static const struct {
        enum layer  layer;
        const char *why;
    } above[] = {
        {LAYER_GLOBAL_LOCKED, "a rule of the mail administrators, which goes before yours, decides about this sender"},
        {LAYER_DOMAIN_LOCKED, "a rule of the domain, which goes before yours, decides about this sender"},
        {LAYER_MAILBOX, "a rule of your own, which goes before learned senders, decides about this sender"},
    };

    for (size_t i = 0; i < COUNT(above); i++)
        if (span_is(layer, layer_word(above[i].layer)))
            return above[i].why;
    return NULL;
}

static bool names_senders(const struct store_rule *rule, struct arena *a)
{
    struct rule r = {.name = SPAN_NONE};
    struct err  e = ERR_INIT;

    if (rule_conditions_from_json(rule->conditions, a, NULL, &r, &e) < 0)
        return false;
    for (size_t i = 0; i < r.nconditions; i++)
        if (r.conditions[i].kind == COND_SENDER && !r.conditions[i].negated)
            return true;
    return false;
}

static int check_above(struct store *s, const struct store_delivery *d, struct arena *a, struct learnable *l,
                       struct err *e)
{
    const char       *why = d != NULL && d->has_rule ? layer_above(d->layer) : NULL;
    struct store_rule rule;

    if (why == NULL)
        return 0;
    if (store_rule_get(s, d->rule, a, &rule, e) < 0)
        return e->code == ERR_NOT_FOUND ? 0 : -1; /* it was taken away since */
    if (rule.enabled && names_senders(&rule, a))
        *l = (struct learnable){.why = why};
    return 0;
}

static int learn_sender(struct store *s, const struct report_site *site, const struct actor *by,
                        const struct report_said *said, const struct store_resolved *who, struct arena *a,
                        struct learnable *out, struct err *e)
{
    struct author author = {.n = 0};

    *out = (struct learnable){.why = "the report is nobody's with a mailbox of their own"};
    if (!who->has_mailbox)
        return 0;
    find_author(said, a, &author);
    if (said->class == REPORT_FORGET) {
        *out = (struct learnable){.why = "the message names no sender"};
        if (author.n == 1)
            learnable_breadth(author.from, a, out);
        return out->sender.n > 0 ? forget(s, by, who, out, e) : 0;
    }
    if (said->logged)
        report_prove_by_log(site, said->record, a, &author.proof);
    else
        report_prove_by_fields(site, said->message, a, &author.proof);
    learnable_find(author.from, author.n, author.read, &author.proof, span_of(who->domain_name), a, out);
    if (author.from == NULL || out->sender.n == 0)
        return 0;
    if (check_own(s, author.from, who, out, e) < 0 ||
        (out->sender.n > 0 && check_above(s, said->delivery, a, out, e) < 0))
        return -1;
    return out->sender.n > 0 ? put_entry(s, by, said, who, out, e) : 0;
}

/* ---- all of it ---- */

/* What came with the report is known by its bytes. */
static struct span subject_of(const struct report_said *said, struct arena *a)
{
    char        text[7 + 64 + 1] = "sha256:", uid[UUID_TEXT + 1];
    struct span digest = span_head(said->record->sha256, 32);

    for (size_t i = 0; i < digest.n; i++)
        snprintf(text + 7 + 2 * i, 3, "%02x", (unsigned char)digest.p[i]);
    uuid_format(&said->record->uid, uid);
    return said->logged ? arena_printf(a, "uid:%s", uid) : arena_dup(a, span_of(text));
}

static int note(struct store *s, const struct actor *by, const struct report_said *said, const struct store_report *r,
                const struct learnable *l, struct err *e)
{
    struct store_scope scope = r->has_mailbox  ? store_scope_mailbox(r->mailbox)
                               : r->has_domain ? store_scope_domain(r->domain)
                                               : STORE_SCOPE_GLOBAL;
    char               action[24];
    struct buf         b;
    int                rc;

    snprintf(action, sizeof action, "report.%s", report_class_words[said->class]);
    buf_init(&b, 16 << 10);
    buf_puts(&b, "{\"who\":");
    json_put_string(&b, said->who);
    buf_puts(&b, ",\"recipient\":");
    json_put_string(&b, said->recipient);
    buf_puts(&b, ",\"channel\":");
    json_put_string(&b, said->channel);
    buf_puts(&b, ",\"sender\":");
    json_put_string(&b, l->sender);
    buf_putc(&b, '}');
    rc = b.failed ? err_set(e, ERR_LIMIT, "the recipient's address is too long for the audit log")
                  : store_audit_note(s, by, action, "message", &said->record->uid, scope, buf_span(&b), e);
    buf_fini(&b);
    return rc;
}

static const char *note_of(const struct store_report *r)
{
    if (r->state == REPORT_UNDECIDED)
        return REPORT_OPPOSITE;
    return r->state == REPORT_REFUSED && !r->has_body ? store_report_gone(r).p : NULL;
}

/* Entry and audit first, in a transaction that waits for the row: said already, and nothing of it happens. */
static int make_in(struct store *s, const struct report_site *site, const struct actor *by,
                   const struct report_said *said, const struct store_resolved *who, struct arena *a,
                   struct report_made *out, struct err *e)
{
    struct store_report r = {.subject = subject_of(said, a),
                             .who = who->has_mailbox ? span_of(who->mailbox_address) : said->who,
                             .recipient = who->ours ? span_of(who->domain_name) : SPAN_NONE,
                             .channel = said->channel,
                             .class = said->class,
                             .has_domain = who->ours,
                             .domain = who->domain,
                             .has_mailbox = who->has_mailbox,
                             .mailbox = who->mailbox,
                             .has_body = said->has_body,
                             .body = said->body != NULL ? *said->body : said->record->uid};

    if (learn_sender(s, site, by, said, who, a, &out->entry, e) < 0 || note(s, by, said, &r, &out->entry, e) < 0)
        return -1;
    r.sender = out->entry.sender;
    r.why = span_of(out->entry.why != NULL ? out->entry.why : "");
    if (a->full)
        return err_set(e, ERR_LIMIT, "the report needs too much memory");
    if (store_report_add(s, &r, clock_wall_us(), &out->added, e) < 0)
        return -1;
    out->id = r.id;
    out->state = r.state;
    out->note = note_of(&r);
    if (out->added != REPORT_SAID)
        return store_commit(s, e);
    out->entry = (struct learnable){.why = "it was said before"};
    store_rollback(s);
    return 0;
}

int report_make(struct store *s, const struct report_site *site, const struct actor *by, const struct report_said *said,
                struct arena *a, struct report_made *out, struct err *e)
{
    struct store_resolved who;
    struct address        given;

    *out = (struct report_made){.has_body = said->has_body};
    if (resolve(s, said->recipient, a, &given, &who, e) < 0 || store_begin(s, e) < 0)
        return -1;
    if (make_in(s, site, by, said, &who, a, out, e) == 0)
        return 0;
    store_rollback(s);
    return -1;
}

void report_put_json(struct buf *out, enum report_class class, const struct report_made *made)
{
    static const char *const added[] = {[REPORT_NEW] = "new", [REPORT_TURNED] = "turned", [REPORT_SAID] = "said"};
    char                     id[UUID_TEXT + 1];

    uuid_format(&made->id, id);
    buf_printf(out, "{\"id\":\"%s\",\"class\":\"%s\",\"added\":\"%s\",\"state\":\"%s\",\"note\":", id,
               report_class_words[class], added[made->added], report_state_words[made->state]);
    json_put_string(out, span_of(made->note != NULL ? made->note : ""));
    buf_printf(out, ",\"body\":%s,\"sender\":", made->has_body ? "true" : "false");
    json_put_string(out, made->entry.sender);
    buf_puts(out, ",\"proof\":");
    json_put_string(out, made->entry.proof);
    buf_puts(out, ",\"why\":");
    json_put_string(out, span_of(made->entry.why != NULL ? made->entry.why : ""));
    buf_puts(out, "}");
}
