/* lib/base/version.h - which release this is. */
#ifndef POSTERN_BASE_VERSION_H
#define POSTERN_BASE_VERSION_H

#define POSTERN_VERSION "0.1.0"

#endif
