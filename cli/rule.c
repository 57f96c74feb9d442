/* cli/rule.c - postern rule: add, list, show, enable, disable, delete. Import and export: rule_import.c. */
#include <stdio.h>

#include "base/fd.h"
#include "base/utf8.h"
#include "cli.h"
#include "store/hit.h"
#include "store/policy.h"

/* What a person may say instead of JSON: one row a kind of condition. */
struct rule_options {
    const char      *scope, *policy, *name, *note, *priority, *flow, *expires, *json, *match, *size;
    struct args_list sender, recipient, subject, body, header, ip, host, attachment, signed_by;
    bool             test_only, no_proof, confirm, envelope;
};

static void put_key(struct buf *b, const char *key, const char *value)
{
    buf_printf(b, ",\"%s\":", key);
    json_put_string(b, span_of(value));
}

static void put_entries(struct buf *b, const char *kind, const char *extra, const struct args_list *l)
{
    if (l->n == 0)
        return;
    if (b->p[b->n - 1] != '[')
        buf_putc(b, ',');
    buf_printf(b, "{\"kind\":\"%s\"%s,\"any\":[", kind, extra);
    for (size_t i = 0; i < l->n; i++) {
        if (i > 0)
            buf_putc(b, ',');
        json_put_string(b, span_of(l->items[i]));
    }
    buf_puts(b, "]}");
}

/* "--header List-Id:text": a condition for each. */
static int put_headers(struct buf *b, const char *match, const struct args_list *l, struct err *e)
{
    for (size_t i = 0; i < l->n; i++) {
        struct span word = span_of(l->items[i]);
        size_t      colon = span_chr(word, ':');

        if (colon == 0 || colon == word.n)
            return err_set(e, ERR_INVALID, "--header is NAME:TEXT, not \"%s\"", l->items[i]);
        if (b->p[b->n - 1] != '[')
            buf_putc(b, ',');
        buf_puts(b, "{\"kind\":\"header\",\"name\":");
        json_put_string(b, span_head(word, colon));
        buf_printf(b, "%s,\"any\":[", match);
        json_put_string(b, span_trim(span_skip(word, colon + 1)));
        buf_puts(b, "]}");
    }
    return 0;
}

static int put_size(struct buf *b, const char *size, struct err *e)
{
    struct span word = span_of(size), min, max;
    size_t      dash = span_chr(word, '-');
    uint64_t    v;

    min = span_head(word, dash);
    max = span_skip(word, dash + 1);
    if (dash == word.n || !span_u64(min, &v) || (max.n > 0 && !span_u64(max, &v)))
        return err_set(e, ERR_INVALID, "--size is MIN-MAX in bytes, such as 0-1048576 or 5000000-");
    if (b->p[b->n - 1] != '[')
        buf_putc(b, ',');
    buf_printf(b, "{\"kind\":\"size\",\"min\":%.*s", SPAN_ARG(min));
    if (max.n > 0)
        buf_printf(b, ",\"max\":%.*s", SPAN_ARG(max));
    buf_putc(b, '}');
    return 0;
}

/* "*.exe" is a file name, ".exe" an extension, "application/zip" a type: a file name has no slash. */
static void put_attachment(struct buf *b, struct span what)
{
    bool extension = span_starts(what, SPAN(".")) && what.n > 1 && span_chr(span_skip(what, 1), '.') == what.n - 1;
    bool type = span_chr(what, '/') < what.n;

    buf_puts(b, extension ? "{\"extension\":" : type ? "{\"mime_type\":" : "{\"filename\":");
    json_put_string(b, extension ? span_skip(what, 1) : what);
    buf_putc(b, '}');
}

static void put_attachments(struct buf *b, const struct args_list *l)
{
    if (l->n == 0)
        return;
    if (b->p[b->n - 1] != '[')
        buf_putc(b, ',');
    buf_puts(b, "{\"kind\":\"attachment\",\"any\":[");
    for (size_t i = 0; i < l->n; i++) {
        if (i > 0)
            buf_putc(b, ',');
        put_attachment(b, span_of(l->items[i]));
    }
    buf_puts(b, "]}");
}

/* The JSON that the options stand for. */
static int put_rule(struct buf *b, const char *action, const struct rule_options *o, struct err *e)
{
    char    match[32] = "";
    int64_t priority;
    int     word;

    if (o->match != NULL) {
        if (cli_word_index(rule_match_words, o->match, "--match", &word, e) < 0)
            return -1;
        snprintf(match, sizeof match, ",\"match\":\"%s\"", rule_match_words[word]);
    }
    buf_puts(b, "{\"action\":");
    json_put_string(b, span_of(action));
    if (o->name != NULL)
        put_key(b, "name", o->name);
    if (o->note != NULL)
        put_key(b, "note", o->note);
    if (o->flow != NULL)
        put_key(b, "flow", o->flow);
    if (o->expires != NULL)
        put_key(b, "expires_at", o->expires);
    if (o->priority != NULL) {
        if (cli_number(o->priority, "--priority", -RULE_PRIORITY_MAX, RULE_PRIORITY_MAX, &priority, e) < 0)
            return -1;
        buf_printf(b, ",\"priority\":%lld", (long long)priority);
    }
    if (o->test_only)
        buf_puts(b, ",\"test_only\":true");
    if (o->no_proof)
        buf_puts(b, ",\"require_proof\":false");
    buf_puts(b, ",\"conditions\":[");
    put_entries(b, "sender", o->envelope ? ",\"source\":\"envelope\"" : "", &o->sender);
    put_entries(b, "recipient", "", &o->recipient);
    put_entries(b, "subject", match, &o->subject);
    put_entries(b, "body", match, &o->body);
    put_entries(b, "ip", "", &o->ip);
    put_entries(b, "host", "", &o->host);
    put_entries(b, "signed_by", "", &o->signed_by);
    put_attachments(b, &o->attachment);
    if (put_headers(b, match, &o->header, e) < 0 || (o->size != NULL && put_size(b, o->size, e) < 0))
        return -1;
    buf_puts(b, "]}");
    return b->failed ? err_set(e, ERR_LIMIT, "the rule is too large") : 0;
}

int cli_default_policy(struct cli *c, struct store_scope scope, const char *name, struct store_policy *out,
                       struct err *e)
{
    if (store_policy_find(c->store, scope, span_of(name != NULL ? name : POLICY_RULES), out, e) == 0)
        return 0;
    if (e->code != ERR_NOT_FOUND)
        return -1;
    if (scope.kind == SCOPE_GLOBAL && name == NULL)
        return err_set(e, ERR_INVALID, "a global rule needs a policy: --policy NAME (see postern policy list)");
    return err_set(e, ERR_NOT_FOUND, "there is no policy \"%s\" in that scope", name != NULL ? name : POLICY_RULES);
}

static void print_advice(const struct rule *r, const struct rule_check *check)
{
    if (check->advice & ADVICE_NEEDS_PROOF)
        puts("Note: it holds only for proven senders (DMARC, DKIM or SPF in line with the From address). Without a "
             "scanner or an "
             "authserv_id that proves them, add a matching --ip or --signed-by.");
    if (check->advice & ADVICE_SLOW_REGEX)
        printf("Note: a regular expression without a fixed text of 3 bytes is tried on every message; at most %d of "
               "them fit in a "
               "scope.\n",
               SCOPE_SLOW_REGEX_MAX);
    if (r->test_only)
        puts("Note: test only: it is counted and shown, and decides nothing.");
}

static int save_rule(struct cli *c, struct span json, const struct rule_options *o, struct err *e)
{
    struct rule_check   check = {.freemail_confirmed = o->confirm};
    struct store_scope  scope;
    struct store_policy policy;
    struct store_rule   row;
    struct rule         r;
    struct buf          conditions;
    struct uuid         id;
    char                shown[9];
    int                 rc = -1;

    buf_init(&conditions, RULE_JSON_MAX);
    if (cli_parse_scope(c, span_of(o->scope), &scope, e) < 0 ||
        store_may_regex(c->store, &c->actor, scope, &check.may_regex, e) < 0)
        goto out;
    if (rule_from_json(json, &c->arena, &check, &r, e) < 0) {
        if (e->code == ERR_CONFLICT && !o->confirm)
            err_wrap(e, "add --confirm if that is meant");
        goto out;
    }
    if (cli_default_policy(c, scope, o->policy, &policy, e) < 0)
        goto out;
    rule_put_conditions_json(&conditions, &r);
    row = store_rule_of(&r, &policy.id, buf_span(&conditions));
    if (store_rule_add(c->store, &c->actor, &row, &id, e) < 0)
        goto out;
    rule_short_id(&id, shown);
    printf("Rule %s added to %s, policy \"%s\".\n", shown, o->scope, policy.name);
    print_advice(&r, &check);
    rc = 0;
out:
    buf_fini(&conditions);
    return rc;
}

static int rule_add(struct cli *c, int argc, char **argv, struct err *e)
{
    static struct rule_options o;
    const char                *action = NULL;
    struct buf                 json;
    int                        rc = -1;
    const struct args_option   options[] = {
          {"scope", "SCOPE", .text = &o.scope, .help = "where it lives"},
          {"policy", "NAME", .text = &o.policy, .help = "Rules unless said otherwise"},
          {"json", "FILE", .text = &o.json, .help = "the rule as JSON (- for standard input)"},
          {"name", "TEXT", .text = &o.name, .help = "what people call it"},
          {"note", "TEXT", .text = &o.note, .help = "why it is there"},
          {"priority", "N", .text = &o.priority, .help = "the lower decides"},
          {"flow", "from|to|from_or_to", .text = &o.flow, .help = "on which side senders, IPs and hosts are looked for"},
          {"expires", "TIME", .text = &o.expires, .help = "RFC 3339"},
          {"sender", "ENTRY", .list = &o.sender, .help = "user@domain, domain, *@domain, /regex/, <>"},
          {"envelope", NULL, .on = &o.envelope, .help = "senders by the envelope, not the From field"},
          {"recipient", "ENTRY", .list = &o.recipient, .help = "the same grammar"},
          {"match", "exact|contains|starts_with|ends_with|regex", .text = &o.match, .help = "for subject, body, header"},
          {"subject", "TEXT", .list = &o.subject, .help = "what the subject contains, unless --match says otherwise"},
          {"body", "TEXT", .list = &o.body, .help = "the same of the text parts"},
          {"header", "NAME:TEXT", .list = &o.header, .help = "the same of a field; each is a condition of its own"},
          {"ip", "ADDRESS|BLOCK|RANGE", .list = &o.ip, .help = "of the connecting server"},
          {"host", "NAME", .list = &o.host, .help = "its verified name; *.domain"},
          {"size", "MIN-MAX", .text = &o.size, .help = "bytes"},
          {"attachment", "NAME", .list = &o.attachment, .help = "*.exe, .exe or application/zip; wildcards allowed"},
          {"signed-by", "DOMAIN", .list = &o.signed_by, .help = "a valid DKIM d="},
          {"test-only", NULL, .on = &o.test_only, .help = "count it, let it decide nothing"},
          {"no-proof", NULL, .on = &o.no_proof, .help = "allow unproven senders too (spoofed ones come in)"},
          {"confirm", NULL, .on = &o.confirm, .help = "a free-mail domain is meant"},
    };

    memset(&o, 0, sizeof o);
    if (args_read(argc, argv, options, COUNT(options), "allow|block", 0, 1, &action, NULL, e) < 0)
        return -1;
    if (o.scope == NULL)
        return err_set(e, ERR_USAGE, "where does it live? --scope global, domain:NAME or mailbox:ADDRESS");
    if ((action == NULL) == (o.json == NULL))
        return err_set(e, ERR_USAGE, "say allow or block and what must hold, or --json FILE");
    buf_init(&json, RULE_JSON_MAX);
    if (cli_store(c, e) == 0 &&
        (o.json != NULL ? fd_read_file(o.json, RULE_JSON_MAX, &json, e) : put_rule(&json, action, &o, e)) == 0)
        rc = save_rule(c, buf_span(&json), &o, e);
    buf_fini(&json);
    return rc;
}

int cli_find_rule(struct cli *c, const char *text, struct uuid *out, struct err *e)
{
    if (store_rule_find(c->store, span_of(text), out, e) == 0)
        return 0;
    return e->code == ERR_NOT_FOUND
               ? err_set(e, ERR_NOT_FOUND, "there is no rule %s; postern rule list shows their ids", text)
               : -1;
}

/* As it can be given back: a backslash stays one. What a terminal would act on is escaped nevertheless. */
static void print_json(struct span json)
{
    char   safe[UTF8_SAFE_MAX] = "";
    size_t n;

    for (size_t at = 0; at < json.n;) {
        n = utf8_next_safe(json, &at, safe);
        fwrite(safe, 1, n, stdout);
    }
}

static int print_rule(void *ctx, const struct store_rule *row)
{
    size_t *n = ctx;
    char    shown[9];

    (*n)++;
    rule_short_id(&row->id, shown);
    printf("%s  %-5s ", shown, rule_action_word(row->action));
    cli_print_padded(row->policy_name, 12);
    printf(" %6d  %s%s", row->priority, row->enabled ? "" : "(off) ", row->test_only ? "(test only) " : "");
    if (row->expires_us != 0 && row->expires_us <= clock_wall_us())
        fputs("(expired) ", stdout);
    cli_print_padded(row->name, 28);
    fputs("  ", stdout);
    print_json(span_head(row->conditions, 160));
    puts(row->conditions.n > 160 ? "…" : "");
    return 0;
}

static int rule_list(struct cli *c, int argc, char **argv, struct err *e)
{
    const char              *scope_text = NULL, *policy_name = NULL, *limit_text = "1000";
    struct store_scope       scope;
    struct store_policy      policy;
    size_t                   n = 0;
    int64_t                  limit, total;
    const struct args_option options[] = {
        {"scope", "SCOPE", .text = &scope_text, .help = "whose"},
        {"policy", "NAME", .text = &policy_name, .help = "only this one"},
        {"limit", "N", .text = &limit_text, .help = "how many"},
    };

    if (args_read(argc, argv, options, COUNT(options), "--scope SCOPE", 0, 0, NULL, NULL, e) < 0 ||
        cli_number(limit_text, "--limit", 1, STORE_LIST_MAX, &limit, e) < 0 || cli_store(c, e) < 0)
        return -1;
    if (scope_text == NULL)
        return err_set(e, ERR_USAGE, "whose rules? --scope global, domain:NAME or mailbox:ADDRESS");
    if (cli_parse_scope(c, span_of(scope_text), &scope, e) < 0 ||
        (policy_name != NULL && cli_default_policy(c, scope, policy_name, &policy, e) < 0) ||
        store_rule_list(c->store, scope, policy_name != NULL ? &policy.id : NULL, NULL, (size_t)limit, print_rule, &n,
                        e) < 0 ||
        store_rule_count(c->store, scope, &total, e) < 0)
        return -1;
    if (n == 0)
        printf("No rules here yet. postern rule add --scope %s block --sender …\n", scope_text);
    else if ((int64_t)n == limit && n < (size_t)total)
        printf("… and more: the scope has %lld rules; --limit shows more of them, postern rule export --scope %s all\n",
               (long long)total, scope_text);
    return 0;
}

static int rule_show(struct cli *c, int argc, char **argv, struct err *e)
{
    const char       *prefix;
    struct store_rule row;
    struct uuid       id;
    struct span       scope;
    int64_t           hits, last;
    char              text[UUID_TEXT + 1], at[28], expires[28] = "";

    if (args_read(argc, argv, NULL, 0, "ID", 1, 1, &prefix, NULL, e) < 0 || cli_store(c, e) < 0 ||
        cli_find_rule(c, prefix, &id, e) < 0 || store_rule_get(c->store, id, &c->arena, &row, e) < 0 ||
        cli_scope_text(c, row.scope, &scope, e) < 0 || store_hits_of(c->store, id, 0, &hits, &last, e) < 0)
        return -1;
    uuid_format(&id, text);
    if (row.expires_us != 0)
        clock_format_utc(row.expires_us, expires);
    printf("%s\n  %s, %s%s%s\n  in          ", text, rule_action_word(row.action), row.enabled ? "on" : "off",
           row.test_only ? ", test only" : "", row.require_proof ? "" : ", also for unproven senders");
    cli_print(scope);
    fputs(", policy ", stdout);
    cli_print(row.policy_name);
    printf("\n  priority    %d; of its policy %d", row.priority, row.policy_priority);
    printf("\n  flow        %s", rule_flow_word(row.flow));
    if (row.expires_us != 0)
        printf("\n  %-10s  %.19sZ", row.expires_us <= clock_wall_us() ? "expired" : "expires", expires);
    fputs("\n  name        ", stdout);
    cli_print(row.name);
    fputs("\n  note        ", stdout);
    cli_print(row.note);
    fputs("\n  conditions  ", stdout);
    print_json(row.conditions);
    printf("\n  hits        %lld", (long long)hits);
    if (hits > 0) {
        clock_format_utc(last, at);
        printf(", the last at %.19sZ", at);
    }
    putchar('\n');
    return 0;
}

static int enable(struct cli *c, int argc, char **argv, bool on, struct err *e)
{
    const char *prefix;
    struct uuid id;

    if (args_read(argc, argv, NULL, 0, "ID", 1, 1, &prefix, NULL, e) < 0 || cli_store(c, e) < 0 ||
        cli_find_rule(c, prefix, &id, e) < 0 || store_rule_enable(c->store, &c->actor, id, on, e) < 0)
        return -1;
    printf("Rule %s is %s.\n", prefix, on ? "on" : "off");
    return 0;
}

static int rule_enable(struct cli *c, int argc, char **argv, struct err *e) { return enable(c, argc, argv, true, e); }
static int rule_disable(struct cli *c, int argc, char **argv, struct err *e) { return enable(c, argc, argv, false, e); }

static int rule_delete(struct cli *c, int argc, char **argv, struct err *e)
{
    const char *prefix;
    struct uuid id;

    if (args_read(argc, argv, NULL, 0, "ID", 1, 1, &prefix, NULL, e) < 0 || cli_store(c, e) < 0 ||
        cli_find_rule(c, prefix, &id, e) < 0 || store_rule_delete(c->store, &c->actor, id, e) < 0)
        return -1;
    printf("Rule %s deleted.\n", prefix);
    return 0;
}

int cli_rule(struct cli *c, int argc, char **argv, struct err *e)
{
    static const struct cli_verb verbs[] = {
        {"add", "--scope SCOPE [--policy NAME] allow|block --sender … --subject … (or --json FILE)",
         "conditions of different kinds must all hold; entries of one kind are alternatives", rule_add},
        {"list", "--scope SCOPE [--policy NAME]", "the rules of a scope", rule_list},
        {"show", "ID", "one rule, with its hits; an ID is the 8 digits of a list, or the whole", rule_show},
        {"enable", "ID", "let it decide again", rule_enable},
        {"disable", "ID", "keep it, without effect", rule_disable},
        {"delete", "ID", "for ever", rule_delete},
        {"import", "[--scope SCOPE] [--format json|csv|spamassassin|map] … FILE", "all or nothing; see postern(1)",
         cli_rule_import},
        {"export", "[--scope SCOPE]", "JSON lines, as import reads them; of all scopes unless one is named",
         cli_rule_export},
    };

    return cli_dispatch(c, "rule", verbs, COUNT(verbs), argc, argv, e);
}
