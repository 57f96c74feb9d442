-- Everybody's mail by its state, without what some rules have decided: the rule stands beside the state.
DROP INDEX delivery_everybody;
CREATE INDEX delivery_everybody ON delivery (direction, status, uid, n, rule_id);
