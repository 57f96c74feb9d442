-- The change feed learns two more words: keys of programs, and senders who were blocked.
ALTER TABLE change DROP CONSTRAINT change_kind_check;
ALTER TABLE change ADD CONSTRAINT change_kind_check
    CHECK (kind IN ('rule', 'policy', 'assignment', 'setting', 'learned', 'domain', 'mailbox', 'address', 'api_key',
                    'sender'));

-- Was the key bound to domains when it was made? Then it stays so, also when the last of them has gone.
ALTER TABLE api_key ADD COLUMN bound SMALLINT NOT NULL DEFAULT 0 CHECK (bound IN (0, 1));
UPDATE api_key SET bound = 1 WHERE id IN (SELECT api_key_id FROM api_key_domain);
