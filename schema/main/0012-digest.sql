-- Who gets a digest of what was held back, and when. What has been sent lies in the log (its digest_run). See lib/store/digest.h.
CREATE TABLE digest_subscription (
    id              BYTEA PRIMARY KEY,
    kind            TEXT NOT NULL CHECK (kind IN ('mailbox', 'domain')),
    account_id      BYTEA NOT NULL REFERENCES account (id) ON DELETE CASCADE,
    mailbox_id      BYTEA REFERENCES mailbox (id) ON DELETE CASCADE,            -- of kind 'mailbox'
    domain_id       BYTEA NOT NULL REFERENCES domain (id) ON DELETE CASCADE,    -- whose it is, or the mailbox's
    minute          BIGINT NOT NULL,                -- of the local day; hourly: of the hour
    hourly          SMALLINT NOT NULL CHECK (hourly IN (0, 1)),
    weekdays        BIGINT NOT NULL,                -- 1: Sunday, 2: Monday, … 64: Saturday
    zone            TEXT NOT NULL,                  -- IANA
    language        TEXT NOT NULL,                  -- BCP 47
    filters         BIGINT NOT NULL,                -- 1: quarantined, 2: blocked, 4: spam
    quiet           SMALLINT NOT NULL CHECK (quiet IN (0, 1)),  -- a letter a week also where nothing was held
    paused_until_us BIGINT NOT NULL DEFAULT 0,
    next_us         BIGINT NOT NULL,                -- the next run, by the schedule
    lease_until_us  BIGINT NOT NULL DEFAULT 0,
    lease_by        TEXT NOT NULL DEFAULT '',
    created_us      BIGINT NOT NULL,
    updated_us      BIGINT NOT NULL
);
CREATE INDEX digest_due ON digest_subscription (next_us);
CREATE INDEX digest_account ON digest_subscription (account_id);
CREATE INDEX digest_mailbox ON digest_subscription (mailbox_id);
CREATE INDEX digest_domain ON digest_subscription (domain_id, kind);

-- What a new mailbox of a domain begins with.
CREATE TABLE digest_default (
    domain_id       BYTEA PRIMARY KEY REFERENCES domain (id) ON DELETE CASCADE,
    minute          BIGINT NOT NULL,
    hourly          SMALLINT NOT NULL CHECK (hourly IN (0, 1)),
    weekdays        BIGINT NOT NULL,
    zone            TEXT NOT NULL,
    language        TEXT NOT NULL,
    filters         BIGINT NOT NULL,
    quiet           SMALLINT NOT NULL CHECK (quiet IN (0, 1)),
    updated_us      BIGINT NOT NULL
);
