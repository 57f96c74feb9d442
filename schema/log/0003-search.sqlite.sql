-- The message log as it is searched. The twin for PostgreSQL has the same tables, in partitions by day.
--
-- delivery.id has the order of (uid, n): the UID's time, then the recipient. Lists and pages go by it, and it is the row of
-- the full-text tables, of which each day has two: words_DAY and answers_DAY. They hold no text, and are dropped whole.
DROP TABLE delivery_mailbox;
DROP TABLE delivery;
DROP TABLE attempt;
DROP TABLE follower;

-- A message for one recipient: the row that a person sees.
CREATE TABLE delivery (
    id           INTEGER PRIMARY KEY,
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
    UNIQUE (uid, n)
);
CREATE INDEX delivery_domain ON delivery (domain_id, id, status, rule_id) WHERE domain_id IS NOT NULL;
CREATE INDEX delivery_rule ON delivery (rule_id, id) WHERE rule_id IS NOT NULL;

-- Who sees a delivery besides the owners of its domain. Nothing else refers to mailboxes here: they may be gone.
CREATE TABLE delivery_mailbox (
    mailbox_id BYTEA NOT NULL,
    id         BIGINT NOT NULL,                     -- of the delivery
    status     TEXT NOT NULL,                       -- both as in the delivery, so that a mailbox
    rule_id    BYTEA,                               -- is searched without a look at each
    PRIMARY KEY (mailbox_id, id)
) WITHOUT ROWID;
CREATE INDEX delivery_mailbox_id ON delivery_mailbox (id);

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
    port            BIGINT NOT NULL DEFAULT 0,      -- 0: nobody answered
    tls             TEXT NOT NULL DEFAULT '',
    dsn             TEXT NOT NULL DEFAULT '',       -- '2.0.0'
    code            BIGINT NOT NULL DEFAULT 0,      -- 250
    response        TEXT NOT NULL DEFAULT '',       -- the reply as it was, outbound
    PRIMARY KEY (uid, n, seq)
) WITHOUT ROWID;

-- Further queue ids under which a message goes on: after a release, or from one queue into the next.
CREATE TABLE queue_link (
    queue_id TEXT NOT NULL,
    uid      TEXT NOT NULL,
    n        BIGINT NOT NULL,                       -- 0: every recipient
    at_us    BIGINT NOT NULL,
    PRIMARY KEY (queue_id, uid, n)
) WITHOUT ROWID;
CREATE INDEX queue_link_uid ON queue_link (uid);

-- What is held, a row for its mailbox and one for its domain (zero: it has neither): lists, counts and caps.
CREATE TABLE held (
    owner_id BYTEA NOT NULL,
    uid      TEXT NOT NULL,
    n        BIGINT NOT NULL,
    bytes    BIGINT NOT NULL,                       -- of the object, which several recipients may share
    PRIMARY KEY (owner_id, uid, n)
) WITHOUT ROWID;
CREATE INDEX held_uid ON held (uid, n);

-- The days that have tables of their own. Days since 1970, UTC, by the UIDs.
CREATE TABLE log_day (
    day BIGINT PRIMARY KEY
);

-- How far each followed log file has been read.
CREATE TABLE follower (
    node_id    BYTEA NOT NULL,
    path       TEXT NOT NULL,
    device     BIGINT NOT NULL,
    inode      BIGINT NOT NULL,
    position   BIGINT NOT NULL,                     -- bytes; everything before is in our tables
    checked    BYTEA NOT NULL,                      -- a hash of the bytes before it: an inode may be used again
    updated_us BIGINT NOT NULL,
    PRIMARY KEY (node_id, path)
);
