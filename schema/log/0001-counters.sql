-- What is counted and remembered besides the messages. For both databases; nothing here changes a verdict's rules.

-- Hits by rule (or learned sender), entry and day. entry 0 is the rule itself. Days since 1970, UTC.
CREATE TABLE rule_hit (
    rule_id  BYTEA NOT NULL,
    entry    BIGINT NOT NULL,
    day      BIGINT NOT NULL,
    count    BIGINT NOT NULL,
    last_us  BIGINT NOT NULL,
    PRIMARY KEY (rule_id, entry, day)
);
CREATE INDEX rule_hit_day ON rule_hit (day);

-- Who was asked to come again (tuple), who is known (pair). Keys are hashes.
CREATE TABLE greylist (
    kind       TEXT NOT NULL CHECK (kind IN ('tuple', 'pair')),
    key        BYTEA NOT NULL,
    first_us   BIGINT NOT NULL,
    seen_us    BIGINT NOT NULL,
    waited_us  BIGINT NOT NULL,                     -- passed by monotonic clocks since first_us
    count      BIGINT NOT NULL,
    PRIMARY KEY (kind, key)
);
CREATE INDEX greylist_seen ON greylist (kind, seen_us);

-- The answer that a repeated scan gets again: by listener, queue id, envelope, size and hash of the bytes.
CREATE TABLE repeat (
    key      BYTEA PRIMARY KEY,
    uid      TEXT NOT NULL,                         -- the message of the first scan
    verdict  BYTEA NOT NULL,                        -- the stored reply
    at_us    BIGINT NOT NULL
);
CREATE INDEX repeat_at ON repeat (at_us);

-- How far each followed log file has been read.
CREATE TABLE follower (
    node_id     BYTEA NOT NULL,
    path        TEXT NOT NULL,
    inode       BIGINT NOT NULL,
    position    BIGINT NOT NULL,                    -- bytes; everything before is in our tables
    head_sha256 BYTEA NOT NULL,                     -- of the file's first bytes: an inode may be used again
    updated_us  BIGINT NOT NULL,
    PRIMARY KEY (node_id, path)
);

-- Sums over time: messages and recipients sent by a person or domain, an hour or day at a time.
CREATE TABLE counter (
    name     TEXT NOT NULL,                         -- 'sent.messages'
    subject  TEXT NOT NULL,                         -- whose
    slot_us  BIGINT NOT NULL,                       -- where the hour or day begins
    value    BIGINT NOT NULL,
    PRIMARY KEY (name, subject, slot_us)
);
CREATE INDEX counter_slot ON counter (slot_us);

-- Work that takes longer than a request. A claim is one UPDATE of a row whose lease has run out.
CREATE TABLE job (
    id             BYTEA PRIMARY KEY,
    kind           TEXT NOT NULL,
    account_id     BYTEA,                           -- who asked for it
    input          TEXT NOT NULL,                   -- JSON
    state          TEXT NOT NULL CHECK (state IN ('waiting', 'running', 'done', 'failed', 'undone')),
    done           BIGINT NOT NULL DEFAULT 0,       -- progress
    total          BIGINT,
    undo           TEXT,                            -- JSON: what it takes to take it back
    answer         TEXT,
    lease_until_us BIGINT NOT NULL DEFAULT 0,
    lease_by       TEXT,
    created_us     BIGINT NOT NULL,
    updated_us     BIGINT NOT NULL
);
CREATE INDEX job_open ON job (lease_until_us) WHERE state IN ('waiting', 'running');
