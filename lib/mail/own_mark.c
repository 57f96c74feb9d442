/* lib/mail/own_mark.c - see own_mark.h. */
#include "mail/own_mark.h"

#include <stdio.h>

#include "base/secret.h"
#include "mail/header.h"

#define SECOND_US INT64_C(1000000)
#define MAC_TEXT 43 /* characters of its base64url */

struct mac_text {
    char text[MAC_TEXT + 1];
};

static struct mac_text sign(const uint8_t key[OWN_MARK_KEY_BYTES], struct span recipient, struct span message,
                            int64_t expires_s)
{
    char              head[64];
    uint8_t           hash[SECRET_HASH], all[SECRET_HASH], mac[SECRET_HASH];
    const struct span parts[] = {
        span_make(head, (size_t)snprintf(head, sizeof head, "postern own 1 %lld", (long long)expires_s)), recipient,
        span_make(hash, sizeof hash)};
    struct mac_text out = {.text = ""};

    secret_hash_message(message, hash);
    secret_hash_parts(parts, COUNT(parts), all);
    secret_mac(key, span_make(all, sizeof all), mac);
    secret_text(span_make(mac, sizeof mac), out.text);
    return out;
}

void own_mark_put(const uint8_t key[OWN_MARK_KEY_BYTES], struct span recipient, struct span message, int64_t now_us,
                  struct buf *out)
{
    int64_t         expires_s = (now_us + OWN_MARK_TTL_US) / SECOND_US;
    struct mac_text mac = sign(key, recipient, message, expires_s);

    buf_printf(out, OWN_MARK_FIELD ": v=1; t=%lld; s=%s\r\n", (long long)expires_s, mac.text);
}

/* "v=1; t=…; s=…", in this order and nothing else. */
static bool read_field(struct span body, int64_t *expires_s, struct span *mac)
{
    static const char names[] = "vts";
    struct span       values[sizeof names - 1] = {{0}}, part;

    for (size_t i = 0; i < COUNT(values); i++) {
        if (!span_next(&body, ';', &part))
            return false;
        part = span_trim(part);
        if (part.n < 2 || part.p[0] != names[i] || part.p[1] != '=')
            return false;
        values[i] = span_skip(part, 2);
    }
    *mac = values[2];
    return body.p == NULL && span_is(values[0], "1") && span_i64(values[1], expires_s) && mac->n == MAC_TEXT;
}

/* What a letter says of itself. Its way adds other fields: Received, what filters found, who signed. */
static bool is_shown(struct span name)
{
    static const char *const shown[] = {"From", "Sender", "Reply-To", "To", "Cc", "Subject", "Date", "MIME-Version"};

    for (size_t i = 0; i < COUNT(shown); i++)
        if (span_is_ci(name, shown[i]))
            return true;
    return span_starts_ci(name, SPAN("Content-")) || span_starts_ci(name, SPAN("List-"));
}

bool own_mark_check(const uint8_t key[OWN_MARK_KEY_BYTES], struct span message, struct span recipient, int64_t now_us)
{
    int64_t       expires_s, now_s = now_us / SECOND_US;
    struct header h;
    struct span   claimed;

    while (header_next(&message, &h)) {
        if (is_shown(h.name))
            return false;
        if (!span_is_ci(h.name, OWN_MARK_FIELD))
            continue;
        if (!read_field(h.body, &expires_s, &claimed) || expires_s <= now_s ||
            expires_s > now_s + (OWN_MARK_TTL_US + OWN_MARK_AHEAD_US) / SECOND_US)
            return false;
        struct mac_text mac = sign(key, recipient, span_between(h.whole.p + h.whole.n, message.p + message.n),
                                   expires_s);

        return secret_eq(claimed, span_of(mac.text));
    }
    return false;
}
