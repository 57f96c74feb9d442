-- "Please let it through": what people ask the owners of their domain for, and the answer. See lib/store/request.h.

CREATE TABLE release_request (
    uid         TEXT NOT NULL,
    n           BIGINT NOT NULL,                 -- which recipient, as in delivery
    domain_id   BYTEA NOT NULL,                  -- whose owners decide
    mailbox_id  BYTEA,
    state       TEXT NOT NULL CHECK (state IN ('waiting', 'granted', 'refused')),
    who         TEXT NOT NULL,                   -- asks
    why         TEXT NOT NULL DEFAULT '',
    asked_us    BIGINT NOT NULL,
    answer      TEXT NOT NULL DEFAULT '',
    answered_by TEXT NOT NULL DEFAULT '',
    answered_us BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (uid, n)
);
CREATE INDEX release_request_domain ON release_request (domain_id, state, uid, n);
