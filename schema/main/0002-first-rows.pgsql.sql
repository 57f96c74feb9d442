-- The one tenant of today.
INSERT INTO tenant (id, name, created_us) VALUES ('\x00000000000000000000000000000000', 'default', 0);

-- Text compares by its bytes, as in SQLite, whatever the database was created with: sorting does not depend on the
-- C library's version, and no index breaks with its upgrade.
DO $do$
DECLARE
    c record;
BEGIN
    FOR c IN SELECT table_name, column_name FROM information_schema.columns
             WHERE table_schema = current_schema() AND data_type = 'text' LOOP
        EXECUTE format('ALTER TABLE %I ALTER COLUMN %I TYPE text COLLATE "C"', c.table_name, c.column_name);
    END LOOP;
END
$do$;

-- Whoever waits for changes hears of them with the commit.
CREATE FUNCTION change_notify() RETURNS trigger LANGUAGE plpgsql AS $f$
BEGIN
    NOTIFY postern_change;
    RETURN NULL;
END
$f$;
CREATE TRIGGER change_notify AFTER UPDATE ON change_head FOR EACH STATEMENT EXECUTE FUNCTION change_notify();
