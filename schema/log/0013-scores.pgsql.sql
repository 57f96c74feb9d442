-- How the scores of a domain's mail are spread is read from its index alone: see lib/store/score.h.
DROP INDEX delivery_domain;
CREATE INDEX delivery_domain ON delivery (domain_id, uid, n, status, rule_id, score) WHERE domain_id IS NOT NULL;
