-- Copies of delivered mail, and more of what became of a report.

-- Kept for a while to learn from, of a message that was delivered: no harm when it goes.
ALTER TABLE custody ADD COLUMN copy SMALLINT NOT NULL DEFAULT 0 CHECK (copy IN (0, 1));

-- As before, with one more state, and with the sender that the report left behind.
CREATE TABLE report_now (
    id             BYTEA PRIMARY KEY,
    subject        TEXT NOT NULL,                  -- 'uid:…' of a message in the log, or 'sha256:…' of one that came with the report
    who            TEXT NOT NULL,                  -- the person or program that says so
    class          TEXT NOT NULL CHECK (class IN ('spam', 'ham', 'forget')),
    recipient      TEXT NOT NULL DEFAULT '',       -- for whom the filter learns
    domain_id      BYTEA,                          -- NULL: none of ours
    mailbox_id     BYTEA,
    body_uid       TEXT NOT NULL DEFAULT '',       -- what lies in custody to learn from; '': nothing
    channel        TEXT NOT NULL,                  -- 'command', 'tell', 'learn', 'report', 'mail', 'portal', 'digest', 'postern'
    state          TEXT NOT NULL CHECK (state IN ('waiting', 'learnt', 'known', 'short', 'refused', 'superseded',
                                                  'undecided')),
    attempts       BIGINT NOT NULL DEFAULT 0,
    next_us        BIGINT NOT NULL,                -- not before
    lease_until_us BIGINT NOT NULL DEFAULT 0,
    lease_by       TEXT NOT NULL DEFAULT '',
    answer         TEXT NOT NULL DEFAULT '',       -- of the backend, last time
    sender         TEXT NOT NULL DEFAULT '',       -- the learned sender that it left behind, or took away; '': none
    why            TEXT NOT NULL DEFAULT '',       -- why there is none, or why it is wider than the address
    created_us     BIGINT NOT NULL,
    changed_us     BIGINT NOT NULL,
    UNIQUE (subject, who, recipient, class)
);
INSERT INTO report_now (id, subject, who, class, recipient, domain_id, mailbox_id, body_uid, channel, state, attempts,
                        next_us, lease_until_us, lease_by, answer, created_us, changed_us)
SELECT id, subject, who, class, recipient, domain_id, mailbox_id, body_uid, channel, state, attempts,
       next_us, lease_until_us, lease_by, answer, created_us, changed_us FROM report;
DROP TABLE report;
ALTER TABLE report_now RENAME TO report;
CREATE INDEX report_waiting ON report (next_us) WHERE state = 'waiting';
CREATE INDEX report_changed ON report (changed_us);
