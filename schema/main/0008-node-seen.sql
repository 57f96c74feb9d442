-- When a machine last said that it is there, once an hour: whoever can reach the same bucket looks after what a lost one left in it.
ALTER TABLE node ADD COLUMN seen_us BIGINT NOT NULL DEFAULT 0;  -- 0: not since it was made
