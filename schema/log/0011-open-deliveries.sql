-- What the mail server still has in its queue, for who looks at how long it has lain there: few rows of many.
CREATE INDEX delivery_open ON delivery (uid) WHERE state IN ('queued', 'deferred');
