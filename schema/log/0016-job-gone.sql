-- Of a job that takes releases back: how many had been sent already. See lib/store/job.h.

ALTER TABLE job ADD COLUMN gone BIGINT NOT NULL DEFAULT 0;
