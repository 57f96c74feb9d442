/* cli/piped.h - a mail that a mail server hands over by a pipe. */
#ifndef POSTERN_CLI_PIPED_H
#define POSTERN_CLI_PIPED_H

#include "cli.h"

#define PIPED_PIECE ((size_t)64 << 10) /* more than the largest mail, a buffer for it needs */

/* All of standard input is read, what is over max too: who writes there gets rid of it. */
int piped_read(struct buf *b, size_t max, bool *too_large_out, struct err *e);
/* Of the envelope: as given, else $SENDER; empty for <>. */
struct span piped_sender(const char *given);

#endif
