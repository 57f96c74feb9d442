-- What somebody did, and what was done to them, is asked for by the person too.
CREATE INDEX audit_actor ON audit (actor_id, at_us);
CREATE INDEX audit_object ON audit (object_id, at_us) WHERE object_id IS NOT NULL;
