-- What a domain does on a block and with scores from its two thresholds on, and what it may keep. `block_action` becomes
-- `at_block`, which knows one more word.
ALTER TABLE setting ADD COLUMN at_block TEXT CHECK (at_block IN ('reject', 'quarantine', 'discard', 'tag'));
ALTER TABLE setting ADD COLUMN at_reject TEXT CHECK (at_reject IN ('reject', 'quarantine', 'discard', 'tag'));
ALTER TABLE setting ADD COLUMN at_add_header TEXT CHECK (at_add_header IN ('reject', 'quarantine', 'discard', 'tag'));
ALTER TABLE setting ADD COLUMN retention_days BIGINT CHECK (retention_days >= 1);              -- of held mail
ALTER TABLE setting ADD COLUMN held_max BIGINT CHECK (held_max >= 0);                          -- bytes held for the domain
ALTER TABLE setting ADD COLUMN mailbox_held_max BIGINT CHECK (mailbox_held_max >= 0);          -- and for each mailbox
UPDATE setting SET at_block = block_action;
ALTER TABLE setting DROP COLUMN block_action;
