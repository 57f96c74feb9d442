/* portal/static.h - the web pages, read once and served from memory.
 *
 * Everything below [portal] web is read at start (and on SIGHUP), with its SHA-256 as ETag and compressed as zstd and gzip. No path of a
 * request reaches the file system. What is none of the files, and no call of the API, is the page itself: its addresses are the
 * client's. A request that names the version of a file (/a/VERSION/app.js) may keep it for ever; the page itself is asked for anew.
 *
 * Version   One for all files, over all their bytes: what a file imports by a relative path is of the same version. In index.html "@/
 *           stands for it. Another version than ours is 404: it would be a part of another whole.
 * Files     Those that static.c has a Content-Type for; not those that begin with a dot, links, nor modules/ and node_modules/.
 * Bounds    500 files of 4 MiB, eight folders deep. */
#ifndef POSTERN_PORTAL_STATIC_H
#define POSTERN_PORTAL_STATIC_H

#include "base/err.h"
#include "net/httpd.h"

struct pages;
/* dir: of our own files; modules: of what npm installed (preact, htm), as static.c's table names them. */
int pages_load(const char *dir, const char *modules, struct pages **out, struct err *e);
/* Reads them again; replies under way end with what they began with. -1: those of before stay. One thread at a time. */
int  pages_reload(struct pages *p, const char *dir, const char *modules, struct err *e);
void pages_free(struct pages **p); /* after httpd_stop(): its replies borrow */
/* Any thread. GET and HEAD; others 405. */
void pages_serve(struct pages *p, const struct httpd_request *r, struct httpd_reply *out);

#endif
