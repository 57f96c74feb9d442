-- Has the day's table moments_DAY the words of answers too? Of days from before, answers are asked for on every shelf.
ALTER TABLE log_day ADD COLUMN moments_answers SMALLINT NOT NULL DEFAULT 0 CHECK (moments_answers IN (0, 1));
