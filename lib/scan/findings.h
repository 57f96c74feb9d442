/* lib/scan/findings.h - what a scanner's symbols mean to us (design.md 2.1 proof, 2.3.4 the two families). Pure.
 *
 * The tables of symbol names, one a scanner, are in findings.c: which symbols say DKIM, SPF and DMARC, and in which option the
 * domain stands; which are protected (virus, file type, MIME, geography), and which only say that such a check failed.
 * A domain counts only if it can be one: whoever signs chooses what stands in the options. SPF and DMARC count only where the scanner
 * was told client and envelope: else it took them from the message. */
#ifndef POSTERN_SCAN_FINDINGS_H
#define POSTERN_SCAN_FINDINGS_H

#include "base/conf.h"
#include "net/scanner.h"
#include "rules/decide.h"
#include "scan/lift.h"

/* Who sent it, as far as the scanner proved: d= of valid signatures, the SPF-passed domain (the envelope's or, for <>, the HELO's: as
 * stated in the question), DMARC pass. Lists are in `a`. What `proof` holds already (Authentication-Results) is added to.
 * SpamAssassin names no domains: a signature of the author's domain counts as DMARC pass does, for a single From address. */
void findings_proof(const struct scanner_answer *answer, struct span envelope_domain, struct span helo, struct arena *a,
                    struct proof *proof);

/* Is there one way alone to read the envelope sender, as stated? Of one that Rspamd cannot read ("a..b@", anything beyond ASCII) it
 * takes that there is none, and what it says of SPF is about the HELO: then nothing that hangs on the envelope may be believed. */
bool findings_sender_is_plain(struct span from);

/* total; the protected symbols' own sum; a pre-result of the scanner's on one of them: a reject that its score does not explain,
 * or any reject of a message with a virus; or that it asks to come again because of one, or because such a check failed (an operator's
 * force_actions on CLAM_VIRUS_FAIL). Its own greylisting and the like are not that. Where points are not known, all of the score counts
 * as theirs.
 * `more`: [rules] protected_symbols. `lift` (may be NULL): what is decided already, and counts as if it had not been found; a check that
 * failed is never that. */
void findings_score(const struct scanner_answer *answer, const struct conf_list *more, const struct lift *lift,
                    struct score_parts *out);

/* What a protected symbol is about; NONE: it is not protected. LISTED: a site's own, of [rules] protected_symbols. */
enum finding_family { FAMILY_NONE, FAMILY_VIRUS, FAMILY_FILE_TYPE, FAMILY_MIME, FAMILY_GEOGRAPHY, FAMILY_LISTED };
enum finding_family findings_family(struct span symbol, bool spamd, const struct conf_list *more);
bool                findings_protected(struct span symbol, bool spamd, const struct conf_list *more);

/* Why a message is held, for who may let it go: the gravest of its findings, by the symbols of the log. Another symbol of
 * [rules] protected_symbols counts as policy. */
enum finding_kind { FINDING_NONE, FINDING_POLICY, FINDING_ATTACHMENT, FINDING_VIRUS }; /* ascending */
enum finding_kind findings_gravest(const struct rspamd_symbol *symbols, size_t n, bool spamd,
                                   const struct conf_list *more);

/* What the filter itself did, in our words. Rspamd's "greylist" delivers. */
enum action findings_action(const struct rspamd_reply *r);

#endif
