-- While a listener only observes: what we would have done, and what the filter that decides did.
CREATE TABLE observed (
    uid        TEXT PRIMARY KEY,
    at_us      BIGINT NOT NULL,
    ours       TEXT NOT NULL,                   -- pass, tag, defer, quarantine, discard, reject
    theirs     TEXT NOT NULL,                   -- the same words; '': no scanner stands behind us
    sender     TEXT NOT NULL,
    recipients BIGINT NOT NULL,
    rule_id    BYTEA                            -- the first that decided
);
CREATE INDEX observed_at ON observed (at_us);
