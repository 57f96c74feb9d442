#include "base/ip.h"

#include <arpa/inet.h>

static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

static bool digits(struct span s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] < '0' || s.p[i] > '9')
            return false;
    return s.n > 0;
}

static bool parse_bare(struct span text, struct ip *out)
{
    char           z[IP_TEXT];
    struct in_addr v4;

    if (text.n == 0 || text.n >= sizeof z || memchr(text.p, 0, text.n) != NULL)
        return false;
    memcpy(z, text.p, text.n);
    z[text.n] = 0;
    if (inet_pton(AF_INET, z, &v4) == 1) {
        memcpy(out->b, mapped, sizeof mapped);
        memcpy(out->b + 12, &v4, 4);
        return true;
    }
    return inet_pton(AF_INET6, z, out->b) == 1;
}

bool ip_parse(struct span text, bool port_ok, struct ip *out)
{
    text = span_trim(text);
    if (span_starts_ci(text, SPAN("IPv6:")))
        text = span_skip(text, 5);
    if (text.n > 0 && text.p[0] == '[') {
        size_t      close = span_chr(text, ']');
        struct span behind = span_skip(text, close + 1);

        if (close == text.n)
            return false;
        if (behind.n > 0 && !(port_ok && behind.p[0] == ':' && digits(span_skip(behind, 1))))
            return false;
        return parse_bare(span_between(text.p + 1, text.p + close), out);
    }
    if (parse_bare(text, out))
        return true;
    if (port_ok) {
        size_t colon = span_rchr(text, ':');

        if (colon < text.n && span_chr(text, ':') == colon && digits(span_skip(text, colon + 1)))
            return parse_bare(span_head(text, colon), out);
    }
    return false;
}

bool ip_is_v4(const struct ip *ip) { return memcmp(ip->b, mapped, sizeof mapped) == 0; }

void ip_format(const struct ip *ip, char out[IP_TEXT])
{
    bool        v4 = ip_is_v4(ip);
    const void *from = v4 ? ip->b + 12 : ip->b;

    if (inet_ntop(v4 ? AF_INET : AF_INET6, from, out, IP_TEXT) == NULL)
        out[0] = 0;
}

/* All bits from `bit` on (of 128) set to one or zero. */
static void fill(struct ip *ip, unsigned bit, bool one)
{
    for (unsigned i = bit; i < 128; i++) {
        uint8_t mask = (uint8_t)(0x80u >> (i % 8));

        ip->b[i / 8] = one ? ip->b[i / 8] | mask : ip->b[i / 8] & (uint8_t)~mask;
    }
}

struct ip ip_network(const struct ip *ip, unsigned bits)
{
    struct ip net = *ip;

    fill(&net, ip_is_v4(ip) ? 96 + bits : bits, false);
    return net;
}

static int parse_cidr(struct span text, size_t slash, struct ip_block *out, struct err *e)
{
    struct span width = span_skip(text, slash + 1);
    uint64_t    bits, family_bits;
    struct ip   net;

    if (!ip_parse(span_head(text, slash), false, &out->first))
        return err_at(e, 0, "\"%.*s\" is not an IP address", SPAN_ARG(span_head(text, slash)));
    family_bits = ip_is_v4(&out->first) ? 32 : 128;
    if (!span_u64(width, &bits) || width.n > 3 || bits > family_bits)
        return err_at(e, slash + 1, "the prefix length must be a number from 0 to %d", (int)family_bits);
    net = ip_network(&out->first, (unsigned)bits);
    if (ip_cmp(&net, &out->first) != 0) {
        char meant[IP_TEXT];

        ip_format(&net, meant);
        return err_at(e, 0, "the address has bits set behind its prefix; write %s/%d, or the address alone", meant,
                      (int)bits);
    }
    out->last = net;
    fill(&out->last, (unsigned)(128 - family_bits + bits), true);
    return 0;
}

static int parse_range(struct span text, size_t dash, struct ip_block *out, struct err *e)
{
    if (!ip_parse(span_head(text, dash), false, &out->first))
        return err_at(e, 0, "the range does not begin with an IP address");
    if (!ip_parse(span_skip(text, dash + 1), false, &out->last))
        return err_at(e, dash + 1, "the range does not end with an IP address");
    if (ip_is_v4(&out->first) != ip_is_v4(&out->last))
        return err_at(e, dash + 1, "the two ends of a range must be of one family, IPv4 or IPv6");
    if (ip_cmp(&out->first, &out->last) > 0)
        return err_at(e, dash + 1, "the range ends before it begins; swap its ends");
    return 0;
}

int ip_block_parse(struct span text, struct ip_block *out, struct err *e)
{
    size_t slash = span_chr(text, '/'), dash = span_chr(text, '-');

    if (slash < text.n)
        return parse_cidr(text, slash, out, e);
    if (dash < text.n)
        return parse_range(text, dash, out, e);
    if (!ip_parse(text, false, &out->first))
        return err_at(e, 0, "\"%.*s\" is not an IP address, a CIDR block or a range", SPAN_ARG(text));
    out->last = out->first;
    return 0;
}

bool ip_block_holds(const struct ip_block *b, const struct ip *ip)
{
    return ip_is_v4(&b->first) == ip_is_v4(ip) && ip_cmp(&b->first, ip) <= 0 && ip_cmp(ip, &b->last) <= 0;
}
