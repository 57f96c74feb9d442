/* lib/base/base64.h - the digits of base64 (RFC 4648 section 4), for those who read it in their own ways. */
#ifndef POSTERN_BASE_BASE64_H
#define POSTERN_BASE_BASE64_H

/* Its value, or -1. */
static inline int base64_digit(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

#endif
