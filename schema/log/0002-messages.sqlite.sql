-- Messages and what became of them. The twin for PostgreSQL has the same columns, in partitions.

-- One SMTP transaction's content with its envelope, as it was judged.
CREATE TABLE message (
    uid          TEXT PRIMARY KEY,                  -- UUIDv7 as text: people search for it; its order is time
    node_id      BYTEA NOT NULL,                    -- who wrote the row
    at_us        BIGINT NOT NULL,
    direction    TEXT NOT NULL CHECK (direction IN ('inbound', 'outbound', 'local')),
    listener     TEXT NOT NULL,                     -- where it was asked for
    queue_id     TEXT NOT NULL DEFAULT '',          -- the MTA's; '': the caller did not tell
    ip           TEXT NOT NULL DEFAULT '',          -- of the client, as judged
    helo         TEXT NOT NULL DEFAULT '',
    host         TEXT NOT NULL DEFAULT '',          -- its verified name
    tls          TEXT NOT NULL DEFAULT '',          -- protocol and cipher; '': none, or not told
    auth_user    TEXT NOT NULL DEFAULT '',
    sender       TEXT NOT NULL DEFAULT '',          -- of the envelope; '': the null sender
    from_address TEXT NOT NULL DEFAULT '',          -- of the From header, the first
    from_name    TEXT NOT NULL DEFAULT '',
    subject      TEXT NOT NULL DEFAULT '',          -- decoded
    message_id   TEXT NOT NULL DEFAULT '',
    size         BIGINT NOT NULL DEFAULT 0,         -- bytes, CRLF line ends
    score        DOUBLE PRECISION,                  -- the scanner's; NULL: not asked, or no answer
    symbols      TEXT NOT NULL DEFAULT '[]',        -- JSON: the scanner's symbols with score and options
    attachments  TEXT NOT NULL DEFAULT '[]',        -- JSON: names, types, sizes
    inbound      TEXT NOT NULL DEFAULT ''           -- what the sender was told
);
CREATE INDEX message_queue ON message (queue_id) WHERE queue_id <> '';
CREATE INDEX message_message_id ON message (message_id) WHERE message_id <> '';

-- A message for one recipient: the row that a person sees.
CREATE TABLE delivery (
    uid          TEXT NOT NULL,
    n            BIGINT NOT NULL,                   -- counts the recipients of a message from 1
    recipient    TEXT NOT NULL,                     -- as given, before tags and aliases
    domain_id    BYTEA,                             -- whose rules held; NULL: none of ours
    verdict      TEXT NOT NULL CHECK (verdict IN ('allowed', 'clean', 'tagged', 'quarantined', 'blocked', 'rejected',
                                                  'deferred', 'discarded', 'removed')),
    state        TEXT NOT NULL CHECK (state IN ('unknown', 'received', 'queued', 'deferred', 'delivered', 'bounced',
                                                'released')),
    status       TEXT NOT NULL CHECK (status IN ('received', 'queued', 'delivered', 'spam', 'quarantined', 'blocked',
                                                 'rejected')),  -- derived from the two by one function
    score        DOUBLE PRECISION,                  -- with what a rule added or took away
    rule_id      BYTEA,                             -- the one that decided
    layer        TEXT NOT NULL DEFAULT '',          -- where it stood
    trace        TEXT NOT NULL DEFAULT '[]',        -- JSON: every rule that matched, and why the others lost
    answer       TEXT NOT NULL DEFAULT '',          -- of the last attempt
    updated_us   BIGINT NOT NULL,
    PRIMARY KEY (uid, n)
);
CREATE INDEX delivery_domain ON delivery (domain_id, uid);
CREATE INDEX delivery_rule ON delivery (rule_id, uid) WHERE rule_id IS NOT NULL;

-- Who sees a delivery besides the owners of its domain. Nothing else refers to mailboxes here: they may be gone.
CREATE TABLE delivery_mailbox (
    mailbox_id BYTEA NOT NULL,
    uid        TEXT NOT NULL,
    n          BIGINT NOT NULL,
    PRIMARY KEY (mailbox_id, uid, n)
);
CREATE INDEX delivery_mailbox_uid ON delivery_mailbox (uid);

-- One outbound attempt of a delivery.
CREATE TABLE attempt (
    uid             TEXT NOT NULL,
    n               BIGINT NOT NULL,
    seq             BIGINT NOT NULL,                -- counts the attempts of a delivery from 1
    at_us           BIGINT NOT NULL,
    queue_id        TEXT NOT NULL DEFAULT '',       -- a release gets a new one
    final_recipient TEXT NOT NULL DEFAULT '',       -- after aliases
    host            TEXT NOT NULL DEFAULT '',
    ip              TEXT NOT NULL DEFAULT '',
    port            BIGINT,
    tls             TEXT NOT NULL DEFAULT '',
    dsn             TEXT NOT NULL DEFAULT '',       -- '2.0.0'
    code            BIGINT,                         -- 250
    response        TEXT NOT NULL DEFAULT '',       -- the reply as it was, outbound
    PRIMARY KEY (uid, n, seq)
);

-- What we hold of a message. Derived: the file with the message is the truth, and is read again at start.
CREATE TABLE custody (
    uid        TEXT PRIMARY KEY,
    node_id    BYTEA NOT NULL,                      -- whose disk, while place is spool
    place      TEXT NOT NULL CHECK (place IN ('spool', 'store', 'gone')),
    object     TEXT NOT NULL,                       -- its name there
    bytes      BIGINT NOT NULL,                     -- as stored
    sha256     BYTEA NOT NULL,                      -- of the message as it came
    key_id     TEXT NOT NULL,                       -- the key that sealed the body's own
    at_us      BIGINT NOT NULL,
    keep_us    BIGINT NOT NULL                      -- until when
);
CREATE INDEX custody_keep ON custody (keep_us) WHERE place <> 'gone';
