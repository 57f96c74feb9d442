/* lib/mail/part.h - the MIME structure of a message as a flat list of leaves.
 *
 * One pass over the bytes, without recursion: a stack of open multiparts and messages (MESSAGE_DEPTH_MAX), and each line
 * that begins with "--" is looked up in it, the innermost first. Time is linear in the size of the message, whatever its
 * structure. Part of message.h, and used by it alone. */
#ifndef POSTERN_MAIL_PART_H
#define POSTERN_MAIL_PART_H

#include "mail/message.h"

struct part_list {
    const struct message_part *parts;
    size_t                     n;
    const char                *limit; /* what ended the scan early, as message_limit() says it, or NULL */
};

/* `entity` is header fields, an empty line, and a body. deadline_cpu_us: of clock_thread_cpu_us(). */
void part_scan(struct span entity, int64_t deadline_cpu_us, struct arena *a, struct part_list *out);

#endif
