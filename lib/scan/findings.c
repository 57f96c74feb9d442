/* lib/scan/findings.c - see findings.h. */
#include "scan/findings.h"

#include "mail/domain.h"

#define SENDER_MAX 320

/* ---- who sent it ---- */

enum says {
    SAYS_SIGNED,          /* options: DOMAIN, then the mark */
    SAYS_SPF,             /* of the envelope's domain, or of the HELO where the sender is <> */
    SAYS_SPF_HELO,        /* of the HELO */
    SAYS_DMARC,           /* of the domain in the first option, or of whichever the From address has */
    SAYS_AUTHOR_SIGNED,   /* the From address's domain */
    SAYS_ENVELOPE_SIGNED, /* the envelope's */
};

/* `mark` is looked for from the end, since what stands before it is a stranger's. */
static const struct witness {
    struct span name;
    enum says   says;
    const char *mark;
} rspamd_witnesses[] =
    {
        {{"DKIM_TRACE", 10}, SAYS_SIGNED, ":+"},
        {{"R_DKIM_ALLOW", 12}, SAYS_SIGNED, ":s="},
        {{"R_SPF_ALLOW", 11}, SAYS_SPF, NULL},
        {{"DMARC_POLICY_ALLOW", 18}, SAYS_DMARC, NULL},
        {{"DMARC_POLICY_ALLOW_WITH_FAILURES", 32}, SAYS_DMARC, NULL},
},
  spamd_witnesses[] = {
      {{"DKIM_VALID_AU", 13}, SAYS_AUTHOR_SIGNED, NULL},
      {{"DKIM_VALID_EF", 13}, SAYS_ENVELOPE_SIGNED, NULL},
      {{"SPF_PASS", 8}, SAYS_SPF, NULL},
      {{"SPF_HELO_PASS", 13}, SAYS_SPF_HELO, NULL},
      {{"DMARC_PASS", 10}, SAYS_DMARC, NULL},
};

struct proving {
    const struct scanner_answer *answer;
    struct span                  envelope_domain, helo;
    struct arena                *a;
    struct proof                *proof;
    struct span                 *dkim;
    size_t                       room;
};

static bool normal_domain(struct proving *p, struct span s, struct span *out)
{
    return s.n > 0 && domain_normalise(s, p->a, out, NULL) == 0;
}

static void add_signer(struct proving *p, struct span domain)
{
    if (!normal_domain(p, domain, &domain))
        return;
    for (size_t i = 0; i < p->proof->ndkim; i++)
        if (span_eq(p->proof->dkim[i], domain))
            return;
    if (p->proof->ndkim < p->room)
        p->dkim[p->proof->ndkim++] = domain;
}

/* Where the mark is last in the option, or option.n. ":+" has to be its end. */
static size_t find_mark(struct span option, struct span mark)
{
    for (size_t at = option.n; at-- > 0;)
        if (span_starts(span_skip(option, at), mark))
            return span_is(mark, ":+") && at + mark.n < option.n ? option.n : at;
    return option.n;
}

static void add_signers(struct proving *p, const struct rspamd_symbol *s, struct span mark)
{
    for (size_t i = 0; i < s->noptions; i++) {
        size_t at = find_mark(s->options[i], mark);

        if (at < s->options[i].n)
            add_signer(p, span_head(s->options[i], at));
    }
}

static void set_spf(struct proving *p, struct span domain)
{
    if (p->answer->envelope_told && p->proof->spf_domain.n == 0 && normal_domain(p, domain, &domain))
        p->proof->spf_domain = domain;
}

static void set_dmarc(struct proving *p, struct span domain)
{
    if (p->proof->dmarc_pass || (domain.n > 0 && !normal_domain(p, domain, &domain)))
        return;
    p->proof->dmarc_pass = true;
    p->proof->dmarc_domain = domain;
}

static void hear_witness(struct proving *p, const struct witness *w, const struct rspamd_symbol *s)
{
    bool null_sender = p->envelope_domain.n == 0;

    switch (w->says) {
    case SAYS_SIGNED: add_signers(p, s, span_of(w->mark)); return;
    case SAYS_SPF:
        if (!p->answer->spamd || !null_sender)
            set_spf(p, null_sender ? p->helo : p->envelope_domain);
        return;
    case SAYS_SPF_HELO:
        if (null_sender)
            set_spf(p, p->helo);
        return;
    case SAYS_DMARC:
        if (p->answer->envelope_told)
            set_dmarc(p, s->noptions > 0 ? s->options[0] : SPAN_NONE);
        return;
    case SAYS_AUTHOR_SIGNED: set_dmarc(p, SPAN_NONE); return;
    case SAYS_ENVELOPE_SIGNED:
        if (p->answer->envelope_told)
            add_signer(p, p->envelope_domain);
        return;
    }
}

static bool is_word(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-';
}

/* Runs of such characters with single dots between them. */
static bool is_dotted(struct span s, const char *more)
{
    bool behind_dot = true;

    for (size_t i = 0; i < s.n; i++) {
        bool dot = s.p[i] == '.';

        if (dot ? behind_dot : !is_word(s.p[i]) && (s.p[i] == '\0' || strchr(more, s.p[i]) == NULL))
            return false;
        behind_dot = dot;
    }
    return !behind_dot;
}

bool findings_sender_is_plain(struct span from)
{
    struct span domain;

    if (from.n >= 2 && from.p[0] == '<' && from.p[from.n - 1] == '>')
        from = span_make(from.p + 1, from.n - 2);
    domain = span_skip(from, span_chr(from, '@') + 1);
    return from.n == 0 || (from.n <= SENDER_MAX && is_dotted(domain, "") && domain.p[0] != '-' &&
                           is_dotted(span_head(from, span_chr(from, '@')), "!#$%&'*+/=?^_`{|}~"));
}

/* Room for every domain that there can be, what is proven already at the front. */
static bool make_room(struct proving *p)
{
    const struct rspamd_reply *r = &p->answer->reply;

    p->room = p->proof->ndkim + 1;
    for (size_t i = 0; i < r->nsymbols; i++)
        for (size_t w = 0; w < COUNT(rspamd_witnesses); w++)
            if (rspamd_witnesses[w].says == SAYS_SIGNED && span_eq(r->symbols[i].name, rspamd_witnesses[w].name))
                p->room += r->symbols[i].noptions;
    if ((p->dkim = arena_array(p->a, p->room, sizeof *p->dkim)) == NULL)
        return false;
    if (p->proof->ndkim > 0)
        memcpy(p->dkim, p->proof->dkim, p->proof->ndkim * sizeof *p->dkim);
    p->proof->dkim = p->dkim;
    return true;
}

void findings_proof(const struct scanner_answer *answer, struct span envelope_domain, struct span helo, struct arena *a,
                    struct proof *proof)
{
    struct proving        p = {answer, envelope_domain, helo, a, proof, NULL, 0};
    const struct witness *witnesses = answer->spamd ? spamd_witnesses : rspamd_witnesses;
    size_t                n = answer->spamd ? COUNT(spamd_witnesses) : COUNT(rspamd_witnesses);

    proof->can_prove = true;
    if (!make_room(&p))
        return; /* nothing more is proven, and the full arena fails the scan */
    for (size_t i = 0; i < answer->reply.nsymbols; i++)
        for (size_t w = 0; w < n; w++)
            if (span_eq(answer->reply.symbols[i].name, witnesses[w].name))
                hear_witness(&p, &witnesses[w], &answer->reply.symbols[i]);
}

/* ---- what an allow does not lift ---- */

static const struct protected
{
    struct span         name;
    enum finding_family family;
}
rspamd_protected[] =
    {
        /* module mime_types */
        {{"MIME_BAD_EXTENSION", 18}, FAMILY_FILE_TYPE},
        {{"MIME_DOUBLE_BAD_EXTENSION", 25}, FAMILY_FILE_TYPE},
        {{"MIME_BAD_ATTACHMENT", 19}, FAMILY_FILE_TYPE},
        {{"MIME_ENCRYPTED_ARCHIVE", 22}, FAMILY_FILE_TYPE},
        {{"MIME_OBFUSCATED_ARCHIVE", 23}, FAMILY_FILE_TYPE},
        {{"MIME_ARCHIVE_IN_ARCHIVE", 23}, FAMILY_FILE_TYPE},
        {{"MIME_EXE_IN_GEN_SPLIT_RAR", 25}, FAMILY_FILE_TYPE},
        {{"MIME_BAD_UNICODE", 16}, FAMILY_FILE_TYPE},
        {{"MIME_BAD", 8}, FAMILY_MIME},
        /* its documentation's pattern for the EICAR file; Vade's name for malware. Geography is a site's own multimap, under a name of
     * its own: for [rules] protected_symbols. */
        {{"JUST_EICAR", 10}, FAMILY_VIRUS},
        {{"VADE_MALWARE", 12}, FAMILY_VIRUS},
},
    spamd_protected[] = {
        /* plugins ClamAV, AntiVirus, OLEVBMacro */
        {{"CLAMAV", 6}, FAMILY_VIRUS},
        {{"OLEMACRO_MALICE", 15}, FAMILY_VIRUS},
        {{"MICROSOFT_EXECUTABLE", 20}, FAMILY_FILE_TYPE},
        {{"MIME_SUSPECT_NAME", 17}, FAMILY_FILE_TYPE},
        {{"OLEMACRO", 8}, FAMILY_FILE_TYPE},
        {{"OLEMACRO_CSV", 12}, FAMILY_FILE_TYPE},
        {{"OLEMACRO_DOWNLOAD_EXE", 21}, FAMILY_FILE_TYPE},
        {{"OLEMACRO_ENCRYPTED", 18}, FAMILY_FILE_TYPE},
        {{"OLEMACRO_MHTML_TARGET", 21}, FAMILY_FILE_TYPE},
        {{"OLEMACRO_RENAME", 15}, FAMILY_FILE_TYPE},
        {{"OLEMACRO_URI_TARGET", 19}, FAMILY_FILE_TYPE},
        {{"OLEMACRO_ZIP_PW", 15}, FAMILY_FILE_TYPE},
        {{"MIMEPART_LIMIT_EXCEEDED", 23}, FAMILY_MIME},
        /* plugin RelayCountry, as sites name its rules */
        {{"RELAYCOUNTRY_BAD", 16}, FAMILY_GEOGRAPHY},
        {{"RELAYCOUNTRY_HIGH", 17}, FAMILY_GEOGRAPHY},
        {{"RELAYCOUNTRY_MED", 16}, FAMILY_GEOGRAPHY},
};

/* Rspamd's modules antivirus and external_services: a section's symbol is its name, or the name and _VIRUS; what else was found is
 * said by a further ending. _FAIL, that the scan failed, is no finding. */
static const struct span engines[] = {
    {"CLAM", 4},    {"CLAMAV", 6},      {"FPROT", 5},         {"SOPHOS", 6},       {"SAVAPI", 6},
    {"AVIRA", 5},   {"KASPERSKY", 9},   {"KASPERSKY_SE", 12}, {"AVAST", 5},        {"ESET", 4},
    {"FSECURE", 7}, {"MCAFEE", 6},      {"TRENDMICRO", 10},   {"BITDEFENDER", 11}, {"SYMANTEC", 8},
    {"ICAP", 4},    {"VIRUSTOTAL", 10}, {"OLETOOLS", 8},      {"ANTIVIRUS", 9},
};

static const struct protected endings[] = {
    {{"_ENCRYPTED", 10}, FAMILY_FILE_TYPE},
    {{"_MACRO", 6}, FAMILY_FILE_TYPE},
};

static bool is_engine(struct span symbol)
{
    if (span_ends(symbol, SPAN("_VIRUS")))
        symbol = span_head(symbol, symbol.n - 6);
    for (size_t i = 0; i < COUNT(engines); i++)
        if (span_eq(symbol, engines[i]))
            return true;
    return false;
}

static enum finding_family engine_family(struct span symbol)
{
    for (size_t i = 0; i < COUNT(endings); i++)
        if (span_ends(symbol, endings[i].name) && is_engine(span_head(symbol, symbol.n - endings[i].name.n)))
            return endings[i].family;
    return is_engine(symbol) ? FAMILY_VIRUS : FAMILY_NONE;
}

static enum finding_family family_of(struct span symbol, bool spamd)
{
    const struct protected *rows = spamd ? spamd_protected : rspamd_protected;
    size_t                  n = spamd ? COUNT(spamd_protected) : COUNT(rspamd_protected);

    for (size_t i = 0; i < n; i++)
        if (span_eq(symbol, rows[i].name))
            return rows[i].family;
    return spamd ? FAMILY_NONE : engine_family(symbol);
}

static bool is_listed(struct span symbol, const struct conf_list *more)
{
    for (size_t i = 0; more != NULL && i < more->n; i++)
        if (span_is(symbol, more->items[i]))
            return true;
    return false;
}

enum finding_family findings_family(struct span symbol, bool spamd, const struct conf_list *more)
{
    enum finding_family family = family_of(symbol, spamd);

    return family == FAMILY_NONE && is_listed(symbol, more) ? FAMILY_LISTED : family;
}

bool findings_protected(struct span symbol, bool spamd, const struct conf_list *more)
{
    return findings_family(symbol, spamd, more) != FAMILY_NONE;
}

enum finding_kind findings_gravest(const struct rspamd_symbol *symbols, size_t n, bool spamd,
                                   const struct conf_list *more)
{
    static const enum finding_kind of[] = {[FAMILY_NONE] = FINDING_NONE,
                                           [FAMILY_VIRUS] = FINDING_VIRUS,
                                           [FAMILY_FILE_TYPE] = FINDING_ATTACHMENT,
                                           [FAMILY_MIME] = FINDING_ATTACHMENT,
                                           [FAMILY_GEOGRAPHY] = FINDING_POLICY,
                                           [FAMILY_LISTED] = FINDING_POLICY};
    enum finding_kind              worst = FINDING_NONE, one;

    for (size_t i = 0; i < n; i++) {
        one = of[findings_family(symbols[i].name, spamd, more)];
        worst = one > worst ? one : worst;
    }
    return worst;
}

static bool is_failed_check(struct span symbol, const struct conf_list *more)
{
    if (!span_ends(symbol, SPAN("_FAIL")))
        return false;
    symbol = span_head(symbol, symbol.n - 5);
    return is_engine(symbol) || is_listed(symbol, more);
}

/* ---- who asked to come again ---- */

/* Rspamd's modules that ask so for reasons of their own, whatever else was found. */
static const struct span unrelated[] = {
    {"greylist", 8}, {"ratelimit", 9}, {"dmarc", 5},    {"replies", 7},
    {"spamtrap", 8}, {"aws_s3", 6},    {"settings", 8}, {"metadata_exporter", 17},
};

static bool is_unrelated(struct span module)
{
    for (size_t i = 0; i < COUNT(unrelated); i++)
        if (span_eq(module, unrelated[i]))
            return true;
    return false;
}

/* The modules for viruses give a pre-result in the name of the section: "clamav". */
static bool is_engine_name(struct span module)
{
    for (size_t i = 0; i < COUNT(engines); i++)
        if (span_eq_ci(module, engines[i]))
            return true;
    return span_is(module, "external_services");
}

/* Before 3.5 Rspamd does not tell which module it was; that of greylisting leaves its mark. */
static bool is_greylisted(const struct rspamd_reply *r)
{
    for (size_t i = 0; i < r->nsymbols; i++)
        if (span_is(r->symbols[i].name, "GREYLIST") && r->symbols[i].noptions > 0 &&
            span_is(r->symbols[i].options[0], "greylisted"))
            return true;
    return false;
}

/* What there is to find. */
struct found {
    bool some, virus;  /* that nobody has decided about */
    bool lifted_virus; /* that somebody has */
    bool failed;       /* a check could not be made */
};

static bool defers_for_protected(const struct rspamd_reply *r, const struct found *f)
{
    if (r->action != RSPAMD_SOFT_REJECT)
        return false;
    if (f->virus || (is_engine_name(r->passthrough) && (f->failed || !f->lifted_virus)))
        return true;
    return (f->some || f->failed) && !is_unrelated(r->passthrough) && (r->passthrough.n > 0 || !is_greylisted(r));
}

void findings_score(const struct scanner_answer *answer, const struct conf_list *more, const struct lift *lift,
                    struct score_parts *out)
{
    const struct rspamd_reply *r = &answer->reply;
    struct found               f = {0};

    *out = (struct score_parts){.total = r->score};
    for (size_t i = 0; i < r->nsymbols; i++) {
        const struct rspamd_symbol *s = &r->symbols[i];
        bool                        virus = family_of(s->name, answer->spamd) == FAMILY_VIRUS;

        if (!findings_protected(s->name, answer->spamd, more)) {
            f.failed |= is_failed_check(s->name, more);
            continue;
        }
        if (lift != NULL && lift_covers(lift, s, answer->spamd, more)) {
            f.lifted_virus |= virus;
            continue;
        }
        f.some = true;
        f.virus |= virus;
        out->protected_sum += s->score > 0 ? s->score : 0;
    }
    if (f.some && answer->names_only)
        out->protected_sum = r->score;
    out->protected_reject = !answer->spamd && r->action == RSPAMD_REJECT &&
                            (f.virus || (f.some && (r->passthrough.n > 0 || r->score < r->required_score)));
    out->protected_defer = !answer->spamd && defers_for_protected(r, &f);
}

enum action findings_action(const struct rspamd_reply *r)
{
    static const enum action of[] = {
        [RSPAMD_NO_ACTION] = ACTION_PASS,      [RSPAMD_GREYLIST] = ACTION_PASS,     [RSPAMD_ADD_HEADER] = ACTION_TAG,
        [RSPAMD_REWRITE_SUBJECT] = ACTION_TAG, [RSPAMD_SOFT_REJECT] = ACTION_DEFER, [RSPAMD_REJECT] = ACTION_REJECT,
    };

    return of[r->action];
}
