-- Who has an address, for SpamAssassin's query: whoever has none reads what the catch-all of the domain does. The rows are filled anew.
CREATE VIEW spamassassin_known AS SELECT alias AS address FROM spamassassin_alias;
UPDATE spamassassin_head SET seq = -1;
