/* lib/store/message_copy.c - a record with all that it points to, in one piece of memory. */
#include "store/message.h"

/* Both walk all spans of a record, so that what is measured is what is copied. */
static const size_t message_spans[] = {
    offsetof(struct store_message, listener),     offsetof(struct store_message, queue_id),
    offsetof(struct store_message, ip),           offsetof(struct store_message, helo),
    offsetof(struct store_message, host),         offsetof(struct store_message, tls),
    offsetof(struct store_message, auth_user),    offsetof(struct store_message, sender),
    offsetof(struct store_message, from_address), offsetof(struct store_message, from_name),
    offsetof(struct store_message, subject),      offsetof(struct store_message, message_id),
    offsetof(struct store_message, symbols),      offsetof(struct store_message, attachments),
    offsetof(struct store_message, inbound),      offsetof(struct store_message, sha256),
    offsetof(struct store_message, key_id),       offsetof(struct store_message, ours),
    offsetof(struct store_message, theirs),
};
static const size_t delivery_spans[] = {
    offsetof(struct store_delivery, recipient),
    offsetof(struct store_delivery, layer),
    offsetof(struct store_delivery, trace),
};

static struct span *span_at(void *base, size_t offset) { return (struct span *)(void *)((char *)base + offset); }
static struct span  text_at(const void *base, size_t offset)
{
    return *(const struct span *)(const void *)((const char *)base + offset);
}

size_t store_message_room(const struct store_message *m)
{
    size_t n = m->ndeliveries * sizeof *m->deliveries;

    for (size_t i = 0; i < COUNT(message_spans); i++)
        n += text_at(m, message_spans[i]).n;
    for (size_t k = 0; k < m->ndeliveries; k++) {
        for (size_t i = 0; i < COUNT(delivery_spans); i++)
            n += text_at(&m->deliveries[k], delivery_spans[i]).n;
    }
    return n;
}

static void move_text(struct span *s, char **to)
{
    if (s->n > 0)
        memcpy(*to, s->p, s->n);
    s->p = *to;
    *to += s->n;
}

void store_message_copy(const struct store_message *m, void *room, struct store_message *out)
{
    struct store_delivery *to = room;
    char                  *text = (char *)room + m->ndeliveries * sizeof *to;

    *out = *m;
    if (m->ndeliveries > 0)
        memcpy(to, m->deliveries, m->ndeliveries * sizeof *to);
    out->deliveries = to;
    for (size_t i = 0; i < COUNT(message_spans); i++)
        move_text(span_at(out, message_spans[i]), &text);
    for (size_t k = 0; k < m->ndeliveries; k++) {
        for (size_t i = 0; i < COUNT(delivery_spans); i++)
            move_text(span_at(&to[k], delivery_spans[i]), &text);
    }
}
