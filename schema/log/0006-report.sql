-- "This is spam", "this is none": what people and programs said of messages, and what the filter made of it.
CREATE TABLE report (
    id             BYTEA PRIMARY KEY,
    subject        TEXT NOT NULL,                  -- 'uid:…' of a message in the log, or 'sha256:…' of one that came with the report
    who            TEXT NOT NULL,                  -- the person or program that says so
    class          TEXT NOT NULL CHECK (class IN ('spam', 'ham', 'forget')),
    recipient      TEXT NOT NULL DEFAULT '',       -- for whom the filter learns
    domain_id      BYTEA,                          -- NULL: none of ours
    mailbox_id     BYTEA,
    body_uid       TEXT NOT NULL DEFAULT '',       -- what lies in custody to learn from; '': nothing
    channel        TEXT NOT NULL,                  -- 'command', 'tell', 'learn', 'report', 'mail', 'portal', 'digest'
    state          TEXT NOT NULL CHECK (state IN ('waiting', 'learnt', 'known', 'short', 'refused', 'superseded')),
    attempts       BIGINT NOT NULL DEFAULT 0,
    next_us        BIGINT NOT NULL,                -- not before
    lease_until_us BIGINT NOT NULL DEFAULT 0,
    lease_by       TEXT NOT NULL DEFAULT '',
    answer         TEXT NOT NULL DEFAULT '',       -- of the backend, last time
    created_us     BIGINT NOT NULL,
    changed_us     BIGINT NOT NULL,
    UNIQUE (subject, who, recipient, class)
);
CREATE INDEX report_waiting ON report (next_us) WHERE state = 'waiting';
CREATE INDEX report_changed ON report (changed_us);
