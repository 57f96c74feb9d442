-- The one tenant of today.
INSERT INTO tenant (id, name, created_us) VALUES (x'00000000000000000000000000000000', 'default', 0);
