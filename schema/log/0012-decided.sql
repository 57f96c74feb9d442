-- What somebody has decided about a held message's protected findings, and what a scan at its release has found. See lib/scan/lift.h.

ALTER TABLE release ADD COLUMN lifts TEXT NOT NULL DEFAULT '';   -- as lift_put() writes it; '': nothing
ALTER TABLE release ADD COLUMN found TEXT NOT NULL DEFAULT '';   -- JSON as message.symbols has it: what stopped it, and what else was there
