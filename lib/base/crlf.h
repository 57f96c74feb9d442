/* lib/base/crlf.h - the lines of a message as SMTP carries them.
 *
 * A line ends in LF; a CR in front of it belongs to the line end. A CR alone is a byte like any other, but in front of a dot:
 * servers that take it for a line end would read "CR dot CR LF" as the end of the message and what follows as commands, so
 * it ends a line here too. Going through lines and writing CRLF behind each gives the same bytes, however often. */
#ifndef POSTERN_BASE_CRLF_H
#define POSTERN_BASE_CRLF_H

#include "base/span.h"

/* The next line of *rest without its line end; false at the end. A last line without line end counts. */
bool crlf_line(struct span *rest, struct span *line_out);

#endif
