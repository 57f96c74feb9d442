-- Who asked to sign in by a link. Nothing in here opens anything by itself: tokens, codes and browsers are digests.
CREATE TABLE signin (
    id             BYTEA PRIMARY KEY,
    login          TEXT NOT NULL,                   -- the address as asked for, normalised
    known          SMALLINT NOT NULL CHECK (known IN (0, 1)), -- 0: nobody of ours; kept so that asking costs the same
    token_sha256   BYTEA NOT NULL UNIQUE,           -- of the link
    browser_sha256 BYTEA NOT NULL,                  -- of the cookie of the browser that asked
    code_sha256    BYTEA,                           -- once another browser has shown it
    wrong          BIGINT NOT NULL DEFAULT 0,       -- codes
    device         TEXT NOT NULL,
    ip             TEXT NOT NULL,
    created_us     BIGINT NOT NULL,
    expires_us     BIGINT NOT NULL,
    used_us        BIGINT
);
CREATE INDEX signin_browser ON signin (browser_sha256);
CREATE INDEX signin_expires ON signin (expires_us);

-- May people of a domain sign in who have no account yet? Built in: those whose mailbox is listed.
ALTER TABLE setting ADD COLUMN enrol TEXT CHECK (enrol IN ('listed', 'delivered', 'closed'));
