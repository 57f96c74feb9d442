/* rulesd/timeline_ask.h - what timeline.c has to know from the store: which deliveries the events that are due speak of. For it alone. */
#ifndef POSTERN_RULESD_TIMELINE_ASK_H
#define POSTERN_RULESD_TIMELINE_ASK_H

#include "timeline_open.h"

#define TEXT_MAX 320           /* of an address or a host; an address that MTAs take is shorter */
#define STAMP_SLACK_US 5000000 /* stamps have whole seconds, and clocks differ */

/* What one transaction gets. Owns its arrays; spans lead to waiting events, open queue ids and `arena`. */
struct batch {
    struct timeline         *t;
    struct store            *s;
    struct open             *now; /* whose events are looked at */
    struct store_event      *events;
    struct store_queue_link *links;
    size_t                   nevents, capevents, nlinks, caplinks;
    struct arena             arena;
    uint64_t                 joined, unknown, nobody;
};

/* Whom it names: orig_to, else to. */
struct span event_recipient(const struct mail_event *ev);
/* Of several messages under one queue id: the latest that was there when this happened. They come the newest first. NULL: nobody. */
struct joined *join_of(struct open *o, struct span address, int64_t at_us);

/* What the store knows of those that are due, asked for together: by their queue ids; of those that it does not know, by the queue ids
 * that they came from; of the others, by what each attempt says. */
int ask_due(struct batch *b, struct err *e);
/* What was found for one of them, in the order of the log: now `known`. The MTA tells of a message that we release before its row says
 * that it is released: that is waited for. */
void ask_take(struct batch *b, struct open *o, const struct timeline_write *how);
/* Whom the message under this queue id does not have, another one with its Message-ID may. */
int ask_for_recipient(struct batch *b, struct open *o, const struct mail_event *ev, struct err *e);

#endif
