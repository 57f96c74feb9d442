-- Are copies of delivered mail kept for a while, to learn from? Built in: no.
ALTER TABLE setting ADD COLUMN copies SMALLINT CHECK (copies IN (0, 1));
