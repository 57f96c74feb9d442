-- What people may send, and who may not send any more. The twin for SQLite has the same two tables.

-- How much a sender may send, or (whole = 1) all senders of a domain together. NULL inherits: mailbox from domain from
-- global; 0 is no limit.
CREATE TABLE sending_limit (
    scope_kind      TEXT NOT NULL CHECK (scope_kind IN ('global', 'domain', 'mailbox')),
    scope_id        BYTEA NOT NULL,                 -- as in setting
    domain_id       BYTEA REFERENCES domain (id) ON DELETE CASCADE,
    mailbox_id      BYTEA REFERENCES mailbox (id) ON DELETE CASCADE,
    whole           SMALLINT NOT NULL CHECK (whole IN (0, 1)),
    messages_hour   BIGINT CHECK (messages_hour >= 0),
    messages_day    BIGINT CHECK (messages_day >= 0),
    recipients_hour BIGINT CHECK (recipients_hour >= 0),
    recipients_day  BIGINT CHECK (recipients_day >= 0),
    block_after     BIGINT CHECK (block_after >= 0), -- messages over a limit, within an hour, until the sender is blocked
    updated_us      BIGINT NOT NULL,
    PRIMARY KEY (scope_kind, scope_id, whole),
    CHECK ((scope_kind = 'domain') = (domain_id IS NOT NULL)),
    CHECK ((scope_kind = 'mailbox') = (mailbox_id IS NOT NULL)),
    CHECK (whole = 0 OR scope_kind = 'domain')
);
CREATE INDEX sending_limit_domain ON sending_limit (domain_id);
CREATE INDEX sending_limit_mailbox ON sending_limit (mailbox_id);

-- Who may not send: by the name that the MTA knows the person by, in lower case.
CREATE TABLE blocked_sender (
    login       TEXT COLLATE "C" PRIMARY KEY,
    reason      TEXT NOT NULL,
    evidence    TEXT NOT NULL DEFAULT '{}',         -- JSON: what was counted, and the last messages
    blocked_by  TEXT NOT NULL,                      -- as a person reads it
    automatic   SMALLINT NOT NULL CHECK (automatic IN (0, 1)),
    at_us       BIGINT NOT NULL,
    until_us    BIGINT                              -- NULL: until somebody unblocks
);

-- What other programs read. rulesd keeps the rows of SpamAssassin's preferences up to date (lib/store/lookup.h); on SQLite they
-- are in a file of their own. scope says what they were made from; head, up to which change.
CREATE TABLE spamassassin_head (
    one  SMALLINT PRIMARY KEY CHECK (one = 1),
    seq  BIGINT NOT NULL                            -- -1: not filled yet
);
INSERT INTO spamassassin_head (one, seq) VALUES (1, -1);
CREATE TABLE spamassassin_row (
    scope       TEXT COLLATE "C" NOT NULL,
    username    TEXT COLLATE "C" NOT NULL,
    preference  TEXT NOT NULL,
    value       TEXT NOT NULL,
    prio        BIGINT NOT NULL,
    until_us    BIGINT NOT NULL                     -- 0: for ever
);
CREATE INDEX spamassassin_row_username ON spamassassin_row (username);
CREATE INDEX spamassassin_row_scope ON spamassassin_row (scope);
CREATE INDEX spamassassin_row_until ON spamassassin_row (until_us) WHERE until_us > 0;
CREATE TABLE spamassassin_alias (
    scope     TEXT COLLATE "C" NOT NULL,
    alias     TEXT COLLATE "C" NOT NULL,
    username  TEXT COLLATE "C" NOT NULL
);
CREATE INDEX spamassassin_alias_alias ON spamassassin_alias (alias);
CREATE INDEX spamassassin_alias_scope ON spamassassin_alias (scope);
CREATE VIEW spamassassin_userpref AS
    SELECT username, preference, value, prio FROM spamassassin_row
    UNION ALL
    SELECT a.alias, r.preference, r.value, r.prio
    FROM spamassassin_alias a JOIN spamassassin_row r ON r.username = a.username;

CREATE VIEW postfix_blocked_sender AS
    SELECT login, 'REJECT 5.7.1 Sending from this account is suspended'::text AS action FROM blocked_sender
    WHERE until_us IS NULL OR until_us > extract(epoch FROM clock_timestamp()) * 1000000;
