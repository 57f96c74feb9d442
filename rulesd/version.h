/* rulesd/version.h - which release this is. */
#ifndef POSTERN_RULESD_VERSION_H
#define POSTERN_RULESD_VERSION_H

#define POSTERN_VERSION "0.1.0"

#endif
