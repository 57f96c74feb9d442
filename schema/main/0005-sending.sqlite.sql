-- What people may send, and who may not send any more. The twin for PostgreSQL has the same two tables.

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
    login       TEXT PRIMARY KEY,
    reason      TEXT NOT NULL,
    evidence    TEXT NOT NULL DEFAULT '{}',         -- JSON: what was counted, and the last messages
    blocked_by  TEXT NOT NULL,                      -- as a person reads it
    automatic   SMALLINT NOT NULL CHECK (automatic IN (0, 1)),
    at_us       BIGINT NOT NULL,
    until_us    BIGINT                              -- NULL: until somebody unblocks
);
