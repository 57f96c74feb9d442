-- Messages and what became of them. The twin for SQLite has the same columns.
--
-- The large tables are partitioned by ranges of the UID, which is time: a day can have a partition of its own, to be
-- dropped whole. What has none goes into the default partition.

-- Text compares by its bytes here too: see 0002 of the main schema.
DO $do$
DECLARE
    c record;
BEGIN
    FOR c IN SELECT table_name, column_name FROM information_schema.columns
             WHERE table_schema = current_schema() AND data_type = 'text' LOOP
        EXECUTE format('ALTER TABLE %I ALTER COLUMN %I TYPE text COLLATE "C"', c.table_name, c.column_name);
    END LOOP;
END
$do$;

-- One SMTP transaction's content with its envelope, as it was judged.
CREATE TABLE message (
    uid          TEXT COLLATE "C" PRIMARY KEY,      -- UUIDv7 as text: people search for it; its order is time
    node_id      BYTEA NOT NULL,                    -- who wrote the row
    at_us        BIGINT NOT NULL,
    direction    TEXT NOT NULL CHECK (direction IN ('inbound', 'outbound', 'local')),
    listener     TEXT NOT NULL,                     -- where it was asked for
    queue_id     TEXT COLLATE "C" NOT NULL DEFAULT '',          -- the MTA's; '': the caller did not tell
    ip           TEXT NOT NULL DEFAULT '',          -- of the client, as judged
    helo         TEXT NOT NULL DEFAULT '',
    host         TEXT NOT NULL DEFAULT '',          -- its verified name
    tls          TEXT NOT NULL DEFAULT '',          -- protocol and cipher; '': none, or not told
    auth_user    TEXT NOT NULL DEFAULT '',
    sender       TEXT NOT NULL DEFAULT '',          -- of the envelope; '': the null sender
    from_address TEXT NOT NULL DEFAULT '',          -- of the From header, the first
    from_name    TEXT NOT NULL DEFAULT '',
    subject      TEXT NOT NULL DEFAULT '',          -- decoded
    message_id   TEXT COLLATE "C" NOT NULL DEFAULT '',
    size         BIGINT NOT NULL DEFAULT 0,         -- bytes, CRLF line ends
    score        DOUBLE PRECISION,                  -- the scanner's; NULL: not asked, or no answer
    symbols      TEXT NOT NULL DEFAULT '[]',        -- JSON: the scanner's symbols with score and options
    attachments  TEXT NOT NULL DEFAULT '[]',        -- JSON: names, types, sizes
    inbound      TEXT NOT NULL DEFAULT ''           -- what the sender was told
) PARTITION BY RANGE (uid);
CREATE INDEX message_queue ON message (queue_id) WHERE queue_id <> '';
CREATE INDEX message_message_id ON message (message_id) WHERE message_id <> '';

-- A message for one recipient: the row that a person sees.
CREATE TABLE delivery (
    uid          TEXT COLLATE "C" NOT NULL,
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
) PARTITION BY RANGE (uid);
CREATE INDEX delivery_domain ON delivery (domain_id, uid);
CREATE INDEX delivery_rule ON delivery (rule_id, uid) WHERE rule_id IS NOT NULL;

-- Who sees a delivery besides the owners of its domain. Nothing else refers to mailboxes here: they may be gone.
CREATE TABLE delivery_mailbox (
    mailbox_id BYTEA NOT NULL,
    uid        TEXT COLLATE "C" NOT NULL,
    n          BIGINT NOT NULL,
    PRIMARY KEY (mailbox_id, uid, n)
) PARTITION BY RANGE (uid);
CREATE INDEX delivery_mailbox_uid ON delivery_mailbox (uid);

-- One outbound attempt of a delivery.
CREATE TABLE attempt (
    uid             TEXT COLLATE "C" NOT NULL,
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
) PARTITION BY RANGE (uid);

-- What we hold of a message. Derived: the file with the message is the truth, and is read again at start.
CREATE TABLE custody (
    uid        TEXT COLLATE "C" PRIMARY KEY,
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

CREATE TABLE message_default PARTITION OF message DEFAULT;
CREATE TABLE delivery_default PARTITION OF delivery DEFAULT;
CREATE TABLE delivery_mailbox_default PARTITION OF delivery_mailbox DEFAULT;
CREATE TABLE attempt_default PARTITION OF attempt DEFAULT;
