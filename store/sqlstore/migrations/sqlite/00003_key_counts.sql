-- +goose Up

-- How many keys each owner has, whatever their status: a list says how many pages it has,
-- and counting a million rows for that takes longer than all the rest. Keys never go.
-- The row of the empty owner, which no key can have, counts all.
CREATE TABLE key_counts (
    owner TEXT    NOT NULL PRIMARY KEY,
    keys  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

INSERT INTO key_counts (owner, keys) SELECT owner, count(*) FROM api_keys GROUP BY owner;
INSERT INTO key_counts (owner, keys) SELECT '', count(*) FROM api_keys;
