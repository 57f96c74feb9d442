-- The change feed learns two more words: keys of programs, and senders who were blocked. SQLite changes no CHECK in place.
CREATE TABLE change_next (
    seq         BIGINT PRIMARY KEY,
    kind        TEXT NOT NULL CHECK (kind IN ('rule', 'policy', 'assignment', 'setting', 'learned', 'domain', 'mailbox',
                                              'address', 'api_key', 'sender')),
    scope_kind  TEXT NOT NULL CHECK (scope_kind IN ('global', 'domain', 'mailbox')),
    scope_id    BYTEA NOT NULL,
    object_id   BYTEA,                              -- NULL: the whole scope
    at_us       BIGINT NOT NULL
);
INSERT INTO change_next SELECT seq, kind, scope_kind, scope_id, object_id, at_us FROM change;
DROP TABLE change;
ALTER TABLE change_next RENAME TO change;

-- Was the key bound to domains when it was made? Then it stays so, also when the last of them has gone.
ALTER TABLE api_key ADD COLUMN bound SMALLINT NOT NULL DEFAULT 0 CHECK (bound IN (0, 1));
UPDATE api_key SET bound = 1 WHERE id IN (SELECT api_key_id FROM api_key_domain);
