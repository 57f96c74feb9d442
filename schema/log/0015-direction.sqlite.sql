-- contract: 15
-- Which way a delivery's message went, beside its row, so that nobody's mail is looked at one by one for the few that went the other
-- way; and what state everybody's mail is in. Takes a look at each message, and sorts each delivery twice.
ALTER TABLE delivery ADD COLUMN direction SMALLINT NOT NULL DEFAULT 0 CHECK (direction IN (0, 1, 2)); -- inbound, outbound, local
ALTER TABLE delivery_mailbox ADD COLUMN direction SMALLINT NOT NULL DEFAULT 0;
UPDATE delivery SET direction = CASE m.direction WHEN 'outbound' THEN 1 ELSE 2 END
    FROM message m WHERE m.uid = delivery.uid AND m.direction <> 'inbound';
UPDATE delivery_mailbox SET direction = d.direction FROM delivery d WHERE d.id = delivery_mailbox.id AND d.direction <> 0;

DROP INDEX delivery_domain;
CREATE INDEX delivery_domain ON delivery (domain_id, id, status, rule_id, score, direction) WHERE domain_id IS NOT NULL;
-- Who searches everybody's mail for what is rare.
CREATE INDEX delivery_everybody ON delivery (direction, status, id);
