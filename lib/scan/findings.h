/* lib/scan/findings.h - what a scanner's symbols mean to us (design.md 2.1 proof, 2.3.4 the two families). Pure.
 *
 * The tables of symbol names, one a scanner, are in findings.c: which symbols say DKIM, SPF and DMARC, and in which option the
 * domain stands; which are protected (virus, file type, MIME, geography), and which only say that such a check failed. */
#ifndef POSTERN_SCAN_FINDINGS_H
#define POSTERN_SCAN_FINDINGS_H

#include "base/conf.h"
#include "net/scanner.h"
#include "rules/decide.h"

/* Who sent it, as far as the scanner proved: d= of valid signatures, the SPF-passed domain (the envelope's or, for <>, the HELO's: as
 * stated in the question), DMARC pass. Lists are in `a`. What `proof` holds already (Authentication-Results) is added to. */
void findings_proof(const struct scanner_answer *answer, struct span envelope_domain, struct span helo, struct arena *a,
                    struct proof *proof);

/* total; the protected symbols' own sum; a pre-result of the scanner's (reject by an antivirus or a file rule) on one of them.
 * `more`: [rules] protected_symbols. */
void findings_score(const struct scanner_answer *answer, const struct conf_list *more, struct score_parts *out);
bool findings_protected(struct span symbol, bool spamd, const struct conf_list *more);

#endif
