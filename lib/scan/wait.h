/* lib/scan/wait.h - one question to the scanner behind us, for who has the time to wait for the answer. */
#ifndef POSTERN_SCAN_WAIT_H
#define POSTERN_SCAN_WAIT_H

#include "net/scanner.h"

/* Fills `done` itself. Returns within the scanner's own time limit: 0 and ask->answer, or -1 and the fault. */
int scan_wait(struct scanner *s, struct scanner_ask *ask, struct err *e);

#endif
