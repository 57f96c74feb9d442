/* portal/links_inside.h - what the files of links.h share: one link that is good, how it stands, and its page. */
#ifndef POSTERN_PORTAL_LINKS_INSIDE_H
#define POSTERN_PORTAL_LINKS_INSIDE_H

#include "call.h"
#include "letter/content.h"
#include "letter/link.h"
#include "letter/words.h"
#include "store/brand.h"

#define LINKS_SOURCE "digest link"

/* What a page says; links_page.c has the texts. */
enum link_word {
    SAYS_NOTHING,
    ASK_RELEASE,
    ASK_RELEASE_ALLOW,
    ASK_ALLOW,
    ASK_BLOCK,
    ASK_STOP,
    IS_RELEASED,
    IS_BLOCKED,
    IS_STOPPED,
    IS_UNKNOWN,
    IS_REFUSED,
    IS_GONE,
    IS_OTHERS,
    IS_NOT_HELD,
    IS_ANONYMOUS,
    IN_A_MOMENT,
    IN_A_MOMENT_THEIRS,
    WAS_SENT,
    WAS_SENT_THEIRS,
    CANNOT_UNDO,
    WHEN_IT_CAN,
    IS_ON_ITS_WAY,
    LOOK_FIRST,
    SERVER_SAID,
    ASK_OWNER,
    ALLOWS_FROM_NOW,
    BLOCKS_FROM_NOW,
    RULE_ABOVE,
    RULE_UNPROVEN,
    UNDO_ALLOW_WHILE,
    UNDO_WHILE,
    STOPS_FROM_NOW,
    IS_EXPIRED,
    DEAD,
    DEAD_WHY,
    FORGED,
    FORGED_WHY,
    STALE,
    STALE_WHY,
    TOO_OFTEN,
    TOO_OFTEN_WHY,
    FAILED,
    FAILED_WHY,
    BUSY_WHY,
    NOT_THIS_WAY,
    BUTTON_RELEASE,
    BUTTON_RELEASE_ALLOW,
    BUTTON_ALLOW,
    BUTTON_BLOCK,
    BUTTON_STOP,
    BUTTON_UNDO,
    BUTTON_START,
    OPEN_PORTAL,
    LINK_WORDS
};

const char *link_word_text(enum language l, enum link_word w);

/* Found by its token. Lives as long as the call. */
struct link_case {
    struct call        *c;
    struct span         token;
    struct link         link;
    bool                expired;
    struct store_digest d;
    enum language       language;
};

/* Finds the delivery that it is about, and makes the call its own: who, actor, scope. ERR_NOT_FOUND: the log has it no more; ERR_DENIED: the
 * mailbox it was for is gone, or is not in this digest's reach. */
int link_find(struct link_case *x, struct err *e);

enum link_step { STEP_NONE, STEP_ACT, STEP_UNDO };
#define LINK_SAYS_MAX 8
/* How it stands, and so what the page shows. */
struct link_state {
    enum link_word     title, says[LINK_SAYS_MAX];
    size_t             nsays;
    struct span        reply; /* of the mail server; or what kept us from it */
    bool               has_item;
    struct digest_item item;
    enum link_step     step; /* what its button does */
    enum link_word     button;
};
void link_say(struct link_state *s, enum link_word w);

/* link_find() first, but for LINK_UNSUBSCRIBE. Changes nothing. */
int link_look(struct link_case *x, struct link_state *out, struct err *e);
/* Doing it twice is doing it once. */
int link_act(struct link_case *x, struct err *e);
int link_undo(struct link_case *x, struct err *e);

/* The reply. x NULL: of no link that we know of. nonce: of the form; empty: no form. */
void link_page(struct call *c, const struct link_case *x, int status, const struct link_state *s, struct span nonce);

#endif
