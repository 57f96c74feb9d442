-- Searches that people keep by a name. See lib/store/saved_search.h.
CREATE TABLE saved_search (
    id         BYTEA PRIMARY KEY,
    account_id BYTEA NOT NULL REFERENCES account (id) ON DELETE CASCADE,
    name       TEXT NOT NULL,
    q          TEXT NOT NULL,                       -- as people type it
    place      TEXT NOT NULL DEFAULT '',            -- where it looks: 'domain:NAME', 'mailbox:ADDRESS', 'global'; '': one's own mailboxes
    position   BIGINT NOT NULL,                     -- counts from 1, without gaps
    created_us BIGINT NOT NULL,
    UNIQUE (account_id, name)
);
CREATE INDEX saved_search_list ON saved_search (account_id, position);
