-- Has the day's table moments_DAY the words of answers too, and which words stand side by side? Days from before are asked shelf by shelf.
ALTER TABLE log_day ADD COLUMN moments_whole SMALLINT NOT NULL DEFAULT 0 CHECK (moments_whole IN (0, 1));
