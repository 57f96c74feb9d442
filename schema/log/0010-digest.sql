-- Digests that were composed, and what each has listed. See lib/store/digest_run.h.
CREATE TABLE digest_run (
    id              BYTEA PRIMARY KEY,              -- and what its Message-ID is made from
    subscription_id BYTEA NOT NULL,
    until_us        BIGINT NOT NULL,                -- the end of the time it tells of
    since_us        BIGINT NOT NULL,
    state           TEXT NOT NULL CHECK (state IN ('waiting', 'sent', 'failed')),
    quiet           SMALLINT NOT NULL DEFAULT 0,    -- nothing was held: it says just that
    recipient       TEXT NOT NULL,
    total           BIGINT NOT NULL,                -- deliveries that it tells of
    again           BIGINT NOT NULL DEFAULT 0,      -- how often it was asked for once more
    attempts        BIGINT NOT NULL DEFAULT 0,
    next_us         BIGINT NOT NULL,                -- not before
    lease_until_us  BIGINT NOT NULL DEFAULT 0,
    lease_by        TEXT NOT NULL DEFAULT '',
    answer          TEXT NOT NULL DEFAULT '',       -- of the mail server, last time
    created_us      BIGINT NOT NULL,
    changed_us      BIGINT NOT NULL,
    UNIQUE (subscription_id, until_us)
);
CREATE INDEX digest_run_waiting ON digest_run (next_us) WHERE state = 'waiting';
CREATE INDEX digest_run_changed ON digest_run (changed_us);

-- No delivery is listed twice by one subscription.
CREATE TABLE digest_item (
    subscription_id BYTEA NOT NULL,
    uid             TEXT NOT NULL,
    n               BIGINT NOT NULL,
    run_id          BYTEA NOT NULL,
    place           BIGINT NOT NULL,                -- its number in the letter, from 1; 0, -1: counted alone
    PRIMARY KEY (subscription_id, uid, n)
);
CREATE INDEX digest_item_run ON digest_item (run_id, place);
