-- Has the day a table moments_DAY, with the words of everybody's mail? Days from before have none: a search of everybody's mail asks
-- every shelf of these.
ALTER TABLE log_day ADD COLUMN moments SMALLINT NOT NULL DEFAULT 0 CHECK (moments IN (0, 1));
