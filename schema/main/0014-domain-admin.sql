-- The one address that the operator has named for a domain: an account that owns it and gets its digest. See lib/store/domain_admin.h.
CREATE TABLE domain_admin (
    domain_id  BYTEA PRIMARY KEY REFERENCES domain (id) ON DELETE CASCADE,
    account_id BYTEA NOT NULL REFERENCES account (id) ON DELETE CASCADE,
    made_owner SMALLINT NOT NULL CHECK (made_owner IN (0, 1)),     -- by being named; it was none before
    digest_id  BYTEA REFERENCES digest_subscription (id) ON DELETE SET NULL, -- that it got by being named
    named_us   BIGINT NOT NULL
);
CREATE INDEX domain_admin_account ON domain_admin (account_id);
CREATE INDEX domain_admin_digest ON domain_admin (digest_id);
