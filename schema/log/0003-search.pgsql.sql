-- The message log as it is searched. The twin for SQLite has the same tables.
--
-- Each day of UIDs gets partitions of its own, made ahead; a day is dropped whole. Words are told apart by the letter that each
-- begins with: of the field, or @ for who may see the row. See lib/store/words.h.
--
-- No default partitions: whoever writes makes the day's first, and with one the planner would not know that the days are in order.
DROP TABLE message_default;
DROP TABLE delivery_default;
DROP TABLE delivery_mailbox_default;
DROP TABLE attempt;
DROP TABLE follower;

-- One outbound attempt of a delivery.
CREATE TABLE attempt (
    uid             TEXT COLLATE "C" NOT NULL,
    n               BIGINT NOT NULL,
    seq             BIGINT NOT NULL,                -- counts the attempts of a delivery from 1
    at_us           BIGINT NOT NULL,
    queue_id        TEXT COLLATE "C" NOT NULL DEFAULT '',       -- a release gets a new one
    final_recipient TEXT NOT NULL DEFAULT '',       -- after aliases
    host            TEXT NOT NULL DEFAULT '',
    ip              TEXT NOT NULL DEFAULT '',
    port            BIGINT NOT NULL DEFAULT 0,      -- 0: nobody answered
    tls             TEXT NOT NULL DEFAULT '',
    dsn             TEXT NOT NULL DEFAULT '',       -- '2.0.0'
    code            BIGINT NOT NULL DEFAULT 0,      -- 250
    response        TEXT NOT NULL DEFAULT '',       -- the reply as it was, outbound
    PRIMARY KEY (uid, n, seq)
) PARTITION BY RANGE (uid);

DROP INDEX delivery_domain;
CREATE INDEX delivery_domain ON delivery (domain_id, uid, n, status, rule_id) WHERE domain_id IS NOT NULL;
DROP INDEX delivery_rule;
CREATE INDEX delivery_rule ON delivery (rule_id, uid, n) WHERE rule_id IS NOT NULL;

-- Status and rule of the delivery go along, so that a mailbox is searched without a look at each.
ALTER TABLE delivery_mailbox ADD COLUMN status TEXT COLLATE "C" NOT NULL, ADD COLUMN rule_id BYTEA;
ALTER TABLE delivery_mailbox DROP CONSTRAINT delivery_mailbox_pkey;
DROP INDEX delivery_mailbox_uid;
ALTER TABLE delivery_mailbox ADD PRIMARY KEY (uid, n, mailbox_id);
CREATE INDEX delivery_mailbox_list ON delivery_mailbox (mailbox_id, uid, n, status, rule_id);

-- The words of a delivery: of the message and its envelope, and of what its attempts were answered.
CREATE TABLE delivery_words (
    uid   TEXT COLLATE "C" NOT NULL,
    n     BIGINT NOT NULL,
    words tsvector NOT NULL,
    PRIMARY KEY (uid, n)
) PARTITION BY RANGE (uid);
CREATE INDEX delivery_words_gin ON delivery_words USING gin (words);
CREATE TABLE delivery_answers (
    uid   TEXT COLLATE "C" NOT NULL,
    n     BIGINT NOT NULL,
    words tsvector NOT NULL,
    PRIMARY KEY (uid, n)
) PARTITION BY RANGE (uid);
CREATE INDEX delivery_answers_gin ON delivery_answers USING gin (words);

-- Further queue ids under which a message goes on: after a release, or from one queue into the next.
CREATE TABLE queue_link (
    queue_id TEXT COLLATE "C" NOT NULL,
    uid      TEXT COLLATE "C" NOT NULL,
    n        BIGINT NOT NULL,                       -- 0: every recipient
    at_us    BIGINT NOT NULL,
    PRIMARY KEY (queue_id, uid, n)
);
CREATE INDEX queue_link_uid ON queue_link (uid);

-- What is held, a row for its mailbox and one for its domain (zero: it has neither): lists, counts and caps.
CREATE TABLE held (
    owner_id BYTEA NOT NULL,
    uid      TEXT COLLATE "C" NOT NULL,
    n        BIGINT NOT NULL,
    bytes    BIGINT NOT NULL,                       -- of the object, which several recipients may share
    PRIMARY KEY (owner_id, uid, n)
);
CREATE INDEX held_uid ON held (uid, n);

-- The days that have partitions of their own. Days since 1970, UTC, by the UIDs.
CREATE TABLE log_day (
    day BIGINT PRIMARY KEY
);

-- How far each followed log file has been read.
CREATE TABLE follower (
    node_id    BYTEA NOT NULL,
    path       TEXT COLLATE "C" NOT NULL,
    device     BIGINT NOT NULL,
    inode      BIGINT NOT NULL,
    position   BIGINT NOT NULL,                     -- bytes; everything before is in our tables
    checked    BYTEA NOT NULL,                      -- a hash of the bytes before it: an inode may be used again
    updated_us BIGINT NOT NULL,
    PRIMARY KEY (node_id, path)
);
