/* cli/doctor.h - postern doctor: what would go wrong, or does, and what to do about it.
 *
 * Each check is a row of the table in doctor.c and a function that adds findings; none of them fails, none changes anything. The
 * checks stand in four files: doctor_site.c looks at this machine and our own data, doctor_owners.c at whose the files are,
 * doctor_peers.c asks the other programs, doctor_mail.c sends one message and follows it. */
#ifndef POSTERN_CLI_DOCTOR_H
#define POSTERN_CLI_DOCTOR_H

#include "cli.h"

enum finding_level {
    FINDING_OK,
    FINDING_NOTE,  /* works, but is worth knowing */
    FINDING_WRONG, /* something does not do what it is there for */
};

struct finding {
    enum finding_level level;
    const char        *check; /* of the table */
    struct span        text;
    const char        *cure; /* NULL: none is needed */
};

#define FINDINGS_MAX 200

struct doctor {
    struct cli    *c;
    const char    *check;       /* the one that runs */
    const char    *mail;        /* --mail */
    int64_t        mail_wait_s; /* --wait */
    struct finding all[FINDINGS_MAX];
    size_t         n;
};

/* Adds one. `cure` outlives the command. */
void doctor_find(struct doctor *d, enum finding_level level, const char *cure, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* doctor_site.c */
void doctor_database(struct doctor *d);
void doctor_clock(struct doctor *d);
void doctor_keys(struct doctor *d);
void doctor_room(struct doctor *d);
void doctor_envelope(struct doctor *d);
void doctor_senders(struct doctor *d);
void doctor_lookups(struct doctor *d);
/* doctor_owners.c */
void doctor_owners(struct doctor *d);
/* doctor_peers.c */
void doctor_rulesd(struct doctor *d);
void doctor_trust(struct doctor *d);
void doctor_scanner(struct doctor *d);
void doctor_timeouts(struct doctor *d);
void doctor_release(struct doctor *d);
void doctor_trainer(struct doctor *d);
void doctor_portal(struct doctor *d);
/* doctor_mail.c */
void doctor_mail(struct doctor *d);

/* doctor_peers.c: a connection that answers or fails within five seconds. */
int doctor_connect(const char *text, struct err *e);

#endif
