-- On which shelves the words of everybody's mail are, of days that are over: see lib/store/shelf_words.h.
CREATE TABLE shelf_words (
    day     BIGINT NOT NULL,
    word    TEXT COLLATE "C" NOT NULL,              -- behind its field's letter: 'sinvoice'
    shelves BIGINT NOT NULL,                        -- a bit for each
    PRIMARY KEY (day, word) INCLUDE (shelves)
);

-- Has the day been sorted, and nothing been written to it since? See lib/store/sort_day.h.
ALTER TABLE log_day ADD COLUMN sorted SMALLINT NOT NULL DEFAULT 0 CHECK (sorted IN (0, 1));
