-- Hand-offs: an operator's dashboard brings a person (or staff for them) to the portal. Nonces and hand-offs are digests: who reads the
-- table gets in nowhere. Rows are forgotten an hour after their end.
CREATE TABLE handoff_nonce (
    nonce_sha256   BYTEA PRIMARY KEY,
    browser_sha256 BYTEA NOT NULL,                  -- of the cookie of the browser that asked
    expires_us     BIGINT NOT NULL,
    used_us        BIGINT                           -- bound into a hand-off
);
CREATE INDEX handoff_nonce_expires ON handoff_nonce (expires_us);

CREATE TABLE handoff (
    id             BYTEA PRIMARY KEY,
    token_sha256   BYTEA NOT NULL UNIQUE,
    audience       TEXT NOT NULL,                   -- the origin of the portal that it is for
    browser_sha256 BYTEA,                           -- of the nonce that it was made with; NULL: none, and the page asks before it is used
    api_key_id     BYTEA NOT NULL REFERENCES api_key (id) ON DELETE CASCADE,
    account_id     BYTEA NOT NULL REFERENCES account (id) ON DELETE CASCADE,
    domain_id      BYTEA NOT NULL REFERENCES domain (id) ON DELETE CASCADE, -- whose page it lands on
    staff_name     TEXT,                            -- NULL: the person comes in their own name
    created_us     BIGINT NOT NULL,
    expires_us     BIGINT NOT NULL,
    used_us        BIGINT
);
CREATE INDEX handoff_expires ON handoff (expires_us);
CREATE INDEX handoff_account ON handoff (account_id);
CREATE INDEX handoff_domain ON handoff (domain_id);
CREATE INDEX handoff_api_key ON handoff (api_key_id);
