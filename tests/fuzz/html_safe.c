/* tests/fuzz/html_safe.c - whatever HTML comes, what is written is of the lists, well formed and bounded. Aims at lib/mail/html_safe.c and
 * lib/mail/html_token.c. */
#include "mail/html_safe.h"

#include "html_check.h"
#include "mail.h"

static struct span picture(void *ctx, struct span content_id)
{
    static const char gif[] = "GIF89a-and-so-on";

    (void)ctx;
    REQUIRE(utf8_valid(content_id) || content_id.n > 0);
    return content_id.n % 2 == 0 ? span_of(gif) : SPAN("<svg onload=x>");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span  all = span_make(data, size), parts[2] = {all, SPAN_NONE};
    struct arena a;
    struct buf   out;
    const char  *wrong;

    parts[0] = span_head(all, size / 3);
    parts[1] = span_skip(all, size / 3);
    for (int tight = 0; tight < 2; tight++) {
        arena_init(&a, tight ? 20000 + size * 5 % 4096 : (size_t)64 << 20);
        buf_init(&out, (size_t)8 << 20);
        html_safe(tight ? parts : &all, tight ? 2 : 1, picture, NULL, &a, &out);
        if ((wrong = html_wrong(buf_span(&out))) != NULL)
            fprintf(stderr, "%s:\n%.*s\n", wrong, SPAN_ARG(buf_span(&out)));
        REQUIRE(wrong == NULL && !out.failed);
        buf_fini(&out);
        arena_fini(&a);
    }
    return 0;
}
