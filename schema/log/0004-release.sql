-- Quarantined mail on its way to its recipient, and what takes it past our own scan. See lib/store/release.h and bypass.h.

-- One row a delivery that somebody asked for.
CREATE TABLE release (
    uid            TEXT NOT NULL,
    n              BIGINT NOT NULL,                 -- which recipient, as in delivery
    state          TEXT NOT NULL CHECK (state IN ('requested', 'sending', 'unknown', 'sent', 'failed')),
    attempt        BIGINT NOT NULL,                 -- how often it was claimed; who has been overtaken knows by it
    lease_until_us BIGINT NOT NULL,
    requested_us   BIGINT NOT NULL,
    changed_us     BIGINT NOT NULL,
    requested_by   TEXT NOT NULL,
    queue_id       TEXT NOT NULL DEFAULT '',        -- the new one
    code           BIGINT NOT NULL DEFAULT 0,       -- of the server's reply; 0: none
    reply          TEXT NOT NULL DEFAULT '',        -- its text, or why there is none
    PRIMARY KEY (uid, n)
);
CREATE INDEX release_open ON release (requested_us) WHERE state IN ('requested', 'sending');

-- Nonces of bypass fields that were given out.
CREATE TABLE bypass (
    nonce      BYTEA PRIMARY KEY,
    uid        TEXT NOT NULL,
    expires_us BIGINT NOT NULL,
    spent      SMALLINT NOT NULL DEFAULT 0
);
CREATE INDEX bypass_expires ON bypass (expires_us);
