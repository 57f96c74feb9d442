-- What a brand shows beside its name. '' everywhere: not said, and what the installation has is shown.
ALTER TABLE brand ADD COLUMN url TEXT NOT NULL DEFAULT '';          -- of its portal: https://host, for links in mail
ALTER TABLE brand ADD COLUMN support TEXT NOT NULL DEFAULT '';      -- an address
ALTER TABLE brand ADD COLUMN webmail TEXT NOT NULL DEFAULT '';
ALTER TABLE brand ADD COLUMN contacts TEXT NOT NULL DEFAULT '';
ALTER TABLE brand ADD COLUMN calendar TEXT NOT NULL DEFAULT '';
ALTER TABLE brand ADD COLUMN accent_light TEXT NOT NULL DEFAULT ''; -- #rrggbb
ALTER TABLE brand ADD COLUMN accent_dark TEXT NOT NULL DEFAULT '';
ALTER TABLE brand ADD COLUMN logo BYTEA;
ALTER TABLE brand ADD COLUMN logo_type TEXT NOT NULL DEFAULT '';    -- image/png, …
