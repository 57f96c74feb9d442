-- What people put away of what is held, and work on many messages at once. See lib/store/custody.h and job.h.

ALTER TABLE held ADD COLUMN deleted_us BIGINT NOT NULL DEFAULT 0;   -- since when a person has put it away; 0: not
ALTER TABLE custody ADD COLUMN kept_us BIGINT NOT NULL DEFAULT 0;   -- keep_us as it was before all of it was put away; 0: it is not
CREATE INDEX held_deleted ON held (owner_id, uid, n) WHERE deleted_us > 0;

-- The first form of it had no reader and no writer yet.
DROP TABLE job;
CREATE TABLE job (
    id             BYTEA PRIMARY KEY,
    what           TEXT NOT NULL,
    owner_id       BYTEA NOT NULL,                  -- the account that asked
    actor          TEXT NOT NULL,                   -- as the audit names it
    acting_for     TEXT NOT NULL DEFAULT '',
    source         TEXT NOT NULL DEFAULT '',
    scopes         TEXT NOT NULL DEFAULT '',        -- where it looks: kind and id, one a line
    q              TEXT NOT NULL DEFAULT '',        -- what for, as people type it
    undoes         BYTEA,                           -- the job whose work it takes back; NULL: none
    state          TEXT NOT NULL CHECK (state IN ('waiting', 'done', 'stopped', 'failed')),
    total          BIGINT NOT NULL DEFAULT 0,       -- as counted when it was asked for
    done           BIGINT NOT NULL DEFAULT 0,
    failed         BIGINT NOT NULL DEFAULT 0,
    until_us       BIGINT NOT NULL,                 -- what came later is no part of it
    at_uid         TEXT NOT NULL DEFAULT '',        -- the last that was looked at; '': none yet
    at_n           BIGINT NOT NULL DEFAULT 0,
    answer         TEXT NOT NULL DEFAULT '',        -- why the last one that failed did
    lease_until_us BIGINT NOT NULL DEFAULT 0,
    lease_by       TEXT NOT NULL DEFAULT '',
    created_us     BIGINT NOT NULL,
    changed_us     BIGINT NOT NULL
);
CREATE INDEX job_waiting ON job (created_us) WHERE state = 'waiting';
CREATE INDEX job_owner ON job (owner_id, created_us);

-- What it has done, to be taken back.
CREATE TABLE job_item (
    job_id BYTEA NOT NULL,
    uid    TEXT NOT NULL,
    n      BIGINT NOT NULL,
    PRIMARY KEY (job_id, uid, n)
);
