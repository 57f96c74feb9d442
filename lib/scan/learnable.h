/* lib/scan/learnable.h - which sender a report may leave behind as a learned entry (design.md 2.1 proof, 8). Pure.
 *
 * Proven   An entry is made for a sender that was proven (DMARC, DKIM, SPF, aligned), of a message with one From address that could be
 *          read, and never for somebody of the mailbox's own domain.
 * Breadth  The address as it is, unless it looks made up for this one message (tags, VERP, long numbers, random letters): then what
 *          of it is stable, "news+*@shop.example", or the whole domain where nothing is. Never the domain of a large free-mail
 *          house: there the address stands as it is. */
#ifndef POSTERN_SCAN_LEARNABLE_H
#define POSTERN_SCAN_LEARNABLE_H

#include "net/scanner.h"
#include "rules/evaluate.h"

struct learnable {
    struct span sender; /* in the sender grammar of rules; empty: no entry, and `why` says why */
    struct span proof;  /* "dmarc", "dkim:DOMAIN", "spf:DOMAIN" */
    const char *why;    /* with a sender: why it is wider than the address, or NULL */
};

/* The entry's sender alone, whether proven or not. Texts are in `a`. */
void learnable_breadth(const struct address *from, struct arena *a, struct learnable *out);
/* read: all of the From field could be read. own: the mailbox's domain. */
void learnable_find(const struct address *from, size_t nfrom, bool read, const struct proof *proof, struct span own,
                    struct arena *a, struct learnable *out);

/* Symbols as the message log has them (store/message.h), for findings.h. What is no such list is none. */
void learnable_read_symbols(struct span json, struct arena *a, struct scanner_answer *out);

#endif
